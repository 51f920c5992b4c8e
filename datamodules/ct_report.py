"""Chest CTs with reports that a manifest lists, or that lie in MedSyn's working folders.

ROOT/manifest.csv (or .jsonl) with the columns case_id, subject_id, volume, and any of split,
findings, impression, report, lobe, airway, vessel, text_feature, intensity, slope, intercept,
spacing, axes, reconstruction, label_*; every path is relative to the manifest."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from datamodules.base import check_root, expand, read_marker, within
from datamodules.ct_source import REPORTS, Case, CtDataset, Mask, Registration, Section, View
from datamodules.splits import hash_share
from datamodules.tables import Row, read_table, read_text, unique
from datamodules.volumes import SUFFIXES, Reading
from medbench.core.errors import UserError, nearest

KEY = "ct_report"
REQUIRED = ("case_id", "subject_id", "volume")
OPTIONAL = (
    "split", "findings", "impression", "report", "lobe", "airway", "vessel", "text_feature",
    "intensity", "slope", "intercept", "spacing", "axes", "reconstruction",
)  # fmt: skip
MASKS = ("lobe", "airway", "vessel")
SPLIT_NAMES = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
LABEL_CODES = {"": float("nan"), "1": 1.0, "0": 0.0, "-1": float("nan")}
MEDSYN = "moved_img_256"
MEDSYN_FIELD = (292.0, 316.0, 316.0)  # mm of their atlas
TREE = """    manifest.csv      case_id,subject_id,volume,findings,impression,...
    ct/case_00017.nii.gz   (wherever the manifest says)"""
MEDSYN_TREE = """    moved_img_256/ID_Reg.npy     (256, 256, 256) in [-1, 1]
    lobe/ID_Reg.npy  airway/ID_Reg.npy  vessel/ID_Reg.npy     (as far as there are)
    reports.csv                  case_id,findings,impression   (if there is one)"""


class CtReport(CtDataset):
    """Anyone's chest CTs with reports, by a manifest; MedSyn's private collection is one such.

    Rows without a volume feed stages that read text alone: split("reports"). table: the manifest,
    relative to root. folders: MedSyn's folders of lobe, airway and vessel masks."""

    version = 1
    yields = (
        "image", "text", "texts", "texts.findings", "texts.impression", "texts.report", "labels",
        "label_names", "masks", "spacing_mm", "age", "sample_id", "subject_id", "meta",
    )  # fmt: skip
    licence = "that of the collection"
    citation = "of the collection; layout after MedSyn (Xu et al. 2024)"
    split_source = "the manifest's column split; where it is blank, by hash of subject_id"
    location = ("root", "prepared", "bad_files")

    def __init__(
        self,
        root: str,
        layout: Literal["manifest", "medsyn"] = "manifest",
        table: str | None = None,
        size: int = 64,  # 0: the file's own grid
        of: int = 256,
        window: tuple[float, float] = (-1024.0, 600.0),
        section: Section = "findings_impression",
        val_fraction: float = 0.117,  # of the subjects without a split
        test_fraction: float = 0.1,
        registration: Registration = "none",
        atlas: str | None = None,
        prepared: str | None = None,
        bad_files: str | None = None,  # a list of files to leave out, one path a line
        folders: Sequence[str] = MASKS,
    ) -> None:
        super().__init__()
        self.bad_files = bad_files
        self.root, self.layout, self.table = expand(root), layout, table
        self.view = View(
            size, window, section, of, registration, expand(atlas) if atlas else None, prepared
        )
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        self.folders = dict(zip(MASKS, folders, strict=False))
        self.phantom = self.root.is_dir() and read_marker(self.root) is not None

    def root_mistakes(self) -> list[str]:
        tree = TREE if self.layout == "manifest" else MEDSYN_TREE
        found = check_root(self.root, tree)
        if not found and self.layout == "medsyn" and not (self.root / MEDSYN).is_dir():
            found = [f"{self.root} has no folder {MEDSYN}; expected there:\n{MEDSYN_TREE}"]
        return found

    def tables(self) -> list[Path]:
        path = self._manifest if self.layout == "manifest" else self.root / "reports.csv"
        return [path] if path.is_file() else []

    def label_names(self) -> tuple[str, ...]:
        return self._read[1]

    def cases(self) -> list[Case]:
        return self._read[0]

    @cached_property
    def _manifest(self) -> Path:
        if self.table is not None:
            return within(self.root, self.table, "table")
        for name in ("manifest.csv", "manifest.csv.gz", "manifest.jsonl"):
            if (self.root / name).is_file():
                return self.root / name
        return self.root / "manifest.csv"

    @cached_property
    def _read(self) -> tuple[list[Case], tuple[str, ...]]:
        mistakes = self.root_mistakes()
        if mistakes:
            raise UserError(*mistakes)
        if self.layout == "medsyn":
            return self._medsyn_cases(), ()
        path = self._manifest
        rows = read_table(path, REQUIRED, optional=(*OPTIONAL, *_label_columns(path)))
        unique(rows, "case_id", path)
        labels = tuple(name for name in (rows[0] if rows else {}) if name.startswith("label_"))
        cases = [self._case(path, n, row, labels) for n, row in enumerate(rows, start=2)]
        return cases, tuple(name.removeprefix("label_").replace("_", " ") for name in labels)

    # a row ---------------------------------------------------------------------------------
    def _case(self, path: Path, number: int, row: Row, labels: Sequence[str]) -> Case:
        where, folder = f"{path}, row {number}", path.parent
        if not row["case_id"] or not row["subject_id"]:
            raise UserError(f"{where}: case_id and subject_id may not be empty.")
        volume = within(folder, row["volume"], where) if row["volume"] else None
        if volume and not volume.is_dir() and not volume.name.lower().endswith(SUFFIXES):
            hint = "Unpack it." if volume.suffix == ".zip" else f"Known: {', '.join(SUFFIXES)}."
            raise UserError(f"{where}: the volume {row['volume']} is not read. {hint}")
        masks = {name: Mask(within(folder, row[name], where)) for name in MASKS if row.get(name)}
        split = REPORTS if volume is None else self._side(row, where)
        return Case(
            row["case_id"],
            row["subject_id"],
            split,
            volume,
            _reading(row, where),
            masks,
            _texts(row, folder, where),
            tuple(_label(row, name, where) for name in labels),
            meta={
                "reconstruction": row.get("reconstruction", ""),
                "source": row["volume"],
                "window": f"{self.view.window[0]:g}..{self.view.window[1]:g}",
            },
        )

    def _side(self, row: Row, where: str) -> str:
        given = row.get("split", "")
        if given:
            if given not in SPLIT_NAMES:
                raise UserError(
                    f"{where}: split is {given!r}{nearest(given, SPLIT_NAMES) or ';'} it is train, "
                    "val, test or blank."
                )
            return SPLIT_NAMES[given]
        return self._by_hash(row["subject_id"])

    def _by_hash(self, subject: str) -> str:
        share = hash_share(KEY, subject)
        if share < self.val_fraction:
            return "validation"
        return "test" if share < self.val_fraction + self.test_fraction else "train"

    # MedSyn's folders -----------------------------------------------------------------------
    def _medsyn_cases(self) -> list[Case]:
        """Registered volumes on 256^3, under their window [-1024, 600] already."""
        reports = self.root / "reports.csv"
        rows = read_table(reports, ("case_id", "findings", "impression")) if (
            reports.is_file()
        ) else []  # fmt: skip
        told = {row["case_id"]: row for row in rows}
        cases = []
        for path in sorted((self.root / MEDSYN).glob("*_Reg.npy")):
            name = path.stem.removesuffix("_Reg")
            masks = {
                key: Mask(self.root / folder / path.name)
                for key, folder in self.folders.items()
                if (self.root / folder / path.name).is_file()
            }
            reading = Reading("stored", 812.0, -212.0, _medsyn_spacing(path), "LAS")  # their window
            texts = _texts(told[name], self.root, str(reports)) if name in told else None
            cases.append(
                Case(name, name, self._by_hash(name), path, reading, masks, texts,
                     meta={"source": path.name, "reconstruction": "", "window": "-1024..600"})
            )  # fmt: skip
        if not cases:
            raise UserError(f"{self.root / MEDSYN} holds no ID_Reg.npy; expected:\n{MEDSYN_TREE}")
        drawn = [case for case in cases if case.texts is not None]
        return cases if len(drawn) in (0, len(cases)) else _with_empty_texts(cases)


