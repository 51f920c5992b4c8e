"""From a frontal study to pixels and masks: the anatomy, then what is added to it.

Every shape is a function of canonical coordinates, so a grid only chooses where it is evaluated."""

from dataclasses import dataclass

import numpy as np

from datamodules.phantom import cxr_anatomy as anatomy
from datamodules.phantom.cxr_plane import (
    F,
    Plane,
    Window,
    at_least_0,
    bump,
    clamp,
    lookup,
    texture_table,
)
from datamodules.phantom.cxr_study import Study
from datamodules.phantom.cxr_vessels import vessel_distance

Array = np.ndarray

ANATOMY = (
    "left lung",
    "right lung",
    "heart",
    "mediastinum",
    "facies diaphragmatica",
    "spine",
    "ribs",
    "clavicles",
    "trachea",
)
RIB, CLAVICLE = 0.024, 0.030  # half-widths
FRONT_PERIOD = 0.16  # of the anterior ribs
TEXTURE_SCALE = 14 * 16  # texels of the texture in a canonical unit


@dataclass
class Chest:
    """Fields over a plane that findings are drawn from; distances are above 0 inside."""

    right: Array  # bool: the patient's right half
    half: Array  # the same as 0 and 1, float32
    wall: Array  # inside the lung hull
    above: Array  # over the diaphragm
    lung: Array  # inside hull and over the diaphragm
    air: Array  # coverage by lung, 0 to 1
    below: Array  # coverage by what lies under the diaphragm
    hilar: Array  # squared distance from the nearer hilum


def find_chest(study: Study, plane: Plane) -> Chest:
    """Hulls and diaphragm, both sides in one evaluation."""
    patient, x, y = study.patient, plane.x, plane.y
    raised = _dome_shifts(study)
    right = x < 0
    sides = [(anatomy.lung_centre(patient, s), anatomy.dome_lift(patient, s, raised[s]))
             for s in (-1, 1)]  # fmt: skip
    half = right.astype(F)
    middle, lift = (half * (one - other) + other for one, other in zip(*sides, strict=True))
    wall, u = anatomy.hull(plane.across, y - middle)
    above = anatomy.above_dome(patient, y, u, lift)
    lung = np.minimum(wall, above)
    hilar, dy = plane.across - anatomy.HILUM[0], y - anatomy.HILUM[1]
    hilar *= hilar
    dy *= dy
    hilar += dy
    below = plane.soft(-above, 0.02)
    return Chest(right, half, wall, above, lung, plane.soft(lung, 0.012), below, hilar)


def _dome_shifts(study: Study) -> dict[int, float]:
    """How far atelectasis lifts each dome."""
    found = study.findings.get("Atelectasis")
    if not found:
        return {-1: 0.0, 1: 0.0}
    shift = found.numbers["dome_shift"]
    return {-1: shift * (found.side != "left"), 1: shift * (found.side != "right")}


def paint_anatomy(study: Study, plane: Plane, chest: Chest) -> None:
    """Everything that a healthy chest shows, and its masks."""
    value = plane.value
    value -= F(0.42) * chest.air
    value += F(0.15) * chest.below
    heart = _paint_heart(study, plane, chest)
    middle = _paint_mediastinum(study, plane, chest)
    _paint_spine(study, plane)
    _paint_ribs(study, plane, chest)
    _paint_clavicles(study, plane)
    _paint_airway(plane)
    _paint_soft_tissue(study, plane)
    solid = heart | middle
    lung = (chest.lung > 0) & ~solid
    masks = plane.masks
    masks["right lung"], masks["left lung"] = lung & chest.right, lung & ~chest.right
    masks["heart"], masks["mediastinum"] = heart, middle & ~heart
    near = np.abs(chest.above) < 0.015
    masks["facies diaphragmatica"] = near & (chest.wall > -0.03) & (plane.across > 0.08)


def _whole(plane: Plane, window: Window, inside: Array) -> Array:
    """A mask over the plane that is set in a window only."""
    mask = np.zeros((plane.size, plane.size), bool)
    mask[window] = inside
    return mask


