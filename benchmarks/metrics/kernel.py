"""Kernel distance (KID): the unbiased squared MMD with a cubic polynomial kernel."""

import numpy as np

from benchmarks.metrics.declaration import FEATURES, metric, too_large
from medbench.core.errors import UserError

WHOLE = 4000  # up to this many rows one kernel matrix serves every subset


@metric(
    "kid",
    direction="lower",
    needs=FEATURES,
    min_samples=2,
    version=1,
    source="Binkowski et al. 2018, eq. 4; kernel (x y / d + 1)^3",
    sizes=("subset_size",),
    draws=True,
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
