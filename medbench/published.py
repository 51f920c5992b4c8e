"""What papers print: tables by name, their cells, and rows that stand beside measured ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from medbench.core.errors import UserError, nearest
from medbench.library import ROOT

FOLDER = ROOT / "benchmarks" / "published"
RANKED = (None, "reconstructed")  # a cell of another status is shown with its note
UNITS = {"percent": 100.0}  # how many of a paper's unit make one of ours
Column = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """One printed cell, in the paper's own unit."""

    value: float | None
    text: str  # as it is printed, `-` where the paper prints nothing
    status: str | None
    note: str

    @property
    def may_rank(self) -> bool:
        return self.value is not None and self.status in RANKED


@dataclass(frozen=True)
class Row:
    method: str | None
    label: str
    variant: Mapping[str, Any]
    cells: Mapping[str, Cell]
    note: str


@dataclass(frozen=True)
class Table:
    """A table of a paper, named PAPER/ID."""

    name: str
    paper: str
    caption: str
    where: str
    kind: str
    columns: Mapping[str, Column]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def papers() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def table_names() -> list[str]:
    """Every table that can be asked for, PAPER/ID."""
    return [f"{paper}/{block['id']}" for paper in papers() for block in _blocks(paper)]


def read_table(name: str) -> Table:
    """A published table by its name, or a sentence with the nearest."""
    paper, _, wanted = name.partition("/")
    known = table_names() if paper not in papers() or not wanted else []
    if paper in papers() and wanted:
        for block in _blocks(paper):
            if block["id"] == wanted:
                return _table(name, paper, block)
        known = [f"{paper}/{block['id']}" for block in _blocks(paper)]
    close = nearest(name, known) or f"; there are {', '.join(known)}."
    raise UserError(f"table={name} is not known{close}")


def _blocks(paper: str) -> list[dict[str, Any]]:
    content = _read(paper)
    return [*(content.get("tables") or ()), *(content.get("text_results") or ())]


@cache
def _read(paper: str) -> dict[str, Any]:
    """A paper's file; its tables are large, so PyYAML's compiled loader reads them."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    path: Path = FOLDER / f"{paper}.yaml"
    content: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    return content


def _table(name: str, paper: str, block: Mapping[str, Any]) -> Table:
    columns = {str(column["key"]): column for column in block["columns"]}
    rows = tuple(_row(row, columns) for row in block["rows"])
    notes = tuple(str(note) for note in block.get("notes") or ())
    return Table(
        name, paper, str(block["caption"]), str(block["where"]), block["kind"], columns, rows, notes
    )


def _row(row: Mapping[str, Any], columns: Mapping[str, Column]) -> Row:
    cells = {key: _cell(row["values"].get(key), column) for key, column in columns.items()}
    variant = row.get("variant") or {}
    return Row(row.get("method"), str(row["label"]), variant, cells, str(row.get("note") or ""))


def _cell(value: Any, column: Column) -> Cell:
    """A number, or a mapping with an operator, a spread, a range or a remark."""
    if value is None:
        return Cell(None, "-", None, "")
    given = value if isinstance(value, Mapping) else {"value": value}
    digits = int(given.get("decimals") or column.get("decimals") or 0)
    notes = [str(given["note"])] if given.get("note") else []
    status = given.get("status")
    if "mean" in given:
        text = f"{given['mean']:.{digits}f} ± {given['std']:.{digits}f}"
        return Cell(float(given["mean"]), text, status, "; ".join(notes))
    if "min" in given:
        text = f"{given['min']:.{digits}f} to {given['max']:.{digits}f}"
        return Cell(None, text, status, "; ".join(notes))
    if given.get("value") is None:
        return Cell(None, "lost" if status == "lost" else "-", status, "; ".join(notes))
    op = str(given.get("op") or "")
    text = f"{op}{given['value']:.{digits}f}"
    return Cell(None if op else float(given["value"]), text, status, "; ".join(notes))


# a protocol's columns -------------------------------------------------------------------------
@dataclass(frozen=True)
class Asked:
    """The measured value that a printed column is set beside, and what makes it of one unit."""

    value: str
    times: float  # a measured value times this is in the paper's unit


def columns_of(protocol: Mapping[str, Any], table: Table) -> dict[str, Asked]:
    """What each column of a table is set beside, by the protocol's `columns`."""
    found = {}
    for key, given in (protocol.get("columns") or {}).items():
        if key not in table.columns or not given:
            continue
        name = given["value"] if isinstance(given, Mapping) else str(given)
        unit = UNITS.get(str(table.columns[key].get("unit")), 1.0)
        times = float(given.get("times", unit)) if isinstance(given, Mapping) else unit
        found[key] = Asked(name, times)
    return found


def published_results(protocol: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The rows of a protocol's table as results, marked, in our units and under our names."""
    wanted = protocol.get("table") or protocol.get("beside")
    if not wanted:
        return []
    table = read_table(str(wanted))
    asked = columns_of(protocol, table)
    return [
        result
        for row in table.rows
        if row.method and (result := _as_result(row, table, asked, name))["values"]
    ]


def _as_result(row: Row, table: Table, asked: Mapping[str, Asked], protocol: str) -> dict[str, Any]:
    values = [
        _as_value(row.cells[key], table.columns[key], one)
        for key, one in asked.items()
        if row.cells[key].text not in ("-", "lost")
    ]
    return {
        "row": f"{row.label} ({table.name})",
        "method": row.method,
        "protocol": protocol,
        "published": True,
        "seed": None,
        "scale": None,
        "settings": f"{table.name} {row.label}",
        "stages": [],
        "data": None,
        "ceiling": row.method == "real",
        "note": row.note or None,
        "values": values,
    }


def _as_value(cell: Cell, column: Column, asked: Asked) -> dict[str, Any]:
    notes = [cell.note] if cell.note else []
    if cell.status:
        notes.insert(0, cell.status)
    value = None if cell.value is None else cell.value / asked.times
    return {
        "name": asked.value,
        "metric": str(column["metric"]),
        "arm": None,
        "extractor": None,
        "value": value,
        "low": None,
        "high": None,
        "n": None,
        "n_real": None,
        "direction": column["direction"],
        "fingerprint": {"id": "", "parts": {}},
        "printed": cell.text,
        "may_rank": cell.may_rank,
        "floor": None,
        "ceiling": None,
        "chance": None,
        "undefined": 0,
        "note": ": ".join(notes) or None,
    }
