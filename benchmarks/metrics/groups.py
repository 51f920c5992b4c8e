"""Scores of parts of a set: by finding, block, sex or age band, whatever the samples carry."""

from collections.abc import Mapping, Sequence

import numpy as np

AGE_BANDS = ((0, 18), (18, 40), (40, 60), (60, 80), (80, 200))
Rows = dict[str, np.ndarray]


def rows_of_groups(
    groups: Mapping[str, Sequence[str | float | None]], min_samples: int
) -> tuple[Rows, dict[str, int]]:
    """Row numbers of every group by `name=value`, and the sizes of those that are too small.

    A missing value (None, NaN or empty) belongs to no group. A group below `min_samples` is not
    scored and not merged with another; its size is told instead."""
    found: Rows = {}
    small: dict[str, int] = {}
    for name, values in groups.items():
        texts = np.array([_text(value) for value in values])
        for value in sorted({text for text in texts if text}):
            rows = np.flatnonzero(texts == value)
            if len(rows) < min_samples:
                small[f"{name}={value}"] = len(rows)
            else:
                found[f"{name}={value}"] = rows
    return found, small


def age_bands(ages: Sequence[float | None]) -> list[str | None]:
    """`40-59` and so on, of ages in years; None where the age is not known."""
    found: list[str | None] = []
    for age in ages:
        known = age is not None and np.isfinite(age)
        band = [b for b in AGE_BANDS if known and b[0] <= float(age or 0) < b[1]]
        found.append(_band(*band[0]) if band else None)
    return found


def score_groups(
    values: np.ndarray, groups: Mapping[str, Sequence[str | float | None]], min_samples: int = 10
) -> dict[str, tuple[float, int, int]]:
    """Mean, n and undefined cases by group of (n,) scores of single samples."""
    found = {}
    for name, rows in rows_of_groups(groups, min_samples)[0].items():
        known = values[rows][np.isfinite(values[rows])]
        mean = float(known.mean()) if len(known) else float("nan")
        found[name] = (mean, len(known), len(rows) - len(known))
    return found


def _band(low: int, high: int) -> str:
    return f"{low}+" if high >= 200 else f"{low}-{high - 1}"


def _text(value: str | float | None) -> str:
    return "" if value is None or value != value else str(value)
