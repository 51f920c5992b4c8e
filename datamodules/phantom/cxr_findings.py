"""Which findings a chest radiograph has, and the laws of their places, sizes and numbers.

Every finding draws from its own stream, always the same numbers in the same order: so one that is
set moves no other, and a severity that is set moves no place."""

from collections.abc import Callable, Mapping
from functools import cache
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from datamodules.phantom import cxr_anatomy as anatomy
from datamodules.phantom.cxr_study import (
    DEVICES,
    FINDINGS,
    LONG_TAIL,
    MM,
    OWN_STREAMS,
    PATHOLOGIES,
    PRESENT,
    SIDES,
    Finding,
    Patient,
)
from datamodules.phantom.streams import Address, Stream
from medbench.core.errors import UserError, nearest

Numbers = dict[str, float]
Law = Callable[[Stream, float, int, Patient, float], tuple[str, Numbers]]

PREVALENCE = {
    "Enlarged Cardiomediastinum": 0.04,
    "Cardiomegaly": 0.17,
    "Lung Opacity": 0.10,
    "Lung Lesion": 0.04,
    "Edema": 0.12,
    "Consolidation": 0.06,
    "Pneumonia": 0.08,
    "Atelectasis": 0.20,
    "Pneumothorax": 0.05,
    "Pleural Effusion": 0.22,
    "Pleural Other": 0.02,
    "Fracture": 0.03,
    DEVICES: 0.28,
} | dict.fromkeys(LONG_TAIL, 0.02)
DEVICE_SHARES = {"AP": 0.45, "PA": 0.17, "LATERAL": 0.17, "LL": 0.17}  # 0.28 over the real mix
TOGETHER = {  # correlations of the copula that differ from BACKGROUND
    ("Pleural Effusion", "Atelectasis"): 0.5,
    ("Pleural Effusion", "Edema"): 0.4,
    ("Edema", "Cardiomegaly"): 0.5,
    ("Pleural Effusion", "Cardiomegaly"): 0.3,
    ("Pneumothorax", DEVICES): 0.5,
    ("Atelectasis", DEVICES): 0.3,
    ("Pleural Effusion", DEVICES): 0.3,
    ("Edema", DEVICES): 0.3,
    ("Pneumonia", "Lung Opacity"): 0.3,
    ("Consolidation", "Pneumonia"): 0.3,
    ("Cardiomegaly", "Enlarged Cardiomediastinum"): 0.3,
}
BACKGROUND = -0.03
EVEN = 0.15  # of every finding in balanced studies
SIDE_SHARES = {  # right, left, bilateral; midline findings have no side
    "Atelectasis": (0.4, 0.4, 0.2),
    "Pleural Effusion": (0.37, 0.33, 0.3),
    "Edema": (0.0, 0.0, 1.0),
    "Enlarged Cardiomediastinum": (),
    "Cardiomegaly": (),
    DEVICES: (),
    "Pneumoperitoneum": (1.0, 0.0, 0.0),
    "Pneumomediastinum": (),
    "Tortuous Aorta": (),
    "Calcification of the Aorta": (),
}
ZONES = {"upper": (-0.52, -0.32), "mid": (-0.22, 0.02), "lower": (0.08, 0.26)}
CHANGES = {"stable": 0.4, "better": 0.25, "worse": 0.2, "resolved": 0.15}


# which ------------------------------------------------------------------------------------


@cache
def _factor() -> np.ndarray:
    """The lower triangle that turns independent normals into the copula's."""
    names = [*PATHOLOGIES, DEVICES]
    matrix = np.full((len(names), len(names)), BACKGROUND)
    np.fill_diagonal(matrix, 1)
    for (one, other), value in TOGETHER.items():
        i, j = names.index(one), names.index(other)
        matrix[i, j] = matrix[j, i] = value
    return np.linalg.cholesky(matrix)


@cache
def _thresholds(projection: str, balanced: bool) -> list[float]:
    """Of the copula's values: below them is a finding."""
    shares = PREVALENCE | {DEVICES: DEVICE_SHARES[projection]}
    return [NormalDist().inv_cdf(EVEN if balanced else shares[n]) for n in (*PATHOLOGIES, DEVICES)]


def draw_presence(s: Stream, projection: str, longtail: bool, balanced: bool) -> dict[str, bool]:
    """Which findings a study has, by a Gaussian copula; the long-tail ones by chance.

    balanced: each as often as the others, and independent of them."""
    names = (*PATHOLOGIES, DEVICES)
    normals = np.array([s.normal(0, 1) for _ in names])
    values = np.round(normals if balanced else _factor() @ normals, 6).tolist()
    found = {
        name: value < least
        for name, value, least in zip(names, values, _thresholds(projection, balanced), strict=True)
    }
    for name in LONG_TAIL:
        found[name] = s.chance(EVEN if balanced else PREVALENCE[name]) and longtail
    return found


