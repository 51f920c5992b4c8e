"""One root of MIMIC: images, reports and people together, for the datasets made of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from datamodules.base import check_root, read_marker
from datamodules.columns import text
from datamodules.inspection import Expect, check_counts, read_bad_files
from datamodules.labels import Blank, Uncertain
from datamodules.mimic_iv import RACE_NAMES, Demographics, Person
from datamodules.mimic_reports import Reports
from datamodules.mimic_tables import (
    RELEASE,
    STEM,
    TOP,
    TREE,
    Images,
    counts,
    moment,
    read_images,
    release_folder,
)
from datamodules.reports import Fallback, Section, choose_text, strip_priors
from datamodules.tables import find_table
from medbench.core.errors import UserError
from medbench.core.fingerprint import fingerprint, hash_file

SECTIONS = ("report", "findings", "impression")


@dataclass(frozen=True)
class TextChoice:
    """Which text of a report is a sample's, and how long it may be in tokens (0 = any length)."""

    section: Section | Literal["none"] = "impression"
    fallback: tuple[Fallback, ...] = ()
    strip_priors: bool = False
    max_tokens: int = 0
    tokenizer: str | None = None

    def mistakes(self) -> list[str]:
        """What is wrong with the settings, a sentence each."""
        found = []
        if self.max_tokens and not self.tokenizer:
            found.append(
                f"max_tokens={self.max_tokens} counts the tokens of a tokenizer; name the folder "
                "of its files with data.tokenizer=DIR."
            )
        if self.section == "none" and (self.max_tokens or self.fallback or self.strip_priors):
            found.append(
                "section=none has no text: leave out max_tokens, fallback and strip_priors."
            )
        return found

    def of(self, sections: dict[str, str]) -> str:
        """The text out of the sections of a report; empty where it has none."""
        if self.section == "none":
            return ""
        found = choose_text(sections, self.section, self.fallback)
        return strip_priors(found) if self.strip_priors else found

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text has more tokens than allowed, start and end tokens counted."""
        if not self.max_tokens or not texts:
            return [False] * len(texts)
        return [n > self.max_tokens for n in self._count(list(texts))]

    @cached_property
    def _count(self) -> Callable[[list[str]], list[int]]:
        return token_counter(str(self.tokenizer))


def token_counter(folder: str) -> Callable[[list[str]], list[int]]:
    """Lengths of texts in tokens by the tokenizer in a folder."""
    from transformers import AutoTokenizer

    path = Path(folder).expanduser()
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(path) if path.is_dir() else folder, local_files_only=True
        )
    except (OSError, ValueError) as error:
        raise UserError(
            f"tokenizer={folder} holds no tokenizer ({str(error).splitlines()[0]}). Name a folder "
            "with tokenizer.json, or vocab.json and merges.txt, such as the tokenizer folder of "
            "Stable Diffusion."
        ) from None
    return lambda texts: [len(ids) for ids in tokenizer(texts, truncation=False)["input_ids"]]


class MimicSource:
    """The release's tables, reports and people below one root."""

    def __init__(
        self,
        root: Path,
        labels: Literal["chexpert", "negbio"],
        uncertain: Uncertain,
        blank: Blank,
        reports: Path | None,  # where mimic-cxr/ is, if not in the root; None = without reports
        mimic_iv: Path | None,  # where mimic-iv/ is, if not in the root
        overrides: Path | None = None,
        bad_files: str | None = None,
        label_file: Path | None = None,  # of another labeller, instead of the release's
    ) -> None:
        self.root, self.label_source = root, labels
        self.uncertain, self.blank = uncertain, blank
        self.reports_root, self.iv_root, self.overrides = reports, mimic_iv, overrides
        self.bad_list, self.label_file = bad_files, label_file
        self.marker = read_marker(root) if root.is_dir() else None

    @cached_property
    def folder(self) -> Path:
        """The release of the images; stops with the expected tree when it is not there."""
        problems = check_root(self.root, TREE)
        if problems:
            raise UserError(*problems)
        return release_folder(self.root, TOP, f"{STEM}-metadata.csv*", TREE)

    @cached_property
    def images(self) -> Images:
        """Every row of the release's tables."""
        return read_images(
            self.folder, self.label_source, self.uncertain, self.blank, self.label_file
        )

    @cached_property
    def reports(self) -> Reports | None:
        return Reports(self.reports_root, self.overrides) if self.reports_root else None

    @cached_property
    def demographics(self) -> Demographics | None:
        """MIMIC-IV where it is named, or where it lies beside the images."""
        if self.iv_root is None and not (self.root / "mimic-iv").is_dir():
            return None
        return Demographics(self.iv_root or self.root)

    @cached_property
    def bad_files(self) -> set[str]:
        """Image files, relative to the root, that the user leaves out."""
        if self.bad_list is None:
            return set()
        prefix = self.folder.relative_to(self.root).as_posix()
        names = {f"{prefix}/{self.images.path(row)}" for row in range(len(self.images))}
        return read_bad_files(self.bad_list, names)

    def is_bad(self, path: str) -> bool:
        """Whether the user leaves out an image, by its path in the release."""
        if not self.bad_files:
            return False
        return f"{self.folder.relative_to(self.root).as_posix()}/{path}" in self.bad_files

    def sections(self, subject: bytes, study: bytes) -> dict[str, str]:
        """The sections of a study's report; none of them without reports."""
        return self.reports.sections(text(subject), text(study)) if self.reports else {}

    def tables(self) -> list[Path]:
        """Every table that a sample is made from."""
        found = [find_table(self.folder, f"{STEM}-{name}") for name in ("metadata", "split")]
        found.append(self.label_file or find_table(self.folder, f"{STEM}-{self.label_source}"))
        return found + (self.demographics.tables if self.demographics else [])

    def count_mistakes(self, expect: Expect) -> list[str]:
        """Counts of the tables that are not the release's."""
        phantom = self.marker is not None
        release = {k: n for k, n in RELEASE.items() if not (self.label_file and "labelled" in k)}
        found = check_counts(counts(self.images), release, expect, phantom)
        return [f"{self.folder}: {sentence}" for sentence in found]

    def content(self, images: Images, tables: Sequence[Path] = ()) -> Any:
        """The tables' content, and path and size of each image and report in use."""
        names = [images.path(row) for row in range(len(images))]
        sizes = [file_size(self.folder / name) for name in names]
        pairs = np.unique(np.stack([images.subject, images.study], axis=1), axis=0)
        studies = [(text(subject), text(study)) for subject, study in pairs.tolist()]
        return [
            [hash_file(path) for path in [*self.tables(), *tables]],
            fingerprint([names, sizes]),
            fingerprint(self.reports.content(studies)) if self.reports else None,
            self.marker,
        ]

    def person(self, people: dict[bytes, Person], subject: bytes) -> Person | None:
        return people.get(subject)


