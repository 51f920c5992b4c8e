"""The chest's shapes as functions of canonical coordinates; used to place findings and to draw.

Only + - * / and square roots decide what lies inside a shape."""

from functools import cache
from math import sqrt

import numpy as np

from datamodules.phantom.cxr_study import SIDES, Patient

Array = np.ndarray
F = np.float32

CENTRE, HALF_WIDTH = 0.40, 0.38  # of a lung hull, the same for everybody
UP, DOWN = 0.72, 0.66  # its half-heights
SHAPE = (1.5, 0.1)  # above and below the middle: 2 is an ellipse, 0 a rounded box
THORAX = 2 * (CENTRE + HALF_WIDTH)  # inner width at its widest
RIGHT_DOME_HIGHER = 0.04
HEART = (0.10, 0.36)
RIB_PERIOD, FIRST_RIB = 0.115, -0.86
CARINA = (0.0, -0.30)
HILUM = (0.17, -0.08)  # of the patient's left; mirrored for the right
KNOB_Y = -0.37  # of the aortic arch
MEDIASTINUM = 0.135  # half-width of the upper mediastinum


def lung_centre(patient: Patient, side: int) -> float:
    """y of the middle of a lung hull."""
    return round((patient.top_right if side < 0 else patient.top_left) + UP, 6)


def hull(across: Array, dy: Array) -> tuple[Array, Array]:
    """First-order distance inside a lung hull, above 0 inside, and the square of u.

    across: distance from the midline; dy: from the hull's middle, downwards."""
    u = (across - CENTRE) * (1 / HALF_WIDTH)
    v = np.maximum(dy * (1 / DOWN), dy * (-1 / UP))
    u *= u
    v *= v
    mixed = u * v
    shape = (dy < 0).astype(F)  # by arithmetic: `where` is several times as slow
    shape *= F(SHAPE[0] - SHAPE[1])
    shape += F(SHAPE[1])
    mixed *= shape
    mixed += u * u
    v *= v
    mixed += v
    np.sqrt(mixed, mixed)
    np.sqrt(mixed, mixed)
    mixed *= HALF_WIDTH
    return np.subtract(HALF_WIDTH, mixed, mixed), u


def dome_lift(patient: Patient, side: int, shift: float = 0.0) -> float:
    """Height of a dome over the costophrenic angles."""
    return round(patient.dome_height + shift + (RIGHT_DOME_HIGHER if side < 0 else 0.0), 6)


def above_dome(patient: Patient, y: Array, u: Array, lift: Array | float) -> Array:
    """How far a point lies over the diaphragm; u is the square that `hull` gives."""
    return (patient.dome_level - y) - lift * (1 - u.clip(F(0), F(1.4)))


def heart_axes(patient: Patient, ctr: float, magnification: float) -> tuple[float, float]:
    """Half-axes of the heart's ellipse, so that its horizontal extent gives the CTR."""
    cosine, sine = patient.heart_tilt
    high = patient.heart_height * (1 + 0.5 * (ctr - patient.ctr))
    wide = ctr * THORAX / 2
    across = sqrt((wide * wide - high * high * sine * sine) / (cosine * cosine))
    return round(across * magnification, 6), round(high * magnification, 6)


def knob_x(factor: float) -> float:
    """x of the aortic knob on the edge of a mediastinum this many times as wide."""
    return round(0.015 + MEDIASTINUM * factor - 0.03, 6)


def rib_y(patient: Patient, number: int, x: float) -> float:
    """y of the middle of a posterior rib, counted from 1 at the top."""
    start = FIRST_RIB + patient.rib_phase + RIB_PERIOD * (number - 1)
    return start + patient.rib_slope * abs(x) + patient.rib_curve * x * x


@cache
def _profile() -> tuple[Array, Array, Array]:
    """Over the width of a hull: 1 less the square of u, and how far it reaches up and down."""
    u = ((np.arange(64) + 0.5) / 32 - 1) ** 2
    above, below = (np.sqrt((np.sqrt(k * k * u * u + 4 - 4 * u * u) - k * u) / 2) for k in SHAPE)
    return 1 - u, UP * above, DOWN * below


def lung_area(patient: Patient, side: int) -> float:
    """Of a lung hull above the dome, as a share of the canonical plane."""
    rest, above, below = _profile()
    floor = patient.dome_level - dome_lift(patient, side) * rest
    high = np.minimum(floor - lung_centre(patient, side), below) + above
    return round(float(high.sum()) / len(high) * HALF_WIDTH / 2, 6)


def reference(patient: Patient, side: int) -> tuple[Array, Array]:
    """y and distance from the hull's wall, of the points of one lung on a fixed grid."""
    across, y = _grid()
    wall, u = hull(across, y - F(lung_centre(patient, side)))
    keep = (wall > 0) & (above_dome(patient, y, u, dome_lift(patient, side)) > 0)
    places = keep.reshape(-1).nonzero()[0]
    return y.reshape(-1).take(places >> 5), wall.reshape(-1).take(places)


@cache
def _grid() -> tuple[Array, Array]:
    """(1, 32) distances from the midline and (64, 1) y."""
    across = np.arange(32, dtype=F) * F(0.025) + F(0.0125)
    return across[None, :], (np.arange(64, dtype=F) * F(0.025) + F(-0.89))[:, None]


def effusion_level(patient: Patient, side: int, share: float) -> float:
    """The fluid level at which the fluid's area is this share of the lung's."""
    y, wall = reference(patient, side)
    depth = y + meniscus(wall)
    place = max(0, len(depth) - 1 - round(share * len(depth)))
    return round(float(np.partition(depth, place)[place]), 6)


def meniscus(wall: Array) -> Array:
    """How much higher fluid stands at this distance from the wall."""
    near = wall * F(1 / 0.08)
    return F(0.12) / (1 + near * near)


def pneumothorax_share(patient: Patient, side: int, line: float) -> float:
    """Share of the lung outside the visceral line at this distance from the wall."""
    y, wall = reference(patient, side)
    return round(float(np.mean(free_air(patient, side, y, wall, line) > 0)), 6)


def free_air(patient: Patient, side: int, y: Array, wall: Array, line: float) -> Array:
    """Above 0 in the air outside a collapsed lung: wide at the apex, none near the dome."""
    low = lung_centre(patient, side) + DOWN - 0.12
    slope = 1.5 * line / (DOWN + UP)
    return np.maximum(slope * low - slope * y, 0) - wall


def side_of(sign: int) -> str:
    """left or right of the patient."""
    return next(name for name, value in SIDES.items() if value == sign)
