"""The chest's shapes as functions of canonical coordinates; used to place findings and to draw.

Only + - * / and square roots decide what lies inside a shape."""

from functools import lru_cache
from math import sqrt

import numpy as np

from datamodules.phantom.cxr_study import SIDES, Patient

Array = np.ndarray
F = np.float32

CENTRE, HALF_WIDTH = 0.40, 0.38  # of a lung hull, the same for everybody
UP, DOWN = 0.72, 0.66  # its half-heights
THORAX = 2 * (CENTRE + HALF_WIDTH)  # inner width at its widest
RIGHT_DOME_HIGHER = 0.04
HEART = (0.10, 0.36)
RIB_PERIOD, FIRST_RIB = 0.115, -0.86
CARINA = (0.0, -0.30)
HILUM = (0.17, -0.08)  # of the patient's left; mirrored for the right
KNOB = (0.10, -0.37)


def lung_centre(patient: Patient, side: int) -> float:
    """y of the middle of a lung hull."""
    return round((patient.top_right if side < 0 else patient.top_left) + UP, 6)


def hull(patient: Patient, side: int, x: Array, y: Array) -> tuple[Array, Array]:
    """First-order distance inside a lung hull, and inside its outer wall alone; above 0 inside."""
    u = (x * F(side) - F(CENTRE)) / F(HALF_WIDTH)
    dy = y - F(lung_centre(patient, side))
    v = np.maximum(dy / F(DOWN), dy / F(-UP))
    u, v = u * u, v * v
    mixed = np.where(dy < 0, F(1.5), F(0.1)) * u * v
    inside = F(HALF_WIDTH) * (1 - np.sqrt(np.sqrt(u * u + v * v + mixed)))
    return inside, u


def dome(patient: Patient, side: int, x: Array, shift: float = 0.0) -> Array:
    """y of the diaphragm over x; a shift lifts it."""
    u = (x * F(side) - F(CENTRE)) / F(HALF_WIDTH)
    high = patient.dome_height + shift + (RIGHT_DOME_HIGHER if side < 0 else 0.0)
    return F(patient.dome_level) - F(high) * (1 - np.minimum(u * u, F(1.4)))


def heart_axes(patient: Patient, ctr: float, magnification: float) -> tuple[float, float]:
    """Half-axes of the heart's ellipse, so that its horizontal extent gives the CTR."""
    cosine, sine = patient.heart_tilt
    high = patient.heart_height * (1 + 0.5 * (ctr - patient.ctr))
    wide = ctr * THORAX / 2
    across = sqrt((wide * wide - high * high * sine * sine) / (cosine * cosine))
    return round(across * magnification, 6), round(high * magnification, 6)


def rib_y(patient: Patient, number: int, x: float) -> float:
    """y of the middle of a posterior rib, counted from 1 at the top."""
    start = FIRST_RIB + patient.rib_phase + RIB_PERIOD * (number - 1)
    return start + patient.rib_slope * abs(x) + patient.rib_curve * x * x


@lru_cache(maxsize=256)
def reference(patient: Patient, side: int) -> tuple[Array, Array, Array]:
    """x, y and distance from the hull's wall, of the points of one lung on a fixed grid."""
    x = (np.arange(40, dtype=F) * F(0.02) + F(0.01)) * F(side)
    y = np.arange(80, dtype=F) * F(0.02) + F(-0.89)
    inside, _ = hull(patient, side, x[None, :], y[:, None])
    keep = (inside > 0) & (y[:, None] < dome(patient, side, x)[None, :])
    rows, columns = np.nonzero(keep)
    return x[columns], y[rows], inside[rows, columns]


def lung_area(patient: Patient, side: int) -> float:
    """Of a lung hull above the dome, as a share of the canonical plane."""
    return round(len(reference(patient, side)[0]) * 0.02 * 0.02 / 4, 6)


def effusion_level(patient: Patient, side: int, share: float) -> float:
    """The fluid level at which the fluid's area is this share of the lung's."""
    _, y, wall = reference(patient, side)
    depth = np.sort(y + meniscus(wall))[::-1]
    return round(float(depth[min(len(depth) - 1, round(share * len(depth)))]), 6)


def meniscus(wall: Array) -> Array:
    """How much higher fluid stands at this distance from the wall."""
    near = wall * F(1 / 0.08)
    return F(0.12) / (1 + near * near)


def pneumothorax_share(patient: Patient, side: int, line: float) -> float:
    """Share of the lung outside the visceral line at this distance from the wall."""
    _, y, wall = reference(patient, side)
    return round(float(np.mean(free_air(patient, side, y, wall, line) > 0)), 6)


def free_air(patient: Patient, side: int, y: Array, wall: Array, line: float) -> Array:
    """Above 0 in the air outside a collapsed lung: wide at the apex, none near the dome."""
    low = lung_centre(patient, side) + DOWN
    high = lung_centre(patient, side) - UP
    slope = (F(low - 0.12) - y) * F(1 / (low - high))
    return F(line) * np.maximum(slope, 0) * F(1.5) - wall


def side_of(sign: int) -> str:
    """left or right of the patient."""
    return next(name for name, value in SIDES.items() if value == sign)
