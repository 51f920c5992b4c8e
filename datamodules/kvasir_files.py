"""What HyperKvasir and Kvasir-Instrument share: frames in folders, masks beside them, boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.base import Level
from datamodules.geometry import Fit
from datamodules.inspection import (
    Expect,
    describe_bad_files,
    inspect_files,
    read_bad_files,
    split_missing,
)
from datamodules.pictures import decode
from datamodules.preparing import Preparation, Prepared, open_prepared
from datamodules.resizing import PictureReader, resized
from medbench.core.batch import Sample
from medbench.core.errors import UserError
from medbench.core.fingerprint import hash_files
from medbench.core.images import SUFFIXES


@dataclass(frozen=True)
class Frame:
    """One file with its class, or with the mask of one structure."""

    name: str
    path: Path
    label: str = ""
    mask: Path | None = None
    structure: str = ""


def find_images(folder: Path) -> list[Path]:
    """The images of one folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


class FrameFiles:
    """The files of a dataset of frames: which are there, how they are read, what was left out."""

    def __init__(
        self,
        key: str,
        root: Path,
        fit: Fit,
        expect: Expect,
        bad_files: str | None,
        prepared: str | None,
    ) -> None:
        self.key, self.root, self.fit, self.expect = key, root, fit, expect
        self.bad_files, self.prepared = bad_files, prepared
        self.funnel: list[str] = []
        self._all: list[Frame] = []

    def with_masks(self, images: Path, masks: Path, structure: str, tree: str) -> list[Frame]:
        """The frames of two folders, each with the mask of its name; one without stops."""
        for folder in (images, masks):
            if not folder.is_dir():
                raise UserError(f"{folder} is missing. Expected in {self.root}:\n{tree}")
        by_name = {path.stem: path for path in find_images(masks)}
        frames = []
        for path in find_images(images):
            if path.stem not in by_name:
                raise UserError(f"{path} has no mask in {masks}. Fetch both from one release.")
            frames.append(Frame(path.stem, path, "", by_name[path.stem], structure))
        return frames

    def used(self, frames: Sequence[Frame]) -> list[Frame]:
        """The frames that are there and not left out; says how many are not."""
        self._all = list(frames)
        names = {self.relative(frame): frame.name for frame in frames}
        for frame in frames:
            if frame.mask:
                names[frame.mask.relative_to(self.root).as_posix()] = frame.name
        if len({frame.name for frame in frames}) < len(frames):
            seen: dict[str, Path] = {}
            for frame in frames:
                other = seen.setdefault(frame.name, frame.path)
                if other != frame.path:
                    raise UserError(f"{other} and {frame.path} have one name; rename one of them.")
        out = read_bad_files(self.bad_files, names)
        gone = {names[name] for name in out}
        kept = [frame for frame in frames if frame.name not in gone]
        missing, mistakes = split_missing([f.path for f in kept], self.root, self.expect)
        if mistakes:
            raise UserError(*mistakes)
        self.funnel = describe_bad_files(out)
        return [frame for frame in kept if frame.path not in missing]

    def check(self, frames: Sequence[Frame], level: Level, work: Path | None) -> list[str]:
        kept = self.used(frames)
        paths = [frame.path for frame in kept]
        paths += [frame.mask for frame in kept if frame.mask]
        found = inspect_files(paths, level, work=work, look=look, label=f"check {self.key}")
        if self.prepared:
            open_prepared(self.prepared, self.preparation(frames))
        return found.sentences(self.root)

    def relative(self, frame: Frame) -> str:
        return frame.path.relative_to(self.root).as_posix()

    def content(self, frames: Sequence[Frame]) -> str:
        masks = [frame.mask for frame in frames if frame.mask]
        return hash_files(self.root, [*(f.path for f in frames), *masks], content=False)

    def preparation(self, frames: Sequence[Frame]) -> Preparation:
        return resized(self.root, [self.relative(f) for f in self.used(frames)], self.fit)

    @cached_property
    def reader(self) -> PictureReader:
        found: Prepared | None = None
        if self.prepared:
            found = open_prepared(self.prepared, self.preparation(self._all))
        return PictureReader(self.root, self.fit, prepared=found)


def look(path: Path) -> str | None:
    """Decode a frame or a mask; an empty mask is right where nothing is shown."""
    try:
        decode(path)
    except UserError as error:
        return str(error)
    return None


class FrameSplit:
    """The samples of one split."""

    def __init__(self, files: FrameFiles, frames: list[Frame], classes: Sequence[str]) -> None:
        self.files, self.frames, self.classes = files, frames, classes

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Sample:
        frame = self.frames[index]
        image, (height, width) = self.files.reader.read(self.files.relative(frame))
        sample: Sample = {"image": image} | self.describe(index)
        sample["meta"] = sample["meta"] | {"size": f"{width}x{height}"}
        if frame.mask is not None:
            sample["masks"] = {frame.structure: self._mask(frame, (height, width))}
        return sample

    def _mask(self, frame: Frame, shape: tuple[int, int]) -> np.ndarray:
        """(1, S, S) uint8; the files hold 0 and 255, blurred at the border where they are JPEG."""
        assert frame.mask is not None
        pixels, info = decode(frame.mask)
        if pixels.shape[1:] != shape:
            raise UserError(
                f"{frame.mask} is {pixels.shape[2]} x {pixels.shape[1]}, its image {shape[1]} x "
                f"{shape[0]}. Fetch both from one release."
            )
        inside = (pixels[:1] > (info.top or 255) / 2).astype(np.uint8)
        return self.files.fit.place(*shape).mask(inside)

    def describe(self, index: int) -> Sample:
        """A sample without its arrays."""
        frame = self.frames[index]
        meta: dict[str, Any] = {"source": self.files.key, "name": frame.name}
        sample: Sample = {"sample_id": frame.name, "subject_id": frame.name}
        if self.classes:
            values = np.array([float(name == frame.label) for name in self.classes], np.float32)
            names = [f"finding={name}" for name in self.classes]
            sample |= {"labels": values, "label_names": names}
            meta["class"] = frame.label
        return sample | {"meta": meta}
