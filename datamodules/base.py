"""What every dataset owes. Plain NumPy: a plan or a check needs no torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from medbench.core.batch import Sample


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
    phantom: ClassVar[bool] = False
    restricted: ClassVar[bool] = False  # access needs a credential or a form
    licence: ClassVar[str] = ""
    citation: ClassVar[str] = ""
    split_source: ClassVar[str] = ""
    location: ClassVar[tuple[str, ...]] = ("root",)  # settings that say where, not what

    def check(self) -> list[str]:
        """What is wrong with the root, a sentence each; empty when it can be used."""
        return []

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
