"""`python -m medbench.reproduce table=PAPER/ID`: a published table, measured row by row."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from medbench.cli import launch, parse
from medbench.core.errors import UserError, nearest
from medbench.library import Library
from medbench.published import Cell, Row, Table, columns_of, read_table, table_names
from medbench.words import merge

KEYS = ("table", "protocol", "scale", "seed", "out")
ABSENT = "is not here yet"
NONE = Cell(None, "-", None, "")
USAGE = """\
usage: python -m medbench.reproduce table=PAPER/ID [key=value ...] [--config-dir DIR]

Runs every row of a published table whose method is here, and prints what was measured beside what
was published, cell by cell. Numbers of phantom data and of scale=tiny are no reproduction: they
show that everything runs and which way the values go.

  table=PAPER/ID       one of those below
  scale=tiny           tiny, or paper: the published settings, for hours on GPUs
  data=NAME            the data at hand, with its keys: data.root=DIR
  protocol=NAME        measure under another protocol than the table's own
  seed=0               several, separated by commas: seed=0,1,2
  out=outputs          folder that runs are written under
  --dry-run            print the commands and what is missing, and stop
  --list               print the tables alone
  any other key        is handed to every run: trainer=gpu

tables:
"""


@dataclass
class Line:
    """One row of the table: the commands that make it, or why there are none."""

    row: Row
    commands: list[list[str]] = field(default_factory=list)
    names: Mapping[str, str] = field(default_factory=dict)  # column -> value, where rows differ
    missing: str = ""
    results: list[dict[str, Any]] = field(default_factory=list)


def main(argv: list[str]) -> int:
    """Plan, run and print a table."""
    arguments = parse(argv)
    library = Library(arguments.config_dirs)
    if arguments.help or not arguments.words:
        head = "" if arguments.list else USAGE
        print(head + "\n".join(f"  {name}" for name in _reproducible(library)))
        return 0
    settings, rest = _split(arguments.words)
    table = read_table(settings["table"])
    name, protocol = _protocol(table, settings.get("protocol"), library)
    lines = plan(table, name, protocol, settings, rest, library)
    if arguments.dry_run:
        print(describe_plan(table, lines, protocol, arguments.config_dirs))
        return 0
    out = Path(settings.get("out", "outputs")).expanduser()
    for line in lines:
        for words in line.commands:
            _run(line, words, arguments.config_dirs, out)
    print("\n" + side_by_side(table, lines, protocol))
    return 0 if not any(line.commands and not line.results for line in lines) else 1


def _split(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Words of this command, and those that are handed to every run."""
    found: dict[str, str] = {}
    rest: list[str] = []
    for word in words:
        key, sign, value = word.partition("=")
        if not sign or not value:
            raise UserError(f"{word} is not a setting: write key=value, such as scale=tiny.")
        if key in KEYS:
            found[key] = value
        else:
            rest.append(word)
    if "table" not in found:
        raise UserError(f"table= is missing: name one of {', '.join(table_names())}.")
    return found, rest


def _reproducible(library: Library) -> list[str]:
    found = {}
    for name in library.names("protocols"):
        table = library.read("protocols", name).get("table")
        if table:
            found[str(table)] = read_table(str(table)).caption
    width = max(map(len, found))
    return [f"{name:<{width}}  {caption[: 96 - width]}" for name, caption in sorted(found.items())]


def _protocol(table: Table, wanted: str | None, library: Library) -> tuple[str, dict[str, Any]]:
    """The protocol that measures a table: its own, or the one that was asked for."""
    names = library.names("protocols")
    own = [n for n in names if library.read("protocols", n).get("table") == table.name]
    if wanted is None and not own:
        known = sorted(str(library.read("protocols", n).get("table", "")) for n in names)
        close = nearest(table.name, known) or "."
        raise UserError(
            f"No protocol measures table={table.name} ({table.kind}: {table.caption}){close}"
        )
    name = wanted or own[0]
    return name, library.read("protocols", name)


