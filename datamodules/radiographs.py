"""A doctor's look at the grey scale of chest radiographs: air is dark."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datamodules.geometry import Fit
from datamodules.resizing import PictureReader

LOOKED_AT = 32  # films of a check of the grey scale's sign
LEAST_RIGHT = 0.7  # share of them that must be darker in the lungs


def lungs_are_dark(image: np.ndarray) -> bool:
    """Whether both lung fields of a frontal (1, S, S) film are darker than what lies between."""
    side = image.shape[-1]
    rows = image[0, int(0.25 * side) : int(0.5 * side)]
    middle = rows[:, int(0.46 * side) : int(0.56 * side)].mean()
    lungs = [
        rows[:, int(0.2 * side) : int(0.36 * side)],
        rows[:, int(0.64 * side) : int(0.8 * side)],
    ]
    return bool(np.mean([lung.mean() for lung in lungs]) < middle)


def check_polarity(paths: Sequence[Path]) -> list[str]:
    """A sentence when the first frontal films are mostly brighter in the lungs: a negative."""
    seen = [lungs_are_dark(_small(path)) for path in paths[:LOOKED_AT]]
    if not seen or np.mean(seen) >= LEAST_RIGHT:
        return []
    return [
        f"In {seen.count(False)} of {len(seen)} frontal films, {paths[seen.index(False)]} among "
        "them, the lungs are brighter than the mediastinum. Their grey scale is turned over; "
        "convert them again with air dark and bone bright."
    ]


def _small(path: Path) -> np.ndarray:
    return PictureReader(path.parent, Fit(64, "stretch"), grey=True).read(path.name)[0]
