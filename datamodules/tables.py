"""Tables as releases ship them: CSV, CSV.GZ and JSONL, read by column name."""

import csv
import gzip
import io
import json
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from medbench.core.errors import UserError, nearest
from medbench.core.fingerprint import hash_bytes

Row = dict[str, str]
csv.field_size_limit(1 << 27)  # reports stand in cells; the library's limit is 128 KiB
SUFFIXES = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz")


def read_table(
    path: Path, columns: Sequence[str], *, optional: Sequence[str] = (), separator: str = ","
) -> list[Row]:
    """Every row as {column: text}, with the asked columns and those optional ones that are there.

    A cell that is empty is "". The key of row i is its place; messages count the header as row 1.
    `columns=()` with nothing optional gives all columns."""
    text = read_text(path)
    jsonl = path.name.endswith((".jsonl", ".jsonl.gz"))
    header, rows = _jsonl(path, text) if jsonl else _csv(path, text, separator)
    missing = [name for name in columns if name not in header]
    if missing:
        raise UserError(_missing(path, missing, header))
    if not columns and not optional:
        return [dict(zip(header, row, strict=True)) for row in rows]
    wanted = [*columns, *(name for name in optional if name in header and name not in columns)]
    places = [(name, header.index(name)) for name in wanted]
    return [{name: row[place] for name, place in places} for row in rows]


def find_table(folder: Path, stem: str) -> Path:
    """`stem.csv.gz` or `stem.csv`; refused when both are there and say different things."""
    packed, plain = folder / f"{stem}.csv.gz", folder / f"{stem}.csv"
    if packed.is_file() and plain.is_file():
        if hash_bytes(_read_bytes(packed)) != hash_bytes(_read_bytes(plain)):
            raise UserError(
                f"{packed} and {plain.name} lie side by side and differ. Keep the one that the "
                "release came with."
            )
        return plain
    for path in (packed, plain):
        if path.is_file():
            return path
    raise UserError(f"{packed} (or {plain.name}) is missing.")


def read_text(path: Path) -> str:
    """A text file in UTF-8 with or without a mark; a sentence with the row for another encoding."""
    data = _read_bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(undecodable(path, data, error.start)) from None


def undecodable(path: Path, data: bytes, at: int) -> str:
    """The sentence about a byte that is not UTF-8, with its line."""
    line = data[:at].count(b"\n") + 1
    return (
        f"{path}, line {line}: byte 0x{data[at]:02x} is not UTF-8; parts of the file have another "
        "encoding. Save it as UTF-8."
    )


def _read_bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix == ".gz" else data
    except FileNotFoundError:
        raise UserError(f"The table {path} is missing.") from None
    except PermissionError:
        raise UserError(f"{path} may not be read by you; ask for the right to read it.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}). Fetch it again.") from error


def _csv(path: Path, text: str, separator: str) -> tuple[list[str], list[list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows = []
    try:
        header = next(reader, [])
        _check_header(path, header)
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise UserError(
                    f"{path}, line {reader.line_num}: {len(row)} cells where the header has "
                    f"{len(header)}. A cell with a comma or a line break must stand in quotes."
                )
            rows.append(row)
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: {error}. Mend the quotes.") from None
    return header, rows


def _jsonl(path: Path, text: str) -> tuple[list[str], list[list[str]]]:
    lines: list[dict[str, object]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{path}, line {number}: this is no JSON ({error.msg}).") from None
        if not isinstance(value, dict):
            raise UserError(f"{path}, line {number}: a JSON object is needed, as {{...}}.")
        lines.append(value)
    header = list(dict.fromkeys(name for line in lines for name in line))
    _check_header(path, header)
    return header, [[_cell(line.get(name)) for name in header] for line in lines]


def _cell(value: object) -> str:
    """A JSON value as a CSV cell would hold it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _check_header(path: Path, header: list[str]) -> None:
    if not header:
        raise UserError(f"The table {path} has no lines.")
    twice = [name for name, times in Counter(header).items() if times > 1]
    if twice:
        raise UserError(f"{path} has the column {twice[0]!r} more than once; rename one of them.")


def _missing(path: Path, missing: list[str], header: list[str]) -> str:
    names = ", ".join(missing)
    close = nearest(missing[0], header) if len(missing) == 1 else ""
    shown = ", ".join(header[:20]) + (", ..." if len(header) > 20 else "")
    return f"{path}, line 1: the column {names} is missing{close or '.'} The file has: {shown}."


def unique(rows: Sequence[Row], column: str, path: Path) -> None:
    """Refuse a table that names one id on two rows."""
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=2):
        first = seen.setdefault(row[column], number)
        if first != number:
            raise UserError(
                f"{path}: {column} {row[column]!r} stands in rows {first} and {number}; it must be "
                "unique. Delete one of them."
            )
