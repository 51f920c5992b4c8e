"""MIMIC-CXR-JPG's tables, joined by image: who, which study, which view, when, which labels.

Labels belong to studies: every image of a study has them, a lateral included."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np

from datamodules.columns import (
    Columns,
    label_matrix,
    length,
    match,
    read_columns,
    require_unique,
    text,
)
from datamodules.labels import CANONICAL, SYNONYMS
from datamodules.splits import hash_share
from datamodules.tables import find_table
from medbench.core.errors import UserError, nearest

TOP, STEM = "mimic-cxr-jpg", "mimic-cxr-2.0.0"  # the tables keep 2.0.0 inside release 2.1.0
RADIOLOGIST = "mimic-cxr-2.1.0-test-set-labeled"
OFFICIAL = {b"train": "train", b"validate": "validation", b"test": "test"}
VIEWS = ("PA", "AP", "lateral", "other")
LATERAL = (b"LATERAL", b"LL")
IDS = {  # what an id is written with
    "dicom_id": rb"[0-9a-f]{8}(?:-[0-9a-f]{8}){4}",
    "subject_id": rb"1[0-9]{7}",
    "study_id": rb"5[0-9]{7}",
}
RELEASE = {  # counts of the release, against which expect=full compares
    "images": 377_110,
    "studies": 227_835,
    "subjects": 65_379,
    "train images": 368_960,
    "validation images": 2_991,
    "test images": 5_159,
    "labelled studies": 227_827,
}
TREE = f"""{TOP}/2.1.0/ (or 2.0.0, or the files in {TOP}/ itself)
  {STEM}-metadata.csv.gz, {STEM}-split.csv.gz, {STEM}-chexpert.csv.gz, {STEM}-negbio.csv.gz
  files/p10/p10000001/s50000001/DICOM_ID.jpg ... files/p19/"""


def release_folder(root: Path, top: str, marker: str, tree: str) -> Path:
    """`root/top`, or its one version folder: whichever holds a file or folder like `marker`."""
    if root.is_file():
        raise UserError(f"root={root} is a file; unpack it and give the folder.")
    here = root / top
    try:
        inside = [here, *sorted(path for path in here.glob("*") if path.is_dir())]
        found = [path for path in inside if any(path.glob(marker))]
        misplaced = not found and any(root.glob(marker))
    except PermissionError:
        raise UserError(f"{here} may not be read by you; ask for the right to read it.") from None
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise UserError(f"{here} holds {names}; keep one of them there, or link one from a root.")
    if not found:
        hint = f"; {root} is the release's own folder: give its parent" if misplaced else ""
        raise UserError(f"{here} has no {marker}{hint}. Expected below root={root}:\n{tree}")
    return found[0]


@dataclass(frozen=True)
class Images:
    """Rows of images as columns of bytes; `labels` is (n, 14), all NaN for an unlabelled study."""

    folder: Path
    dicom: np.ndarray
    subject: np.ndarray
    study: np.ndarray
    view: np.ndarray  # ViewPosition as the table has it
    date: np.ndarray
    time: np.ndarray
    split: np.ndarray  # train, validate, test
    labels: np.ndarray
    labelled: np.ndarray  # whether the study stands in the label table

    def __len__(self) -> int:
        return len(self.dicom)

    def take(self, rows: np.ndarray) -> "Images":
        """Some rows, by index or by truth."""
        names = [n for n in self.__dataclass_fields__ if n != "folder"]
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    @cached_property
    def projection(self) -> np.ndarray:
        """PA, AP, lateral or other of each row; blank and the rare ones are other."""
        return view_names(self.view)

    @property
    def group(self) -> np.ndarray:
        """First two digits of the subject: the folders p10 to p19."""
        return self.subject.astype("S2")

    def path(self, row: int) -> str:
        """Relative to `folder`."""
        subject, study = text(self.subject[row]), text(self.study[row])
        return f"files/p{subject[:2]}/p{subject}/s{study}/{text(self.dicom[row])}.jpg"

    def moment(self, row: int) -> datetime:
        return moment(text(self.date[row]), text(self.time[row]))

    def meta(self, row: int) -> dict[str, str]:
        """What a report may say of a row."""
        return {
            "study_id": text(self.study[row]),
            "view": str(self.projection[row]),
            "view_position": text(self.view[row]),
            "official_split": OFFICIAL[self.split[row]],
            "study_date": text(self.date[row]),
            "study_time": text(self.time[row]),
            "path": self.path(row),
        }


def view_names(positions: np.ndarray) -> np.ndarray:
    """PA, AP, lateral or other for the bytes of ViewPosition."""
    rest = np.where(np.isin(positions, LATERAL), "lateral", "other")
    return np.where(positions == b"PA", "PA", np.where(positions == b"AP", "AP", rest))


def moment(date: str, time: str) -> datetime:
    """StudyDate and StudyTime; the time is a float HHMMSS.fff that lost its leading zeros."""
    whole, _, part = time.partition(".")
    padded = f"{int(whole or 0):06d}"
    day = datetime.strptime(f"{int(date):08d}{padded}", "%Y%m%d%H%M%S")
    return day + timedelta(seconds=float(f"0.{part}") if part else 0.0)


def read_images(
    folder: Path, source: str, uncertain: str, blank: str, label_file: Path | None = None
) -> Images:
    """Every image of the release with its split and its labels.

    source: chexpert or negbio, the release's own tables; label_file: another labeller's instead."""
    path = find_table(folder, f"{STEM}-metadata")
    names = ("dicom_id", "subject_id", "study_id", "ViewPosition", "StudyDate", "StudyTime")
    table = read_columns(path, names)
    if not length(table):
        raise UserError(f"{path} has no rows. Fetch the table again.")
    require_unique(path, table, "dicom_id")
    _check_ids(path, table)
    _check_moments(path, table)
    label_path = label_file or find_table(folder, f"{STEM}-{source}")
    labels, labelled = _labels(label_path, uncertain, blank, table["study_id"])
    if label_file and not labelled.any():
        raise UserError(
            f"label_file={label_file} names no study of the release in its column study_id. An id "
            "is written as in the tables: eight digits, without the s of a file's name."
        )
    return Images(
        folder,
        dicom=table["dicom_id"],
        subject=table["subject_id"],
        study=table["study_id"],
        view=table["ViewPosition"],
        date=table["StudyDate"],
        time=table["StudyTime"],
        split=_splits(folder, table),
        labels=labels,
        labelled=labelled,
    )


def _check_ids(path: Path, table: Columns) -> None:
    """Stop at an id of another form: file names are made of them."""
    for column, form in IDS.items():
        if not re.fullmatch(rb"(?:%b\n)*" % form, b"\n".join(table[column]) + b"\n"):
            values = table[column].tolist()
            row = next(i for i, value in enumerate(values) if not re.fullmatch(form, value))
            raise UserError(
                f"{path}, row {row + 2}: {column} is {text(values[row])!r}, which is no id of this "
                "release. Fetch the table again."
            )


def _splits(folder: Path, table: Columns) -> np.ndarray:
    path = find_table(folder, f"{STEM}-split")
    splits = read_columns(path, ("dicom_id", "split"))
    require_unique(path, splits, "dicom_id")
    for name in np.unique(splits["split"]):
        if name not in OFFICIAL:
            row = int(np.flatnonzero(splits["split"] == name)[0]) + 2
            close = nearest(text(name), [text(n) for n in OFFICIAL])
            raise UserError(
                f"{path}, row {row}: split is {text(name)!r}{close} It is one of train, validate "
                "and test. Mend the cell, or fetch the table again."
            )
    rows = match(splits["dicom_id"], table["dicom_id"])
    if (rows < 0).any():
        first = text(table["dicom_id"][np.flatnonzero(rows < 0)[0]])
        raise UserError(
            f"{path} lacks {int((rows < 0).sum())} images of the metadata ({first} is the first). "
            "The two tables are of different releases; fetch both again."
        )
    return splits["split"][rows]


def _check_moments(path: Path, table: Columns) -> None:
    """Stop at a date or time that cannot be one, naming the row."""
    forms = {
        "StudyDate": (rb"[0-9]{8}", "YYYYMMDD"),
        "StudyTime": (rb"(?:[0-9]{1,6}(?:\.[0-9]*)?)?", "HHMMSS.fff without leading zeros"),
    }
    for column, (form, said) in forms.items():
        cells = table[column]
        wrong: list[int] = []
        if not re.fullmatch(rb"(?:%b\n)*" % form, b"\n".join(cells) + b"\n"):
            wrong = [row for row, c in enumerate(cells.tolist()) if not re.fullmatch(form, c)]
        else:
            numbers = np.where(cells == b"", b"0", cells).astype(np.float64).astype(np.int64)
            parts = [numbers // 10_000, numbers // 100 % 100, numbers % 100]
            good = (parts[0] < 24) & (parts[1] < 60) & (parts[2] < 60)
            if column == "StudyDate":
                good = (parts[1] > 0) & (parts[1] < 13) & (parts[2] > 0) & (parts[2] < 32)
            wrong = np.flatnonzero(~good).tolist()
        if wrong:
            raise UserError(
                f"{path}, row {wrong[0] + 2}: {column} is {text(cells[wrong[0]])!r}; it must be "
                f"{said}. Mend the cell, or fetch the table again."
            )


def _labels(
    path: Path, uncertain: str, blank: str, studies: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(n, 14) in canonical order and whether each study has a row; a left join."""
    table = _label_table(path)
    values = label_matrix(path, table, CANONICAL, uncertain, blank)
    rows = match(table["study_id"], studies)
    found = np.where(rows[:, None] >= 0, values[rows], np.float32(np.nan))
    return found.astype(np.float32), rows >= 0


