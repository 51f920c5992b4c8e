"""What the datasets of chest CT share: cases, their reading, and the samples of a split."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from datamodules.base import DataModule, Level
from datamodules.ct_preparation import Box, prepare_ct, prepare_named
from datamodules.inspection import describe_bad_files, inspect_files, read_bad_files
from datamodules.preparing import Preparation, Prepared, open_prepared
from datamodules.splits import check_leak
from datamodules.volumes import (
    Array,
    Ct,
    Reading,
    check_orientation,
    decimate,
    read_ct,
    read_mask,
    to_unit,
)
from medbench.core.batch import Sample
from medbench.core.errors import UserError
from medbench.core.fingerprint import fingerprint, hash_file

Section = Literal["findings_impression", "findings", "impression"]
Registration = Literal["none", "affine"]
REPORTS = "reports"  # a split of texts without volumes
PREPARATION = "ct"


@dataclass(frozen=True)
class Mask:
    """A file, and which of its values mean what; none: as they are."""

    path: Path
    values: Mapping[int, int] | None = None


@dataclass(frozen=True)
class Case:
    """One volume (or one text without a volume) as the tables tell of it."""

    sample_id: str
    subject_id: str
    split: str
    volume: Path | None
    reading: Reading = field(default_factory=Reading)
    masks: Mapping[str, Mask] = field(default_factory=dict)
    texts: Mapping[str, str] | None = None  # findings and impression
    labels: tuple[float, ...] = ()
    age: float = float("nan")
    guard: str = "hu"  # what is checked: hu, axes (both), none
    meta: Mapping[str, str | float] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The name of its prepared file."""
        return self.sample_id


@dataclass(frozen=True)
class View:
    """How volumes are handed out: size 0 is the file's own grid."""

    size: int = 64
    window: tuple[float, float] = (-1024.0, 600.0)
    section: Section = "findings_impression"
    of: int = 256  # the grid of the preparation; a volume is every (of/size)-th voxel of it
    registration: Registration = "none"
    atlas: Path | None = None
    prepared: str | None = None

    def mistakes(self, preparing: bool = False) -> list[str]:
        found = []
        if self.size and (self.size < 8 or self.of % self.size):
            found.append(
                f"size={self.size}, of={self.of}: size is 0 (the file's own grid) or at least 8 "
                "and divides `of`."
            )
        if len(self.window) != 2 or self.window[0] >= self.window[1]:
            found.append(f"window={list(self.window)}: two values in HU, the lower one first.")
        if self.registration == "affine" and self.atlas is None:
            found.append(
                "registration=affine needs data.atlas=FILE, a lung mask (1 right, 2 left) as "
                "NIfTI; datamodules.ct_preparation.make_atlas writes one from a scan."
            )
        if self.registration == "affine" and not (self.prepared or preparing) and self.size:
            found.append(
                "registration=affine takes minutes a volume: prepare the data once with python "
                "-m medbench.prepare, then set data.prepared=DIR."
            )
        return found


def read_case(case: Case) -> Ct:
    """A case's volume in HU, after its guards."""
    assert case.volume is not None
    ct = read_ct(case.volume, case.reading, guard=case.guard != "none")
    if case.guard == "axes":
        check_orientation(ct, str(case.volume), case.reading.axes or "of the header")
    return ct


def read_masks(case: Case, like: Ct, names: Iterable[str]) -> dict[str, Array]:
    """(D, H, W) uint8 on the volume's grid."""
    found = {}
    for name in names:
        mask = case.masks[name]
        values = read_mask(mask.path, like, case.reading)
        if mask.values is not None:
            table = np.zeros(256, np.uint8)
            for old, new in mask.values.items():
                table[old] = new
            values = table[values]
        top = 5 if name == "lobe" else 1
        if values.max(initial=0) > top:
            raise UserError(f"The mask {mask.path} of {name} holds values above {top}.")
        found[name] = values
    return found


def make_prepared(cases: Mapping[str, Case], view: View, key: str) -> dict[str, Array]:
    """What the preparation writes of one case: hu int16, masks uint8, spacing."""
    case = cases[key]
    ct = read_case(case)
    masks = read_masks(case, ct, case.masks)
    return prepare_named(ct, masks, view.of, view.registration, view.atlas, str(case.volume))