def _medsyn_spacing(path: Path) -> tuple[float, ...]:
    """The atlas's field over the array's shape, from its header."""
    try:
        shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
    except (OSError, ValueError) as error:
        raise UserError(f"The volume {path} cannot be read ({error}). Replace it.") from error
    return tuple(mm / n for mm, n in zip(MEDSYN_FIELD, shape[-3:], strict=False))


def _with_empty_texts(cases: Sequence[Case]) -> list[Case]:
    missing = [case.sample_id for case in cases if case.texts is None]
    raise UserError(
        f"reports.csv has no row for {len(missing)} of {len(cases)} volumes, such as {missing[0]}. "
        "Add the rows, or take the table away."
    )


def _label_columns(path: Path) -> list[str]:
    every = read_table(path, ())
    return [name for name in (every[0] if every else {}) if name.startswith("label_")]


def _label(row: Mapping[str, str], name: str, where: str) -> float:
    cell = row[name].strip().removesuffix(".0")
    if cell not in LABEL_CODES:
        raise UserError(
            f"{where}: {name} is {row[name]!r}; a label is 1, 0, -1 or blank. Mend the cell."
        )
    return LABEL_CODES[cell]


def _texts(row: Mapping[str, str], folder: Path, where: str) -> dict[str, str]:
    """Findings and impression of the row, or those of the report that it names."""
    findings, impression = row.get("findings", ""), row.get("impression", "")
    if row.get("report"):
        if findings or impression:
            raise UserError(f"{where}: give findings and impression, or report, not both.")
        text = read_text(within(folder, row["report"], where))
        head, mark, tail = text.partition("IMPRESSION:")
        findings = head.removeprefix("FINDINGS:") if mark else text
        impression = tail if mark else ""
    return {"findings": " ".join(findings.split()), "impression": " ".join(impression.split())}


