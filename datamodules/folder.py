"""Images in a folder: a sample set with its manifest, or anyone's pictures and volumes.

A bare folder is a sample set of unknown provenance: one reader serves both."""

import os
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.base import DataModule, Level, Split, check_root, expand
from datamodules.folder_rows import bare_row, keys_of, manifest_rows, table_rows
from datamodules.geometry import Fit, Mode
from datamodules.inspection import describe_bad_files, inspect_files, read_bad_files
from datamodules.pictures import KINDS, check_window, decode, kind_of, says_inverted, to_unit
from datamodules.preparing import Preparation, open_prepared
from datamodules.resizing import PictureReader, resized
from medbench.core.batch import Sample
from medbench.core.errors import UserError
from medbench.core.fingerprint import fingerprint, hash_file, hash_files
from medbench.core.images import decode_image
from medbench.core.sample_set import MANIFEST
from medbench.core.seeds import mix

ALL = "all"
TREE = f"  images ending with {', '.join(KINDS)}, in folders of any names"
WHOLE = (-1.0, 1.0)  # what an array of a sample set holds


class Folder(DataModule):
    """Every image under `root`, in order of its path; or, with a manifest, what that names.

    PNG, JPEG, DICOM and npz pictures are (C, H, W), NIfTI and npz volumes (C, D, H, W) with D to
    the head, H to the front and W to the patient's left; a DICOM file is one picture.
    table: a CSV or JSONL file with a column `file` (relative to root), and any of text, sample_id,
    subject_id, age, age_band, sex, race, view, block; each further column is a label, empty =
    unlabelled. A file of that kind lying in
    root under the name captions.csv or captions.jsonl is found by itself.
    arm: only this arm of a sample set.
    validation, test: shares of the subjects, by hash, for use as training data.
    window: the values that become -1 and 1, for files whose type does not say (CT, floats)."""

    version = 1
    yields = (
        "image",
        "text",
        "labels",
        "label_names",
        "spacing_mm",
        "sample_id",
        "subject_id",
        "meta",
    )
    splits = (ALL, "train", "validation", "test")
    licence = "that of the images"
    split_source = "by hash of subject_id"
    location = ("root", "table", "prepared")

    def __init__(
        self,
        root: str,
        table: str | None = None,
        arm: str | None = None,
        validation: float = 0.1,
        test: float = 0.1,
        window: tuple[float, float] | None = None,
        image_size: int | None = None,  # of flat pictures; None = as they are
        fit: Mode = "crop",
        bad_files: str | None = None,  # a list of files to leave out, one path a line
        prepared: str | None = None,  # a resized copy, made by medbench.prepare
    ) -> None:
        super().__init__()
        self.root, self.arm = expand(root), arm
        self.validation, self.test = validation, test
        self.table = expand(table) if table else self._found_table()
        self.window, self.bad_files, self.prepared = window, bad_files, prepared
        self.fit = Fit(image_size, fit) if image_size else None
        self._rows: list[Sample] | None = None
        self._left_out: set[str] = set()
        self._content: Any = None

    def check(self, level: Level = "fast") -> list[str]:
        mistakes = check_root(self.root, TREE) or check_window(self.window)
        if mistakes:
            return mistakes
        try:
            paths = [self.root / row["meta"]["file"] for row in self.rows()]
            mistakes += _mixed(paths)
            found = inspect_files(paths, level, work=self.work, label="check folder")
            mistakes += found.sentences(self.root)
            if self.prepared:
                open_prepared(self.prepared, self._resized())
        except UserError as error:
            mistakes += error.mistakes
        return mistakes

    def funnel(self) -> list[str]:
        self.rows()
        return describe_bad_files(self._left_out) + self._turned()

    def _turned(self) -> list[str]:
        """DICOM files whose low values are bright, which reading turns over."""
        files = [row["meta"]["file"] for row in self.rows()]
        dicoms = [name for name in files if kind_of(Path(name)) == "dicom"]
        turned = [name for name in dicoms if says_inverted(self.root / name)]
        if not turned:
            return []
        return [
            f"{len(turned)} of {len(dicoms)} DICOM files are MONOCHROME1 (low values are bright), "
            f"such as {turned[0]}: they are turned over when they are read"
        ]

    def split(self, name: str) -> Split:
        if name not in self.splits:
            raise UserError(f"A folder has no split {name}; it has {', '.join(self.splits)}.")
        rows = [row for row in self.rows() if name in (ALL, self._side(row["subject_id"]))]
        if not rows:
            raise UserError(f"{self.root}: no images fall into the split {name}.")
        return Rows(self, rows)

    def content(self, split: str) -> Any:
        """The images' content, and the table's or the manifest's: never the folder's name."""
        if self._content is None:
            paths = [self.root / row["meta"]["file"] for row in self.rows()]
            tables = [path for path in (self.table, self.root / MANIFEST) if path and path.exists()]
            images = hash_files(self.root, paths, content=True)
            self._content = [images, [hash_file(path) for path in tables]]
        return self._content

    def arms(self) -> list[str]:
        """Names of the arms of a sample set; none for a bare folder."""
        return list(dict.fromkeys(r["meta"]["arm"] for r in self.rows() if "arm" in r["meta"]))

    def requests(self) -> str | None:
        """Fingerprint of what the samples were drawn from; None where that is unknown."""
        rows = self.rows()
        if any("request" not in row["meta"] for row in rows):
            return None
        return fingerprint([[r["sample_id"], keys_of(r["meta"]["request"])] for r in rows])

    def rows(self) -> list[Sample]:
        """Every sample without its image."""
        if self._rows is None:
            if not self.root.is_dir():
                raise UserError(f"root={self.root} is not a folder.")
            rows = manifest_rows(self.root, self.arm) if self.is_sample_set else self._from_files()
            names = {row["meta"]["file"] for row in rows}
            self._left_out = read_bad_files(self.bad_files, names)
            self._rows = [row for row in rows if row["meta"]["file"] not in self._left_out]
        return self._rows

    @property
    def is_sample_set(self) -> bool:
        return (self.root / MANIFEST).is_file()

    def preparations(self) -> dict[str, Preparation]:
        return {"resized": self._resized()} if self.fit else {}

    def _resized(self) -> Preparation:
        if self.fit is None:
            raise UserError("prepared=... is a resized copy; set data.image_size too.")
        return resized(self.root, [row["meta"]["file"] for row in self.rows()], self.fit)

    @cached_property
    def reader(self) -> PictureReader | None:
        """What reads flat pictures at one size; None where they are left as they are."""
        if self.fit is None:
            return None
        found = open_prepared(self.prepared, self._resized()) if self.prepared else None
        return PictureReader(self.root, self.fit, window=self.window, prepared=found)

    def _side(self, subject: str) -> str:
        place = mix("folder split", subject) / 2**63
        if place < self.test:
            return "test"
        return "validation" if place < self.test + self.validation else "train"

    def _from_files(self) -> list[Sample]:
        found = sorted(p for p in files_below(self.root) if kind_of(p) and p.is_file())
        names = [p.relative_to(self.root).as_posix() for p in found]
        if not names:
            raise UserError(f"{self.root} holds no images; {', '.join(KINDS)} are read.")
        if self.table is None:
            return [bare_row(name) for name in names]
        return table_rows(self.table, self.root, names)

    def _found_table(self) -> Path | None:
        found = [self.root / f"captions{suffix}" for suffix in (".csv", ".jsonl")]
        return next((path for path in found if path.is_file()), None)


