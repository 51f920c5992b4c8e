"""Released weights: where they are looked for, what to do when they are absent, and their hash."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medbench.core.errors import UserError
from medbench.core.fingerprint import LENGTH

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")


def read_state(path: Path, module: Any = None) -> dict[str, Any]:
    """Tensors by name out of a safetensors file or a torch checkpoint, without running its code.

    module: the class of a whole pickled network that the file may hold; only torch's own layers
    and that class's module are let through."""
    import torch

    if path.suffix not in SUFFIXES:
        raise UserError(f"weights={path} is not read; {', '.join(SUFFIXES)} are.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with torch.serialization.safe_globals(_layers(module)):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch, pickle and safetensors raise kinds of their own
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise UserError(f"weights={path} cannot be read: {reason}") from error
    found = found.state_dict() if hasattr(found, "state_dict") else found
    found = found.get("state_dict", found)
    return {name.removeprefix("module."): value for name, value in found.items()}


def _layers(module: Any) -> list[Any]:
    """Classes of layers that a pickled network is made of."""
    if module is None:
        return []
    import sys

    from torch import nn

    own = vars(sys.modules[module.__module__]).values()
    kinds = [*vars(nn).values(), *own]
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, nn.Module)]


def load_state(network: Any, state: Mapping[str, Any], path: str) -> None:
    """Copy tensors into a network; a sentence when names or shapes are not the network's."""
    wanted = network.state_dict()
    missing = [name for name in wanted if name not in state and "num_batches" not in name]
    shapes = [name for name in wanted if name in state and state[name].shape != wanted[name].shape]
    if missing or shapes:
        first = f"{missing[0]} is absent" if missing else f"{shapes[0]} has another shape"
        raise UserError(
            f"weights={path} do not fit {type(network).__name__}: {len(missing)} of {len(wanted)} "
            f"tensors are absent and {len(shapes)} have another shape ({first})."
        )
    network.load_state_dict({name: state[name] for name in wanted if name in state}, strict=False)


def hash_state(network: Any) -> str:
    """What a network's weights are, whichever file they came in."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        if "num_batches" in name:
            continue
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:LENGTH]


def local_file(weights: str | None, name: str, get: str, instead: str) -> Path:
    """The file of weights that a setting names, or the sentence that says where to get it."""
    if not weights:
        raise UserError(f"The extractor {name} needs weights=FILE. {get} {instead}".strip())
    path = Path(weights).expanduser()
    if not path.is_file():
        raise UserError(
            f"The extractor {name} needs the file {path}, which is not there. {get} "
            f"{instead}".strip()
        )
    return path


def to_device(network: Any, device: str) -> None:
    """Convolutions of images with their channels last: a third faster on a CPU, equal but for
    rounding."""
    import torch

    network.to(device)
    if all(p.ndim != 5 for p in network.parameters()):  # volumes have no such format of 4 axes
        network.to(memory_format=torch.channels_last)