def read_radiologist(folder: Path, images: Images, uncertain: str, blank: str) -> Images:
    """The images of the studies that a radiologist labelled (release 2.1.0), with those labels."""
    path = folder / f"{RADIOLOGIST}.csv"
    if not path.is_file():
        path = find_table(folder, RADIOLOGIST)
    table = _label_table(path)
    values = label_matrix(path, table, CANONICAL, uncertain, blank)
    rows = match(table["study_id"], images.study)
    kept = images.take(rows >= 0)
    return replace(kept, labels=values[rows[rows >= 0]], labelled=np.ones(len(kept), bool))


def _label_table(path: Path) -> Columns:
    """The fourteen columns by their canonical names, and study_id, each study once."""
    other = {known: spelling for spelling, known in SYNONYMS.items()}
    names = [name for name in CANONICAL if name not in other]
    table = read_columns(path, ("study_id", *names), (*other, *SYNONYMS))
    for known, spelling in other.items():
        if known not in table and spelling not in table:
            raise UserError(f"{path} has neither a column {known} nor {spelling}.")
        table.setdefault(known, table.get(spelling, np.zeros(0, "S1")))
    require_unique(path, table, "study_id")
    return table


def sides(images: Images, partition: str, key: str, val_fraction: float) -> np.ndarray:
    """train, validation or test of each row: the official split, or p19 against p10 to p18."""
    if partition == "official":
        names = np.array([OFFICIAL[name] for name in OFFICIAL])
        order = np.array(list(OFFICIAL))
        return names[match(order, images.split)]
    subjects, where = np.unique(images.subject, return_inverse=True)
    held = np.array([hash_share(key, text(s)) < val_fraction for s in subjects], bool)
    rest = np.where(held[where], "validation", "train")
    return np.where(images.group == b"19", "test", rest)


def counts(images: Images) -> dict[str, int]:
    """What a release is recognised by, under the names of RELEASE."""
    found = {
        "images": len(images),
        "studies": len(np.unique(images.study)),
        "subjects": len(np.unique(images.subject)),
    }
    for name, ours in OFFICIAL.items():
        found[f"{ours} images"] = int((images.split == name).sum())
    return found | {"labelled studies": len(np.unique(images.study[images.labelled]))}
