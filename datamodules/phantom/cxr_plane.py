"""The pixel centres of a radiograph in canonical coordinates, and simple shapes on them."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from datamodules.phantom.cxr_study import Posture

Array = np.ndarray
Window = tuple[slice, slice]
F = np.float32
ZERO, ONE = F(0), F(1)


def clamp(values: Array) -> Array:
    """To 0..1, float32."""
    return values.clip(ZERO, ONE)


class Plane:
    """Canonical x and y, (size, size) float32, of every (of/size)-th pixel of an `of` grid."""

    def __init__(self, posture: Posture, size: int, of: int) -> None:
        self.size, self.of, self.posture = size, of, posture
        self.edge = 2 / of  # canonical size of a pixel, near enough
        self.places = np.arange(size) * (of // size)
        p = ((2 * self.places + 1 - of) / of).astype(F)
        c, s, sx, sy = posture.cosine, posture.sine, posture.sx, posture.sy
        x0, y0 = -(c * posture.tx + s * posture.ty) / sx, (s * posture.tx - c * posture.ty) / sy
        self.x = (p * (c / sx) + x0)[None, :] + (p * (s / sx))[:, None]
        self.y = (p * (-s / sy) + y0)[None, :] + (p * (c / sy))[:, None]
        self.across = np.abs(self.x)  # distance from the midline
        self.value = np.full((size, size), 0.55, F)
        self.masks: dict[str, Array] = {}

    def window(self, x: float, y: float, reach_x: float, reach_y: float) -> Window:
        """Rows and columns of the pixels within a canonical box, and some more."""
        (a, b, e), (c, d, f) = self.posture.matrix
        scale, more = self.size / 2, 2 * self.of // self.size + 1
        across = scale * (abs(a) * reach_x + abs(b) * reach_y)
        down = scale * (abs(c) * reach_x + abs(d) * reach_y)
        middle = scale * (a * x + b * y + e + 1), scale * (c * x + d * y + f + 1)
        return (
            slice(max(0, int(middle[1] - down) - more), max(0, int(middle[1] + down) + more)),
            slice(max(0, int(middle[0] - across) - more), max(0, int(middle[0] + across) + more)),
        )

    def soft(self, inside: Array, width: float = 0.0) -> Array:
        """Coverage from the distance inside a shape; `width` of its edge, at least a pixel."""
        level = inside * (1 / max(width, self.edge))
        level += F(0.5)
        return level.clip(ZERO, ONE, level)

    def mark(self, name: str, window: Window, inside: Array) -> None:
        """Add to a mask what lies inside."""
        if name not in self.masks:
            self.masks[name] = np.zeros((self.size, self.size), bool)
        self.masks[name][window] |= inside > 0

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
        if self.size <= 96:  # all pieces in one window: fewer and larger steps
            window, inside = self._polyline(points, width)
            if inside.size:
                self.mark(name, window, inside)
                self.value[window] += contrast * self.soft(inside)
            return
        level = np.zeros((self.size, self.size), F)
        for first in range(0, len(points) - 1, 2):
            window, inside = self._polyline(points[first : first + 3], width)
            if inside.size:
                self.mark(name, window, inside)
                np.maximum(level[window], self.soft(inside), out=level[window])
        self.value += contrast * level

    def _polyline(
        self, points: Sequence[tuple[float, float]], width: float
    ) -> tuple[Window, Array]:
        """Distance inside the nearest piece of a polyline, near it."""
        ends = np.array(points)
        low, high = ends.min(0), ends.max(0)
        (x, y), half = (low + high) / 2, (high - low) / 2 + width + self.edge
        window = self.window(float(x), float(y), float(half[0]), float(half[1]))
        starts, steps = ends[:-1, :, None, None], np.diff(ends, axis=0)[:, :, None, None]
        shares = (steps / (steps * steps).sum(1, keepdims=True)).astype(F)
        starts, steps = starts.astype(F), steps.astype(F)
        px, py = self.x[window] - starts[:, 0], self.y[window] - starts[:, 1]
        along = clamp(px * shares[:, 0] + py * shares[:, 1])
        px -= along * steps[:, 0]
        py -= along * steps[:, 1]
        px *= px
        py *= py
        px += py
        return window, width - np.sqrt(px.min(0))


def bump(square: Array) -> Array:
    """1 at 0, falling smoothly to 0 at 1: (1 - square)^2."""
    rest = np.maximum(1 - square, 0)
    return rest * rest


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