def plan(
    table: Table,
    name: str,
    protocol: Mapping[str, Any],
    settings: Mapping[str, str],
    rest: Sequence[str],
    library: Library,
) -> list[Line]:
    """Every row that names a method, with its commands or with what is missing."""
    lines = []
    for row in rows_of(table, protocol):
        if row.method == "real":
            lines.append(Line(row, missing="real images: measured beside every row"))
            continue
        asked = (protocol.get("rows") or {}).get(row.label)
        words, names = _words(row.label, asked)
        line = Line(row, names=names)
        line.missing = _missing(row, words, protocol, library)
        if not line.missing:
            at = protocol_at(protocol, settings.get("scale", "tiny"))
            fixed = [f"protocol={name}", f"scale={settings.get('scale', 'tiny')}"]
            fixed += [f"out={settings.get('out', 'outputs')}", *_data(at, rest), *rest]
            seeds = settings.get("seed", "0").split(",")
            line.commands = [[*words, *fixed, f"seed={seed}"] for seed in seeds]
            line.missing = _cannot(line.commands[0], library)
            line.commands = [] if line.missing else line.commands
        lines.append(line)
    return lines


def rows_of(table: Table, protocol: Mapping[str, Any]) -> list[Row]:
    """The published rows that name a method, and those that the protocol says are of one: where
    the paper's text names what it compares and prints no value."""
    published = {row.label: row for row in table.rows}
    found = {row.label: row for row in table.rows if row.method is not None}
    for label, asked in (protocol.get("rows") or {}).items():
        words, _ = _words(label, asked)
        method = next((w.partition("=")[2] for w in words if w.startswith("method=")), None)
        if method and label not in found:
            row = published.get(label) or Row(
                None, label, {}, dict.fromkeys(table.columns, NONE), ""
            )
            found[label] = replace(row, method=method)
    return list(found.values())


def _words(label: str, asked: Any) -> tuple[list[str], Mapping[str, str]]:
    if isinstance(asked, Mapping):
        return str(asked["words"]).split(), asked.get("values") or {}
    return (str(asked).split() if asked else []), {}


def protocol_at(protocol: Mapping[str, Any], scale: str) -> dict[str, Any]:
    """A protocol's file with its block of one scale laid over it."""
    whole = {key: value for key, value in protocol.items() if key != "scales"}
    return dict(merge(whole, (protocol.get("scales") or {}).get(scale) or {}))


def _data(protocol: Mapping[str, Any], rest: Sequence[str]) -> list[str]:
    """The protocol's dataset at this scale, unless the user names one."""
    block = protocol.get("dataset")
    if block is None or any(word.startswith("data=") for word in rest):
        return []
    block = {"name": block} if isinstance(block, str) else block
    keys = [f"data.{k}={json.dumps(v)}" for k, v in block.items() if k != "name"]
    return [f"data={block['name']}", *keys]


def _missing(row: Row, words: Sequence[str], protocol: Mapping[str, Any], library: Library) -> str:
    """Why a row cannot be run, as far as names tell."""
    for command, why in (protocol.get("missing") or {}).items():
        return f"python -m {command}, which {why}, is not here yet"
    if not library.has("methods", row.method):
        return f"the method {row.method} {ABSENT}"
    if not words:
        told = ", ".join(f"{k}={v}" for k, v in row.variant.items())
        return f"no variant of {row.method} stands for it ({told})"
    variant = next((word.partition("=")[2] for word in words if word.startswith("variant=")), None)
    known = library.read("methods", str(row.method)).get("variants") or {}
    if variant and variant not in known:
        return f"{row.method} has no variant {variant} yet"
    return ""


def _cannot(words: Sequence[str], library: Library) -> str:
    """What composing the first command finds wrong, in one line."""
    from medbench.config import load

    try:
        load(words, library)
    except UserError as error:
        return f"cannot be run: {error.mistakes[0]}"
    return ""


def _run(line: Line, words: list[str], config_dirs: Sequence[str], out: Path) -> None:
    """One row's command in its own process; its result as it stands on disk."""
    folders = [f"--config-dir={folder}" for folder in config_dirs]
    command = [sys.executable, "-m", "medbench.run", *folders, *words]
    print(f"\n{line.row.label}: medbench run {' '.join(words)}", file=sys.stderr, flush=True)
    ended = subprocess.run(command, stdout=sys.stderr)
    if ended.returncode in (130, 143):
        raise KeyboardInterrupt
    if ended.returncode:
        line.missing = f"its run ended with status {ended.returncode}; see above"
        return
    line.results.append(_result(words, config_dirs))


