"""RAD-ChestCT: npz volumes, metadata of all scans, tables of abnormality by location.

trn00001.npz  val00003.npz  tst00002.npz  imgtrain_Abnormality_and_Location_Labels.csv  ..."""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from datamodules.phantom import ct
from datamodules.phantom.ct_findings import Finding
from datamodules.phantom.ct_grid import EXTENT, axis_grid
from datamodules.phantom.layouts.ct_files import Drawn, draw_one, render_on, write_csv
from datamodules.phantom.writing import Traps, steps, write_truth

VERSION = ct.VERSION
QUIRKS = {
    "axes": "int16 arrays whose axes run to feet, back and left (IPL)",
    "isotropic": "voxels are cubes; the spacing stands in the table",
    "no_volume": "the metadata have rows without a volume",
    "wide_tables": "4,368 columns abnormality*location",
    "similar_names": "nodule and nodulegr1cm disagree",
    "spread": "a label holds at several locations at once",
    "two_scans": "two volumes of one patient",
}
SIDES = ("trn", "trn", "tst", "val", "trn", "tst")
TABLES = {"trn": "imgtrain", "val": "imgvalid", "tst": "imgtest"}
LOCATIONS = (
    "left_upper", "left_mid", "left_lower", "right_upper", "right_mid", "right_lower",
    "right_lung", "left_lung", "lung", "airways",
    "heart", "mitral_valve", "aortic_valve", "tricuspid_valve", "pulmonary_valve",
    "aorta", "svc", "ivc", "pulmonary_artery", "pulmonary_vein",
    "right", "left", "anterior", "posterior", "superior", "inferior", "medial", "lateral",
    "interstitial", "subpleural", "centrilobular", "thyroid", "breast", "axilla", "chest_wall",
    "rib", "spine", "bone", "mediastinum", "diaphragm", "hilum", "abdomen", "esophagus",
    "stomach", "intestine", "liver", "gallbladder", "kidney", "adrenal_gland", "spleen",
    "pancreas", "other_location",
)  # fmt: skip
ABNORMALITIES = (
    "bandlike_or_linear", "groundglass", "honeycombing", "reticulation", "tree_in_bud",
    "airspace_disease", "air_trapping", "aspiration", "atelectasis", "bronchial_wall_thickening",
    "bronchiectasis", "bronchiolectasis", "bronchiolitis", "bronchitis", "emphysema",
    "hemothorax", "interstitial_lung_disease", "lung_resection", "mucous_plugging",
    "pleural_effusion", "pleural_thickening", "pneumonia", "pneumonitis", "pneumothorax",
    "pulmonary_edema", "septal_thickening", "tuberculosis",
    "cabg", "cardiomegaly", "coronary_artery_disease", "heart_failure",
    "heart_valve_replacement", "pacemaker_or_defib", "pericardial_effusion",
    "pericardial_thickening", "sternotomy",
    "arthritis", "atherosclerosis", "aneurysm", "breast_implant", "breast_surgery",
    "calcification", "cancer", "catheter_or_port", "cavitation", "clip", "congestion",
    "consolidation", "cyst", "debris", "deformity", "density", "dilation_or_ectasia",
    "distention", "fibrosis", "fracture", "granuloma", "hardware", "hernia", "infection",
    "infiltrate", "inflammation", "lesion", "lucency", "lymphadenopathy", "mass", "nodule",
    "nodulegr1cm", "opacity", "plaque", "postsurgical", "scarring", "scattered_calc",
    "scattered_nod", "secretion", "soft_tissue", "staple", "stent", "suture", "transplant",
    "chest_tube", "tracheal_tube", "gi_tube", "other_path",
)  # fmt: skip
NAMES = {  # a finding of the phantom, and the abnormalities that it is
    "pleural effusion": ("pleural_effusion",),
    "emphysema": ("emphysema",),
    "bullae": ("emphysema", "lucency"),
    "cardiomegaly": ("cardiomegaly",),
    "consolidation": ("consolidation", "opacity"),
    "ground glass": ("groundglass", "opacity"),
    "nodule": ("nodule",),
    "atelectasis": ("atelectasis",),
    "pneumothorax": ("pneumothorax",),
    "pericardial effusion": ("pericardial_effusion",),
    "aortic calcium": ("atherosclerosis", "calcification"),
    "coronary calcium": ("coronary_artery_disease", "calcification"),
    "bronchiectasis": ("bronchiectasis",),
}
ELSEWHERE = {
    "cardiomegaly": ("heart",),
    "pericardial effusion": ("heart",),
    "aortic calcium": ("aorta",),
    "coronary calcium": ("heart",),
}
MATERIALS = {
    "tube": ("tracheal_tube", "airways"),
    "lead": ("pacemaker_or_defib", "heart"),
    "port": ("catheter_or_port", "svc"),
}
METADATA = (
    "NoteAcc_DEID", "MRN_DEID", "VolumeAcc_DEID", "orig_square", "orig_numslices", "orig_slope",
    "orig_inter", "orig_yxspacing", "orig_zdiff", "zdiffs_all_equal", "orig_orientation",
    "orig_gantry_tilt", "final_square", "final_numslices", "final_spacing", "transform",
    "SliceThickness", "Manufacturer", "ManufacturerModelName", "PatientAge", "PatientSex",
    "EthnicGroup", "StationName", "ConvolutionKernel", "ProtocolName",
)  # fmt: skip
WITHOUT = 3  # rows of the metadata that have no volume


