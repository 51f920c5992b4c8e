"""Exact nearest neighbours of many features, in little memory.

Products of centred features in single precision are three times as fast as in double precision and
wrong in the sixth digit. So they only choose: whatever they leave in doubt is computed again, as a
sum of squared differences in double precision. Features are read tile by tile, so that files on
disk may be memory-mapped and larger than memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

TILE = 2048  # rows and columns of a matrix of distances held at once
SPARE = 6  # neighbours kept beyond those asked for, until they are ranked exactly
DOUBTFUL = 50_000  # pairs of a tile above which the whole tile is computed in double precision
PAIRS = 2048  # computed exactly at once
SAME = 1e-12  # squared distances below this share of the squared norms are rounding: equal points


@dataclass(frozen=True)
class Points:
    """Features with what their products need: a common centre and squared norms about it."""

    features: np.ndarray  # (n, d), as they came
    centre: np.ndarray  # (d,) double precision
    norms: np.ndarray  # (n,) double precision

    def tile(self, rows: slice, dtype: type = np.float32) -> np.ndarray:
        return (self.features[rows] - self.centre).astype(dtype, copy=False)

    def tiles(self) -> Iterator[slice]:
        n = len(self.features)
        return (slice(start, min(start + TILE, n)) for start in range(0, n, TILE))


def centred(*sets: np.ndarray) -> list[Points]:
    """Sets about the mean of the first: small norms keep the digits of a distance."""
    centre = np.asarray(sets[0].mean(axis=0, dtype=np.float64))
    found = []
    for features in sets:
        norms = np.empty(len(features))
        for start in range(0, len(features), TILE):
            part = features[start : start + TILE] - centre
            norms[start : start + TILE] = np.einsum("nd,nd->n", part, part)
        found.append(Points(features, centre, norms))
    return found


def nearest(points: Points, others: Points, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, k) squared distances, growing, and row numbers of the k nearest others of each point.

    Where both are one object a point is not its own neighbour, and each product serves twice."""
    own = points is others
    kept = min(k + SPARE, len(others.features) - own)
    best = np.full((len(points.features), kept), np.inf, np.float32)
    where = np.zeros(best.shape, np.int64)
    for rows in points.tiles():
        left = points.tile(rows) * np.float32(-2)
        for columns in others.tiles():
            if own and columns.start < rows.start:
                continue
            found = _distances(points, others, rows, columns, left)
            if own and columns.start == rows.start:
                np.fill_diagonal(found, np.inf)
            _keep(best[rows], where[rows], found, columns.start)
            if own and columns.start > rows.start:
                _keep(best[columns], where[columns], np.ascontiguousarray(found.T), rows.start)
    return _ranked(points, others, best, where, k)


def within(
    points: Points,
    centres: Points,
    rows: slice,
    columns: slice,
    distances: np.ndarray,
    squared_radii: np.ndarray,
    on_sphere: bool,
) -> np.ndarray:
    """(rows, columns) whether a point lies in a ball: of its centre, the column, or of itself.

    `squared_radii` broadcast against the tile of `distances`; `on_sphere` counts equality in."""
    margin = distances - squared_radii.astype(np.float32)
    inside = margin < 0
    doubt = np.abs(margin, out=margin) <= _tolerance(points, centres, rows, columns)
    y, x = np.nonzero(doubt)
    if len(y):
        exact = _exact(points, centres, y + rows.start, x + columns.start)
        radii = np.broadcast_to(squared_radii, inside.shape)[y, x]
        inside[y, x] = exact <= radii if on_sphere else exact < radii
    return inside


