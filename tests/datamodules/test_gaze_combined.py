"""Both gaze sets together: overlap, subjects, and what is prepared."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from datamodules.eye_gaze_cxr import EyeGazeCxr
from datamodules.gaze_combined import GazeCombined
from datamodules.phantom.layouts import gaze_combined as layout
from datamodules.phantom.writing import write_layout
from datamodules.preparing import prepare
from datamodules.reflacx import Reflacx
from medbench.core.errors import UserError

N = 30


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_layout("gaze_combined", tmp_path_factory.mktemp("both") / "root", N, size=64)


def ids(data: object, split: str) -> set[str]:
    return {case.dicom_id for _, case in data.split(split).pairs}


def subjects(data: object, split: str) -> set[str]:
    return {case.subject_id for _, case in data.split(split).pairs}


def same_image(root: Path) -> None:
    data = GazeCombined(str(root), size=32)
    own = {case.dicom_id for case in EyeGazeCxr(str(root), size=32).cases}
    train, test = Reflacx(str(root), size=32).cases()
    others = {case.dicom_id for case in (*train, *test)}
    assert len(own & others) == 2
    used = [case for name in data.splits for _, case in data.split(name).pairs]
    assert len({case.dicom_id for case in used}) == len(used)
    twice = [case for case in used if case.dicom_id in own & others]
    assert all(case.meta["source"] == "reflacx" for case in twice)


def image_of_test(root: Path) -> None:
    own = {case.dicom_id for case in EyeGazeCxr(str(root), size=32).cases}
    data = GazeCombined(str(root), size=32, paper_split=True)
    assert own & ids(data, "test") and not ids(data, "train") & ids(data, "test")


def same_subject(root: Path) -> None:
    strict, paper = (GazeCombined(str(root), size=32, paper_split=p) for p in (False, True))
    test = subjects(strict, "test")
    assert not test & (subjects(strict, "train") | subjects(strict, "validation"))
    assert len(test & (subjects(paper, "train") | subjects(paper, "validation"))) == 1
    assert any("1 for training are of subjects" in line for line in paper.funnel())
    assert any("1 dropped: their subject is in test" in line for line in strict.funnel())


CHECKS = {"same image": same_image, "test image": image_of_test, "same subject": same_subject}


@pytest.mark.parametrize("quirk", layout.QUIRKS)
def test_quirk(quirk: str, root: Path) -> None:
    CHECKS[quirk](root)


def test_counts_follow_from_the_files(root: Path) -> None:
    """Eye Gaze Data and phase 3, less repeated images and subjects of test."""
    data = GazeCombined(str(root), size=32)
    own = EyeGazeCxr(str(root), size=32).cases
    train, test = Reflacx(str(root), size=32).cases()
    both = {case.dicom_id for case in own} & {case.dicom_id for case in (*train, *test)}
    whole = len(own) + len(train) - len(both)
    assert len(data.split("train")) + len(data.split("validation")) == whole - 1
    assert len(data.split("test")) == len(test)
    assert f"{whole} for training, {len(test)} for test" in data.funnel()
    assert data.check("full") == []


def test_both_sources_have_the_same_keys(root: Path) -> None:
    split = GazeCombined(str(root), size=32).split("train")
    sources = [case.meta["source"] for _, case in split.pairs]
    one, other = (split[sources.index(name)] for name in ("reflacx", "eye_gaze_cxr"))
    assert one.keys() == other.keys() and "masks" not in one
    assert one["controls"].keys() == other["controls"].keys()
    names = {"canny", "sobel", "gl", "segmentation", "hva", "gaze_density"}
    assert one["controls"].keys() == names
    for sample in (one, other):
        for name, plane in sample["controls"].items():
            assert plane.shape == (1, 32, 32) and plane.dtype == np.float32, name
            assert 0 <= plane.min() <= plane.max() <= 1
        assert sample["gaze"].dtype == np.float32 and sample["gaze"].shape[1] == 4


def assert_equal(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        if isinstance(value, np.ndarray):
            assert np.array_equal(value, other[key], equal_nan=True), key
        elif key in ("controls", "masks"):
            assert_equal(value, other[key])
        else:
            assert value == other[key], key


def test_what_is_prepared_equals_what_is_made_on_the_fly(root: Path, tmp_path: Path) -> None:
    data = GazeCombined(str(root), size=32)
    made = data.preparations()
    assert set(made) == {"reflacx_gaze", "eye_gaze_cxr_gaze"}
    for preparation in made.values():
        prepare(preparation, tmp_path, quiet=True)
    ready = GazeCombined(str(root), size=32, prepared=str(tmp_path))
    for name in data.splits:
        for index in range(len(data.split(name))):
            assert_equal(data.split(name)[index], ready.split(name)[index])
    assert data.content("train") == ready.content("train")
    with pytest.raises(UserError, match=r"holds no reflacx_gaze-"):
        GazeCombined(str(root), size=40, prepared=str(tmp_path)).split("train")


def test_a_single_release_is_prepared_with_its_masks(root: Path, tmp_path: Path) -> None:
    data = Reflacx(str(root), size=32, test_reader="each")
    (preparation,) = data.preparations().values()
    folder = prepare(preparation, tmp_path, quiet=True)
    ready = Reflacx(str(root), size=32, test_reader="each", prepared=str(folder))
    assert_equal(data.split("test")[3], ready.split("test")[3])


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_gaze_and_masks_move_with_the_image(root: Path, fit: str) -> None:
    """A fixation keeps the grey value that it lies on, however the image is fitted."""
    own = EyeGazeCxr(str(root), size=64, fit=fit, val_fraction=0, test_fraction=0)
    lung = own.split("train")[2]
    inside = lung["masks"]["left_lung"][0] > 0
    assert lung["image"][0][inside].mean() < lung["image"][0][~inside].mean()
    source, case = own.split("train").pairs[2]
    width, height = source.size(case)
    gaze = source.gaze(case, width, height)
    place = own.look.fit.place(height, width)
    points = place.points(gaze.points) / 64
    kept = ((points >= 0) & (points <= 1)).all(axis=1) & gaze.inside((0, 0, width, height))
    assert np.allclose(lung["gaze"][:, :2], points[kept], atol=1e-6)


def test_the_content_follows_gaze_and_labels(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    before = GazeCombined(str(root), size=32).content("train")
    assert GazeCombined(str(copy), size=32).content("train") == before
    path = copy / "egd-cxr/1.0.0/fixations.csv"
    path.write_text(path.read_text().replace(",1,0.5", ",1,0.4", 1) + "\n")
    assert GazeCombined(str(copy), size=32).content("train") != before


def test_a_repeated_image_in_one_release_is_refused(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    path = copy / "reflacx/1.0.0/main_data/metadata_phase_3.csv"
    lines = path.read_bytes().split(b"\r\n")
    path.write_bytes(b"\r\n".join([*lines[:-1], lines[1], b""]))
    found = GazeCombined(str(copy), size=32).check()
    assert len(found) == 1 and "rows 2 and" in found[0] and "must be unique" in found[0]


def test_bad_images_are_found_and_left_out_by_list(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    case = GazeCombined(str(copy), size=32).split("train").pairs[0][1]
    case.image.write_bytes(case.image.read_bytes()[:-500])
    found = GazeCombined(str(copy), size=32).check()
    assert "1 of 29 files" in found[0] and "is cut off" in found[1]
    listed = tmp_path / "bad.txt"
    listed.write_text(case.image.relative_to(copy).as_posix())
    data = GazeCombined(str(copy), size=32, bad_files=str(listed))
    assert data.check("full") == [] and case.dicom_id not in ids(data, "train")
    assert any("1 files are left out by data.bad_files" in line for line in data.funnel())
    listed.write_text("elsewhere.jpg")
    assert "elsewhere.jpg" in GazeCombined(str(copy), bad_files=str(listed)).check()[0]


def test_an_image_that_would_lead_outside_is_refused(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    case = next(c for _, c in GazeCombined(str(copy), size=32).split("test").pairs)
    outside = tmp_path / "outside.jpg"
    shutil.move(case.image, outside)
    case.image.symlink_to(outside)
    assert any("is a link to" in line for line in GazeCombined(str(copy), size=32).check())


def test_reports_of_the_studies_can_be_the_text(root: Path) -> None:
    data = GazeCombined(str(root), size=32, text="report")
    sample = data.split("train").describe(0)
    assert "FINDINGS" in sample["text"].upper() or len(sample["text"].split()) > 8
