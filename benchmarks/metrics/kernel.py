"""Kernel distances: KID by a cubic polynomial, MMD and CMMD by Gaussian kernels."""

import numpy as np

from benchmarks.metrics.declaration import FEATURES, metric, too_large
from benchmarks.metrics.gram import Gram
from medbench.core.errors import UserError

WHOLE = 4000  # up to this many rows one kernel matrix serves every subset
CHUNK = 1024  # rows of a Gaussian kernel matrix held at once
MEDIAN_OF = 4000  # features at most whose distances set the bandwidth
CMMD_SIGMA, CMMD_SCALE = 10.0, 1000.0  # of the paper's code


def kid_of_parts(
    gram: Gram,
    one: np.ndarray,
    other: np.ndarray,
    *,
    rng: np.random.Generator,
    subset_size: int = 1000,
    subsets: int = 100,
) -> float:
    """`kid` of some rows against others."""
    size = len(gram.kernel)
    chosen = [
        _indicator(rows[_subsets(len(rows), subset_size, subsets, rng)], size)
        for rows in (one, other)
    ]
    real, fake = (mask @ gram.kernel for mask in chosen)
    diagonal = np.diagonal(gram.kernel)
    within = (real * chosen[0] + fake * chosen[1]).sum(1)
    within -= (chosen[0] + chosen[1]) @ diagonal
    between = (real * chosen[1]).sum(1)
    pairs = subset_size * (subset_size - 1)
    return float(np.mean(within / pairs - 2 * between / subset_size**2))


@metric(
    "kid",
    says="distance of two sets without assuming Gaussians",
    direction="lower",
    needs=FEATURES,
    min_samples=2,
    version=1,
    source="Binkowski et al. 2018, eq. 4; kernel (x y / d + 1)^3",
    sizes=("subset_size",),
    draws=True,
    of_parts=kid_of_parts,
)
def kid(
    real: np.ndarray,
    fake: np.ndarray,
    *,
    rng: np.random.Generator,
    subset_size: int = 1000,
    subsets: int = 100,
) -> float:
    """Mean over random subsets, of equal size in both sets, of the unbiased squared MMD.

    It may be negative. With subset_size = n every subset is the whole set."""
    for features, which in ((real, "real"), (fake, "generated")):
        if subset_size > len(features):
            raise UserError(too_large("kid", "subset_size", subset_size, len(features), which))
    real_rows = _subsets(len(real), subset_size, subsets, rng)
    fake_rows = _subsets(len(fake), subset_size, subsets, rng)
    xx = _within(real, real_rows)
    yy = _within(fake, fake_rows)
    xy = _between(real, fake, real_rows, fake_rows) / subset_size**2
    pairs = subset_size * (subset_size - 1)
    return float(np.mean(xx / pairs + yy / pairs - 2 * xy))


@metric(
    "mmd_rbf_median",
    says="distance that sees any difference between the distributions",
    direction="lower",
    needs=FEATURES,
    min_samples=2,
    version=1,
    source="Gretton et al. 2012, eq. 3 (unbiased); exp(-|x - y|^2 / median |x - y|^2)",
)
def mmd_rbf_median(real: np.ndarray, fake: np.ndarray) -> float:
    """Unbiased squared MMD with a Gaussian kernel; it may be slightly negative.

    The bandwidth is the median squared distance between different features of both sets pooled,
    of at most 4,000 taken at even steps. It changes with the sets: compare against one real set.
    Where the median is 0 (most features are equal) the value is undefined (NaN)."""
    centre = real.mean(axis=0, dtype=np.float64)
    x, y = real - centre, fake - centre
    bandwidth = _median_distance(np.concatenate([x, y]))
    if bandwidth == 0:
        return float("nan")
    n, m = len(x), len(y)
    within = (_gauss_sum(x, x, bandwidth) - n) / (n * (n - 1))
    within += (_gauss_sum(y, y, bandwidth) - m) / (m * (m - 1))
    return within - 2 * _gauss_sum(x, y, bandwidth) / (n * m)


@metric(
    "cmmd",
    says="distance of CLIP embeddings, usable at small n",
    direction="lower",
    needs=FEATURES,
    min_samples=2,
    version=1,
    source="Jayasumana et al. 2024 and its code: sigma 10, times 1000, diagonal included",
)
def cmmd(real: np.ndarray, fake: np.ndarray) -> float:
    """Squared MMD of CLIP image embeddings of length 1 with a Gaussian kernel, never below 0.

    The diagonal counts, as in the paper's code, so the value falls to 0 like 1/n only."""
    x, y = (_unit(features, which) for features, which in ((real, "real"), (fake, "generated")))
    bandwidth = 2 * CMMD_SIGMA**2
    sums = [_gauss_sum(a, b, bandwidth) / (len(a) * len(b)) for a, b in ((x, x), (y, y), (x, y))]
    return max(0.0, CMMD_SCALE * (sums[0] + sums[1] - 2 * sums[2]))


def _unit(features: np.ndarray, which: str) -> np.ndarray:
    rows = np.asarray(features, np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not lengths.all():
        raise UserError(f"cmmd: {int((lengths == 0).sum())} {which} embeddings are all zero.")
    return rows / lengths


def _squared(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    gaps = (x * x).sum(1)[:, None] + (y * y).sum(1) - 2 * (x @ y.T)
    return np.maximum(gaps, 0, out=gaps)


def _gauss_sum(x: np.ndarray, y: np.ndarray, bandwidth: float) -> float:
    """Sum of exp(-|x - y|^2 / bandwidth) over all pairs; a point with itself counts exactly 1."""
    total = 0.0
    for start in range(0, len(x), CHUNK):
        gaps = _squared(x[start : start + CHUNK], y)
        if x is y:
            rows = np.arange(len(gaps))
            gaps[rows, start + rows] = 0
        total += float(np.exp(gaps / -bandwidth).sum())
    return total


def _median_distance(points: np.ndarray) -> float:
    some = points[:: -(-len(points) // MEDIAN_OF)]
    return float(np.median(_squared(some, some)[np.triu_indices(len(some), 1)]))


def polynomial(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n, m) kernel values of (n, d) and (m, d) features."""
    product = x.astype(np.float64) @ y.astype(np.float64).T
    return (product / x.shape[1] + 1) ** 3


def _subsets(n: int, size: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, size) row numbers, each row without repetition."""
    return np.stack([rng.permutation(n)[:size] for _ in range(count)])


def _within(features: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Sum of the kernel over all ordered pairs of different samples, for each subset."""
    diagonal = ((features.astype(np.float64) ** 2).sum(1) / features.shape[1] + 1) ** 3
    return _between(features, features, rows, rows) - diagonal[rows].sum(1)


def _between(x: np.ndarray, y: np.ndarray, x_rows: np.ndarray, y_rows: np.ndarray) -> np.ndarray:
    """Sum of the kernel over all pairs, for each pair of subsets."""
    if max(len(x), len(y)) > WHOLE:
        pairs = zip(x_rows, y_rows, strict=True)
        return np.array([polynomial(x[i], y[j]).sum() for i, j in pairs])
    return ((_indicator(x_rows, len(x)) @ polynomial(x, y)) * _indicator(y_rows, len(y))).sum(1)


def _indicator(rows: np.ndarray, n: int) -> np.ndarray:
    """(count, n) ones where a subset holds a sample: sums over subsets become two products."""
    found = np.zeros((len(rows), n))
    np.put_along_axis(found, rows, 1.0, axis=1)
    return found
