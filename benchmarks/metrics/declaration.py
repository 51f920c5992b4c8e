"""What a metric says of itself, and where metrics are found by name.

A metric is a pure function of arrays. Its declaration tells the harness what to hand over and when
the value can be trusted; nothing heavier than NumPy is imported to read it."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from medbench.core.classes import load_class
from medbench.core.errors import UserError, nearest

FEATURES = ("real_features", "fake_features")
JUDGED = ("scores", "asked")
PACKAGE = "benchmarks.metrics"


@dataclass(frozen=True)
class Metric:
    """A declared metric; called like its function."""

    name: str
    function: Callable[..., Any]
    direction: str  # of a better value: "lower" or "higher"
    needs: tuple[str, ...]  # FEATURES: a distance between sets; JUDGED: a score per image
    min_samples: int  # of each set
    version: int  # raised when values change by more than rounding
    source: str
    gives: tuple[str, ...]  # names of the values; several where one computation yields them
    sizes: tuple[str, ...]  # settings that count samples, at most as many as a set has
    draws: bool  # takes `rng`

    def __call__(self, *args: Any, **settings: Any) -> Any:
        return self.function(*args, **settings)

    def values(self, real: Any, fake: Any, **settings: Any) -> dict[str, float]:
        """The values by name, also where the function returns a single number."""
        found = self.function(real, fake, **settings)
        return found if isinstance(found, dict) else {self.name: float(found)}


def metric(
    name: str,
    *,
    direction: str,
    needs: tuple[str, ...],
    min_samples: int,
    version: int,
    source: str,
    gives: tuple[str, ...] = (),
    sizes: tuple[str, ...] = (),
    draws: bool = False,
) -> Callable[[Callable[..., Any]], Metric]:
    """Declare a function as a metric."""
    if direction not in ("lower", "higher") or needs not in (FEATURES, JUDGED):
        raise ValueError(f"{name}: direction={direction!r}, needs={needs!r} are not known")

    def declare(function: Callable[..., Any]) -> Metric:
        declared = gives or (name,)
        found = Metric(
            name, function, direction, needs, min_samples, version, source, declared, sizes, draws
        )
        found.__dict__["__doc__"] = function.__doc__
        return found

    return declare


def known_metrics() -> dict[str, Metric]:
    """Every metric declared in this folder, by name."""
    package = importlib.import_module(PACKAGE)
    found: dict[str, Metric] = {}
    for module in pkgutil.iter_modules(package.__path__):
        content = vars(importlib.import_module(f"{PACKAGE}.{module.name}"))
        found |= {v.name: v for v in content.values() if isinstance(v, Metric)}
    return dict(sorted(found.items()))


def load_metric(name: str) -> Metric:
    """A metric of this folder by name, or anyone's by dotted path."""
    if "." in name:
        found = load_class(name)
        if not isinstance(found, Metric):
            raise UserError(f"{name} is not a metric: declare it with @metric.")
        return found
    known = known_metrics()
    if name not in known:
        raise UserError(
            f"metric {name} is not known{nearest(name, known)}. Known are {', '.join(known)}; "
            "a metric of yours is named by its dotted path."
        )
    return known[name]


def too_large(name: str, setting: str, value: int, n: int, which: str) -> str:
    """The sentence for a setting that asks for more samples than a set has."""
    return (
        f"{name}: {setting}={value} is larger than the {n} {which} images; "
        "lower it or take more of them."
    )
