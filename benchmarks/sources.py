"""The two sides of a measurement: where real and generated images come from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.requests import VERSION, select
from datamodules.base import Split, Subset
from datamodules.folder import ALL, Folder
from medbench.core.fingerprint import fingerprint


@dataclass(frozen=True)
class Source:
    """Samples with what identifies them."""

    samples: Split
    fingerprint: str  # of the images, by content
    requests: str | None = None  # of what generated ones were drawn from; None = unknown


def folder_source(root: str | Path, arm: str | None = None, table: str | None = None) -> Source:
    """A sample set's arm, or a bare folder of images."""
    folder = Folder(str(root), table, arm)
    content = fingerprint(["folder", folder.content(ALL)])
    return Source(folder.split(ALL), content, folder.requests())


def split_source(split: Split, spec: dict[str, Any], data: str) -> Source:
    """What a protocol's `spec` (split, n, balance, unique) takes of a split.

    `data` is the fingerprint of the split's data."""
    rule = {"version": VERSION} | {name: spec.get(name) for name in ("n", "balance", "unique")}
    return Source(Subset(split, select(split, spec)), fingerprint([data, rule]))
