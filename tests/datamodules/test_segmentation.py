"""Classical segmentation of a drawn chest against its exact masks."""

import numpy as np
import pytest

from datamodules.phantom import ct
from datamodules.segmentation import segment

Chest = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


@pytest.fixture(scope="module")
def chest() -> Chest:
    """Masks as drawn and as found, of a chest with fluid at its right side."""
    wish = {"pleural effusion": {"severity": 0.8, "side": "right"}}
    volume = ct.draw(0, "test", 0, size=96, set=wish)
    names = ("lung", "lobe", "airway", "vessel", "heart", "effusion")
    found = segment(volume.hu, np.asarray(volume.spacing_mm, float), names)
    return {name: mask[0] for name, mask in volume.masks.items()}, found


@pytest.mark.parametrize(("label", "side"), [(1, "right"), (2, "left")])
def test_lungs_are_told_apart(label: int, side: str, chest: Chest) -> None:
    drawn, found = chest
    assert dice(found["lung"] == label, drawn[f"lung_{side}"] > 0) > 0.97


@pytest.mark.parametrize(
    ("name", "least"), [("airway", 0.65), ("vessel", 0.65), ("heart", 0.75), ("effusion", 0.95)]
)
def test_a_structure_overlaps_with_what_was_drawn(name: str, least: float, chest: Chest) -> None:
    drawn, found = chest
    assert dice(found[name] > 0, drawn[name] > 0) > least


def test_lobes_are_approximate(chest: Chest) -> None:
    drawn, found = chest
    overlap = [dice(found["lobe"] == lobe, drawn["lobe"] == lobe) for lobe in range(1, 6)]
    assert min(overlap) > 0.45 and np.mean(overlap) > 0.75
