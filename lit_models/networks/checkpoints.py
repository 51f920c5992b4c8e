"""Names of released checkpoints turned into ours."""

import re
from collections.abc import Sequence

from torch import Tensor


def renamed(state: dict[str, Tensor], rules: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """The same tensors; each rule (pattern, replacement) is applied in turn to every name."""

    def ours(name: str) -> str:
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        return name

    return {ours(name): value for name, value in state.items()}
