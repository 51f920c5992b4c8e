"""CheXpert's and MIMIC-CXR-LT's layouts through the files: every quirk, and the rule it needs."""

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.chexpert import Chexpert
from datamodules.mimic_cxr_lt import CLASSES, GROUPS, MimicCxrLt
from datamodules.phantom.cxr import address, draw_study, least_feature
from datamodules.phantom.cxr_study import labels_of
from datamodules.phantom.layouts import chexpert, mimic_cxr_lt
from datamodules.phantom.writing import write_layout
from datamodules.preparing import prepare

SIZE = 48
NAME = "CheXpert-v1.0-small"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_layout("chexpert", tmp_path_factory.mktemp("chexpert") / "root", 40, size=SIZE)


@pytest.fixture(scope="module")
def tails(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_layout("mimic_cxr_lt", tmp_path_factory.mktemp("lt") / "root", 180, size=SIZE)


def samples(module: Any, name: str) -> dict[str, dict[str, Any]]:
    films = module.split(name)
    return {s["sample_id"]: s for s in map(films.describe, range(len(films)))}


def values(sample: dict[str, Any]) -> dict[str, float]:
    return dict(zip(sample["label_names"], sample["labels"].tolist(), strict=True))


def data(root: Path, **settings: Any) -> Chexpert:
    return Chexpert(str(root), **({"image_size": SIZE} | settings))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_is_written_is_read_as_it_was_drawn(root: Path) -> None:
    module = data(root)
    assert module.phantom and module.check("full") == []
    found = samples(module, "test")
    for number, name in enumerate(sorted(found)):
        place = address(0, "test", 600_000 + number)
        assert values(found[name]) == labels_of(draw_study(place, min_feature=least_feature(SIZE)))
    assert sorted({s["subject_id"] for s in found.values()})[0] == "patient64741"


def test_a_prepared_copy_gives_the_same(root: Path, tmp_path: Path) -> None:
    plain = data(root, image_size=24)
    prepare(plain.preparations()["resized"], tmp_path, quiet=True)
    copy = data(root, image_size=24, prepared=str(tmp_path))
    for name in plain.splits:
        one, other = plain.split(name)[0], copy.split(name)[0]
        assert np.array_equal(one["image"], other["image"])
    assert plain.content("train") == copy.content("train")


def has_quirk(quirk: str, root: Path, tmp_path: Path) -> bool:
    train = rows(root / NAME / "train.csv")
    truth = root / "groundtruth.csv"
    if quirk == "unknown_sex":
        found = samples(data(root), "train")["patient00001/study1/view1"]
        return train[0]["Sex"] == "Unknown" and found["meta"]["sex"] == "Unknown"
    if quirk == "age_0":
        found = samples(data(root), "train")["patient00002/study1/view1"]
        row = next(row for row in train if "patient00002" in row["Path"])
        return row["Age"] == "0" and bool(np.isnan(found["age"]))
    if quirk == "blank_position":
        lateral = [row for row in train if row["Frontal/Lateral"] == "Lateral"]
        views = {s["meta"]["view"] for s in samples(data(root, views="all"), "train").values()}
        return {row["AP/PA"] for row in lateral} == {""} and "lateral" in views
    if quirk == "swapped_order":
        header = truth.read_text().splitlines()[0].split(",")
        labels = [row for row in rows(truth) if row["Lung Opacity"] != row["Lung Lesion"]]
        found = samples(data(root), "test")
        same = [
            values(found[name])["Lung Opacity"] == float(row["Lung Opacity"])
            for row in labels
            for name in found
            if name.startswith("/".join(row["Study"].split("/")[2:]))
        ]
        return header.index("Lung Lesion") < header.index("Lung Opacity") and same and all(same)
    if quirk == "path_prefix":
        flavours = {"folder": "renamed"}
        other = write_layout("chexpert", tmp_path / "named", 12, size=32, flavours=flavours)
        first = rows(other / "renamed" / "train.csv")[0]["Path"]
        return first.startswith(f"{NAME}/train/") and data(other).check() == []
    if quirk == "floats":
        cells = {row["Edema"] for row in train}
        assert {row["Edema"] for row in rows(truth)} <= {"0", "1"}
        kept = samples(data(root, uncertain="keep"), "train").values()
        known = np.concatenate([s["labels"] for s in kept])
        return cells <= {"1.0", "0.0", "-1.0", ""} and {-1.0, 0.0, 1.0} >= set(
            known[~np.isnan(known)]
        )
    if quirk == "lateral_first":
        files = sorted(p.name for p in (root / "CheXpert/test/patient64741/study1").iterdir())
        found = samples(data(root), "test")
        return files[0] == "view1_lateral.jpg" and "patient64741/study1/view2" in found
    flavours = {"validation": "later"}
    other = write_layout("chexpert", tmp_path / "later", 12, size=32, flavours=flavours)
    assert quirk == "later_validation" and not (other / NAME / "valid.csv").exists()
    return data(other).check() == [] and len(samples(data(other), "validation")) > 0


@pytest.mark.parametrize("quirk", chexpert.QUIRKS)
def test_every_quirk_of_chexpert(quirk: str, root: Path, tmp_path: Path) -> None:
    assert has_quirk(quirk, root, tmp_path)


def test_images_and_studies_of_the_test_have_the_same_labels(root: Path) -> None:
    studies = samples(data(root), "test")
    images = samples(data(root, test_labels="image"), "test")
    assert studies.keys() <= images.keys()
    assert all(values(studies[name]) == values(images[name]) for name in studies)


# the long tail --------------------------------------------------------------------------
def long_tail(root: Path, **settings: Any) -> MimicCxrLt:
    return MimicCxrLt(str(root), **({"image_size": SIZE} | settings))


def counted(root: Path) -> Counter[str]:
    return Counter(s["meta"]["class"] for s in samples(long_tail(root), "train").values())


def tail_quirk(quirk: str, root: Path, tmp_path: Path) -> bool:
    table = root / "mimic-cxr-lt/mimic-cxr-lt_single-label_train.csv"
    if quirk == "file_names":
        flavours = {"names": "mimic-lt"}
        other = write_layout("mimic_cxr_lt", tmp_path / "other", 24, size=32, flavours=flavours)
        assert (other / "mimic-cxr-lt/mimic-lt_single-label_train.csv").is_file()
        return long_tail(other).check() == []
    if quirk == "one_hot":
        cells = [[row[name] for name in CLASSES] for row in rows(table)]
        found = samples(long_tail(root), "train").values()
        assert all(sorted(set(row)) == ["0", "1"] and row.count("1") == 1 for row in cells)
        return all(sample["labels"].sum() == 1 for sample in found)
    if quirk == "column_order":
        columns = [name for name in rows(table)[0] if name in CLASSES]
        found = samples(long_tail(root), "train")
        by_name = {row["dicom_id"]: row for row in rows(table)}
        same = all(by_name[n][s["meta"]["class"]] == "1" for n, s in found.items())
        return columns != list(CLASSES) and same
    if quirk == "long_tail":
        counts = counted(root)
        shares = [min(counts[name] for name in names) for names in GROUPS.values()]
        return shares[0] >= 7 and 2 <= shares[1] <= 4 and 1 <= shares[2] <= 2
    assert quirk == "several_images"
    found = samples(long_tail(root), "train").values()
    studies = Counter(sample["meta"]["study_id"] for sample in found)
    return max(studies.values()) == 2 and "lateral" in {s["meta"]["view"] for s in found}


@pytest.mark.parametrize("quirk", mimic_cxr_lt.QUIRKS)
def test_every_quirk_of_the_long_tail(quirk: str, tails: Path, tmp_path: Path) -> None:
    assert tail_quirk(quirk, tails, tmp_path)


def test_the_long_tail_shows_its_class_alone(tails: Path) -> None:
    module = long_tail(tails, test="full", section="report")
    assert module.check() == []
    for sample in samples(module, "test").values():
        assert sample["text"] and sample["texts"]["report"].startswith("FINAL REPORT")
    assert len(samples(long_tail(tails), "test")) >= 19  # of each class one
