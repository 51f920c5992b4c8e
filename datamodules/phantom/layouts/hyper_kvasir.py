"""HyperKvasir: frames in folders of classes, polyps with masks, the official folds.

hyper-kvasir/labeled-images/...   segmented-images/...   official_splits/..."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from PIL import Image

from datamodules.phantom import colonoscopy
from datamodules.phantom.writing import Traps, steps, write_truth
from medbench.core.seeds import mix

VERSION = colonoscopy.VERSION
QUIRKS = {
    "folder_spelling": "the folder is `hemorrhoids`, the split files write `hemorroids`",
    "grade_spelling": "split files leave `grade-` out of the colitis classes",
    "semicolon": "split files are separated by semicolons",
    "jpeg_masks": "masks are JPEG, so that their borders are not just 0 and 255",
    "mixed_sizes": "frames have several sizes",
}
LOWER, UPPER = "lower-gi-tract", "upper-gi-tract"
MARKS, SICK = "anatomical-landmarks", "pathological-findings"
QUALITY, CARE = "quality-of-mucosal-views", "therapeutic-interventions"
GRADES = ("0-1", "1", "1-2", "2", "2-3", "3")
Shown = dict[str, Any]
COLITIS: Shown = {"block": "ulcerative colitis"}
THROAT: Shown = {"block": "oesophagitis"}
BOWEL: Shown = {"block": "polyp", "polyps": 0}
CLASSES: list[tuple[str, str, str, Shown]] = [  # tract, category, class, what is drawn
    (LOWER, MARKS, "cecum", BOWEL | {"landmark": "cecum"}),
    (LOWER, MARKS, "ileum", BOWEL | {"landmark": "ileum"}),
    (LOWER, MARKS, "retroflex-rectum", BOWEL),
    (LOWER, SICK, "hemorrhoids", BOWEL),
    (LOWER, SICK, "polyps", {"block": "polyp"}),
    *((LOWER, SICK, f"ulcerative-colitis-grade-{grade}", COLITIS) for grade in GRADES),
    (LOWER, QUALITY, "bbps-0-1", BOWEL),
    (LOWER, QUALITY, "bbps-2-3", BOWEL),
    (LOWER, QUALITY, "impacted-stool", BOWEL),
    (LOWER, CARE, "dyed-lifted-polyps", {"block": "polyp"}),
    (LOWER, CARE, "dyed-resection-margins", BOWEL),
    (UPPER, MARKS, "pylorus", THROAT | {"disease": None, "landmark": "pylorus"}),
    (UPPER, MARKS, "retroflex-stomach", THROAT | {"disease": None, "landmark": None}),
    (UPPER, MARKS, "z-line", THROAT | {"disease": None, "landmark": "z-line"}),
    (UPPER, SICK, "barretts", THROAT),
    (UPPER, SICK, "short-segment-barretts", THROAT),
    (UPPER, SICK, "esophagitis-a", THROAT),
    (UPPER, SICK, "esophagitis-b-d", THROAT),
]
SPLIT_NAMES = {"hemorrhoids": "hemorroids"} | {
    f"ulcerative-colitis-grade-{grade}": f"ulcerative-colitis-{grade}" for grade in GRADES
}
SHARES = (1.0, 0.75, 1.25)  # of `size`: frames of a release have several
SEGMENTED = 4  # one segmented frame for so many labelled ones


def write(dest: Path, n: int, *, seed: int = 0, size: int = 128, traps: Traps = "forced") -> None:
    """n labelled frames, the classes in turn, and a quarter as many polyps with masks."""
    top = dest / "hyper-kvasir"
    names = [str(UUID(int=mix("hyper kvasir", seed, i) << 64 | i, version=4)) for i in range(n)]
    _write_folds(top / "official_splits", names, traps)
    truth: list[dict[str, Any]] = []
    for index in steps(range(n), "write hyper_kvasir"):
        tract, category, label, shown = CLASSES[index % len(CLASSES)]
        folder = top / "labeled-images" / tract / category / label
        folder.mkdir(parents=True, exist_ok=True)
        frame = colonoscopy.draw(seed, "train", index, size=_side(index, size, traps), set=shown)
        _save(frame.image, folder / f"{names[index]}.jpg")
        truth.append({"name": names[index], "class": label} | frame.truth)
    write_truth(dest, [*truth, *_write_segmented(top / "segmented-images", n, seed, size, traps)])


def _side(index: int, size: int, traps: Traps) -> int:
    return size if traps == "off" else round(size * SHARES[index % len(SHARES)])


def _save(image: np.ndarray, path: Path) -> None:
    Image.fromarray(image.transpose(1, 2, 0)).save(path, quality=95)


def _write_folds(folder: Path, names: list[str], traps: Traps) -> None:
    """Both split files, in the spelling of their own."""
    folder.mkdir(parents=True)
    for folds in (2, 5):
        lines = ["file-name;class-name;split-index"]
        for index, name in enumerate(names):
            label = CLASSES[index % len(CLASSES)][2]
            spelled = label if traps == "off" else SPLIT_NAMES.get(label, label)
            lines.append(f"{name}.jpg;{spelled};{index // len(CLASSES) % folds}")
        (folder / f"{folds}_fold_split.csv").write_text("\n".join(lines) + "\n")


def _write_segmented(
    folder: Path, n: int, seed: int, size: int, traps: Traps
) -> list[dict[str, Any]]:
    """Polyps with masks as JPEG, and their boxes."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    boxes: dict[str, Any] = {}
    truth: list[dict[str, Any]] = []
    for index in range(max(1, n // SEGMENTED)):
        name = f"cju{mix('segmented', seed, index) % 36**10:022d}"
        side = _side(index, size, traps)
        shown = {"block": "polyp", "polyps": 1}
        frame = colonoscopy.draw(seed, "test", index, size=side, set=shown)
        _save(frame.image, folder / "images" / f"{name}.jpg")
        mask = frame.masks["polyp"][0]
        picture = Image.fromarray(mask * np.uint8(255))
        picture.save(folder / "masks" / f"{name}.jpg", quality=95)
        boxes[name] = {"height": side, "width": side, "bbox": box_of(mask, "polyp")}
        truth.append({"name": name, "polyp_pixels": int(mask.sum())} | frame.truth)
    (folder / "bounding-boxes.json").write_text(json.dumps(boxes))
    return truth


def box_of(mask: np.ndarray, label: str) -> list[dict[str, Any]]:
    """The box around a mask, none for an empty one."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return []
    box = {"xmin": columns.min(), "ymin": rows.min(), "xmax": columns.max(), "ymax": rows.max()}
    return [{"label": label} | {name: int(value) for name, value in box.items()}]