def draw_finding(
    place: Address,
    name: str,
    patient: Patient,
    min_feature: float,
    fixed: Mapping[str, Any] | None = None,
) -> Finding | None:
    """One finding from its own stream at this visit; `fixed` may name side, severity, numbers.

    None when its severity is below what is drawn."""
    s = place.stream(OWN_STREAMS + FINDINGS.index(name))
    fixed = dict(fixed or {})
    severity = round(PRESENT + (1 - PRESENT) * s.unit(), 6)
    sides = dict(zip(("right", "left", "bilateral"), _sides(name), strict=False))
    side = s.weighted(sides) if sides else (s.unit(), "")[1]
    severity, side = fixed.pop("severity", severity), fixed.pop("side", side)
    _check(name, side, severity)
    if severity < PRESENT:
        return None
    where, numbers = LAWS[name](s, severity, SIDES.get(side, 1), patient, min_feature * MM)
    where = fixed.pop("place", where)
    if unknown := fixed.keys() - numbers.keys():
        wrong = min(unknown)
        known = ["severity", "side", "place", *numbers]
        raise UserError(
            f"set: {name} has no {wrong}{nearest(wrong, known)} Known: {', '.join(known)}."
        )
    return Finding(side, where, float(severity), numbers | fixed, place.visit)


def _sides(name: str) -> tuple[float, ...]:
    return SIDE_SHARES.get(name, (0.5, 0.5, 0.0))


def _check(name: str, side: str, severity: float) -> None:
    allowed = [s for s, p in zip(("right", "left", "bilateral"), _sides(name), strict=False) if p]
    if side not in (allowed or [""]):
        raise UserError(f"set: side={side!r} of {name}; it can be {', '.join(allowed) or 'empty'}.")
    if not 0 <= severity <= 1:
        raise UserError(f"set: severity={severity} of {name} is not in 0 to 1.")


def follow(s: Stream, finding: Finding | None, prevalence: float) -> tuple[str, float | None]:
    """The change of a finding to the next visit, and its severity then (None: it is drawn).

    New findings balance the resolved ones. A change is `absent` when there is nothing to say."""
    change, step, fresh = s.weighted(CHANGES), s.uniform(0.15, 0.4), s.unit()
    if finding is None:
        resolved = CHANGES["resolved"] + 0.08  # and those that shrink away
        appears = fresh < resolved * prevalence / (1 - prevalence)
        return ("new", None) if appears else ("absent", 0.0)
    if change == "better" and finding.severity - step < PRESENT:
        change = "resolved"
    if change == "worse" and finding.severity + step > 1:
        change = "stable"
    move = {"better": -step, "worse": step, "resolved": -finding.severity}.get(change, 0.0)
    return change, round(finding.severity + move, 6)


# the laws -----------------------------------------------------------------------------------


def _zone(s: Stream, sign: int) -> tuple[str, float, float]:
    """A zone and a place in the middle of it, clear of the heart."""
    zone = s.choose(tuple(ZONES))
    x, y = s.uniform(0.40, 0.50), s.uniform(*ZONES[zone])
    x += 0.06 if zone == "lower" and sign > 0 else 0.0
    return zone, round(sign * x, 6), y


def _patch(s: Stream, severity: float, sign: int, patient: Patient) -> tuple[str, Numbers]:
    """An ellipse in one zone, and its share of the lung's area."""
    zone, x, y = _zone(s, sign)
    a = round(0.10 + 0.08 * severity + s.uniform(0, 0.03), 6)
    b = round(a * s.uniform(0.8, 1.25), 6)
    ax, ay = s.direction()
    share = 3.141593 * a * b / 4 / anatomy.lung_area(patient, sign)
    numbers = {"x": x, "y": y, "a": a, "b": b, "ax": ax, "ay": ay, "area": round(share, 6)}
    return zone, numbers | {"noise": float(s.integer(0, 63))}


def _lung_opacity(s: Stream, v: float, sign: int, p: Patient, least: float) -> tuple[str, Numbers]:
    place, numbers = _patch(s, v, sign, p)
    return place, numbers | {"contrast": round(0.13 + 0.08 * v, 6)}