def _paint_heart(study: Study, plane: Plane, chest: Chest) -> Array:
    a, b = anatomy.heart_axes(study.patient, study.ctr, study.magnification)
    c, s = study.patient.heart_tilt
    window = plane.window(*anatomy.HEART, max(a, b) + 0.03, max(a, b) + 0.03)
    dx, dy = plane.x[window] - anatomy.HEART[0], plane.y[window] - anatomy.HEART[1]
    u, v = dx * (c / a) + dy * (s / a), dy * (c / b) - dx * (s / b)
    u *= u
    v *= v
    u += v
    inside = (1 - np.sqrt(u)) * min(a, b)
    level = plane.soft(inside, 0.025)
    air, below = chest.air[window], chest.below[window]
    plane.value[window] += (F(0.10) + F(0.25) * air - F(0.08) * below) * level
    air *= 1 - F(0.75) * level  # what lies before the heart shows less
    return _whole(plane, window, (inside > 0) & (chest.above[window] > -0.04))


def _paint_mediastinum(study: Study, plane: Plane, chest: Chest) -> Array:
    """A column that widens downwards, the aortic knob on its left."""
    found = study.findings.get("Enlarged Cardiomediastinum")
    factor = found.numbers["factor"] if found else 1.0
    wide = anatomy.MEDIASTINUM * factor
    window = plane.window(0.02, 0.0, 1.25 * wide + 0.06, 1.6)
    y = plane.y[window]
    half = wide + (0.25 * wide) * clamp((y + 0.3) * (1 / 0.7))
    inside = half - np.abs(plane.x[window] - 0.015)
    dx, dy = plane.x[window] - anatomy.knob_x(factor), y - anatomy.KNOB_Y
    np.maximum(inside, study.patient.knob - np.sqrt(dx * dx + dy * dy), out=inside)
    level = plane.soft(inside, 0.035)
    air, below = chest.air[window], chest.below[window]
    plane.value[window] += (F(0.08) + F(0.25) * air - F(0.06) * below) * level
    air *= 1 - F(0.75) * level
    return _whole(plane, window, (inside > 0) & (y < 0.62) & (y > -0.8))


def _paint_spine(study: Study, plane: Plane) -> None:
    """Vertebral bodies with darker discs between them."""
    curve = study.patient.spine_curve
    window = plane.window(0.0, 0.0, 0.2, 1.6)
    y = plane.y[window]
    inside = F(0.075) - np.abs(plane.x[window] - curve * (1 - y * y))
    place = y * (1 / 0.105) + study.patient.rib_phase * 8
    disc = np.abs(place - np.floor(place) - F(0.5))
    body = clamp((F(0.44) - disc) * (0.105 / max(0.02, plane.edge)) + F(0.5))
    level = plane.soft(inside, 0.02) * (F(0.55) + F(0.45) * body)
    plane.value[window] += F(0.09 * study.patient.bone) * level
    plane.masks["spine"] = _whole(plane, window, inside > 0)


def _paint_ribs(study: Study, plane: Plane, chest: Chest) -> None:
    """Posterior ribs as a periodic function, and fainter anterior ones that fall to the middle."""
    patient, across = study.patient, plane.across
    thorax = plane.soft(chest.wall + F(0.05), 0.02)
    thorax *= 1 - F(0.7) * chest.below
    y = plane.y - (anatomy.FIRST_RIB + patient.rib_phase)
    place = y - across * (patient.rib_slope + patient.rib_curve * across)
    place *= 1 / anatomy.RIB_PERIOD
    distance = _from_middle(place, anatomy.RIB_PERIOD)
    inside = RIB - distance
    level = plane.soft(inside, 0.014)
    distance *= 0.3 / RIB
    distance += F(0.7)
    level *= distance
    ribs = inside > 0
    for part in (chest.wall > -0.05, across > 0.08, place > 0.5):
        ribs &= part
    plane.masks["ribs"] = ribs
    lateral = F(0.80) - across
    y -= F(0.22)
    y -= lateral * (F(0.35) + F(0.6) * lateral)
    y *= 1 / FRONT_PERIOD
    front = plane.soft(F(0.026) - _from_middle(y, FRONT_PERIOD), 0.03)
    front *= F(0.4)
    front *= clamp((across - 0.3) * 6)
    level += front
    level *= thorax
    level *= F(0.075 * patient.bone)
    plane.value += level


