"""Structures found in images without weights, in the form that metrics of masks take."""

from collections.abc import Iterator, Mapping

import numpy as np

from datamodules.controls import find_lungs, grey_levels
from datamodules.segmentation import Segmenter

CT = ("airway", "vessel", "lung", "heart", "effusion", "lobe")


class Structures(Mapping[str, np.ndarray]):
    """Masks of one volume, each worked out when it is asked for."""

    def __init__(self, hu: np.ndarray, spacing_mm: np.ndarray) -> None:
        self._segmenter = Segmenter(hu, spacing_mm)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in CT:
            raise KeyError(name)
        return self._segmenter(name)

    def __iter__(self) -> Iterator[str]:
        return iter(CT)

    def __len__(self) -> int:
        return len(CT)


def segment_ct(hu: np.ndarray, spacing_mm: np.ndarray) -> Structures:
    """Airway, vessels, lungs, heart, effusion and lobes of a (D, H, W) volume in HU."""
    return Structures(hu, np.asarray(spacing_mm, np.float64))


def segment_radiograph(image: np.ndarray) -> dict[str, np.ndarray]:
    """The lungs of a (1, H, W) radiograph in [-1, 1]."""
    return {"lungs": find_lungs(grey_levels(image)) > 0}
