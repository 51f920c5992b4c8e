"""Frechet distance between two sets of features."""

import numpy as np

from benchmarks.metrics.declaration import FEATURES, metric

CHUNK = 4096  # rows of a memory-mapped feature file held in double precision at once


@metric(
    "fid",
    direction="lower",
    needs=FEATURES,
    min_samples=2,
    version=1,
    source="Heusel et al. 2017, eq. 6; covariances divided by n - 1",
)
def fid(real: np.ndarray, fake: np.ndarray) -> float:
    """Frechet distance between Gaussians fitted to (n, d) features, in double precision.

    With n <= d the covariance has no full rank; the distance is defined all the same (nothing is
    added to the diagonal) and biased upwards. A negative result is rounding and becomes 0."""
    real_mean, fake_mean = mean(real), mean(fake)
    gap = float(((real_mean - fake_mean) ** 2).sum())
    if max(len(real), len(fake)) < real.shape[1]:
        traces, cross = _by_samples(real - real_mean, fake - fake_mean)
    else:
        traces, cross = _by_dimensions(covariance(real, real_mean), covariance(fake, fake_mean))
    return max(0.0, gap + traces - 2 * cross)


def mean(features: np.ndarray) -> np.ndarray:
    """(d,) mean of (n, d) features in double precision."""
    return np.asarray(features.mean(axis=0, dtype=np.float64))


def covariance(features: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(d, d) unbiased covariance of (n, d) features, read in chunks."""
    total = np.zeros((len(centre), len(centre)))
    for start in range(0, len(features), CHUNK):
        part = features[start : start + CHUNK] - centre
        total += part.T @ part
    return total / (len(features) - 1)


def _by_dimensions(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    """tr sqrt(A B) = sum of the roots of the eigenvalues of sqrt(A) B sqrt(A), which is symmetric:
    no complex numbers, and no matrix root of a product that may be singular."""
    from scipy.linalg import eigh, eigvalsh

    values, vectors = eigh(real)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    eigenvalues = eigvalsh(root @ fake @ root)
    cross = np.sqrt(np.clip(eigenvalues, 0, None)).sum()
    return float(np.trace(real) + np.trace(fake)), float(cross)


def _by_samples(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    """For n < d: tr sqrt(A B) = sum of the singular values of X Y^T, with A = X^T X, B = Y^T Y."""
    from scipy.linalg import svdvals

    x, y = real / np.sqrt(len(real) - 1), fake / np.sqrt(len(fake) - 1)
    return float((x * x).sum() + (y * y).sum()), float(svdvals(x @ y.T).sum())
