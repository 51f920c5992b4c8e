"""Which rows compare: only values of one fingerprint are ranked, and the others say why not."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import erfc, sqrt
from statistics import fmean, stdev
from typing import Any

Result = dict[str, Any]
TRAINING = "training data"  # a part of comparability that belongs to the row, not to a value
UNKNOWN = "unknown requests"
ENOUGH = 20  # resampled values below which nothing is said of a difference


@dataclass
class Cell:
    """One metric of one row, pooled over its seeds."""

    value: float | None
    spread: float | None  # standard deviation over seeds; None for a single seed
    low: float | None  # interval of a single seed; None where seeds are pooled
    high: float | None
    fingerprint: str
    rank: int | None = None  # 1 = best among the cells of its fingerprint
    of: int = 0  # how many rows it is ranked among
    apart: str = ""  # what differs from the column's main group; empty inside it
    p: float | None = None  # of no difference from the row ranked just above
    details: list[dict[str, Any]] = field(default_factory=list)  # the values, a seed each


@dataclass
class Row:
    """One method with one set of settings."""

    name: str
    seeds: list[int]
    marks: list[str]  # phantom, untrained, published, ceiling
    cells: dict[str, Cell]
    results: list[Result]


@dataclass
class Group:
    """Rows that compare in the first metric they have."""

    rows: list[Row]
    differs: str  # from the first group, in words; empty for the first


@dataclass
class Table:
    metrics: list[str]
    directions: dict[str, str]
    groups: list[Group]

    def rows(self) -> list[Row]:
        return [row for group in self.groups for row in group.rows]


def compare(results: Sequence[Result], metrics: Sequence[str]) -> Table:
    """Rows in groups that may be ranked; best first in each, by the first metric."""
    rows = [_row(pool, metrics) for pool in _pools(results)]
    directions = {
        value["name"]: value["direction"] for result in results for value in result["values"]
    }
    for name in metrics:
        _rank(rows, name, directions.get(name, "lower"))
    return Table(list(metrics), directions, _groups(rows, metrics))


def value_names(results: Iterable[Result]) -> list[str]:
    """Names of all measured values, in the order in which they first appear."""
    return list(dict.fromkeys(v["name"] for result in results for v in result["values"]))


def comparable(result: Result, value: dict[str, Any]) -> dict[str, Any]:
    """Everything that two values must share to be ranked, by component."""
    if result.get("published"):
        return {"published": result["row"]}  # its protocol is known in words only
    parts = dict(value["fingerprint"]["parts"])
    data = result.get("data") or {}
    parts[TRAINING] = data.get("train") if isinstance(data, dict) else None
    if parts.get("requests") is None:
        parts["requests"] = f"{UNKNOWN} of {result['row']}"
    return parts


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Names of the components in which two values differ."""
    return [name for name in dict.fromkeys([*one, *other]) if one.get(name) != other.get(name)]


def marks(result: Result) -> list[str]:
    """What a reader must know of a row before its numbers."""
    stages = result.get("stages") or []
    untrained = result.get("untrained")
    if not isinstance(untrained, list | bool):
        untrained = [s["name"] for s in stages if isinstance(s, dict) and s.get("untrained")]
    flags = {
        "phantom": result.get("phantom"),
        "untrained": untrained,
        "published": result.get("published"),
        "ceiling": result.get("ceiling"),
    }
    return [name for name, is_set in flags.items() if is_set]


def _pools(results: Sequence[Result]) -> list[list[Result]]:
    """Results of one method with one set of settings, which differ in their seed alone."""
    pools: dict[str, list[Result]] = {}
    for result in results:
        key = f"{result['row']} {result.get('settings') or id(result)} {marks(result)}"
        pools.setdefault(key, []).append(result)
    return list(pools.values())


def _row(pool: list[Result], metrics: Sequence[str]) -> Row:
    """A seed that was run again counts once, with its latest result (the last in the list)."""
    by_seed = {result.get("seed"): result for result in pool}
    kept = list(by_seed.values())
    cells = {}
    for name in metrics:
        found = [(r, v) for r in kept for v in r["values"] if v["name"] == name]
        if found:
            cells[name] = _cell(found)
    seeds = [int(seed) for seed in by_seed if seed is not None]
    return Row(kept[0]["row"], seeds, marks(kept[0]), cells, kept)


