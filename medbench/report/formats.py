"""A leaderboard as text, Markdown, CSV, LaTeX; each with its own way of escaping."""

import csv
import io
import re
from collections.abc import Sequence

from benchmarks.ranking import Cell, Row
from medbench.report.board import Board, Shown
from medbench.report.numbers import part

WIDTH = 100
LABEL, LONGEST = 30, 50  # characters of a row's name before it is cut; more where rows need them
EMPTY = Shown("")
LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "–": "--",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
} | {char: "\\" + char for char in "&%$#_{}"}


# text ---------------------------------------------------------------------------------------
def as_text(board: Board, here: object = None) -> str:
    """At most 100 columns: metrics that do not fit go into a further block. `here` is marked."""
    label = _label([line.label for line in board.lines])
    blocks = [_block(board, names, label, here) for names in _fitting(board, WIDTH - label)]
    notes = "\n".join(_wrapped(note) for note in board.notes)
    return "\n\n".join([title(board), *blocks, notes]).rstrip()


def _label(names: Sequence[str]) -> int:
    """The least width at which names that differ look different; the usual one if there is none."""
    usual, different = min(LABEL, max(map(len, names)) + 2), len(set(names))
    widths = range(usual, LONGEST + 1)
    return next((w for w in widths if len({_cut(n, w - 2) for n in names}) == different), usual)


def title(board: Board) -> str:
    """The protocol, and what all rows have in common."""
    return f"protocol {board.protocol}" + (f": {board.about}" if board.about else "")


def _fitting(board: Board, width: int) -> list[list[str]]:
    """Metrics in blocks that fit beside the names."""
    blocks: list[list[str]] = []
    used = width
    for name in board.metrics:
        needed = _width(board, name) + 2
        if used + needed > width or not blocks:
            blocks.append([])
            used = 0
        blocks[-1].append(name)
        used += needed
    return blocks


def _width(board: Board, name: str) -> int:
    cells = [_text(line.cells[name]) for line in board.lines if name in line.cells]
    return max(len(text) for text in [_head(board, name), *cells])


def _head(board: Board, name: str) -> str:
    """Names such as `adherence/class` are cut to what follows the first part."""
    return board.heads[name].split("/", 1)[-1]


def _text(shown: Shown) -> str:
    return shown.text + ("*" if shown.best else "") + (f" {shown.mark}" if shown.mark else "")


def _block(board: Board, names: Sequence[str], label: int, here: object) -> str:
    widths = {name: _width(board, name) for name in names}
    groups = dict.fromkeys(n.split("/", 1)[0] for n in names if "/" in n)
    top = f"[{', '.join(groups)}]" if groups else ""
    head = "  ".join(_head(board, name).rjust(widths[name]) for name in names)
    lines = [f"{top:<{label}}  {head}".rstrip(), "-" * (label + 2 + len(head))]
    before = "row"
    for line in board.lines:
        if not any(name in line.cells for name in names):
            continue
        if line.kind != "row" and before == "row":
            lines.append("")
        before = line.kind
        cells = "  ".join(_text(line.cells.get(name, EMPTY)).rjust(widths[name]) for name in names)
        mine = here is not None and line.row is not None and here in line.row.results
        lines.append(
            f"{_cut(('> ' if mine else '  ') + line.label, label):<{label}}  {cells}".rstrip()
        )
    return "\n".join(lines)


def _cut(text: str, width: int) -> str:
    """The text, or as many of its parts between commas as fit, or of its characters."""
    text = printable(text)
    if len(text) <= width:
        return text
    return (text[: width + 1].rpartition(", ")[0] or text[: width - 1]) + "…"


