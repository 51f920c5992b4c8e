"""Parts of a set: by finding, block, sex or age band, whatever the samples carry."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

AGE_BANDS = ((0, 18), (18, 40), (40, 60), (60, 80), (80, 200))


def groups_of(about: list[dict[str, Any]], key: str) -> dict[str, np.ndarray]:
    """Row numbers by the value of a key; `finding` puts a row under each label that it has."""
    found: dict[str, list[int]] = {}
    for place, row in enumerate(about):
        values = list(findings_of(row)) if key == "finding" else [group_of(row, key)]
        for value in values:
            if value not in (None, "") and value == value:  # NaN belongs to no group either
                found.setdefault(str(value), []).append(place)
    return {name: np.array(found[name]) for name in sorted(found)}


def group_of(row: Mapping[str, Any], key: str) -> Any:
    """The value of a key of a sample, of its meta or of its request; None where it has none."""
    place = place_of(row, key)
    if place is not None:
        return place[key]
    if key == "age_band" and (age := group_of(row, "age")) is not None:
        return age_bands([float(age)])[0]
    return None


def place_of(row: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    """Which part of a sample says the key: itself, its meta, its request or the request's meta."""
    meta = row.get("meta", {})
    request = meta.get("request", {})
    places = (row, meta, request, request.get("meta", {}))
    return next((place for place in places if place.get(key) is not None), None)


def findings_of(row: Mapping[str, Any]) -> Iterator[str]:
    """The labels that hold of a sample."""
    source = row if "labels" in row else row.get("meta", {}).get("request", {})
    for name, value in zip(source.get("label_names", ()), source.get("labels", ()), strict=False):
        if value == 1:
            yield str(name)


def age_bands(ages: Sequence[float | None]) -> list[str | None]:
    """`40-59` and so on, of ages in years; None where the age is not known."""
    found: list[str | None] = []
    for age in ages:
        known = age is not None and np.isfinite(age)
        band = [b for b in AGE_BANDS if known and b[0] <= float(age or 0) < b[1]]
        found.append(_band(*band[0]) if band else None)
    return found


def _band(low: int, high: int) -> str:
    return f"{low}+" if high >= 200 else f"{low}-{high - 1}"
