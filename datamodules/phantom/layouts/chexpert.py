"""CheXpert: the release with train and valid, the later download with test, and groundtruth.csv."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from datamodules.phantom.cxr import address, draw_study, least_feature, truth_of
from datamodules.phantom.cxr_render import render
from datamodules.phantom.cxr_report import write_report
from datamodules.phantom.cxr_study import LABELS, PURPOSES, Study, labels_of
from datamodules.phantom.writing import Traps, steps, write_truth

VERSION = 1
QUIRKS = {
    "unknown_sex": "Sex is Unknown",
    "age_0": "Age is 0 where it is not known",
    "blank_position": "AP/PA is blank on laterals",
    "swapped_order": "groundtruth.csv has Lung Lesion before Lung Opacity, unlike the other tables",
    "path_prefix": "Path begins with the release's name, whatever the folder is called",
    "floats": "labels are 1.0, 0.0, -1.0 and blank in train, 1 and 0 in groundtruth.csv",
    "lateral_first": "a test study whose first file is lateral",
    "later_validation": "flavour validation=later: val/ and val_labels.csv instead of valid",
}
SWAPPED = tuple(
    {"Lung Opacity": "Lung Lesion", "Lung Lesion": "Lung Opacity"}.get(name, name)
    for name in LABELS
)
TURN = ("train", "test", "valid", "train", "train", "test", "train", "train", "train", "train")
FIRST = {"train": 1, "valid": 64_541, "test": 64_741}  # patient numbers
SPLITS = {"train": "train", "valid": "validation", "test": "test"}
FORCED = {"unknown_sex": ("train", 0), "age_0": ("train", 1), "lateral_first": ("test", 0)}
RATES = {"unknown_sex": 0.0001, "age_0": 0.00002, "lateral_first": 0.02}
OWN_STREAM = 200


@dataclass(frozen=True)
class Visit:
    """One study with its files below the release, and what the tables say of it."""

    part: str  # train, valid or test
    patient: str
    study: Study
    views: tuple[str, ...]  # frontal, lateral, in the order of the files
    sex: str
    age: int
    labels: dict[str, float]

    def file(self, number: int) -> str:
        return f"{self.part}/{self.patient}/study1/view{number + 1}_{self.views[number]}.jpg"


def write(
    dest: Path,
    n: int,
    *,
    seed: int = 0,
    size: int = 128,
    traps: Traps = "forced",
    release: Literal["small", "full"] = "small",
    folder: str | None = None,
    validation: Literal["release", "later"] = "release",
) -> None:
    """n images. folder: what the release's folder is called now; paths keep the release's name."""
    name = "CheXpert-v1.0-small" if release == "small" else "CheXpert-v1.0"
    visits = list(_visits(n, seed, size, traps))
    place, later = dest / (folder or name), dest / "CheXpert"
    place.mkdir(parents=True, exist_ok=True)
    later.mkdir(exist_ok=True)
    of = {part: [visit for visit in visits if visit.part == part] for part in FIRST}
    _write_images(place / "train.csv", of["train"], f"{name}/")
    if validation == "release":
        _write_images(place / "valid.csv", of["valid"], f"{name}/")
    else:
        of["valid"] = [replace(visit, part="val") for visit in of["valid"]]
        _write_labels(later / "val_labels.csv", of["valid"], "CheXpert-v1.0/")
    _write_labels(later / "test_labels.csv", of["test"], "")
    _write_studies(dest / "groundtruth.csv", of["test"])
    for visit in steps([visit for part in of.values() for visit in part]):
        _draw(place if visit.part in ("train", "valid") else later, visit, size)
    write_truth(dest, (_truth(visit) for visit in visits))


# drawing ----------------------------------------------------------------------------------
def _visits(n: int, seed: int, size: int, traps: Traps) -> Iterator[Visit]:
    """Studies with n images in all, one of each patient."""
    counts = dict.fromkeys(FIRST, 0)
    left, turn = n, 0
    while left > 0:
        part = TURN[turn % len(TURN)]
        visit = _visit(part, counts[part], seed, size, traps)
        if left < len(visit.views):
            visit = replace(visit, views=("frontal",))
        yield visit
        counts[part] += 1
        left -= len(visit.views)
        turn += 1


def _visit(part: str, number: int, seed: int, size: int, traps: Traps) -> Visit:
    place = address(seed, SPLITS[part], 600_000 + number)
    study = draw_study(place, min_feature=least_feature(size))
    own = place.stream(OWN_STREAM)
    drawn = {name: own.chance(rate) and traps == "natural" for name, rate in RATES.items()}
    forced = traps == "forced"
    found = {name: drawn[name] or (forced and FORCED[name] == (part, number)) for name in RATES}
    views: tuple[str, ...] = ("frontal", "lateral") if own.chance(0.3) else ("frontal",)
    if found["lateral_first"]:
        views = ("lateral", "frontal")
    return Visit(
        part,
        f"patient{FIRST[part] + number:05d}",
        study,
        views,
        "Unknown" if found["unknown_sex"] else {"F": "Female", "M": "Male"}[study.patient.sex],
        0 if found["age_0"] else int(study.age),
        _labels(part, study),
    )


def _labels(part: str, study: Study) -> dict[str, float]:
    """What a labeller finds in the report for train; image truth for the others."""
    if part != "train":
        return {name: float(value) for name, value in labels_of(study).items()}
    report = write_report(study, study.place.stream(PURPOSES.index("report")))
    return {name: value for name, value in report.mentions.items() if name in LABELS}


def _draw(folder: Path, visit: Visit, size: int) -> None:
    for number, view in enumerate(visit.views):
        path = folder / visit.file(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        study = visit.study
        if view == "lateral":
            study = replace(study, projection="LATERAL")
        pixels, _ = render(study, size, equalise=True)
        Image.fromarray(pixels).save(path, quality=95)


def _truth(visit: Visit) -> dict[str, Any]:
    place = visit.study.place
    return {
        "sample_id": f"{visit.patient}/study1",
        "split": place.split,
        "subject": place.subject,
        "visit": place.visit,
    } | truth_of(visit.study)


# tables -----------------------------------------------------------------------------------
def _write_images(path: Path, visits: Sequence[Visit], prefix: str) -> None:
    """train.csv or valid.csv: an image a row."""
    rows = []
    for visit in visits:
        cells = [_float(visit.labels.get(name)) for name in LABELS]
        for number, view in enumerate(visit.views):
            position = visit.study.projection if view == "frontal" else ""
            about = (visit.sex, visit.age, view.capitalize(), position)
            rows.append((prefix + visit.file(number), *about, *cells))
    _save(path, ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *LABELS), rows)


def _write_labels(path: Path, visits: Sequence[Visit], prefix: str) -> None:
    """test_labels.csv or val_labels.csv: an image a row, integers."""
    rows = [
        (prefix + visit.file(number), *(int(visit.labels[name]) for name in LABELS))
        for visit in visits
        for number in range(len(visit.views))
    ]
    _save(path, ("Path", *LABELS), rows)


def _write_studies(path: Path, visits: Sequence[Visit]) -> None:
    """groundtruth.csv: a study a row, in an order of its own."""
    rows = [
        (f"CheXpert-v1.0/test/{v.patient}/study1", *(int(v.labels[name]) for name in SWAPPED))
        for v in visits
    ]
    _save(path, ("Study", *SWAPPED), rows)


def _float(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _save(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(header)
        table.writerows(rows)
