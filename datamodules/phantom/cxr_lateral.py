"""The lateral view: spine at the back (image right), sternum in front, heart, two domes."""

import numpy as np

from datamodules.phantom import cxr_anatomy as anatomy
from datamodules.phantom.cxr_plane import F, Plane, bump, clamp
from datamodules.phantom.cxr_raster import paint_texture
from datamodules.phantom.cxr_study import SIDES, Study

Array = np.ndarray

BACK, FRONT = 0.46, -0.52  # x of the vertebral bodies and of the sternum


def paint_lateral(study: Study, plane: Plane) -> None:
    """Anatomy, and of the findings only fluid behind the domes."""
    patient, x, y, value = study.patient, plane.x, plane.y, plane.value
    top = (patient.top_left + patient.top_right) / 2
    u, v = (x + 0.02) * (1 / 0.60), (y - (top + 0.74)) * (1 / 0.78)
    u, v = u * u, v * v
    wall = (1 - np.sqrt(np.sqrt(u * u + v * v + F(0.6) * u * v))) * 0.6
    domes = [_dome(study, plane, side) for side in (-1, 1)]
    lung = np.minimum(wall, domes[0])
    air = plane.soft(lung, 0.015)
    value -= F(0.40) * air
    value -= F(0.10) * bump(((x + 0.28) / 0.3) ** 2 + ((y + 0.35) / 0.4) ** 2) * air
    value += F(0.07) * plane.soft(-domes[1], 0.02) * plane.soft(wall, 0.02)
    heart = _paint_heart(study, plane)
    spine = _paint_bones(study, plane)
    window, inside = plane.segment((0.10, -1.3), (0.16, -0.30), 0.05)
    value[window] -= F(0.10) * plane.soft(inside, 0.04)
    hilar = ((x - 0.12) ** 2 + (y + 0.16) ** 2) * (1 / 0.2**2)
    value += F(0.14) * bump(hilar) * air
    _paint_fluid(study, plane, lung)
    paint_texture(study, plane)
    side = np.minimum(F(0.80 + 0.05 * patient.habitus) - np.abs(x - 0.05), y + 1.6)
    value *= plane.soft(side, 0.04)
    plane.masks |= {"heart": heart & (lung > -0.06), "spine": spine}
    plane.mark("trachea", window, inside)
    plane.masks["facies diaphragmatica"] = (np.abs(domes[0]) < 0.015) & (wall > -0.03)


def _dome(study: Study, plane: Plane, side: int) -> Array:
    """How far a point lies over the dome of a side: it falls steeply to the back."""
    patient = study.patient
    u = (plane.x + 0.16) * (1 / 0.5)
    lift = anatomy.dome_lift(patient, side) + 0.10
    return F(patient.dome_level + 0.08) - lift * (1 - np.minimum(u * u, 1.6)) - plane.y


def _paint_heart(study: Study, plane: Plane) -> Array:
    a, b = anatomy.heart_axes(study.patient, study.ctr, 1.0)
    dx, dy = plane.x + 0.22, plane.y - 0.28
    u, v = (dx + F(0.35) * dy) * (1 / (0.75 * a)), (dy - F(0.35) * dx) * (1 / (0.95 * b))
    inside = (1 - np.sqrt(u * u + v * v)) * a * 0.75
    plane.value += F(0.22) * plane.soft(inside, 0.04)
    return inside > 0


def _paint_bones(study: Study, plane: Plane) -> Array:
    patient, x, y = study.patient, plane.x, plane.y
    inside = F(0.085) - np.abs(x - (BACK + patient.spine_curve) - F(0.10) * (1 - y * y))
    place = y * (1 / 0.13) + patient.rib_phase * 8
    body = clamp((F(0.42) - np.abs(place - np.floor(place) - F(0.5))) * 5 + F(0.5))
    level = plane.soft(inside, 0.02) * (F(0.4) + F(0.6) * body)
    front = F(0.025) - np.abs(x - FRONT + F(0.06) * y)
    level += F(0.8) * plane.soft(np.minimum(front, 0.45 - np.abs(y + 0.1)), 0.015)
    slanted = (y - F(0.55) * x - patient.rib_phase) * (1 / 0.125)
    rib = F(0.024) - np.abs(slanted - np.floor(slanted) - F(0.5)) * F(0.125)
    level += F(0.35) * plane.soft(rib, 0.02) * clamp((x + 0.4) * 4)
    plane.value += F(0.12 * patient.bone) * level
    return np.asarray(inside > 0)


def _paint_fluid(study: Study, plane: Plane, lung: Array) -> None:
    """Fluid lies behind the domes, higher at the back."""
    found = study.findings.get("Pleural Effusion")
    if not found:
        return
    names = SIDES if found.side == "bilateral" else (found.side,)
    level = min(found.numbers[f"level_{name}"] for name in names)
    inside = plane.y - F(level) + F(0.45) * (plane.x - F(0.30))
    plane.value += F(0.26) * plane.soft(inside, 0.03) * plane.soft(lung, 0.015)
    plane.mark("Pleural Effusion", (slice(None), slice(None)), np.minimum(inside, lung))
