"""MIMIC-CXR-LT: its four tables, with the images they point to in MIMIC-CXR-JPG beside them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from datamodules.phantom.cxr import address, draw_study, least_feature, single
from datamodules.phantom.layouts import mimic_cxr, mimic_cxr_jpg
from datamodules.phantom.layouts.mimic_cohort import (
    Film,
    Visit,
    dicom_id,
    study_id,
    subject_id,
    truths,
    write_films,
)
from datamodules.phantom.layouts.mimic_files import save
from datamodules.phantom.writing import Traps, write_truth

VERSION = 1
QUIRKS = {
    "file_names": "names begin with mimic-cxr-lt or, by flavour, with mimic-lt",
    "one_hot": "integers, just one of them 1, whatever else the image shows",
    "column_order": "fourteen labels by the alphabet and five more, not the order of the classes",
    "long_tail": "8 images of a head class for 3 of a medium and 1 of a tail class",
    "several_images": "a study with two images, one of them lateral",
}
HEAD = (
    "No Finding",
    "Lung Opacity",
    "Cardiomegaly",
    "Atelectasis",
    "Pleural Effusion",
    "Support Devices",
    "Edema",
    "Pneumonia",
    "Pneumothorax",
    "Lung Lesion",
)
MEDIUM = (
    "Fracture",
    "Enlarged Cardiomediastinum",
    "Consolidation",
    "Pleural Other",
    "Calcification of the Aorta",
    "Tortuous Aorta",
)
TAIL = ("Pneumoperitoneum", "Subcutaneous Emphysema", "Pneumomediastinum")
SHARES = dict.fromkeys(HEAD, 8) | dict.fromkeys(MEDIUM, 3) | dict.fromkeys(TAIL, 1)
FIVE = (
    "Pneumoperitoneum",
    "Pneumomediastinum",
    "Subcutaneous Emphysema",
    "Tortuous Aorta",
    "Calcification of the Aorta",
)
COLUMNS = (*sorted(set(SHARES) - set(FIVE)), *FIVE)
TABLES = {"train": "train", "balanced-val": "validation", "balanced-test": "test", "test": "test"}
TURN = ("train", "balanced-val", "balanced-test", "train", "test", "train", "train", "train")
FIRST_SUBJECT = 500_000  # far from those of the other layouts


def write(
    dest: Path,
    n: int,
    *,
    seed: int = 0,
    size: int = 128,
    traps: Traps = "forced",
    names: Literal["mimic-cxr-lt", "mimic-lt"] = "mimic-cxr-lt",
    reports: Literal["files", "zip", "none"] = "files",
) -> None:
    """n images in all four tables; each table's classes follow one another at its own shares."""
    rows = list(_rows(n, seed, size, traps))
    folder = dest / "mimic-cxr-lt"
    folder.mkdir(parents=True, exist_ok=True)
    header = ("subject_id", "study_id", "dicom_id", "path", *COLUMNS)
    for table in TABLES:
        lines = [
            (visit.subject_id, visit.study_id, film.dicom_id, visit.path(film), *_one_hot(name))
            for own, name, visit in rows
            if own == table
            for film in visit.films
        ]
        save(folder / f"{names}_single-label_{table}.csv", header, lines)
    visits = [visit for _, _, visit in rows]
    release = dest / "mimic-cxr-jpg" / "2.0.0"
    release.mkdir(parents=True, exist_ok=True)
    mimic_cxr_jpg.write_tables(release, visits, size, "2.0.0")
    if reports != "none":
        mimic_cxr.write_reports(dest, visits, packed=reports == "zip")
    write_films(release, visits, size)
    write_truth(dest, truths(visits))


def _one_hot(name: str) -> tuple[int, ...]:
    return tuple(int(column == name) for column in COLUMNS)


def _rows(n: int, seed: int, size: int, traps: Traps) -> Iterator[tuple[str, str, Visit]]:
    """Table, class and study; a study with two images counts as two."""
    balanced = tuple(SHARES)
    orders = {table: _cycle() if table == "train" else balanced for table in TABLES}
    used = dict.fromkeys(TABLES, 0)
    left, number = n, 0
    while left > 0:
        table = TURN[number % len(TURN)]
        name = orders[table][used[table] % len(orders[table])]
        used[table] += 1
        visit = _visit(number, TABLES[table], name, seed, size)
        if left > 1 and (number == 0 if traps == "forced" else traps != "off" and number % 4 == 0):
            again = Film(dicom_id(FIRST_SUBJECT * 4 + number * 4 + 1, seed), "LATERAL", visit.study)
            again = replace(again, study=replace(visit.study, projection="LATERAL"))
            visit = replace(visit, films=(*visit.films, again))
        yield table, name, visit
        left -= len(visit.films)
        number += 1


def _cycle() -> tuple[str, ...]:
    """Each class as often as its share, spread evenly."""
    places = [((k + 0.5) / share, name) for name, share in SHARES.items() for k in range(share)]
    return tuple(name for _, name in sorted(places))


def _visit(number: int, split: str, name: str, seed: int, size: int) -> Visit:
    """A study that shows one class alone."""
    subject = FIRST_SUBJECT + number
    place = address(seed, split, subject)
    study = draw_study(
        place,
        min_feature=least_feature(size),
        set=single(name),
        longtail=True,
    )
    film = Film(dicom_id(subject * 4, seed), study.projection, study)
    return Visit(
        subject,
        subject_id(subject, seed),
        study_id(subject, seed),
        datetime(2150, 1, 1, 8, 5) + timedelta(hours=7 * number),
        split,
        study,
        (film,),
        frozenset(),
    )
