"""The studies and pixels of the chest X-ray phantom."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from datamodules.phantom import cxr
from datamodules.phantom.cxr_findings import PREVALENCE, draw_presence
from datamodules.phantom.cxr_plane import Plane
from datamodules.phantom.cxr_raster import ANATOMY, find_chest
from datamodules.phantom.cxr_study import (
    DEVICES,
    FINDINGS,
    LABELS,
    LONG_TAIL,
    PATHOLOGIES,
    Study,
    labels_of,
)
from datamodules.registration import warp
from medbench.core.errors import UserError
from medbench.core.fingerprint import canonical

HASH = "486bf59886b2833e"  # of parameters and masks; a change needs a new `version`
LEAST = cxr.least_feature(64)
CANONICAL = {"posture": None}


def study(subject: int, split: str = "train", visit: int = 0, **settings) -> Study:
    return cxr.draw_study(cxr.address(0, split, subject, visit), min_feature=LEAST, **settings)


def picture(one: Study, size: int = 64) -> np.ndarray:
    return cxr.render(one, size)[0].astype(int)


def digest(count: int) -> str:
    found = hashlib.sha256()
    for subject in range(count):
        view = "LATERAL" if subject % 5 == 4 else None
        one = study(subject, longtail=True, balanced=subject % 2 == 1, projection=view)
        found.update(canonical(cxr.truth_of(one)).encode())
        for name, mask in sorted(cxr.render(one, 64)[1].items()):
            found.update(name.encode() + np.packbits(mask).tobytes())
    return found.hexdigest()[:16]


def test_twenty_draws_are_those_of_this_version():
    assert digest(20) == HASH


def test_order_does_not_matter():
    first = [(s := study(i), picture(s)) for i in (0, 1, 2)]
    again = [(s := study(i), picture(s)) for i in (2, 1, 0)][::-1]
    for one, other in zip(first, again, strict=True):
        assert one[0] == other[0] and np.array_equal(one[1], other[1])
    assert study(0) != study(0, "test")
    assert cxr.draw_study(cxr.address(1, "train", 0), min_feature=LEAST) != study(0)


@pytest.mark.parametrize("view", [None, "LATERAL"])
def test_every_fourth_pixel_of_a_large_image_is_the_small_image(view):
    for subject in range(24):
        one = study(subject, longtail=True, balanced=True, projection=view)
        large, masks = cxr.render(one, 256)
        small, others = cxr.render(one, 64, 256)
        assert np.array_equal(large[::4, ::4], small)
        assert masks.keys() == others.keys()
        for name, mask in masks.items():
            assert np.array_equal(mask[::4, ::4], others[name]), name


def test_masks_are_one_for_each_structure_and_present_finding():
    for subject in range(40):
        one = study(subject, longtail=True, balanced=True)
        masks = cxr.render(one, 64)[1]
        assert set(masks) == {*ANATOMY, *one.findings}
        assert all(mask.shape == (64, 64) and mask.dtype == bool for mask in masks.values())
        assert all(masks[name].any() for name in masks), [n for n in masks if not masks[n].any()]


# interventions -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", FINDINGS)
def test_a_finding_that_is_set_changes_nothing_else(name):
    """Parameters of everything else are equal, and pixels differ only where the finding is."""
    for subject in range(4):
        plain = study(subject, set={name: None}, longtail=True, projection="PA")
        other = study(subject, set={name: {"severity": 0.7}}, longtail=True, projection="PA")
        same = {key: value for key, value in other.findings.items() if key != name}
        assert same == plain.findings and other.findings[name].severity == 0.7
        assert other.patient == plain.patient and other.posture == plain.posture
        assert other.acquisition == plain.acquisition
        if name in (DEVICES, "Pneumothorax"):
            continue  # a drain follows a pneumothorax
        assert other.devices == plain.devices


FOOTPRINT = {  # local findings, and how far (in pixels of 128) their softness may reach
    "Lung Opacity": 14,
    "Lung Lesion": 3,
    "Consolidation": 12,
    "Pneumonia": 24,
    "Pleural Effusion": 4,
    "Fracture": 6,
    "Calcification of the Aorta": 3,
    "Pneumoperitoneum": 3,
    DEVICES: 3,
}


@pytest.mark.parametrize("name", FOOTPRINT)
def test_the_image_differs_only_in_the_footprint(name):
    for subject in range(3):
        plain = study(subject, set=dict.fromkeys(FINDINGS), projection="PA")
        other = study(subject, set=cxr.single(name), projection="PA")
        pixels, masks = cxr.render(other, 128)
        changed = np.argwhere(pixels != cxr.render(plain, 128)[0])
        inside = np.argwhere(masks[name])
        assert len(changed)
        away = np.abs(changed[:, None] - inside[None]).max(2).min(1)
        assert away.max() <= FOOTPRINT[name]


def test_a_severity_that_is_set_moves_no_place():
    for name in ("Lung Lesion", "Consolidation", "Fracture", "Atelectasis", "Pleural Other"):
        mild, bad = (study(3, set={name: {"severity": s}}).findings[name] for s in (0.2, 0.9))
        assert mild.side == bad.side and mild.place == bad.place
        for key in ("x", "y", "x0", "y0"):
            assert mild.numbers.get(key) == bad.numbers.get(key)


def test_a_finding_below_its_least_severity_is_absent():
    one = study(0, set={"Edema": {"severity": 0.1}})
    assert "Edema" not in one.findings and not labels_of(one)["Edema"]


def test_interventions_that_do_not_exist():
    with pytest.raises(UserError, match="Oedema cannot be set; did you mean Edema"):
        study(0, set={"Oedema": {}})
    with pytest.raises(UserError, match="Edema has no hase; did you mean haze"):
        study(0, set={"Edema": {"hase": 1.0}})
    with pytest.raises(UserError, match="side='up' of Pneumothorax; it can be right, left"):
        study(0, set={"Pneumothorax": {"side": "up"}})
    with pytest.raises(UserError, match="posture has no angle.* Known: sx, sy, theta"):
        study(0, set={"posture": {"angle": 1}})
    with pytest.raises(UserError, match="severity=2 of Edema is not in 0 to 1"):
        study(0, set={"Edema": {"severity": 2}})
    with pytest.raises(UserError, match="stent is not known"):
        study(0, set={DEVICES: {}, "devices": ["stent"]})
    with pytest.raises(UserError, match="projection=PAL is not known"):
        study(0, projection="PAL")


# truth ---------------------------------------------------------------------------------------


def extent(mask: np.ndarray) -> int:
    columns = np.flatnonzero(mask.any(0))
    return int(columns[-1] - columns[0] + 1)


def test_cardiothoracic_ratio_is_that_of_the_masks():
    for subject in range(30):
        one = study(subject, set=CANONICAL | {"Atelectasis": None})
        masks = cxr.render(one, 256)[1]
        thorax = 256 * 0.78  # extent of both hulls
        truth = cxr.truth_of(one)
        measured = extent(masks["heart"]) / thorax
        assert abs(measured - truth["ctr_image"]) <= 2.5 / thorax
        assert (truth["ctr"] > 0.5) == bool(labels_of(one)["Cardiomegaly"])
        assert truth["ctr_image"] == round(
            truth["ctr"] * (1.12 if one.projection == "AP" else 1), 6
        )


def test_effusion_covers_its_share_of_the_lung():
    for severity in (0.15, 0.5, 1.0):
        for subject in range(6):
            off = dict.fromkeys(FINDINGS) | CANONICAL
            healthy = study(subject, set=off | {"patient": {"ctr": 0.36}})
            one = study(
                subject, set=off | {"Pleural Effusion": {"side": "left", "severity": severity}}
            )
            masks = cxr.render(one, 256)[1]
            area = masks["Pleural Effusion"].sum() * (2 / 256) ** 2 / 4
            lung = cxr.truth_of(healthy)["lung_area_left"]
            assert abs(area / lung - one.findings["Pleural Effusion"].numbers["area_left"]) < 0.025


def test_lung_areas_are_those_of_the_hulls():

    for subject in range(6):
        one = study(subject, set=CANONICAL | {"Atelectasis": None})
        chest = find_chest(one, Plane(one.posture, 256, 256))
        truth = cxr.truth_of(one)
        for side, half in (("right", chest.right), ("left", ~chest.right)):
            counted = ((chest.lung > 0) & half).sum() / 256**2
            assert abs(counted - truth[f"lung_area_{side}"]) < 0.002


def test_posture_reward_is_zero_at_the_canonical_posture():
    assert cxr.truth_of(study(0, set=CANONICAL))["r_align"] == 0
    moved = study(0, set={"posture": {"sx": 1.1, "sy": 0.95, "theta": 0.2, "tx": 0.03, "ty": 0.04}})
    expected = -(0.1 + 0.2 / (2 * np.pi) + 0.05)
    assert cxr.truth_of(moved)["r_align"] == pytest.approx(expected, abs=2e-6)


def test_a_sampling_grid_of_the_posture_makes_the_image_canonical():
    for subject in range(4):
        moved = study(subject, set={"acquisition": {"noise": 0.0}})
        straight = replace(moved, posture=study(subject, set=CANONICAL).posture)
        to_canonical = np.linalg.inv(np.vstack([moved.posture.matrix, (0, 0, 1)]))[:2]
        found = warp(cxr.render(moved, 128)[0], to_canonical, (128, 128))
        inner = (slice(24, 104),) * 2
        error = np.abs(found - picture(straight, 128))[inner]
        assert error.mean() < 2.5
        assert np.abs(picture(moved, 128) - picture(straight, 128))[inner].mean() > 2 * error.mean()


def test_labels_follow_the_findings():
    for subject in range(200):
        one = study(subject, longtail=True)
        labels = labels_of(one)
        assert tuple(labels) == LABELS
        shown = [name for name in PATHOLOGIES if labels[name]]
        assert labels["No Finding"] == (not shown)
        closed = {"Edema", "Consolidation", "Pneumonia", "Lung Lesion", "Atelectasis"}
        assert labels["Lung Opacity"] >= bool(closed & set(shown))
        assert labels[DEVICES] == bool(one.devices)
        assert set(labels_of(one, longtail=True)) == {*LABELS, *LONG_TAIL}


def test_findings_occur_together_at_their_rates():
    names = [*PATHOLOGIES, DEVICES]
    rows = []
    for subject in range(4000):
        place = cxr.address(0, "train", subject)
        found = draw_presence(place.stream(2), cxr.draw_view(place), False, False)
        rows.append([found[name] for name in names])
    table = np.array(rows, float)
    shares = dict(zip(names, table.mean(0), strict=True))
    shares["No Finding"] = float((table[:, :-1].sum(1) == 0).mean())
    for name, share in (PREVALENCE | {"No Finding": 0.33}).items():
        if name in shares:
            assert shares[name] == pytest.approx(share, abs=4 * (share * (1 - share) / 4000) ** 0.5)
    together = np.corrcoef(table.T)
    effusion, atelectasis = names.index("Pleural Effusion"), names.index("Atelectasis")
    assert together[effusion, atelectasis] > 0.2
