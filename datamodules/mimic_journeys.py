"""BiomedJourney's triples: a radiograph, how the disease went on, and the next radiograph.

Built from MIMIC-CXR-JPG, the reports and MIMIC-IV. The paper leaves open the score of registration,
its threshold, which study must show a finding, and which of several images stands for a study:
settings here, with our defaults."""

from functools import cached_property, partial
from typing import Any, Literal

import numpy as np

from datamodules.base import DataModule, Level, check_root, expand
from datamodules.columns import text
from datamodules.geometry import Fit, Mode
from datamodules.inspection import Expect, describe_bad_files, inspect_files
from datamodules.labels import CANONICAL, Blank, Uncertain
from datamodules.mimic_iv import Person
from datamodules.mimic_pairs import Pairs, consecutive, one_a_study, with_findings
from datamodules.mimic_source import SECTIONS, AgeRule, MimicSource, file_size
from datamodules.mimic_tables import TREE, sides
from datamodules.paired_films import pair_key, read_one, read_pair, read_whole_pair
from datamodules.preparing import Preparation, open_prepared
from datamodules.registration import VERSION as REGISTRATION
from datamodules.registration import Registration, Transform, from_prepared, pair_maker
from datamodules.splits import check_leak, hash_share
from medbench.core.batch import Sample
from medbench.core.errors import UserError
from medbench.core.fingerprint import hash_file

KEY = "mimic_journeys"
CONSTANT = np.float32(128 / 127.5 - 1)  # a prior that is none, as in BiomedJourney's first stage
LONG_SIDE = 512


