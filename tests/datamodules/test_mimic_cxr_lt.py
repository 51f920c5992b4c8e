"""MIMIC-CXR-LT's reader on files that were typed by hand from the release's description."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules.mimic_cxr_lt import CLASSES, GROUPS, MimicCxrLt

COLUMNS = (  # of the release: fourteen labels by the alphabet, then five
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Enlarged Cardiomediastinum",
    "Fracture",
    "Lung Lesion",
    "Lung Opacity",
    "No Finding",
    "Pleural Effusion",
    "Pleural Other",
    "Pneumonia",
    "Pneumothorax",
    "Support Devices",
    "Pneumoperitoneum",
    "Pneumomediastinum",
    "Subcutaneous Emphysema",
    "Tortuous Aorta",
    "Calcification of the Aorta",
)
ROWS = {
    "train": [("10000001", "No Finding"), ("11000002", "Fracture"), ("12000003", "Edema")],
    "balanced-val": [("13000004", "Pneumomediastinum")],
    "balanced-test": [("14000005", "Tortuous Aorta")],
    "test": [("14000005", "Tortuous Aorta"), ("15000006", "No Finding")],
}


def dicom(subject: str) -> str:
    return f"{subject}-4e5f6071-8293a4b5-c6d7e8f9-01234567"


def table(rows: list[tuple[str, str]]) -> str:
    lines = [",".join(("subject_id", "study_id", "dicom_id", "path", *COLUMNS))]
    for subject, name in rows:
        path = f"files/p{subject[:2]}/p{subject}/s5{subject[1:]}/{dicom(subject)}.jpg"
        ones = [str(int(column == name)) for column in COLUMNS]
        lines.append(",".join((subject, f"5{subject[1:]}", dicom(subject), path, *ones)))
    return "\n".join(lines) + "\n"


def write(root: Path, name: str = "mimic-cxr-lt", **changes: str) -> Path:
    (root / "mimic-cxr-lt").mkdir(parents=True)
    release = root / "mimic-cxr-jpg/2.0.0"
    views = ["dicom_id,ViewPosition"]
    for part, rows in ROWS.items():
        text = changes.get(part.replace("-", "_"), table(rows))
        (root / f"mimic-cxr-lt/{name}_single-label_{part}.csv").write_text(text)
        for line in table(rows).splitlines()[1:]:
            path = release / line.split(",")[3]
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.eye(24, dtype=np.uint8) * 200).save(path)
            views.append(f"{path.stem},{'LL' if path.stem[1] == '1' else 'PA'}")
    unique = "\n".join(dict.fromkeys(views)) + "\n"
    (release / "mimic-cxr-2.0.0-metadata.csv").write_text(unique)
    return root


def data(root: Path, **settings: Any) -> MimicCxrLt:
    given: dict[str, Any] = {"image_size": 24, "expect": "subset"}
    return MimicCxrLt(str(root), **(given | settings))


def samples(module: MimicCxrLt, split: str) -> dict[str, dict[str, Any]]:
    cases = module.split(split)
    return {cases[i]["subject_id"]: cases[i] for i in range(len(cases))}


@pytest.mark.parametrize("name", ["mimic-cxr-lt", "mimic-lt"])
def test_both_spellings_of_the_files(tmp_path: Path, name: str) -> None:
    module = data(write(tmp_path, name))
    assert module.check() == []
    assert {n: len(module.split(n)) for n in module.splits} == {
        "train": 3,
        "validation": 1,
        "test": 1,
    }


def test_a_sample_has_one_class_by_name(tmp_path: Path) -> None:
    found = samples(data(write(tmp_path)), "train")
    fracture = found["11000002"]
    assert fracture["label_names"] == list(CLASSES) and fracture["labels"].sum() == 1
    assert fracture["labels"][CLASSES.index("Fracture")] == 1
    assert fracture["meta"]["class"] == "Fracture" and fracture["meta"]["group"] == "medium"
    assert fracture["meta"]["view"] == "lateral" and found["10000001"]["meta"]["view"] == "PA"
    assert fracture["image"].shape == (1, 24, 24)


def test_the_groups_hold_every_class_once() -> None:
    assert [len(names) for names in GROUPS.values()] == [10, 6, 3]
    assert set(CLASSES) == set(COLUMNS) and len(CLASSES) == 19


def test_the_test_may_be_the_full_one(tmp_path: Path) -> None:
    assert set(samples(data(write(tmp_path), test="full"), "test")) == {"14000005", "15000006"}


def test_counts_are_those_of_the_release(tmp_path: Path) -> None:
    found = data(write(tmp_path), expect="full").check()
    assert any("validation: 1 where the release has 285" in line for line in found)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("0,1,0", "0,1,1", "row 2: 2 classes are 1"),
        ("files/p10", "../p10", "row 2: path is '../p10/"),
        (dicom("11000002") + ",", dicom("10000001") + ",", "row 3: dicom_id"),
        ("12000003,5", "13000004,5", "1 subjects stand in train and in validation"),
        ("Edema", "Oedema", "no column Edema"),
    ],
)
def test_a_table_at_fault_is_named_with_its_row(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    text = table(ROWS["train"])
    assert old in text
    found = data(write(tmp_path, train=text.replace(old, new, 1))).check()
    assert len(found) == 1 and words in found[0], found


def test_a_missing_table_shows_what_belongs_there(tmp_path: Path) -> None:
    root = write(tmp_path)
    (root / "mimic-cxr-lt/mimic-cxr-lt_single-label_train.csv").unlink()
    assert "(or mimic-lt_single-label_train.csv)" in data(root).check()[0]


def test_two_tables_of_one_split_must_agree(tmp_path: Path) -> None:
    root = write(tmp_path)
    other = root / "mimic-cxr-lt/mimic-lt_single-label_train.csv"
    other.write_text(table(ROWS["train"][:2]))
    assert "differ" in data(root).check()[0]


def test_absent_images_are_counted(tmp_path: Path) -> None:
    root = write(tmp_path)
    next(root.rglob(f"{dicom('12000003')}.jpg")).unlink()
    module = data(root)
    assert len(module.split("train")) == 2
    assert "train: 1 dropped: not there (expect=subset)" in module.funnel()
    assert "missing" in " ".join(data(root, expect="full").check())
