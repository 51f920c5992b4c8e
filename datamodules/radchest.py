"""RAD-ChestCT: chest CTs with labels of abnormality by location, without reports."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from datamodules.base import check_root, expand, read_marker
from datamodules.ct_source import Case, CtDataset, Registration, View
from datamodules.splits import hash_share
from datamodules.tables import Row, find_table, read_table, unique
from datamodules.volumes import Reading
from medbench.core.errors import UserError, nearest

KEY = "radchest"
SIDES = {"trn": "train", "val": "validation", "tst": "test"}
TABLES = {"trn": "imgtrain", "val": "imgvalid", "tst": "imgtest"}
LABEL_TABLE = "_Abnormality_and_Location_Labels"
METADATA = "CT_Scan_Metadata_Complete_35747"
METADATA_COLUMNS = ("NoteAcc_DEID", "MRN_DEID", "VolumeAcc_DEID")
METADATA_MORE = ("final_spacing", "PatientAge", "PatientSex", "Manufacturer")
LUNG = (
    "left_upper", "left_mid", "left_lower", "right_upper", "right_mid", "right_lower",
    "left_lung", "right_lung", "lung", "airways",
)  # fmt: skip
TARGETS = ("lung_opacity", "pleural_effusion")
RELEASE = 3630  # volumes; how many lie on each side is not published
SPACING = 0.8  # mm, of all volumes after the release's resampling
TREE = """    trn99901.npz  val99901.npz  tst99901.npz      (key ct)
    CT_Scan_Metadata_Complete_35747.csv
    imgtrain_Abnormality_and_Location_Labels.csv  imgvalid_...  imgtest_..."""


class RadChest(CtDataset):
    """RAD-ChestCT with two labels, lung opacity and pleural effusion, and no text.

    opacity: abnormalities that count as opacity at any lung location. axes: where the stored axes
    run to, first axis first; a volume that contradicts them stops the run."""

    version = 1
    yields = (
        "image", "labels", "label_names", "spacing_mm", "age", "sample_id", "subject_id", "meta",
    )  # fmt: skip
    restricted = True
    licence = "on request; copies quote two licences, the stricter forbids derivatives"
    citation = "Draelos et al., RAD-ChestCT (Zenodo 2020; Med. Image Anal. 2021)"
    split_source = "the prefix of a file's name: trn, val, tst"

    def __init__(
        self,
        root: str,
        size: int = 64,  # 0: the file's own grid
        of: int = 256,
        window: tuple[float, float] = (-1024.0, 600.0),
        opacity: Sequence[str] = ("opacity",),
        axes: str = "IPL",
        registration: Registration = "none",
        atlas: str | None = None,
        prepared: str | None = None,
        bad_files: str | None = None,  # a list of files to leave out, one path a line
    ) -> None:
        super().__init__()
        self.bad_files = bad_files
        self.root, self.opacity, self.axes = expand(root), tuple(opacity), axes
        self.view = View(
            size,
            window,
            "findings",
            of,
            registration,
            expand(atlas) if atlas else None,
            prepared,
        )
        self.phantom = self.root.is_dir() and read_marker(self.root) is not None

    def root_mistakes(self) -> list[str]:
        found = check_root(self.root, TREE)
        if not found and not any(self.folder.glob("*.npz")):
            found = [f"{self.root} holds no trn, val or tst .npz; expected there:\n{TREE}"]
        return found

    @cached_property
    def folder(self) -> Path:
        below = self.root / "rad-chestct"
        return below if below.is_dir() else self.root

    def label_names(self) -> tuple[str, ...]:
        return TARGETS

    def tables(self) -> list[Path]:
        found = [find_table(self.folder, METADATA)]
        for table in TABLES.values():
            if any(self.folder.glob(f"{table}{LABEL_TABLE}.csv*")):
                found.append(find_table(self.folder, f"{table}{LABEL_TABLE}"))
        return found

    def funnel(self) -> list[str]:
        n = len(self.cases())
        short = [f"{n} volumes are here; the release has {RELEASE}"] if n != RELEASE else []
        return short * (not self.phantom) + super().funnel()

    def fold_of(self, subject: str, folds: int = 5) -> int:
        """The fold of a subject for cross-validation, by hash."""
        return int(hash_share(f"{KEY}|folds", subject) * folds)

    def cases(self) -> list[Case]:
        return self._cases

    @cached_property
    def _cases(self) -> list[Case]:
        mistakes = self.root_mistakes()
        if mistakes:
            raise UserError(*mistakes)
        path = find_table(self.folder, METADATA)
        metadata = read_table(path, METADATA_COLUMNS, optional=METADATA_MORE)
        unique(metadata, "NoteAcc_DEID", path)
        rows = {row["NoteAcc_DEID"]: row for row in metadata}
        found: list[Case] = []
        for prefix in SIDES:
            files = sorted(self.folder.glob(f"{prefix}*.npz"))
            if files:
                found += self._side(prefix, files, rows, str(path))
        return found

    def _side(
        self, prefix: str, files: Sequence[Path], metadata: Mapping[str, Row], where: str
    ) -> list[Case]:
        path = find_table(self.folder, f"{TABLES[prefix]}{LABEL_TABLE}")
        header = list(read_header(path))
        wanted = {name: self._columns(path, header, name) for name in TARGETS}
        needed = sorted({column for columns in wanted.values() for column in columns})
        table = read_table(path, ("NoteAcc_DEID", *needed))
        unique(table, "NoteAcc_DEID", path)
        labels = {row["NoteAcc_DEID"]: (n, row) for n, row in enumerate(table, start=2)}
        cases = []
        for file in files:
            name = file.stem
            if name not in metadata or name not in labels:
                missing = where if name not in metadata else str(path)
                raise UserError(f"{missing} has no row for {file.name}, which lies in the folder.")
            number, told = labels[name]
            values = _values(told, wanted, f"{path}, row {number}")
            cases.append(self._case(prefix, file, metadata[name], values, where))
        return cases

    def _columns(self, path: Path, header: Sequence[str], target: str) -> list[str]:
        """Columns abnormality*location; the part before * must be equal, not begin so."""
        asked = self.opacity if target == "lung_opacity" else ("pleural_effusion",)
        parts = [column.partition("*") for column in header if "*" in column]
        known = {name for name, _, _ in parts}
        for name in asked:
            if name not in known:
                raise UserError(
                    f"{path} has no abnormality {name}{nearest(name, known) or '.'} Columns read "
                    "abnormality*location."
                )
        places = LUNG if target == "lung_opacity" else None
        return [
            f"{name}*{place}"
            for name, _, place in parts
            if name in asked and (places is None or place in places)
        ]

    def _case(
        self,
        prefix: str,
        file: Path,
        row: Row,
        values: tuple[float, ...],
        where: str,
    ) -> Case:
        spacing = _spacing(row.get("final_spacing", ""), f"{where}, {file.stem}")
        return Case(
            file.stem,
            row["MRN_DEID"],
            SIDES[prefix],
            file,
            Reading("hu", 1, 0, spacing, self.axes[::-1]),
            {},
            None,
            values,
            _age(row.get("PatientAge", "")),
            "axes",
            {"sex": row.get("PatientSex", ""), "manufacturer": row.get("Manufacturer", "")},
        )


def _values(row: Row, wanted: Mapping[str, Sequence[str]], where: str) -> tuple[float, ...]:
    """1 where any column of a target is 1."""
    for column in (name for columns in wanted.values() for name in columns):
        if row[column].removesuffix(".0") not in ("0", "1"):
            raise UserError(
                f"{where}: {column} is {row[column]!r}; a label is 0 or 1. Mend the cell, or "
                "fetch the table again."
            )
    ones = [{row[column].removesuffix(".0") for column in wanted[target]} for target in TARGETS]
    return tuple(float("1" in cells) for cells in ones)


def read_header(path: Path) -> list[str]:
    """The column names of a table, without its rows."""
    import gzip

    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig") as file:
        return [name.strip().strip('"') for name in file.readline().rstrip("\r\n").split(",")]


def _spacing(cell: str, where: str) -> tuple[float, float, float]:
    """One number, or three in a list; blank is the release's 0.8 mm."""
    parts = cell.strip("[]() ").replace(",", " ").split()
    try:
        numbers = [float(part) for part in parts] or [SPACING]
    except ValueError:
        raise UserError(f"{where}: final_spacing is {cell!r}, which is no number.") from None
    if len(numbers) == 1:
        numbers *= 3
    if len(numbers) != 3 or min(numbers) <= 0:
        raise UserError(f"{where}: final_spacing is {cell!r}; one number or three, in mm.")
    return numbers[0], numbers[1], numbers[2]


def _age(cell: str) -> float:
    digits = cell.strip().removesuffix("Y")
    return float(digits) if digits.replace(".", "", 1).isdigit() else float("nan")
