"""The CT phantom as a dataset: samples, texts, pairs of prompts."""

import numpy as np
import pytest

from datamodules.phantom import ct
from datamodules.phantom.ct_findings import FINDINGS
from datamodules.phantom.ct_scene import draw_scene
from datamodules.phantom.ct_words import LABELS, image_labels, report_labels, write_report
from datamodules.phantom_ct import PhantomCt, to_unit
from medbench.core.errors import UserError


def test_a_sample_is_the_drawn_volume_under_the_window() -> None:
    data = PhantomCt(size=16, n_train=2)
    sample = data.split("train")[1]
    drawn = ct.draw(0, "train", 1, size=16, of=256)
    assert np.array_equal(sample["image"][0], to_unit(drawn.hu, (-1024, 600)))
    back = (sample["image"][0] + 1) / 2 * 1624 - 1024
    inside = (drawn.hu > -1024) & (drawn.hu < 600)
    assert np.abs(back - drawn.hu)[inside].max() < 1e-3
    assert sample["masks"].keys() == drawn.masks.keys()
    assert sample["spacing_mm"] == pytest.approx((292 / 16, 316 / 16, 316 / 16))
    assert sample["meta"]["truth.ctr"] == drawn.truth["ctr"]


def test_pairs_differ_in_the_finding_alone() -> None:
    for name in ("effusion", "bullae", "cardiomegaly"):
        split = PhantomCt(size=16, n_test=2, prompts=name).split("test")
        assert len(split) == 4
        one, other = split[0], split[1]
        assert one["subject_id"] == other["subject_id"]
        assert (one["meta"]["prompt"], other["meta"]["prompt"]) == ("with", "without")
        assert one["text"] != other["text"]
        changed = np.flatnonzero(one["labels"] != other["labels"])
        assert len(changed) <= 1 and (one["labels"] >= other["labels"]).all()
    assert "pleural effusion" in PhantomCt(size=16, prompts="effusion").split("test")[1]["text"]


def test_reports_come_without_volumes_and_of_nobody_else() -> None:
    data = PhantomCt(size=16, text_only=3)
    sample = data.split("reports")[2]
    assert "image" not in sample and sample["text"]
    others = {data.split("train").describe(i)["texts"]["report"] for i in range(20)}
    assert sample["texts"]["report"] not in others
    with pytest.raises(UserError, match="did you mean reports"):
        data.split("report")


def test_the_report_says_what_is_there() -> None:
    agreed = 0
    for subject in range(150):
        place = ct.address(3, "train", subject)
        scene = draw_scene(place)
        report = write_report(scene, place)
        said = {name for name, value in report.mentions.items() if value}
        assert said == set(scene.findings)
        assert all(name not in scene.findings for name, v in report.mentions.items() if v == 0)
        assert "{" not in report.text and "  " not in report.text
        agreed += image_labels(scene) == report_labels(report.mentions)
    assert agreed == 150
    assert len(LABELS) == 18


def test_every_finding_can_be_told() -> None:
    place = ct.address(0, "train", 1)
    scene = draw_scene(place, set=dict.fromkeys(FINDINGS, True))
    report = write_report(scene, place)
    assert set(report.mentions) == set(FINDINGS)
    assert sum(image_labels(scene).values()) == 12


def test_wrong_settings_are_named() -> None:
    assert "divides" in PhantomCt(size=24).check()[0]
    assert "the lower one first" in PhantomCt(window=(600.0, -1024.0)).check()[0]
    assert "n_test=-1" in PhantomCt(n_test=-1).check()[0]
