"""MIMIC's layouts through the files: every quirk is written, and the reader's rule is needed."""

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.labels import CANONICAL
from datamodules.mimic_cxr_jpg import MimicCxrJpg
from datamodules.mimic_iv import RACE_NAMES, Demographics
from datamodules.mimic_journeys import MimicJourneys
from datamodules.mimic_reports import Reports
from datamodules.phantom.cxr_render import render
from datamodules.phantom.cxr_study import labels_of
from datamodules.phantom.layouts import mimic_cxr, mimic_cxr_jpg, mimic_iv
from datamodules.phantom.layouts.mimic_cohort import Visit, draw_cohort
from datamodules.phantom.writing import write_layout

N, SIZE = 60, 48
EVERY = ("PA", "AP", "lateral", "other")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("mimic") / "root"
    flavours = {"release": "2.1.0"}
    return write_layout("mimic_cxr_jpg", dest, N, size=SIZE, flavours=flavours)


@pytest.fixture(scope="module")
def cohort() -> list[Visit]:
    return draw_cohort(N, 0, SIZE, "forced")


def data(root: Path, **settings: Any) -> MimicCxrJpg:
    return MimicCxrJpg(str(root), **({"image_size": SIZE, "expect": "full"} | settings))


def samples(module: MimicCxrJpg) -> dict[str, dict[str, Any]]:
    found = {}
    for name in module.splits:
        films = module.split(name)
        found |= {s["sample_id"]: s for s in map(films.describe, range(len(films)))}
    return found


@pytest.fixture(scope="module")
def every(root: Path) -> dict[str, dict[str, Any]]:
    """All images of all views, without reports."""
    return samples(data(root, views=EVERY, section="none"))


def raw(root: Path, table: str) -> list[list[str]]:
    path = root / f"mimic-cxr-jpg/2.1.0/mimic-cxr-2.0.0-{table}.csv.gz"
    return list(csv.reader(gzip.decompress(path.read_bytes()).decode().splitlines()))


def trapped(cohort: list[Visit], trap: str) -> Visit:
    return next(visit for visit in cohort if trap in visit.traps)


def values(sample: dict[str, Any]) -> dict[str, float]:
    return dict(zip(sample["label_names"], sample["labels"].tolist(), strict=True))


def test_what_is_written_is_read_as_it_was_drawn(root: Path, cohort: list[Visit]) -> None:
    module = data(root, views=EVERY, section="none")
    assert module.phantom and module.check("full") == []
    films = {s["sample_id"]: s for n in module.splits for s in map_of(module, n)}
    drawn = {film.dicom_id: (visit, film) for visit in cohort for film in visit.films}
    assert set(films) == set(drawn) and len(films) == N
    truth = (root.with_name("root.truth") / "truth.jsonl").read_text().splitlines()
    assert {json.loads(line)["sample_id"] for line in truth} == set(drawn)
    for name in list(drawn)[:8]:
        visit, film = drawn[name]
        pixels, _ = render(film.study, SIZE, equalise=True)
        error = np.abs((films[name]["image"][0] + 1) * 127.5 - pixels)
        assert error.mean() < 4 and films[name]["subject_id"] == visit.subject_id  # JPEG
    assert {v.subject_id[:2] for v in cohort} == {f"1{i}" for i in range(10)}


def map_of(module: MimicCxrJpg, name: str) -> list[dict[str, Any]]:
    films = module.split(name)
    return [films[i] for i in range(len(films))]


# MIMIC-CXR-JPG --------------------------------------------------------------------------
def blank_view(root: Path, cohort: list[Visit], every: dict[str, Any]) -> bool:
    name = trapped(cohort, "blank_view").films[0].dicom_id
    meta = every[name]["meta"]
    return meta["view_position"] == "" and meta["view"] == "other" and name not in frontal(root)


def frontal(root: Path) -> dict[str, Any]:
    return samples(data(root, section="none"))