class MimicJourneys(DataModule):
    """Pairs of PA radiographs of one subject with a description of the change.

    root: the folder that holds mimic-cxr-jpg/, and mimic-cxr/ (reports) and mimic-iv/ (age, race)
    unless `reports` and `mimic_iv` name other places. pairs=false gives single images with the
    constant prior of the paper's first stage."""

    version = 1
    modality = "radiograph"
    yields = (
        "image",
        "prior_image",
        "prior_valid",
        "text",
        "texts",
        "texts.report",
        "texts.findings",
        "texts.impression",
        "texts.progression",
        "labels",
        "label_names",
        "age",
        "race",
        "sample_id",
        "subject_id",
        "meta",
    )
    restricted = True
    licence = "PhysioNet Credentialed Health Data License 1.5.0"
    citation = "Gu et al., BiomedJourney (2023); Johnson et al., MIMIC-CXR-JPG, MIMIC-IV"
    split_source = "p19 is the test; validation by hash of the subject"
    location = ("root", "reports", "mimic_iv", "overrides", "bad_files", "prepared")

    def __init__(
        self,
        root: str,
        image_size: int = 256,
        fit: Mode = "crop",
        pairs: bool = True,  # or single images, as in the paper's first stage
        duplicates: Literal["first", "all"] = "first",  # PA images of one study
        min_findings: int = 1,
        finding_in: Literal["reference", "either", "both"] = "reference",  # the later is it
        count_devices: bool = False,  # as findings
        registration: Transform | Literal["none"] = "affine",
        min_score: float = 0.6,
        min_score_quantile: float | None = None,  # of all pairs, instead of min_score
        max_outside: float = 0.2,  # share of the target's pixels from outside the later image
        show_threshold_for: int = 0,  # the score that would leave so many test pairs
        progression: Literal["impression", "rules", "file"] = "rules",
        progression_file: str | None = None,  # CSV: study_id_prior, study_id, progression
        labels: Literal["chexpert", "negbio"] = "chexpert",
        uncertain: Uncertain = "nan",
        blank: Blank = "nan",
        val_fraction: float = 0.1014,  # of the subjects of p10 to p18
        n_train: int | None = None,  # at most, by hash
        n_validation: int | None = None,
        n_test: int | None = None,
        age: Literal["anchor", "at_study"] = "anchor",
        keep_91: bool = False,  # MIMIC-IV's code for above 89, as if it were an age
        reports: str | None = None,
        mimic_iv: str | None = None,
        overrides: str | None = None,  # CSV: study_id, section, start, end
        expect: Expect = "full",
        bad_files: str | None = None,  # a list of files to leave out, one path a line
        prepared: str | None = None,  # finished by prepare=registration
    ) -> None:
        super().__init__()
        self.root, self.fit, self.expect = expand(root), Fit(image_size, fit), expect
        self.pairs, self.duplicates, self.val_fraction = pairs, duplicates, val_fraction
        self.finding_rule = (min_findings, finding_in, count_devices)
        self.transform, self.max_outside = registration, max_outside
        self.min_score, self.quantile = min_score, min_score_quantile
        self.show_for = show_threshold_for
        self.progression, self.progression_file = progression, progression_file
        self.n = {"train": n_train, "validation": n_validation, "test": n_test}
        self.age_rule, self.prepared = AgeRule(age, keep_91), prepared
        self.source = MimicSource(
            self.root,
            labels,
            uncertain,
            blank,
            expand(reports) if reports else self.root,
            expand(mimic_iv) if mimic_iv else None,
            expand(overrides) if overrides else None,
            bad_files,
        )
        self.phantom = self.source.marker is not None
        self._splits: dict[str, Journeys] = {}
        self._lines: list[str] = []  # of the funnel, for all splits together

    # which pairs there are ----------------------------------------------------------
    @cached_property
    def candidates(self) -> Pairs:
        """Every pair that only its registration can drop; single images are pairs with themselves.

        Stops when a subject stands in two splits."""
        source, say = self.source, self._lines.append
        images = source.images.take(source.images.projection == "PA")
        say(f"{len(images):,} PA images of {len(np.unique(images.subject)):,} subjects")
        if not self.pairs:
            lead = one_a_study(images)
            rows = np.arange(len(lead))
            found = Pairs(lead, rows, rows)
            say(f"{len(found):,} studies, the image with the smallest id of each")
        else:
            found, at_once = consecutive(images, self.duplicates)
            say(f"{len(found):,} pairs of consecutive studies ({at_once:,} at one time dropped)")
            found = found.take(with_findings(found, *self.finding_rule))
            say(f"{len(found):,} with {self.finding_rule[0]} finding in {self.finding_rule[1]}")
        there = [not self._absent(found, row) for row in range(len(found))]
        found = found.take(np.array(there, bool))
        if not all(there):
            say(f"{len(found):,} whose images and reports are there and not in bad_files")
        spoken = [all(self._impressions(found, row)) for row in range(len(found))]
        found = found.take(np.array(spoken, bool))
        say(f"{len(found):,} with an impression of every study")
        return found

    def _absent(self, pairs: Pairs, row: int) -> bool:
        """With expect=full an absent file is an error, once it is checked or read."""
        images, source = pairs.images, self.source
        for place in (pairs.prior[row], pairs.later[row]):
            path = images.path(place)
            subject, study = text(images.subject[place]), text(images.study[place])
            if source.is_bad(path):
                return True
            if self.expect == "subset" and not (
                (source.folder / path).is_file()
                and source.reports is not None
                and source.reports.has(subject, study)
            ):
                return True
        return False

    def _impressions(self, pairs: Pairs, row: int) -> tuple[str, str]:
        prior, later = self.sections(pairs, row)
        return prior.get("impression", ""), later.get("impression", "")

    def sections(self, pairs: Pairs, row: int) -> tuple[dict[str, str], dict[str, str]]:
        """The sections of both reports."""
        images = pairs.images
        one, other = (
            self.source.sections(images.subject[place], images.study[place])
            for place in (pairs.prior[row], pairs.later[row])
        )
        return one, other

    # registration -------------------------------------------------------------------
    @property
    def registers(self) -> bool:
        return self.pairs and self.transform != "none"

    def preparations(self) -> dict[str, Preparation]:
        if not self.registers:
            return {}
        pairs = self.candidates
        keys = [pair_key(*self.paths(pairs, row)) for row in range(len(pairs))]
        names = sorted({name for row in range(len(pairs)) for name in self.paths(pairs, row)})
        settings = {"long_side": LONG_SIDE, "transform": self.transform}
        made = Preparation(
            name="registration",
            version=REGISTRATION,
            keys=keys,
            make=pair_maker(partial(read_whole_pair, self.source.folder), settings),
            settings=settings,
            source=[keys, [file_size(self.source.folder / name) for name in names]],
            unit="pair",
        )
        return {"registration": made}

    def paths(self, pairs: Pairs, row: int) -> tuple[str, str]:
        """Of both images, below the release."""
        images = pairs.images
        return images.path(pairs.prior[row]), images.path(pairs.later[row])

    @cached_property
    def registrations(self) -> list[Registration]:
        """Of each candidate, out of what is prepared."""
        preparation = self.preparations()["registration"]
        if self.prepared is None:
            raise UserError(
                f"{KEY}: the {len(preparation.keys)} pairs must be registered once. Type: python "
                f"-m medbench.prepare data={KEY} data.root={self.root} prepare=registration, then "
                "give data.prepared=outputs; or do without: data.registration=none."
            )
        prepared = open_prepared(self.prepared, preparation)
        return [from_prepared(prepared.read(key)) for key in preparation.keys]

    @cached_property
    def kept(self) -> np.ndarray:
        """Rows of the candidates that are registered well enough."""
        if not self.registers:
            return np.arange(len(self.candidates))
        found, say = self.registrations, self._lines.append
        scores = np.array([one.score for one in found])
        failed = int(sum(one.failed for one in found))
        least = self.min_score
        if self.quantile is not None and len(scores):
            least = float(np.quantile(scores, self.quantile))
        if self.show_for:
            tests = np.sort(scores[self._sides == "test"])[::-1]
            many = self.show_for <= len(tests)
            say(
                f"a threshold of {tests[self.show_for - 1]:.4f} would leave {self.show_for} test "
                "pairs"
                if many
                else f"no threshold leaves {self.show_for} of {len(tests)} test pairs"
            )
        good = scores >= least
        say(f"{int(good.sum()):,} with a score of {least:.3f} or more ({failed:,} failed)")
        inside = np.array([one.outside <= self.max_outside for one in found], bool)
        good &= inside
        say(f"{int(good.sum()):,} with at most {self.max_outside:.0%} from outside the frame")
        return np.flatnonzero(good)

    @cached_property
    def _sides(self) -> np.ndarray:
        """train, validation or test of each candidate."""
        images = self.candidates.images
        found = sides(images, "p_group", KEY, self.val_fraction)
        subjects = {n: map(text, np.unique(images.subject[found == n])) for n in self.splits}
        leaks = check_leak(subjects)
        if leaks:
            raise UserError(*leaks)
        return found[self.candidates.later]

    def progression_of(self, pairs: Pairs, row: int) -> str:
        """What happened between the two studies, in words."""
        return self._impressions(pairs, row)[1]

    # what users ask -------------------------------------------------------------------
    def split(self, name: str) -> "Journeys":
        if name not in self.splits:
            raise UserError(f"{KEY} has no split {name}; it has {', '.join(self.splits)}.")
        found = self._journeys(name)
        if not len(found):
            why = "; ".join([*self._lines, *found.funnel])
            raise UserError(f"{self.root}: no journeys are left in {name}: {why}.")
        return found

    def _journeys(self, name: str) -> "Journeys":
        if name not in self._splits:
            self._splits[name] = self._choose(name)
        return self._splits[name]

    def _choose(self, name: str) -> "Journeys":
        pairs = self.candidates
        rows = self.kept[self._sides[self.kept] == name]
        order = np.argsort([hash_share(KEY, pairs.key(row)) for row in rows], kind="stable")
        rows = rows[order][: self.n[name]]
        found = self.registrations if self.registers else []
        people: dict[bytes, Person] = {}
        funnel = [f"{len(rows):,} left"]
        subjects = pairs.images.subject[pairs.later[rows]]
        if self.source.demographics:
            people = self.source.demographics.people(subjects)
            funnel.append(self.age_rule.funnel(people, subjects))
        return Journeys(
            self, pairs.take(rows), [found[r] for r in rows if found], people, name, funnel
        )

    def funnel(self) -> list[str]:
        splits = {name: self._journeys(name) for name in self.splits}
        lines = [f"{name}: {line}" for name, split in splits.items() for line in split.funnel]
        return [*describe_bad_files(self.source.bad_files), *self._lines, *lines]

    def check(self, level: Level = "fast") -> list[str]:
        mistakes = check_root(self.root, TREE)
        if mistakes:
            return mistakes
        try:
            mistakes += self.source.count_mistakes(self.expect)
            pairs = self.candidates
            names = {name for row in range(len(pairs)) for name in self.paths(pairs, row)}
            paths = [self.source.folder / name for name in sorted(names)]
            mistakes += inspect_files(paths, level, work=self.work).sentences(self.root)
            if not any(len(self._journeys(name)) for name in self.splits):
                mistakes += [f"{self.root}: no journeys are left.", *self.funnel()]
        except UserError as error:
            mistakes += error.mistakes
        return mistakes

    def content(self, split: str) -> Any:
        found = self.split(split)
        pairs = found.pairs
        used = pairs.images.take(np.unique([pairs.prior, pairs.later]))
        answers = hash_file(expand(self.progression_file)) if self.progression_file else None
        return [
            self.source.content(used),
            answers,
            [found.arrays(row) for row in range(len(found))],
        ]


