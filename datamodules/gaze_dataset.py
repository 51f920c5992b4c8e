"""A dataset of gaze: its splits, what is prepared of it, and what is checked."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.base import DataModule, Level, check_root, expand, read_marker
from datamodules.gaze import Case, Look, Source, Word, check_size, make_arrays, picture_size
from datamodules.inspection import (
    Expect,
    describe_bad_files,
    inspect_files,
    read_bad_files,
    split_missing,
)
from datamodules.labels import CANONICAL
from datamodules.mimic_tables import TOP, release_folder
from datamodules.preparing import Arrays, Preparation, Prepared, open_prepared
from datamodules.splits import check_leak
from medbench.core.batch import Sample
from medbench.core.errors import UserError, nearest
from medbench.core.fingerprint import hash_file, hash_files

IMAGES = f"""{TOP}/2.1.0/ (or 2.0.0, or the files in {TOP}/ itself)
  files/p10/p10000001/s50000001/DICOM_ID.jpg ... files/p19/"""
YIELDS = (
    "image",
    "text",
    "texts",
    "texts.report",
    "labels",
    "label_names",
    "gaze",
    "controls",
    "controls.canny",
    "controls.sobel",
    "controls.gl",
    "controls.segmentation",
    "controls.hva",
    "controls.gaze_density",
    "sample_id",
    "subject_id",
    "meta",
)
Pair = tuple[Source, Case]


class GazeSplit:
    """The samples of one split, out of one release or several."""

    def __init__(
        self, pairs: list[Pair], look: Look, prepared: dict[int, Prepared], with_masks: bool
    ) -> None:
        self.pairs, self.look, self.with_masks = pairs, look, with_masks
        self._prepared = prepared  # by id of the source

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        source, case = self.pairs[index]
        prepared = self._prepared.get(id(source))
        made = prepared.read(case.sample_id) if prepared else make_arrays(source, case, self.look)
        sample = self.describe(index) | {
            "image": made["image"].astype(np.float32) * np.float32(2 / 255) - 1,
            "gaze": made["gaze"],
            "controls": {
                name.removeprefix("control."): _unit(values)
                for name, values in made.items()
                if name.startswith("control.")
            },
        }
        if self.with_masks:
            size = self.look.fit.size
            sample["masks"] = {
                name: np.unpackbits(made[f"mask.{name}"], axis=-1, count=size)
                for name in source.masks
            }
        return sample

    def describe(self, index: int) -> Sample:
        """The sample without its image, its gaze and their maps."""
        source, case = self.pairs[index]
        text = source.text(case)
        return {
            "text": text,
            "texts": {"report": text},
            "labels": case.labels.copy(),
            "label_names": list(CANONICAL),
            "sample_id": case.sample_id,
            "subject_id": case.subject_id,
            "meta": case.meta | source.details(case),
        }

    def words(self, index: int) -> list[Word]:
        """The dictation of a sample with its times, as the release has it."""
        source, case = self.pairs[index]
        return source.words(case)


def _below(root: Path, case: Case) -> str:
    return case.image.relative_to(root).as_posix()


def _unit(values: np.ndarray) -> np.ndarray:
    """Levels as values in [0, 1]; a density is kept as it is."""
    return values if values.dtype == np.float32 else values.astype(np.float32) * np.float32(1 / 255)


@dataclass(frozen=True)
class Make:
    """What a preparation does for a key; other processes can be handed it."""

    source: Source
    cases: dict[str, Case]
    look: Look

    def __call__(self, key: str) -> Arrays:
        return make_arrays(self.source, self.cases[key], self.look)


class GazeData(DataModule):
    """Shared by the releases: a subclass says which cases there are and on which side each is."""

    modality = "radiograph"
    restricted = True
    licence = "PhysioNet Credentialed Health Data License 1.5.0"
    location = ("root", "images", "reports", "bad_files", "prepared")
    tree = ""  # what is expected below the root
    with_masks = True
    paper_leak = False  # whether subjects may stand in train and in test, as a paper has it

    def __init__(
        self,
        root: str,
        images: str | None,
        look: Look,
        expect: Expect,
        bad_files: str | None,
        prepared: str | None,
    ) -> None:
        super().__init__()
        self.root, self.expect = expand(root), expect
        self.bad_files, self.prepared = bad_files, prepared
        self.look = replace(look, exact=expect == "full")
        self.images_root = expand(images) if images else self.root
        self.marker = read_marker(self.root) if self.root.is_dir() else None
        self.phantom = self.marker is not None
        self._steps: list[str] = []

    # what a release says ----------------------------------------------------------------
    @abstractmethod
    def sources(self) -> dict[str, Source]:
        """The releases that it reads, by name."""

    @abstractmethod
    def assign(self) -> dict[str, list[Pair]]:
        """The cases of every split; filters say in `note` what they took away."""

    @abstractmethod
    def count_mistakes(self) -> list[str]:
        """Counts that differ from the release's."""

    # what follows -----------------------------------------------------------------------
    @cached_property
    def images(self) -> Path:
        """The release of MIMIC-CXR-JPG that holds the radiographs."""
        return release_folder(self.images_root, TOP, "files", IMAGES)

    def note(self, line: str) -> None:
        """A line of the funnel."""
        self._steps.append(line)

    @cached_property
    def sides(self) -> dict[str, list[Pair]]:
        """The cases of every split, without missing images where a subset is expected."""
        mistakes = check_root(self.root, self.tree)
        if mistakes:
            raise UserError(*mistakes)
        found = self._without_bad(self.assign())
        if self.expect == "subset":
            found = self._without_missing(found)
        subjects = {name: {case.subject_id for _, case in pairs} for name, pairs in found.items()}
        leaks = [] if self.paper_leak else check_leak(subjects)
        if leaks:
            raise UserError(*leaks)
        return found

    def _without_bad(self, found: dict[str, list[Pair]]) -> dict[str, list[Pair]]:
        """Without the images that the user lists, by path below the root."""
        if self.bad_files is None:
            return found
        names = {_below(self.images_root, c) for pairs in found.values() for _, c in pairs}
        bad = read_bad_files(self.bad_files, names)
        for line in describe_bad_files(bad):
            self.note(line)
        return {
            name: [pair for pair in pairs if _below(self.images_root, pair[1]) not in bad]
            for name, pairs in found.items()
        }

    def _without_missing(self, found: dict[str, list[Pair]]) -> dict[str, list[Pair]]:
        paths = sorted({case.image for pairs in found.values() for _, case in pairs})
        missing, _ = split_missing(paths, self.images_root, self.expect)
        kept = {
            name: [pair for pair in pairs if pair[1].image not in missing]
            for name, pairs in found.items()
        }
        lost = sum(map(len, found.values())) - sum(map(len, kept.values()))
        if lost:
            self.note(f"{lost} dropped: their image is not there (expect=subset)")
        return kept

    def funnel(self) -> list[str]:
        sides = self.sides
        return [*self._steps, *(f"{name}: {len(pairs)} samples" for name, pairs in sides.items())]

    def split(self, name: str) -> GazeSplit:
        if name not in self.splits:
            raise UserError(
                f"split {name} does not exist{nearest(name, self.splits)} "
                f"Known: {', '.join(self.splits)}."
            )
        return GazeSplit(self.sides[name], self.look, self._opened, self.with_masks)

    def preparations(self) -> dict[str, Preparation]:
        return {f"{name}_gaze": self._preparation(name) for name in self.sources()}

    def _preparation(self, name: str) -> Preparation:
        source = self.sources()[name]
        cases = {c.sample_id: c for pairs in self.sides.values() for s, c in pairs if s is source}
        return Preparation(
            name=f"{name}_gaze",
            version=self.version,
            keys=sorted(cases),
            make=Make(source, cases, self.look),
            settings=self.look.settings(),
            source=self._files_content(source, list(cases.values())),
        )

    @cached_property
    def _opened(self) -> dict[int, Prepared]:
        if self.prepared is None:
            return {}
        return {
            id(source): open_prepared(self.prepared, self._preparation(name))
            for name, source in self.sources().items()
        }

    def content(self, split: str) -> Any:
        """Labels and sides of the cases; path and size of what they are read from; the tables."""
        found = []
        for source in self.sources().values():
            cases = [case for own, case in self.sides[split] if own is source]
            rows = [
                [c.sample_id, c.subject_id, *np.nan_to_num(c.labels, nan=-9).tolist()]
                for c in sorted(cases, key=lambda case: case.sample_id)
            ]
            found.append([rows, self._files_content(source, cases)])
        return found

    def _files_content(self, source: Source, cases: list[Case]) -> Any:
        """What the arrays of the cases are made of."""
        images = {case.image for case in cases}
        files = {path for case in cases for path in source.files(case)}
        return [
            hash_files(self.images, images, content=False),
            hash_files(self.root, files, content=False),
            [hash_file(path) for path in source.tables()],
            sorted([case.sample_id, *case.readings] for case in cases),
            self.marker,
        ]

    # checking ---------------------------------------------------------------------------
    def check(self, level: Level = "fast") -> list[str]:
        mistakes = check_root(self.root, self.tree)
        if mistakes:
            return mistakes
        try:
            if not self.phantom:
                mistakes += self.count_mistakes()
            pairs = [pair for found in self.sides.values() for pair in found]
            return mistakes + self._file_mistakes(pairs, level)
        except UserError as error:
            return [*mistakes, *error.mistakes]

    def _file_mistakes(self, pairs: Sequence[Pair], level: Level) -> list[str]:
        images = sorted({case.image for _, case in pairs})
        files = sorted({path for source, case in pairs for path in source.files(case)})
        found = [
            line
            for paths, root in ((images, self.images_root), (files, self.root))
            for line in split_missing(paths, root, "full")[1]
        ]
        if found:
            return found
        seen = inspect_files(images, level, work=self.work).sentences(self.images_root)
        return seen or _collect(lambda pair: _check_case(*pair, self.look), pairs)


def _check_case(source: Source, case: Case, look: Look) -> None:
    """Whether the image has its size, and whether its gaze, dictation and details can be read."""
    size = source.size(case)
    check_size(case, picture_size(case.image), size, look.exact)
    source.gaze(case, *size)
    source.focus(case)
    source.text(case)
    source.words(case)
    source.details(case)


def _collect(look: Callable[[Pair], None], pairs: Sequence[Pair], most: int = 10) -> list[str]:
    """What the first few bad cases say."""
    found: list[str] = []
    for pair in pairs:
        try:
            look(pair)
        except UserError as error:
            found += error.mistakes
        if len(found) >= most:
            break
    return found


def cut_validation(pairs: list[Pair], held: Callable[[str], bool]) -> tuple[list[Pair], list[Pair]]:
    """Training and validation cases: a subject is held out as a whole."""
    train = [pair for pair in pairs if not held(pair[1].subject_id)]
    return train, [pair for pair in pairs if held(pair[1].subject_id)]
