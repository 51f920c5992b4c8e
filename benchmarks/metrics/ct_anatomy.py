"""What is measured in a CT volume: volumes in the body, emphysema, heart width; and their tests.

Published volumes seem to have been counted at 1 mm^3 a voxel: `_unit` variants do so, and are what
stands beside them. `spacing_mm` is (D, H, W); masks are booleans, and `lobe` integers 0 to 5."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.metrics.declaration import (
    ARMS,
    BETWEEN_ARMS,
    MASKS,
    SAMPLES,
    VOLUMES,
    Metric,
    metric,
)
from benchmarks.metrics.overlap import mean_over_structures
from medbench.core.errors import UserError

Volumes = Sequence[np.ndarray]
Masks = Sequence[Mapping[str, np.ndarray]]
LOBES = range(1, 6)
EMPHYSEMA_HU = -950
PUBLISHED = "MedSyn, as TotalSegmentator's masks are counted"


def _volume_metric(name: str, part: str, unit_mm3: float, true_spacing: bool) -> Metric:
    """Voxels of a mask times the voxel's volume, in `unit_mm3`."""

    @metric(
        name if true_spacing else f"{name}_unit",
        says=f"{name.replace('_', ' ')} in a CT, in {unit_mm3 / 1e3:g} ml",
        direction="none",
        needs=VOLUMES,
        min_samples=1,
        version=1,
        kind=SAMPLES,
        source=PUBLISHED + ("" if true_spacing else ", at 1 mm^3 a voxel whatever the spacing"),
    )
    def measure(volumes_hu: Volumes, volume_masks: Masks, spacing_mm: np.ndarray) -> np.ndarray:
        """(n,) volume of the structure; 0 where there is none."""
        counts = [np.count_nonzero(_part(masks, part)) for masks in volume_masks]
        voxel = np.prod(spacing_mm, axis=1) if true_spacing else 1.0
        return np.array(counts) * voxel / unit_mm3

    return measure


airway_volume = _volume_metric("airway_volume", "airway", 1e4, True)
airway_volume_unit = _volume_metric("airway_volume", "airway", 1e4, False)
vessel_volume = _volume_metric("vessel_volume", "vessel", 1e4, True)
vessel_volume_unit = _volume_metric("vessel_volume", "vessel", 1e4, False)
pleural_effusion_volume = _volume_metric("pleural_effusion_volume", "effusion", 1e6, True)
pleural_effusion_volume_unit = _volume_metric("pleural_effusion_volume", "effusion", 1e6, False)


@metric(
    "laa_950",
    says="share of emphysematous lung in a CT",
    direction="none",
    needs=VOLUMES,
    min_samples=1,
    version=1,
    kind=SAMPLES,
    source="share of lung without airway below -950 HU, strictly",
)
def laa_950(volumes_hu: Volumes, volume_masks: Masks, spacing_mm: np.ndarray) -> np.ndarray:
    """(n,) percent, 0 to 100; undefined (NaN) without lung."""
    found = []
    for hu, masks in zip(volumes_hu, volume_masks, strict=True):
        if np.abs(hu).max() <= 1:
            raise UserError(
                "laa_950: a volume lies between -1 and 1; give Hounsfield units, not the scale "
                "that networks use."
            )
        lung = lungs(masks) & ~_part(masks, "airway")
        count = np.count_nonzero(lung)
        low = np.count_nonzero(np.asarray(hu)[lung] < EMPHYSEMA_HU)
        found.append(100 * low / count if count else np.nan)
    return np.array(found)


@metric(
    "cardiothoracic_ratio",
    says="width of the heart over that of the chest in a CT",
    direction="none",
    needs=VOLUMES,
    min_samples=1,
    version=1,
    kind=SAMPLES,
    source="widest heart over width of lungs and heart in the same axial slice",
)
def cardiothoracic_ratio(
    volumes_hu: Volumes, volume_masks: Masks, spacing_mm: np.ndarray
) -> np.ndarray:
    """(n,) ratio in [0, 1]; width is last - first + 1 columns along W. Undefined (NaN) without a
    heart, or without lung in the slice where the heart is widest."""
    return np.array([_heart_ratio(_part(m, "heart"), lungs(m)) for m in volume_masks])


def _heart_ratio(heart: np.ndarray, lung: np.ndarray) -> float:
    widths = [_width(plane) for plane in heart]
    level = int(np.argmax(widths))
    if not widths[level] or not lung[level].any():
        return float("nan")
    return widths[level] / _width(lung[level] | heart[level])


