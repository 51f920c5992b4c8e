"""CT-RATE: volumes raw or corrected, reports, metadata, predicted labels.

dataset/train/train_1/train_1_a/train_1_a_1.nii.gz   dataset/train_fixed/...   dataset/valid/..."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from datamodules.phantom import ct
from datamodules.phantom.ct_words import LABELS, report_labels
from datamodules.phantom.layouts.ct_files import (
    IDENTITY,
    LPS,
    Drawn,
    draw_one,
    render,
    write_csv,
    write_nifti,
)
from datamodules.phantom.writing import Traps, steps, write_truth

VERSION = ct.VERSION
QUIRKS = {
    "identity_header": "raw volumes are floats of stored values under an identity header",
    "rescale_in_table": "slope 1 and intercept -8192 stand in the table alone",
    "spacing_as_text": "XYSpacing is text, as [0.75, 0.75]",
    "negative_spacing": "one volume's slices run to the feet: ZSpacing is negative",
    "reconstructions": "two volumes of one scan with one report, the second of thicker slices",
    "not_given": "an impression reads `Not given.`",
    "empty_cell": "an impression is empty",
    "spellings": "tables say validation_ in two folders and valid_ in the third",
    "no_chest": "a head scan, which stands in the no-chest list",
    "padded_rows": "the metadata have columns that nobody needs",
}
REPORTS = (
    "VolumeName", "ClinicalInformation_EN", "Technique_EN", "Findings_EN", "Impressions_EN",
)  # fmt: skip
METADATA = (
    "VolumeName", "Manufacturer", "SeriesDescription", "ManufacturerModelName", "PatientSex",
    "PatientAge", "ReconstructionDiameter", "ConvolutionKernel", "ImagePositionPatient",
    "ImageOrientationPatient", "SliceLocation", "Rows", "Columns", "XYSpacing", "ZSpacing",
    "RescaleIntercept", "RescaleSlope", "NumberofSlices", "StudyDate",
)  # fmt: skip
INTERCEPT = -8192
HELD = (25, 34, 40, 74, 84, 85)  # numbers whose hash falls into the validation part
TABLES = {"train": ("train", "train"), "valid": ("validation", "valid")}


@dataclass(frozen=True)
class Row:
    """One volume: its name and what is special about it."""

    name: str
    side: str
    subject: int  # of the draw
    step: int = 1  # every n-th slice
    turned: bool = False  # slices run to the feet
    head: bool = False
    impression: str | None = None

    @property
    def folder(self) -> str:
        scan = self.name.rpartition("_")[0]
        return f"{scan.rpartition('_')[0]}/{scan}"


def write(
    dest: Path,
    n: int,
    *,
    seed: int = 0,
    size: int = 128,
    traps: Traps = "forced",
    variant: Literal["raw", "fixed", "both"] = "fixed",
) -> None:
    """n volumes, one in four of them in the valid part."""
    rows = plan(n, traps)
    drawn = {row.subject: draw_one(seed, row.subject, size) for row in rows}
    folder = dest / "dataset"
    for side in TABLES:
        _write_tables(folder, side, [row for row in rows if row.side == side], drawn, size)
    truths = []
    for row in steps(rows, "write ct_rate", "volume"):
        volume = render(drawn[row.subject], size)
        hu = _head(volume.hu.shape) if row.head else volume.hu
        spacing = (volume.spacing_mm[0] * row.step, *volume.spacing_mm[1:])
        planes = hu[:: row.step, ::-1]  # rows run to the back, as scanners write them
        if variant != "raw":
            path = folder / f"{row.side}_fixed" / row.folder / f"{row.name}.nii.gz"
            write_nifti(path, planes.astype(np.int16), spacing, LPS)
        if variant != "fixed":
            path = folder / row.side / row.folder / f"{row.name}.nii.gz"
            stored = (planes[::-1] if row.turned else planes).astype(np.float64) - INTERCEPT
            write_nifti(path, stored, (1, 1, 1), IDENTITY)
        truths.append({"name": row.name, "head": int(row.head)} | volume.truth)
    write_truth(dest, truths)


def plan(n: int, traps: Traps) -> list[Row]:
    """Which volumes there are; the quirks stand among the first eight."""
    rows: list[Row] = []
    train, valid, held = 0, 0, 0
    for index in range(n):
        if traps == "forced" and index == 1:
            first = rows[0]
            name = first.name.rpartition("_")[0] + "_2"
            rows.append(Row(name, "train", first.subject, step=2, impression=first.impression))
        elif index % 4 == 2:
            valid += 1
            rows.append(Row(f"valid_{valid}_a_1", "valid", index))
        elif index % 8 == 4 and held < len(HELD):
            rows.append(Row(f"train_{HELD[held]}_a_1", "train", index))
            held += 1
        else:
            train += 1
            rows.append(Row(f"train_{train + 1000 * (train > 24)}_a_1", "train", index))
    if traps != "forced":
        return rows
    special: dict[int, dict[str, Any]] = {
        3: {"head": True},
        5: {"impression": "Not given."},
        6: {"turned": True},
        7: {"impression": "", "turned": True},
    }
    return [
        Row(**(vars(row) | special.get(index, {}))) if index in special else row
        for index, row in enumerate(rows)
    ]


def _write_tables(
    folder: Path, side: str, rows: Sequence[Row], drawn: dict[int, Drawn], size: int
) -> None:
    long, short = TABLES[side]
    reports, labels, metadata = [], [], []
    for row in rows:
        report = drawn[row.subject].report
        impression = report.impression if row.impression is None else row.impression
        name = f"{row.name}.nii.gz"
        reports.append([name, "Cough.", "Axial sections.", report.findings, impression])
        labels.append([name, *report_labels(report.mentions).values()])
        metadata.append(_metadata(row, drawn[row.subject], size))
    place = folder / "radiology_text_reports" / f"{long}_reports.csv"
    write_csv(place, REPORTS, reports)
    write_csv(folder / "metadata" / f"{long}_metadata.csv", METADATA, metadata)
    place = folder / "multi_abnormality_labels" / f"{short}_predicted_labels.csv"
    write_csv(place, ("VolumeName", *LABELS), labels)
    heads = [f"{row.name}.nii.gz" for row in rows if row.head]
    (folder / "metadata" / f"no_chest_{side}.txt").write_text("".join(f"{h}\n" for h in heads))


def _metadata(row: Row, one: Drawn, size: int) -> list[Any]:
    patient = one.scene.patient
    across, thick = 316 / size, 292 / size * row.step
    slices = -(-size // row.step)
    return [
        f"{row.name}.nii.gz", "Phantom", "Thorax", "One", patient.sex, f"{patient.age:03d}Y",
        316, "B30f", f"[{-158.0}, {-158.0}, {-146.0}]", "[1, 0, 0, 0, 1, 0]", -146.0, size, size,
        f"[{across:.6f}, {across:.6f}]", f"{-thick if row.turned else thick:.6f}",
        INTERCEPT, 1, slices, 20200101,
    ]  # fmt: skip


def _head(shape: tuple[int, ...]) -> np.ndarray:
    """A skull with a brain in it: no chest."""
    z, y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
    r = (z[:, None, None] / 0.6) ** 2 + (y[:, None] / 0.65) ** 2 + (x / 0.55) ** 2
    return np.where(r > 1, -1000, np.where(r > 0.8, 800, 38)).astype(np.int16)
