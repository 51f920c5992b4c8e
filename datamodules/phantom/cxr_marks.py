"""Findings and devices on a frontal plane: each adds to the grey values and marks its mask."""

from collections.abc import Callable, Mapping

import numpy as np

from datamodules.phantom import cxr_anatomy as anatomy
from datamodules.phantom.cxr_plane import F, Plane, bump, clamp, lookup, texture_table
from datamodules.phantom.cxr_raster import Chest
from datamodules.phantom.cxr_study import DEVICES, MM, SIDES, Finding, Study

Array = np.ndarray
Numbers = Mapping[str, float]
Mark = Callable[[Study, Plane, Chest, Finding], None]

WHOLE = (slice(None), slice(None))


def free_air(study: Study, plane: Plane, chest: Chest) -> Array | None:
    """Above 0 in the free air of a pneumothorax; None without one."""
    found = study.findings.get("Pneumothorax")
    if not found:
        return None
    side = SIDES[found.side]
    free = anatomy.free_air(study.patient, side, plane.y, chest.wall, found.numbers["line"])
    own = np.minimum(free, chest.lung)
    return np.where(chest.right == (side < 0), own, F(-1))


def _sides(finding: Finding) -> tuple[int, ...]:
    return (-1, 1) if finding.side == "bilateral" else (SIDES[finding.side],)


def _axis(n: Numbers, i: str = "") -> tuple[float, float]:
    return n[f"ax{i}"], n[f"ay{i}"]


# opacities ---------------------------------------------------------------------------------


def _rough(plane: Plane, window: tuple[slice, slice], radius: Array, n: Numbers) -> Array:
    """Share of the radius inside an ellipse with an uneven border."""
    shift = n["noise"] * 16
    y, x = plane.y[window] * 110 + (2048 + shift), plane.x[window] * 110 + 2048
    return 1 - radius + F(9.0) * lookup(texture_table(), y, x)


def _lung_opacity(study: Study, plane: Plane, chest: Chest, finding: Finding) -> None:
    n = finding.numbers
    window, radius = plane.ellipse(n["x"], n["y"], n["a"], n["b"], _axis(n), 1.5)
    inside = _rough(plane, window, radius, n)
    level = clamp(F(0.4) + inside * F(1.1)) * clamp(3 - 2 * radius)
    plane.value[window] += n["contrast"] * level * chest.air[window]
    plane.mark("Lung Opacity", window, np.minimum(inside, chest.lung[window]))


def _consolidation(study: Study, plane: Plane, chest: Chest, finding: Finding) -> None:
    n = finding.numbers
    window, radius = plane.ellipse(n["x"], n["y"], n["a"], n["b"], _axis(n), 1.3)
    inside = _rough(plane, window, radius, n)
    level = clamp(F(0.5) + inside * F(3)) * clamp(4 - 3 * radius)
    plane.value[window] += n["contrast"] * level * chest.air[window]
    plane.mark("Consolidation", window, np.minimum(inside, chest.lung[window]))
    _bronchograms(plane, n, SIDES[finding.side])


def _bronchograms(plane: Plane, n: Numbers, side: int) -> None:
    """A dark airway from the hilum through the middle, and two branches."""
    dx, dy = n["x"] - side * anatomy.HILUM[0], n["y"] - anatomy.HILUM[1]
    norm = float(np.sqrt(dx * dx + dy * dy))
    dx, dy, long = dx / norm, dy / norm, 0.75 * min(n["a"], n["b"])
    start = (n["x"] - long * dx, n["y"] - long * dy)
    middle = (n["x"], n["y"])
    level = np.zeros_like(plane.value)
    for turn in (-0.6, 0.5):
        end = (n["x"] + long * (dx - turn * dy), n["y"] + long * (dy + turn * dx))
        for one, other in ((start, middle), (middle, end)):
            window, inside = plane.segment(one, other, n["bronchus"])
            np.maximum(level[window], plane.soft(inside, 0.01), out=level[window])
    plane.value -= F(0.6 * n["contrast"]) * level


