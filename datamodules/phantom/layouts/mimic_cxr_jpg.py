"""MIMIC-CXR-JPG with the tables of release 2.0.0 or 2.1.0, reports and MIMIC-IV beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from datamodules.phantom.cxr_study import LABELS, labels_of
from datamodules.phantom.layouts import mimic_cxr, mimic_iv
from datamodules.phantom.layouts.mimic_cohort import (
    OFFICIAL,
    Film,
    Visit,
    draw_cohort,
    truths,
    write_films,
)
from datamodules.phantom.layouts.mimic_files import save
from datamodules.phantom.writing import Traps, write_truth

VERSION = 1
QUIRKS = {
    "blank_view": "a frontal film without ViewPosition",
    "rare_view": "a view that is neither frontal nor lateral: AP AXIAL",
    "lost_zeros": "StudyTime is a number that lost its leading zeros",
    "split_columns": "the split table names the study before the subject, and rows in other order",
    "alphabetical": "labels by the alphabet, not in CheXpert's order",
    "blanks_and_floats": "labels are 1.0, 0.0, -1.0 and blank",
    "unlabelled_study": "a study in no label table",
    "all_blank_study": "a study whose labels are all blank",
    "shared_time": "several images of a study have one date and time",
    "equal_times": "two studies of a subject have one date and time",
    "ids_against_time": "study ids fall while time goes on",
    "airspace_opacity": "release 2.1.0: a radiologist's test labels with Airspace Opacity",
}
METADATA = (
    "dicom_id",
    "subject_id",
    "study_id",
    "PerformedProcedureStepDescription",
    "ViewPosition",
    "Rows",
    "Columns",
    "StudyDate",
    "StudyTime",
    "ProcedureCodeSequence_CodeMeaning",
    "ViewCodeSequence_CodeMeaning",
    "PatientOrientationCodeSequence_CodeMeaning",
)
CODES = {
    "PA": "postero-anterior",
    "AP": "antero-posterior",
    "LATERAL": "lateral",
    "LL": "lateral",
    "": "",
}
ALPHABETICAL = tuple(sorted(LABELS))
CELLS = {1.0: "1.0", 0.0: "0.0", -1.0: "-1.0", None: ""}


def write(
    dest: Path,
    n: int,
    *,
    seed: int = 0,
    size: int = 128,
    traps: Traps = "forced",
    release: Literal["2.0.0", "2.1.0"] = "2.0.0",
    reports: Literal["files", "zip", "none"] = "files",
    people: Literal["hosp", "core", "none"] = "hosp",
) -> None:
    """n films with their tables; reports in mimic-cxr/ and people in mimic-iv/ beside them."""
    visits = draw_cohort(n, seed, size, traps)
    folder = dest / "mimic-cxr-jpg" / release
    folder.mkdir(parents=True, exist_ok=True)
    write_tables(folder, visits, size, release)
    if reports != "none":
        mimic_cxr.write_reports(dest, visits, packed=reports == "zip")
    if people != "none":
        mimic_iv.write_people(dest, visits, seed, people)
    write_films(folder, visits, size)
    write_truth(dest, truths(visits))


def write_tables(folder: Path, visits: Sequence[Visit], size: int, release: str) -> None:
    """The four tables, and the fifth of 2.1.0."""
    films = [(visit, film) for visit in visits for film in visit.films]
    stem = "mimic-cxr-2.0.0"  # also inside release 2.1.0
    save(folder / f"{stem}-metadata.csv.gz", METADATA, [_metadata(v, f, size) for v, f in films])
    rows = [(f.dicom_id, v.study_id, v.subject_id, OFFICIAL[v.split]) for v, f in reversed(films)]
    save(folder / f"{stem}-split.csv.gz", ("dicom_id", "study_id", "subject_id", "split"), rows)
    header = ("subject_id", "study_id", *ALPHABETICAL)
    labelled = [visit for visit in visits if "unlabelled_study" not in visit.traps]
    for labeller in ("chexpert", "negbio"):
        lines = [
            (v.subject_id, v.study_id, *(_cell(v, name, labeller) for name in ALPHABETICAL))
            for v in labelled
        ]
        save(folder / f"{stem}-{labeller}.csv.gz", header, lines)
    if release == "2.1.0":
        _write_radiologist(folder, visits)
    (folder / "IMAGE_FILENAMES").write_text("".join(f"{v.path(f)}\n" for v, f in films))
    (folder / "README").write_text("Drawn by medbench's phantom; no image is of a person.\n")


def _metadata(visit: Visit, film: Film, size: int) -> tuple[object, ...]:
    frontal = visit.study.projection
    performed = "CHEST (PA AND LAT)" if frontal == "PA" else "CHEST (PORTABLE AP)"
    moment = visit.moment
    clock = moment.hour * 10_000 + moment.minute * 100 + moment.second + moment.microsecond / 1e6
    return (
        film.dicom_id,
        visit.subject_id,
        visit.study_id,
        performed,
        film.view,
        size,
        size,
        moment.strftime("%Y%m%d"),
        repr(round(clock, 3)),
        performed,
        CODES.get(film.view, ""),
        "Erect" if frontal == "PA" else "Recumbent",
    )


def _cell(visit: Visit, name: str, labeller: str) -> str:
    """What a labeller found in the report; the two differ in what they take for doubt."""
    if "all_blank_study" in visit.traps:
        return ""
    value = visit.report.mentions.get(name)
    if name == "No Finding":
        return "1.0" if value == 1 else ""
    if labeller == "negbio" and value == -1 and int(visit.study_id) % 2:
        value = 1.0
    return CELLS[value]


def _write_radiologist(folder: Path, visits: Sequence[Visit]) -> None:
    """Image truth of the test studies, under another name for one label and without subjects."""
    truths = {visit.study_id: labels_of(visit.study) for visit in visits if visit.split == "test"}
    names = sorted(name for name in LABELS if name != "Lung Opacity")
    header = ["Airspace Opacity", *names]  # the first by the alphabet
    rows = [
        (study, *(f"{truth[name]}.0" for name in ("Lung Opacity", *names)))
        for study, truth in truths.items()
    ]
    save(folder / "mimic-cxr-2.1.0-test-set-labeled.csv", ("study_id", *header), rows)