def file_size(path: Path) -> int:
    """Bytes of a file, -1 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


@dataclass(frozen=True)
class AgeRule:
    """Which age of MIMIC-IV a sample has: the anchor's or that at the study; 91 is a code."""

    age: Literal["anchor", "at_study"] = "anchor"
    keep_91: bool = False

    def keys(self, person: Person | None, date: bytes) -> dict[str, Any]:
        """`age` (float32, NaN unknown), `race` (int64, -1 unknown)."""
        years = np.nan
        if person and (self.keep_91 or not person.coded):
            study_year = moment(text(date), "0").year
            years = person.age if self.age == "anchor" else person.age_in(study_year)
        return {"age": np.float32(years), "race": np.int64(person.race if person else -1)}

    def funnel(self, people: dict[bytes, Person], subjects: np.ndarray) -> str:
        """How much is known of the subjects of a split."""
        wanted = np.unique(subjects).tolist()
        known = [people[subject] for subject in wanted if subject in people]
        races = sum(person.race >= 0 for person in known)
        coded = sum(person.coded for person in known)
        word = "kept" if self.keep_91 else "age unknown"
        return (
            f"{len(known)} of {len(wanted)} subjects in MIMIC-IV, {races} with one known race of "
            f"{', '.join(RACE_NAMES)}; {coded} with the code 91 for above 89 ({word})"
        )