def _reading(row: Mapping[str, str], where: str) -> Reading:
    intensity = row.get("intensity") or "hu"
    if intensity not in ("hu", "stored"):
        raise UserError(f"{where}: intensity is {intensity!r}; it is hu or stored.")
    spacing = _numbers(row.get("spacing", ""), where, "spacing")
    if spacing and (len(spacing) != 3 or min(spacing) <= 0):
        raise UserError(f"{where}: spacing is {row['spacing']!r}; three numbers, dz dy dx in mm.")
    axes = row.get("axes", "")
    if not row["volume"].lower().endswith((".npy", ".npz")):
        axes, spacing = "", ()  # such a file says it itself
    if intensity == "hu":
        return Reading(spacing=spacing or None, axes=axes)
    slope, intercept = (_numbers(row.get(n, ""), where, n) for n in ("slope", "intercept"))
    if len(slope) != 1 or len(intercept) != 1:
        raise UserError(
            f"{where}: intensity=stored needs a number in slope and intercept (CT scanners mostly "
            "use 1 and -1024)."
        )
    return Reading("stored", slope[0], intercept[0], spacing or None, axes)


def _numbers(cell: str, where: str, name: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in cell.replace(",", " ").split())
    except ValueError:
        raise UserError(f"{where}: {name} is {cell!r}, which is no number.") from None
