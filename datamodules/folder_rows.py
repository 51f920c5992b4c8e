"""The samples of a folder without their images: from a manifest, a table, or the files alone."""

from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np

from datamodules.base import within
from datamodules.tables import SUFFIXES, Row, read_table
from medbench.core.batch import Sample
from medbench.core.errors import UserError, nearest
from medbench.core.sample_set import read_manifest

FILE_COLUMNS = ("file", "filename", "file_name", "image", "path")
TEXT_COLUMNS = ("text", "caption", "prompt", "report")
ID_COLUMNS = ("sample_id", "subject_id")
# Whose image it is: for scores by group, never a label. In any case of letters.
ABOUT_COLUMNS = ("age", "age_band", "sex", "race", "view", "block")


def bare_row(name: str) -> Sample:
    return {"sample_id": name, "subject_id": name, "meta": {"file": name}}


def keys_of(request: dict[str, Any]) -> dict[str, Any]:
    """A request's keys; `meta` is for reading and changes no sample."""
    return {name: value for name, value in request.items() if name != "meta"}


def manifest_rows(root: Path, arm: str | None) -> list[Sample]:
    """The samples of a sample set, or of one arm of it."""
    lines = read_manifest(root)
    arms = list(dict.fromkeys(line["arm"] for line in lines))
    if arm is not None and arm not in arms:
        raise UserError(f"{root} has no arm {arm}; it has {', '.join(arms)}.")
    rows = [_manifest_row(line) for line in lines if arm in (None, line["arm"])]
    with_text = ["text" in row for row in rows]
    if any(with_text) and not all(with_text):  # arms with and without prompts, read together
        rows = [{k: v for k, v in row.items() if k != "text"} for row in rows]
    return rows


def _manifest_row(line: dict[str, Any]) -> Sample:
    request = line["request"]
    meta = {name: line[name] for name in ("arm", "index", "seed", "file")}
    row: Sample = {"sample_id": line["sample_id"], "subject_id": line["subject_id"]}
    if isinstance(request.get("text"), str):
        row["text"] = request["text"]
    return row | {"meta": meta | ({"request": request} if request else {})}


def table_rows(table: Path, root: Path, names: list[str]) -> list[Sample]:
    """One sample per image, all of them named by the table and all its rows with an image."""
    if not table.name.endswith(SUFFIXES):
        raise UserError(
            f"table={table} is not read{nearest(table.suffix, SUFFIXES) or '.'} Tables end with "
            f"{', '.join(SUFFIXES)}."
        )
    lines = read_table(table, [])
    if not lines:
        raise UserError(f"The table {table} has no lines.")
    file = _column(lines[0], FILE_COLUMNS)
    if file is None:
        raise UserError(
            f"{table} has no column for the file name; call it file. It has {', '.join(lines[0])}."
        )
    by_name = _by_name(table, root, lines, file)
    absent, extra = sorted(set(names) - set(by_name)), sorted(set(by_name) - set(names))
    if absent or extra:
        first = f"{absent[0]} has no line" if absent else f"{extra[0]} has no image"
        raise UserError(
            f"{table} does not match the images: {len(absent)} images without a line, {len(extra)} "
            f"lines without an image ({first}). Names are relative to the folder, with suffix."
        )
    text = _column(lines[0], TEXT_COLUMNS)
    about = {name: name.lower() for name in lines[0] if name.lower() in ABOUT_COLUMNS}
    labels = [name for name in lines[0] if name not in {file, text, *ID_COLUMNS, *about}]
    rows = []
    for name in names:
        where, line = f"{table}, row {by_name[name]}", lines[by_name[name] - 2]
        row = _table_row(where, name, line, text, labels)
        row["meta"] |= {key: _about(where, key, line[n]) for n, key in about.items() if line[n]}
        rows.append(row)
    _refuse_same_ids(table, rows, by_name)
    return rows


def _by_name(table: Path, root: Path, lines: list[Row], file: str) -> dict[str, int]:
    """The row of each file, the header being row 1."""
    found: dict[str, int] = {}
    for number, line in enumerate(lines, start=2):
        name = line[file]
        within(root, name, f"{table}, row {number}")
        first = found.setdefault(name, number)
        if first != number:
            raise UserError(
                f"{table} names {name} more than once, in rows {first} and {number}. Delete one."
            )
    return found


def _table_row(where: str, name: str, line: Row, text: str | None, labels: list[str]) -> Sample:
    row = bare_row(name)
    row |= {key: line[key] for key in ID_COLUMNS if line.get(key)}
    if "subject_id" not in line:
        row["subject_id"] = row["sample_id"]
    if text is not None:
        row["text"] = line[text]
    if labels:
        values = [_label(where, key, line[key], text is None) for key in labels]
        row |= {"labels": np.array(values, np.float32), "label_names": labels}
    return row


def _about(where: str, key: str, cell: str) -> str | float:
    if key != "age":
        return cell
    try:
        return float(cell)
    except ValueError:
        raise UserError(f"{where}: age is {cell!r}, which is not a number of years.") from None


def _label(where: str, key: str, cell: str, no_text: bool) -> float:
    try:
        value = float(cell) if cell else np.nan
    except ValueError:
        value = np.inf
    if np.isinf(value):
        known = (*(TEXT_COLUMNS if no_text else ()), *ID_COLUMNS, *ABOUT_COLUMNS)
        raise UserError(
            f"{where}: the label {key} is {shorten(cell, 40)!r}, which is not a number. Labels are "
            f"numbers, empty = unlabelled{nearest(key, known) or '.'}"
        )
    return value


def _refuse_same_ids(table: Path, rows: list[Sample], places: dict[str, int]) -> None:
    seen: dict[str, str] = {}
    for row in rows:
        name = row["meta"]["file"]
        first = seen.setdefault(row["sample_id"], name)
        if first != name:
            raise UserError(
                f"{table}: sample_id {row['sample_id']!r} stands in rows {places[first]} and "
                f"{places[name]}; it must be unique. Change one of them."
            )


def _column(line: Row, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in line), None)
