"""The leaderboard as one HTML page: sortable, self-contained."""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from pathlib import Path

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


def as_html(boards: Sequence[Board]) -> str:
    """A whole document with a table for each protocol."""
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    intro = (
        "<header><h1>Leaderboard</h1><p>Only values measured alike are ranked against each other: "
        "the best of those is bold, a letter says why a value stands apart. Click a heading to "
        "sort.</p></header>"
    )
    body = intro + "".join(section(f"Protocol {b.protocol}", b.about, _table(b)) for b in boards)
    return page("Leaderboard", body, SCRIPT, f"sha256-{digest}")


def _table(board: Board) -> str:
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
        rows[kind] += f'<tr><td data-value="{label}">{label}</td>{thumbs}{cells}</tr>'
    notes = "".join(f"<li>{escape(note)}</li>" for note in board.notes)
    return (
        f'<div class="scroll"><table class="board"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows['row']}</tbody><tfoot>{rows['reference']}</tfoot></table></div>"
        f'<ul class="quiet">{notes}</ul>'
    )


def _head(board: Board, name: str) -> str:
    first, slash, rest = board.heads[name].rpartition("/")
    return f"<small>{escape(first + slash)}</small>{escape(rest)}" if first else escape(rest)


def _cell(shown: Shown) -> str:
    value = "" if shown.value is None else repr(shown.value)
    text = escape(shown.text)
    text = f"<b>{text}</b>" if shown.best else text
    mark = f"<sup>{escape(shown.mark)}</sup>" if shown.mark else ""
    return f'<td class="n" data-value="{value}">{text}{mark}</td>'


def _thumbs(line: Line) -> str:
    """The first samples of a row, where its folder is here."""
    found = line.row.results if line.row else []
    folders = [Path(str(r["folder"])) / "samples" for r in found if r.get("folder")]
    samples = next((folder for folder in folders if (folder / MANIFEST).is_file()), None)
    if samples is None:
        return ""
    from medbench.core.sample_set import read_manifest
    from medbench.report.samples import data_uri

    try:
        chosen = [line for line in read_manifest(samples) if line["index"] < THUMBS][:THUMBS]
        sources = [data_uri(samples / line["file"], SIDE) for line in chosen]
    except UserError:
        return "cannot be read"
    return '<div class="thumbs">' + "".join(f'<img alt="" src="{s}">' for s in sources) + "</div>"