def _width(plane: np.ndarray) -> int:
    """Columns from the first to the last that an (H, W) mask touches."""
    columns = np.flatnonzero(plane.any(axis=0))
    return int(columns[-1] - columns[0] + 1) if len(columns) else 0


@metric(
    "dice_lobe",
    says="overlap of the five lobes",
    direction="higher",
    needs=MASKS,
    min_samples=1,
    version=1,
    kind=SAMPLES,
    source="MedSyn, Table V: mean over the five lobes of a volume",
)
def dice_lobe(real_masks: Mapping[str, Volumes], fake_masks: Mapping[str, Volumes]) -> np.ndarray:
    """(n,) mean Dice of the lobes labelled 1 to 5 in `lobe`, or of masks `lobe_1` to `lobe_5`; a
    lobe empty in both is left out."""
    names = [f"lobe_{i}" for i in LOBES]
    if all(name in real_masks and name in fake_masks for name in names):
        sides = [zip(real_masks[n], fake_masks[n], strict=True) for n in names]
        each = {
            n: np.array([_dice(a > 0, b > 0) for a, b in s])
            for n, s in zip(names, sides, strict=True)
        }
        return mean_over_structures(each)
    if any(np.asarray(m).dtype == bool for m in _given(real_masks, "lobe")):
        raise UserError("dice_lobe: `lobe` holds labels 0 to 5, not true and false; see lobe_1.")
    pairs = list(zip(_given(real_masks, "lobe"), _given(fake_masks, "lobe"), strict=True))
    each = {f"{i}": np.array([_dice(a == i, b == i) for a, b in pairs]) for i in LOBES}
    return mean_over_structures(each)


@metric(
    "dice_airway",
    says="overlap of the airway",
    direction="higher",
    needs=MASKS,
    min_samples=1,
    version=1,
    kind=SAMPLES,
    source="MedSyn, Table V",
)
def dice_airway(real_masks: Mapping[str, Volumes], fake_masks: Mapping[str, Volumes]) -> np.ndarray:
    """(n,) Dice of `airway`; undefined (NaN) where both are empty."""
    pairs = zip(_given(real_masks, "airway"), _given(fake_masks, "airway"), strict=True)
    return np.array([_dice(np.asarray(a) > 0, np.asarray(b) > 0) for a, b in pairs])


@metric(
    "arm_ttest",
    says="whether one prompt gives larger values than another",
    direction="none",
    needs=ARMS,
    min_samples=2,
    version=1,
    kind=BETWEEN_ARMS,
    gives=("difference", "p_student", "p_welch", "undefined"),
    source="one-tailed two-sample t-test, first arm greater; Student as published, Welch beside it",
)
def arm_ttest(first_values: np.ndarray, second_values: np.ndarray) -> dict[str, float]:
    """Difference of means and p of both tests; samples that are NaN are left out and counted.

    With fewer than two values in an arm everything is NaN."""
    from scipy.stats import ttest_ind

    arms = [np.asarray(values, np.float64) for values in (first_values, second_values)]
    known = [values[np.isfinite(values)] for values in arms]
    found = {"undefined": float(sum(map(len, arms)) - sum(map(len, known)))}
    if min(map(len, known)) < 2:
        return dict.fromkeys(("difference", "p_student", "p_welch"), float("nan")) | found
    tests = {
        name: float(ttest_ind(*known, equal_var=equal, alternative="greater").pvalue)
        for name, equal in (("p_student", True), ("p_welch", False))
    }
    return {"difference": float(known[0].mean() - known[1].mean())} | tests | found


def lungs(masks: Mapping[str, np.ndarray]) -> np.ndarray:
    """Both lungs, as `lung`, as `lung_left` and `lung_right`, or as whatever lobe there is."""
    if "lung" in masks:
        return _part(masks, "lung")
    if "lung_left" in masks:
        return _part(masks, "lung_left") | _part(masks, "lung_right")
    return _part(masks, "lobe")


def _part(masks: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    return np.asarray(_given(masks, name)) > 0


def _given(masks: Mapping[str, Any], name: str) -> Any:
    if name not in masks:
        raise UserError(
            f"The mask {name} is needed and not given; there are {', '.join(masks) or 'none'}."
        )
    return masks[name]


def _dice(one: np.ndarray, other: np.ndarray) -> float:
    total = np.count_nonzero(one) + np.count_nonzero(other)
    return 2 * np.count_nonzero(one & other) / total if total else float("nan")