class CtDataset(DataModule):
    """The shared part of a dataset of chest CTs; a subclass lists its cases."""

    modality = "ct"
    bits = 16
    location = ("root", "prepared", "bad_files")
    view: View
    root: Path
    bad_files: str | None = None  # a list of files to leave out, one path a line

    def cases(self) -> list[Case]:
        """Every case, in a fixed order."""
        raise NotImplementedError

    def label_names(self) -> tuple[str, ...]:
        return ()

    def tables(self) -> list[Path]:
        """The files whose content identifies the dataset."""
        return []

    def root_mistakes(self) -> list[str]:
        return []

    # contract ---------------------------------------------------------------------------
    def check(self, level: Level = "fast") -> list[str]:
        mistakes = [*self.view.mistakes(self.preparing), *self.root_mistakes()]
        if mistakes:
            return mistakes
        try:
            cases = self.used_cases
            sides: dict[str, set[str]] = {name: set() for name in self.splits}
            for case in cases:
                sides.setdefault(case.split, set()).add(case.subject_id)
            mistakes += check_leak({name: sides[name] for name in self.splits})
            mistakes += self._look(cases, level)
            if self.view.prepared:
                self._opened()
        except UserError as error:
            mistakes += error.mistakes
        return mistakes

    def _look(self, cases: Sequence[Case], level: Level) -> list[str]:
        """Sentences of bad files; at the full level a volume is read with its guards and masks."""
        paths = list(dict.fromkeys(_files_of(cases)))
        mistakes = [
            f"{p} is an empty folder." for p in paths if p.is_dir() and not any(p.iterdir())
        ]
        files = [path for path in paths if not path.is_dir()]
        found = inspect_files(files, "fast", work=self.work, label="check files")
        if level == "full":
            volumes = {str(case.volume): case for case in cases if case.volume is not None}
            left = [Path(name) for name in volumes if Path(name) not in found.bad]
            look = partial(look_at_case, volumes)
            read = inspect_files(left, "full", work=self.work, look=look, label="read volumes")
            found.bad |= read.bad
        return mistakes + found.sentences(self.root)

    def funnel(self) -> list[str]:
        return describe_bad_files(self._left_out) + self._empty_texts()

    def _empty_texts(self) -> list[str]:
        """Cases whose text says nothing stay, and are counted."""
        section = self.view.section
        told = [case for case in self.used_cases if case.texts is not None]
        mute = [c.sample_id for c in told if not texts_of(c.texts or {}, section)["text"]]
        if not mute:
            return []
        return [f"{len(mute)} of {len(told)} texts ({section}) are empty, such as {mute[0]}'s"]

    @cached_property
    def _left_out(self) -> set[str]:
        """The files of `bad_files`, relative to the root."""
        files = _files_of(self.cases())
        return read_bad_files(self.bad_files, {self._name(path) for path in files})

    @cached_property
    def used_cases(self) -> list[Case]:
        """The cases without those that have a file in `bad_files`."""
        bad = self._left_out
        if not bad:
            return self.cases()
        return [c for c in self.cases() if not bad & {self._name(p) for p in _files_of([c])}]

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def content(self, split: str) -> Any:
        cases = self._cases_of(split)
        sizes = [[case.sample_id, [_size(path) for path in _files_of([case])]] for case in cases]
        return fingerprint([[hash_file(path) for path in self.tables()], sizes])

    def split(self, name: str) -> "CtCases":
        mistakes = self.view.mistakes()
        if mistakes:
            raise UserError(*mistakes)
        cases = self._cases_of(name)
        if not cases:
            raise UserError(
                f"{self.root}: there are no cases in {name} (split by {self.split_source})."
            )
        prepared = self._opened() if self.view.prepared and name != REPORTS else None
        return CtCases(cases, self.view, self.label_names(), prepared)

    def preparations(self) -> dict[str, Preparation]:
        """`ct`: on one grid of `of`^3 voxels, with lobes, airways, vessels and lungs."""
        cases = {case.key: case for case in self.used_cases if case.volume is not None}
        view = self.view
        settings = {"of": view.of, "registration": view.registration}
        atlas = hash_file(view.atlas) if view.atlas else None
        make = partial(make_prepared, cases, View(0, of=view.of, registration=view.registration,
                                                  atlas=view.atlas))  # fmt: skip
        source = [type(self).__name__, self.version, atlas, [self.content(s) for s in self.splits]]
        return {
            PREPARATION: Preparation(
                PREPARATION, 1, list(cases), make, settings, source, unit="volume"
            )
        }

    def _opened(self) -> Prepared:
        assert self.view.prepared is not None
        return open_prepared(self.view.prepared, self.preparations()[PREPARATION])

    def _cases_of(self, name: str) -> list[Case]:
        known = (*self.splits, REPORTS)
        if name not in known:
            raise UserError(f"split {name} does not exist. Known: {', '.join(known)}.")
        return [case for case in self.used_cases if case.split == name]


