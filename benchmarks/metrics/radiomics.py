"""Hand-made texture features of an image, for a distance that needs no network.

Grey levels, their co-occurrence and their edges, in the spirit of radiomics; fixed bins, so that
brightness counts. `radiomics_fd` compares sets of them."""

import numpy as np

from medbench.core.errors import UserError

LEVELS = 32
DISTANCES = (1, 3)
OFFSETS = ((0, 1), (1, 0), (1, 1), (1, -1))
SCALES = (1.0, 2.0, 4.0)
SMALLEST = 16

FIRST_ORDER = ("mean", "sd", "skewness", "kurtosis", "p10", "median", "p90", "entropy", "energy")
TEXTURE = ("contrast", "dissimilarity", "homogeneity", "energy", "entropy", "correlation")
NAMES = (
    *FIRST_ORDER,
    *(f"glcm{d}_{name}" for d in DISTANCES for name in TEXTURE),
    *(f"log{scale:g}_{name}" for scale in SCALES for name in ("energy", "kurtosis")),
    *("gradient_mean", "gradient_sd", "short_runs", "long_runs"),
)


def describe(image: np.ndarray) -> np.ndarray:
    """(d,) features named by NAMES of a (C, ...) image in [-1, 1]; channels are averaged.

    A volume (C, D, H, W) is described slice by slice along D, and its features averaged."""
    grey = np.asarray(image, np.float64).mean(axis=0)
    if min(grey.shape[-2:]) < SMALLEST:
        raise UserError(
            f"radiomics: an image of {grey.shape[-2]} x {grey.shape[-1]} is too small for texture; "
            f"at least {SMALLEST} x {SMALLEST} pixels are needed."
        )
    if grey.ndim == 3:
        return np.mean([describe(plane[None]) for plane in grey], axis=0)
    levels = np.clip(((grey + 1) / 2 * LEVELS).astype(int), 0, LEVELS - 1)
    parts = [_first_order(grey, levels)]
    parts += [_co_occurrence(levels, distance) for distance in DISTANCES]
    return np.concatenate([*parts, _edges(grey), _runs(levels)])


def _first_order(grey: np.ndarray, levels: np.ndarray) -> np.ndarray:
    shares = np.bincount(levels.ravel(), minlength=LEVELS) / levels.size
    low, middle, high = np.percentile(grey, [10, 50, 90])
    skewness, kurtosis = _shape(grey)
    moments = [grey.mean(), grey.std(), skewness, kurtosis, low, middle, high]
    return np.array([*moments, _entropy(shares), float((shares**2).sum())])


def _co_occurrence(levels: np.ndarray, distance: int) -> np.ndarray:
    """Symmetric over four directions."""
    counts = np.zeros((LEVELS, LEVELS))
    height, width = levels.shape
    for down, right in OFFSETS:
        y, x = down * distance, right * distance
        one = levels[: height - y, max(0, -x) : width - max(0, x)]
        other = levels[y:, max(0, x) : width - max(0, -x)]
        pairs = np.bincount((one * LEVELS + other).ravel(), minlength=LEVELS**2)
        counts += pairs.reshape(LEVELS, LEVELS)
    shares = (counts + counts.T) / (2 * counts.sum())
    i, j = np.indices(shares.shape)
    gap = np.abs(i - j)
    mean = float((i * shares).sum())
    variance = float((shares * (i - mean) ** 2).sum())
    covariance = float((shares * (i - mean) * (j - mean)).sum())
    values = (gap**2, gap, 1 / (1 + gap**2), shares)
    sums = [float((shares * value).sum()) for value in values]
    return np.array([*sums, _entropy(shares), covariance / variance if variance else 1.0])


def _edges(grey: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_laplace

    found = []
    for scale in SCALES:
        response = scale**2 * gaussian_laplace(grey, scale, mode="nearest")
        found += [float((response**2).mean()), _shape(response)[1]]
    slope = np.hypot(*np.gradient(grey))
    return np.array([*found, slope.mean(), slope.std()])


def _runs(levels: np.ndarray) -> np.ndarray:
    """Emphasis of short and of long runs of one grey level along rows."""
    changes = np.ones(levels.shape, bool)
    changes[:, 1:] = levels[:, 1:] != levels[:, :-1]
    starts = np.flatnonzero(changes)
    lengths = np.diff(np.append(starts, levels.size))
    return np.array([(1 / lengths**2).mean(), np.log((lengths.astype(float) ** 2).mean())])


def _shape(values: np.ndarray) -> tuple[float, float]:
    """Skewness and kurtosis; 0 for a constant."""
    gap = values - values.mean()
    spread = gap.std()
    if spread < 1e-12:
        return 0.0, 0.0
    unit = gap / spread
    return float((unit**3).mean()), float((unit**4).mean())


def _entropy(shares: np.ndarray) -> float:
    known = shares[shares > 0]
    return float(-(known * np.log2(known)).sum())
