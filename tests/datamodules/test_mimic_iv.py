"""MIMIC-IV's patients and admissions, typed by hand from the description of both flavours."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from datamodules.mimic_iv import RACE_NAMES, Demographics
from medbench.core.errors import UserError

PATIENTS = """\
subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod
10000001,F,52,2140,2011 - 2013,
11000002,M,91,2150,2014 - 2016,2151-03-04
12000003,F,33,2133,2008 - 2010,
13000004,M,60,2133,2008 - 2010,
"""
NEW = """\
subject_id,hadm_id,admittime,race
10000001,20000001,2140-01-01 00:00:00,WHITE - BRAZILIAN
10000001,20000002,2141-01-01 00:00:00,UNKNOWN
11000002,20000003,2150-01-01 00:00:00,ASIAN
11000002,20000004,2150-05-01 00:00:00,BLACK/AFRICAN AMERICAN
13000004,20000005,2133-05-01 00:00:00,PATIENT DECLINED TO ANSWER
"""
OLD = """\
subject_id,hadm_id,admittime,ethnicity
10000001,20000001,2140-01-01 00:00:00,HISPANIC/LATINO
"""


def write(root: Path, folder: str, patients: str = PATIENTS, admissions: str = NEW) -> Path:
    place = root / "mimic-iv" / folder
    place.mkdir(parents=True)
    (place / "patients.csv.gz").write_bytes(gzip.compress(patients.encode()))
    (place / "admissions.csv.gz").write_bytes(gzip.compress(admissions.encode()))
    return root


ASKED = np.array([b"10000001", b"11000002", b"12000003", b"13000004", b"19999999"])


def test_ages_and_races(tmp_path: Path) -> None:
    found = Demographics(write(tmp_path, "2.2/hosp"))
    people = found.people(ASKED)
    assert set(people) == set(ASKED[:4].tolist())  # one subject is not in MIMIC-IV
    first = people[b"10000001"]
    assert first.age == 52 and first.age_in(2147) == 59 and not first.coded
    assert RACE_NAMES[first.race] == "white"  # UNKNOWN does not disagree
    assert people[b"11000002"].coded
    assert people[b"11000002"].race == -1 and found.disagreeing == 1
    assert people[b"12000003"].race == -1  # no admission
    assert people[b"13000004"].race == -1  # declined


def test_the_older_flavour(tmp_path: Path) -> None:
    found = Demographics(write(tmp_path, "1.0/core", admissions=OLD)).people(ASKED)
    assert RACE_NAMES[found[b"10000001"].race] == "hispanic"


def test_a_folder_without_a_version_and_the_release_itself(tmp_path: Path) -> None:
    write(tmp_path, "hosp")
    assert len(Demographics(tmp_path).people(ASKED)) == 4
    assert len(Demographics(tmp_path / "mimic-iv").people(ASKED)) == 4


@pytest.mark.parametrize(
    ("patients", "admissions", "words"),
    [
        (PATIENTS, NEW.replace("ASIAN", "MARTIAN"), "row 4: race 'MARTIAN' is not known"),
        (PATIENTS, NEW.replace(",race", ",group"), "neither a column race nor ethnicity"),
        (PATIENTS.replace(",33,", ",x,"), NEW, "row 4: anchor_age is 'x'"),
        (PATIENTS.replace("2140", "21400"), NEW, "row 2: anchor_year is '21400'"),
        (PATIENTS.replace("11000002", "10000001"), NEW, "row 3: subject_id 10000001 stands"),
    ],
)
def test_a_table_at_fault_is_named_with_its_row(
    tmp_path: Path, patients: str, admissions: str, words: str
) -> None:
    with pytest.raises(UserError, match=words.replace("(", r"\(")):
        Demographics(write(tmp_path, "2.2/hosp", patients, admissions))


def test_an_absent_release_shows_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Expected below root"):
        Demographics(tmp_path)