def _pneumonia(study: Study, plane: Plane, chest: Chest, finding: Finding) -> None:
    n, k = finding.numbers, 0.7
    window, radius = plane.ellipse(n["x"], n["y"], n["a"], n["b"], _axis(n), 2.25)
    inside = _rough(plane, window, radius / k, n)
    level = F(n["contrast"]) * clamp(F(0.5) + inside * F(2)) * clamp(4 - radius * (3 / k))
    level += F(0.6 * n["contrast"]) * bump(radius * radius * F(0.2))
    plane.value[window] += level * chest.air[window]
    plane.mark("Pneumonia", window, np.minimum(1 - radius, chest.lung[window]))
    size = n["satellite_radius"]
    place = n["satellite_x"], n["satellite_y"]
    window, radius = plane.ellipse(*place, size, size, (1.0, 0.0), 1.5)
    level = clamp(F(1.5) - radius)
    plane.value[window] += F(0.9 * n["contrast"]) * level * chest.air[window]
    plane.mark("Pneumonia", window, np.minimum(1 - radius, chest.lung[window]))


def _lesion(study: Study, plane: Plane, chest: Chest, finding: Finding) -> None:
    """Round and sharp; a calcified one has a bright rim."""
    n = finding.numbers
    for i in range(int(n["count"])):
        size = n[f"diameter_mm{i}"] * MM / 2
        window, radius = plane.ellipse(n[f"x{i}"], n[f"y{i}"], size, size, (1.0, 0.0), 1.4)
        inside = (1 - radius) * size
        level = F(n["contrast"]) * plane.soft(inside, 0.01)
        if n["calcified"]:
            rim = F(0.15 * size) - np.abs(inside - F(0.15 * size))
            level += F(0.18) * plane.soft(rim)
        plane.value[window] += level
        plane.mark("Lung Lesion", window, inside)


def _atelectasis(study: Study, plane: Plane, chest: Chest, finding: Finding) -> None:
    n = finding.numbers
    level = np.zeros_like(plane.value)
    for side in _sides(finding):
        mirrored = side * SIDES.get(finding.side, 1)
        for i in range(int(n["plates"])):
            x, y, half = n[f"x{i}"] * mirrored, n[f"y{i}"], n[f"half{i}"]
            dx, dy = n[f"ax{i}"] * mirrored * half, n[f"ay{i}"] * half
            ends = (x - dx, y - dy), (x + dx, y + dy)
            window, inside = plane.segment(*ends, n[f"width{i}"] / 2 + plane.edge)
            inside -= plane.edge
            np.maximum(level[window], plane.soft(inside), out=level[window])
            plane.mark("Atelectasis", window, np.minimum(inside, chest.wall[window]))
    plane.value += F(n["contrast"]) * level * plane.soft(chest.wall, 0.02)


def _edema(study: Study, plane: Plane, chest: Chest, finding: Finding) -> None:
    """Haze around the hila, and short lines at both outer bases."""
    n = finding.numbers
    haze = chest.air / (1 + chest.hilar * 4)
    plane.value += F(n["haze"]) * haze
    plane.mark("Edema", WHOLE, np.minimum(haze - F(0.5), chest.lung))
    half = n["line_gap"] * n["lines"] / 2
    for side in (-1, 1):
        window = plane.window(side * 0.67, n["line_y"], 0.08, half)
        y, across = plane.y[window], plane.across[window]
        place = (y - n["line_y"] + half) * (1 / n["line_gap"])
        inside = F(0.2 * n["line_gap"]) - np.abs(place - np.floor(place) - F(0.5)) * n["line_gap"]
        inside = np.minimum(inside, 0.08 - np.abs(across - 0.67))
        inside = np.minimum(inside, half - np.abs(y - n["line_y"]))
        plane.value[window] += F(0.11) * plane.soft(inside) * chest.air[window]


# pleura ------------------------------------------------------------------------------------


def _effusion(study: Study, plane: Plane, chest: Chest, finding: Finding) -> None:
    n = finding.numbers
    high = plane.y + anatomy.meniscus(chest.wall)
    sides = [n[f"level_{anatomy.side_of(side)}"] if side in _sides(finding) else 9.0
             for side in (-1, 1)]  # fmt: skip
    high -= chest.half * (sides[0] - sides[1]) + sides[1]
    plane.value += F(n["contrast"]) * plane.soft(high, 0.02) * chest.air
    plane.mark("Pleural Effusion", WHOLE, np.minimum(high, chest.lung))


