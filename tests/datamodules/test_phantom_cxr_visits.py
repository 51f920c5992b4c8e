"""Patients over visits, what findings look like, and the chest X-ray phantom as a dataset."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from datamodules.phantom import cxr
from datamodules.phantom.cxr_study import FINDINGS, LABELS, LONG_TAIL, Study
from datamodules.phantom_cxr import CLASS_GROUPS, PhantomCxr
from datamodules.registration import warp
from medbench.core.batch import KEYS, missing_keys
from medbench.core.errors import UserError

LEAST = cxr.least_feature(64)


def journeys(count: int) -> list[list[Study]]:
    return [cxr.journey(cxr.address(0, "train", i), min_feature=LEAST) for i in range(count)]


def test_identity_stays_and_posture_does_not():
    for visits in journeys(30):
        assert len({visit.patient.identity for visit in visits}) == 1
        assert len(visits[0].patient.identity) == 16
        assert len({visit.posture for visit in visits}) == len(visits)
    people = [cxr.draw_patient(cxr.address(0, "train", i)) for i in range(400)]
    everyone = np.array([patient.identity for patient in people])
    assert np.abs(everyone.mean(0)).max() < 0.2 and np.abs(everyone.std(0) - 1).max() < 0.25


def test_changes_say_what_happened():
    count, gaps = [], []
    for visits in journeys(250):
        count.append(len(visits))
        assert not visits[0].changes and all(v.projection == "PA" for v in visits)
        for prior, later in pairwise(visits):
            gaps.append(later.days - prior.days)
            for name, change in later.changes.items():
                before, after = prior.findings.get(name), later.findings.get(name)
                assert (before is None) == (change == "new")
                assert (after is None) == (change == "resolved")
                if change == "stable":
                    assert before == after
                if change in ("better", "worse"):
                    step = after.severity - before.severity
                    assert 0.149 < abs(step) < 0.401 and (step > 0) == (change == "worse")
                    assert (after.side, after.place) == (before.side, before.place)
            silent = set(later.findings) - set(later.changes) - {"Support Devices"}
            assert not silent
    assert np.mean(count) == pytest.approx(2.6, abs=0.45)
    assert np.mean(gaps) == pytest.approx(20, abs=5) and min(gaps) >= 0.25


def test_the_affine_takes_the_later_image_to_the_prior():
    for visits in journeys(12):
        for prior, later in pairwise(visits):
            matrix = cxr.later_to_prior(later, prior)
            point = np.array([0.3, -0.2, 1])
            at = [np.vstack([v.posture.matrix, (0, 0, 1)]) @ point for v in (later, prior)]
            assert np.allclose(matrix @ at[0], at[1][:2])


def test_a_registered_later_image_approaches_the_counterfactual():
    visits = cxr.journey(cxr.address(0, "train", 1), min_feature=LEAST, visits=3)
    for prior, later in pairwise(visits):
        quiet = replace(prior.acquisition, noise=0.0)
        prior = replace(prior, acquisition=quiet)
        later = replace(later, acquisition=quiet)
        wanted = cxr.render(cxr.counterfactual(later, prior), 128)[0].astype(float)
        moved = warp(cxr.render(later, 128)[0], cxr.later_to_prior(later, prior), (128, 128))
        inner = (slice(20, 108),) * 2
        assert np.abs(moved - wanted)[inner].mean() < 3
        same = cxr.counterfactual(
            replace(later, findings=prior.findings, devices=prior.devices), prior
        )
        assert np.array_equal(cxr.render(same, 64)[0], cxr.render(prior, 64)[0])


def test_bones_tell_the_age_and_tone_the_group():
    people = [cxr.draw_patient(cxr.address(0, "train", i)) for i in range(1500)]
    ages, bones = (np.array([getattr(p, name) for p in people]) for name in ("age", "bone"))
    ceiling = 0.007 * ages.std() / np.hypot(0.007 * ages.std(), 0.06)
    assert -np.corrcoef(ages, bones)[0, 1] == pytest.approx(ceiling, abs=0.02)
    fixed = dict.fromkeys(FINDINGS) | {"posture": None}
    place = cxr.address(0, "train", 0)
    levels = []
    for group in range(4):
        one = cxr.draw_study(
            place, min_feature=LEAST, set=fixed | {"patient": {"group": group}}, projection="PA"
        )
        levels.append(cxr.render(one, 64)[0].mean())
    assert np.all(np.diff(levels) > 2)


# each finding raises its own measure -----------------------------------------------------------


def contrast(name: str, subject: int) -> float:
    """Mean difference of grey levels inside the finding's mask."""
    place = cxr.address(0, "test", subject)
    off = dict.fromkeys(FINDINGS) | {"acquisition": {"noise": 0.0}}
    with_it = cxr.single(name) | {"acquisition": {"noise": 0.0}}
    plain, other = (
        cxr.draw_study(place, min_feature=LEAST, projection="PA", set=fixed)
        for fixed in (off, with_it)
    )
    pixels, masks = cxr.render(other, 64)
    before = cxr.render(plain, 64)
    region = masks[name]
    if name in ("Cardiomegaly", "Enlarged Cardiomediastinum"):
        region = region & ~before[1]["heart"] & ~before[1]["mediastinum"]
    return float((pixels.astype(float) - before[0])[region].mean())


