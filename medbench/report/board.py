"""A leaderboard before it has a format: lines of cells, and the notes that they need."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from benchmarks.ranking import Cell, Row, Table, compare, value_names
from medbench.report.numbers import ARROWS, MISSING, digits, number, part

Result = dict[str, Any]
LEVEL = 0.05  # of p below which two neighbours are said to differ
NUMBER = re.compile(r"\b\d[\d,]*\b")
TOLD = 3  # settings named beside rows that would otherwise look alike


@dataclass
class Shown:
    """A cell as it is written."""

    text: str
    value: float | None = None  # to sort by
    best: bool = False
    mark: str = ""  # letter of the note that says why it is not ranked with the others
    cell: Cell | None = None


@dataclass
class Line:
    """A row of the table; `kind` is row, real or chance."""

    label: str
    kind: str
    cells: dict[str, Shown]
    row: Row | None = None


@dataclass
class Board:
    """All rows measured under one protocol."""

    protocol: str
    about: str  # what all rows have in common: scale, marks
    metrics: list[str]
    heads: dict[str, str]  # with arrows
    lines: list[Line]
    notes: list[str]
    table: Table
    letters: dict[str, str] = field(default_factory=dict)  # note -> letter


def build_board(
    protocol: str,
    results: Sequence[Result],
    first: str | None = None,
    published: Sequence[Result] = (),
) -> Board:
    """Rank by `first`, or by the metric that most results have; published rows stand beside."""
    names = value_names(results)
    if first:
        names = [first, *(name for name in names if name != first)]
    beside = [r for r in published if any(v["name"] in names for v in r["values"])]
    table = compare([*results, *beside], names)
    heads = {n: f"{n} {ARROWS.get(table.directions.get(n, ''), '')}".strip() for n in names}
    measured = [row for row in table.rows() if "published" not in row.marks]
    labels, common = label_rows(measured)
    labels |= {id(row): f"{row.name}, published" for row in table.rows() if row not in measured}
    board = Board(protocol, ", ".join(common), names, heads, [], [], table)
    for group in table.groups:
        for row in group.rows:
            cells = {name: _shown(name, cell, board) for name, cell in row.cells.items()}
            board.lines.append(Line(labels[id(row)], "row", cells, row))
    board.lines += _reference(table, names)
    board.notes += _notes(table, board, labels)
    return board


def _shown(name: str, cell: Cell, board: Board) -> Shown:
    printed = str(cell.details[-1].get("printed") or "") if cell.details else ""
    if cell.value is None:
        return Shown(printed or MISSING, cell=cell)
    half = cell.spread
    if half is None and cell.low is not None and cell.high is not None:
        half = (cell.high - cell.low) / 2
    n = digits(cell.value - half, cell.value + half, cell.value) if half else 3
    text = number(cell.value, n) + (f"±{number(half, n)}" if half else "")
    if printed == f"{cell.value:g}" or printed.rstrip("0") == f"{cell.value:g}":
        text = printed  # as many digits as the paper has
    mark = ""
    if cell.apart:
        mark = board.letters.setdefault(cell.apart, _letter(len(board.letters)))
    best = (
        bool(cell.rank) and cell.of > 1 and cell.value == _best(board.table, name, cell.fingerprint)
    )
    return Shown(text, cell.value, best, mark, cell)


def _best(table: Table, name: str, fingerprint: str) -> float | None:
    """The best value among those that compare; several rows may share it."""
    cells = [row.cells[name] for row in table.rows() if name in row.cells]
    return next((c.value for c in cells if c.fingerprint == fingerprint and c.rank == 1), None)


def _letter(place: int) -> str:
    return ascii_lowercase[place % 26] * (place // 26 + 1)


def _reference(table: Table, names: Sequence[str]) -> list[Line]:
    """What real images score, and what shuffled prompts do, for the main group of each metric."""
    real, chance = {}, {}
    for name in names:
        value = _main_value(table, name)
        if value is None:
            continue
        n = digits(value.get("low"), value.get("high"), value.get("value") or 0.0)
        level = part(value.get("ceiling"))
        level = part(value.get("floor")) if level is None else level
        if level is not None:
            real[name] = Shown(number(level, n), level)
        bound = part(value.get("chance"), "high")
        if bound is not None:
            chance[name] = Shown(f"<{number(bound, n)}", bound)
    found = [("real images", "real", real), ("shuffled prompts, 95 %", "chance", chance)]
    return [Line(label, kind, cells) for label, kind, cells in found if cells]


def _main_value(table: Table, name: str) -> Mapping[str, Any] | None:
    for row in table.rows():
        cell = row.cells.get(name)
        if cell and not cell.apart and cell.details:
            return cell.details[-1]
    return None


def _notes(table: Table, board: Board, labels: Mapping[int, str]) -> list[str]:
    rows = table.rows()
    notes = [f"{letter}: {text}" for text, letter in board.letters.items()]
    floors = {_floor_note(cell) for row in rows for cell in row.cells.values() if not cell.apart}
    notes += sorted(note for note in floors if note)
    notes += _differences(table, labels)
    said: dict[str, list[str]] = {}
    for row in rows:
        if "published" in row.marks:
            notes += _remarks(row)
            continue
        for name, cell in row.cells.items():
            for value in cell.details:
                if value.get("note"):
                    names = said.setdefault(str(value["note"]), [])
                    names += [] if name in names else [name]
    notes += [
        f"{', '.join(names[:4])}{' ...' if len(names) > 4 else ''}: {note}"
        for note, names in _gathered(said).items()
    ]
    spans = sorted(
        {int(v["n"]) for r in rows for c in r.cells.values() for v in c.details if v.get("n")}
    )
    if spans:
        size = f"{spans[0]:,}" if len(spans) == 1 else f"{spans[0]:,} to {spans[-1]:,}"
        notes.append(
            f"n = {size} generated images; ± is half the 95 % interval, or the standard "
            "deviation over seeds"
        )
    return notes


def _gathered(said: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Remarks that differ in their first number alone, as one with the range of it."""
    kinds: dict[str, list[str]] = {}
    for note in said:
        kinds.setdefault(NUMBER.sub("#", note, count=1), []).append(note)
    found: dict[str, list[str]] = {}
    for kind, notes in kinds.items():
        numbers = sorted(int(n[0].replace(",", "")) for note in notes if (n := NUMBER.search(note)))
        whole = notes[0]
        if len(notes) > 1 and numbers:
            whole = kind.replace("#", f"{numbers[0]:,} to {numbers[-1]:,}", 1)
        found[whole] = list(dict.fromkeys(name for note in notes for name in said[note]))
    return found


