"""Measured values as lines on a terminal."""

import textwrap
from collections.abc import Mapping
from typing import Any

from medbench.report.numbers import ARROWS, MISSING, count, digits, number, part, with_interval
from medbench.report.tables import MEANING

HEAD = ("", "value", "real images", "chance (95 %)", "n", "n real", "")
WIDTH = 100
TOLD = 6  # meanings under the table


def values_table(result: Mapping[str, Any]) -> str:
    """The values with what stands beside each, and what the names mean."""
    whole = [list(HEAD), *(_cells(value) for value in result["values"])]
    told = [
        column
        for column in range(len(HEAD))
        if column < 2 or any(row[column] not in ("", MISSING) for row in whole[1:])
    ]
    rows = [[row[column] for column in told] for row in whole]
    widths = [max(len(row[column]) for row in rows) for column in range(len(told))]
    left = [place for place, column in enumerate(told) if column in (0, len(HEAD) - 1)]
    lines = [
        "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    title = f"{result['row']}, protocol {result['protocol']}"
    return "\n".join([title, "", *lines, "", *_legend(result)])


def _cells(value: Mapping[str, Any]) -> list[str]:
    low, high = value.get("low"), value.get("high")
    n = digits(low, high, value.get("value") or 0.0)
    floor = part(value.get("floor"))
    real = part(value.get("ceiling")) if floor is None else floor
    chance = MISSING
    if value.get("chance"):
        levels = (part(value["chance"], "value"), part(value["chance"], "high"))
        chance = f"{number(levels[0], n)}, up to {number(levels[1], n)}"
    notes = [str(value["note"])] if value.get("note") else []
    notes += [f"{value['undefined']} undefined"] if value.get("undefined") else []
    return [
        f"{value['name']} {ARROWS.get(str(value.get('direction')), '')}".rstrip(),
        with_interval(value.get("value"), low, high),
        number(real, n),
        chance,
        count(value.get("n")),
        count(value.get("n_real")),
        "; ".join(notes),
    ]


def _legend(result: Mapping[str, Any]) -> list[str]:
    """What a newcomer has to know to read the table."""
    names = list(dict.fromkeys(str(value["metric"]) for value in result["values"]))
    told = [name for name in names if name in MEANING][:TOLD]
    width = max(map(len, told), default=0)
    lines = [_wrapped(f"{name:<{width}}  {MEANING[name]}", width) for name in told]
    beside = (
        "value ± half its 95 % interval; real images: what real images score against other real "
    )
    return [*lines, _wrapped(beside + "ones, or with their own prompts: as good as it gets.", 0)]


def _wrapped(text: str, indent: int) -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent=" " * (indent + 2 if indent else 0))
