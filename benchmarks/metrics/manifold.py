"""Precision and recall by nearest neighbours in feature space."""

import numpy as np

from benchmarks.metrics.declaration import FEATURES, metric, too_large
from medbench.core.errors import UserError

CHUNK = 1024
SAME = 1e-12  # squared distances below this share of the squared norms are rounding: equal points


@metric(
    "prc",
    direction="higher",
    needs=FEATURES,
    min_samples=4,
    version=1,
    source="Kynkaanniemi et al. 2019, eq. 1 and 2; k = 3, within or on the sphere (<=)",
    gives=("precision", "recall", "f1"),
    sizes=("k",),
)
def prc(real: np.ndarray, fake: np.ndarray, *, k: int = 3) -> dict[str, float]:
    """Shares of fakes inside the real manifold and of reals inside the generated one, and their
    harmonic mean, which is 0 when both are 0. Exact, in chunks; k leaves out the point itself."""
    for features, which in ((real, "real"), (fake, "generated")):
        if k >= len(features):
            raise UserError(too_large("prc", "k", k, len(features) - 1, f"other {which}"))
    centre = real.mean(axis=0, dtype=np.float64)  # small norms keep the distances exact
    real, fake = real - centre, fake - centre
    precision = float(inside(fake, real, radii(real, k)).mean())
    recall = float(inside(real, fake, radii(fake, k)).mean())
    both = precision + recall
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / both if both else 0.0,
    }


def radii(points: np.ndarray, k: int) -> np.ndarray:
    """(n,) squared distance of each of (n, d) points to its k-th nearest other point."""
    found = np.empty(len(points))
    for start in range(0, len(points), CHUNK):
        part = squared_distances(points[start : start + CHUNK], points)
        rows = np.arange(len(part))
        part[rows, start + rows] = np.inf
        found[start : start + CHUNK] = np.partition(part, k - 1, axis=1)[:, k - 1]
    return found


def inside(points: np.ndarray, centres: np.ndarray, squared_radii: np.ndarray) -> np.ndarray:
    """(n,) whether a point lies in the ball of at least one centre."""
    found = [
        (squared_distances(points[start : start + CHUNK], centres) <= squared_radii).any(1)
        for start in range(0, len(points), CHUNK)
    ]
    return np.concatenate(found)


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n, m) squared distances of double-precision rows; those of equal rows are exactly 0."""
    norms = (x * x).sum(1)[:, None] + (y * y).sum(1)[None]
    found = norms - 2 * (x @ y.T)
    found[found < SAME * norms] = 0
    return found
