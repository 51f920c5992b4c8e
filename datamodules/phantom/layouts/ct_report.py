"""Our manifest of chest CTs with reports, or the same volumes in MedSyn's working folders.

manifest.csv  ct/case_00001.nii.gz  masks/lobe/case_00001.nii.gz  reports/case_00002.txt"""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from datamodules.phantom import ct
from datamodules.phantom.ct_grid import EXTENT, cube
from datamodules.phantom.ct_words import image_labels
from datamodules.phantom.layouts.ct_files import LAS, LPS, Drawn, draw_one, write_csv, write_nifti
from datamodules.phantom.writing import Traps, steps, write_truth

VERSION = ct.VERSION
QUIRKS = {
    "blank_split": "some rows leave split blank: their side goes by hash",
    "report_file": "one row names a text file in place of findings and impression",
    "text_only": "rows without a volume",
    "stored": "one volume holds stored values, with slope and intercept in the row",
    "numpy": "one volume is a .npy with axes RPI and spacing in the row",
    "scanner_axes": "one volume has rows that run to the back, as scanners write them",
    "no_masks": "one row has no masks",
    "blank_label": "one label is blank, one is -1",
    "reconstruction": "two rows of one subject are reconstructions of one scan",
}
COLUMNS = (
    "case_id", "subject_id", "split", "volume", "findings", "impression", "report", "lobe",
    "airway", "vessel", "text_feature", "intensity", "slope", "intercept", "spacing", "axes",
    "reconstruction", "label_pleural_effusion", "label_nodule",
)  # fmt: skip
SIDES = ("train", "train", "val", "test", "train", "")
TEXT_ONLY = 3
SPECIAL = {"report_file": 1, "stored": 2, "numpy": 3, "scanner_axes": 4, "no_masks": 5}


def write(
    dest: Path,
    n: int,
    *,
    seed: int = 0,
    size: int = 128,
    traps: Traps = "forced",
    layout: Literal["manifest", "medsyn"] = "manifest",
    masks: Literal["all", "some"] = "some",  # some: one row has none
) -> None:
    """n volumes, and a few rows of text alone."""
    drawn = [draw_one(seed, index, size) for index in range(n)]
    if layout == "medsyn":
        _write_medsyn(dest, drawn, size)
        return
    extra = TEXT_ONLY if traps != "off" else 0
    texts = [draw_one(seed, 100_000 + index, size) for index in range(extra)]
    rows = [_row(index, one, size, traps, masks) for index, one in enumerate(drawn)]
    rows += [_text_row(n + index, one) for index, one in enumerate(texts)]
    _reconstructions(rows, n, traps)
    write_csv(dest / "manifest.csv", COLUMNS, [[row.get(c, "") for c in COLUMNS] for row in rows])
    truths = []
    for index, one in enumerate(steps(drawn, "write ct_report", "volume")):
        row = rows[index]
        volume = ct.render(one.scene, cube(size, size))
        _write_volume(dest, row, volume)
        if row.get("report"):
            path = dest / row["report"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(one.report.text + "\n", encoding="utf-8")
        truths.append({"name": row["case_id"], **volume.truth})
    write_truth(dest, truths)


def _row(index: int, one: Drawn, size: int, traps: Traps, masks: str) -> dict[str, Any]:
    name = f"case_{index + 1:05d}"
    forced = traps == "forced"
    labels = image_labels(one.scene)
    row: dict[str, Any] = {
        "case_id": name,
        "subject_id": f"subj_{index + 1:05d}",
        "split": SIDES[index % len(SIDES)] if forced else SIDES[index % 5],
        "volume": f"ct/{name}.nii.gz",
        "findings": one.report.findings,
        "impression": one.report.impression,
        "label_pleural_effusion": labels["Pleural effusion"],
        "label_nodule": labels["Lung nodule"],
    }
    bare = forced and index == SPECIAL["no_masks"] and masks == "some"
    if not bare:
        row |= {key: f"masks/{key}/{name}.nii.gz" for key in ("lobe", "airway", "vessel")}
    if not forced:
        return row
    if index == SPECIAL["report_file"]:
        row |= {"findings": "", "impression": "", "report": f"reports/{name}.txt"}
        row["label_nodule"] = ""
    if index == SPECIAL["stored"]:
        row |= {"intensity": "stored", "slope": 1, "intercept": -1024, "label_nodule": -1}
    if index == SPECIAL["numpy"]:
        spacing = " ".join(f"{extent / size:.6f}" for extent in EXTENT)
        row |= {"volume": f"ct/{name}.npy", "axes": "RPI", "spacing": spacing}
        row |= {key: f"masks/{key}/{name}.npy" for key in ("lobe", "airway", "vessel")}
    if index == SPECIAL["scanner_axes"]:
        row["intensity"] = "hu"
    return row


def _text_row(index: int, one: Drawn) -> dict[str, Any]:
    return {
        "case_id": f"case_{index + 1:05d}",
        "subject_id": f"subj_{index + 1:05d}",
        "findings": one.report.findings,
        "impression": one.report.impression,
    }


def _reconstructions(rows: list[dict[str, Any]], n: int, traps: Traps) -> None:
    """Rows 1 and 5 become two reconstructions of one subject."""
    if traps == "forced" and n > 4:
        rows[4]["subject_id"] = rows[0]["subject_id"]
        rows[0]["reconstruction"], rows[4]["reconstruction"] = "soft", "sharp"


def _write_volume(dest: Path, row: dict[str, Any], volume: ct.Volume) -> None:
    parts = {"volume": volume.hu} | {
        name: volume.masks[name][0] for name in ("lobe", "airway", "vessel") if row.get(name)
    }
    for name, values in parts.items():
        path = dest / row[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".npy":  # RPI: all three axes turned round
            np.save(path, values[::-1, ::-1, ::-1])
            continue
        if name == "volume" and row.get("intensity") == "stored":
            values = (values + 1024).astype(np.int16)
        if row.get("intensity") == "hu":
            write_nifti(path, values[:, ::-1], volume.spacing_mm, LPS)
        else:
            write_nifti(path, values, volume.spacing_mm, LAS)


def _write_medsyn(dest: Path, drawn: list[Drawn], size: int) -> None:
    """moved_img_256/ID_Reg.npy in [-1, 1] under the published window, masks beside."""
    rows, truths = [], []
    for index, one in enumerate(steps(drawn, "write ct_report", "volume")):
        name = f"case_{index + 1:05d}"
        volume = ct.render(one.scene, cube(size, size))
        clipped = np.clip(volume.hu.astype(np.float32), -1024, 600)
        _save(dest / "moved_img_256" / f"{name}_Reg.npy", clipped / 812 + 212 / 812)
        for mask in ("lobe", "airway", "vessel"):
            _save(dest / mask / f"{name}_Reg.npy", volume.masks[mask][0])
        rows.append([name, one.report.findings, one.report.impression])
        truths.append({"name": name, **volume.truth})
    write_csv(dest / "reports.csv", ("case_id", "findings", "impression"), rows)
    write_truth(dest, truths)


def _save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)