def _consolidation(s: Stream, v: float, sign: int, p: Patient, least: float) -> tuple[str, Numbers]:
    place, numbers = _patch(s, v, sign, p)
    numbers["bronchus"] = round(max(1.5 * MM, 0.35 * least), 6)
    return place, numbers | {"contrast": round(0.24 + 0.08 * v, 6)}


def _pneumonia(s: Stream, v: float, sign: int, p: Patient, least: float) -> tuple[str, Numbers]:
    """A consolidation with haze around it and one satellite on the other side of the middle."""
    place, numbers = _patch(s, v, sign, p)
    down = 1.0 if numbers["y"] < -0.1 else -1.0
    dx, dy = s.uniform(-0.06, 0.06), down * s.uniform(0.30, 0.36)
    return place, numbers | {
        "contrast": round(0.22 + 0.08 * v, 6),
        "satellite_x": round(numbers["x"] + dx, 6),
        "satellite_y": round(numbers["y"] + dy, 6),
        "satellite_radius": round(0.06 + 0.03 * v, 6),
    }


def _atelectasis(s: Stream, v: float, sign: int, p: Patient, least: float) -> tuple[str, Numbers]:
    """One to three oblique plates at a base, under a raised dome."""
    plates = 1 + (v >= 0.4) + (v >= 0.75)
    numbers: Numbers = {"plates": float(plates), "dome_shift": round(0.06 * v, 6)}
    numbers["contrast"] = round(0.18 + 0.08 * v, 6)
    x, y = s.uniform(0.44, 0.50), s.uniform(0.30, 0.36)
    for i in range(3):
        tilt = s.uniform(-0.45, -0.15)
        norm = sqrt(1 + tilt * tilt)
        part = {
            "x": round(sign * (x + s.uniform(-0.03, 0.03)), 6),
            "y": round(y - i * max(0.11, 1.5 * least), 6),
            "ax": round(sign / norm, 6),
            "ay": round(tilt / norm, 6),
            "half": round(0.13 + 0.05 * v + s.uniform(0, 0.02), 6),
            "width": round(max(s.uniform(3, 8) * MM, 0.8 * least), 6),
        }
        if i < plates:
            numbers |= {f"{name}{i}": value for name, value in part.items()}
    return "base", numbers


def _edema(s: Stream, v: float, sign: int, p: Patient, least: float) -> tuple[str, Numbers]:
    numbers = {"haze": round(0.12 + 0.18 * v, 6), "vessels": round(1 + v, 6)}
    numbers["line_gap"] = round(max(0.036, 1.2 * least), 6)
    return "", numbers | {"lines": float(s.integer(4, 6)), "line_y": s.uniform(0.14, 0.2)}


def _cardiomegaly(s: Stream, v: float, sign: int, p: Patient, least: float) -> tuple[str, Numbers]:
    return "", {"ctr": round(0.52 + 0.20 * v, 6)}


def _mediastinum(s: Stream, v: float, sign: int, p: Patient, least: float) -> tuple[str, Numbers]:
    factor = round(1.35 + 0.5 * v, 6)
    return "", {"factor": factor, "width_mm": round(2 * anatomy.MEDIASTINUM * factor / MM, 6)}


def _lesion(s: Stream, v: float, sign: int, p: Patient, least: float) -> tuple[str, Numbers]:
    """One to three discs; later ones are smaller."""
    share, calcified = s.unit(), s.chance(0.15)
    count = 1 + (share > 0.6) + (share > 0.85)
    numbers: Numbers = {"count": float(count), "calcified": float(calcified)}
    numbers["contrast"] = round(0.28 + 0.06 * v, 6)
    zone = ""
    for i in range(3):
        where, x, y = _zone(s, sign)
        zone = zone or where
        mm = round(max(8 + 32 * v * s.uniform(0.8, 1.0) * 0.75**i, 1.1 * least / MM), 6)
        if i < count:
            numbers |= {f"x{i}": x, f"y{i}": y, f"diameter_mm{i}": mm}
    return zone, numbers


def _effusion(s: Stream, v: float, sign: int, p: Patient, least: float) -> tuple[str, Numbers]:
    """The level is solved, for each side, so that the fluid covers its share of the lung."""
    share = round(0.04 + 0.5 * v, 6)
    other = round(0.04 + 0.5 * v * s.uniform(0.5, 1.0), 6)
    numbers = {"area": share, "contrast": 0.38}
    for side, area in ((sign, share), (-sign, other)):
        name = anatomy.side_of(side)
        numbers |= {
            f"area_{name}": area,
            f"level_{name}": anatomy.effusion_level(p, side, area),
        }
    return "base", numbers