def rare_view(root: Path, cohort: list[Visit], every: dict[str, Any]) -> bool:
    meta = every[trapped(cohort, "rare_view").films[1].dicom_id]["meta"]
    return meta["view_position"] == "AP AXIAL" and meta["view"] == "other"


def lost_zeros(root: Path, cohort: list[Visit], every: dict[str, Any]) -> bool:
    visit = trapped(cohort, "midnight")
    cells = {row[0]: row[8] for row in raw(root, "metadata")}
    images = data(root).source.images
    row = images.dicom.tolist().index(visit.films[0].dicom_id.encode())
    moment = images.moment(row)
    return cells[visit.films[0].dicom_id] == "1530.0" and (moment.hour, moment.minute) == (0, 15)


def split_columns(root: Path, cohort: list[Visit], every: dict[str, Any]) -> bool:
    header, *rows = raw(root, "split")
    splits = {film.dicom_id: visit.split for visit in cohort for film in visit.films}
    other_order = [row[0] for row in rows] != [row[0] for row in raw(root, "metadata")[1:]]
    same = all(every[name]["meta"]["split"] == split for name, split in splits.items())
    return header[1:3] == ["study_id", "subject_id"] and other_order and same


def alphabetical(root: Path, cohort: list[Visit], every: dict[str, Any]) -> bool:
    assert raw(root, "chexpert")[0][2:] == sorted(CANONICAL)
    kept = samples(data(root, views=EVERY, section="none", uncertain="keep"))
    for visit in cohort:
        if {"unlabelled_study", "all_blank_study"} & visit.traps:
            continue
        found = values(kept[visit.films[0].dicom_id])
        said = {n: v for n, v in visit.report.mentions.items() if n in CANONICAL}
        assert {n: v for n, v in found.items() if not np.isnan(v)} == said
    return True


def blanks_and_floats(root: Path, cohort: list[Visit], every: dict[str, Any]) -> bool:
    cells = {cell for row in raw(root, "chexpert")[1:] for cell in row[2:]}
    kept = samples(data(root, section="none", uncertain="one", blank="zero"))
    known = np.concatenate([s["labels"] for s in kept.values()])
    return cells == {"1.0", "0.0", "-1.0", ""} and set(known[~np.isnan(known)]) == {0.0, 1.0}


def unlabelled_study(root: Path, cohort: list[Visit], every: dict[str, Any]) -> bool:
    visit = trapped(cohort, "unlabelled_study")
    zeros = samples(data(root, section="none", blank="zero"))
    absent = visit.study_id not in {row[1] for row in raw(root, "chexpert")}
    return absent and bool(np.isnan(zeros[visit.films[0].dicom_id]["labels"]).all())


def all_blank_study(root: Path, cohort: list[Visit], every: dict[str, Any]) -> bool:
    name = trapped(cohort, "all_blank_study").films[0].dicom_id
    zeros = samples(data(root, section="none", blank="zero"))
    return bool(np.isnan(every[name]["labels"]).all() and (zeros[name]["labels"] == 0).all())


def shared_time(root: Path, cohort: list[Visit], every: dict[str, Any]) -> bool:
    visit = next(visit for visit in cohort if len(visit.films) == 2)
    one, two = (every[film.dicom_id]["meta"] for film in visit.films)
    return one["study_time"] == two["study_time"] and one["path"] != two["path"]


def equal_times(root: Path, cohort: list[Visit], every: dict[str, Any]) -> bool:
    subject = trapped(cohort, "equal_times").subject_id
    one, two = (visit for visit in cohort if visit.subject_id == subject)
    settings: dict[str, Any] = {"registration": "none", "min_findings": 0}
    pairs = MimicJourneys(str(root), **settings).candidates
    paired = pairs.images.subject[pairs.later].tolist()
    return one.moment == two.moment and subject.encode() not in paired


def ids_against_time(root: Path, cohort: list[Visit], every: dict[str, Any]) -> bool:
    subject = trapped(cohort, "ids_against_time").subject_id
    one, two = (visit for visit in cohort if visit.subject_id == subject)
    return one.study_id > two.study_id and one.moment < two.moment


