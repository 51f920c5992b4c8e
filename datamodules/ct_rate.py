"""CT-RATE: chest CTs with reports and eighteen labels predicted from them."""

import ast
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

from datamodules.base import check_root, expand, read_marker
from datamodules.ct_source import Case, CtDataset, Mask, Registration, Section, View
from datamodules.splits import hash_share
from datamodules.tables import Row, find_table, read_table, read_text, unique
from datamodules.volumes import Reading
from medbench.core.errors import UserError

KEY = "ct_rate"
LABELS = (
    "Medical material", "Arterial wall calcification", "Cardiomegaly", "Pericardial effusion",
    "Coronary artery wall calcification", "Hiatal hernia", "Lymphadenopathy", "Emphysema",
    "Atelectasis", "Lung nodule", "Lung opacity", "Pulmonary fibrotic sequela",
    "Pleural effusion", "Mosaic attenuation pattern", "Peribronchial thickening",
    "Consolidation", "Bronchiectasis", "Interlobular septal thickening",
)  # fmt: skip
REPORT_COLUMNS = ("VolumeName", "Findings_EN", "Impressions_EN")
METADATA = (
    "VolumeName", "PatientSex", "PatientAge", "Manufacturer", "ImageOrientationPatient",
    "XYSpacing", "ZSpacing", "RescaleIntercept", "RescaleSlope",
)  # fmt: skip
SIDES = {"train": ("train", "train"), "valid": ("validation", "valid")}  # of tables: two spellings
BLANKS = ("not given.", "not given")
LOBES = {10: 1, 11: 2, 12: 3, 13: 4, 14: 5}  # of the total segmentation
TREE = """    dataset/train/train_1/train_1_a/train_1_a_1.nii.gz     (or dataset/train_fixed/...)
    dataset/valid/...                                       (or dataset/valid_fixed/...)
    dataset/radiology_text_reports/train_reports.csv  validation_reports.csv
    dataset/metadata/train_metadata.csv  validation_metadata.csv  no_chest_train.txt ...
    dataset/multi_abnormality_labels/train_predicted_labels.csv  valid_predicted_labels.csv"""


