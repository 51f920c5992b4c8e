"""The pixel centres of a radiograph in canonical coordinates, and simple shapes on them."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

from datamodules.phantom.cxr_study import Posture

Array = np.ndarray
Window = tuple[slice, slice]
F = np.float32
ZERO, ONE, MUCH = np.zeros((), F), np.ones((), F), np.full((), np.inf, F)
HALF = np.full((), 0.5, F)


def clamp(values: Array) -> Array:
    """To 0..1, float32."""
    return values.clip(ZERO, ONE)


def at_least_0(values: Array) -> Array:
    """Negative values become 0, float32; the library's maximum with a number is much slower."""
    return values.clip(ZERO, MUCH)


class Plane:
    """Canonical x and y, (size, size) float32, of every (of/size)-th pixel of an `of` grid."""

    def __init__(self, posture: Posture, size: int, of: int) -> None:
        self.size, self.of = size, of
        self.edge = 2 / of  # canonical size of a pixel, near enough
        self.places, p = _centres(size, of)
        c, s, sx, sy = posture.cosine, posture.sine, posture.sx, posture.sy
        x0, y0 = -(c * posture.tx + s * posture.ty) / sx, (s * posture.tx - c * posture.ty) / sy
        self.x = (p * (c / sx) + x0)[None, :] + (p * (s / sx))[:, None]
        self.y = (p * (-s / sy) + y0)[None, :] + (p * (c / sy))[:, None]
        self.across = np.abs(self.x)  # distance from the midline
        self.value = np.full((size, size), 0.55, F)
        self.masks: dict[str, Array] = {}
        self._scale, self._more = size / 2, 2 * of // size + 1
        self._matrix = posture.matrix

    def window(self, x: float, y: float, reach_x: float, reach_y: float) -> Window:
        """Rows and columns of the pixels within a canonical box, and some more."""
        (a, b, e), (c, d, f) = self._matrix
        scale, more = self._scale, self._more
        across = scale * (abs(a) * reach_x + abs(b) * reach_y)
        down = scale * (abs(c) * reach_x + abs(d) * reach_y)
        column, row = scale * (a * x + b * y + e + 1), scale * (c * x + d * y + f + 1)
        return (
            slice(max(0, int(row - down) - more), max(0, int(row + down) + more)),
            slice(max(0, int(column - across) - more), max(0, int(column + across) + more)),
        )

    def soft(self, inside: Array, width: float = 0.0) -> Array:
        """Coverage from the distance inside a shape; `width` of its edge, at least a pixel."""
        level = inside * (1 / max(width, self.edge))
        level += HALF
        return level.clip(ZERO, ONE, level)

    def mark(self, name: str, window: Window, inside: Array) -> None:
        """Add to a mask what lies inside."""
        self._mask(name)[window] |= inside > 0

    def _mask(self, name: str) -> Array:
        if name not in self.masks:
            self.masks[name] = np.zeros((self.size, self.size), bool)
        return self.masks[name]

    def ellipse(
        self, x: float, y: float, a: float, b: float, axis: tuple[float, float], reach: float = 1.0
    ) -> tuple[Window, Array]:
        """Radius of an ellipse (1 on its border) in a window `reach` times as large."""
        long = reach * max(a, b)
        window = self.window(x, y, long, long)
        dx, dy = self.x[window] - x, self.y[window] - y
        u = dx * (axis[0] / a) + dy * (axis[1] / a)
        v = dy * (axis[0] / b) - dx * (axis[1] / b)
        u *= u
        v *= v
        u += v
        return window, np.sqrt(u)

    def segment(
        self,
        one: tuple[float, float],
        other: tuple[float, float],
        width: float,
        both: bool = False,
    ) -> tuple[Window, Array]:
        """Distance inside a line of this half-width between two points, near it.

        both: the line and its mirror image, in one window."""
        x, y = (one[0] + other[0]) / 2, (one[1] + other[1]) / 2
        dx, dy = other[0] - one[0], other[1] - one[1]
        reach = abs(dx) / 2 + width
        window = self.window(0 if both else x, y, reach + both * x, abs(dy) / 2 + width)
        px = (self.across if both else self.x)[window] - one[0]
        py = self.y[window] - one[1]
        square = dx * dx + dy * dy
        along = clamp(px * (dx / square) + py * (dy / square))
        px -= along * dx
        py -= along * dy
        px *= px
        py *= py
        px += py
        return window, width - np.sqrt(px)

    def stroke(
        self, name: str, points: Sequence[tuple[float, float]], width: float, contrast: float
    ) -> None:
        """A polyline of this half-width, evenly bright; marked in the mask `name`."""
        level = np.zeros((self.size, self.size), F)
        if self.size <= 96:  # all pieces at once: fewer and larger steps
            near, inside = self._polyline(points, width)
            if near.size:
                np.maximum.at(level.reshape(-1), near, self.soft(inside))
                self._mask(name).reshape(-1)[near[inside > 0]] = True
        else:
            for one, other in pairwise(points):
                window, inside = self.segment(one, other, width)
                if inside.size:
                    np.maximum(level[window], self.soft(inside), out=level[window])
                    self.mark(name, window, inside)
        self.value += contrast * level

    def _polyline(self, points: Sequence[tuple[float, float]], width: float) -> tuple[Array, Array]:
        """The pixels near each piece of a polyline, by number, and their distance inside it."""
        numbers, reach = _numbers(self.size), width + self.edge
        near = []
        for (x, y), (right, low) in pairwise(points):
            half = abs(right - x) / 2 + reach, abs(low - y) / 2 + reach
            near.append(numbers[self.window((x + right) / 2, (y + low) / 2, *half)].reshape(-1))
        ends = np.array(points)
        starts, steps = ends[:-1], ends[1:] - ends[:-1]
        shares = steps / (steps * steps).sum(1, keepdims=True)
        pieces = np.concatenate((starts, steps, shares), axis=1).T.astype(F)
        x, y, dx, dy, along_x, along_y = pieces.repeat([len(part) for part in near], axis=1)
        every = np.concatenate(near)
        px, py = self.x.reshape(-1).take(every) - x, self.y.reshape(-1).take(every) - y
        along_x *= px
        along_y *= py
        along_x += along_y
        along = clamp(along_x)
        px -= along * dx
        py -= along * dy
        px *= px
        py *= py
        px += py
        return every, width - np.sqrt(px)


