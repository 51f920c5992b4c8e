"""From a study to an 8-bit radiograph and its masks."""

from functools import cache

import numpy as np

from datamodules.phantom.cxr_lateral import paint_lateral
from datamodules.phantom.cxr_marks import free_air, paint_devices, paint_findings
from datamodules.phantom.cxr_plane import F, Plane, clamp
from datamodules.phantom.cxr_raster import (
    compress,
    cut_body,
    find_chest,
    paint_anatomy,
    paint_texture,
    paint_vessels,
)
from datamodules.phantom.cxr_study import Study
from datamodules.phantom.streams import GRAIN, grain_table

Array = np.ndarray


def render(
    study: Study, size: int, of: int = 0, equalise: bool = False
) -> tuple[Array, dict[str, Array]]:
    """(size, size) uint8 pixels and bool masks of the same shape: anatomy and present findings.

    Every (of/size)-th pixel of an `of` x `of` picture. equalise: rank equalisation, of what is
    drawn."""
    plane = Plane(study.posture, size, of or size)
    if study.projection in ("LATERAL", "LL"):
        paint_lateral(study, plane)
        compress(plane)
    else:
        chest = find_chest(study, plane)
        paint_anatomy(study, plane, chest)
        paint_vessels(study, plane, chest, free_air(study, plane, chest))
        paint_texture(study, plane)
        paint_findings(study, plane, chest)
        cut_body(study, plane)
        compress(plane)
        paint_devices(study, plane)
    pixels = develop(study, plane)
    return (equalised(pixels) if equalise else pixels), plane.masks


def develop(study: Study, plane: Plane) -> Array:
    """Tone curve, sensor noise and collimation, to 8 bits."""
    taken = study.acquisition
    value = clamp(plane.value)
    value += F(taken.tone) * value * (1 - value)
    value += F(taken.noise) * sensor_noise(taken.grain, plane)
    if taken.collimated:
        value *= (np.abs(plane.x) < 1) & (np.abs(plane.y) < 1)
    return np.rint(clamp(value) * 255).astype(np.uint8)


@cache
def _tiled_grain() -> Array:
    return np.tile(grain_table(), (2, 2))


def sensor_noise(offsets: tuple[int, int], plane: Plane) -> Array:
    """A function of the pixel's place in the `of` grid; deviation 1."""
    if plane.of <= GRAIN:  # a view of the tiled table is several times as fast as an index
        down, right = (slice(o, o + plane.of, plane.of // plane.size) for o in offsets)
        return _tiled_grain()[down, right]
    rows, columns = ((plane.places + offset) % GRAIN for offset in offsets)
    return np.asarray(grain_table()[rows[:, None], columns])


def equalised(pixels: Array) -> Array:
    """Rank equalisation: grey values become shares of the pixels that are at most as bright."""
    counts = np.bincount(pixels.ravel(), minlength=256)
    ranks = np.cumsum(counts)
    first = counts[pixels.min()]
    scale = 255 / max(1, pixels.size - first)
    table = np.rint(np.maximum(ranks - first, 0) * scale).astype(np.uint8)
    return table[pixels]
