"""A grid of pixel centres, and simple shapes drawn on it."""

from collections.abc import Callable

import numpy as np

Array = np.ndarray
Window = tuple[slice, slice]
Key = tuple[str, int]  # kind of object, running number


def clamp(values: Array) -> Array:
    """To 0..1; several times as fast as the library's clip on small arrays."""
    return np.minimum(np.maximum(values, 0), 1)


class Canvas:
    """Pixel centres of a size x size frame (every (of/size)-th of an `of` grid), and what is drawn.

    `margin` pixels are added left and right. Without colours only the objects' masks are drawn."""

    def __init__(self, size: int, of: int, coloured: bool, margin: int = 0) -> None:
        self.size, self.of, self.coloured, self.margin = size, of, coloured, margin
        self.shape = (size, size + 2 * margin)
        self.rows = np.arange(size) * (of // size)
        self.columns = np.arange(-margin, size + margin) * (of // size)
        self.y = ((2 * self.rows + 1 - of) / of).astype(np.float32)[:, None]
        self.x = ((2 * self.columns + 1 - of) / of).astype(np.float32)[None, :]
        self.edge = np.float32(2 / of)
        self.pixels = np.zeros((3, *self.shape), np.float32)
        self.objects: dict[Key, Array] = {}

    def window(self, x: float, y: float, reach: float) -> Window:
        """Rows and columns of the pixels within `reach` of a point, and some more."""
        scale, more = self.size / 2, 2 * self.of // self.size + 1
        top, left = (int((value - reach + 1) * scale) - more for value in (y, x))
        low, right = (int((value + reach + 1) * scale) + more for value in (y, x))
        left, right = left + self.margin, right + self.margin
        return (
            slice(max(0, top), max(0, min(self.shape[0], low))),
            slice(max(0, left), max(0, min(self.shape[1], right))),
        )

    def around(self, window: Window, x: float, y: float) -> tuple[Array, Array]:
        """Coordinates of the window's pixels relative to a point."""
        return self.x[:, window[1]] - np.float32(x), self.y[window[0]] - np.float32(y)

    def coverage(self, inside: Array) -> Array:
        """How much of a pixel lies in a shape, from the distance to its edge (inside: above 0)."""
        return clamp(np.float32(0.5) + inside / self.edge)

    def stamp(
        self,
        key: Key | None,
        window: Window,
        inside: Array,
        colour: Array | Callable[[], Array],
    ) -> None:
        """Draw one shape; `key` names the object whose mask it belongs to.

        A colour that is dear to work out comes as a function, called only when it is needed."""
        if key is not None:
            mask = self.objects.setdefault(key, np.zeros(self.shape, bool))
            mask[window] |= inside > 0
        if self.coloured:
            part = self.pixels[:, window[0], window[1]]
            part += self.coverage(inside) * ((colour() if callable(colour) else colour) - part)

    def shade(self, window: Window, factor: Array) -> None:
        """Darken or lighten what is there."""
        if self.coloured:
            self.pixels[:, window[0], window[1]] *= factor


def ink(colour: tuple[float, ...], light: Array | float = 1.0) -> Array:
    """(3, H, W) or (3, 1, 1) of a colour under a light."""
    return np.array(colour, np.float32)[:, None, None] * np.asarray(light, np.float32)


def capsule(
    canvas: Canvas,
    origin: tuple[float, float],
    axis: tuple[float, float],
    start: float,
    end: float,
    width: float,
) -> tuple[Array, Window, Array]:
    """Distance inside a thick line from origin + start axis to origin + end axis; where; across."""
    middle, half = (start + end) / 2, (end - start) / 2
    x, y = origin[0] + middle * axis[0], origin[1] + middle * axis[1]
    reach_x, reach_y = abs(half * axis[0]) + width, abs(half * axis[1]) + width
    rows = canvas.window(0, y, reach_y)[0]
    columns = canvas.window(x, 0, reach_x)[1]
    dx, dy = canvas.around((rows, columns), x, y)
    ax, ay = np.float32(axis[0]), np.float32(axis[1])
    beyond = np.maximum(0, np.abs(dx * ax + dy * ay) - np.float32(half))
    side = dy * ax - dx * ay
    inside = np.float32(width) - np.sqrt(beyond * beyond + side * side)
    return inside, (rows, columns), side / np.float32(width)


def draw_rectangle(
    canvas: Canvas,
    key: Key,
    left: float,
    top: float,
    wide: float,
    high: float,
    colour: tuple[int, ...],
) -> Window:
    """A filled rectangle; returns the window that it lies in."""
    x, y = left + wide / 2, top + high / 2
    window = canvas.window(x, y, max(wide, high) / 2)
    dx, dy = canvas.around(window, x, y)
    inside = np.minimum(np.float32(wide / 2) - np.abs(dx), np.float32(high / 2) - np.abs(dy))
    canvas.stamp(key, window, inside, ink(colour))
    return window
