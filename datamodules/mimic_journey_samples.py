"""The samples of BiomedJourney's pairs, and the table of them."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.columns import text
from datamodules.geometry import Fit
from datamodules.labels import CANONICAL
from datamodules.mimic_iv import Person
from datamodules.mimic_pairs import Pairs
from datamodules.mimic_source import SECTIONS, AgeRule, MimicSource
from datamodules.paired_films import read_one, read_pair
from datamodules.preparing import Arrays
from datamodules.progression import Pair, Writer
from datamodules.registration import Registration
from medbench.core.batch import Sample
from medbench.core.files import atomic_path

CONSTANT = np.float32(128 / 127.5 - 1)  # a prior that is none, as in BiomedJourney's first stage
COLUMNS = (  # of journeys.csv
    "subject_id",
    "study_id_prior",
    "study_id",
    "dicom_id_prior",
    "dicom_id",
    "t_prior",
    "t",
    "days",
    "labels_prior",
    "labels",
    "impression_prior",
    "impression",
    "progression",
    "matrix",
    "score",
    "outside",
    "split",
)


def both_sections(
    source: MimicSource, pairs: Pairs, row: int
) -> tuple[dict[str, str], dict[str, str]]:
    """The sections of both reports of a pair."""
    images = pairs.images
    one, other = (
        source.sections(images.subject[place], images.study[place])
        for place in (pairs.prior[row], pairs.later[row])
    )
    return one, other


def question(source: MimicSource, pairs: Pairs, row: int) -> Pair:
    """What a writer of progressions is asked."""
    prior, later = both_sections(source, pairs, row)
    studies = pairs.images.study
    return Pair(
        text(studies[pairs.prior[row]]),
        text(studies[pairs.later[row]]),
        prior.get("impression", ""),
        later.get("impression", ""),
    )


@dataclass(frozen=True)
class Describe:
    """A preparation's work: the progression of a pair, by a writer that takes long."""

    write: Writer
    pairs: dict[str, Pair]

    def __call__(self, key: str) -> Arrays:
        return {"progression": np.array(self.write(self.pairs[key]))}


@dataclass(frozen=True)
class Journeys:
    """The samples of one split, read when they are asked for."""

    source: MimicSource
    pairs: Pairs
    registrations: list[Registration]  # of each pair; none where none was asked for
    people: dict[bytes, Person]
    name: str
    funnel: list[str]
    fit: Fit
    age_rule: AgeRule
    single: bool  # no prior: the paper's first stage
    write: Callable[[Pairs, int], str]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        prior, later = (self.source.folder / path for path in self.pairs.paths(index))
        if self.single:
            image = read_one(later, self.fit)
            before = np.full_like(image, CONSTANT)
        else:
            matrix = self.registrations[index].matrix if self.registrations else None
            before, image = read_pair(prior, later, self.fit, matrix)
        return {"image": image, "prior_image": before} | self.describe(index)

    def describe(self, index: int) -> Sample:
        """A sample without its images."""
        pairs = self.pairs
        images, later = pairs.images, int(pairs.later[index])
        before, after = both_sections(self.source, pairs, index)
        subject = images.subject[later]
        progression = "" if self.single else self.write(pairs, index)
        meta: dict[str, Any] = images.meta(later) | {"split": self.name}
        meta["impression"] = after["impression"]
        if not self.single:
            meta |= self._about_prior(index) | {"impression_prior": before["impression"]}
        return {
            "prior_valid": np.bool_(not self.single),
            "text": after["impression"] if self.single else progression,
            "texts": {n: after.get(n, "") for n in SECTIONS} | {"progression": progression},
            "labels": images.labels[later].copy(),
            "label_names": list(CANONICAL),
            "sample_id": text(images.dicom[later]) if self.single else pairs.key(index),
            "subject_id": text(subject),
            "meta": meta,
        } | self.age_rule.keys(self.people.get(subject), images.date[later])

    def _about_prior(self, index: int) -> dict[str, Any]:
        images, row = self.pairs.images, int(self.pairs.prior[index])
        found: dict[str, Any] = {
            "study_id_prior": text(images.study[row]),
            "dicom_id_prior": text(images.dicom[row]),
            "days": round(self.pairs.days(index), 6),
        }
        if self.registrations:
            one = self.registrations[index]
            found |= {"score": round(one.score, 6), "outside": round(one.outside, 6)}
        return found

    def matrix(self, index: int) -> list[float]:
        """The registration of a sample, as six plain numbers; none without one."""
        return self.registrations[index].matrix.ravel().tolist() if self.registrations else []

    def table(self) -> Iterator[dict[str, Any]]:
        """The rows of journeys.csv."""
        pairs = self.pairs
        for index in range(len(self)):
            images, prior = pairs.images, int(pairs.prior[index])
            sample = self.describe(index)
            meta = sample["meta"]
            yield meta | {
                "subject_id": sample["subject_id"],
                "dicom_id": text(images.dicom[pairs.later[index]]),
                "t_prior": images.moment(prior).isoformat(),
                "t": images.moment(int(pairs.later[index])).isoformat(),
                "labels_prior": _cells(images.labels[prior]),
                "labels": _cells(sample["labels"]),
                "progression": sample["texts"]["progression"],
                "matrix": ";".join(f"{value:.9g}" for value in self.matrix(index)),
            }


def _cells(labels: np.ndarray) -> str:
    """Fourteen values, blank for unlabelled, joined by semicolons."""
    return ";".join("" if np.isnan(value) else f"{value:g}" for value in labels)


def write_table(path: Path, splits: list[Journeys]) -> None:
    """journeys.csv: every pair of every split with its times, texts, matrix and score."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore")
        table.writeheader()
        for split in splits:
            table.writerows(split.table())
