"""The leaderboard as one HTML page: sortable, self-contained."""

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from medbench.core.errors import UserError
from medbench.core.sample_set import MANIFEST
from medbench.report.board import Board, Line, Shown
from medbench.report.page import page, section

THUMBS, SIDE = 4, 72

SCRIPT = """
for (const head of document.querySelectorAll('th[data-sort]')) head.onclick = () => {
  const body = head.closest('table').tBodies[0], at = head.cellIndex;
  const down = head.dataset.order === 'up' ? -1 : 1;
  head.dataset.order = down > 0 ? 'up' : 'down';
  const key = row => row.cells[at].dataset.value ?? '';
  const order = (a, b) => {
    const x = key(a), y = key(b);
    if (x === '' || y === '') return (x === '') - (y === '');
    return down * (isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y);
  };
  body.append(...[...body.rows].sort(order));
};
"""


def as_html(boards: Sequence[Board], out: Path = Path()) -> str:
    """A whole document with a table for each protocol."""
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    intro = (
        "<header><h1>Leaderboard</h1><p>Only values measured alike are ranked against each other: "
        "the best of those is bold, a letter says why a value stands apart. Click a heading to "
        "sort.</p></header>"
    )
    body = intro + "".join(
        section(f"Protocol {b.protocol}", b.about, _table(b, out)) for b in boards
    )
    return page("Leaderboard", body, SCRIPT, f"sha256-{digest}")


def _table(board: Board, out: Path) -> str:
    names = "".join(f'<th class="n" data-sort>{_head(board, n)}</th>' for n in board.metrics)
    pictures = {id(line): _thumbs(line) for line in board.lines}
    seen = any(pictures.values())
    head = f"<th data-sort>method</th>{'<th>samples</th>' if seen else ''}{names}"
    rows = dict.fromkeys(("row", "reference"), "")
    for line in board.lines:
        cells = "".join(_cell(line.cells.get(name, Shown(""))) for name in board.metrics)
        thumbs = f"<td>{pictures[id(line)]}</td>" if seen else ""
        label = escape(line.label)
        kind = "row" if line.kind == "row" else "reference"
        link = _link(line, out)
        named = f'<a href="{escape(link)}">{label}</a>' if link else label
        mark = ' class="published"' if line.row and "published" in line.row.marks else ""
        rows[kind] += f'<tr{mark}><td data-value="{label}">{named}</td>{thumbs}{cells}</tr>'
    notes = "".join(f"<li>{escape(note)}</li>" for note in board.notes)
    return (
        f'<div class="scroll"><table class="board"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows['row']}</tbody><tfoot>{rows['reference']}</tfoot></table></div>"
        f'<ul class="quiet">{notes}</ul>'
    )


def _link(line: Line, out: Path) -> str:
    """The page of a row's latest run, relative to the leaderboard's, where it is on disk."""
    for result in reversed(line.row.results if line.row else []):
        page = Path(str(result.get("folder", ""))) / "report.html"
        if result.get("folder") and page.is_file():
            return quote(os.path.relpath(page.resolve(), out.resolve()))
    return ""


def _head(board: Board, name: str) -> str:
    first, slash, rest = board.heads[name].rpartition("/")
    return f"<small>{escape(first + slash)}</small>{escape(rest)}" if first else escape(rest)


def _cell(shown: Shown) -> str:
    value = "" if shown.value is None else repr(shown.value)
    text = escape(shown.text)
    text = f"<b>{text}</b>" if shown.best else text
    mark = f"<sup>{escape(shown.mark)}</sup>" if shown.mark else ""
    return f'<td class="n" data-value="{value}"{_title(shown)}>{text}{mark}</td>'


def _title(shown: Shown) -> str:
    """What a pointer at a cell is told: rank, difference from the row above, n, note."""
    cell = shown.cell
    if cell is None or not cell.details:
        return ""
    last = cell.details[-1]
    told = [f"rank {cell.rank} of {cell.of}"] if cell.rank else []
    told += [f"p = {cell.p:.2g} against the row above it"] if cell.p is not None else []
    told += [f"n = {last['n']:,}"] if last.get("n") else []
    told += [f"printed as {last['printed']}"] if last.get("printed") else []
    told += [str(last["note"])] if last.get("note") else []
    return f' title="{escape("; ".join(told))}"' if told else ""


def _thumbs(line: Line) -> str:
    """The first samples of a row, where its folder is here."""
    found = line.row.results if line.row else []
    folders = [Path(str(r["folder"])) / "samples" for r in found if r.get("folder")]
    samples = next((folder for folder in folders if (folder / MANIFEST).is_file()), None)
    if samples is None:
        return _plain_thumbs(found)
    from medbench.core.sample_set import read_manifest
    from medbench.report.samples import data_uri

    try:
        chosen = [line for line in read_manifest(samples) if line["index"] < THUMBS][:THUMBS]
        sources = [data_uri(samples / line["file"], SIDE) for line in chosen]
    except UserError:
        return "cannot be read"
    return '<div class="thumbs">' + "".join(f'<img alt="" src="{s}">' for s in sources) + "</div>"


def _plain_thumbs(results: Sequence[Mapping[str, Any]]) -> str:
    """The first images of a measured folder that has no manifest."""
    from datamodules.pictures import decode, kind_of, to_unit
    from medbench.report.evaluation import as_uri

    for folder in (Path(str(result["samples"])) for result in results if result.get("samples")):
        paths = sorted(path for path in folder.rglob("*") if path.is_file() and kind_of(path))
        try:
            decoded = [(path, *decode(path)) for path in paths[:THUMBS]]
            shown = [as_uri(to_unit(pixels, info, None, p), SIDE) for p, pixels, info in decoded]
        except UserError:
            return ""
        drawn = "".join(f'<img alt="" src="{source}">' for source in shown)
        return f'<div class="thumbs">{drawn}</div>'
    return ""
