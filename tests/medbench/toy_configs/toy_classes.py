"""Classes that are read and never imported: the import below would fail."""

from typing import Any, ClassVar, Literal

import not_installed_anywhere  # noqa: F401

from datamodules.base import DataModule
from lit_models.stage import Stage

Kind = Literal["round", "square"]
WIDTHS = (8, 16)


class Tower(Stage):
    """A text tower."""

    needs = ("text",)

    def __init__(self, width: int = 8) -> None: ...


class Denoiser(Stage):
    """A denoiser."""

    version = 3
    needs: ClassVar[tuple[str, ...]] = ("image", "text")
    takes = ("text",)
    may_take = ("labels",)

    def __init__(
        self,
        tower: str,
        width: int,  # channels
        widths: tuple[int, ...] = WIDTHS,
        drop: float = 0.1,
        kind: Kind = "round",
        limit: float | None = None,
    ) -> None: ...

    def generate(
        self, batch: Any, seeds: Any, *, steps: int = 50, guidance: float = 3.0
    ) -> Any: ...


class Masked(Denoiser):
    needs = (*Denoiser.needs, "masks")

    def __init__(self, tower: str, width: int = 4, start: str = "") -> None: ...


class Words(DataModule):
    yields = ("image", "text", "labels")

    def __init__(self, size: int = 32, n: int = 100) -> None: ...

    def split(self, name: str) -> Any: ...


class Files(DataModule):
    """Files with masks."""

    yields = ("image", "text", "masks")
    splits = ("train", "test")

    def __init__(self, root: str, side: int = 32) -> None: ...

    def split(self, name: str) -> Any: ...