def _files_of(cases: Iterable[Case]) -> Iterable[Path]:
    for case in cases:
        if case.volume is not None:
            yield case.volume
        yield from (mask.path for mask in case.masks.values())


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def look_at_case(cases: Mapping[str, Case], path: Path) -> str | None:
    """What is wrong with the volume at a path, or with its masks."""
    case = cases[str(path)]
    try:
        read_masks(case, read_case(case), case.masks)
    except UserError as error:
        return str(error)
    return None


class CtCases:
    """The samples of one split, read when they are asked for."""

    def __init__(
        self,
        cases: Sequence[Case],
        view: View,
        label_names: tuple[str, ...],
        prepared: Prepared | None,
    ) -> None:
        self.cases, self.view, self.label_names = list(cases), view, label_names
        self._prepared = prepared
        shared = [set(case.masks) for case in self.cases]
        self.mask_names = sorted(set.intersection(*shared)) if shared else []

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> Sample:
        case, sample = self.cases[index], self.describe(index)
        if case.volume is None:
            return sample
        hu, masks, spacing = self._volume(case)
        sample["image"] = to_unit(hu, self.view.window)[None]
        if masks:
            sample["masks"] = {name: mask[None] for name, mask in masks.items()}
        sample["spacing_mm"] = spacing.astype(np.float32)
        return sample

    def describe(self, index: int) -> Sample:
        """A sample without its volume: nothing is read."""
        case = self.cases[index]
        sample: Sample = {
            "age": np.float32(case.age),
            "sample_id": case.sample_id,
            "subject_id": case.subject_id,
            "meta": dict(case.meta) | {"split": case.split},
        }
        if case.texts is not None:
            sample |= texts_of(case.texts, self.view.section)
        if self.label_names:
            sample["labels"] = np.array(case.labels, np.float32)
            sample["label_names"] = list(self.label_names)
        return sample

    def _volume(self, case: Case) -> tuple[Array, dict[str, Array], Array]:
        view = self.view
        if self._prepared is not None:
            found = self._prepared.read(case.key)
            stride = view.of // (view.size or view.of)
            spacing = found.pop("spacing_mm") * stride
            found.pop("matrix", None)
            hu = np.ascontiguousarray(decimate(found.pop("hu"), stride))
            return hu, {n: np.ascontiguousarray(decimate(m, stride)) for n, m in found.items()}, (
                spacing
            )  # fmt: skip
        ct = read_case(case)
        masks = read_masks(case, ct, self.mask_names)
        if not view.size:
            return ct.hu, masks, ct.spacing_mm
        return prepare_ct(ct, masks, Box.of_lungs(ct, str(case.volume)), view.size, view.of)


def texts_of(texts: Mapping[str, str], section: Section) -> dict[str, Any]:
    """`text` as chosen, and all texts."""
    findings, impression = texts.get("findings", ""), texts.get("impression", "")
    both = " ".join(part for part in (findings, impression) if part)
    chosen = {"findings": findings, "impression": impression, "findings_impression": both}
    report = "\n".join(
        f"{name}: {part}"
        for name, part in (("FINDINGS", findings), ("IMPRESSION", impression))
        if part
    )
    return {
        "text": chosen[section],
        "texts": {"findings": findings, "impression": impression, "report": report},
    }
