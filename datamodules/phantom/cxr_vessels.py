"""Trees of lung vessels, drawn once for each variant into a table that is looked up."""

from functools import cache
from math import cos, pi, sin

import numpy as np

from datamodules.phantom.cxr_anatomy import HILUM
from datamodules.phantom.streams import Stream

Array = np.ndarray
F = np.float32

VARIANTS = 16
TEXEL = 400  # of the table in a canonical unit
TOP, WIDE, HIGH = -0.85, 336, 620  # y of the first row; columns from the midline; rows
WIDTH = 0.017  # half-width of a vessel at the hilum
FAR = F(-0.2)
ROOTS = (-100, -72, -45, -18, 8, 34, 60, 84)  # degrees from lateral, upwards negative


@cache
def vessel_tables(variant: int) -> Array:
    """(2, HIGH, WIDE) float32 distance inside the nearest vessel, right lung first."""
    return np.stack([_grow(2 * variant), _grow(2 * variant + 1)])


def vessel_distance(variant: int, across: Array, y: Array, right: Array) -> Array:
    """Distance inside the nearest vessel, above 0 in one."""
    tables = vessel_tables(variant)
    column = across * TEXEL
    row = y - TOP
    row *= TEXEL
    place = row.clip(0, HIGH - 1, row).astype(np.int32)
    place *= WIDE
    place += column.clip(0, WIDE - 1, column).astype(np.int32)
    left = (~right).astype(np.int32)
    left *= HIGH * WIDE
    place += left
    return tables.reshape(-1).take(place)


def _grow(number: int) -> Array:
    """One lung's tree: eight stems that fork and thin out."""
    s = Stream(0x76657373, number)
    table = np.full((HIGH, WIDE), FAR, F)
    ends = []
    for root in ROOTS:
        angle = (root + s.uniform(-9, 9)) * pi / 180
        ends.append((HILUM[0] - 0.03, HILUM[1], angle, WIDTH * s.uniform(0.7, 1.0), 0.20))
    while ends:
        x, y, angle, width, length = ends.pop()
        for _ in range(2):  # two pieces make a bend
            piece = length * s.uniform(0.4, 0.6)
            angle += s.uniform(-0.16, 0.16)
            other = x + piece * cos(angle), y + piece * sin(angle)
            _stamp(table, (x, y), other, width, 0.9 * width)
            (x, y), width = other, 0.9 * width
        if width > 0.0028 and 0 < x < 0.82:
            for turn in (s.uniform(-0.6, -0.2), s.uniform(0.2, 0.6)):
                thin = width * s.uniform(0.58, 0.82)
                ends.append((x, y, angle + turn, thin, length * s.uniform(0.68, 0.9)))
    return table


def _stamp(
    table: Array, one: tuple[float, float], other: tuple[float, float], start: float, end: float
) -> None:
    """Raise the table to the distance inside a tapering piece."""
    reach = 0.03
    columns, rows = (
        (min(a, b) - reach - low, max(a, b) + reach - low)
        for a, b, low in zip(one, other, (0, TOP), strict=True)
    )
    window = (
        slice(max(0, int(rows[0] * TEXEL)), max(0, int(rows[1] * TEXEL))),
        slice(max(0, int(columns[0] * TEXEL)), max(0, int(columns[1] * TEXEL))),
    )
    part = table[window]
    if not part.size:
        return
    x = (np.arange(part.shape[1]) + window[1].start + 0.5) / TEXEL - one[0]
    y = ((np.arange(part.shape[0]) + window[0].start + 0.5) / TEXEL + TOP - one[1])[:, None]
    dx, dy = other[0] - one[0], other[1] - one[1]
    along = np.clip((x * dx + y * dy) / (dx * dx + dy * dy), 0, 1)
    away = np.sqrt((x - along * dx) ** 2 + (y - along * dy) ** 2)
    np.maximum(part, (start + (end - start) * along - away).astype(F), out=part)
