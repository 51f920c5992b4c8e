"""One draw of the chest X-ray phantom: a study, its truth, and a patient's journey."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from math import cos, pi, sin, sqrt
from typing import Any

import numpy as np

from datamodules.phantom import cxr_anatomy as anatomy
from datamodules.phantom.cxr_devices import draw_devices
from datamodules.phantom.cxr_findings import (
    DEVICE_SHARES,
    PREVALENCE,
    draw_finding,
    draw_presence,
    follow,
)
from datamodules.phantom.cxr_render import render
from datamodules.phantom.cxr_study import (
    DEVICES,
    DOMAIN,
    FINDINGS,
    LONG_TAIL,
    MM,
    PROJECTIONS,
    PURPOSES,
    VERSION,
    Acquisition,
    Finding,
    Patient,
    Posture,
    Study,
    labels_of,
)
from datamodules.phantom.streams import GRAIN, Address, Stream
from medbench.core.errors import UserError, nearest

__all__ = [
    "address",
    "counterfactual",
    "draw_patient",
    "draw_study",
    "draw_view",
    "journey",
    "labels_of",
    "later_to_prior",
    "least_feature",
    "render",
    "single",
    "truth_of",
]
Array = np.ndarray
Fixed = Mapping[str, Any]

SCALE, SHIFT, TURN = 0.15, 0.15, pi / 12  # the posture's full range on both sides
USUAL = 0.35  # share of it that ordinary studies use
TONE_STEP, TONE_NOISE = 0.12, 0.05  # of the tone curve: from group to group, from visit to visit
BONE_NOISE, BONE_AGE = 0.06, 0.007  # of the bone density: over patients, and per year
KEEP_ON, MOST_VISITS = 1.6 / 2.6, 12  # visits: one and a geometric number, 2.6 on average
VIEW_SHARES = {"PA": 0.6, "AP": 0.4, "LATERAL": 0.35, "LL": 0.15}  # PA is 0.6 of the frontal
PARTS = ("patient", "posture", "acquisition", "devices")  # what `set=` may name beside findings


def address(seed: int, split: str, subject: int, visit: int = 0) -> Address:
    """Where a study is drawn from."""
    return Address(VERSION, seed, DOMAIN, split, subject, visit)


def least_feature(of: int) -> float:
    """The least width of anything thin, in mm: 2.5 pixels of the `of` grid."""
    return round(2.5 * 360 / of, 6)


def draw_study(
    place: Address,
    *,
    min_feature: float,
    projection: str | None = None,
    set: Fixed | None = None,
    longtail: bool = False,
    balanced: bool = False,
) -> Study:
    """The study at an address; visits of one subject share the patient and nothing else.

    min_feature: mm. set: what it names is fixed and nothing else changes: a finding by name
    (None = absent, or a mapping of side, severity and numbers), patient, posture (None =
    canonical), acquisition, devices (a list of kinds). longtail: the five rare findings occur.
    balanced: findings are equally frequent and independent."""
    fixed = _checked(set)
    if projection not in (None, *PROJECTIONS):
        known = ", ".join(PROJECTIONS)
        raise UserError(f"projection={projection} is not known; it is one of {known}.")
    patient = draw_patient(place, fixed.get("patient"))
    view = projection or draw_view(place)
    present = draw_presence(_stream(place, "findings"), view, longtail, balanced)
    found = {}
    for name in FINDINGS:
        if fixed.get(name, present[name]) not in (None, False):
            own = fixed[name] if isinstance(fixed.get(name), Mapping) else None
            found[name] = draw_finding(place, name, patient, min_feature, own)
    findings = {name: finding for name, finding in found.items() if finding}
    return _study(place, patient, findings, view, min_feature, fixed)


def single(name: str) -> dict[str, Any]:
    """For `set=`: this finding alone, with its closure; No Finding means none."""
    return dict.fromkeys(FINDINGS) | ({name: {}} if name != "No Finding" else {})


def _checked(fixed: Fixed | None) -> dict[str, Any]:
    known = (*FINDINGS, *PARTS)
    for name in fixed or {}:
        if name not in known:
            raise UserError(
                f"set: {name} cannot be set{nearest(name, known)} Known: {', '.join(known)}."
            )
    return dict(fixed or {})


def _stream(place: Address, purpose: str) -> Stream:
    return place.stream(PURPOSES.index(purpose))


def _study(
    place: Address,
    patient: Patient,
    findings: dict[str, Finding],
    view: str,
    min_feature: float,
    fixed: Fixed,
) -> Study:
    """A study with these findings: posture, devices and acquisition are drawn."""
    devices: tuple = ()
    if DEVICES in findings:
        air = findings.get("Pneumothorax")
        kinds = fixed.get("devices")
        devices = draw_devices(place, min_feature, air.side if air else "", kinds)
    return Study(
        place=place,
        patient=patient,
        posture=draw_posture(place, view, fixed),
        acquisition=_draw_acquisition(place, patient, fixed.get("acquisition") or {}),
        findings=findings,
        devices=devices,
        projection=view,
        recorded_view=_recorded(place, view),
        min_feature=min_feature,
    )


# the patient and the visit --------------------------------------------------------------------


def draw_patient(place: Address, fixed: Fixed | None = None) -> Patient:
    """The patient of a subject, the same at every visit; derived values follow what is fixed."""
    s = _stream(replace(place, visit=0) if place.visit else place, "patient")
    sex, age = ("F", "M")[s.chance(0.5)], s.uniform(20, 90)
    tilt = s.uniform(-0.258819, 0.258819)  # the sine of 15 degrees
    drawn: dict[str, Any] = {
        "sex": sex,
        "age": age,
        "habitus": min(max(s.normal(0, 1), -2.5), 2.5),
        "top_right": s.uniform(-0.81, -0.73),
        "top_left": s.uniform(-0.81, -0.73),
        "dome_level": s.uniform(0.59, 0.65),
        "dome_height": s.uniform(0.12, 0.16),
        "ctr": min(max(s.normal(0.45, 0.03), 0.36), 0.49),
        "heart_tilt": (round(sqrt(1 - tilt * tilt), 6), tilt),
        "heart_height": s.uniform(0.32, 0.36),
        "knob_noise": s.normal(0, 1),
        "bone_noise": s.normal(0, 1),
        "rib_phase": s.uniform(0, 0.115),
        "rib_slope": s.uniform(0.06, 0.18),
        "rib_curve": s.uniform(0.22, 0.38),
        "clavicle_tilt": s.uniform(0.10, 0.26),
        "spine_curve": s.uniform(-0.04, 0.04),
        "hilum": s.uniform(0.8, 1.2),
        "vessels": s.integer(0, 15),
        "texture": (s.uniform(0, 64), s.uniform(0, 64)),
        "group": s.integer(0, 3),
    }
    drawn = _fix("patient", drawn, fixed)
    years = drawn["age"] - 50
    knob = 0.060 + 0.0006 * years + 0.004 * drawn["knob_noise"]
    bone = 1 - BONE_AGE * years + BONE_NOISE * drawn["bone_noise"]
    return Patient(place.subject, knob=round(knob, 6), bone=round(bone, 6), **drawn)


def _fix(part: str, drawn: dict[str, Any], fixed: Fixed | None) -> dict[str, Any]:
    """What is drawn, with the fixed values in place."""
    if not fixed:
        return drawn
    for name in fixed:
        if name not in drawn:
            raise UserError(
                f"set: {part} has no {name}{nearest(name, drawn)} Known: {', '.join(drawn)}."
            )
    return drawn | dict(fixed)


def draw_posture(place: Address, view: str, fixed: Fixed) -> Posture:
    """Small for ordinary studies, over the full range for a tenth of the AP ones."""
    s = _stream(place, "posture")
    reach = 1.0 if s.chance(0.1) and view == "AP" else USUAL
    drawn: dict[str, Any] = {
        "sx": s.uniform(1 - reach * SCALE, 1 + reach * SCALE),
        "sy": s.uniform(1 - reach * SCALE, 1 + reach * SCALE),
        "theta": s.uniform(-reach * TURN, reach * TURN),
        "tx": s.uniform(-reach * SHIFT, reach * SHIFT),
        "ty": s.uniform(-reach * SHIFT, reach * SHIFT),
    }
    if "posture" in fixed and fixed["posture"] is None:
        return Posture()
    drawn = _fix("posture", drawn, fixed.get("posture"))
    turn = drawn["theta"]
    return Posture(**drawn, cosine=round(cos(turn), 6), sine=round(sin(turn), 6))


def draw_view(place: Address, views: Sequence[str] = ("PA", "AP")) -> str:
    """One of the views, in the proportions in which they occur."""
    left = _visit_units(place)[0] * sum(VIEW_SHARES[view] for view in views)
    for view in views:
        left -= VIEW_SHARES[view]
        if left < 0:
            break
    return view


@lru_cache(maxsize=4)
def _visit_units(place: Address) -> tuple[float, float]:
    """The stream of a visit: the first number chooses the view, the second what is recorded."""
    s = _stream(place, "visit")
    return s.unit(), s.unit()


def _recorded(place: Address, view: str) -> str:
    """The view as the table says it: blank for 4 %, wrong for 0.1 %."""
    share = _visit_units(place)[1]
    wrong = {"PA": "LATERAL", "AP": "PA", "LATERAL": "PA", "LL": "AP"}
    return "" if share < 0.04 else wrong[view] if share < 0.041 else view


def _draw_acquisition(place: Address, patient: Patient, fixed: Fixed) -> Acquisition:
    s, grain = _stream(place, "acquisition"), _stream(place, "texture")
    tone = s.normal(0, TONE_NOISE) + TONE_STEP * (patient.group - 1.5)
    offsets = (grain.integer(0, GRAIN - 1), grain.integer(0, GRAIN - 1))
    drawn = {"tone": round(tone, 6), "grain": offsets, "noise": 0.02, "collimated": False}
    return Acquisition(**_fix("acquisition", drawn, fixed))


# journeys -------------------------------------------------------------------------------------


def journey(
    place: Address,
    *,
    min_feature: float,
    projection: str | None = "PA",
    visits: int | None = None,
    longtail: bool = False,
) -> list[Study]:
    """A subject's studies in time order; `changes` of each say what happened since the one before.

    projection: of every visit; None draws each. visits: how many, instead of 2.6 on average."""
    place = replace(place, visit=0)
    s = _stream(place, "journey")
    count = 1
    while s.unit() < KEEP_ON and count < MOST_VISITS:
        count += 1
    studies = [draw_study(place, min_feature=min_feature, projection=projection, longtail=longtail)]
    for visit in range(1, count if visits is None else visits):
        own = replace(place, visit=visit)
        studies.append(_next(own, studies[-1], projection or draw_view(own), longtail))
    return studies


def _next(place: Address, prior: Study, view: str, longtail: bool) -> Study:
    """The next visit: every finding goes on, changes, ends or begins; devices are new."""
    s, patient, least = _stream(place, "journey"), prior.patient, prior.min_feature
    gap = s.uniform(0.25, 0.5) if s.chance(0.05) else max(0.25, _exponential(s, 20.0))
    with_devices = s.chance(DEVICE_SHARES[view])
    findings, changes = {}, {}
    for name in FINDINGS:
        before = prior.findings.get(name)
        change, severity = follow(s, before, PREVALENCE[name])
        if name == DEVICES:
            if with_devices and (made := draw_finding(place, name, patient, least)):
                findings[name] = made
            continue
        if change == "absent" or (name in LONG_TAIL and not longtail):
            continue
        changes[name] = change
        origin = replace(place, visit=before.onset) if before else place
        fixed = {"side": before.side, "severity": severity} if before else None
        if finding := draw_finding(origin, name, patient, least, fixed):
            findings[name] = finding
    study = _study(place, patient, findings, view, least, {})
    return replace(study, days=round(prior.days + gap, 6), changes=changes)


def _exponential(s: Stream, mean: float) -> float:
    """From the squares of two normal numbers, half of whose sum is exponential."""
    one, other = s.normal(0, 1), s.normal(0, 1)
    return round(mean * (one * one + other * other) / 2, 6)


def counterfactual(later: Study, prior: Study) -> Study:
    """The later findings and devices with the posture and the acquisition of the prior."""
    return replace(
        later,
        posture=prior.posture,
        acquisition=prior.acquisition,
        projection=prior.projection,
    )


def later_to_prior(later: Study, prior: Study) -> Array:
    """(2, 3) float64: where a point of the later image lies in the prior one, normalised."""
    inverse = np.linalg.inv(np.vstack([later.posture.matrix, (0, 0, 1)]))
    return (np.vstack([prior.posture.matrix, (0, 0, 1)]) @ inverse)[:2]


# truth ----------------------------------------------------------------------------------------


def truth_of(study: Study) -> dict[str, str | float]:
    """Every parameter and every derived quantity, flat; lists are numbered."""
    patient, posture = study.patient, study.posture
    found: dict[str, str | float] = {}
    for part in ("patient", "posture", "acquisition"):
        _flatten(found, part, vars(getattr(study, part)))
    wide = anatomy.heart_axes(patient, study.ctr, study.magnification)
    off = max(abs(posture.sx - 1), abs(posture.sy - 1)) + abs(posture.theta) / (2 * pi)
    away = sqrt(posture.tx * posture.tx + posture.ty * posture.ty)
    found |= {
        "age": study.age,
        "days": study.days,
        "view": study.projection,
        "recorded_view": study.recorded_view,
        "min_feature_mm": study.min_feature,
        "ctr": study.ctr,
        "ctr_image": round(study.ctr * study.magnification, 6),
        "heart_wide_mm": round(2 * wide[0] / MM, 6),
        "heart_high_mm": round(2 * wide[1] / MM, 6),
        "lung_area_right": anatomy.lung_area(patient, -1),
        "lung_area_left": anatomy.lung_area(patient, 1),
        "r_align": round(-(off + away), 6),
    }
    for name, finding in study.findings.items():
        _flatten(found, name, {"side": finding.side, "place": finding.place})
        _flatten(found, name, {"severity": finding.severity, "onset": finding.onset})
        _flatten(found, name, finding.numbers)
    for index, device in enumerate(study.devices):
        tip = {"kind": device.kind, "side": device.side, "tip": device.tip}
        _flatten(found, f"device.{index}", tip | {"position": device.position})
    _flatten(found, "label", labels_of(study, longtail=True))
    _flatten(found, "change", study.changes)
    return found


def _flatten(found: dict[str, str | float], name: str, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, tuple):
            for i, part in enumerate(value):
                found[f"{name}.{key}.{i}"] = part
        else:
            found[f"{name}.{key}"] = value