@lru_cache(maxsize=8)
def _centres(size: int, of: int) -> tuple[Array, Array]:
    """Of the pixels of a row: their numbers in the `of` grid and their places in -1..1."""
    places = np.arange(size) * (of // size)
    return places, ((2 * places + 1 - of) / of).astype(F)


@lru_cache(maxsize=8)
def _numbers(size: int) -> Array:
    """(size, size) running numbers of the pixels."""
    return np.arange(size * size).reshape(size, size)


def bump(square: Array) -> Array:
    """1 at 0, falling smoothly to 0 at 1: (1 - square)^2."""
    rest = clamp(1 - square)
    rest *= rest
    return rest


@lru_cache(maxsize=2)
def texture_table() -> Array:
    """(1024, 1024) two octaves of smooth noise, about -0.05 to 0.05, periodic."""
    from datamodules.phantom.streams import lattice_noise

    places = np.arange(1024) / 16
    one = lattice_noise(places, places) - F(0.5)
    other = lattice_noise(2 * places + 17, 2 * places + 5) - F(0.5)
    return np.ascontiguousarray(F(0.06) * one + F(0.04) * other)


def lookup(table: Array, row: Array, column: Array) -> Array:
    """Values of a periodic table with 2^k rows and columns at float places."""
    last = table.shape[0] - 1
    i, j = row.astype(np.int32), column.astype(np.int32)
    i &= last
    j &= last
    i *= table.shape[1]
    i += j
    return table.ravel().take(i)
