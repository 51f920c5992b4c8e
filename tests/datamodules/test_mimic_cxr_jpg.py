"""MIMIC-CXR-JPG's reader on files that were typed by hand from the release's description."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules.labels import CANONICAL
from datamodules.mimic_cxr_jpg import MimicCxrJpg
from datamodules.mimic_tables import moment
from medbench.core.errors import UserError

A = "0a1b2c3d-4e5f6071-8293a4b5-c6d7e8f9-01234567"
B = "1a1b2c3d-4e5f6071-8293a4b5-c6d7e8f9-01234567"
C = "2a1b2c3d-4e5f6071-8293a4b5-c6d7e8f9-01234567"
D = "3a1b2c3d-4e5f6071-8293a4b5-c6d7e8f9-01234567"
E = "4a1b2c3d-4e5f6071-8293a4b5-c6d7e8f9-01234567"
METADATA = f"""\
dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,\
StudyTime,ProcedureCodeSequence_CodeMeaning,ViewCodeSequence_CodeMeaning,\
PatientOrientationCodeSequence_CodeMeaning
{A},10000001,50000009,CHEST (PA AND LAT),PA,40,32,21470312,80556.875,CHEST,postero-anterior,Erect
{B},10000001,50000009,CHEST (PA AND LAT),LATERAL,40,32,21470312,80556.875,CHEST,lateral,Erect
{C},11000002,50000002,CHEST (PORTABLE AP),AP,40,32,21500101,1530.0,CHEST,antero-posterior,Recumbent
{D},19000003,50000003,CHEST (PA AND LAT),,40,32,21330704,235959.5,CHEST,,
{E},19000003,50000004,"CHEST (PA, LAT)",PA,40,32,21330704,0.0,CHEST,postero-anterior,Erect
"""
SPLIT = f"""\
dicom_id,study_id,subject_id,split
{E},50000004,19000003,test
{D},50000003,19000003,test
{C},50000002,11000002,validate
{B},50000009,10000001,train
{A},50000009,10000001,train
"""
HEADER = (
    "subject_id,study_id,Atelectasis,Cardiomegaly,Consolidation,Edema,Enlarged Cardiomediastinum,"
    "Fracture,Lung Lesion,Lung Opacity,No Finding,Pleural Effusion,Pleural Other,Pneumonia,"
    "Pneumothorax,Support Devices\n"
)
CHEXPERT = f"""\
{HEADER}10000001,50000009,1.0,,,,-1.0,,,1.0,,0.0,,,0.0,
11000002,50000002,,,,,,,,,,,,,,
19000003,50000004,,,,,,,,,1.0,,,,,1.0
"""
REPORT = """\
                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 FINDINGS:
 There is a small left
 pleural effusion.

 IMPRESSION:
 Small effusion.
