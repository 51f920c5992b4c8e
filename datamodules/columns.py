"""Large tables as columns: arrays of bytes instead of a dictionary for each of 377,110 rows."""

import csv
import gzip
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from datamodules.tables import read_text
from medbench.core.errors import UserError, nearest

Columns = dict[str, np.ndarray]  # each (rows,) of bytes, all of one length
CHUNK = 20_000  # rows that stand in memory as text at once
CODES = {"": None, "1": 1.0, "1.0": 1.0, "0": 0.0, "0.0": 0.0, "-1": -1.0, "-1.0": -1.0}


def read_columns(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> Columns:
    """Named columns of a CSV or CSV.GZ as (rows,) arrays of UTF-8 bytes, blanks stripped.

    An optional column that is not there is left out."""
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            header = [name.strip() for name in next(lines, [])]
            places = _places(path, header, columns, optional)
            parts: dict[str, list[np.ndarray]] = {name: [] for name in places}
            for chunk in _chunks(path, lines, len(header)):
                cells = list(zip(*chunk, strict=True))
                for name, place in places.items():
                    parts[name].append(_array(cells[place]))
    except FileNotFoundError:
        raise UserError(f"The table {path} is missing.") from None
    except PermissionError:
        raise UserError(f"The table {path} may not be read; give yourself read access.") from None
    except UnicodeDecodeError:
        read_text(path)  # whole, which names the line
        raise
    except (OSError, EOFError, csv.Error) as error:
        raise UserError(f"The table {path} is damaged ({error}). Fetch it again.") from error
    return {
        name: np.concatenate(found) if found else np.zeros(0, "S1") for name, found in parts.items()
    }


def _places(
    path: Path, header: list[str], columns: Sequence[str], optional: Sequence[str]
) -> dict[str, int]:
    twice = sorted(name for name, times in Counter(header).items() if times > 1)
    if twice:
        raise UserError(f"{path} has the column {twice[0]} more than once.")
    for name in columns:
        if name not in header:
            close = nearest(name, header) or f"; it has {', '.join(header) or 'no header'}."
            raise UserError(f"{path} has no column {name}{close} Is it the release's own file?")
    return {name: header.index(name) for name in [*columns, *optional] if name in header}


def _chunks(path: Path, lines: Iterator[list[str]], width: int) -> Iterator[list[list[str]]]:
    """Rows in chunks, each checked for its number of cells; empty lines are none."""
    row = 2
    while chunk := list(islice(lines, CHUNK)):
        if set(map(len, chunk)) != {width}:
            for i, cells in enumerate(chunk):
                if cells and len(cells) != width:
                    raise UserError(
                        f"{path}, row {row + i}: {len(cells)} cells, but the header names {width}. "
                        "Fetch the table again."
                    )
        row += len(chunk)
        whole = [cells for cells in chunk if cells]
        if whole:
            yield whole


def _array(cells: Sequence[str]) -> np.ndarray:
    try:
        found = np.array(cells, dtype=np.bytes_)  # one pass, where all is ASCII
    except UnicodeEncodeError:
        found = np.array([cell.encode() for cell in cells], dtype=np.bytes_)
    joined = "\n".join(["", *cells, ""])  # one scan for blanks at an end; stripping all is slow
    return np.char.strip(found) if "\n " in joined or " \n" in joined else found


def take(table: Columns, rows: np.ndarray) -> Columns:
    """The same columns with only some rows, by index or by truth."""
    return {name: values[rows] for name, values in table.items()}


def length(table: Columns) -> int:
    return len(next(iter(table.values())))


def match(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(len(wanted),) the row of `keys` that holds each wanted value, -1 where none does."""
    places = {key: row for row, key in enumerate(keys.tolist())}  # faster than a search in bytes
    return np.array([places.get(key, -1) for key in wanted.tolist()], int)


def require_unique(path: Path, table: Columns, *names: str) -> None:
    """Stop when two rows of a table have the same id, naming both."""
    values = table[names[0]]
    for name in names[1:]:
        values = np.char.add(np.char.add(values, b"/"), table[name])
    if len(set(values.tolist())) == len(values):
        return
    order = np.argsort(values, kind="stable")
    same = np.flatnonzero(values[order][1:] == values[order][:-1])
    if len(same):
        first, second = order[same[0]], order[same[0] + 1]
        raise UserError(
            f"{path}, row {second + 2}: {'/'.join(names)} {text(values[second])} stands already in "
            f"row {first + 2} ({len(same)} such rows). Fetch the table again, or take one out."
        )


def text(value: bytes) -> str:
    return value.decode("utf-8")


def label_matrix(
    path: Path, table: Mapping[str, np.ndarray], columns: Sequence[str], uncertain: str, blank: str
) -> np.ndarray:
    """(rows, columns) float32 of release labels: 1, 0, -1 and blank, as the two settings ask.

    uncertain: nan, zero, one or keep, for -1; blank: nan or zero."""
    doubt = {"nan": np.nan, "zero": 0.0, "one": 1.0, "keep": -1.0}[uncertain]
    empty = {"nan": np.nan, "zero": 0.0}[blank]
    codes = {
        name.encode(): np.float32(empty if value is None else doubt if value < 0 else value)
        for name, value in CODES.items()
    }
    found = np.empty((len(table[columns[0]]) if columns else 0, len(columns)), np.float32)
    for place, name in enumerate(columns):
        spellings, where = np.unique(table[name], return_inverse=True)
        for i, spelling in enumerate(spellings):
            if spelling not in codes:
                row = int(np.flatnonzero(where == i)[0]) + 2
                raise UserError(
                    f"{path}, row {row}: {name} is {text(spelling)!r}; a label is 1, 0, -1 or "
                    "blank. Mend the cell, or fetch the table again."
                )
        found[:, place] = np.array([codes[s] for s in spellings], np.float32)[where]
    return found