def tiles_between(points: Points, centres: Points) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Rows, columns and single-precision squared distances of every tile."""
    for rows in points.tiles():
        left = points.tile(rows) * np.float32(-2)
        for columns in centres.tiles():
            yield rows, columns, _distances(points, centres, rows, columns, left)


def _distances(
    points: Points, others: Points, rows: slice, columns: slice, left: np.ndarray
) -> np.ndarray:
    """Squared distances in single precision; `left` is minus twice the points of `rows`."""
    found = left @ others.tile(columns).T
    found += others.norms[columns].astype(np.float32)
    found += points.norms[rows].astype(np.float32)[:, None]
    return found


def _tolerance(points: Points, others: Points, rows: slice, columns: slice) -> np.ndarray:
    """(rows, 1) bound of the error of `_distances`: seven deviations of a random walk of d
    roundings, each of at most half a unit in the last place of |x| |y|."""
    d = len(points.centre)
    unit = np.finfo(np.float32).eps / 2 * (4 * np.sqrt(d) + 8)
    return (unit * (points.norms[rows] + others.norms[columns].max())).astype(np.float32)[:, None]


def _keep(best: np.ndarray, where: np.ndarray, found: np.ndarray, start: int) -> None:
    """Merge a tile's distances into the smallest of each row, which stay in order."""
    kept = best.shape[1]
    if np.isinf(best[:, -1]).any():
        size = min(kept, found.shape[1])
        x = np.argpartition(found, size - 1, axis=1)[:, :size].ravel()
        y = np.repeat(np.arange(len(found)), size)
    else:
        y, x = np.nonzero(found < best[:, -1:])
    if not len(y):
        return
    rows = np.concatenate([np.repeat(np.arange(len(best)), kept), y])
    distances = np.concatenate([best.ravel(), found[y, x]])
    places = np.concatenate([where.ravel(), x + start])
    order = np.lexsort((distances, rows))
    first = np.searchsorted(rows[order], np.arange(len(best)))
    chosen = order[first[:, None] + np.arange(kept)]
    best[:], where[:] = distances[chosen], places[chosen]


def _ranked(
    points: Points, others: Points, best: np.ndarray, where: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest by exact distance; rows whose list may be too short are done over."""
    n, kept = best.shape
    rows = np.repeat(np.arange(n), kept)
    exact = _exact(points, others, rows, where.ravel(), many=n * kept).reshape(n, kept)
    order = np.argsort(exact, axis=1, kind="stable")[:, :k]
    distances = np.take_along_axis(exact, order, axis=1)
    places = np.take_along_axis(where, order, axis=1)
    if kept < len(others.features) - (points is others):
        whole = slice(0, len(others.features))
        unsure = best[:, -1] - _tolerance(points, others, slice(0, n), whole)[:, 0]
        for start in range(0, n, TILE):
            some = start + np.flatnonzero((unsure < distances[:, -1])[start : start + TILE])
            if len(some):
                distances[some], places[some] = _by_double(points, others, some, k)
    return distances, places


def _by_double(
    points: Points, others: Points, rows: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The same for a few rows, from products in double precision throughout."""
    left = points.features[rows] - points.centre
    found = np.empty((len(rows), len(others.features)))
    for columns in others.tiles():
        found[:, columns] = _by_product(
            left, others.tile(columns, np.float64), points.norms[rows], others.norms[columns]
        )
    if points is others:
        found[np.arange(len(rows)), rows] = np.inf
    places = np.argpartition(found, k - 1, axis=1)[:, :k]
    chosen = np.take_along_axis(found, places, axis=1)
    order = np.argsort(chosen, axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1), np.take_along_axis(places, order, axis=1)


def _exact(
    points: Points, others: Points, rows: np.ndarray, columns: np.ndarray, many: int = DOUBTFUL
) -> np.ndarray:
    """(p,) squared distances of pairs in double precision."""
    if len(rows) > many:  # many equal points: one product is cheaper
        first, second = np.unique(rows), np.unique(columns)
        whole = _by_product(
            points.features[first] - points.centre,
            others.features[second] - points.centre,
            points.norms[first],
            others.norms[second],
        )
        return whole[np.searchsorted(first, rows), np.searchsorted(second, columns)]
    found = np.empty(len(rows))
    for start in range(0, len(rows), PAIRS):
        part = slice(start, start + PAIRS)
        gap = points.features[rows[part]].astype(np.float64) - others.features[columns[part]]
        found[part] = np.einsum("pd,pd->p", gap, gap)
    return found


def _by_product(
    x: np.ndarray, y: np.ndarray, x_norms: np.ndarray, y_norms: np.ndarray
) -> np.ndarray:
    """(n, m) squared distances of double-precision rows; those of equal rows are exactly 0."""
    norms = x_norms[:, None] + y_norms[None]
    found = norms - 2 * (x @ y.T)
    found[found < SAME * norms] = 0
    return found
