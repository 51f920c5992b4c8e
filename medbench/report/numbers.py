"""Measured values as text: as many digits as their interval supports."""

import math
from collections.abc import Mapping
from typing import Any

MISSING = "–"
ARROWS = {"lower": "↓", "higher": "↑"}
CLOSE = 0.02  # sides of an interval that differ by less than this share of it are written as ±


def digits(low: float | None, high: float | None, value: float) -> int:
    """Decimals that show two digits of the half width, or three of the value without one."""
    spread = (high - low) / 2 if low is not None and high is not None else 0.0
    scale = spread if spread > 0 else abs(value) / 10
    if not math.isfinite(scale) or scale == 0:
        return 3
    return min(6, max(0, 1 - math.floor(math.log10(scale))))


def number(value: float | None, decimals: int = 3) -> str:
    """A number without its interval."""
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{value:.{decimals}f}"
    return text if float(text) else text.removeprefix("-")


def count(n: int | None) -> str:
    """A number of things, or a dash."""
    return MISSING if n is None else f"{n:,}"


def with_interval(value: float | None, low: float | None, high: float | None) -> str:
    """`12.3 ± 0.4`, or `0.81 [0.75, 0.84]` where the sides differ."""
    if value is None or not math.isfinite(value):
        return MISSING
    n = digits(low, high, value)
    if low is None or high is None:
        return number(value, n)
    lower, upper = value - low, high - value
    if abs(lower - upper) <= CLOSE * (high - low):
        return f"{number(value, n)} ± {number((high - low) / 2, n)}"
    return f"{number(value, n)} [{number(low, n)}, {number(high, n)}]"


def part(value: Mapping[str, Any] | float | None, name: str = "value") -> float | None:
    """A floor, ceiling or chance level, which may be a plain number, a mapping or absent."""
    if isinstance(value, Mapping):
        found = value.get(name)
        return None if found is None else float(found)
    return float(value) if value is not None and name == "value" else None
