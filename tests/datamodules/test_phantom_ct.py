"""The CT phantom: decimation, exact thresholds, known volumes, interventions."""

import hashlib

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from datamodules.phantom import ct
from datamodules.phantom.ct_findings import FINDINGS
from datamodules.phantom.ct_grid import cube
from datamodules.phantom.ct_scene import draw_scene
from medbench.core.errors import UserError

NOTHING = dict.fromkeys(FINDINGS, False)
LEAST = 3.0


def healthy(**findings: object) -> dict[str, object]:
    return NOTHING | {name.replace("_", " "): wish for name, wish in findings.items()}


def draw(subject: int, size: int = 48, **findings: object) -> ct.Volume:
    return ct.draw(1, "train", subject, size=size, min_feature=LEAST, set=healthy(**findings))


def test_a_smaller_grid_is_every_nth_voxel_of_a_larger_one() -> None:
    for subject in (2, 5):
        fine = ct.draw(0, "train", subject, size=64, min_feature=LEAST)
        coarse = ct.draw(0, "train", subject, size=16, of=64, min_feature=LEAST)
        assert np.array_equal(coarse.hu, fine.hu[::4, ::4, ::4])
        for name, mask in coarse.masks.items():
            assert np.array_equal(mask, fine.masks[name][:, ::4, ::4, ::4]), name


def test_slabs_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ct.draw(0, "train", 2, size=32)
    monkeypatch.setattr("datamodules.phantom.ct_grid.SLAB", 3 * 32 * 32)
    parts = ct.draw(0, "train", 2, size=32)
    assert np.array_equal(whole.hu, parts.hu)
    assert whole.truth == parts.truth


def test_thresholds_separate_tissues_without_one_error() -> None:
    volume = draw(3, 64, emphysema=True, bullae=True, pleural_effusion={"side": "left"})
    hu, masks = volume.hu, {name: mask[0] > 0 for name, mask in volume.masks.items()}
    lung = masks["lobe"] & ~masks["airway"]
    share = 100 * (hu[lung] < -950).mean()
    assert share > 0.5
    assert share == pytest.approx(volume.truth["counted.laa_950"], abs=1e-5)
    assert not ((hu > -960) & (hu < -940))[lung].any()
    inner = masks["heart"] & (np.abs(hu - 48) < 22)
    assert inner.sum() > 0.85 * masks["heart"].sum()  # the rest is its soft edge


def test_a_healthy_chest_has_none_of_it() -> None:
    volume = draw(4, 48)
    lung = (volume.masks["lobe"][0] > 0) & (volume.masks["airway"][0] == 0)
    assert (volume.hu[lung] >= -940).all()
    assert volume.truth["counted.laa_950"] == 0
    assert not volume.masks["effusion"].any()
    assert set(np.unique(volume.masks["lobe"])) == {0, 1, 2, 3, 4, 5}


@pytest.mark.parametrize("size", ["small", "moderate", "large"])
def test_fluid_has_the_volume_it_was_solved_for(size: str) -> None:
    severity = {"small": 0.2, "moderate": 0.5, "large": 0.9}[size]
    for subject in range(2):
        wish = {"severity": severity, "side": "both"}
        volume = draw(subject, 64, pleural_effusion=wish)
        wanted = volume.truth["pleural_effusion.solved_l"]
        assert volume.truth["counted.effusion_ml"] / 1000 == pytest.approx(wanted, rel=0.015)
        assert wanted == pytest.approx(volume.truth["pleural_effusion.litres"], rel=0.01)


def test_heart_width_follows_its_ratio() -> None:
    for ratio in (0.55, 0.7):
        volume = draw(6, 64, cardiomegaly={"ctr": ratio})
        heart, lung = volume.masks["heart"][0] > 0, volume.masks["lobe"][0] > 0
        widths = [_width(plane) for plane in heart]
        plane = int(np.argmax(widths))
        thorax = _width(heart[plane] | lung[plane])
        assert volume.truth["ctr"] == pytest.approx(ratio, abs=0.01)
        assert widths[plane] / thorax == pytest.approx(volume.truth["ctr"], abs=2 / thorax)