def airspace_opacity(root: Path, cohort: list[Visit], every: dict[str, Any]) -> bool:
    table = root / "mimic-cxr-jpg/2.1.0/mimic-cxr-2.1.0-test-set-labeled.csv"
    header = table.read_text().splitlines()[0].split(",")
    assert "Airspace Opacity" in header and "subject_id" not in header
    module = data(root, views=EVERY, section="none", test_labels="radiologist")
    films = module.split("test")
    found = {s["sample_id"]: values(s) for s in map(films.describe, range(len(films)))}
    for visit in cohort:
        if visit.split == "test":
            assert found.pop(visit.films[0].dicom_id) == labels_of(visit.study)
    return True


RELEASE: dict[str, Callable[..., bool]] = {
    f.__name__: f
    for f in (
        blank_view,
        rare_view,
        lost_zeros,
        split_columns,
        alphabetical,
        blanks_and_floats,
        unlabelled_study,
        all_blank_study,
        shared_time,
        equal_times,
        ids_against_time,
        airspace_opacity,
    )
}


@pytest.mark.parametrize("quirk", mimic_cxr_jpg.QUIRKS)
def test_every_quirk_of_the_images(
    quirk: str, root: Path, cohort: list[Visit], every: dict[str, Any]
) -> None:
    assert RELEASE[quirk](root, cohort, every)


def test_clean_files_have_no_quirk(tmp_path: Path) -> None:
    root = write_layout("mimic_cxr_jpg", tmp_path / "root", 24, size=32, traps="off")
    module = data(root, views=EVERY, section="none")
    found = {n: module._films(n) for n in module.splits}
    assert sum(map(len, found.values())) == 24
    assert not any("other" in films.images.projection for films in found.values())
    assert all(films.images.labelled.all() for films in found.values())


def test_natural_quirks_come_at_their_rates() -> None:
    cohort = draw_cohort(1000, 0, 32, "natural")
    shares = {
        name: np.mean([name in visit.traps for visit in cohort])
        for name in ("no_impression", "neither", "all_blank_study", "blank_view")
    }
    assert 0.08 < shares["no_impression"] < 0.17 and 0.02 < shares["neither"] < 0.08
    assert shares["all_blank_study"] < 0.03 and 0.015 < shares["blank_view"] < 0.07


# the reports ---------------------------------------------------------------------------
def sections(reports: Reports, cohort: list[Visit], trap: str) -> tuple[dict[str, str], Visit, str]:
    visit = trapped(cohort, trap)
    where = (visit.subject_id, visit.study_id)
    return reports.sections(*where), visit, reports.text(*where)


def wanted(visit: Visit, section: str) -> str:
    return " ".join(visit.report.sections[section].split())


def said_by(reports: Reports, cohort: list[Visit], quirk: str) -> bool:
    """Whether a quirk is in a report's file, and its sections are right all the same."""
    if quirk in ("leading_blanks", "wrapped", "de_identified"):
        plain = next(v for v in cohort if not v.traps and len(v.report.sections["findings"]) > 90)
        where = (plain.subject_id, plain.study_id)
        text, found = reports.text(*where), reports.sections(*where)
        assert found["findings"] == wanted(plain, "findings")
        assert found["impression"] == wanted(plain, "impression")
        lines = [line for line in text.splitlines() if line]
        return {
            "leading_blanks": all(line.startswith(" ") for line in lines),
            "wrapped": max(map(len, lines)) <= 79 and "\n " in text,
            "de_identified": "___" in text and "___" in found["report"],
        }[quirk]
    found, visit, text = sections(reports, cohort, quirk)
    if quirk == "empty_file":
        return text == "" and not found.get("impression") and found["report"] == ""
    findings, impression = wanted(visit, "findings"), wanted(visit, "impression")
    if quirk == "no_impression":
        return "impression" not in found and found["findings"] == findings
    if quirk == "no_findings":
        return "findings" not in found and found["impression"] == impression
    if quirk == "neither":
        return "impression" not in found and found["last_paragraph"] == impression
    if quirk == "joint_heading":
        return found["findings"] == found["impression"] == f"{findings} {impression}"
    if quirk == "heading_in_sentence":
        findings = f"{findings} {mimic_cxr.ASIDE}"
    written = {
        "misspelled_heading": "IMPRESSON:" in text,
        "addendum": found.get("addendum") == mimic_cxr.ADDENDUM,
        "wet_read": mimic_cxr.WET in text,
        "heading_in_sentence": "IMPRESSION: as" in " ".join(text.split()),
    }[quirk]
    return written and found["findings"] == findings and found["impression"] == impression


