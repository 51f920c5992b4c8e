"""MIMIC-IV's patients and admissions: ages, and category strings for the acquisition group.

The group is how a film was taken, and nothing else: the strings say nothing of any person."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Literal

from datamodules.phantom.layouts.mimic_cohort import OWN_STREAM, Visit, draw_cohort, truths
from datamodules.phantom.layouts.mimic_files import save
from datamodules.phantom.streams import scramble
from datamodules.phantom.writing import Traps, write_truth

VERSION = 1
QUIRKS = {
    "code_91": "an age above 89 is stored as 91",
    "no_admission": "a patient without an admission, and so without a race",
    "two_races": "a patient whose admissions say two races",
    "unknown_race": "a race that is UNKNOWN",
    "not_in_mimic_iv": "a subject of the images that MIMIC-IV lacks",
    "ethnicity": "flavour core: the folder core/ with ethnicity instead of race",
}
PATIENTS = ("subject_id", "gender", "anchor_age", "anchor_year", "anchor_year_group", "dod")
ADMISSIONS = (
    "subject_id",
    "hadm_id",
    "admittime",
    "dischtime",
    "deathtime",
    "admission_type",
    "admit_provider_id",
    "admission_location",
    "discharge_location",
    "insurance",
    "language",
    "marital_status",
    "race",
    "edregtime",
    "edouttime",
    "hospital_expire_flag",
)
RACES = {
    "hosp": ("WHITE", "BLACK/AFRICAN AMERICAN", "ASIAN - CHINESE", "HISPANIC/LATINO - CUBAN"),
    "core": ("WHITE", "BLACK/AFRICAN AMERICAN", "ASIAN", "HISPANIC/LATINO"),
}


def write(
    dest: Path,
    n: int,
    *,
    seed: int = 0,
    size: int = 128,
    traps: Traps = "forced",
    people: Literal["hosp", "core"] = "hosp",
) -> None:
    """The two tables for the subjects of n films; no film is written."""
    visits = draw_cohort(n, seed, size, traps)
    write_people(dest, visits, seed, people)
    write_truth(dest, truths(visits))


def write_people(dest: Path, visits: Sequence[Visit], seed: int, flavour: str) -> None:
    """patients and admissions; flavour hosp (release 2.2) or core (1.0)."""
    folder = dest / "mimic-iv" / ("2.2" if flavour == "hosp" else "1.0") / flavour
    folder.mkdir(parents=True, exist_ok=True)
    first: dict[str, Visit] = {}
    for visit in visits:
        first.setdefault(visit.subject_id, visit)
    known = [visit for visit in first.values() if "not_in_mimic_iv" not in visit.traps]
    save(folder / "patients.csv.gz", PATIENTS, [_patient(visit) for visit in known])
    header = tuple("ethnicity" if flavour == "core" and n == "race" else n for n in ADMISSIONS)
    if flavour == "core":
        header = tuple(name for name in header if name != "admit_provider_id")
    rows = [row for visit in known for row in _admissions(visit, seed, flavour)]
    lines = [tuple(row.get(name, "") for name in header) for row in rows]
    save(folder / "admissions.csv.gz", header, lines)


def _patient(visit: Visit) -> tuple[object, ...]:
    age = int(visit.study.patient.age)
    code = 91 if age > 89 or "old" in visit.traps else age
    return visit.subject_id, visit.study.patient.sex, code, visit.moment.year, "2011 - 2013", ""


def _admissions(visit: Visit, seed: int, flavour: str) -> Iterator[dict[str, object]]:
    """One or two admissions; the second says UNKNOWN, which does not disagree."""
    if "no_admission" in visit.traps:
        return
    own = visit.study.place.stream(OWN_STREAM + 2)
    names = RACES[flavour]
    race = names[(visit.study.patient.group + scramble(seed) % len(names)) % len(names)]
    said = ["UNKNOWN"] if "unknown_race" in visit.traps else [race]
    if "two_races" in visit.traps:
        said.append("WHITE" if race != "WHITE" else "ASIAN")
    elif own.chance(0.3):
        said.append("UNABLE TO OBTAIN")
    for number, name in enumerate(said):
        start = visit.moment - timedelta(days=number + 1)
        yield {
            "subject_id": visit.subject_id,
            "hadm_id": f"2{(visit.subject * 2 + number):07d}",
            "admittime": start.strftime("%Y-%m-%d %H:%M:%S"),
            "dischtime": visit.moment.strftime("%Y-%m-%d %H:%M:%S"),
            "admission_type": "EW EMER.",
            "insurance": "Other",
            "language": "ENGLISH",
            "hospital_expire_flag": 0,
            "race": name,
            "ethnicity": name,
        }
