"""BiomedJourney's triples: a radiograph, how the disease went on, and the next radiograph.

Built from MIMIC-CXR-JPG, the reports and MIMIC-IV. The paper leaves open the score of registration,
its threshold, which study must show a finding, and which of several images stands for a study:
settings here, with our defaults."""

from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from datamodules.base import DataModule, Level, check_root, expand
from datamodules.columns import text
from datamodules.geometry import Fit, Mode
from datamodules.inspection import Expect, describe_bad_files, inspect_files
from datamodules.labels import Blank, Uncertain
from datamodules.mimic_iv import Person
from datamodules.mimic_journey_samples import (
    Describe,
    Journeys,
    both_sections,
    question,
    write_table,
)
from datamodules.mimic_pairs import Pairs, consecutive, one_a_study, with_findings
from datamodules.mimic_source import AgeRule, MimicSource, file_size
from datamodules.mimic_tables import TREE, sides
from datamodules.paired_films import pair_key, read_whole_pair
from datamodules.preparing import Preparation, Prepared, open_prepared
from datamodules.progression import VERSION as PROGRESSION
from datamodules.progression import Kind, Writer, make_writer
from datamodules.registration import VERSION as REGISTRATION
from datamodules.registration import Registration, Transform, from_prepared, pair_maker
from datamodules.splits import check_leak, hash_share
from medbench.core.errors import UserError
from medbench.core.fingerprint import fingerprint

