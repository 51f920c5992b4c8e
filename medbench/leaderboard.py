"""`python -m medbench.leaderboard`: rank the results that compare."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from medbench.cli import launch, parse
from medbench.core.errors import UserError, nearest
from medbench.core.files import write_text
from medbench.library import Library
from medbench.published import published_results
from medbench.report.board import Board, build_board
from medbench.report.formats import as_csv, as_latex, as_markdown, as_text
from medbench.report.numbers import ARROWS, MISSING, count, digits, number, part, with_interval
from medbench.results import PAGE, Result, collect, local_results, newest
from medbench.tracking import check_uri, default_uri, deliver, open_tracker
from medbench.tracking.places import sqlite_path

KEYS = ("protocol", "metric", "format", "out", "tracking.uri")
FORMATS = ("table", "md", "csv", "html", "latex")
USAGE = """\
usage: python -m medbench.leaderboard [key=value ...]

Ranks every finished run and recorded folder of the output folder and of the tracking store. Values
are ranked only against values measured alike; a letter says what sets the others apart. What papers
print stands beside, marked, and is never ranked.

  protocol=NAME        results of one protocol; without it, of each
  metric=NAME          what to rank by; without it, the protocol's first metric
  format=table         table, md, csv, latex, or html (written to OUT/leaderboard.html)
  out=outputs          folder that runs are written under
  tracking.uri=URI     an MLflow store whose runs are shown too
  --config-dir DIR     protocols of yours, whose published tables are shown beside
"""


def main(argv: list[str]) -> int:
    """Print the leaderboard, then deliver what earlier runs could not."""
    if {"-h", "--help"} & set(argv):
        print(USAGE, end="")
        return 0
    arguments = parse(argv)
    library = Library(arguments.config_dirs)
    settings = _settings(arguments.words)
    out, uri = Path(settings.get("out", "outputs")).expanduser(), settings.get("tracking.uri")
    results = collect(out, uri)
    if not results:
        raise UserError(
            f"There is no finished run under {out}. Make one with python -m medbench.run "
            "method=NAME, or name another folder with out=DIR."
        )
    boards = choose(results, settings.get("protocol"), settings.get("metric"), library)
    print(render(boards, settings.get("format", "table"), out))
    if settings.get("format") == "html":
        keep_page(out, uri)
    deliver(out, uri)
    return 0


def keep_page(out: Path, uri: str | None) -> None:
    """The page in the tracking store, where there is one, always as the same run."""
    place = sqlite_path(default_uri(out))
    if uri is None and (place is None or not place.exists()):
        return
    folder = out / "boards" / PAGE
    tags = {"medbench.run": PAGE, "medbench.attempt": "1"}
    settings = {"uri": uri, "experiment": "medbench"}
    folder.mkdir(parents=True, exist_ok=True)
    tracker = open_tracker(settings, out, folder, tags, enabled=True)
    tracker.artifact(out / "leaderboard.html")
    tracker.close("FINISHED")


def _settings(argv: Sequence[str]) -> dict[str, str]:
    """key=value words, all mistakes together."""
    found, mistakes = {}, []
    for word in argv:
        key, sign, value = word.partition("=")
        if not sign or not value:
            mistakes.append(f"{word} is not a setting: write key=value, such as format=md.")
        elif key not in KEYS:
            close = nearest(key, KEYS) or f"; known are {', '.join(KEYS)}."
            mistakes.append(f"{key} is not known{close}")
        found[key] = value
    chosen = found.get("format", "table")
    if chosen not in FORMATS:
        mistakes.append(f"format={chosen} is not known; formats are {', '.join(FORMATS)}.")
    if mistakes:
        raise UserError(*mistakes)
    if "tracking.uri" in found:
        check_uri(found["tracking.uri"])
    return found


def choose(
    results: Sequence[Result],
    protocol: str | None,
    metric: str | None,
    library: Library | None = None,
) -> list[Board]:
    """A board for each protocol, or for the one that was asked for; with what papers print."""
    names = list(dict.fromkeys(str(result["protocol"]) for result in results))
    if protocol and protocol not in names:
        close = nearest(protocol, names) or f"; there are {', '.join(names)}."
        raise UserError(f"No result was measured under protocol={protocol}{close}")
    boards = []
    for name in [protocol] if protocol else names:
        of_protocol = [result for result in results if str(result["protocol"]) == name]
        known = {value["name"] for result in of_protocol for value in result["values"]}
        if metric is None or metric in known:
            printed = _printed(name, library) if library else []
            boards.append(build_board(name, of_protocol, metric, printed))
    if not boards:
        known = {value["name"] for result in results for value in result["values"]}
        close = nearest(metric or "", known) or f"; there are {', '.join(sorted(known))}."
        raise UserError(f"metric={metric} was not measured{close}")
    return boards


def _printed(name: str, library: Library) -> list[Result]:
    """The published rows of a protocol's table; none of a protocol that is not here."""
    if not library.has("protocols", name):
        return []
    return published_results(library.read("protocols", name), name)