def _remarks(row: Row) -> list[str]:
    """What the file of published numbers says of a row and of its cells."""
    told = [f"{row.name}: {row.results[-1]['note']}"] if row.results[-1].get("note") else []
    for name, cell in row.cells.items():
        note = cell.details[-1].get("note")
        told += [f"{row.name}, {name}: {note}"] if note else []
    return told


def _differences(table: Table, labels: Mapping[int, str]) -> list[str]:
    """Neighbours of the first metric's ranking, and whether they differ at all."""
    found = []
    for name in table.metrics[:1]:
        ranked = [row for row in table.rows() if row.cells.get(name) and row.cells[name].rank]
        ranked = sorted(
            (row for row in ranked if not row.cells[name].apart),
            key=lambda row: row.cells[name].rank or 0,
        )
        for better, row in pairwise(ranked):
            p = row.cells[name].p
            if p is not None:
                verb = "differs from" if p < LEVEL else "does not differ from"
                told = "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
                pair = f"{labels[id(better)]} {verb} {labels[id(row)]}"
                found.append(f"{name}: {pair} ({told}, paired)")
    return found


def _floor_note(cell: Cell) -> str:
    m = part(cell.details[-1].get("floor"), "m") if cell.details else None
    return f"distances of real images are between halves of {int(m):,}" if m else ""


