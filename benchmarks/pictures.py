"""Sequences of images that are opened when they are asked for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.features import check_image, fit
from benchmarks.sources import Source
from medbench.core.errors import UserError


class Pictures(Sequence[np.ndarray]):
    """Images of a source, opened when they are asked for."""

    def __init__(
        self, source: Source, resolution: int, key: str = "image", rows: Sequence[int] | None = None
    ) -> None:
        self.source, self.resolution, self.key = source, resolution, key
        self.rows = range(len(source)) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        sample = self.source.samples[int(self.rows[int(index)])]
        if self.key not in sample:
            raise UserError(f"The sample {sample['sample_id']} has no {self.key}.")
        return fit(check_image(sample | {"image": sample[self.key]}), self.resolution)

    def taken(self, rows: Any) -> "Pictures":
        return Pictures(self.source, self.resolution, self.key, [self.rows[int(i)] for i in rows])


class Made(Sequence[Any]):
    """A function of each picture, made when it is asked for."""

    def __init__(self, pictures: Sequence[Any], function: Callable[[Any], Any]) -> None:
        self.pictures, self.function = pictures, function

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self.function(self.pictures[index])


def part(value: Any, rows: np.ndarray) -> Any:
    """Some rows of an input, whatever it is held in."""
    if isinstance(value, np.ndarray):
        return value[rows]
    if isinstance(value, Mapping):
        return {name: part(inner, rows) for name, inner in value.items()}
    if isinstance(value, Pictures):
        return value.taken(rows)
    return [value[int(i)] for i in rows]
