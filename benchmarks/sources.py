"""The two sides of a measurement: where real and generated images come from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.requests import VERSION, describe, select
from datamodules.base import Split, Subset
from datamodules.folder import ALL, Folder
from medbench.core.batch import Sample
from medbench.core.errors import UserError, nearest
from medbench.core.fingerprint import fingerprint

PLANES = {"axial": 1, "coronal": 2, "sagittal": 3}  # axis of (C, D, H, W) that a slice leaves out


@dataclass(frozen=True)
class Source:
    """Samples with what identifies them."""

    samples: Split
    fingerprint: str  # by content: the images and what is said of them
    requests: str | None = None  # of what generated ones were drawn from; None = unknown
    pairs: "Source | None" = None  # row i: the real sample that generated sample i was drawn from
    pixels: str | None = None  # fingerprint of the images alone, where it is known apart

    @property
    def images(self) -> str:
        """What two sets of the same images share, whatever is said of them."""
        return self.pixels or self.fingerprint

    def __len__(self) -> int:
        return len(self.samples)

    def row(self, index: int) -> Sample:
        """A sample without its arrays, where the split can tell it without drawing."""
        return describe(self.samples, index)


def folder_source(
    root: str | Path,
    arm: str | None = None,
    table: str | None = None,
    window: tuple[float, float] | None = None,
) -> Source:
    """A sample set's arm, or a bare folder of images; window: the values of -1 and 1."""
    folder = Folder(str(root), table, arm, window=window)
    content, how = folder.content(ALL), [window] if window else []
    whole, pixels = (fingerprint(["folder", part, *how]) for part in (content, content[0]))
    return Source(folder.split(ALL), whole, folder.requests(), pixels=pixels)


def split_source(split: Split, spec: dict[str, Any], data: str) -> Source:
    """What a protocol's `spec` (split, n, balance, unique) takes of a split.

    `data` is the fingerprint of the split's data."""
    rule = {"version": VERSION} | {name: spec.get(name) for name in ("n", "balance", "unique")}
    rule |= {"where": spec["where"]} if spec.get("where") else {}
    return Source(Subset(split, select(split, spec)), fingerprint([data, rule]))


def paired(fake: Source, real: Source) -> Source:
    """A generated set with the real samples of its own requests, row by row.

    Rows that are already in order are taken as they are; others go by sample_id."""
    fakes = [str(fake.row(i)["sample_id"]) for i in range(len(fake))]
    places = {str(real.row(i)["sample_id"]): i for i in range(len(real))}
    missing = [name for name in fakes if name not in places]
    if missing:
        close = nearest(missing[0], places)
        raise UserError(
            f"{len(missing)} of {len(fakes)} generated images have no real image of the same "
            f"sample_id, such as {missing[0]}{close or '.'} Name the same data for both."
        )
    order = [places[name] for name in fakes]
    same = order == list(range(len(real)))
    name = fingerprint([real.fingerprint, order])
    rows = real if same else Source(Subset(real.samples, order), name)
    return replace(fake, pairs=rows)


def prepared(source: Source, how: Mapping[str, Any]) -> Source:
    """A source as a protocol's `preprocessing` says: volumes as slices of one plane."""
    if not how.get("plane"):
        return source
    if how["plane"] not in PLANES:
        raise UserError(
            f"preprocessing.plane={how['plane']} is not known; {', '.join(PLANES)} are."
        )
    split = Slices(source.samples, str(how["plane"]), int(how.get("slices", 1)))
    pairs = prepared(source.pairs, how) if source.pairs else None
    names = (source.fingerprint, source.images)
    whole, pixels = (fingerprint([name, how["plane"], split.each]) for name in names)
    return Source(split, whole, source.requests, pairs, pixels)


class Slices:
    """Slices of each volume, evenly spaced over the middle half of its axis."""

    def __init__(self, split: Split, plane: str, each: int) -> None:
        self.split, self.plane, self.each = split, plane, each

    def __len__(self) -> int:
        return len(self.split) * self.each

    def __getitem__(self, index: int) -> Sample:
        place, turn = divmod(index, self.each)
        sample = self.split[place]
        volume = sample["image"]
        if volume.ndim != 4:
            raise UserError(
                f"preprocessing.plane={self.plane} takes slices of volumes; {sample['sample_id']} "
                f"has the shape {volume.shape}."
            )
        axis = PLANES[self.plane]
        at = int(volume.shape[axis] * (0.25 + 0.5 * (turn + 0.5) / self.each))
        image = np.take(volume, at, axis=axis)
        return self._named(sample, turn) | {"image": image}

    def describe(self, index: int) -> Sample:
        place, turn = divmod(index, self.each)
        return self._named(describe(self.split, place), turn)

    def _named(self, sample: Sample, turn: int) -> Sample:
        kept = {name: value for name, value in sample.items() if name != "image"}
        return kept | {"sample_id": f"{sample['sample_id']}/{self.plane}{turn}"}
