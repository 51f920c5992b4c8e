"""MIMIC-CXR-JPG: radiographs with the labels of their reports, and the reports of MIMIC-CXR."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from datamodules.base import DataModule, Level, check_root, expand
from datamodules.columns import text
from datamodules.geometry import Fit, Mode
from datamodules.inspection import Expect, describe_bad_files, inspect_files
from datamodules.labels import CANONICAL, Blank, Uncertain
from datamodules.mimic_iv import Person
from datamodules.mimic_source import SECTIONS, AgeRule, MimicSource, TextChoice
from datamodules.mimic_tables import RADIOLOGIST, TREE, VIEWS, Images, read_radiologist, sides
from datamodules.preparing import Preparation, open_prepared
from datamodules.radiographs import check_polarity
from datamodules.reports import Fallback, Section
from datamodules.resizing import PictureReader, resized
from datamodules.splits import check_leak, hash_share
from medbench.core.batch import Sample
from medbench.core.errors import UserError, nearest

KEY = "mimic_cxr_jpg"
BLOCK = 512  # images whose reports are read and counted together


class MimicCxrJpg(DataModule):
    """Chest radiographs of MIMIC-CXR-JPG with labels, reports, and age and race where known.

    root: the folder that holds mimic-cxr-jpg/, and mimic-cxr/ (reports) and mimic-iv/ (age, race)
    unless `reports` and `mimic_iv` name other places. n_*: at most so many, by hash: a smaller
    subset is the beginning of a larger one."""

    version = 1
    modality = "radiograph"
    yields = (
        "image",
        "text",
        "texts",
        "texts.report",
        "texts.findings",
        "texts.impression",
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
    citation = "Johnson et al., MIMIC-CXR-JPG (PhysioNet 2019, 2024); MIMIC-CXR (Sci Data 2019)"
    split_source = "the release's split file, or p10 to p18 against p19"
    location = ("root", "reports", "mimic_iv", "overrides", "label_file", "bad_files", "prepared")

    def __init__(
        self,
        root: str,
        image_size: int = 256,
        fit: Mode = "crop",
        views: Sequence[str] = ("PA", "AP"),  # of PA, AP, lateral, other
        test_views: Sequence[str] = (),  # of the test split, where they differ
        section: Section | Literal["none"] = "impression",  # none: without reports
        fallback: Sequence[Fallback] = (),  # findings, last_paragraph: where the section is empty
        max_tokens: int = 0,  # longest text, start and end tokens counted; 0 = any
        tokenizer: str | None = None,  # the folder of the CLIP tokenizer's files
        strip_priors: bool = False,  # without sentences that compare with an earlier image
        labels: Literal["chexpert", "negbio"] = "chexpert",
        label_file: str | None = None,  # CSV of another labeller: study_id and the 14 labels
        test_labels: Literal["same", "radiologist"] = "same",  # radiologist: release 2.1.0
        uncertain: Uncertain = "nan",
        blank: Blank = "nan",
        partition: Literal["official", "p_group"] = "official",
        val_fraction: float = 0.1,  # of the subjects of p10 to p18
        n_train: int | None = None,
        n_validation: int | None = None,
        n_test: int | None = None,
        age: Literal["anchor", "at_study"] = "anchor",
        keep_91: bool = False,  # MIMIC-IV's code for above 89, as if it were an age
        reports: str | None = None,
        mimic_iv: str | None = None,
        overrides: str | None = None,  # CSV: study_id, section, start, end
        expect: Expect = "full",
        bad_files: str | None = None,  # a list of files to leave out, one path a line
        prepared: str | None = None,  # a finished copy by prepare=resized
    ) -> None:
        super().__init__()
        self.root, self.fit, self.expect = expand(root), Fit(image_size, fit), expect
        self.prepared = prepared
        self.views = {"test": tuple(test_views or views)}
        self.views |= dict.fromkeys(("train", "validation"), tuple(views))
        self.choice = TextChoice(section, tuple(fallback), strip_priors, max_tokens, tokenizer)
        self.test_labels = test_labels
        self.partition, self.val_fraction = partition, val_fraction
        self.n = {"train": n_train, "validation": n_validation, "test": n_test}
        self.age_rule = AgeRule(age, keep_91)
        self.source = MimicSource(
            self.root,
            labels,
            uncertain,
            blank,
            None if section == "none" else expand(reports) if reports else self.root,
            expand(mimic_iv) if mimic_iv else None,
            expand(overrides) if overrides else None,
            bad_files,
            expand(label_file) if label_file else None,
        )
        self.phantom = self.source.marker is not None
        self._splits: dict[str, Films] = {}

    def check(self, level: Level = "fast") -> list[str]:
        mistakes = [*self.settings_mistakes(), *check_root(self.root, TREE)]
        if mistakes:
            return mistakes
        try:
            mistakes += self.source.count_mistakes(self.expect)
            films = [self._films(name) for name in self.splits]
            if not any(map(len, films)):
                mistakes += [f"{self.root}: no images are left.", *self.funnel()]
            paths = [film.path(row) for film in films for row in range(len(film))]
            mistakes += inspect_files(paths, level, work=self.work).sentences(self.root)
            if not mistakes:
                mistakes += check_polarity([path for film in films for path in film.frontal()])
        except UserError as error:
            mistakes += error.mistakes
        return mistakes

    def settings_mistakes(self) -> list[str]:
        """What is wrong with the settings, a sentence each."""
        asked = dict.fromkeys((*self.views["train"], *self.views["test"]))
        odd = [name for name in asked if name not in VIEWS]
        found = [
            f"views={name} is not known{nearest(name, VIEWS) or '; '}they are {', '.join(VIEWS)}."
            for name in odd
        ]
        return found + self.choice.mistakes()

    def funnel(self) -> list[str]:
        lines = [f"{name}: {line}" for name in self.splits for line in self._films(name).funnel]
        return describe_bad_files(self.source.bad_files) + lines

    def content(self, split: str) -> Any:
        radiologist = split == "test" and self.test_labels == "radiologist"
        tables = [self.source.folder / f"{RADIOLOGIST}.csv"] if radiologist else []
        return self.source.content(self.split(split).images, tables)

    def split(self, name: str) -> "Films":
        if name not in self.splits:
            raise UserError(f"{KEY} has no split {name}; it has {', '.join(self.splits)}.")
        films = self._films(name)
        if not len(films):
            why = "; ".join(films.funnel)
            raise UserError(f"{self.root}: no images are left in {name}: {why}.")
        return films

    def _films(self, name: str) -> "Films":
        """The samples of a split, none of them where every image is dropped."""
        if name not in self._splits:
            mistakes = self.settings_mistakes()
            if mistakes:
                raise UserError(*mistakes)
            self._splits[name] = self._choose(name)
        return self._splits[name]

    # choosing ---------------------------------------------------------------------
    @cached_property
    def _sides(self) -> np.ndarray:
        """train, validation or test of each row; stops when a subject is on two sides."""
        images = self.source.images
        found = sides(images, self.partition, KEY, self.val_fraction)
        subjects = {n: map(text, np.unique(images.subject[found == n])) for n in self.splits}
        leaks = check_leak(subjects)
        if leaks:
            raise UserError(*leaks)
        return found

    def _choose(self, name: str) -> "Films":
        source = self.source
        images = source.images.take(self._sides == name)
        funnel = [f"{len(images):,} images in the tables"]
        images = images.take(np.isin(images.projection, self.views[name]))
        funnel.append(f"{len(images):,} are {', '.join(self.views[name])}")
        if name == "test" and self.test_labels == "radiologist":
            images = read_radiologist(source.folder, images, source.uncertain, source.blank)
            funnel.append(f"{len(images):,} of studies that a radiologist labelled")
        unlabelled = int((~images.labelled).sum())
        if unlabelled:
            funnel.append(f"{unlabelled:,} of them in no label table: kept, every label unknown")
        order = np.argsort([hash_share(KEY, text(d)) for d in images.dicom], kind="stable")
        images = images.take(order)
        images = images.take(self._accepted(images, self.n[name], funnel))
        people = {}
        if source.demographics:
            people = source.demographics.people(images.subject)
            funnel.append(self.age_rule.funnel(people, images.subject))
        return Films(self, images, name, people, funnel)

    def _accepted(self, images: Images, most: int | None, funnel: list[str]) -> np.ndarray:
        """Rows that pass what costs reading, in their order, until there are enough."""
        lost: dict[str, int] = {}
        rows: list[int] = []
        for row, why in self._judged(images):
            if most is not None and len(rows) == most:
                funnel.append(f"{row:,} looked at, in the order of their hash")
                break
            if why:
                lost[why] = lost.get(why, 0) + 1
            else:
                rows.append(row)
        funnel += [f"{n:,} dropped: {why}" for why, n in lost.items()]
        short = most is not None and len(rows) < most
        funnel.append(f"{len(rows):,} left" + (f" of {most:,} asked for" if short else ""))
        return np.array(rows, int)

    def _judged(self, images: Images) -> Iterator[tuple[int, str]]:
        """Each row, and why it is dropped, or an empty reason."""
        for start in range(0, len(images), BLOCK):
            block = range(start, min(start + BLOCK, len(images)))
            why = {row: self._absent(images, row) for row in block}
            if self.source.reports:
                here = [row for row in block if not why[row]]
                texts = [self.text_of(images, row) for row in here]
                for row, found, long in zip(here, texts, self.choice.too_long(texts), strict=True):
                    if not found:
                        why[row] = f"no {self.choice.section} in the report"
                    elif long:
                        why[row] = f"more than {self.choice.max_tokens} tokens"
            yield from why.items()

    def _absent(self, images: Images, row: int) -> str:
        """With expect=full an absent file is an error, once it is checked or read."""
        path, source = images.path(row), self.source
        if source.is_bad(path):
            return "listed in bad_files"
        if self.expect == "full":
            return ""
        if not (source.folder / path).is_file():
            return "its file is not there (expect=subset)"
        subject, study = text(images.subject[row]), text(images.study[row])
        absent = source.reports and not source.reports.has(subject, study)
        return "its report is not there (expect=subset)" if absent else ""

    def text_of(self, images: Images, row: int) -> str:
        """The text that the settings choose; empty where the report has none."""
        return self.choice.of(self.source.sections(images.subject[row], images.study[row]))

    # reading ----------------------------------------------------------------------
    def preparations(self) -> dict[str, Preparation]:
        films = [self._films(split) for split in self.splits]
        names = sorted({film.name_of(row) for film in films for row in range(len(film))})
        return {"resized": resized(self.source.folder, names, self.fit, grey=True)}

    @cached_property
    def reader(self) -> PictureReader:
        """Images of the release by path, or of their prepared copy."""
        copy = None
        if self.prepared:
            copy = open_prepared(self.prepared, self.preparations()["resized"])
        return PictureReader(self.source.folder, self.fit, grey=True, prepared=copy)


class Films:
    """The samples of one split, read when they are asked for."""

    def __init__(
        self,
        data: MimicCxrJpg,
        images: Images,
        name: str,
        people: dict[bytes, Person],
        funnel: list[str],
    ) -> None:
        self.data, self.images, self.name = data, images, name
        self.people, self.funnel = people, funnel

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        return {"image": self.data.reader.read(self.name_of(index))[0]} | self.describe(index)

    def describe(self, index: int) -> Sample:
        """A sample without its image."""
        images, data = self.images, self.data
        subject = images.subject[index]
        meta = images.meta(index) | {"split": self.name, "section": data.choice.section}
        sample: Sample = {
            "labels": images.labels[index].copy(),
            "label_names": list(CANONICAL),
            "sample_id": text(images.dicom[index]),
            "subject_id": text(subject),
            "meta": meta,
        }
        sample |= data.age_rule.keys(self.people.get(subject), images.date[index])
        if data.source.reports:
            sections = data.source.sections(subject, images.study[index])
            sample["text"] = data.choice.of(sections)
            sample["texts"] = {name: sections.get(name, "") for name in SECTIONS}
        return sample

    def path(self, index: int) -> Path:
        return self.data.source.folder / self.name_of(index)

    def name_of(self, index: int) -> str:
        """Of the file, below the folder that is read."""
        return self.images.path(index)

    def frontal(self) -> list[Path]:
        """Files of the PA and AP films."""
        rows = np.flatnonzero(np.isin(self.images.projection, ("PA", "AP")))
        return [self.path(int(row)) for row in rows]