class CtRate(CtDataset):
    """CT-RATE's volumes, reports and labels; its `valid` part is our test split.

    variant: raw files hold stored values under an identity header and need the table; fixed ones
    were corrected by the release. It has no default where both folders lie there."""

    version = 1
    yields = (
        "image", "text", "texts", "texts.findings", "texts.impression", "texts.report", "labels",
        "label_names", "masks", "spacing_mm", "age", "sample_id", "subject_id", "meta",
    )  # fmt: skip
    restricted = True
    licence = "CC BY-NC-SA 4.0, gated"
    citation = "Hamamci et al., CT-RATE and CT-CLIP (2024)"
    split_source = "the release's train and valid; validation by hash of the patient out of train"

    def __init__(
        self,
        root: str,
        variant: Literal["auto", "raw", "fixed"] = "auto",
        size: int = 64,  # 0: the file's own grid
        of: int = 256,
        window: tuple[float, float] = (-1024.0, 600.0),
        section: Section = "findings_impression",
        one_per_scan: bool = False,  # the reconstruction with the thinnest slices
        no_chest: Literal["leave out", "keep"] = "leave out",
        expect: Literal["full", "subset"] = "full",  # subset: only files that are there
        val_fraction: float = 0.05,
        registration: Registration = "none",
        atlas: str | None = None,
        prepared: str | None = None,
        bad_files: str | None = None,  # a list of files to leave out, one path a line
    ) -> None:
        super().__init__()
        self.bad_files = bad_files
        self.root, self.variant = expand(root), variant
        self.view = View(
            size, window, section, of, registration, expand(atlas) if atlas else None, prepared
        )
        self.one_per_scan, self.no_chest, self.expect = one_per_scan, no_chest, expect
        self.val_fraction = val_fraction
        self.phantom = self.root.is_dir() and read_marker(self.root) is not None
        self.funnel_lines: list[str] = []

    def root_mistakes(self) -> list[str]:
        found = check_root(self.root, TREE)
        if not found and not (self.folder / "radiology_text_reports").is_dir():
            found = [f"{self.root} has no dataset/radiology_text_reports; expected there:\n{TREE}"]
        return found

    @cached_property
    def folder(self) -> Path:
        """The folder of the release, with or without the ones above it."""
        places = (self.root / "CT-RATE" / "dataset", self.root / "dataset", self.root)
        return next((p for p in places if (p / "radiology_text_reports").is_dir()), places[1])

    def label_names(self) -> tuple[str, ...]:
        return LABELS

    def tables(self) -> list[Path]:
        found = []
        for long, short in SIDES.values():
            names = (
                ("radiology_text_reports", f"{long}_reports"),
                ("metadata", f"{long}_metadata"),
                ("multi_abnormality_labels", f"{short}_predicted_labels"),
            )
            for place, stem in names:
                path = self.folder / place / f"{stem}.csv"
                if path.is_file() or path.with_suffix(".csv.gz").is_file():
                    found.append(find_table(self.folder / place, stem))
        return found

    def funnel(self) -> list[str]:
        """How many volumes each filter left."""
        self.cases()
        return super().funnel() + self.funnel_lines

    def cases(self) -> list[Case]:
        return self._cases

    @cached_property
    def _cases(self) -> list[Case]:
        mistakes = self.root_mistakes()
        if mistakes:
            raise UserError(*mistakes)
        self.funnel_lines = []
        found = [case for side in SIDES for case in self._side(side)]
        if not found:
            raise UserError(f"{self.folder} holds the tables of neither train nor valid.")
        return found

    # one side -----------------------------------------------------------------------------------
    def _side(self, side: str) -> list[Case]:
        long, short = SIDES[side]
        reports_folder = self.folder / "radiology_text_reports"
        if not any(reports_folder.glob(f"{long}_reports.csv*")):
            return []
        path = find_table(reports_folder, f"{long}_reports")
        reports = read_table(path, REPORT_COLUMNS)
        unique(reports, "VolumeName", path)
        meta_path = find_table(self.folder / "metadata", f"{long}_metadata")
        metadata = {row["VolumeName"]: row for row in read_table(meta_path, METADATA)}
        label_path = find_table(
            self.folder / "multi_abnormality_labels", f"{short}_predicted_labels"
        )
        labels = {row["VolumeName"]: row for row in read_table(label_path, ("VolumeName", *LABELS))}
        rows = self._chosen(side, reports, metadata)
        variant = self._variant_of(side)
        return [
            self._case(side, variant, row, metadata, labels, str(meta_path), str(label_path))
            for row in rows
        ]

    def _chosen(self, side: str, reports: Sequence[Row], metadata: Mapping[str, Row]) -> list[Row]:
        rows = list(reports)
        lines = [f"{side}: {len(rows)} volumes in the tables"]
        if self.no_chest == "leave out":
            listed = self._no_chest(side)
            rows = [row for row in rows if row["VolumeName"] not in listed]
            lines.append(f"{side}: {len(rows)} after those that show no chest")
        if self.one_per_scan:
            best: dict[str, Row] = {}
            for row in sorted(rows, key=lambda r: (_slices(r, metadata), r["VolumeName"])):
                best.setdefault(_scan(row["VolumeName"]), row)
            kept = {row["VolumeName"] for row in best.values()}
            rows = [row for row in rows if row["VolumeName"] in kept]
            lines.append(f"{side}: {len(rows)} with one reconstruction a scan")
        if self.expect == "subset":
            variant = self._variant_of(side)
            rows = [row for row in rows if self._path(side, variant, row["VolumeName"]).is_file()]
            lines.append(f"{side}: {len(rows)} whose file is there")
        self.funnel_lines += lines
        return rows

    def _no_chest(self, side: str) -> set[str]:
        path = self.folder / "metadata" / f"no_chest_{side}.txt"
        if not path.is_file():
            raise UserError(
                f"{path} is missing; it lists the head scans. Fetch it, or set "
                "data.no_chest='keep'."
            )
        names = {line.strip() for line in read_text(path).splitlines() if line.strip()}
        return {name if name.endswith(".nii.gz") else f"{name}.nii.gz" for name in names}

    def _variant_of(self, side: str) -> str:
        there = [
            name
            for name, end in (("raw", ""), ("fixed", "_fixed"))
            if (self.folder / f"{side}{end}").is_dir()
        ]
        if self.variant != "auto":
            if self.variant not in there:
                raise UserError(
                    f"variant={self.variant}: {self.folder} has no folder {side}"
                    f"{'_fixed' if self.variant == 'fixed' else ''}; it has {' and '.join(there)}."
                )
            return self.variant
        if len(there) == 2:
            raise UserError(
                f"{self.folder} holds both {side} (raw) and {side}_fixed; say which with "
                "data.variant=raw or data.variant=fixed."
            )
        if not there:
            raise UserError(f"{self.folder} has no volumes of {side}; expected there:\n{TREE}")
        return there[0]

    def _path(self, side: str, variant: str, name: str) -> Path:
        scan = _scan(name)
        end = "_fixed" if variant == "fixed" else ""
        return self.folder / f"{side}{end}" / _patient(name) / scan / name

    def _case(
        self,
        side: str,
        variant: str,
        row: Row,
        metadata: Mapping[str, Row],
        labels: Mapping[str, Row],
        meta_where: str,
        label_where: str,
    ) -> Case:
        name = row["VolumeName"]
        if name not in metadata or name not in labels:
            where = meta_where if name not in metadata else label_where
            raise UserError(f"{where} has no row for {name}, which the reports have.")
        told, patient = metadata[name], _patient(name)
        where = f"{meta_where}, {name}"
        reading = raw_reading(told, where) if variant == "raw" else Reading()
        test = side == "valid"
        held = hash_share(KEY, patient) < self.val_fraction
        return Case(
            name.removesuffix(".nii.gz"),
            patient,
            "test" if test else "validation" if held else "train",
            self._path(side, variant, name),
            reading,
            self._masks(side, name),
            {"findings": _text(row["Findings_EN"]), "impression": _text(row["Impressions_EN"])},
            tuple(_label(labels[name], label, f"{label_where}, {name}") for label in LABELS),
            _age(told["PatientAge"]),
            "axes",
            {"sex": told["PatientSex"], "manufacturer": told["Manufacturer"], "variant": variant},
        )

    def _masks(self, side: str, name: str) -> dict[str, Mask]:
        """Lobes out of the total segmentation, where it was fetched."""
        part = Path("ts_total") / f"{side}_fixed" / _patient(name) / _scan(name) / name
        for place in (self.folder / "ts_seg", self.folder.parent / "ts_seg"):
            if (place / part).is_file():
                return {"lobe": Mask(place / part, LOBES)}
        return {}


