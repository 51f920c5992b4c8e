"""Randomness as a function of what is drawn, never of what ran before."""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


def mix(*parts: int | str) -> int:
    """A seed of 63 bits from a tuple of names and numbers."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def rng(*parts: int | str) -> np.random.Generator:
    """A NumPy generator for a tuple of names and numbers."""
    return np.random.Generator(np.random.Philox(key=mix(*parts)))


class Draws:
    """One random stream a sample: row i of every draw depends on seed i and the calls before it.

    So the noise of a sample is the same in any batch, on any number of processes. Streams live on
    the CPU and results are moved, so that they are also the same on any device."""

    def __init__(self, seeds: Sequence[int], device: str = "cpu") -> None:
        import torch

        self.device = device
        self._streams = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __len__(self) -> int:
        return len(self._streams)

    def normal(self, *shape: int) -> "Tensor":
        """(n, *shape) standard normal numbers, float32."""
        import torch

        return self._stack([torch.randn(shape, generator=stream) for stream in self._streams])

    def uniform(self, *shape: int) -> "Tensor":
        """(n, *shape) numbers in [0, 1), float32."""
        import torch

        return self._stack([torch.rand(shape, generator=stream) for stream in self._streams])

    def integers(self, high: int, *shape: int) -> "Tensor":
        """(n, *shape) integers in [0, high), int64."""
        import torch

        return self._stack(
            [torch.randint(high, shape, generator=stream) for stream in self._streams]
        )

    def _stack(self, rows: "list[Tensor]") -> "Tensor":
        import torch

        return torch.stack(rows).to(self.device, non_blocking=True)
