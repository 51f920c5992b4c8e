"""Agreement of masks and control maps with those that the images were drawn from."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from benchmarks.metrics.declaration import CONTROLS, MASKS, SAMPLES, metric
from benchmarks.metrics.structure import similarity
from medbench.core.errors import UserError

Maps = Mapping[str, Sequence[np.ndarray]]


@metric(
    "dice",
    says="overlap of each structure's masks",
    direction="higher",
    needs=MASKS,
    min_samples=1,
    version=1,
    kind=SAMPLES,
    gives=("mean",),
    by_name=True,
    source="Dice 1945: 2 |A and B| / (|A| + |B|)",
)
def dice(real_masks: Maps, fake_masks: Maps) -> dict[str, np.ndarray]:
    """(n,) for each structure by name, and their mean in each sample.

    Both masks empty: undefined (NaN), left out of the mean. One empty: 0."""
    return _by_structure(real_masks, fake_masks, _dice)


@metric(
    "iou",
    says="overlap of each structure's masks over their union (mIoU)",
    direction="higher",
    needs=MASKS,
    min_samples=1,
    version=1,
    kind=SAMPLES,
    gives=("mean",),
    by_name=True,
    source="Jaccard index |A and B| / |A or B|; its mean over structures is the mIoU of a sample",
)
def iou(real_masks: Maps, fake_masks: Maps) -> dict[str, np.ndarray]:
    """(n,) for each structure by name, and their mean (mIoU), by the rules of `dice`."""
    return _by_structure(real_masks, fake_masks, _iou)


@metric(
    "control_consistency",
    says="how well an image repeats the map that it was drawn from",
    direction="higher",
    needs=CONTROLS,
    min_samples=1,
    version=1,
    kind=SAMPLES,
    gives=(),
    by_name=True,
    source="RadGazeGen, Table 2: SSIM of Canny, Sobel, GL and attention maps, mIoU of masks",
)
def control_consistency(controls: Maps, fake_controls: Maps) -> dict[str, np.ndarray]:
    """(n,) for each control by name: how well the image repeats the map it was drawn from.

    Maps are in [0, 1]. A name that begins with `seg` is a mask: IoU of what is >= 0.5, averaged
    over foreground and background, either left out where both are empty; others get SSIM."""
    _check_names("controls", controls, fake_controls)
    found = {}
    for name, wanted in controls.items():
        measure = _mean_iou if name.startswith("seg") else _similarity
        pairs = zip(wanted, fake_controls[name], strict=True)
        found[name] = np.array([measure(one, other) for one, other in pairs])
    return found


def mean_over_structures(by_name: Mapping[str, np.ndarray]) -> np.ndarray:
    """(n,) mean over the structures that are defined in a sample; NaN where none is."""
    values = np.stack(list(by_name.values()))
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(0)
    count = known.sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _by_structure(
    real: Maps, fake: Maps, measure: Callable[[np.ndarray, np.ndarray], float]
) -> dict[str, np.ndarray]:
    _check_names("masks", real, fake)
    found = {}
    for name, wanted in real.items():
        pairs = zip(wanted, fake[name], strict=True)
        found[name] = np.array([measure(_mask(a, name), _mask(b, name)) for a, b in pairs])
    return found | {"mean": mean_over_structures(found)}


def _mask(values: np.ndarray, name: str) -> np.ndarray:
    mask = np.asarray(values)
    if mask.dtype != bool and not np.isin(mask, (0, 1)).all():
        raise UserError(f"The mask {name} holds values other than 0 and 1; give each label a name.")
    return mask.astype(bool)


def _check_names(what: str, real: Maps, fake: Maps) -> None:
    apart = sorted(set(real) ^ set(fake))
    if apart or not real:
        raise UserError(
            f"The {what} of the generated images are {', '.join(sorted(fake)) or 'none'}, those "
            f"that they are compared with {', '.join(sorted(real)) or 'none'}; both must be alike."
        )


def _similarity(one: np.ndarray, other: np.ndarray) -> float:
    """SSIM of two (H, W) maps in [0, 1]."""
    return similarity(*(2 * np.asarray(x, np.float32)[None] - 1 for x in (one, other)))


def _mean_iou(one: np.ndarray, other: np.ndarray) -> float:
    first, second = np.asarray(one) >= 0.5, np.asarray(other) >= 0.5
    both = np.array([_iou(first, second), _iou(~first, ~second)])
    return float(both[np.isfinite(both)].mean())


def _dice(one: np.ndarray, other: np.ndarray) -> float:
    total = np.count_nonzero(one) + np.count_nonzero(other)
    return 2 * np.count_nonzero(one & other) / total if total else float("nan")


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else float("nan")
