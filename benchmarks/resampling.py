"""A metric of whole sets on parts of them, as often as intervals and floors ask."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import intervals
from benchmarks.jobs import Job
from benchmarks.metrics.declaration import FEATURES, OUTPUTS


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
            self._compute(self._rows(rows), stream, rows)
            for rows in intervals.random_halves(n, halves)
        ]
        return {name: np.array([f.get(name, np.nan) for f in found]) for name in found[0]}

    def real_pair(
        self, one: np.ndarray, other: np.ndarray, stream: np.random.Generator
    ) -> dict[str, float]:
        """Real rows against other real rows."""
        real = self.whole[0]
        return self._compute((real[np.sort(one)], real[np.sort(other)]), stream, None)

    def mixed(
        self, one: np.ndarray, some: np.ndarray, stream: np.random.Generator
    ) -> dict[str, float]:
        """Real rows against generated ones."""
        real, fake = self.whole[:2]
        return self._compute((real[np.sort(one)], fake[np.sort(some)]), stream, None)

    def _compute(
        self, given: tuple[Any, ...], stream: np.random.Generator, rows: np.ndarray | None
    ) -> dict[str, float]:
        metric, settings = self.job.metric, dict(self.job.settings)
        if metric.needs in (FEATURES, OUTPUTS):
            most = min(len(part) for part in given)
            settings |= {k: min(settings[k], most) for k in metric.sizes if k in settings}
        if metric.draws:
            settings["rng"] = stream
        return metric.values(*given, **(settings | self._more(rows)))
