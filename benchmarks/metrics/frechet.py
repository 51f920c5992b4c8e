"""Frechet distance between two sets of features."""

import numpy as np

from benchmarks.metrics.declaration import FEATURES, OUTPUTS, metric
from benchmarks.metrics.gram import Gram

CHUNK = 2048  # rows of a feature file held in double precision at once
TRUSTED = 1e-8  # of the summed traces: rounding of squared singular values above it is not accepted
ROUNDING = 16 * np.finfo(np.float64).eps  # of an eigenvalue, as a share of the largest


def fid_of_parts(gram: Gram, one: np.ndarray, other: np.ndarray) -> float:
    """`fid` of some rows against others; meant for fewer rows than dimensions."""
    between = gram.products[np.ix_(one, other)]
    middle = between.mean()
    own = [gram.products[np.ix_(rows, rows)] for rows in (one, other)]
    gap = own[0].mean() + own[1].mean() - 2 * middle
    freedom = (len(one) - 1, len(other) - 1)
    traces = sum(
        float(np.trace(part) - len(part) * part.mean()) / n
        for part, n in zip(own, freedom, strict=True)
    )
    centred = between - between.mean(0) - between.mean(1)[:, None] + middle
    cross = _sum_of_singular_values(centred / np.sqrt(freedom[0] * freedom[1]), traces)
    return max(0.0, float(gap) + traces - 2 * cross)


@metric(
    "fid",
    says="how far apart two sets of features are, as Gaussians",
    direction="lower",
    needs=FEATURES,
    min_samples=2,
    version=1,
    source="Heusel et al. 2017, eq. 6; covariances divided by n - 1",
    of_parts=fid_of_parts,
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


@metric(
    "official_fid",
    says="the competition scorer's own distance; compares with no `fid`",
    direction="lower",
    needs=OUTPUTS,
    min_samples=2,
    version=1,
    source="ImageCLEFmed MEDVQA-GI scorer: class outputs of images that are not interpolated",
)
def official_fid(real_outputs: np.ndarray, fake_outputs: np.ndarray) -> float:
    """The competition's distance: the same formula on the network's (n, 1000) class outputs.

    Its images were prepared by `buffer_resized`, so it says little and compares with no `fid`."""
    return float(fid(real_outputs, fake_outputs))


@metric(
    "radiomics_fd",
    says="distance of grey values and textures, without a network",
    direction="lower",
    needs=FEATURES,
    min_samples=2,
    version=1,
    source="ours: Frechet distance of `radiomics.describe`, each column in units of real spread",
)
def radiomics_fd(real: np.ndarray, fake: np.ndarray) -> float:
    """Frechet distance of (n, d) radiomics, standardised by the real set's mean and deviation.

    A column that is constant in the real set is left as a difference, in its own unit."""
    centre = mean(real)
    spread = np.asarray(real, np.float64).std(axis=0, ddof=1)
    scale = np.where(spread > 0, spread, 1.0)
    return float(fid((real - centre) / scale, (fake - centre) / scale))


def buffer_resized(image: np.ndarray, size: int) -> np.ndarray:
    """A (H, W, C) image as (size, size, C) by cutting or repeating its flat buffer.

    This is how the competition's scorer resizes: nothing is interpolated and columns shear, so
    that two sizes of one image share no layout. Of use for `official_fid` alone."""
    return np.resize(image, (size, size, image.shape[2]))


def mean(features: np.ndarray) -> np.ndarray:
    """(d,) mean of (n, d) features in double precision."""
    return np.asarray(features.mean(axis=0, dtype=np.float64))


def covariance(features: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Lower triangle of the (d, d) unbiased covariance of (n, d) features, read in chunks."""
    from scipy.linalg.blas import dsyrk

    total = np.zeros((len(centre), len(centre)), order="F")
    for start in range(0, len(features), CHUNK):
        part = features[start : start + CHUNK] - centre
        total = dsyrk(1.0, part.T, beta=1.0, c=total, lower=1, overwrite_c=1)
    total /= len(features) - 1
    return total


def _by_dimensions(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    """tr sqrt(A B) = sum of the roots of the eigenvalues of R^T B R, for any R R^T = A: symmetric,
    so no complex numbers, and no matrix root of a product that may be singular.

    Of A and B the lower triangles are read."""
    from scipy.linalg import LinAlgError, cholesky, eigh
    from scipy.linalg.lapack import dsygst

    try:
        lower = cholesky(real, lower=True, check_finite=False)
        product, _ = dsygst(fake, lower, itype=2, lower=1)  # its lower triangle too
    except LinAlgError:  # not of full rank
        values, vectors = eigh(real)
        root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
        product = root @ (fake + np.tril(fake, -1).T) @ root
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(product), 0, None)).sum()
    return float(np.trace(real) + np.trace(fake)), float(cross)


def _by_samples(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    """For n < d: tr sqrt(A B) = sum of the singular values of X Y^T, with A = X^T X, B = Y^T Y."""
    real /= np.sqrt(len(real) - 1)
    fake /= np.sqrt(len(fake) - 1)
    traces = float(np.vdot(real, real) + np.vdot(fake, fake))
    return traces, _sum_of_singular_values(real @ fake.T, traces)


def _sum_of_singular_values(between: np.ndarray, traces: float) -> float:
    """By the eigenvalues of the square, three times as fast, unless rounding would be seen."""
    from scipy.linalg import svdvals
    from scipy.linalg.blas import dsyrk

    wide = between if between.shape[0] <= between.shape[1] else between.T
    squared = np.linalg.eigvalsh(dsyrk(1.0, np.asfortranarray(wide), lower=1))
    if _rounding_of_roots(squared) <= TRUSTED * traces:
        return float(np.sqrt(np.clip(squared, 0, None)).sum())
    return float(svdvals(between).sum())


def _rounding_of_roots(eigenvalues: np.ndarray) -> float:
    """How far the summed square roots of eigenvalues may be off, for they are known to a share of
    the largest only."""
    error = ROUNDING * max(eigenvalues[-1], 0.0)
    above = np.clip(eigenvalues, 0, None)
    return float((np.sqrt(above + error) - np.sqrt(above)).sum())
