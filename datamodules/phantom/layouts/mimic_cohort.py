"""The drawn subjects, studies and films that every layout of MIMIC writes down.

Two layouts of one seed and n speak of the same subjects, so that they fit beside each other."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from datamodules.phantom.cxr import MOST_VISITS, address, journey, least_feature, truth_of
from datamodules.phantom.cxr_render import render
from datamodules.phantom.cxr_report import Report, write_report
from datamodules.phantom.cxr_study import PURPOSES, Study
from datamodules.phantom.streams import GRAIN, SPLITS, Stream, scramble
from datamodules.phantom.writing import Traps, steps

OWN_STREAM = 200  # purposes of the phantom's own end below
OFFICIAL = {"train": "train", "validation": "validate", "test": "test"}
TURN = (0, 7, 4, 1, 8, 5, 2, 9, 6, 3)  # tenths in an order that the group folders do not have
PLACES = {  # (subject, study) of each quirk, where quirks are forced
    "midnight": (0, 0),
    "blank_view": (1, 0),
    "rare_view": (2, 0),
    "unlabelled_study": (3, 0),
    "all_blank_study": (6, 0),
    "ids_against_time": (1, 0),
    "equal_times": (8, 0),
    "no_impression": (4, 0),
    "no_findings": (4, 1),
    "neither": (5, 0),
    "empty_file": (5, 1),
    "heading_in_sentence": (6, 1),
    "misspelled_heading": (7, 0),
    "joint_heading": (7, 1),
    "addendum": (9, 0),
    "wet_read": (9, 1),
    "old": (0, 0),
    "no_admission": (1, 0),
    "two_races": (2, 0),
    "unknown_race": (3, 0),
    "not_in_mimic_iv": (4, 0),
}
RATES = {  # of studies, where quirks come at about the release's rates
    "midnight": 0.0,
    "blank_view": 0.042,
    "rare_view": 21 / 377_110,
    "unlabelled_study": 8 / 227_835,
    "all_blank_study": 2_414 / 227_835,
    "ids_against_time": 0.0,
    "equal_times": 0.002,
    "no_impression": 0.122,
    "no_findings": 0.3,
    "neither": 0.046,
    "empty_file": 1e-5,
    "heading_in_sentence": 0.01,
    "misspelled_heading": 0.001,
    "joint_heading": 0.01,
    "addendum": 0.01,
    "wet_read": 0.03,
    "old": 0.0,
    "no_admission": 0.1,
    "two_races": 0.05,
    "unknown_race": 0.03,
    "not_in_mimic_iv": 0.05,
}
FORCED = 10  # subjects that hold all forced quirks; each of them has at least two studies


@dataclass(frozen=True)
class Film:
    """One image: its id, what the table says of its view, and what is drawn."""

    dicom_id: str
    view: str
    study: Study


@dataclass(frozen=True)
class Visit:
    """One study of a subject."""

    subject: int
    subject_id: str
    study_id: str
    moment: datetime
    split: str  # train, validation or test
    study: Study
    films: tuple[Film, ...]
    traps: frozenset[str]

    @cached_property
    def report(self) -> Report:
        """Its text and what that mentions."""
        return write_report(self.study, self.study.place.stream(PURPOSES.index("report")))

    @property
    def folder(self) -> str:
        """Of the subject and the study below `files/`."""
        return f"p{self.subject_id[:2]}/p{self.subject_id}/s{self.study_id}"

    def path(self, film: Film) -> str:
        return f"files/{self.folder}/{film.dicom_id}.jpg"


def draw_cohort(n: int, seed: int, size: int, traps: Traps, longtail: bool = False) -> list[Visit]:
    """Studies with n films in all, subject by subject and in order of time."""
    visits: list[Visit] = []
    left, subject = n, 0
    while left > 0:
        for visit in _subject(subject, seed, size, traps, longtail):
            if left > 0:
                visits.append(replace(visit, films=visit.films[:left]))
                left -= len(visits[-1].films)
        subject += 1
    return visits


def _subject(number: int, seed: int, size: int, traps: Traps, longtail: bool) -> Iterator[Visit]:
    split = split_of(number)
    least = 2 if traps == "forced" and number < FORCED else None
    place = address(seed, split, number)
    studies = journey(
        place,
        min_feature=least_feature(size),
        projection="PA" if least else None,
        visits=least,
        longtail=longtail,
    )
    own = place.stream(OWN_STREAM)
    start = datetime(2110, 1, 1) + timedelta(
        days=own.integer(0, 30_000), seconds=own.integer(0, 86_399)
    )
    ids = [study_id(number * MOST_VISITS + visit, seed) for visit in range(len(studies))]
    found = [frozenset(_traps(traps, number, visit, own)) for visit in range(len(studies))]
    if "midnight" in found[0]:
        start = start.replace(hour=0, minute=15, second=30)
    if "ids_against_time" in found[0]:
        ids.sort(reverse=True)
    moments = [start + timedelta(days=study.days) for study in studies]
    for visit, study in enumerate(studies):
        same = visit > 0 and "equal_times" in found[visit - 1]
        moments[visit] = moments[visit - 1] if same else moments[visit]
        key = (number * MOST_VISITS + visit) * 4
        films = tuple(_films(study, key, seed, found[visit], least is not None))
        yield Visit(
            number,
            subject_id(number, seed),
            ids[visit],
            moments[visit].replace(microsecond=moments[visit].microsecond // 1000 * 1000),
            split,
            study,
            films,
            found[visit],
        )


def _traps(traps: Traps, subject: int, visit: int, own: Stream) -> Iterator[str]:
    """The quirks of one study."""
    for name, rate in RATES.items():
        drawn = own.chance(rate)
        forced = traps == "forced" and PLACES[name] == (subject, visit)
        if forced or (traps == "natural" and drawn):
            yield name


def _films(study: Study, key: int, seed: int, traps: frozenset[str], both: bool) -> Iterator[Film]:
    """The frontal film, and by chance a lateral one or a second exposure, at one time."""
    own = study.place.stream(OWN_STREAM + 1)
    first = "" if "blank_view" in traps else study.projection
    yield Film(dicom_id(key, seed), first, study)
    chance, lateral = own.unit(), "LATERAL" if own.chance(0.7) else "LL"
    if study.projection == "PA" and (both or chance < 0.55):
        view = "AP AXIAL" if "rare_view" in traps else lateral
        yield Film(dicom_id(key + 1, seed), view, replace(study, projection=lateral))
    elif study.projection == "AP" and chance < 0.1:
        row, column = study.acquisition.grain
        again = replace(study.acquisition, grain=((row + 17) % GRAIN, column))
        yield Film(dicom_id(key + 1, seed), "AP", replace(study, acquisition=again))


# names ------------------------------------------------------------------------------------
def split_of(subject: int) -> str:
    """Seven tenths train, one validation, two test; another order than that of the groups."""
    tenth = (TURN[subject % 10] + subject // 10) % 10
    return SPLITS[1] if tenth == 3 else SPLITS[2] if tenth in (5, 8) else SPLITS[0]


def subject_id(number: int, seed: int) -> str:
    """Eight digits that begin with the group: ten subjects cover p10 to p19."""
    rest = (number // 10 * 387_001 + scramble(seed) % 1_000_000) % 1_000_000
    return f"1{number % 10}{rest:06d}"


def study_id(number: int, seed: int) -> str:
    """Eight digits in no order of time."""
    return f"5{(number * 3_454_319 + scramble(seed + 1) % 10_000_000) % 10_000_000:07d}"


def dicom_id(number: int, seed: int) -> str:
    """Five groups of eight hexadecimal digits."""
    words = [scramble(scramble(seed) ^ number)]
    words += [scramble(words[0] ^ 1), scramble(words[0] ^ 2)]
    text = "".join(f"{word:016x}" for word in words)
    return "-".join(text[i : i + 8] for i in range(0, 40, 8))


# files ------------------------------------------------------------------------------------
def write_films(folder: Path, visits: list[Visit], size: int) -> None:
    """Every film as the release has it: grey JPEG of quality 95, equalised."""
    pairs = [(visit, film) for visit in visits for film in visit.films]
    for visit, film in steps(pairs):
        path = folder / visit.path(film)
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels, _ = render(film.study, size, equalise=True)
        Image.fromarray(pixels).save(path, quality=95)


def truths(visits: list[Visit]) -> Iterator[dict[str, Any]]:
    """One line a film: ids, where it is drawn from, and the truth of its study."""
    for visit in visits:
        for film in visit.films:
            place = visit.study.place
            yield {
                "sample_id": film.dicom_id,
                "study_id": visit.study_id,
                "subject_id": visit.subject_id,
                "split": place.split,
                "subject": place.subject,
                "visit": place.visit,
                "projection": film.study.projection,
                "traps": sorted(visit.traps),
            } | truth_of(visit.study)
