"""What every dataset owes. Plain NumPy: a plan or a check needs no torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from medbench.core.batch import Sample
from medbench.core.errors import UserError
from medbench.core.files import read_json

if TYPE_CHECKING:
    from datamodules.preparing import Preparation

Level = Literal["fast", "full"]
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z")
PHANTOM_MARKER = "PHANTOM.json"  # beside a release's top folder, where a phantom was written


class Split(Protocol):
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Sample: ...


class DataModule:
    """A dataset: named splits of samples as they are, and what a user must know of it.

    A subclass writes out its own `__init__` (its schema) and calls `super().__init__()`."""

    version: ClassVar[int] = 1
    modality: ClassVar[str] = ""
    bits: ClassVar[int] = 8  # of a grey value in a written image: 8, or 16
    yields: ClassVar[tuple[str, ...]] = ()  # keys of the batch contract
    splits: ClassVar[tuple[str, ...]] = ("train", "validation", "test")
    text_only: ClassVar[tuple[str, ...]] = ()  # splits of requests, without images
    phantom: bool = False  # an instance says true too when its root was written by a phantom
    restricted: ClassVar[bool] = False  # access needs a credential or a form
    licence: ClassVar[str] = ""
    citation: ClassVar[str] = ""
    split_source: ClassVar[str] = ""
    location: ClassVar[tuple[str, ...]] = ("root",)  # settings that say where, not what
    work: Path | None = None  # a command's folder for what a check or a preparation leaves
    preparing: bool = False  # set by the command: what is not prepared yet is no mistake
    builds_on_prepared: ClassVar[bool] = False  # a preparation reads what another one has made

    def check(self, level: Level = "fast") -> list[str]:
        """What is wrong with the root, a sentence each; empty when it can be used.

        fast: tables, listing, both ends of each file. full: every file is decoded."""
        return []

    def funnel(self) -> list[str]:
        """One line for every filter that took samples away, with what is left."""
        return []

    def preparations(self) -> dict[str, Preparation]:
        """What can be computed once and kept: `python -m medbench.prepare data=NAME`."""
        return {}

    def split(self, name: str) -> Split:
        """The samples of one split. Raises UserError for a split that does not exist."""
        raise NotImplementedError

    def content(self, split: str) -> Any:
        """What identifies the data of a split beyond class, version and settings: the tables'
        content, each used file's relative path and size. A generated dataset needs nothing."""
        return None


class Subset:
    """Some samples of a split, in a given order."""

    def __init__(self, split: Split, indices: Sequence[int]) -> None:
        self.split, self.indices = split, list(indices)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self.split[self.indices[index]]


def expand(root: str) -> Path:
    """A root as the user typed it."""
    return Path(root).expanduser().resolve()


def check_root(root: Path, expected: str) -> list[str]:
    """What is wrong with a root as a folder; `expected` is the tree that belongs there."""
    if not root.exists():
        return [f"root={root} does not exist. Set data.root=DIR; expected there:\n{expected}"]
    if root.is_file() and (root.suffix.lower() in ARCHIVES or _starts_as_zip(root)):
        return [f"root={root} is an archive. Unpack it, and set data.root to the folder."]
    if not root.is_dir():
        return [f"root={root} is a file. Set data.root to the folder that holds:\n{expected}"]
    if not os.access(root, os.R_OK | os.X_OK):
        return [f"root={root} may not be read by you. Ask its owner for the right to read it."]
    return []


def _starts_as_zip(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PK\3\4"
    except OSError:
        return False


def read_marker(root: Path) -> dict[str, Any] | None:
    """What PHANTOM.json beside the release says; None for a real one."""
    path = root / PHANTOM_MARKER
    return dict(read_json(path)) if path.is_file() else None


def within(root: Path, name: str, where: str) -> Path:
    """The path of a name that a table gives, which lies inside root; `where` names its row."""
    pure = PurePosixPath(name)
    if not name or pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name:
        raise UserError(
            f"{where}: {name!r} leads outside the folder. Give a path inside {root}, with / "
            "between its parts."
        )
    path = root / pure
    folder = _real(path.parent)
    target = Path(os.path.realpath(path)) if path.is_symlink() else folder / path.name
    if not target.is_relative_to(_real(root)):
        raise UserError(
            f"{where}: {name!r} is a link to {target}, outside the folder. Copy the file into "
            f"{root}, or set the root to where the files are."
        )
    return path


@cache
def _real(folder: Path) -> Path:
    return Path(os.path.realpath(folder))