def _pneumothorax(study: Study, plane: Plane, chest: Chest, finding: Finding) -> None:
    """Dark free air inside a thin bright line."""
    n = finding.numbers
    free = free_air(study, plane, chest)
    assert free is not None
    side = SIDES[finding.side]
    edge = anatomy.free_air(study.patient, side, plane.y, chest.wall, n["line"])
    edge = np.where((chest.right == (side < 0)) & (chest.wall > 0.012), edge, F(-1))
    plane.value -= F(0.09) * plane.soft(free)
    line = F(n["line_width"]) - np.abs(edge + F(n["line_width"]))
    plane.value += F(0.17) * plane.soft(line) * chest.air
    plane.mark("Pneumothorax", WHOLE, free)


def _pleural(study: Study, plane: Plane, chest: Chest, finding: Finding) -> None:
    """A band along the outer wall; a plaque is brighter and mottled."""
    n = finding.numbers
    (side,) = _sides(finding)
    window = plane.window(side * 0.68, n["y"], 0.14, n["half"] + 0.05)
    wall, y = chest.wall[window], plane.y[window] - n["y"]
    thick = n["thickness_mm"] * MM
    taper = thick * np.minimum(1.2 - y * y * (1.2 / (n["half"] * n["half"])), 1)
    inside = np.minimum(taper - wall, wall + 0.012)
    outer = (plane.across[window] > 0.5) & (chest.right[window] == (side < 0))
    inside = np.where(outer, inside, F(-1))
    plane.value[window] += F(n["contrast"]) * plane.soft(inside)
    plane.mark("Pleural Other", window, inside)


def _fracture(study: Study, plane: Plane, chest: Chest, finding: Finding) -> None:
    """A callus over a gap, and the rib's outer end a step lower."""
    n, p = finding.numbers, study.patient
    slope = p.rib_slope + 2 * p.rib_curve * abs(n["x"])
    norm = float(np.sqrt(1 + slope * slope))
    axis = SIDES[finding.side] / norm, slope / norm
    long, high = n["callus_long"], n["callus_high"]
    window, radius = plane.ellipse(n["x"], n["y"], long, high, axis, 1.5)
    dx, dy = plane.x[window] - n["x"], plane.y[window] - n["y"]
    along, over = dx * axis[0] + dy * axis[1], dy * axis[0] - dx * axis[1]
    step = n["step_mm"] * MM
    bone = F(0.024) - np.abs(over * SIDES[finding.side] - np.where(along > 0, F(step), F(0)))
    level = F(n["contrast"]) * plane.soft((1 - radius) * high, 0.02)
    level += F(0.06 * p.bone) * plane.soft(bone) * clamp(4 - 3 * radius)
    level -= F(0.24) * plane.soft(n["gap"] / 2 - np.abs(along)) * clamp(3 - 3 * radius)
    plane.value[window] += level
    plane.mark("Fracture", window, 1 - radius)


# rare findings -------------------------------------------------------------------------------


def _free_air_below(study: Study, plane: Plane, chest: Chest, finding: Finding) -> None:
    """A dark crescent under the right dome."""
    n = finding.numbers
    u = (plane.across - anatomy.CENTRE) * (1 / 0.26)
    thick = n["thickness_mm"] * MM * (1 - u * u)
    inside = np.minimum(-chest.above - F(0.012), thick + chest.above + F(0.012))
    inside = np.where(chest.right, inside, F(-1))
    plane.value -= F(n["contrast"]) * plane.soft(inside)
    plane.mark("Pneumoperitoneum", WHOLE, inside)


def _mediastinal_air(study: Study, plane: Plane, chest: Chest, finding: Finding) -> None:
    """Dark streaks along both edges of the mediastinum, from the neck downwards."""
    n = finding.numbers
    level = np.zeros_like(plane.value)
    for x in (-0.15, -0.08, 0.13, 0.20):
        ends = (x * 0.8, -0.86), (x * 1.1, -0.86 + n["extent"] * 1.4)
        window, inside = plane.segment(*ends, n["width"] / 2)
        np.maximum(level[window], plane.soft(inside), out=level[window])
        plane.mark("Pneumomediastinum", window, inside)
    plane.value -= F(n["contrast"]) * level