# names of rows ---------------------------------------------------------------------------------
def label_rows(rows: Sequence[Row]) -> tuple[dict[int, str], list[str]]:
    """Name, what sets it apart from rows of the same name, seeds, scale and marks, by id of the
    row; scale and marks that all rows share are returned instead, to be said once."""
    facts = {id(row): _facts(row) for row in rows}
    shared = [fact for fact in facts[id(rows[0])] if all(fact in f for f in facts.values())]
    found = {}
    for row in rows:
        alike = [other for other in rows if other.name == row.name]
        told = _told(row, alike) if len(alike) > 1 else []
        own = [fact for fact in facts[id(row)] if fact not in shared]
        seeds = [f"{len(row.seeds)} seeds"] if len(row.seeds) > 1 else []
        found[id(row)] = ", ".join([row.name, *told, *own, *seeds])
    return found, shared


def _facts(row: Row) -> list[str]:
    """Scale and marks of a row."""
    scale = row.results[-1].get("scale")
    return [*([f"{scale} scale"] if scale else []), *row.marks]


def _told(row: Row, alike: Sequence[Row]) -> list[str]:
    """The settings in which rows of one name differ, or the fingerprint where none is known."""
    facts = {id(other): _settings(other.results[-1]) for other in alike}
    names = dict.fromkeys(name for fact in facts.values() for name in fact)
    differing = [
        name for name in names if len({str(fact.get(name)) for fact in facts.values()}) > 1
    ]
    mine = facts[id(row)]
    telling = _telling(list(facts.values()), differing)
    told = [f"{_last(name, differing)}={mine[name]}" for name in telling if name in mine]
    return told or [str(row.results[-1].get("settings", ""))[:6]]


def _telling(facts: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """As few settings as tell all rows apart, the most telling first; then others, up to TOLD."""
    found: list[str] = []
    alike = [list(facts)]
    while any(len(group) > 1 for group in alike) and len(found) < len(names):
        left = [name for name in names if name not in found]
        counts = {name: len(_split(alike, name)) for name in left}
        best = max(left, key=lambda name: counts[name])
        if counts[best] == len(alike):
            break
        found.append(best)
        alike = _split(alike, best)
    others = [name for name in names if name not in found]
    return found + others[: max(0, TOLD - len(found))]


def _split(groups: Sequence[list[Any]], name: str) -> list[list[Any]]:
    """Groups of rows, divided by the value of one more setting."""
    divided: dict[tuple[int, str], list[Any]] = {}
    for place, group in enumerate(groups):
        for fact in group:
            divided.setdefault((place, str(fact.get(name))), []).append(fact)
    return list(divided.values())


def _last(name: str, names: Sequence[str]) -> str:
    """The last two parts of a dotted name, or one where that is enough."""
    last = name.rsplit(".", 1)[-1]
    alone = sum(other.rsplit(".", 1)[-1] == last for other in names) == 1
    return last if alone else ".".join(name.split(".")[-2:])


def _settings(result: Result) -> dict[str, Any]:
    """What a row was made with: its composed config, or as much of it as the result carries."""
    path = Path(str(result.get("folder", ""))) / "config.yaml"
    if path.is_file():
        from omegaconf import OmegaConf

        config: Any = OmegaConf.to_container(OmegaConf.load(path))
        skip = ("seed", "out", "fresh", "tracking", "trainer", "generation", "method", "variant")
        kept = {k: v for k, v in config.items() if k not in skip}
        return _flat(kept, "")
    stages = {s["name"]: s.get("steps") for s in result.get("stages") or []}
    return _flat({"sampling": result.get("sampling") or {}, "steps of": stages}, "")


def _flat(value: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            found |= _flat(inner, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = inner
    return found