def render(boards: Sequence[Board], form: str, out: Path) -> str:
    """The boards in a format; a page is written, and its path is the answer."""
    if form == "html":
        from medbench.report.board_page import as_html

        write_text(out / "leaderboard.html", as_html(boards, out))
        return str(out / "leaderboard.html")
    if form == "csv":
        return "".join(as_csv(board, header=not i) for i, board in enumerate(boards)).rstrip("\n")
    formats: dict[str, Callable[[Board], str]] = {"md": as_markdown, "latex": as_latex}
    return "\n\n".join(formats.get(form, as_text)(board) for board in boards)


# the end of a run ------------------------------------------------------------------------------
def print_run(result: Result, out: Path) -> None:
    """What a run measured, and its place among the runs of the same protocol."""
    known = [r for r in newest(local_results(out)) if r["protocol"] == result["protocol"]]
    others = [r for r in known if r.get("run") != result.get("run")]
    here = next((r for r in known if r.get("run") == result.get("run")), result)
    sets = [_without_judged(r) for r in [*others, here]]
    print(f"\n{describe(result)}\n")
    print(as_text(build_board(result["protocol"], sets), here=sets[-1]))


def _without_judged(result: Result) -> Result:
    """The values that every run has: adherence stands above, prompt form by prompt form."""
    kept = [value for value in result["values"] if value.get("chance") is None]
    return result | {"values": kept or result["values"]}


def describe(result: Result) -> str:
    """One run's values, a line each: value and interval, real images, chance, n."""
    head = ["", "value", "real images", "shuffled (95 %)", "n", ""]
    rows = [head, *(_line(value) for value in result["values"])]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if i in (0, 5) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    marks = [str(result.get("scale") or ""), f"seed {result.get('seed')}"]
    marks += ["phantom data"] if result.get("phantom") else []
    marks += ["UNTRAINED"] if result.get("untrained") else []
    title = f"{result['row']} ({', '.join(filter(None, marks))}), protocol {result['protocol']}"
    return "\n".join([title, *lines])


def _line(value: dict[str, Any]) -> list[str]:
    low, high = value.get("low"), value.get("high")
    n = digits(low, high, value.get("value") or 0.0)
    chance, bound = (part(value.get("chance"), name) for name in ("value", "high"))
    real = part(value.get("ceiling"))
    real = part(value.get("floor")) if real is None else real
    verdict = ""
    if bound is not None and value.get("value") is not None:
        verdict = "above chance" if value["value"] > bound else "at chance"
    return [
        f"{value['name']} {ARROWS.get(str(value.get('direction')), '')}",
        with_interval(value.get("value"), low, high),
        number(real, n),
        f"{number(chance, n)} (<{number(bound, n)})" if bound is not None else MISSING,
        count(value.get("n")),
        verdict,
    ]


if __name__ == "__main__":
    launch(main)