def _result(words: Sequence[str], config_dirs: Sequence[str]) -> dict[str, Any]:
    """The result of a finished run, found by what its command is."""
    from medbench.config import load
    from medbench.core.files import read_json
    from medbench.execution import Run
    from medbench.plan import Plan

    run = Run(Plan(load(words, Library(config_dirs))))
    found: dict[str, Any] = read_json(run.result)
    return found


# what is printed ---------------------------------------------------------------------------
def describe_plan(
    table: Table, lines: Sequence[Line], protocol: Mapping[str, Any], config_dirs: Sequence[str]
) -> str:
    """The commands of every row, and what is missing."""
    told = [f"{table.name}: {table.caption}", f"({table.where})", ""]
    for line in lines:
        told.append(line.row.label + (f": {line.missing}" if line.missing else ":"))
        told += [f"  python -m medbench.run {' '.join(words)}" for words in line.commands]
    asked = columns_of(protocol, table)
    left = [str(c["label"]) for key, c in table.columns.items() if key not in asked]
    if left:
        told += ["", f"columns that this protocol does not measure: {', '.join(left)}"]
    told += ["", *table.notes] if table.notes else []
    return "\n".join([*told, "", _counted(lines)])


def _counted(lines: Sequence[Line]) -> str:
    """How many rows can be run, and the methods that the others wait for."""
    methods = [line for line in lines if line.row.method != "real"]
    ready = sum(bool(line.commands) for line in methods)
    absent = {str(line.row.method) for line in methods if ABSENT in line.missing}
    names = f"; not here yet: {', '.join(sorted(absent))}" if absent else ""
    return f"{ready} of {len(methods)} rows can be run{names}"


def side_by_side(table: Table, lines: Sequence[Line], protocol: Mapping[str, Any]) -> str:
    """Measured | published, in the paper's unit, cell by cell."""
    asked = columns_of(protocol, table)
    keys = list(table.columns)
    head = ["", *(str(table.columns[key]["label"]) for key in keys)]
    rows = [head, ["", *("measured | published" for _ in keys)]]
    for line in lines:
        rows.append([line.row.label, *(_beside(line, lines, key, table, asked) for key in keys)])
    widths = [min(34, max(len(row[i]) for row in rows)) for i in range(len(head))]
    text = [
        "  ".join(cell[:34].ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    missing: dict[str, list[str]] = {}
    for line in lines:
        missing.setdefault(line.missing, []).append(line.row.label)
    notes = [f"{'; '.join(labels)}: {why}" for why, labels in missing.items() if why]
    for line in lines:
        for key, cell in line.row.cells.items():
            if cell.status or cell.note:
                said = ": ".join(filter(None, [cell.status, cell.note]))
                notes.append(f"{line.row.label}, {table.columns[key]['label']}: {said}")
    phantom = any(result.get("phantom") for line in lines for result in line.results)
    tail = ["", "Measured on phantom data: no reproduction of the published numbers."] * phantom
    notes += [*table.notes, _counted(lines)]
    return "\n".join([f"{table.name}: {table.caption}", "", *text, "", *notes, *tail])


def _beside(
    line: Line, lines: Sequence[Line], key: str, table: Table, asked: Mapping[str, Any]
) -> str:
    printed = line.row.cells[key].text
    if key not in asked:
        return f"not measured | {printed}"
    one = asked[key]
    name = line.names.get(key, one.value)
    digits = int(table.columns[key].get("decimals", 2))
    if line.row.method == "real":
        found = [v for other in lines for v in _values(other, one.value) if v.get("ceiling")]
        numbers = [float(found[0]["ceiling"])] if found else []
    else:
        numbers = [float(v["value"]) for v in _values(line, name) if v["value"] is not None]
    return f"{_measured([n * one.times for n in numbers], digits)} | {printed}"


def _values(line: Line, name: str) -> list[dict[str, Any]]:
    return [v for result in line.results for v in result["values"] if v["name"] == name]


def _measured(numbers: Sequence[float], digits: int) -> str:
    """One value, or mean and standard deviation over seeds."""
    from statistics import fmean, stdev

    if not numbers:
        return "-"
    if len(numbers) == 1:
        return f"{numbers[0]:.{digits}f}"
    return f"{fmean(numbers):.{digits}f} ± {stdev(numbers):.{digits}f}"


if __name__ == "__main__":
    launch(main)