def write(
    dest: Path,
    n: int,
    *,
    seed: int = 0,
    size: int = 128,
    traps: Traps = "forced",
    compressed: Literal["yes", "no"] = "yes",
) -> None:
    """n volumes of size x size pixels a slice, with cubes for voxels."""
    names = [f"{SIDES[i % len(SIDES)]}{i + 1:05d}" for i in range(n)]
    drawn = [draw_one(seed, index, size) for index in range(n)]
    step = EXTENT[1] / size
    slices = round(EXTENT[0] / step)
    subjects = [f"mrn{index + 1:05d}" for index in range(n)]
    if traps == "forced" and n > 1:
        subjects[1] = subjects[0]
    rows = [
        _metadata(name, subject, one, size, slices, step)
        for name, subject, one in zip(names, subjects, drawn, strict=True)
    ]
    if traps != "off":
        rows += [[f"trn9{i:04d}", f"mrn9{i:04d}", *rows[0][2:]] for i in range(WITHOUT)]
    dest.mkdir(parents=True, exist_ok=True)
    write_csv(dest / "CT_Scan_Metadata_Complete_35747.csv", METADATA, rows)
    header = ["NoteAcc_DEID", *(f"{a}*{place}" for a in ABNORMALITIES for place in LOCATIONS)]
    for side, table in TABLES.items():
        lines = [
            [name, *_labels(one, index, traps)]
            for index, (name, one) in enumerate(zip(names, drawn, strict=True))
            if name.startswith(side)
        ]
        write_csv(dest / f"{table}_Abnormality_and_Location_Labels.csv", header, lines)
    truths = []
    grid = axis_grid((slices, size, size), (step, step, step))
    save = np.savez_compressed if compressed == "yes" else np.savez
    for name, one in steps(list(zip(names, drawn, strict=True)), "write radchest", "volume"):
        volume = render_on(one, grid)
        save(dest / f"{name}.npz", ct=volume.hu[::-1, ::-1])  # IPL
        truths.append({"name": name, **volume.truth})
    write_truth(dest, truths)


def _metadata(
    name: str, subject: str, one: Drawn, size: int, slices: int, step: float
) -> list[Any]:
    patient = one.scene.patient
    return [
        name, subject, f"{name}.npz", 512, 300, 1, -1024, 0.7, 0.6, 1, "[1, 0, 0, 0, 1, 0]", 0,
        size, slices, f"{step:.6f}", "IPL", 0.6, "Phantom", "One", patient.age, patient.sex, "",
        "ct1", "B30f", "Chest",
    ]  # fmt: skip


def _labels(one: Drawn, index: int, traps: Traps) -> list[int]:
    """0 and 1 for each abnormality and location."""
    found: set[str] = set()
    for name, finding in one.scene.findings.items():
        if name == "medical material":
            abnormality, place = MATERIALS[finding.kind]
            found.add(f"{abnormality}*{place}")
            continue
        for abnormality in NAMES[name]:
            found |= {f"{abnormality}*{place}" for place in places_of(finding)}
        if name == "nodule" and finding.numbers["diameter_mm"] > 10:
            found |= {f"nodulegr1cm*{place}" for place in places_of(finding)}
    if traps == "forced" and index == 0:  # a reader that matches prefixes is found out
        found = {cell for cell in found if not cell.startswith("nodule*")} | {"nodulegr1cm*lung"}
    return [int(f"{a}*{place}" in found) for a in ABNORMALITIES for place in LOCATIONS]


def places_of(finding: Finding) -> tuple[str, ...]:
    """Every location that a finding is at."""
    if finding.name in ELSEWHERE:
        return ELSEWHERE[finding.name]
    sides = ("left", "right") if finding.side == "both" else (finding.side,)
    places = [f"{side}_lung" for side in sides] + list(sides) + ["lung"]
    if finding.lobe:
        places.append(finding.lobe.replace(" ", "_").replace("middle", "mid"))
    return tuple(places)
