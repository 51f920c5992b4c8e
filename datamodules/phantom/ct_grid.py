"""Voxel centres of a chest CT in mm, and simple solids on them.

World axes: x to the patient's left, y to the front, z to the head; arrays are (D, H, W), LAS."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from datamodules.phantom.streams import GRAIN, grain_table, scramble

Array = np.ndarray
Point = tuple[float, float, float]  # x, y, z in mm
Window = tuple[slice, slice, slice]

EXTENT = (292.0, 316.0, 316.0)  # mm of the field of view, z, y, x
CELLS = 32  # period of the noise lattice
SLAB = 1 << 19  # voxels that are drawn at once: what stays in the processor's cache
FAR = np.float32(-1e6)  # the distance inside a solid that is not there


@dataclass(frozen=True)
class Grid:
    """Centres of every (of/size)-th voxel of an `of`-grid, or of some planes of it."""

    x: Array  # (1, 1, W) float32, mm
    y: Array  # (1, H, 1)
    z: Array  # (D, 1, 1)
    places: tuple[Array, Array, Array]  # indices on the `of` grid, z, y, x
    edge: np.float32  # mm: the voxel of the `of` grid

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.z.size, self.y.size, self.x.size

    def slabs(self) -> Iterator[tuple[slice, "Grid"]]:
        """The grid in slabs of planes, for little memory."""
        planes = max(1, SLAB // (self.y.size * self.x.size))
        for first in range(0, self.z.size, planes):
            part = slice(first, min(first + planes, self.z.size))
            places = (self.places[0][part], *self.places[1:])
            yield part, Grid(self.x, self.y, self.z[part], places, self.edge)

    def window(self, low: Point, high: Point) -> Window | None:
        """Slices of the voxels between two corners in mm; none when there are none."""
        found = []
        for axis, a, b in ((self.z, low[2], high[2]), (self.y, low[1], high[1])):
            found.append(_between(axis, a, b))
        found.append(_between(self.x, low[0], high[0]))
        if any(part.start >= part.stop for part in found):
            return None
        return found[0], found[1], found[2]

    def part(self, window: Window) -> "Grid":
        z, y, x = window
        places = (self.places[0][z], self.places[1][y], self.places[2][x])
        return Grid(self.x[:, :, x], self.y[:, y], self.z[z], places, self.edge)


def _between(axis: Array, low: float, high: float) -> slice:
    """The voxels from low to high, and at most one more on each side."""
    first = float(axis.flat[0])
    step = float(axis.flat[-1] - first) / (axis.size - 1) if axis.size > 1 else 1.0
    start, stop = int((low - first) / step), int((high - first) / step) + 2
    return slice(max(0, start), max(0, min(axis.size, stop)))


def axis_grid(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], stride: int = 1
) -> Grid:
    """A grid of `shape` voxels, centred in the field of view; spacing (mm) is of the `of` grid."""
    places = tuple(np.arange(n) * stride for n in shape)
    z, y, x = (
        ((index + 0.5) * step - n * stride * step / 2).astype(np.float32)
        for index, step, n in zip(places, spacing, shape, strict=True)
    )
    return Grid(
        x[None, None, :],
        y[None, :, None],
        z[:, None, None],
        (places[0], places[1], places[2]),
        np.float32(max(spacing)),
    )


def cube(size: int, of: int) -> Grid:
    """size^3 centres: every (of/size)-th of the `of`^3 grid, phase 0."""
    spacing = (EXTENT[0] / of, EXTENT[1] / of, EXTENT[2] / of)
    return axis_grid((size, size, size), spacing, of // size)


def points(places: Array) -> Grid:
    """A grid-like view of (n, 3) points x, y, z, for functions of coordinates."""
    x, y, z = np.asarray(places, np.float64).T.astype(np.float32)
    none = np.zeros(0, np.int64)
    return Grid(x, y, z, (none, none, none), np.float32(1))


# solids ---------------------------------------------------------------------------
def clamp(values: Array) -> Array:
    return np.minimum(np.maximum(values, 0), 1)


def coverage(inside: Array, edge: np.float32) -> Array:
    """How much of a voxel lies in a solid, from the distance to its edge (inside: above 0)."""
    return clamp(inside / edge + np.float32(0.5))


def ellipsoid(grid: Grid, centre: Point, axes: Point) -> Array:
    """Distance inside, exact in sign and of first order near the edge."""
    terms = []
    for axis, middle, half in zip((grid.x, grid.y, grid.z), centre, axes, strict=True):
        scaled = (axis - np.float32(middle)) / np.float32(half)
        terms.append(scaled * scaled)
    mean = np.float32(round((axes[0] * axes[1] * axes[2]) ** (1 / 3), 3) / 2)
    return (np.float32(1) - (terms[0] + terms[1] + terms[2])) * mean


def box(grid: Grid, centre: Point, half: Point, tilt: float = 0.0) -> Array:
    """Distance inside a box, turned in the axial plane by a rational `tilt`."""
    cosine = np.float32((1 - tilt * tilt) / (1 + tilt * tilt))
    sine = np.float32(2 * tilt / (1 + tilt * tilt))
    dx, dy = grid.x - np.float32(centre[0]), grid.y - np.float32(centre[1])
    along, across = np.abs(dx * cosine + dy * sine), np.abs(dy * cosine - dx * sine)
    flat = np.minimum(np.float32(half[0]) - along, np.float32(half[1]) - across)
    return np.minimum(flat, np.float32(half[2]) - np.abs(grid.z - np.float32(centre[2])))


def capsule(grid: Grid, start: Point, end: Point, radius: float) -> Array:
    """Distance inside a round-ended segment."""
    axis = [b - a for a, b in zip(start, end, strict=True)]
    length = max(sum(part * part for part in axis), 1e-6)
    dx: Array = grid.x - np.float32(start[0])
    dy: Array = grid.y - np.float32(start[1])
    dz: Array = grid.z - np.float32(start[2])
    ax, ay, az = (np.float32(part) for part in axis)
    along = clamp((dx * ax + dy * ay + dz * az) / np.float32(length))
    dx, dy, dz = dx - along * ax, dy - along * ay, dz - along * az
    return np.float32(radius) - np.sqrt(dx * dx + dy * dy + dz * dz)


def capsule_window(grid: Grid, start: Point, end: Point, reach: float) -> Window | None:
    low = tuple(min(a, b) - reach for a, b in zip(start, end, strict=True))
    high = tuple(max(a, b) + reach for a, b in zip(start, end, strict=True))
    return grid.window((low[0], low[1], low[2]), (high[0], high[1], high[2]))


# noise ----------------------------------------------------------------------------
@cache
def _lattice() -> Array:
    """(CELLS, CELLS, CELLS) uniform values in [0, 1), float32."""
    count = CELLS**3
    word = np.arange(count, dtype=np.uint64) + np.uint64(5 * count)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        word = (word + np.uint64(0x9E3779B97F4A7C15)) ^ (word >> np.uint64(shift))
        word = word * np.uint64(factor)
    word = (word ^ (word >> np.uint64(31))) >> np.uint64(40)
    return (word.astype(np.float32) / np.float32(1 << 24)).reshape(CELLS, CELLS, CELLS)


class Noise:
    """Smooth noise in [0, 1) with cells of some mm; along y and x worked out once for a volume."""

    def __init__(self, grid: Grid, cell: float, shift: Point) -> None:
        self.cell, self.shift = np.float32(cell), np.float32(shift[2])
        column, right = self._cells(grid.x.reshape(-1), np.float32(shift[0]))
        row, up = self._cells(grid.y.reshape(-1), np.float32(shift[1]))
        plane = _mixed(_lattice(), column, right, 2)
        self._plane = _mixed(plane, row, up[:, None], 1)

    def __call__(self, z: Array) -> Array:
        """(D, H, W) float32 for the planes of a slab, z (D, 1, 1)."""
        plane, above = self._cells(z.reshape(-1), self.shift)
        return _mixed(self._plane, plane, above[:, None, None], 0)

    def _cells(self, coordinates: Array, shift: np.float32) -> tuple[Array, Array]:
        scaled = (coordinates + shift) / self.cell
        index = np.floor(scaled)
        inside = scaled - index
        return index.astype(np.int64) % CELLS, inside * inside * (3 - 2 * inside)


def _mixed(table: Array, index: Array, share: Array, axis: int) -> Array:
    near = np.take(table, index, axis)
    far = np.take(table, (index + 1) % CELLS, axis)
    return near + share * (far - near)


def grain(grid: Grid, word: int) -> Array:
    """(D, H, W) bell-shaped values of deviation 1, bounded by 3.47: a shifted table each plane."""
    table, z, y, x = grain_table(), *grid.places
    found = np.empty((z.size, y.size, x.size), np.float32)
    for plane, place in enumerate(z):
        mixed = scramble(word ^ (int(place) * 0x9E3779B97F4A7C15 & (1 << 64) - 1))
        rows, columns = (y + (mixed & 0xFF)) % GRAIN, (x + (mixed >> 8 & 0xFF)) % GRAIN
        np.take(table[rows], columns, axis=1, out=found[plane])
    return found