DARK = {"Pneumothorax", "Pneumoperitoneum", "Pneumomediastinum", "Subcutaneous Emphysema"}


@pytest.mark.parametrize("name", FINDINGS)
def test_each_finding_shows(name):
    found = np.array([contrast(name, subject) for subject in range(12)])
    found = -found if name in DARK else found
    assert np.median(found) > 8 and found.min() > 1


def test_severity_raises_what_is_measured():
    place = cxr.address(0, "test", 3)
    for name in ("Pleural Effusion", "Cardiomegaly", "Pneumothorax", "Lung Lesion"):
        areas = []
        for severity in (0.2, 0.5, 0.9):
            fixed = {name: {"severity": severity}}
            one = cxr.draw_study(place, min_feature=LEAST, set=fixed, projection="PA")
            areas.append(cxr.render(one, 128)[1][name].sum())
        assert areas[0] < areas[1] < areas[2], name


# the datamodule ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def module() -> PhantomCxr:
    return PhantomCxr(size=32, n_train=24, n_validation=8, n_test=8)


def test_samples_obey_the_contract(module):
    split = module.split("train")
    assert len(split) == 24
    for index in range(8):
        sample = split[index]
        names = [name for name in module.yields if "." not in name]
        assert not missing_keys(names, list(sample)) and set(sample) <= set(KEYS)
        assert sample["image"].shape == (1, 32, 32)
        assert sample["labels"].shape == (14,) and list(sample["label_names"]) == list(LABELS)
        assert not sample["prior_valid"] and np.allclose(sample["prior_image"], 2 * 128 / 255 - 1)
        dotted = {f"{n}.{k}" for n in ("texts", "controls") for k in sample[n]}
        assert dotted == {name for name in module.yields if "." in name}
        assert all(m.shape == (1, 32, 32) and m.min() >= 0 for m in sample["controls"].values())
        gaze = sample["gaze"]
        assert gaze.dtype == np.float32 and gaze.shape[1] == 4 and len(gaze) > 5
        assert gaze[:, :2].min() >= 0 and gaze[:, :2].max() <= 1
        assert sample["text"] == sample["texts"]["impression"]
        assert all(isinstance(value, str | int | float) for value in sample["meta"].values())
        cheap = split.describe(index)
        assert cheap["text"] == sample["text"] and cheap["meta"].items() <= sample["meta"].items()
    first, *others = [split[i] for i in range(6)]
    for other in others:  # a batch needs the same keys throughout
        assert all(first[name].keys() == other[name].keys() for name in ("masks", "controls"))


