"""Resizing, cropping and padding of an image and of everything that is said in its coordinates.

Pixel centres sit at i + 0.5, so that a border is a whole number and a fraction of the side."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Array = np.ndarray
Mode = Literal["stretch", "crop", "pad"]


@dataclass(frozen=True)
class Fit:
    """How a picture comes to `size` x `size` pixels.

    stretch: both sides at their own scale. crop: the short side fits, the middle is kept.
    pad: the long side fits, the picture stands in the middle of the fill value."""

    size: int
    mode: Mode = "crop"

    def place(self, height: int, width: int) -> "Place":
        """Where a picture of height x width pixels comes to lie."""
        size = self.size
        if self.mode == "stretch":
            return Place(size, (0.0, 0.0, float(width), float(height)), (0, 0, size, size))
        if self.mode == "crop":
            side = float(min(height, width))
            left, top = (width - side) / 2, (height - side) / 2
            return Place(size, (left, top, left + side, top + side), (0, 0, size, size))
        scale = size / max(height, width)
        wide, high = max(1, round(width * scale)), max(1, round(height * scale))
        left, top = (size - wide) // 2, (size - high) // 2
        whole = (0.0, 0.0, float(width), float(height))
        return Place(size, whole, (left, top, left + wide, top + high))


@dataclass(frozen=True)
class Place:
    """A box of the source (left, top, right, bottom, pixels) that fills a box of the result."""

    size: int
    source: tuple[float, float, float, float]
    target: tuple[int, int, int, int]

    @property
    def scale(self) -> tuple[float, float]:
        """Result pixels for each source pixel, in x and in y."""
        left, top, right, bottom = self.source
        x0, y0, x1, y1 = self.target
        return (x1 - x0) / (right - left), (y1 - y0) / (bottom - top)

    def image(self, image: Array, fill: float = -1.0) -> Array:
        """(C, H, W) float32, smoothed where it shrinks, as (C, size, size)."""
        from PIL import Image

        filter = Image.Resampling.BILINEAR  # of Pillow: widened when it shrinks, so no aliasing
        return self._resample(np.asarray(image, np.float32), int(filter), fill)

    def mask(self, mask: Array) -> Array:
        """(1, H, W) uint8 as (1, size, size): the value at the nearest centre, 0 outside."""
        from PIL import Image

        return self._resample(np.asarray(mask, np.uint8), int(Image.Resampling.NEAREST), 0)

    def _resample(self, planes: Array, filter: int, fill: float) -> Array:
        from PIL import Image

        x0, y0, x1, y1 = self.target
        found = np.full((len(planes), self.size, self.size), fill, planes.dtype)
        for plane, kept in zip(planes, found, strict=True):
            picture = Image.fromarray(np.ascontiguousarray(plane))
            box = picture.resize((x1 - x0, y1 - y0), Image.Resampling(filter), box=self.source)
            kept[y0:y1, x0:x1] = np.asarray(box)
        return found

    def points(self, points: Array) -> Array:
        """(N, 2) x, y in source pixels as x, y in result pixels, float32; some may lie outside."""
        scale = np.array(self.scale)
        moved = (np.asarray(points, np.float64) - self.source[:2]) * scale + self.target[:2]
        return moved.astype(np.float32)

    def boxes(self, boxes: Array) -> Array:
        """(N, 4) left, top, right, bottom in source pixels, cut to the result; NaN where nothing
        of the box is left. An ellipse is moved as its box."""
        corners = np.asarray(boxes, np.float64).reshape(-1, 2, 2)
        x0, y0, x1, y1 = self.target
        moved = self.points(corners.reshape(-1, 2)).reshape(-1, 4)
        cut = np.clip(moved, [x0, y0, x0, y0], [x1, y1, x1, y1])
        gone = (cut[:, 2] <= cut[:, 0]) | (cut[:, 3] <= cut[:, 1])
        cut[gone] = np.nan
        return cut.astype(np.float32)

    def ellipses(self, boxes: Array) -> Array:
        """(N, 4) boxes of ellipses, moved and not cut: an ellipse cut by a border stays one."""
        corners = np.asarray(boxes, np.float64).reshape(-1, 2)
        return self.points(corners).reshape(-1, 4)

    def gaze(self, gaze: Array, height: int, width: int) -> Array:
        """(F, 4) x, y in [0, 1] of the source, start, duration; in [0, 1] of the result, without
        the fixations that fall outside it."""
        gaze = np.asarray(gaze, np.float32).reshape(-1, 4)
        place = self.points(gaze[:, :2].astype(np.float64) * (width, height)) / self.size
        inside = ((place >= 0) & (place <= 1)).all(axis=1)
        return np.concatenate([place, gaze[:, 2:]], axis=1)[inside].astype(np.float32)

    def spacing(self, spacing_mm: Array) -> Array:
        """(2,) dy, dx in mm of the source pixels as those of the result, float32."""
        x, y = self.scale
        return (np.asarray(spacing_mm, np.float64) / (y, x)).astype(np.float32)