def printable(text: str) -> str:
    """Without line breaks and without what a terminal would obey."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "?", text)


def _wrapped(note: str) -> str:
    import textwrap

    return textwrap.fill(printable(note), WIDTH, initial_indent="  ", subsequent_indent="    ")


# Markdown ------------------------------------------------------------------------------------
def as_markdown(board: Board) -> str:
    head = ["", *(board.heads[name] for name in board.metrics)]
    lines = [_md_row(head), _md_row(["---"] + ["---:"] * len(board.metrics))]
    for line in board.lines:
        cells = [_md_cell(line.cells.get(name, EMPTY)) for name in board.metrics]
        label = f"*{_md(line.label)}*" if line.kind != "row" else _md(line.label)
        lines.append(_md_row([label, *cells], escaped=True))
    notes = "".join(f"- {_md(note)}\n" for note in board.notes)
    return f"### {_md(title(board).capitalize())}\n\n" + "\n".join(lines) + f"\n\n{notes}"


def _md_row(cells: Sequence[str], escaped: bool = False) -> str:
    return "| " + " | ".join(cells if escaped else [_md(cell) for cell in cells]) + " |"


def _md_cell(shown: Shown) -> str:
    text = _md(shown.text)
    return (f"**{text}**" if shown.best else text) + (f" ({shown.mark})" if shown.mark else "")


def _md(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", printable(text)).replace("\\#", "#")


# CSV -----------------------------------------------------------------------------------------
def as_csv(board: Board, header: bool = True) -> str:
    """One line for each value of each row, for programs."""
    buffer = io.StringIO()
    found = [
        _csv_cells(board, line.label, line.row, name, shown.cell)
        for line in board.lines
        for name, shown in line.cells.items()
        if line.row is not None and shown.cell is not None
    ]
    writer = csv.DictWriter(buffer, list(found[0]), lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows({key: _csv(value) for key, value in cells.items()} for cells in found)
    return buffer.getvalue()


def _csv_cells(board: Board, label: str, row: Row, name: str, cell: Cell) -> dict[str, object]:
    last = cell.details[-1]
    return {
        "protocol": board.protocol,
        "row": label,
        "seeds": " ".join(map(str, row.seeds)),
        "scale": row.results[-1].get("scale"),
        "marks": " ".join(row.marks),
        "metric": name,
        "direction": last.get("direction"),
        "value": cell.value,
        "spread": cell.spread,
        "low": cell.low,
        "high": cell.high,
        "n": last.get("n"),
        "n_real": last.get("n_real"),
        "rank": cell.rank,
        "of": cell.of or None,
        "apart": cell.apart,
        "floor": part(last.get("floor")),
        "ceiling": part(last.get("ceiling")),
        "chance": part(last.get("chance")),
        "chance_high": part(last.get("chance"), "high"),
        "extractor": last.get("extractor"),
        "arm": last.get("arm"),
        "fingerprint": (last.get("fingerprint") or {}).get("id"),
        "note": last.get("note"),
    }


def _csv(value: object) -> object:
    """Text that a spreadsheet would run as a formula is made text."""
    if isinstance(value, str):
        return "'" + value if value[:1] in "=+-@\t\r" and value else value
    return "" if value is None else value


# LaTeX ---------------------------------------------------------------------------------------
def as_latex(board: Board) -> str:
    """A booktabs table."""
    columns = "l" + "r" * len(board.metrics)
    head = " & ".join(["", *(_latex(board.heads[name]) for name in board.metrics)])
    lines = [f"% {printable(title(board))}", rf"\begin{{tabular}}{{{columns}}}"]
    lines += [r"\toprule", head + r" \\", r"\midrule"]
    before = "row"
    for line in board.lines:
        if line.kind != "row" and before == "row":
            lines.append(r"\midrule")
        before = line.kind
        cells = [_latex_cell(line.cells.get(name, EMPTY)) for name in board.metrics]
        lines.append(" & ".join([_latex(line.label), *cells]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    notes = "".join(f"% {printable(note)}\n" for note in board.notes)
    return "\n".join(lines) + "\n" + notes


def _latex_cell(shown: Shown) -> str:
    text = _latex(shown.text)
    text = rf"\textbf{{{text}}}" if shown.best else text
    return text + (rf"\textsuperscript{{{shown.mark}}}" if shown.mark else "")


def _latex(text: str) -> str:
    return "".join(LATEX.get(char, char) for char in printable(text))
