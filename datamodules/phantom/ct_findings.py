"""Findings of a chest CT: which ones a visit has, how severe, where, and of what shape."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from datamodules.phantom.ct_anatomy import LOBES, Anatomy
from datamodules.phantom.ct_grid import Array, points
from datamodules.phantom.ct_patient import FIRST_FINDING
from datamodules.phantom.streams import Address, Stream
from medbench.core.errors import UserError, nearest

PREVALENCE = {
    "pleural effusion": 0.25,
    "emphysema": 0.18,
    "bullae": 0.08,
    "cardiomegaly": 0.18,
    "consolidation": 0.12,
    "ground glass": 0.12,
    "nodule": 0.22,
    "atelectasis": 0.12,
    "pneumothorax": 0.05,
    "pericardial effusion": 0.08,
    "aortic calcium": 0.2,
    "coronary calcium": 0.15,
    "bronchiectasis": 0.08,
    "medical material": 0.15,
}
FINDINGS = tuple(PREVALENCE)
SIDES = ("left", "right", "both")
MATERIALS = ("tube", "lead", "port")
LITRES = {"small": (0.15, 0.3), "moderate": (0.5, 0.9), "large": (1.2, 1.9)}
STEPS = {"small": (0.15, 0.3), "moderate": (0.3, 0.65), "large": (0.65, 1.0)}
LEAST = 0.15  # severity below which a finding is not drawn
SETTABLE = ("present", "severity", "side", "lobe", "litres", "count", "ctr", "kind", "diameter")


@dataclass(frozen=True)
class Finding:
    """Severity in (0, 1]; lengths in mm, volumes in L; shapes are spheres x, y, z, radius, HU."""

    name: str
    severity: float
    side: str = ""  # left, right, both
    lobe: str = ""
    kind: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)
    shapes: tuple[tuple[float, ...], ...] = ()

    @property
    def size(self) -> str:
        """small, moderate or large."""
        return next((s for s, (_, top) in STEPS.items() if self.severity < top), "large")


def draw_findings(
    place: Address, normal: Anatomy, least: float, set: Mapping[str, Any] | None = None
) -> dict[str, Finding]:
    """The findings that are present, by name. `normal` is the anatomy without any.

    least: mm, the width of the thinnest thing. set: name -> False, True or {severity, side, ...};
    what is not named comes from the finding's own stream, so nothing else changes."""
    wishes = _checked(set or {})
    found = {}
    for number, name in enumerate(FINDINGS):
        draw = place.stream(FIRST_FINDING + number)
        wish = wishes.get(name, {})
        present = draw.chance(PREVALENCE[name])
        severity = draw.uniform(LEAST, 1)
        side, lobe = draw.choose(("left", "right", "right", "both")), draw.choose(LOBES)
        present = bool(wish.get("present", bool(wish) or present))
        severity = float(wish.get("severity", severity))
        if present and severity >= LEAST:
            side, lobe = str(wish.get("side", side)), str(wish.get("lobe", lobe))
            blank = Finding(name, severity, side, lobe, str(wish.get("kind", "")))
            found[name] = _SHAPERS[name](blank, draw, normal, least, wish)
    return found


