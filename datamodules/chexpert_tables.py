"""CheXpert's tables: one row an image, or one a study for the test labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from datamodules.columns import Columns, label_matrix, length, read_columns, require_unique, text
from datamodules.inspection import Expect, check_counts
from datamodules.labels import CANONICAL, Blank, Uncertain
from datamodules.tables import read_table, unique
from medbench.core.errors import UserError

FOLDER = "CheXpert"  # of the later download: val, test
IMAGES = {"train": 223_414, "validation": 234, "test": 668}
STUDIES = 500
POSITIVES = {  # among the test studies
    "No Finding": 62,
    "Enlarged Cardiomediastinum": 253,
    "Cardiomegaly": 151,
    "Lung Opacity": 264,
    "Lung Lesion": 8,
    "Edema": 78,
    "Consolidation": 29,
    "Pneumonia": 11,
    "Atelectasis": 153,
    "Pneumothorax": 9,
    "Pleural Effusion": 104,
    "Pleural Other": 4,
    "Fracture": 5,
    "Support Devices": 261,
}
TREE = f"""CheXpert-v1.0-small/ (or CheXpert-v1.0/)
  train.csv, valid.csv, train/patient99901/study1/view1_frontal.jpg ..., valid/...
{FOLDER}/
  test/patient99903/study1/view1_frontal.jpg ..., test_labels.csv (val/ and val_labels.csv)
groundtruth.csv"""
Coding = tuple[Uncertain, Blank]


@dataclass(frozen=True)
class Rows:
    """Rows of a table; `names` are paths below `folder`: train/patient1/study1/view1_frontal.jpg,
    or a study's folder where a row is a study."""

    table: Path
    folder: Path
    names: np.ndarray
    labels: np.ndarray  # (n, 14) float32 in canonical order
    sexes: np.ndarray
    ages: np.ndarray
    positions: np.ndarray  # AP, PA, LL, RL or blank
    per_study: bool = False

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: Sequence[int] | np.ndarray) -> "Rows":
        """Some rows, by index."""
        kept = np.asarray(rows, int)
        columns = ("names", "labels", "sexes", "ages", "positions")
        return replace(self, **{name: getattr(self, name)[kept] for name in columns})

    @property
    def frontal(self) -> np.ndarray:
        return np.char.endswith(self.names, b"_frontal.jpg")

    def path(self, row: int) -> Path:
        return self.folder / text(self.names[row])

    def patients(self) -> list[str]:
        return [text(name).split("/")[1] for name in self.names.tolist()]

    def subject_id(self, row: int) -> str:
        return text(self.names[row]).split("/")[1]

    def study(self, row: int) -> str:
        return "/".join(text(self.names[row]).split("/")[1:3])

    def sample_id(self, row: int) -> str:
        """patient99903/study1/view1, or without a view where a row is a study."""
        parts = text(self.names[row]).split("/")[1:]
        return "/".join([*parts[:2], *(part.partition("_")[0] for part in parts[2:])])

    def view(self, row: int) -> str:
        """PA or AP, else frontal or lateral by the file's name."""
        side = "frontal" if self.frontal[row] else "lateral"
        position = text(self.positions[row])
        return position if position in ("PA", "AP") and side == "frontal" else side

    def sex(self, row: int) -> str:
        return text(self.sexes[row]) or "Unknown"

    def age(self, row: int) -> np.float32:
        """Years; 0 stands for an unknown age."""
        return np.float32(float(self.ages[row] or 0) or np.nan)


def find_release(root: Path, name: str | None) -> Path:
    """The folder with train.csv: the one in the root, or the named one of several."""
    found = [path.parent for path in sorted(root.glob("*/train.csv"))]
    if name is not None:
        found = [path for path in found if path.name == name]
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise UserError(f"{root} holds {names}; say which with data.release=NAME.")
    if not found:
        asked = f"{name}/train.csv" if name else "folder with a train.csv"
        own = "; it is the release's own folder: give its parent" * (root / "train.csv").is_file()
        raise UserError(f"{root} has no {asked}{own}. Expected below root={root}:\n{TREE}")
    return found[0]


def read_rows(path: Path, folder: Path, part: str, coding: Coding) -> Rows:
    """A table of one row an image. `Path` begins with the release's name, whatever the folder is
    called now; it is taken from `part` (train, valid, val, test) on."""
    columns = ("Path", *CANONICAL)
    table = read_columns(path, columns, ("Sex", "Age", "Frontal/Lateral", "AP/PA"))
    require_unique(path, table, "Path")
    names = _below(path, table["Path"], part, files=True)
    return _rows(path, folder, table, names, coding)


