"""CheXpert's reader on files that were typed by hand from the release's description."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules.chexpert import Chexpert

LABELS = (
    "No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,"
    "Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,"
    "Support Devices"
)
SMALL = "CheXpert-v1.0-small"
TRAIN = f"""\
Path,Sex,Age,Frontal/Lateral,AP/PA,{LABELS}
{SMALL}/train/patient99901/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,,,,,,,,0.0,,,,1.0
{SMALL}/train/patient99901/study1/view2_lateral.jpg,Female,68,Lateral,,1.0,,,,,,,,,0.0,,,,1.0
{SMALL}/train/patient99902/study2/view1_frontal.jpg,Unknown,0,Frontal,PA,,,-1.0,1.0,,,-1.0,,,,1.0,,,
"""
VALID = f"""\
Path,Sex,Age,Frontal/Lateral,AP/PA,{LABELS}
{SMALL}/valid/patient99903/study1/view1_frontal.jpg,Male,73,Frontal,AP,0.0,1.0,1.0,1.0,0.0,0.0,\
0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0
"""
SWAPPED = LABELS.replace("Lung Opacity,Lung Lesion", "Lung Lesion,Lung Opacity")
TRUTH = f"""\
Study,{SWAPPED}
CheXpert-v1.0/test/patient99904/study1,0,0,0,0,1,0,0,0,0,0,0,0,0,0
CheXpert-v1.0/test/patient99905/study1,1,0,0,0,0,0,0,0,0,0,0,0,0,0
"""
TEST = f"""\
Path,{LABELS}
test/patient99904/study1/view1_lateral.jpg,0,0,0,1,0,0,0,0,0,0,0,0,0,0
test/patient99904/study1/view2_frontal.jpg,0,0,0,1,0,0,0,0,0,0,0,0,0,0
test/patient99905/study1/view1_frontal.jpg,1,0,0,0,0,0,0,0,0,0,0,0,0,0
"""


def write(root: Path, folder: str = SMALL, **changes: str) -> Path:
    """A small release with all its parts; `changes` replace the text of a table."""
    texts = {
        "train": (f"{folder}/train.csv", TRAIN),
        "valid": (f"{folder}/valid.csv", VALID),
        "truth": ("groundtruth.csv", TRUTH),
        "test": ("CheXpert/test_labels.csv", TEST),
    }
    for name, (place, text) in texts.items():
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(changes.get(name, text))
    for line in [*TRAIN.splitlines()[1:], *VALID.splitlines()[1:]]:
        save(root / folder / line.split(",")[0].partition("/")[2])
    for line in TEST.splitlines()[1:]:
        save(root / "CheXpert" / line.split(",")[0])
    return root


def save(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.full((32, 40), 200, np.uint8)
    grey[6:24, 6:15] = grey[6:24, 25:33] = 40
    Image.fromarray(grey).save(path)


def data(root: Path, **settings: Any) -> Chexpert:
    given: dict[str, Any] = {"image_size": 32, "expect": "subset"}
    return Chexpert(str(root), **(given | settings))


def samples(module: Chexpert, split: str) -> dict[str, dict[str, Any]]:
    films = module.split(split)
    return {films[i]["sample_id"]: films[i] for i in range(len(films))}


def values(sample: dict[str, Any]) -> dict[str, float]:
    return dict(zip(sample["label_names"], sample["labels"].tolist(), strict=True))


def test_samples_of_every_split(tmp_path: Path) -> None:
    module = data(write(tmp_path))
    assert module.check() == []
    train = samples(module, "train")
    assert set(train) == {"patient99901/study1/view1", "patient99902/study2/view1"}
    first, second = train.values()
    if first["subject_id"] != "patient99901":
        first, second = second, first
    assert first["age"] == 68 and first["meta"]["view"] == "AP" and first["meta"]["sex"] == "Female"
    assert np.isnan(second["age"]) and second["meta"]["sex"] == "Unknown"
    assert np.isnan(values(second)["Cardiomegaly"]) and values(second)["Pleural Effusion"] == 1
    assert second["text"] == "Lung opacity and pleural effusion."
    assert second["meta"]["caption_source"] == "labels"
    assert set(samples(module, "validation")) == {"patient99903/study1/view1"}


def test_the_test_is_one_frontal_image_a_study_in_an_order_of_its_own(tmp_path: Path) -> None:
    found = samples(data(write(tmp_path)), "test")
    assert set(found) == {"patient99904/study1/view2", "patient99905/study1/view1"}
    labels = values(found["patient99904/study1/view2"])
    assert labels["Lung Opacity"] == 1 and labels["Lung Lesion"] == 0


def test_images_may_be_evaluated_instead_of_studies(tmp_path: Path) -> None:
    found = samples(data(write(tmp_path), test_labels="image", views="all"), "test")
    assert len(found) == 3
    assert values(found["patient99904/study1/view1"])["Lung Opacity"] == 1


def test_lateral_films_are_there_when_asked_for(tmp_path: Path) -> None:
    found = samples(data(write(tmp_path), views="all"), "train")
    assert found["patient99901/study1/view2"]["meta"]["view"] == "lateral"


def test_the_release_folder_may_have_another_name(tmp_path: Path) -> None:
    module = data(write(tmp_path, "my_chexpert"))
    assert module.check() == [] and len(module.split("train")) == 2
    other = write(tmp_path / "other")
    assert data(other).content("train") == module.content("train")


def test_two_releases_need_a_word(tmp_path: Path) -> None:
    write(write(tmp_path), "CheXpert-v1.0")
    assert "say which with data.release=NAME" in data(tmp_path).check()[0]
    assert data(tmp_path, release="CheXpert-v1.0").check() == []


def test_the_validation_of_the_later_download(tmp_path: Path) -> None:
    root = write(tmp_path)
    (root / SMALL / "valid.csv").unlink()
    save(root / "CheXpert/val/patient99906/study1/view1_frontal.jpg")
    zeros = ",".join(["0"] * 14)
    (root / "CheXpert/val_labels.csv").write_text(
        f"Path,{LABELS}\nCheXpert-v1.0/val/patient99906/study1/view1_frontal.jpg,{zeros}\n"
    )
    assert set(samples(data(root), "validation")) == {"patient99906/study1/view1"}


def test_captions_of_a_file(tmp_path: Path) -> None:
    write(tmp_path)
    table = tmp_path / "captions.csv"
    table.write_text("study,caption\npatient99904/study1,A nodule.\n")
    module = data(tmp_path, captions=str(table))
    found = samples(module, "test")
    assert found["patient99904/study1/view2"]["text"] == "A nodule."
    assert found["patient99904/study1/view2"]["meta"]["caption_source"] == "file"
    assert found["patient99905/study1/view1"]["text"] == "No finding."
    table.write_text("study,caption\npatient99904/study1,\n")
    assert "row 2: the caption is empty" in data(tmp_path, captions=str(table)).check()[0]


def test_counts_are_those_of_the_release(tmp_path: Path) -> None:
    found = data(write(tmp_path), expect="full").check()
    assert any("train: 3 where the release has 223414" in line for line in found)
    assert any("test: 2 where the release has 500" in line for line in found)


@pytest.mark.parametrize(
    ("table", "old", "new", "words"),
    [
        ("train", ",68,Frontal", ",old,Frontal", "row 2: Age is 'old'"),
        ("train", ",AP,1.0", ",AP,2.0", "row 2: No Finding is '2.0'; a label is 1, 0, -1 or blank"),
        ("train", "view2_lateral", "view1_frontal", "row 3: Path"),
        ("train", f"{SMALL}/train/p", f"{SMALL}/../p", "does not end with train/PATIENT/STUDY"),
        ("train", "Sex,Age", "Sex,Ages", None),
        ("valid", "patient99903", "patient99901", "1 subjects stand in train and in validation"),
        ("truth", "Edema", "Oedema", "no column Edema; did you mean Oedema?"),
        ("truth", "patient99905/study1", "patient99904/study1", "row 3: Study"),
    ],
)
def test_a_table_at_fault_is_named_with_its_row(
    tmp_path: Path, table: str, old: str, new: str, words: str | None
) -> None:
    text = {"train": TRAIN, "valid": VALID, "truth": TRUTH}[table]
    assert old in text
    found = data(write(tmp_path, **{table: text.replace(old, new)})).check()
    assert (len(found) == 1 and words in found[0]) if words else not found, found


def test_a_study_without_a_frontal_image(tmp_path: Path) -> None:
    root = write(tmp_path)
    (root / "CheXpert/test/patient99904/study1/view2_frontal.jpg").unlink()
    assert any("has no frontal image" in line for line in data(root, expect="full").check())
    assert set(samples(data(root), "test")) == {"patient99905/study1/view1"}


def test_a_missing_part_shows_what_belongs_there(tmp_path: Path) -> None:
    assert "folder with a train.csv" in data(tmp_path).check()[0]
    root = write(tmp_path)
    assert "give its parent" in data(root / SMALL).check()[0]
    (root / "groundtruth.csv").unlink()
    assert "groundtruth.csv is missing" in data(root).check()[0]