def raw_reading(told: Mapping[str, str], where: str) -> Reading:
    """How to read a raw volume: rescale, spacing and axes of its row.

    Columns of the orientation run along i and j, their cross product along k; a negative ZSpacing
    turns k round."""
    try:
        spacing = [float(part) for part in ast.literal_eval(told["XYSpacing"])]
        thick = float(told["ZSpacing"])
        slope, intercept = float(told["RescaleSlope"]), float(told["RescaleIntercept"])
        turn = [float(part) for part in ast.literal_eval(told["ImageOrientationPatient"])]
        if len(spacing) != 2 or len(turn) != 6 or not thick:
            raise ValueError("lengths")
    except (ValueError, SyntaxError, TypeError):
        cells = {name: told[name] for name in METADATA[4:]}
        raise UserError(
            f"{where}: the row cannot be read: {cells}. XYSpacing looks like [0.75, 0.75], "
            "ImageOrientationPatient like [1, 0, 0, 0, 1, 0]."
        ) from None
    x, y = turn[:3], turn[3:]
    z = [x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]]
    z = [part if thick > 0 else -part for part in z]
    axes = "".join(_letter(way, where) for way in (x, y, z))
    return Reading("stored", slope, intercept, (abs(thick), spacing[1], spacing[0]), axes)


def _letter(way: Sequence[float], where: str) -> str:
    """The side that a DICOM direction runs to: x to the left, y to the back, z to the head."""
    axis = max(range(3), key=lambda i: abs(way[i]))
    if abs(way[axis]) < 0.9:
        raise UserError(
            f"{where}: the direction {list(way)} is oblique; use the fixed volumes instead."
        )
    return ("LR", "PA", "SI")[axis][way[axis] < 0]


def _patient(name: str) -> str:
    """train_1_a_2.nii.gz is of train_1."""
    return _scan(name).rpartition("_")[0]


def _scan(name: str) -> str:
    return name.removesuffix(".nii.gz").rpartition("_")[0]


def _slices(row: Row, metadata: Mapping[str, Row]) -> float:
    cell = metadata.get(row["VolumeName"], {}).get("ZSpacing", "")
    try:
        return abs(float(cell))
    except ValueError:
        return float("inf")


def _text(cell: str) -> str:
    found = " ".join(cell.split())
    return "" if found.lower() in BLANKS else found


def _label(row: Mapping[str, str], label: str, where: str) -> float:
    cell = row[label].removesuffix(".0")
    if cell not in ("0", "1"):
        raise UserError(f"{where}: {label} is {row[label]!r}; it is 0 or 1.")
    return float(cell)


def _age(cell: str) -> float:
    """063Y; anything else is unknown."""
    digits = cell.removesuffix("Y")
    return float(digits) if cell.endswith("Y") and digits.isdigit() else float("nan")
