"""Every kind of bad input, as a user meets it: the doctor names file, row and what to do.

Each case spoils a copy of a good root and looks at it as typed."""

import csv
import gzip
import io
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.phantom.writing import write_layout
from medbench.doctor import main as doctor
from tests.datamodules.handmade import dicom, nifti

Spoil = Callable[[Path], object]
IMAGES = {"ct_rate": 4, "ct_report": 6, "radchest": 4}
SHEARED = np.array([[1, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])
SIZE = {"mimic_cxr_jpg": ("image_size=32",), "chexpert": ("image_size=32",)}
VIEWS = {"mimic_cxr_jpg": ("data.views=[PA,AP,lateral,other]", "data.section=none")}


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Each root, made once; a case spoils a copy of it."""
    found: dict[str, Path] = {}

    def root_of(name: str) -> Path:
        if name not in found:
            root = found[name] = tmp_path_factory.mktemp(name) / "root"
            if name == "folder":
                fill(root)
            else:
                write_layout(name, root, IMAGES.get(name, 20), size=32)
        return found[name]

    return root_of


def fill(root: Path) -> None:
    """Six pictures of three kinds, with a table."""
    root.mkdir()
    draw = np.random.default_rng(0)
    for i in range(6):
        grey = draw.integers(0, 255, (32, 32)).astype(np.uint8)
        if i < 4:
            Image.fromarray(grey).save(root / f"{i}.{'jpg' if i % 2 else 'png'}", quality=95)
        else:
            (root / f"{i}.dcm").write_bytes(dicom(grey))
    lines = [f"{p.name},text {p.stem},s{p.stem},1" for p in sorted(root.iterdir())]
    text = "\n".join(["file,text,sample_id,effusion", *lines, ""])
    (root / "captions.csv").write_text(text, encoding="utf-8")


# ways to spoil a root ---------------------------------------------------------------------
def first(root: Path, pattern: str) -> Path:
    """The first file of a pattern; of a radiograph the first that is looked at."""
    return sorted(root.rglob(pattern))[0]


def every(pattern: str, work: Callable[[Path], object]) -> Spoil:
    return lambda root: [work(path) for path in sorted(root.rglob(pattern))]


def one(pattern: str, work: Callable[[Path], object]) -> Spoil:
    return lambda root: work(first(root, pattern))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def blacken(path: Path) -> None:
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(path)


def retable(pattern: str, change: Callable[[list[list[str]]], object]) -> Spoil:
    """Change the cells of a table, packed or not; row 0 is its header."""

    def work(path: Path) -> None:
        packed = path.suffix == ".gz"
        data = path.read_bytes()
        text = (gzip.decompress(data) if packed else data).decode()
        cells = list(csv.reader(io.StringIO(text)))
        change(cells)
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(cells)
        encoded = out.getvalue().encode("latin-1" if "\xfc" in out.getvalue() else "utf-8")
        path.write_bytes(gzip.compress(encoded) if packed else encoded)

    return one(pattern, work)


def cell(row: int, name: str, value: str) -> Callable[[list[list[str]]], object]:
    def change(cells: list[list[str]]) -> None:
        cells[row][cells[0].index(name)] = value

    return change


def again(row: int) -> Callable[[list[list[str]]], object]:
    """The row once more, as the last."""
    return lambda cells: cells.append(list(cells[row]))


def outward(root: Path) -> None:
    """One picture becomes a link to a file outside."""
    inside = root / "0.png"
    outside = root.parent / "outside.png"
    shutil.move(inside, outside)
    inside.symlink_to(outside)


def pack(root: Path) -> None:
    """A zip lies where the folder was."""
    packed = Path(shutil.make_archive(str(root), "zip", root))
    shutil.rmtree(root)
    packed.rename(root)


def negative(root: Path) -> None:
    grey = np.random.default_rng(4).integers(0, 255, (32, 32)).astype(np.uint8)
    (root / "5.dcm").write_bytes(dicom(255 - grey, "MONOCHROME1"))


def shear(path: Path) -> None:
    nifti(path, np.zeros((8, 8, 8), np.int16), SHEARED)


MIMIC = "mimic-cxr-2.0.0-{}.csv.gz"
META, LABELS = MIMIC.format("metadata"), MIMIC.format("chexpert")
TRAIN_REPORTS, RAD = "train_reports.csv", "imgtrain_*.csv"
FOLDER = "captions.csv"
Case = tuple[str, str, Spoil, tuple[str, ...]]  # dataset, level, what is done, what is said
CASES: dict[str, Case] = {
    "a truncated JPEG": (
        "folder", "fast", one("1.jpg", cut), ("1.jpg is cut off", "Fetch it again", "bad_files="),
    ),
    "truncated radiographs": (
        "mimic_cxr_jpg", "fast", every("*.jpg", cut), (".jpg is cut off", "Fetch it again"),
    ),
    "an all-black image": (
        "folder", "full", one("2.png", blacken), ("2.png is all black", "Replace it"),
    ),
    "black radiographs": (
        "mimic_cxr_jpg", "full", every("*.jpg", blacken), (".jpg is all black", "Replace it"),
    ),
    "a sheared NIfTI": (
        "ct_report", "fast", one("case_00001.nii.gz", shear),
        ("case_00001.nii.gz has a sheared affine", "Resample it to a right-angled grid"),
    ),
    "a missing column": (
        "folder", "fast", retable(FOLDER, cell(0, "file", "fil")),
        ("captions.csv has no column for the file name; call it file. It has fil, text",),
    ),
    "a missing column of MIMIC": (
        "mimic_cxr_jpg", "fast", retable(META, cell(0, "ViewPosition", "View Position")),
        (f"{META} has no column ViewPosition; did you mean View Position?",),
    ),
    "a missing column of a manifest": (
        "ct_report", "fast", retable("manifest.csv", cell(0, "volume", "volumes")),
        ("manifest.csv, line 1: the column volume is missing; did you mean volumes? The file",),
    ),
    "a missing column of CT-RATE": (
        "ct_rate", "fast", retable(TRAIN_REPORTS, cell(0, "Findings_EN", "Findings")),
        (f"{TRAIN_REPORTS}, line 1: the column Findings_EN is missing; did you mean Findings?",),
    ),
    "mixed encodings": (
        "folder", "fast", retable(FOLDER, cell(2, "text", "M\xfcller")),
        ("captions.csv, line 3: byte 0xfc is not UTF-8", "Save it as UTF-8"),
    ),
    "mixed encodings of a large table": (
        "mimic_cxr_jpg", "fast",
        retable(META, cell(3, "ProcedureCodeSequence_CodeMeaning", "M\xfcller")),
        (f"{META}, line 4: byte 0xfc is not UTF-8", "Save it as UTF-8"),
    ),
    "an id twice": (
        "folder", "fast", retable(FOLDER, cell(2, "sample_id", "s0")),
        ("captions.csv: sample_id 's0' stands in rows 2 and 3", "Change one of them"),
    ),
    "an image twice": (
        "mimic_cxr_jpg", "fast", retable(META, again(2)),
        (f"{META}, row 22: dicom_id ", "stands already in row 3", "take one out"),
    ),
    "a study's labels twice": (
        "mimic_cxr_jpg", "fast", retable(LABELS, again(2)), (LABELS, "stands already in row 3"),
    ),
    "a case twice": (
        "ct_report", "fast", retable("manifest.csv", again(2)),
        ("manifest.csv: case_id 'case_00002' stands in rows 3 and 11", "Delete one of them"),
    ),
    "a report twice": (
        "ct_rate", "fast", retable(TRAIN_REPORTS, again(2)),
        (TRAIN_REPORTS, "stands in rows 3 and 5; it must be unique. Delete one of them"),
    ),
    "labels of a volume twice": (
        "radchest", "fast", retable(RAD, again(1)),
        ("Location_Labels.csv: NoteAcc_DEID 'trn00001' stands in rows 2 and 4",),
    ),
    "a label outside its coding": (
        "mimic_cxr_jpg", "fast", retable(LABELS, cell(2, "Edema", "2")),
        (f"{LABELS}, row 3: Edema is '2'; a label is 1, 0, -1 or blank. Mend the cell",),
    ),
    "a label of CheXpert outside its coding": (
        "chexpert", "fast", retable("train.csv", cell(2, "Edema", "maybe")),
        ("train.csv, row 3: Edema is 'maybe'; a label is 1, 0, -1 or blank. Mend the cell",),
    ),
    "a label of a manifest outside its coding": (
        "ct_report", "fast", retable("manifest.csv", cell(2, "label_nodule", "yes")),
        ("manifest.csv, row 3: label_nodule is 'yes'; a label is 1, 0, -1 or blank. Mend",),
    ),
    "a label of RAD-ChestCT outside its coding": (
        "radchest", "fast", retable(RAD, cell(1, "opacity*right_upper", "2")),
        ("Location_Labels.csv, row 2: opacity*right_upper is '2'; a label is 0 or 1. Mend",),
    ),
    "a label that is no number": (
        "folder", "fast", retable(FOLDER, cell(2, "effusion", "yes")),
        ("captions.csv, row 3: the label effusion is 'yes', which is not a number",),
    ),
    "a zip in place of a folder": (
        "mimic_cxr_jpg", "fast", pack, ("root is an archive. Unpack it, and set data.root",),
    ),
    "a path above the root": (
        "folder", "fast", retable(FOLDER, cell(2, "file", "../x.png")),
        ("captions.csv, row 3: '../x.png' leads outside the folder. Give a path inside",),
    ),
    "an absolute path": (
        "ct_report", "fast", retable("manifest.csv", cell(2, "volume", "/etc/passwd")),
        ("manifest.csv, row 3: '/etc/passwd' leads outside the folder. Give a path inside",),
    ),
    "a link out of the root": (
        "folder", "fast", outward,
        ("captions.csv, row 2: '0.png' is a link to ", "outside the folder. Copy the file into"),
    ),
    "a path of CheXpert above the root": (
        "chexpert", "fast", retable("train.csv", cell(2, "Path", "../x.jpg")),
        ("train.csv, row 3: '../x.jpg' does not end with train/PATIENT/STUDY/VIEW.jpg. Mend",),
    ),
    "a path of MIMIC-CXR-LT above the root": (
        "mimic_cxr_lt", "fast", retable("*label_train.csv", cell(2, "path", "../../x.jpg")),
        ("label_train.csv, row 3: path is '../../x.jpg'; it must be files/p1x/",),
    ),
}  # fmt: skip
SAID: dict[str, Case] = {  # what is no mistake, and is said
    "an inverted DICOM": (
        "folder", "fast", negative,
        ("1 of 2 DICOM files are MONOCHROME1 (low values are bright), such as 5.dcm: they are",),
    ),
    "an empty report": (
        "mimic_cxr_jpg", "fast", one("s5*.txt", lambda path: path.write_text("")),
        (" dropped: no impression in the report",),
    ),
    "an empty report of a CT": (
        "ct_report", "fast", every("case_*.txt", lambda path: path.write_text("")),
        ("1 of 9 texts (findings_impression) are empty, such as case_00002's",),
    ),
}  # fmt: skip


def look(
    name: str, root: Path, level: str, capsys: pytest.CaptureFixture[str], *more: str
) -> tuple[int, str]:
    """The doctor's status and words about a root."""
    words = [f"data={name}", f"data.root={root}", f"out={root.parent / 'out'}", f"level={level}"]
    status = doctor([*words, *(f"data.{word}" for word in SIZE.get(name, ())), *more])
    return status, capsys.readouterr().out


@pytest.mark.parametrize("what", CASES | SAID)
def test_bad_input_has_its_sentence(
    what: str,
    good: Callable[[str], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name, level, spoil, sentences = (CASES | SAID)[what]
    root = tmp_path / "root"
    shutil.copytree(good(name), root)
    spoil(root)
    status, said = look(name, root, level, capsys)
    assert status == (what in CASES)
    for sentence in sentences:
        assert sentence in said, said


def test_the_roots_are_good_before_they_are_spoiled(
    good: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in sorted({case[0] for case in CASES.values()}):
        root = tmp_path / name / "root"
        shutil.copytree(good(name), root)
        assert look(name, root, "full", capsys)[0] == 0, name


def test_a_part_of_radchest_is_told(
    good: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    shutil.copytree(good("radchest"), root)
    (root / "PHANTOM.json").unlink()
    status, text = look("radchest", root, "fast", capsys)
    assert status == 0 and "4 volumes are here; the release has 3630" in text


def test_a_root_without_permission_is_said(
    good: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where the tests run as root, no mode of a file binds: the system's answers are replaced."""
    root = tmp_path / "root"
    shutil.copytree(good("folder"), root)
    (root / "locked").mkdir()
    listed = os.scandir

    def scan(path: str = ".") -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scan)
        status, said = look("folder", root, "fast", capsys)
    assert status == 1 and f"{root / 'locked'} may not be listed by you" in said
    monkeypatch.setattr(os, "access", lambda *_: False)
    status, said = look("folder", root, "fast", capsys)
    assert status == 1 and f"root={root} may not be read by you. Ask its owner" in said


def test_bad_files_are_left_out_by_the_word_that_is_printed(
    good: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, spoil in (
        ("mimic_cxr_jpg", one("*.jpg", cut)),
        ("ct_report", one("case_00001.nii.gz", shear)),
        ("ct_rate", one("*.nii.gz", shear)),
        ("radchest", one("trn*.npz", cut)),
    ):
        root = tmp_path / name / "root"
        shutil.copytree(good(name), root)
        spoil(root)
        status, said = look(name, root, "fast", capsys, *VIEWS.get(name, ()))
        [word] = re.findall(r"data\.bad_files=\S+\.txt", said)
        assert status == 1, name
        status, said = look(name, root, "full", capsys, word, *VIEWS.get(name, ()))
        assert status == 0 and "1 files are left out by data.bad_files: " in said, said