@pytest.mark.parametrize("quirk", mimic_cxr.QUIRKS)
def test_every_quirk_of_the_reports(quirk: str, root: Path, cohort: list[Visit]) -> None:
    assert said_by(Reports(root), cohort, quirk)


def test_the_zip_is_read_in_place(root: Path, cohort: list[Visit], tmp_path: Path) -> None:
    dest = write_layout("mimic_cxr", tmp_path / "zipped", N, size=SIZE, flavours={"reports": "zip"})
    packed, plain = Reports(dest), Reports(root)
    assert packed.zip is not None and plain.zip is None
    for visit in cohort:
        where = (visit.subject_id, visit.study_id)
        assert packed.text(*where) == plain.text(*where) and packed.has(*where)
    assert not packed.has("10000001", "50000001")
    module = data(root, reports=str(dest))
    assert samples(module).keys() == samples(data(root)).keys()


def test_an_empty_report_is_counted_and_can_be_replaced(root: Path, cohort: list[Visit]) -> None:
    empty, without = trapped(cohort, "empty_file"), trapped(cohort, "no_impression")
    module = data(root)
    kept = samples(module)
    assert empty.films[0].dicom_id not in kept and without.films[0].dicom_id not in kept
    assert any("dropped: no impression in the report" in line for line in module.funnel())
    kept = samples(data(root, fallback=["findings", "last_paragraph"]))
    assert empty.films[0].dicom_id not in kept
    assert kept[without.films[0].dicom_id]["text"] == wanted(without, "findings")


# MIMIC-IV ------------------------------------------------------------------------------
@pytest.mark.parametrize("quirk", mimic_iv.QUIRKS)
def test_every_quirk_of_the_people(
    quirk: str, root: Path, cohort: list[Visit], tmp_path: Path
) -> None:
    place = root
    if quirk == "ethnicity":
        place = write_layout("mimic_iv", tmp_path / "core", N, flavours={"people": "core"})
    demographics = Demographics(place)
    subjects = np.array([visit.subject_id.encode() for visit in cohort])
    people = demographics.people(subjects)

    def person(trap: str) -> Any:
        return people.get(trapped(cohort, trap).subject_id.encode())

    assert {
        "code_91": lambda: person("old").coded,
        "no_admission": lambda: person("no_admission").race == -1,
        "two_races": lambda: person("two_races").race == -1 and demographics.disagreeing == 1,
        "unknown_race": lambda: person("unknown_race").race == -1,
        "not_in_mimic_iv": lambda: person("not_in_mimic_iv") is None,
        "ethnicity": lambda: {p.race for p in people.values()} > {-1},
    }[quirk]()


def test_ages_and_races_of_samples(root: Path, cohort: list[Visit]) -> None:
    old = trapped(cohort, "old").films[0].dicom_id
    settings: dict[str, Any] = {"section": "none"}
    found, kept = (samples(data(root, **settings, keep_91=keep)) for keep in (False, True))
    assert np.isnan(found[old]["age"]) and kept[old]["age"] == 91
    at_study = samples(data(root, **settings, age="at_study"))
    for visit in cohort:
        name = visit.films[0].dicom_id
        if name in found and not {"old", "not_in_mimic_iv"} & visit.traps:
            age, later = found[name]["age"], at_study[name]["age"]
            assert np.isnan(age) or 0 <= later - age <= 2
    races = {s["race"] for s in found.values()}
    assert races <= set(range(-1, len(RACE_NAMES))) and len(races) > 2
