"""MIMIC-IV's patients and admissions: age and race of the subjects of MIMIC-CXR.

A helper of the datasets of radiographs: it has no images, and so no samples of its own."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datamodules.columns import match, read_columns, require_unique, text
from datamodules.mimic_tables import release_folder
from datamodules.tables import find_table
from medbench.core.errors import UserError

RACE_NAMES = ("white", "black", "asian", "hispanic", "other")  # what `race` is an index of
PREFIXES = {
    "WHITE": 0,
    "BLACK": 1,
    "ASIAN": 2,
    "HISPANIC": 3,
    "AMERICAN INDIAN": 4,
    "NATIVE HAWAIIAN": 4,
    "MULTIPLE": 4,
    "PATIENT DECLINED": -1,
}
EXACT = {
    "PORTUGUESE": 0,
    "SOUTH AMERICAN": 3,
    "OTHER": 4,
    "UNKNOWN": -1,
    "UNABLE TO OBTAIN": -1,
    "": -1,
}
OLDEST = 91  # what ages above 89 are stored as
TOP = "mimic-iv"
TREE = f"""{TOP}/VERSION/hosp/patients.csv.gz and admissions.csv.gz (core/ in 0.4 and 1.0)"""


@dataclass(frozen=True)
class Person:
    """What MIMIC-IV says of a subject; age and year are the anchor's, race an index or -1."""

    age: float
    year: int
    race: int

    def age_in(self, year: int) -> float:
        """Years in a shifted calendar year: the shift is the same in both databases."""
        return self.age + (year - self.year)

    @property
    def coded(self) -> bool:
        """Whether the age is the code for above 89."""
        return self.age == OLDEST


class Demographics:
    """Age and race by subject; subjects that MIMIC-IV lacks are unknown, which is normal."""

    def __init__(self, root: Path) -> None:
        release = _release(root)
        self.folder = next(release / name for name in ("hosp", "core") if (release / name).is_dir())
        self.tables = [find_table(self.folder, name) for name in ("patients", "admissions")]
        path = self.tables[0]
        people = read_columns(path, ("subject_id", "anchor_age", "anchor_year"))
        require_unique(path, people, "subject_id")
        self._ids = people["subject_id"]
        self._ages = _numbers(path, people["anchor_age"], "anchor_age", 0, 130)
        self._years = _numbers(path, people["anchor_year"], "anchor_year", 1900, 2300)
        self._races, self.disagreeing = self._read_races()

    def people(self, subjects: np.ndarray) -> dict[bytes, Person]:
        """Those of the subjects (bytes) that MIMIC-IV knows."""
        wanted = np.unique(subjects)
        rows = match(self._ids, wanted)
        return {
            subject: Person(float(self._ages[row]), int(self._years[row]), self._races[row])
            for subject, row in zip(wanted, rows, strict=True)
            if row >= 0
        }

    def _read_races(self) -> tuple[list[int], int]:
        """The race of each patient where all known values agree, and how many do not agree."""
        path = self.tables[1]
        table = read_columns(path, ("subject_id",), ("race", "ethnicity"))
        column = next((name for name in ("race", "ethnicity") if name in table), None)
        if column is None:
            raise UserError(f"{path} has neither a column race nor ethnicity. Fetch it again.")
        spellings, where = np.unique(table[column], return_inverse=True)
        codes = np.array([_group(path, column, s, table[column]) for s in spellings], np.int64)
        rows = match(self._ids, table["subject_id"])
        known = (rows >= 0) & (codes[where] >= 0) if len(codes) else np.zeros(0, bool)
        pairs = np.unique(np.stack([rows[known], codes[where][known]], axis=1), axis=0)
        times = Counter(pairs[:, 0].tolist())
        found = [-1] * len(self._ids)
        for row, code in pairs.tolist():
            found[row] = code if times[row] == 1 else -1
        return found, sum(count > 1 for count in times.values())


def _release(root: Path) -> Path:
    """The folder with hosp or core: `root` itself, or the one in root/mimic-iv."""
    for name in ("hosp", "core"):
        if any((root / name).glob("patients.csv*")):
            return root
    newer = any((root / TOP).glob("hosp")) or any((root / TOP).glob("*/hosp"))
    return release_folder(root, TOP, "hosp" if newer else "core", TREE)


def _numbers(path: Path, cells: np.ndarray, column: str, low: int, high: int) -> np.ndarray:
    """Whole numbers in a range, or a sentence with the row."""
    try:
        found = cells.astype(np.int64) if len(cells) else np.zeros(0, np.int64)
        wrong = np.flatnonzero((found < low) | (found > high))
    except ValueError:
        wrong = np.flatnonzero([not cell.strip().isdigit() for cell in cells.tolist()])
    if len(wrong):
        raise UserError(
            f"{path}, row {wrong[0] + 2}: {column} is {text(cells[wrong[0]])!r}; it must be a "
            f"whole number from {low} to {high}. Mend the cell, or fetch the table again."
        )
    return found


def _group(path: Path, column: str, spelling: bytes, cells: np.ndarray) -> int:
    """Index into RACE_NAMES of a string of the release, -1 for the unknown ones."""
    name = text(spelling).upper()
    if name in EXACT:
        return EXACT[name]
    for prefix, group in PREFIXES.items():
        if name.startswith(prefix):
            return group
    row = int(np.flatnonzero(cells == spelling)[0]) + 2
    known = ", ".join([*(f"{prefix}..." for prefix in PREFIXES), *filter(None, EXACT)])
    raise UserError(
        f"{path}, row {row}: {column} {text(spelling)!r} is not known. Known are {known}; rename "
        "it to the one that it stands for."
    )
