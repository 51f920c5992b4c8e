"""A metric of whole sets on parts of them, as often as intervals and floors ask."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks import intervals
from benchmarks.jobs import Job
from benchmarks.metrics.declaration import FEATURES, OUTPUTS
from benchmarks.metrics.gram import Gram


class Halves:
    """The values of one metric: whole, of parts of the generated rows, and real against real.

    Settings that count samples are lowered to what a part has."""

    def __init__(
        self,
        job: Job,
        whole: tuple[Any, ...],
        rows: Callable[[np.ndarray], tuple[Any, ...]],
        more: Callable[[np.ndarray | None], dict[str, Any]],
    ) -> None:
        self.job, self.whole, self._rows, self._more = job, whole, rows, more

    def value(self, stream: np.random.Generator) -> dict[str, float]:
        return self._compute(self.whole, stream, None)

    def draws(
        self, n: int, halves: np.random.Generator, stream: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """The values of 50 random halves of the generated rows, by name."""
        if n // 2 < self.job.metric.min_samples:
            return {}
        found = [
            self._of_parts(None, rows, stream)
            if self._gram
            else self._compute(self._rows(rows), stream, rows)
            for rows in intervals.random_halves(n, halves)
        ]
        return {name: np.array([f.get(name, np.nan) for f in found]) for name in found[0]}

    def real_pair(
        self, one: np.ndarray, other: np.ndarray, stream: np.random.Generator
    ) -> dict[str, float]:
        """Real rows against other real rows."""
        real = self.whole[0]
        if self._gram:
            return self._measure((self._gram, one, other), stream, min(len(one), len(other)))
        return self._compute((real[np.sort(one)], real[np.sort(other)]), stream, None)

    def mixed(
        self, one: np.ndarray, some: np.ndarray, stream: np.random.Generator
    ) -> dict[str, float]:
        """Real rows against generated ones."""
        real, fake = self.whole[:2]
        if self._gram:
            return self._of_parts(one, some, stream)
        return self._compute((real[np.sort(one)], fake[np.sort(some)]), stream, None)

    @cached_property
    def _gram(self) -> Gram | None:
        """The products of all features, where the metric can use them and they fit."""
        features = self.job.metric.of_parts is not None and self.job.metric.needs == FEATURES
        return Gram(*self.whole) if features and Gram.fits(*self.whole) else None

    def _of_parts(
        self, real: np.ndarray | None, fake: np.ndarray, stream: np.random.Generator
    ) -> dict[str, float]:
        """Real rows, or all of them, against generated ones, from the products."""
        assert self._gram is not None
        one = np.arange(len(self.whole[0])) if real is None else real
        given = (self._gram, one, self._gram.rows(1, fake))
        return self._measure(given, stream, min(len(one), len(fake)))

    def _compute(
        self, given: tuple[Any, ...], stream: np.random.Generator, rows: np.ndarray | None
    ) -> dict[str, float]:
        featured = self.job.metric.needs in (FEATURES, OUTPUTS)
        most = min(len(part) for part in given) if featured else None
        return self._measure(given, stream, most, **self._more(rows))

    def _measure(
        self, given: tuple[Any, ...], stream: np.random.Generator, most: int | None, **more: Any
    ) -> dict[str, float]:
        metric, settings = self.job.metric, dict(self.job.settings)
        if most is not None:
            settings |= {k: min(settings[k], most) for k in metric.sizes if k in settings}
        if metric.draws:
            settings["rng"] = stream
        if isinstance(given[0], Gram):
            return metric.parts_values(*given, **settings)
        return metric.values(*given, **(settings | more))