def _cell(found: list[tuple[Result, dict[str, Any]]]) -> Cell:
    """Seeds are pooled where they compare; of those that do not, the latest kind stays."""
    parts = comparable(*found[-1])
    same = [value for result, value in found if comparable(result, value) == parts]
    numbers = [float(v["value"]) for v in same if v["value"] is not None]
    single = len(same) == 1
    return Cell(
        value=fmean(numbers) if numbers else None,
        spread=stdev(numbers) if len(numbers) > 1 else None,
        low=same[0].get("low") if single else None,
        high=same[0].get("high") if single else None,
        fingerprint=str(sorted((k, str(v)) for k, v in parts.items())),
        details=same,
    )


def _rank(rows: list[Row], name: str, direction: str) -> None:
    """Ranks inside each fingerprint, and what sets the smaller groups apart from the largest."""
    kinds: dict[str, list[Row]] = {}
    for row in rows:
        if name in row.cells:
            kinds.setdefault(row.cells[name].fingerprint, []).append(row)
    ordered = sorted(kinds.values(), key=len, reverse=True)
    for place, members in enumerate(ordered):
        ranked = [r for r in members if r.cells[name].value is not None and _may_rank(r)]
        ranked.sort(key=lambda r: r.cells[name].value or 0.0, reverse=direction == "higher")
        for rank, row in enumerate(ranked, start=1):
            row.cells[name].rank, row.cells[name].of = rank, len(ranked)
        for better, row in pairwise(ranked):
            row.cells[name].p = significance(better.cells[name], row.cells[name])
        for row in members:
            if place:
                row.cells[name].apart = _difference(row, ordered[0][0], name)


def significance(one: Cell, other: Cell) -> float | None:
    """Two-sided p of no difference between two values of one fingerprint.

    Resamplings of a protocol draw the same rows of every set that answers the same requests, so
    their values are paired; the spread over seeds, where there are several, is added. None where
    the values carry no resamplings."""
    pairs = [_resampled(cell) for cell in (one, other)]
    if one.value is None or other.value is None or not all(pairs):
        return None
    gaps = [a - b for a, b in zip(*pairs, strict=False)]
    if len(gaps) < ENOUGH:
        return None
    variance = stdev(gaps) ** 2
    variance += sum((c.spread or 0.0) ** 2 / max(1, len(c.details)) for c in (one, other))
    gap = abs(one.value - other.value)
    if variance == 0:
        return 1.0 if gap == 0 else 0.0
    return erfc(gap / sqrt(2 * variance))


def _resampled(cell: Cell) -> list[float]:
    """The values under each resampling, averaged over seeds."""
    draws = [value.get("draws") for value in cell.details]
    if not draws or not all(draws):
        return []
    return [fmean(column) for column in zip(*draws, strict=False)]


def _may_rank(row: Row) -> bool:
    """Published and real-data rows stand beside the ranking, not in it."""
    return not {"published", "ceiling"} & set(row.marks)


def _difference(row: Row, other: Row, name: str) -> str:
    """`differs in extractor, n`, from another row's cell of the same metric."""
    if "published" in row.marks:
        return "published under its own protocol"
    mine, theirs = (
        comparable(_result_of(r, name), r.cells[name].details[-1]) for r in (row, other)
    )
    names = differing(mine, theirs)
    if names == ["extractor"] and _same_kind(row, other, name):
        return "differs in nothing but the weights of the extractor"
    return f"differs in {', '.join(names)}"


def _same_kind(row: Row, other: Row, name: str) -> bool:
    """Whether the extractors are one network with one layer and one resize rule."""
    kinds = [r.cells[name].details[-1].get("extractor_kind") for r in (row, other)]
    return kinds[0] is not None and kinds[0] == kinds[1]


def _result_of(row: Row, name: str) -> Result:
    last = row.cells[name].details[-1]
    return next(r for r in row.results if any(v is last for v in r["values"]))


def _groups(rows: list[Row], metrics: Sequence[str]) -> list[Group]:
    """Rows by the fingerprint of the first metric they have; the largest group first."""
    found: dict[str, list[Row]] = {}
    leads: dict[int, str | None] = {}
    for row in rows:
        lead = next((name for name in metrics if name in row.cells), None)
        leads[id(row)] = lead
        found.setdefault(f"{lead} {row.cells[lead].fingerprint}" if lead else "", []).append(row)
    ordered = sorted(found.values(), key=len, reverse=True)
    groups = []
    for place, members in enumerate(ordered):
        lead = leads[id(members[0])]
        if lead is None:
            groups.append(Group(members, "has none of these metrics"))
            continue
        members.sort(key=lambda row: row.cells[lead].rank or len(rows) + 1)
        first = next((r for r in ordered[0] if lead in r.cells), None)
        differs = _difference(members[0], first, lead) if place and first else ""
        groups.append(Group(members, differs))
    return groups