"""


def write(root: Path, **changes: str) -> Path:
    """The five images with their tables; `changes` replace the text of a table."""
    texts = {"metadata": METADATA, "split": SPLIT, "chexpert": CHEXPERT, "negbio": CHEXPERT}
    folder = root / "mimic-cxr-jpg" / "2.0.0"
    folder.mkdir(parents=True)
    for name, text in (texts | changes).items():
        path = folder / f"mimic-cxr-2.0.0-{name}.csv.gz"
        path.write_bytes(gzip.compress(text.encode()))
    for line in METADATA.splitlines()[1:]:
        dicom, subject, study = line.split(",")[:3]
        path = folder / f"files/p{subject[:2]}/p{subject}/s{study}/{dicom}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(film()).save(path, quality=95)
        report = root / f"mimic-cxr/2.0.0/files/p{subject[:2]}/p{subject}/s{study}.txt"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(REPORT)
    return root


def film() -> np.ndarray:
    """Two dark lungs beside a bright middle, (40, 32) uint8."""
    grey = np.full((40, 32), 200, np.uint8)
    grey[6:30, 5:13] = grey[6:30, 19:27] = 40
    return grey


def data(root: Path, **settings: Any) -> MimicCxrJpg:
    given: dict[str, Any] = {"section": "none", "expect": "subset", "image_size": 32}
    return MimicCxrJpg(str(root), **(given | settings))


def ids(module: MimicCxrJpg, split: str) -> set[str]:
    films = module.split(split)
    return {films[i]["sample_id"] for i in range(len(films))}


def mistake(root: Path, **settings: Any) -> str:
    found = data(root, **settings).check()
    assert len(found) == 1, found
    return found[0]


def test_a_sample_is_joined_by_name_whatever_the_order(tmp_path: Path) -> None:
    module = data(write(tmp_path))
    assert module.check() == []
    films = module.split("train")
    assert len(films) == 1
    sample = films[0]
    assert sample["image"].shape == (1, 32, 32) and sample["image"].dtype == np.float32
    assert sample["sample_id"] == A and sample["subject_id"] == "10000001"
    values = dict(zip(sample["label_names"], sample["labels"], strict=True))
    assert values["Atelectasis"] == values["Lung Opacity"] == 1
    assert values["Pleural Effusion"] == values["Pneumothorax"] == 0
    assert np.isnan(values["Enlarged Cardiomediastinum"]) and np.isnan(values["Edema"])
    assert sample["meta"]["study_id"] == "50000009" and sample["meta"]["view"] == "PA"
    assert np.isnan(sample["age"]) and sample["race"] == -1


def test_times_have_lost_their_leading_zeros() -> None:
    assert moment("21470312", "80556.875").isoformat() == "2147-03-12T08:05:56.875000"
    assert moment("21500101", "1530.0").isoformat() == "2150-01-01T00:15:30"
    assert moment("21500101", "0.0").hour == 0


@pytest.mark.parametrize(("uncertain", "value"), [("zero", 0), ("one", 1), ("keep", -1)])
def test_doubt_and_blanks_are_what_the_settings_say(
    tmp_path: Path, uncertain: str, value: float
) -> None:
    module = data(write(tmp_path), uncertain=uncertain, blank="zero")
    sample = module.split("train")[0]
    values = dict(zip(sample["label_names"], sample["labels"], strict=True))
    assert values["Enlarged Cardiomediastinum"] == value
    assert values["Edema"] == 0


def test_a_study_without_labels_keeps_its_images(tmp_path: Path) -> None:
    module = data(write(tmp_path), views=["PA", "other"])
    module.split("test")
    assert ids(module, "test") == {D, E}
    films = module.split("test")
    unlabelled = next(films[i] for i in range(2) if films[i]["sample_id"] == D)
    assert np.isnan(unlabelled["labels"]).all()
    assert any("no label table" in line for line in films.funnel)


def test_labels_of_another_labeller(tmp_path: Path) -> None:
    """As CheXbert writes them: columns in another order, and one under its other name."""
    root, table = write(tmp_path / "root"), tmp_path / "chexbert.csv"
    names = ["study_id", *(n.replace("Lung Opacity", "Airspace Opacity") for n in CANONICAL[::-1])]
    cells = ["50000009", "1.0", *[""] * 6, "-1.0", *[""] * 6]
    table.write_text(f"{','.join(names)}\n{','.join(cells)}\n")
    sample = data(root, label_file=str(table)).split("train")[0]
    values = dict(zip(sample["label_names"], sample["labels"], strict=True))
    assert values.pop("Support Devices") == 1 and np.isnan(list(values.values())).all()
    kept = data(root, label_file=str(table), uncertain="keep").split("train")[0]
    assert dict(zip(kept["label_names"], kept["labels"], strict=True))[names[8]] == -1
    own, other = data(root), data(root, label_file=str(table))
    assert own.content("train") != other.content("train")
    table.write_text(table.read_text().replace("50000009", "s50000009"))
    assert "names no study of the release" in mistake(root, label_file=str(table))


def test_views_are_mapped(tmp_path: Path) -> None:
    root = write(tmp_path)
    assert ids(data(root), "train") == {A}
    assert ids(data(root, views=["lateral"], test_views=["other"]), "train") == {B}
    assert ids(data(root, views=["lateral"], test_views=["other"]), "test") == {D}
    assert "views=PAA is not known; did you mean PA?" in mistake(root, views=["PAA"])


def test_groups_split_as_biomedjourney_does(tmp_path: Path) -> None:
    module = data(write(tmp_path), partition="p_group", val_fraction=0.0)
    assert ids(module, "train") == {A, C} and ids(module, "test") == {E}


def test_the_smaller_subset_begins_the_larger(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"partition": "p_group", "val_fraction": 0.0}
    two = data(write(tmp_path), **settings)
    one = data(tmp_path, **settings, n_train=1)
    assert len(one.split("train")) == 1 and len(two.split("train")) == 2
    assert one.split("train")[0]["sample_id"] == two.split("train")[0]["sample_id"]
    assert one.split("train").funnel[-1] == "1 left"


def test_a_partial_copy_must_be_announced(tmp_path: Path) -> None:
    root = write(tmp_path, split=SPLIT, chexpert=CHEXPERT)
    full = data(root, expect="full").check()
    assert any("images: 5 where the release has 377110" in line for line in full)
    path = next(root.rglob(f"{C}.jpg"))
    path.unlink()
    module = data(root, views=["AP", "PA"], partition="p_group", val_fraction=0.0)
    assert ids(module, "train") == {A}
    assert any("1 dropped: its file is not there" in line for line in module.funnel())


def test_bad_files_are_listed_by_the_user(tmp_path: Path) -> None:
    root = write(tmp_path)
    path = next(root.rglob(f"{E}.jpg"))
    path.write_bytes(path.read_bytes()[:-40])
    assert "cut off" in " ".join(data(root).check())
    listed = tmp_path / "bad.txt"
    listed.write_text(path.relative_to(root).as_posix() + "\n")
    module = data(root, views=["PA", "AP", "other"], bad_files=str(listed))
    assert module.check() == [] and ids(module, "test") == {D}
    assert any("listed in bad_files" in line for line in module.funnel())


def test_negatives_are_noticed(tmp_path: Path) -> None:
    root = write(tmp_path)
    for path in root.rglob("*.jpg"):
        Image.fromarray(255 - film()).save(path)
    assert "lungs are brighter than the mediastinum" in mistake(root)


@pytest.mark.parametrize(
    ("table", "old", "new", "words"),
    [
        ("chexpert", "1.0,,,,-1.0", "1.0,,,,-2.0", "row 2: Enlarged Cardiomediastinum is '-2.0'"),
        ("chexpert", "Fracture", "Fractures", "no column Fracture; did you mean Fractures?"),
        ("chexpert", "11000002,50000002", "11000002,50000009", "row 3: study_id 50000009 stands"),
        ("metadata", f"{B},", f"{A},", f"row 3: dicom_id {A} stands already in row 2"),
        ("metadata", "21500101", "215001", "row 4: StudyDate is '215001'"),
        ("metadata", "1530.0", "9930.0", "row 4: StudyTime is '9930.0'"),
        ("metadata", "11000002,", "../../etc,", "row 4: subject_id is '../../etc'"),
        ("split", "validate", "val", "row 4: split is 'val'; did you mean validate?"),
        ("split", f"{C},50000002,11000002,validate\n", "", "lacks 1 images of the metadata"),
        (
            "split",
            f"{D},50000003,19000003,test",
            f"{D},50000003,19000003,train",
            "1 subjects stand in",
        ),
        ("split", ",train\n", ",train,extra\n", "row 5: 5 cells"),
    ],
)
def test_a_table_at_fault_is_named_with_its_row(
    tmp_path: Path, table: str, old: str, new: str, words: str
) -> None:
    text = {"chexpert": CHEXPERT, "metadata": METADATA, "split": SPLIT}[table]
    assert old in text
    assert words in mistake(write(tmp_path, **{table: text.replace(old, new)}))


def test_tables_may_be_unpacked_but_not_differ(tmp_path: Path) -> None:
    folder = write(tmp_path) / "mimic-cxr-jpg" / "2.0.0"
    packed = folder / "mimic-cxr-2.0.0-split.csv.gz"
    plain = folder / "mimic-cxr-2.0.0-split.csv"
    plain.write_text(SPLIT)
    packed.unlink()
    assert data(tmp_path).check() == []
    packed.write_bytes(gzip.compress(SPLIT.replace("test", "train").encode()))
    assert "side by side and differ" in mistake(tmp_path)


def test_the_version_folder_may_be_left_out(tmp_path: Path) -> None:
    folder = write(tmp_path) / "mimic-cxr-jpg"
    for path in list((folder / "2.0.0").iterdir()):
        path.rename(folder / path.name)
    (folder / "2.0.0").rmdir()
    assert data(tmp_path).check() == []


def test_a_wrong_root_shows_what_belongs_there(tmp_path: Path) -> None:
    assert "does not exist" in mistake(tmp_path / "absent")
    assert "Expected below root" in mistake(tmp_path)
    write(tmp_path)
    assert "give its parent" in mistake(tmp_path / "mimic-cxr-jpg" / "2.0.0")
    (tmp_path / "mimic-cxr-jpg" / "2.1.0").mkdir()
    for path in (tmp_path / "mimic-cxr-jpg" / "2.0.0").glob("*.gz"):
        (tmp_path / "mimic-cxr-jpg" / "2.1.0" / path.name).write_bytes(path.read_bytes())
    assert "holds 2.0.0 and 2.1.0" in mistake(tmp_path)


def test_the_content_follows_tables_and_files(tmp_path: Path) -> None:
    root = write(tmp_path)
    before = data(root).content("train")
    assert data(root).content("train") == before
    next(root.rglob(f"{A}.jpg")).write_bytes(b"\xff\xd8\xff other \xff\xd9")
    assert data(root).content("train") != before


def test_a_split_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no split val"):
        data(write(tmp_path)).split("val")