@pytest.mark.parametrize("target", ["registered", "counterfactual", "raw"])
def test_pairs(target):
    module = PhantomCxr(size=32, n_train=6, pairs=True, target=target)
    split = module.split("train")
    assert len(split) >= 6
    for index in range(len(split)):
        sample = split[index]
        row = module.rows("train")[index]
        assert sample["prior_valid"] and sample["meta"]["days"] > 0
        assert sample["text"] == sample["texts"]["progression"]
        later = cxr.counterfactual(row.study, row.prior) if target != "raw" else row.study
        shown = cxr.render(later, 32)[0] / 127.5 - 1
        difference = np.abs(sample["image"][0] - shown).mean()
        assert difference < (0.2 if target == "registered" else 1e-6)
        prior = cxr.render(row.prior, 32)[0] / 127.5 - 1
        assert np.allclose(sample["prior_image"][0], prior, atol=1e-6)
    changed = PhantomCxr(size=32, n_train=6, pairs=True, changed=True)
    assert 0 < len(changed.split("train")) <= len(split)


def test_long_tail_has_one_label_and_a_tail():
    module = PhantomCxr(size=32, longtail=True, n_train=202, n_test=38)
    train = [module.split("train").describe(i) for i in range(202)]
    names = [sample["meta"]["class"] for sample in train]
    assert all(sample["labels"].sum() == 1 and len(sample["labels"]) == 19 for sample in train)
    assert names.count("No Finding") == 16 and names.count("Fracture") == 6
    assert names.count("Pneumomediastinum") == 2 and set(names) == set(CLASS_GROUPS)
    test = [module.split("test").describe(i)["meta"]["class"] for i in range(38)]
    assert all(test.count(name) == 2 for name in (*LABELS, *LONG_TAIL))


def test_labels_may_come_from_the_report():
    image, report = (
        PhantomCxr(size=32, n_train=100, labels=labels).split("train")
        for labels in ("image", "report")
    )
    both = np.array(
        [(image.describe(i)["labels"], report.describe(i)["labels"]) for i in range(100)]
    )
    known = ~np.isnan(both[:, 1])
    assert 0.1 < known.mean() < 0.9
    assert 0.9 < (both[:, 0] == both[:, 1])[known].mean() < 1


def test_views_without_gaze_and_masks():
    module = PhantomCxr(size=32, n_train=8, views=["LATERAL", "LL"], gaze=False, masks=False)
    samples = [module.split("train")[i] for i in range(8)]
    assert {sample["meta"]["view"] for sample in samples} <= {"LATERAL", "LL"}
    assert not any({"gaze", "controls", "masks"} & set(sample) for sample in samples)


def test_splits_share_no_subject_and_may_grow(module):
    ids = {
        name: [module.split(name).describe(i)["subject_id"] for i in range(len(module.split(name)))]
        for name in module.splits
    }
    assert len(set().union(*ids.values())) == 40
    longer = PhantomCxr(size=32, n_train=30)
    assert np.array_equal(longer.split("train")[5]["image"], module.split("train")[5]["image"])


def test_equalised_levels_are_ranks():
    levels = PhantomCxr(size=64, n_train=1, equalise=True).split("train")[0]["image"]
    shares = np.quantile((levels + 1) / 2, [0.1, 0.5, 0.9])
    assert np.allclose(shares, [0.1, 0.5, 0.9], atol=0.06)


def test_mistakes_are_one_sentence():
    with pytest.raises(UserError, match="split tests does not exist; did you mean test"):
        PhantomCxr().split("tests")
    assert "size=30, of=64" in PhantomCxr(size=30, of=64).check()[0]
    assert "n_test=-1" in PhantomCxr(n_test=-1).check()[0]
    assert "views=['AP', 'PO']: give some of PA" in PhantomCxr(views=["AP", "PO"]).check()[0]
    assert "pairs=true goes without" in PhantomCxr(pairs=True, longtail=True).check()[0]
    assert "labels=report" in PhantomCxr(longtail=True, labels="report").check()[0]