def _from_middle(place: Array, period: float) -> Array:
    """Distance from the nearest whole number, in canonical units."""
    distance = place + F(0.5)
    np.subtract(place, np.floor(distance, distance), distance)
    distance *= period
    return np.abs(distance, distance)


def _paint_clavicles(study: Study, plane: Plane) -> None:
    window = plane.window(0, -0.68, 0.8, 0.2)
    across, y = plane.across[window], plane.y[window]
    along = across - 0.42
    middle = F(-0.66) - study.patient.clavicle_tilt * along - along * along * along * 0.9
    inside = np.minimum(CLAVICLE - np.abs(y - middle), F(0.34) - np.abs(along))
    plane.value[window] += F(0.10 * study.patient.bone) * plane.soft(inside, 0.012)
    plane.mark("clavicles", window, inside)


def _paint_airway(plane: Plane) -> None:
    """Trachea and main bronchi, darker."""
    x, y = anatomy.CARINA
    window = plane.window(x, y - 0.5, 0.1, 0.52)
    inside = np.minimum(F(0.048) - plane.across[window], y - plane.y[window])
    plane.value[window] -= F(0.12) * plane.soft(inside, 0.02)
    plane.mark("trachea", window, inside)
    window, inside = plane.segment((x, y), (0.15, y + 0.17), 0.030, both=True)
    plane.value[window] -= F(0.06) * plane.soft(inside, 0.03)


def _paint_soft_tissue(study: Study, plane: Plane) -> None:
    """Breasts, the scapulae of an AP view, and air under the left dome."""
    patient, value = study.patient, plane.value
    if patient.sex == "F":
        size = 0.30 + 0.03 * patient.habitus
        window = plane.window(0, 0.24, 0.48 + size, 0.04 + size)
        dx, dy = plane.across[window] - 0.44, plane.y[window] - 0.24
        value[window] += F(0.055) * plane.soft(size - np.sqrt(dx * dx + dy * dy), 0.06)
    if study.projection == "AP":
        window, inside = plane.segment((0.66, -0.64), (0.70, -0.05), 0.09, both=True)
        value[window] += F(0.05) * plane.soft(inside, 0.03)
    y = patient.dome_level - patient.dome_height + 0.12
    window, radius = plane.ellipse(0.40, y, 0.16, 0.07, (1.0, 0.0), 1.3)
    value[window] -= F(0.22) * plane.soft((1 - radius) * 0.07, 0.03)


def paint_vessels(study: Study, plane: Plane, chest: Chest, free: Array | None) -> None:
    """Hila and vessels; wider with edema, none in free air."""
    edema = study.findings.get("Edema")
    wider = 0.006 * (edema.numbers["vessels"] - 1) if edema else 0.0
    inside = vessel_distance(study.patient.vessels, plane.across, plane.y, chest.right)
    inside += wider
    level = plane.soft(inside, 0.011)
    fading = chest.hilar * 3.5
    fading += 1
    level *= np.divide(1, fading, fading)
    hilum = bump(chest.hilar * (1 / (0.14 * study.patient.hilum) ** 2))
    hilum *= F(0.9)
    level += hilum
    level *= chest.air
    if free is not None:
        level *= 1 - plane.soft(free)
    level *= F(0.11)
    plane.value += level


def paint_texture(study: Study, plane: Plane) -> None:
    row, column = study.patient.texture
    places = plane.y * TEXTURE_SCALE + (row * 16 + 2048), plane.x * TEXTURE_SCALE
    plane.value += lookup(texture_table(), places[0], places[1] + (column * 16 + 2048))


def compress(plane: Plane) -> None:
    """Thick parts lie on the shoulder of the film's curve."""
    plane.value -= F(0.5) * at_least_0(plane.value - F(0.62))


def cut_body(study: Study, plane: Plane) -> None:
    """Thinner to the sides, dark beside the trunk; heavier patients are wider and brighter."""
    b = study.patient.habitus
    value = plane.value
    thin = plane.across * plane.across
    value *= F(1.08) - F(0.24) * thin
    value += F(0.02 * b) + F(0.05) * plane.y
    beyond = at_least_0(plane.across - 0.26)
    shoulder = plane.y + F(0.99 + 0.02 * b) - beyond * beyond * F(0.38)
    side = F(1.0 + 0.045 * b) - plane.across
    value *= plane.soft(np.minimum(side, shoulder), 0.03)