def read_studies(path: Path, folder: Path, coding: Coding) -> Rows:
    """groundtruth.csv: the test studies with the labels of radiologists, in an order of its own."""
    table = read_columns(path, ("Study", *CANONICAL))
    require_unique(path, table, "Study")
    names = _below(path, table["Study"], "test", files=False)
    return replace(_rows(path, folder, table, names, coding), per_study=True)


def _rows(path: Path, folder: Path, table: Columns, names: np.ndarray, coding: Coding) -> Rows:
    blank = np.full(length(table), b"")
    ages = table.get("Age", blank)
    for row, age in enumerate(ages.tolist()):
        if age and not age.replace(b".0", b"").isdigit():
            raise UserError(f"{path}, row {row + 2}: Age is {text(age)!r}; it is a whole number.")
    return Rows(
        path,
        folder,
        names,
        label_matrix(path, table, CANONICAL, *coding),
        table.get("Sex", blank),
        ages,
        table.get("AP/PA", blank),
    )


def _below(path: Path, cells: np.ndarray, part: str, files: bool) -> np.ndarray:
    """Paths from `part` on: part/patient/study, and the file."""
    found = []
    for row, cell in enumerate(cells.tolist()):
        parts = text(cell).split("/")
        place = parts.index(part) if part in parts else len(parts)
        rest = parts[place:]
        if len(rest) != (4 if files else 3) or ".." in rest or "" in rest:
            form = f"{part}/PATIENT/STUDY" + ("/VIEW.jpg" if files else "")
            raise UserError(
                f"{path}, row {row + 2}: {text(cell)!r} does not end with {form}. Mend the cell, "
                "or fetch the table again."
            )
        found.append("/".join(rest).encode())
    return np.array(found, np.bytes_) if found else np.zeros(0, "S1")


def first_frontal(rows: Rows, expect: Expect) -> Rows:
    """One image a study: its first frontal one by file name.

    A study without any stops the run, unless a subset is expected."""
    kept, names = [], []
    for row in range(len(rows)):
        files = sorted(path.name for path in rows.path(row).glob("*_frontal.jpg"))
        if files:
            kept.append(row)
            names.append((PurePosixPath(text(rows.names[row])) / files[0]).as_posix().encode())
        elif expect == "full":
            raise UserError(
                f"{rows.table}, row {row + 2}: {rows.path(row)} has no frontal image. Fetch the "
                "test images, or read a partial copy with data.expect=subset."
            )
    found = rows.take(kept)
    return replace(found, names=np.array(names, np.bytes_) if names else np.zeros(0, "S1"))


def count_mistakes(rows: Mapping[str, Rows], expect: Expect, phantom: bool) -> list[str]:
    """Counts that are not the release's, and positives of the test studies."""
    release = dict(IMAGES)
    test = rows["test"]
    if test.per_study:
        release["test"] = STUDIES
    found = {name: len(part) for name, part in rows.items()}
    mistakes = check_counts(found, release, expect, phantom)
    if test.per_study and not mistakes and expect == "full" and not phantom:
        positives = (test.labels == 1).sum(axis=0).tolist()
        counted = dict(zip(CANONICAL, positives, strict=True))
        mistakes += [f"{test.table}: {m}" for m in check_counts(counted, POSITIVES, expect)]
    return mistakes


def read_captions(path: Path) -> dict[str, str]:
    """Captions by study (patient99903/study1), from a table with the columns study and caption."""
    rows = read_table(path, ("study", "caption"))
    unique(rows, "study", path)
    for i, row in enumerate(rows):
        if not row["caption"].strip():
            raise UserError(f"{path}, row {i + 2}: the caption is empty. Write one, or drop it.")
    return {"/".join(row["study"].strip("/").split("/")[-2:]): row["caption"] for row in rows}


def sentence(labels: np.ndarray) -> str:
    """A caption out of labels: the positive ones, in canonical order."""
    found = [name for name, value in zip(CANONICAL, labels, strict=True) if value == 1]
    named = [name for name in found if name != "No Finding"]
    if not named:
        return "No finding." if found else "A chest radiograph."
    words = [name.lower() for name in named]
    listed = ", ".join(words[:-1]) + (" and " if len(words) > 1 else "") + words[-1]
    return f"{listed[0].upper()}{listed[1:]}."