def _checked(wishes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found = {}
    for name, wish in wishes.items():
        key = name.lower()
        if key not in FINDINGS:
            raise UserError(f"set: {name} is no finding of the CT phantom{nearest(key, FINDINGS)}")
        wish = {"present": wish} if isinstance(wish, bool) else dict(wish)
        for part, value in wish.items():
            if part not in SETTABLE:
                raise UserError(f"set: {name} has no {part}{nearest(part, SETTABLE)}")
            known = {"side": SIDES, "lobe": LOBES}.get(part)
            if known and value not in known:
                raise UserError(f"set: {name}.{part}={value}; known: {', '.join(known)}.")
        found[key] = wish
    return found


# one for each finding ----------------------------------------------------------------
def _effusion(
    blank: Finding, draw: Stream, normal: Anatomy, least: float, wish: Mapping[str, Any]
) -> Finding:
    """The volume grows with severity inside the range of its word."""
    low, high = STEPS[blank.size]
    first, last = LITRES[blank.size]
    share = min((blank.severity - low) / (high - low), 1)
    litres = float(wish.get("litres", first + share * (last - first)))
    return Finding(blank.name, blank.severity, blank.side, numbers={"litres": round(litres, 4)})


def _pneumothorax(
    blank: Finding, draw: Stream, normal: Anatomy, least: float, wish: Mapping[str, Any]
) -> Finding:
    side = "left" if blank.side == "left" else "right"
    litres = float(wish.get("litres", 0.1 + 0.5 * blank.severity))
    return Finding(blank.name, blank.severity, side, numbers={"litres": round(litres, 4)})


def _emphysema(
    blank: Finding, draw: Stream, normal: Anatomy, least: float, wish: Mapping[str, Any]
) -> Finding:
    return Finding(blank.name, blank.severity, "both", numbers={"offset": draw.word() >> 40})


def _cardiomegaly(
    blank: Finding, draw: Stream, normal: Anatomy, least: float, wish: Mapping[str, Any]
) -> Finding:
    ctr = float(wish.get("ctr", 0.53 + 0.22 * (blank.severity - LEAST) / (1 - LEAST)))
    return Finding(blank.name, blank.severity, numbers={"ctr": round(ctr, 4)})


def _pericardial(
    blank: Finding, draw: Stream, normal: Anatomy, least: float, wish: Mapping[str, Any]
) -> Finding:
    thickness = round(5 + 15 * (blank.severity - LEAST) / (1 - LEAST), 3)
    return Finding(blank.name, blank.severity, numbers={"thickness_mm": thickness})


def _atelectasis(
    blank: Finding, draw: Stream, normal: Anatomy, least: float, wish: Mapping[str, Any]
) -> Finding:
    shift = round(16 + 26 * blank.severity, 3)
    return _in_lobe(blank, {"shift_mm": shift})


def _bronchiectasis(
    blank: Finding, draw: Stream, normal: Anatomy, least: float, wish: Mapping[str, Any]
) -> Finding:
    return _in_lobe(blank, {"factor": 1.7})


def _patch(
    blank: Finding, draw: Stream, normal: Anatomy, least: float, wish: Mapping[str, Any]
) -> Finding:
    """Consolidation and ground glass: one ellipsoid about the middle of a lobe."""
    x, y, z = normal.centroids[blank.lobe]
    centre = (x + draw.uniform(-8, 8), y + draw.uniform(-14, 14), z + draw.uniform(-10, 10))
    half = 14 + 22 * blank.severity
    axes = tuple(half * draw.uniform(0.85, 1.25) for _ in range(3))
    shape = tuple(round(value, 3) for value in (*centre, *axes))
    return _in_lobe(blank, {"radius_mm": round(half, 3)}, (shape,))


def _nodules(
    blank: Finding, draw: Stream, normal: Anatomy, least: float, wish: Mapping[str, Any]
) -> Finding:
    """One to three; the first is the largest and in the named lobe."""
    count = int(wish.get("count", draw.weighted({1: 5, 2: 3, 3: 2})))
    largest = float(wish.get("diameter", 4 + 26 * (blank.severity - LEAST) / (1 - LEAST)))
    shapes, lobe = [], blank.lobe
    for index in range(count):
        radius = max(largest / 2 * (0.65**index), 2.0)
        hu = 35.0 if draw.chance(0.8) else -550.0
        place = _inside(draw, normal, lobe, radius + 2)
        shapes.append(tuple(round(value, 3) for value in (*place, radius, hu)))
        lobe = draw.choose(LOBES)
    numbers = {"count": float(count), "diameter_mm": round(2 * shapes[0][3], 3)}
    return _in_lobe(blank, numbers, tuple(shapes))


def _bullae(
    blank: Finding, draw: Stream, normal: Anatomy, least: float, wish: Mapping[str, Any]
) -> Finding:
    """1 to 12 spheres under the pleura, most of them in the upper lobes."""
    count = int(wish.get("count", 1 + round(11 * (blank.severity - LEAST) / (1 - LEAST))))
    shapes = []
    for _ in range(count):
        lobe = draw.weighted({"left upper": 4, "right upper": 4, "left lower": 1, "right lower": 1})
        radius = 6 + 24 * draw.unit() ** 2 * (0.4 + 0.6 * blank.severity)
        place = _under_pleura(draw, normal, lobe, radius)
        shapes.append(tuple(round(value, 3) for value in (*place, radius)))
    largest = max(shape[3] for shape in shapes)
    numbers = {"count": float(count), "radius_mm": largest}
    return Finding(blank.name, blank.severity, "both", numbers=numbers, shapes=tuple(shapes))


def _aortic(
    blank: Finding, draw: Stream, normal: Anatomy, least: float, wish: Mapping[str, Any]
) -> Finding:
    """Spheres on the wall of the aorta."""
    shapes = []
    for _ in range(2 + round(10 * blank.severity)):
        start, end, radius = normal.aorta[draw.integer(0, len(normal.aorta) - 2)]
        share = draw.uniform(0.3, 0.9)
        dx, dy = draw.direction()
        x, y, z = (a + share * (b - a) for a, b in zip(start, end, strict=True))
        r = max(draw.uniform(1.5, 3.5), least / 2)
        shapes.append(_rounded(x + dx * radius * 0.9, y + dy * radius * 0.9, max(z, -135), r))
    return _specks(blank, shapes)


def _coronary(
    blank: Finding, draw: Stream, normal: Anatomy, least: float, wish: Mapping[str, Any]
) -> Finding:
    """Spheres along the front of the heart, where the coronary arteries run."""
    a, b, c = normal.heart_axes
    x0, y0, z0 = normal.patient.heart
    shapes = []
    for _ in range(1 + round(7 * blank.severity)):
        x, z = draw.uniform(-0.55, 0.45), draw.uniform(0.15, 0.6)
        y = (1 - x * x - z * z) ** 0.5 * 0.9
        r = max(draw.uniform(1.2, 2.6), least / 2)
        shapes.append(_rounded(x0 + a * x, y0 + b * y, z0 + c * z, r))
    return _specks(blank, shapes)


def _material(
    blank: Finding, draw: Stream, normal: Anatomy, least: float, wish: Mapping[str, Any]
) -> Finding:
    kind = blank.kind or draw.choose(MATERIALS)
    if kind not in MATERIALS:
        raise UserError(f"set: medical material.kind={kind}; known: {', '.join(MATERIALS)}.")
    width = max(2.4 if kind != "tube" else 4.0, least)
    return Finding(blank.name, blank.severity, "", "", kind, {"width_mm": round(width, 3)})


_SHAPERS = {
    "pleural effusion": _effusion,
    "emphysema": _emphysema,
    "bullae": _bullae,
    "cardiomegaly": _cardiomegaly,
    "consolidation": _patch,
    "ground glass": _patch,
    "nodule": _nodules,
    "atelectasis": _atelectasis,
    "pneumothorax": _pneumothorax,
    "pericardial effusion": _pericardial,
    "aortic calcium": _aortic,
    "coronary calcium": _coronary,
    "bronchiectasis": _bronchiectasis,
    "medical material": _material,
}


def _in_lobe(
    blank: Finding, numbers: dict[str, float], shapes: tuple[tuple[float, ...], ...] = ()
) -> Finding:
    side = blank.lobe.split()[0]
    return Finding(blank.name, blank.severity, side, blank.lobe, "", numbers, shapes)


def _specks(blank: Finding, shapes: list[tuple[float, ...]]) -> Finding:
    volume = sum(4.18879 * r * r * r for *_, r in shapes)
    numbers = {"count": float(len(shapes)), "volume_mm3": round(volume, 2)}
    return Finding(blank.name, blank.severity, numbers=numbers, shapes=tuple(shapes))


def _rounded(*values: float) -> tuple[float, ...]:
    return tuple(round(value, 3) for value in values)


# places ----------------------------------------------------------------------------------
def _candidates(draw: Stream, normal: Anatomy, lobe: str) -> Array:
    """(40, 3) points about the middle of a lobe."""
    x, y, z = normal.centroids[lobe]
    reach = (38.0, 62.0, 62.0)
    rows = [[draw.uniform(-1, 1) * half for half in reach] for _ in range(40)]
    return np.array(rows) + np.array([x, y, z])


def _inside(draw: Stream, normal: Anatomy, lobe: str, depth: float) -> tuple[float, float, float]:
    """The first candidate that lies `depth` mm inside its lobe, else the lobe's middle.

    Places low at the back are avoided, where an effusion would hide what lies there."""
    rows = _candidates(draw, normal, lobe)
    grid = points(rows)
    label = LOBES.index(lobe) + 1
    good = (normal.cavity(grid) > depth) & (normal.lobes(grid) == label) & (grid.y > -35)
    place = rows[int(good.argmax())] if good.any() else np.array(normal.centroids[lobe])
    return float(place[0]), float(place[1]), float(place[2])


def _under_pleura(
    draw: Stream, normal: Anatomy, lobe: str, radius: float
) -> tuple[float, float, float]:
    """The candidate in a lobe whose depth is nearest to 0.8 of the radius."""
    rows = _candidates(draw, normal, lobe)
    grid = points(rows)
    label = LOBES.index(lobe) + 1
    depth = normal.pleura(grid)
    wrong = (normal.lobes(grid) != label) | (normal.cavity(grid) < 2)
    place = rows[int((np.abs(depth - np.float32(0.8 * radius)) + 1000 * wrong).argmin())]
    return float(place[0]), float(place[1]), float(place[2])