def files_below(root: Path) -> Iterator[Path]:
    """Every file; a folder that may not be listed is an error, where a glob would pass it by."""
    for folder, _, names in os.walk(root, onerror=_refuse):
        yield from (Path(folder, name) for name in names)


def _refuse(error: OSError) -> None:
    raise UserError(
        f"{error.filename} may not be listed by you ({error.strerror}). Ask its owner for the "
        "right to read it, or move it out of data.root."
    )


def _mixed(paths: list[Path]) -> list[str]:
    """A sentence when pictures and volumes lie in one folder: no batch can hold both."""
    kinds: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        kind = kind_of(path)
        kinds["volumes" if kind == "nifti" else "pictures" if kind != "npz" else "arrays"] += [path]
    if {"volumes", "pictures"} - set(kinds):
        return []
    return [
        f"The folder holds {len(kinds['pictures'])} pictures ({kinds['pictures'][0].name}, ...) "
        f"and {len(kinds['volumes'])} volumes ({kinds['volumes'][0].name}, ...). Put them into two "
        "folders and name one of them as data.root."
    ]


class Rows:
    """Samples read when they are asked for."""

    def __init__(self, module: Folder, rows: list[Sample]) -> None:
        self.module, self.root, self.rows = module, module.root, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        row, module = self.rows[index], self.module
        name = row["meta"]["file"]
        path = self.root / name
        kind = kind_of(path)
        if module.reader is not None:
            return {"image": module.reader.read(name)[0]} | row
        if kind == "flat" and module.window is None:
            return {"image": decode_image(path)} | row
        pixels, info = decode(path)
        window = module.window
        if window is None and info.top is None and module.is_sample_set:
            window = WHOLE
        image = to_unit(pixels, info, window, path)
        if image.ndim == 4 and info.spacing_mm is not None:
            return {"image": image, "spacing_mm": np.asarray(info.spacing_mm, np.float32)} | row
        return {"image": image} | row

    def describe(self, index: int) -> Sample:
        """The sample without its image."""
        return self.rows[index]