class Journeys:
    """The samples of one split, read when they are asked for."""

    def __init__(
        self,
        data: MimicJourneys,
        pairs: Pairs,
        registrations: list[Registration],
        people: dict[bytes, Person],
        name: str,
        funnel: list[str],
    ) -> None:
        self.data, self.pairs, self.registrations = data, pairs, registrations
        self.people, self.name, self.funnel = people, name, funnel

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        data = self.data
        prior, later = (data.source.folder / path for path in data.paths(self.pairs, index))
        if data.pairs:
            matrix = self.registrations[index].matrix if self.registrations else None
            before, image = read_pair(prior, later, data.fit, matrix)
        else:
            image = read_one(later, data.fit)
            before = np.full_like(image, CONSTANT)
        return {"image": image, "prior_image": before} | self.describe(index)

    def describe(self, index: int) -> Sample:
        """A sample without its images."""
        data, pairs = self.data, self.pairs
        images, later = pairs.images, int(pairs.later[index])
        before, after = data.sections(pairs, index)
        subject = images.subject[later]
        progression = data.progression_of(pairs, index) if data.pairs else ""
        sample: Sample = {
            "prior_valid": np.bool_(data.pairs),
            "text": progression if data.pairs else after["impression"],
            "texts": {n: after.get(n, "") for n in SECTIONS} | {"progression": progression},
            "labels": images.labels[later].copy(),
            "label_names": list(CANONICAL),
            "sample_id": pairs.key(index) if data.pairs else text(images.dicom[later]),
            "subject_id": text(subject),
            "meta": images.meta(later) | {"split": self.name, "impression": after["impression"]},
        }
        if data.pairs:
            sample["meta"] |= self._about_prior(index) | {"impression_prior": before["impression"]}
        return sample | data.age_rule.keys(self.people.get(subject), images.date[later])

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

    def arrays(self, index: int) -> list[float]:
        """The registration of a sample, as plain numbers."""
        return self.registrations[index].matrix.ravel().tolist() if self.registrations else []