def _pleural(s: Stream, v: float, sign: int, p: Patient, least: float) -> tuple[str, Numbers]:
    """A band along the outer wall, or (a third of them) calcified and shorter."""
    plaque = s.chance(0.33)
    half = round(0.17 + 0.15 * v * (0.5 if plaque else 1.0), 6)
    numbers = {
        "plaque": float(plaque),
        "thickness_mm": round(max(3 + 9 * v, 1.2 * least / MM), 6),
        "y": s.uniform(-0.22, 0.06),
        "half": half,
        "contrast": round((0.38 if plaque else 0.28) + 0.06 * v, 6),
    }
    return "", numbers


def _pneumothorax(s: Stream, v: float, sign: int, p: Patient, least: float) -> tuple[str, Numbers]:
    line = round(max(0.06 + 0.22 * v, 1.5 * least), 6)
    numbers = {"line": line, "line_mm": round(1.5 * line / MM, 6)}
    numbers["line_width"] = round(max(1.5 * MM, 0.5 * least), 6)
    numbers["area"] = anatomy.pneumothorax_share(p, sign, line)
    return "apex", numbers


def _fracture(s: Stream, v: float, sign: int, p: Patient, least: float) -> tuple[str, Numbers]:
    """A gap and a step in a rib, in a callus that is at least 2 x 1 of the least feature."""
    rib, t = s.integer(4, 8), s.uniform(0.35, 0.9)
    x = round(sign * (0.42 + 0.30 * t), 6)
    y = round(anatomy.rib_y(p, rib, x), 6)
    numbers = {"rib": float(rib), "t": t, "x": x, "y": y, "step_mm": s.uniform(3, 6)}
    numbers["callus_long"] = round(max(0.05 + 0.03 * v, 1.2 * least), 6)
    numbers["callus_high"] = round(max(0.03 + 0.02 * v, 0.7 * least), 6)
    numbers["gap"] = round(max(2 * MM, 0.35 * least), 6)
    return "lateral", numbers | {"contrast": round(0.18 + 0.04 * v, 6)}


def _free_air_below(
    s: Stream, v: float, sign: int, p: Patient, least: float
) -> tuple[str, Numbers]:
    thick = round(max((4 + 14 * v) * MM, 1.2 * least), 6)
    return "base", {"thickness_mm": round(thick / MM, 6), "contrast": 0.34}


def _mediastinal_air(
    s: Stream, v: float, sign: int, p: Patient, least: float
) -> tuple[str, Numbers]:
    numbers = {"extent": round(0.3 + 0.4 * v, 6), "contrast": 0.2}
    return "", numbers | {"width": round(max(3 * MM, 0.8 * least), 6)}


def _wall_air(s: Stream, v: float, sign: int, p: Patient, least: float) -> tuple[str, Numbers]:
    numbers = {"extent": round(0.35 + 0.4 * v, 6), "y": s.uniform(-0.45, -0.2)}
    return "", numbers | {"contrast": 0.24, "period": round(max(10 * MM, 2.2 * least), 6)}


def _tortuous(s: Stream, v: float, sign: int, p: Patient, least: float) -> tuple[str, Numbers]:
    return "", {"offset": round(0.06 + 0.08 * v, 6), "contrast": 0.16}


def _calcified(s: Stream, v: float, sign: int, p: Patient, least: float) -> tuple[str, Numbers]:
    numbers = {"arc": round(0.35 + 0.65 * v, 6), "width": round(max(2.5 * MM, 0.8 * least), 6)}
    return "", numbers | {"contrast": 0.35}


def _devices(s: Stream, v: float, sign: int, p: Patient, least: float) -> tuple[str, Numbers]:
    return "", {}


LAWS: dict[str, Law] = {
    "Enlarged Cardiomediastinum": _mediastinum,
    "Cardiomegaly": _cardiomegaly,
    "Lung Opacity": _lung_opacity,
    "Lung Lesion": _lesion,
    "Edema": _edema,
    "Consolidation": _consolidation,
    "Pneumonia": _pneumonia,
    "Atelectasis": _atelectasis,
    "Pneumothorax": _pneumothorax,
    "Pleural Effusion": _effusion,
    "Pleural Other": _pleural,
    "Fracture": _fracture,
    DEVICES: _devices,
    "Pneumoperitoneum": _free_air_below,
    "Pneumomediastinum": _mediastinal_air,
    "Subcutaneous Emphysema": _wall_air,
    "Tortuous Aorta": _tortuous,
    "Calcification of the Aorta": _calcified,
}
