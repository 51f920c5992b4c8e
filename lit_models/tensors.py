"""Named tensors on disk: read with distrust, compared by name."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from medbench.core.errors import UserError


def check_names(given: set[str], wanted: set[str], what: str) -> None:
    """Stop unless the tensors' names are exactly the wanted ones."""
    missing, extra = sorted(wanted - given), sorted(given - wanted)
    if missing or extra:
        raise UserError(
            f"{what} does not fit the network: {len(missing)} tensors are missing (such as "
            f"{missing[:2]}), {len(extra)} are unknown (such as {extra[:2]})."
        )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a .safetensors file or of a checkpoint that `weights_only=True` accepts."""
    if not path.exists():
        raise UserError(f"There are no weights at {path}.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, EOFError) as error:
        raise UserError(f"{path} is damaged: {error}") from error
    except Exception as error:  # torch raises its own UnpicklingError and RuntimeError here
        raise UserError(
            f"{path} is refused: it holds more than tensors, or is damaged "
            f"({str(error).splitlines()[0][:200]}). Only tensors are loaded, since a pickle can "
            "run code; convert it to .safetensors where it was made."
        ) from error
    for key in ("state_dict", "model_state_dict"):
        content = content.get(key, content)
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}
