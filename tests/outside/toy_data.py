"""A toy dataset; like every datamodule it needs no torch."""

import numpy as np

from datamodules.base import DataModule
from medbench.core.batch import Sample
from medbench.core.seeds import rng


class Dots(DataModule):
    """Grey squares with one bright column; the text names it."""

    version = 1
    modality = "toy"
    yields = ("image", "text", "labels", "label_names", "sample_id", "subject_id", "meta")
    phantom = True

    def __init__(self, n: int = 48, seed: int = 0, size: int = 8) -> None:
        self.n, self.seed, self.size = n, seed, size

    def split(self, name: str) -> "_Dots":
        return _Dots(name, self.n, self.seed, self.size)


class _Dots:
    def __init__(self, name: str, n: int, seed: int, size: int) -> None:
        self.name, self.n, self.seed, self.size = name, n, seed, size

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Sample:
        draw = rng("dots", self.seed, self.name, index)
        column = int(draw.integers(self.size))
        image = draw.uniform(-1, -0.5, (1, self.size, self.size)).astype(np.float32)
        image[:, :, column] = 0.8
        labels = np.zeros(self.size, np.float32)
        labels[column] = 1
        return {
            "image": image,
            "text": f"column {column}",
            "labels": labels,
            "label_names": [f"column={c}" for c in range(self.size)],
            "sample_id": f"{self.name}-{index}",
            "subject_id": f"{self.name}-{index}",
            "meta": {"template": "column"},
        }