def _wall_air(study: Study, plane: Plane, chest: Chest, finding: Finding) -> None:
    """Dark feathering in the soft tissue beside the ribs."""
    n = finding.numbers
    (side,) = _sides(finding)
    window = plane.window(side * 0.75, n["y"], 0.28, n["extent"] + 0.03)
    x, y = plane.across[window], plane.y[window] - n["y"]
    wave = lookup(texture_table(), plane.y[window] * 110 + 2048, plane.x[window] * 110 + 2048)
    place = (y + F(0.9) * x) * (1 / n["period"]) + 12 * wave
    stripe = np.abs(place - np.floor(place) - F(0.5)) * n["period"] - F(0.22 * n["period"])
    region = np.minimum(-chest.wall[window] - F(0.03), n["extent"] - np.abs(y))
    region = np.minimum(region, F(0.97) - x)
    own = chest.right[window] == (side < 0)
    inside = np.where(own & (x > 0.5), np.minimum(stripe, region), F(-1))
    plane.value[window] -= F(n["contrast"]) * plane.soft(inside)
    plane.mark("Subcutaneous Emphysema", window, inside)


def _tortuous(study: Study, plane: Plane, chest: Chest, finding: Finding) -> None:
    """The descending aorta swings out beyond the mediastinum's left edge."""
    n = finding.numbers
    t = clamp((plane.y - F(anatomy.KNOB_Y)) * (1 / 0.62))
    swing = 4 * t * (1 - t)
    inside = F(0.075) - np.abs(plane.x - F(0.11) - n["offset"] * swing * (F(0.6) + F(0.8) * t))
    inside = np.where((t > 0) & (t < 1), inside, F(-1))
    plane.value += F(n["contrast"]) * plane.soft(inside, 0.02)
    plane.mark("Tortuous Aorta", WHOLE, inside)


def _calcified(study: Study, plane: Plane, chest: Chest, finding: Finding) -> None:
    """A bright arc on the outer side of the aortic knob."""
    n, knob = finding.numbers, study.patient.knob
    found = study.findings.get("Enlarged Cardiomediastinum")
    x = anatomy.knob_x(found.numbers["factor"] if found else 1.0)
    window, radius = plane.ellipse(x, anatomy.KNOB_Y, knob, knob, (1.0, 0.0), 1.5)
    ring = F(n["width"] / 2) - np.abs(1 - radius) * knob
    arc = plane.x[window] - F(x + knob * (0.9 - 1.4 * n["arc"]))
    inside = np.minimum(ring, arc)
    plane.value[window] += F(n["contrast"]) * plane.soft(inside)
    plane.mark("Calcification of the Aorta", window, inside)


# devices -------------------------------------------------------------------------------------


def paint_devices(study: Study, plane: Plane) -> None:
    """Metal and plastic lie over everything."""
    for device in study.devices:
        for line in device.lines:
            plane.stroke(DEVICES, line, device.width / 2, 0.30)
        for x, y, wide, high in device.boxes:
            window = plane.window(x, y, wide, high)
            u, v = (plane.x[window] - x) * (1 / wide), (plane.y[window] - y) * (1 / high)
            u *= u
            v *= v
            inside = (1 - np.sqrt(np.sqrt(u * u + v * v))) * min(wide, high)
            plane.value[window] += F(0.45) * plane.soft(inside)
            plane.mark(DEVICES, window, inside)


MARKS: dict[str, Mark] = {
    "Edema": _edema,
    "Lung Opacity": _lung_opacity,
    "Consolidation": _consolidation,
    "Pneumonia": _pneumonia,
    "Lung Lesion": _lesion,
    "Atelectasis": _atelectasis,
    "Pneumothorax": _pneumothorax,
    "Pleural Effusion": _effusion,
    "Pleural Other": _pleural,
    "Fracture": _fracture,
    "Pneumoperitoneum": _free_air_below,
    "Pneumomediastinum": _mediastinal_air,
    "Subcutaneous Emphysema": _wall_air,
    "Tortuous Aorta": _tortuous,
    "Calcification of the Aorta": _calcified,
}


def paint_findings(study: Study, plane: Plane, chest: Chest) -> None:
    """All present findings; cardiomegaly and a wide mediastinum are part of the anatomy."""
    for name, mark in MARKS.items():
        if name in study.findings:
            mark(study, plane, chest, study.findings[name])
    for name, part in (("Cardiomegaly", "heart"), ("Enlarged Cardiomediastinum", "mediastinum")):
        if name in study.findings:
            plane.masks[name] = plane.masks[part]
