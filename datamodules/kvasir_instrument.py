"""Kvasir-Instrument: frames with instruments and their masks."""

from functools import cached_property
from pathlib import Path
from typing import Any

from datamodules.base import DataModule, Level, check_root, expand, read_marker
from datamodules.geometry import Fit, Mode
from datamodules.inspection import Expect, check_counts
from datamodules.kvasir_files import Frame, FrameFiles, FrameSplit
from datamodules.preparing import Preparation
from datamodules.splits import check_leak, hash_share
from datamodules.tables import read_text
from medbench.core.errors import UserError, nearest
from medbench.core.fingerprint import hash_file

KEY = "kvasir_instrument"
RELEASE = {"images": 590, "train.txt": 472, "test.txt": 118}
TREE = """\
  kvasir-instrument/images/<id>.jpg  masks/<id>.png  bboxes.json
  kvasir-instrument/train.txt  test.txt    an id a line, without extension"""


class KvasirInstrument(DataModule):
    """Frames of Kvasir-Instrument with a mask of the instrument; the official train and test.

    root: the folder that holds kvasir-instrument/. Validation is cut from train by hash."""

    version = 1
    modality = "colonoscopy"
    yields = ("image", "masks", "sample_id", "subject_id", "meta")
    licence = "for research and education; CC BY-NC 4.0 through Kvasir-VQA"
    citation = "Jha et al., Kvasir-Instrument, MMM 2021"
    split_source = "train.txt and test.txt; validation by hash of the name; patients not known"
    location = ("root", "prepared")

    def __init__(
        self,
        root: str,
        image_size: int = 256,
        fit: Mode = "crop",
        val_fraction: float = 0.1,  # of train
        expect: Expect = "full",
        bad_files: str | None = None,  # a list of files to leave out, one path a line
        prepared: str | None = None,
    ) -> None:
        super().__init__()
        self.root, self.val_fraction, self.expect = expand(root), val_fraction, expect
        self.top = self.root / "kvasir-instrument"
        self.phantom = read_marker(self.root) is not None
        self.files = FrameFiles(KEY, self.root, Fit(image_size, fit), expect, bad_files, prepared)

    def check(self, level: Level = "fast") -> list[str]:
        mistakes = check_root(self.root, TREE)
        if mistakes:
            return mistakes
        try:
            lists = {name: self._list(name) for name in ("train.txt", "test.txt")}
            found = {"images": len(self.frames)} | {k: len(v) for k, v in lists.items()}
            mistakes += check_counts(found, RELEASE, self.expect, self.phantom)
            mistakes += check_leak(lists)
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
        return FrameSplit(self.files, self._frames_of(name), ())

    def content(self, split: str) -> Any:
        """The lists, each file's name and size."""
        lists = [hash_file(self.top / name) for name in ("train.txt", "test.txt")]
        return [lists, self.files.content(self._frames_of(split)), read_marker(self.root)]

    def preparations(self) -> dict[str, Preparation]:
        return {"resized": self.files.preparation(self.frames)}

    @cached_property
    def frames(self) -> list[Frame]:
        """Every frame with its mask, by name."""
        images, masks = self.top / "images", self.top / "masks"
        return self.files.with_masks(images, masks, "instrument", TREE)

    def _list(self, name: str) -> list[str]:
        """Ids of one of the two lists; some copies of it write the extension."""
        path = self.top / name
        lines = [line.strip() for line in read_text(path).splitlines()]
        ids = [Path(line).stem if Path(line).suffix else line for line in lines if line]
        twice = next((name for name in ids if ids.count(name) > 1), None)
        if twice:
            raise UserError(f"{path} names {twice} more than once. Delete one of the lines.")
        return ids

    def _sides(self) -> dict[str, str]:
        """The split of each frame, by name."""
        train, test = self._list("train.txt"), self._list("test.txt")
        leaks = check_leak({"train": train, "test": test})
        known = {frame.name for frame in self.frames}
        lost = [name for name in known if name not in {*train, *test}]
        gone = [name for name in (*train, *test) if name not in known]
        if lost:
            leaks.append(
                f"{len(lost)} images stand in neither list, such as {min(lost)}. Fetch the lists "
                "of the same release."
            )
        if gone and self.expect == "full":
            leaks.append(
                f"{len(gone)} ids of the lists have no image, such as {gone[0]}. Fetch it, or read "
                "a partial copy with data.expect=subset."
            )
        if leaks:
            raise UserError(*leaks)
        held = {name for name in train if hash_share(KEY, name) < self.val_fraction}
        sides = dict.fromkeys(train, "train") | dict.fromkeys(held, "validation")
        return sides | dict.fromkeys(test, "test")

    def _frames_of(self, split: str) -> list[Frame]:
        sides = self._sides()
        return [f for f in self.files.used(self.frames) if sides[f.name] == split]
