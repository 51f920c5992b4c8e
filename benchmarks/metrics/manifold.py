"""Precision, recall, density and coverage by nearest neighbours in feature space."""

from collections.abc import Sequence

import numpy as np

from benchmarks.metrics.declaration import FEATURES, metric, too_large
from benchmarks.metrics.gram import Gram
from benchmarks.metrics.neighbours import centred, nearest, tiles_between, within
from medbench.core.errors import UserError

Values = dict[str, float]
PRC = ("precision", "recall", "f1")
DENSITY = ("density", "coverage")


def _of_parts(
    gram: Gram, one: np.ndarray, other: np.ndarray, k: int | None, density_k: int | None
) -> Values:
    """The values of two parts; k is lowered to what the smaller one has."""
    most = min(len(one), len(other)) - 1
    k, density_k = (size and min(size, most) for size in (k, density_k))
    between = gram.distances[np.ix_(other, one)]  # fakes by reals
    real_radii = _radii(gram.distances[np.ix_(one, one)], max(k or 0, density_k or 0))
    found: Values = {}
    if k:
        fake_radii = _radii(gram.distances[np.ix_(other, other)], k)[:, k - 1]
        precise = (between <= real_radii[:, k - 1]).any(1)
        found |= _f1(float(precise.mean()), float((between.T <= fake_radii).any(1).mean()))
    if density_k:
        inside = between < real_radii[:, density_k - 1]
        balls = np.count_nonzero(inside) / (density_k * len(other))
        found |= {"density": balls, "coverage": float(inside.any(0).mean())}
    return found


def _radii(distances: np.ndarray, k: int) -> np.ndarray:
    """(n, k) squared distances to the nearest other points, growing; writes on its argument."""
    np.fill_diagonal(distances, np.inf)
    return np.sort(np.partition(distances, k - 1, axis=1)[:, :k], axis=1)


def prc_of_parts(gram: Gram, one: np.ndarray, other: np.ndarray, *, k: int = 3) -> Values:
    return _of_parts(gram, one, other, k, None)


def density_of_parts(gram: Gram, one: np.ndarray, other: np.ndarray, *, k: int = 5) -> Values:
    return _of_parts(gram, one, other, None, k)


def manifold_of_parts(
    gram: Gram, one: np.ndarray, other: np.ndarray, *, k: int = 3, density_k: int = 5
) -> Values:
    return _of_parts(gram, one, other, k, density_k)


@metric(
    "prc",
    says="how many fakes look real; how much of the real set is reached",
    direction="higher",
    needs=FEATURES,
    min_samples=4,
    version=1,
    source="Kynkaanniemi et al. 2019, eq. 1 and 2; k = 3, within or on the sphere (<=)",
    gives=PRC,
    of_parts=prc_of_parts,
    sizes=("k",),
)
def prc(real: np.ndarray, fake: np.ndarray, *, k: int = 3) -> dict[str, float]:
    """Shares of fakes inside the real manifold and of reals inside the generated one, and their
    harmonic mean, which is 0 when both are 0. Exact, in chunks; k leaves out the point itself."""
    return _measure(real, fake, "prc", k, None)


@metric(
    "density_coverage",
    says="like prc, less swayed by outliers",
    direction="higher",
    needs=FEATURES,
    min_samples=6,
    version=1,
    source="Naeem et al. 2020, eq. 4 and 5; k = 5, strictly within the sphere (<)",
    gives=DENSITY,
    of_parts=density_of_parts,
    sizes=("k",),
)
def density_coverage(real: np.ndarray, fake: np.ndarray, *, k: int = 5) -> dict[str, float]:
    """Density: real balls that a fake lies in, over k, on average (may exceed 1). Coverage: share
    of real balls that hold a fake. A ball reaches to the k-th nearest other real point."""
    return _measure(real, fake, "density_coverage", None, k)


@metric(
    "manifold",
    says="precision, recall, density and coverage in one pass",
    direction="higher",
    needs=FEATURES,
    min_samples=6,
    version=1,
    source="prc and density_coverage of one pass over the neighbours",
    gives=(*PRC, *DENSITY),
    of_parts=manifold_of_parts,
    sizes=("k", "density_k"),
)
def manifold(
    real: np.ndarray, fake: np.ndarray, *, k: int = 3, density_k: int = 5
) -> dict[str, float]:
    """What `prc` gives at k and `density_coverage` at density_k, for the price of one of them."""
    return _measure(real, fake, "manifold", k, density_k)


def _measure(
    real: np.ndarray, fake: np.ndarray, name: str, k: int | None, density_k: int | None
) -> dict[str, float]:
    _check_sizes(name, [size for size in (k, density_k) if size], len(real), len(fake))
    reals, fakes = centred(real, fake)
    real_radii, _ = nearest(reals, reals, max(k or 0, density_k or 0))
    fake_radii = nearest(fakes, fakes, k)[0][:, k - 1] if k else np.zeros(len(fake))
    precise, recalled, covered = (np.zeros(len(x), bool) for x in (fake, real, real))
    balls = np.zeros(len(fake))
    for rows, columns, tile in tiles_between(fakes, reals):
        about = (fakes, reals, rows, columns, tile)
        if k:
            inside = within(*about, real_radii[None, columns, k - 1], on_sphere=True)
            precise[rows] |= inside.any(1)
            recalled[columns] |= within(*about, fake_radii[rows, None], on_sphere=True).any(0)
        if density_k:
            inside = within(*about, real_radii[None, columns, density_k - 1], on_sphere=False)
            balls[rows] += np.count_nonzero(inside, axis=1)
            covered[columns] |= inside.any(0)
    found = _f1(float(precise.mean()), float(recalled.mean())) if k else {}
    if density_k:
        found |= {"density": float(balls.mean() / density_k), "coverage": float(covered.mean())}
    return found


def _f1(precision: float, recall: float) -> dict[str, float]:
    both = precision + recall
    f1 = 2 * precision * recall / both if both else 0.0
    return {"precision": precision, "recall": recall, "f1": f1}


def _check_sizes(name: str, sizes: Sequence[int], n_real: int, n_fake: int) -> None:
    for n, which in ((n_real, "real"), (n_fake, "generated")):
        for k in sizes:
            if k >= n:
                raise UserError(too_large(name, "k", k, n - 1, f"other {which}"))