def test_the_mean_along_the_back_is_a_radiograph_of_the_same_ratio() -> None:
    volume = draw(7, 64)
    solid = volume.hu > -500
    flat = solid.mean(axis=1)  # (D, W)
    plane = int(np.argmax([_width(p) for p in volume.masks["heart"][0] > 0]))
    shadow = (volume.masks["heart"][0, plane] > 0).any(axis=0)
    assert flat[plane][shadow].mean() > flat[plane].mean()
    assert shadow.sum() == _width(volume.masks["heart"][0, plane] > 0)


def _width(plane: np.ndarray) -> int:
    columns = np.flatnonzero(plane.any(axis=0))
    return int(columns[-1] - columns[0] + 1) if len(columns) else 0


def test_airways_have_the_wanted_volume() -> None:
    for subject in range(3):
        volume = draw(subject, 96)
        wanted = volume.truth["patient.airway_ml"]
        assert volume.truth["counted.airway_ml"] == pytest.approx(wanted, rel=0.12)


def test_left_is_at_large_w_and_the_spine_at_small_h() -> None:
    volume = draw(0, 48)
    assert volume.masks["lung_left"][0, :, :, 24:].sum() > volume.masks["lung_left"].sum() * 0.95
    bone = np.argwhere(volume.hu > 300)
    assert bone[:, 1].mean() < 24
    assert volume.masks["heart"][0].sum(axis=(0, 1))[24:].sum() > volume.masks["heart"].sum() / 2


@pytest.mark.parametrize("name", ["pleural effusion", "consolidation", "nodule", "bullae"])
def test_an_intervention_changes_what_is_named_and_nothing_else(name: str) -> None:
    before, after = draw(8, 48), draw(8, 48, **{name.replace(" ", "_"): {"severity": 0.8}})
    changed = before.hu != after.hu
    assert changed.any()
    lung = before.masks["lobe"][0] > 0
    near = binary_dilation(lung, np.ones((3, 3, 3)))
    assert not (changed & ~near).any()
    assert changed[lung].mean() < 0.8
    assert np.array_equal(before.masks["heart"], after.masks["heart"])


def test_each_finding_raises_its_own_measure() -> None:
    normal = draw(9, 48)
    dense = [float((v.hu[v.masks["lobe"][0] > 0] > -500).mean()) for v in (
        normal,
        draw(9, 48, consolidation={"severity": 0.9}),
        draw(9, 48, atelectasis={"severity": 0.9}),
    )]  # fmt: skip
    assert dense[0] < dense[1] and dense[0] < dense[2]
    air = draw(9, 48, pneumothorax={"severity": 0.9})
    assert air.truth["counted.pneumothorax_ml"] > 300
    assert air.masks["lobe"].astype(bool).sum() < normal.masks["lobe"].astype(bool).sum()
    calcium = draw(9, 48, aortic_calcium={"severity": 0.9})
    assert (calcium.hu > 400).sum() > (normal.hu > 400).sum()


def test_a_draw_never_changes_without_a_new_version() -> None:
    digest = hashlib.sha256()
    for subject in range(8):
        volume = ct.draw(0, "test", subject, size=16, of=64, min_feature=LEAST)
        for name in sorted(volume.masks):
            digest.update(volume.masks[name].tobytes())
        digest.update(repr(sorted(volume.truth.items())).encode())
    assert digest.hexdigest()[:16] == "e891fec601473241"


def test_wrong_wishes_are_named() -> None:
    with pytest.raises(UserError, match="did you mean pleural effusion"):
        draw(0, 8, plural_effusion=True)
    with pytest.raises(UserError, match=r"side=up; known: left, right, both"):
        draw(0, 8, pleural_effusion={"side": "up"})


def test_visits_share_the_patient_and_not_the_findings() -> None:
    first = draw_scene(ct.address(0, "train", 1, 0), LEAST)
    second = draw_scene(ct.address(0, "train", 1, 1), LEAST)
    assert first.patient == second.patient
    assert first.grain != second.grain
    assert cube(8, 16).shape == (8, 8, 8)
