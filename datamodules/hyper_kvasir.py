"""HyperKvasir: labelled frames of the bowel in 23 classes, and polyps with masks."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from datamodules.base import DataModule, Level, check_root, expand, read_marker
from datamodules.geometry import Fit, Mode
from datamodules.inspection import Expect, check_counts
from datamodules.kvasir_files import Frame, FrameFiles, FrameSplit, find_images
from datamodules.preparing import Preparation
from datamodules.splits import hash_share
from datamodules.tables import read_table, unique
from medbench.core.errors import UserError, nearest
from medbench.core.fingerprint import hash_file

KEY = "hyper_kvasir"
RELEASE = {"labeled": 10_662, "segmented": 1000}
CLASSES = (
    *("cecum", "ileum", "retroflex-rectum", "hemorrhoids", "polyps"),
    *(f"ulcerative-colitis-grade-{grade}" for grade in ("0-1", "1", "1-2", "2", "2-3", "3")),
    *("bbps-0-1", "bbps-2-3", "impacted-stool", "dyed-lifted-polyps", "dyed-resection-margins"),
    *("pylorus", "retroflex-stomach", "z-line", "barretts", "barretts-short-segment"),
    *("esophagitis-a", "esophagitis-b-d"),
)
SPELLINGS = {  # in folders, split files and on the page of the release
    "hemorroids": "hemorrhoids",
    "haemorrhoids": "hemorrhoids",
    "short-segment-barretts": "barretts-short-segment",
    "oesophagitis-a": "esophagitis-a",
    "oesophagitis-b-d": "esophagitis-b-d",
    **{f"ulcerative-colitis-{g}": f"ulcerative-colitis-grade-{g}" for g in ("0-1", "1-2", "2-3")},
    **{f"ulcerative-colitis-{g}": f"ulcerative-colitis-grade-{g}" for g in ("1", "2", "3")},
}
TREE = """\
  hyper-kvasir/labeled-images/<tract>/<category>/<class>/<uuid>.jpg
  hyper-kvasir/segmented-images/images/<id>.jpg  masks/<id>.jpg  bounding-boxes.json
  hyper-kvasir/official_splits/2_fold_split.csv  5_fold_split.csv"""


class HyperKvasir(DataModule):
    """Frames of HyperKvasir: part=labeled with one of 23 classes, or part=segmented with masks.

    root: the folder that holds hyper-kvasir/. The test is one fold of the official split; the
    segmented frames have none and are split by hash."""

    version = 1
    modality = "colonoscopy"
    yields = ("image", "labels", "label_names", "masks", "sample_id", "subject_id", "meta")
    licence = "CC BY 4.0 on a public copy; commercial use and competitions by permission"
    citation = "Borgli et al., HyperKvasir, Sci Data 2020"
    split_source = "the official folds, and validation by hash of the name; patients are not known"
    location = ("root", "prepared")

    def __init__(
        self,
        root: str,
        part: Literal["labeled", "segmented"] = "labeled",
        image_size: int = 256,
        fit: Mode = "crop",
        folds: Literal[2, 5] = 2,
        test_fold: int = 1,
        val_fraction: float = 0.1,  # of what is not the test
        expect: Expect = "full",
        bad_files: str | None = None,  # a list of files to leave out, one path a line
        prepared: str | None = None,
    ) -> None:
        super().__init__()
        self.root = expand(root)
        self.part, self.folds, self.test_fold = part, folds, test_fold
        self.val_fraction, self.expect = val_fraction, expect
        self.top = self.root / "hyper-kvasir"
        self.phantom = read_marker(self.root) is not None
        self.files = FrameFiles(KEY, self.root, Fit(image_size, fit), expect, bad_files, prepared)

    def check(self, level: Level = "fast") -> list[str]:
        mistakes = check_root(self.root, TREE)
        if mistakes:
            return mistakes
        try:
            counts = {"images": RELEASE[self.part]}
            found = {"images": len(self.frames)}
            mistakes += check_counts(found, counts, self.expect, self.phantom)
            mistakes += self.files.check(self.frames, level, self.work)
            self._sides()
        except UserError as error:
            mistakes += error.mistakes
        return mistakes

    def funnel(self) -> list[str]:
        self.files.used(self.frames)
        return self.files.funnel

    def split(self, name: str) -> FrameSplit:
        if name not in self.splits:
            close = nearest(name, self.splits)
            raise UserError(f"split {name} does not exist{close} Known: {', '.join(self.splits)}.")
        return FrameSplit(self.files, self._frames_of(name), self._labels())

    def content(self, split: str) -> Any:
        """The fold table, each file's name and size."""
        frames = self._frames_of(split)
        table = hash_file(self._table) if self.part == "labeled" else None
        return [table, self.files.content(frames), read_marker(self.root)]

    def preparations(self) -> dict[str, Preparation]:
        return {"resized": self.files.preparation(self.frames)}

    @cached_property
    def frames(self) -> list[Frame]:
        """Every frame of the part, by name."""
        return self._labeled() if self.part == "labeled" else self._segmented()

    def _labeled(self) -> list[Frame]:
        top = self.top / "labeled-images"
        folders = sorted(path for path in top.glob("*/*/*") if path.is_dir())
        if not folders:
            raise UserError(f"{top} has no folders of classes. Expected in {self.root}:\n{TREE}")
        found = [
            Frame(path.stem, path, canonical_class(folder.name, str(folder)))
            for folder in folders
            for path in find_images(folder)
        ]
        return sorted(found, key=lambda frame: frame.name)

    def _segmented(self) -> list[Frame]:
        top = self.top / "segmented-images"
        return self.files.with_masks(top / "images", top / "masks", "polyp", TREE)

    @property
    def _table(self) -> Path:
        return self.top / "official_splits" / f"{self.folds}_fold_split.csv"

    def _sides(self) -> dict[str, str]:
        """The split of each frame, by name."""
        test = self._test_names()
        return {
            frame.name: "test"
            if frame.name in test
            else "validation"
            if hash_share(KEY, frame.name) < self.val_fraction
            else "train"
            for frame in self.frames
        }

    def _test_names(self) -> set[str]:
        if self.part == "segmented":
            names = (frame.name for frame in self.frames)
            return {name for name in names if hash_share(f"{KEY} test", name) < 1 / self.folds}
        columns = ("file-name", "class-name", "split-index")
        rows = read_table(self._table, columns, separator=";")
        unique(rows, "file-name", self._table)
        classes = {frame.name: frame.label for frame in self.frames}
        test, indices = set(), set()
        for number, row in enumerate(rows, start=2):
            where = f"{self._table}, row {number}"
            name, index = Path(row["file-name"]).stem, row["split-index"]
            label = canonical_class(row["class-name"], where)
            if not index.isdigit() or int(index) >= self.folds:
                raise UserError(f"{where}: split-index {index!r} is not 0 to {self.folds - 1}.")
            if classes.get(name, label) != label:
                raise UserError(f"{where}: {name} is {label}, and lies in {classes[name]}.")
            indices.add(name)
            test |= {name} if int(index) == self.test_fold else set()
        lost = [name for name in classes if name not in indices]
        if lost:
            raise UserError(
                f"{self._table} has no row for {len(lost)} images, such as {lost[0]}. Fetch the "
                "file of the same release."
            )
        return test

    def _frames_of(self, split: str) -> list[Frame]:
        sides = self._sides()
        return [f for f in self.files.used(self.frames) if sides[f.name] == split]

    def _labels(self) -> Sequence[str]:
        return CLASSES if self.part == "labeled" else ()


def canonical_class(name: str, where: str) -> str:
    """One spelling of a class; an unknown one stops."""
    spelled = name.strip().lower().replace("_", "-").replace(" ", "-")
    found = SPELLINGS.get(spelled, spelled)
    if found not in CLASSES:
        close = nearest(found, CLASSES) or "."
        raise UserError(f"{where}: the class {name!r} is none of the 23{close}")
    return found