KEY = "mimic_journeys"
OTHERS = {"registration": "none", "progression": "rules"}  # what needs no preparation


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
    builds_on_prepared = True  # a text model is asked of the pairs that are registered well
    licence = "PhysioNet Credentialed Health Data License 1.5.0"
    citation = "Gu et al., BiomedJourney (2023); Johnson et al., MIMIC-CXR-JPG, MIMIC-IV"
    split_source = "p19 is the test; validation by hash of the subject"
    location = ("root", "reports", "mimic_iv", "overrides", "label_file", "bad_files", "prepared",
                "model_url")  # fmt: skip

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
        registration_side: int = 256,  # pixels of the long side while registering
        min_score: float = 0.6,
        min_score_quantile: float | None = None,  # of all pairs, instead of min_score
        max_outside: float = 0.2,  # share of the target's pixels from outside the later image
        show_threshold_for: int = 0,  # the score that would leave so many test pairs
        progression: Kind = "rules",
        progression_file: str | None = None,  # CSV: study_id_prior, study_id, progression
        model_url: str | None = None,  # a chat-completions address on this machine
        model: str | None = None,  # its name there
        allow_remote: bool = False,  # reports may be sent to another machine
        labels: Literal["chexpert", "negbio"] = "chexpert",
        label_file: str | None = None,  # CSV of another labeller: study_id and the 14 labels
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
        self.registration_side = registration_side
        self.min_score, self.quantile = min_score, min_score_quantile
        self.show_for = show_threshold_for
        self.progression, self.progression_file = progression, progression_file
        self.model_url, self.model, self.allow_remote = model_url, model, allow_remote
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
            expand(label_file) if label_file else None,
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
        spoken = [
            all(part.get("impression") for part in both_sections(source, found, row))
            for row in range(len(found))
        ]
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

    # registration -------------------------------------------------------------------
    @property
    def registers(self) -> bool:
        return self.pairs and self.transform != "none"

    def preparations(self) -> dict[str, Preparation]:
        found = {"registration": self._registering()} if self.registers else {}
        if self.progression == "model" and (self.prepared or not self.registers):
            found["progression"] = self._describer()
        return found

    def _registering(self) -> Preparation:
        pairs = self.candidates
        keys = [pair_key(*pairs.paths(row)) for row in range(len(pairs))]
        names = sorted({name for row in range(len(pairs)) for name in pairs.paths(row)})
        settings = {"long_side": self.registration_side, "transform": self.transform}
        return Preparation(
            name="registration",
            version=REGISTRATION,
            keys=keys,
            make=pair_maker(partial(read_whole_pair, self.source.folder), settings),
            settings=settings,
            source=[keys, [file_size(self.source.folder / name) for name in names]],
            unit="pair",
        )

    @cached_property
    def registrations(self) -> list[Registration]:
        """Of each candidate, out of what is prepared."""
        preparation = self._registering()
        if self.prepared is None:
            raise UserError(self._unprepared("registered", preparation))
        prepared = open_prepared(self.prepared, preparation)
        return [from_prepared(prepared.read(key)) for key in preparation.keys]

    @cached_property
    def kept(self) -> np.ndarray:
        """Rows of the candidates that are registered well enough."""
        if not self.registers:
            return np.arange(len(self.candidates))
        found, say = self.registrations, self._lines.append
        scores = np.array([one.score for one in found])
        failed = np.array([one.failed for one in found], bool)
        least = self.min_score
        if self.quantile is not None and not failed.all():
            least = float(np.quantile(scores[~failed], self.quantile))
        if self.show_for:
            tests = np.sort(scores[self._sides == "test"])[::-1]
            many = self.show_for <= len(tests)
            say(
                f"a threshold of {tests[self.show_for - 1]:.4f} would leave {self.show_for} test "
                "pairs"
                if many
                else f"no threshold leaves {self.show_for} of {len(tests)} test pairs"
            )
        good = (scores >= least) & ~failed
        say(f"{int(good.sum()):,} with a score of {least:.3f} or more ({failed.sum():,} failed)")
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

    # progression ----------------------------------------------------------------------
    @cached_property
    def writer(self) -> Writer:
        """Who describes the change, checked before any pair is drawn."""
        return make_writer(
            self.progression,
            file=self.progression_file,
            url=self.model_url,
            model=self.model,
            allow_remote=self.allow_remote,
        )

    def _describer(self) -> Preparation:
        """A text model is asked once for each pair that is kept."""
        pairs = self.candidates.take(self.kept)
        keys = [pair_key(*pairs.paths(row)) for row in range(len(pairs))]
        asked = {key: question(self.source, pairs, row) for row, key in enumerate(keys)}
        reports = [[one.impression_prior, one.impression] for one in asked.values()]
        settings = {"model": self.model}
        return Preparation(
            "progression",
            PROGRESSION,
            keys,
            Describe(self.writer, asked),
            settings,
            fingerprint([keys, reports]),
            "pair",
        )

    @cached_property
    def _described(self) -> Prepared:
        preparation = self._describer()
        if self.prepared is None:
            raise UserError(self._unprepared("asked of a text model", preparation))
        return open_prepared(self.prepared, preparation)

    def _unprepared(self, what: str, preparation: Preparation) -> str:
        name = preparation.name
        return (
            f"{KEY}: {len(preparation.keys)} pairs must be {what} once. Type: python -m "
            f"medbench.prepare data={KEY} data.root={self.root} prepare={name}, with the same "
            "settings, then give data.prepared=outputs/prepared; or choose "
            f"data.{name}={OTHERS[name]}."
        )

    def _write(self, pairs: Pairs, row: int) -> str:
        if self.progression == "model":
            found = self._described.read(pair_key(*pairs.paths(row)))
            return str(found["progression"])
        return self.writer(question(self.source, pairs, row))

    # what users ask -------------------------------------------------------------------
    def split(self, name: str) -> "Journeys":
        if name not in self.splits:
            raise UserError(f"{KEY} has no split {name}; it has {', '.join(self.splits)}.")
        found = self._journeys(name)
        if self.progression == "model":
            _ = self._described  # asked of the model, or the sentence that says how
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
        fits = [found[row] for row in rows] if found else []
        return Journeys(
            self.source,
            pairs.take(rows),
            fits,
            people,
            name,
            funnel,
            self.fit,
            self.age_rule,
            not self.pairs,
            self._write,
        )

    def funnel(self) -> list[str]:
        if self.registers and self.prepared is None and self.preparing:
            return [f"{len(self.candidates):,} pairs to be registered", *self._lines]
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
            names = {name for row in range(len(pairs)) for name in pairs.paths(row)}
            paths = [self.source.folder / name for name in sorted(names)]
            mistakes += inspect_files(paths, level, work=self.work).sentences(self.root)
            if self.preparing:
                return mistakes
            if not any(len(self._journeys(name)) for name in self.splits):
                mistakes += [f"{self.root}: no journeys are left.", *self.funnel()]
            elif self.work is not None and not mistakes:
                self._write_table(self.work)
        except UserError as error:
            mistakes += error.mistakes
        return mistakes

    def _write_table(self, folder: Path) -> None:
        """journeys-FINGERPRINT.csv: the pairs that these settings choose."""
        found = [split for name in self.splits if len(split := self._journeys(name))]
        name = fingerprint([self.content(split.name) for split in found])
        write_table(folder / f"journeys-{name}.csv", found)

    def content(self, split: str) -> Any:
        found = self.split(split)
        pairs = found.pairs
        used = pairs.images.take(np.unique([pairs.prior, pairs.later]))
        written: Any = PROGRESSION
        if self.progression in ("file", "model"):
            written = fingerprint([found.write(pairs, row) for row in range(len(found))])
        moved = [found.matrix(row) for row in range(len(found))]
        return [self.source.content(used), written, moved]
