"""The command line: options, help and lists, which answer without torch; and how commands end."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from medbench.core.errors import Interrupted, UserError, nearest
from medbench.library import LISTED, Library
from medbench.settings import GROUPS, RunSettings, schema

Main = Callable[[list[str]], int]

COMMANDS = {
    "run": "fit what is not fitted, generate, measure, record",
    "evaluate": "measure anyone's images under a protocol",
    "leaderboard": "rank the results that compare",
    "reproduce": "run a published table row by row, and print it beside what was printed",
    "prepare": "do once what is expensive about a dataset, and keep it",
    "doctor": "say what this machine has and what is missing",
}
FLAGS = {
    "--help": "help",
    "-h": "help",
    "--print-config": "print_config",
    "--dry-run": "dry_run",
    "--json": "json",
}
EXAMPLES = """\
examples:
  python -m medbench.run method=msdm
  python -m medbench.run method=msdm stages.diffusion.lr=2e-4 seed=1
  python -m medbench.run method=msdm scale=paper trainer=ddp trainer.devices=4 --dry-run
  python -m medbench.run --help method=msdm        every key of a method, with its default
  python -m medbench.run --config-dir ~/mine method=my_method
"""


@dataclass
class Arguments:
    """What stood on the command line."""

    words: list[str] = field(default_factory=list)  # key=value
    config_dirs: list[str] = field(default_factory=list)
    help: bool = False
    list: str | None = None  # a group, or "all"
    print_config: bool = False
    dry_run: bool = False
    json: bool = False

    def again(self) -> Sequence[str]:
        """The words and folders, for another command on the same config."""
        return [*(f"--config-dir={folder}" for folder in self.config_dirs), *self.words]


def parse(argv: Sequence[str]) -> Arguments:
    """Options and words, in any order; everything that is wrong with them in one UserError."""
    found, mistakes = Arguments(), []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        name, sign, value = word.partition("=")
        if name in FLAGS and not sign:
            setattr(found, FLAGS[name], True)
        elif name == "--config-dir":
            if not sign and not rest:
                mistakes.append("--config-dir needs a folder: --config-dir DIR.")
                continue
            found.config_dirs.append(value if sign else rest.pop(0))
        elif name == "--list":
            if not sign:
                value = rest.pop(0) if rest and "=" not in rest[0] and rest[0][0] != "-" else "all"
            known = (*LISTED, "metrics")
            if value not in (*known, "all"):
                close = nearest(value, known) or f"; it takes {', '.join(known)}."
                mistakes.append(f"--list {value} is not known{close}")
            found.list = value
        elif word.startswith("-"):
            options = (*FLAGS, "--config-dir", "--list")
            close = nearest(word, options) or f"; options are {', '.join(options)}."
            mistakes.append(f"{word} is not known{close}")
        else:
            found.words.append(word)
    if mistakes:
        raise UserError(*mistakes)
    return found


def answer(arguments: Arguments, library: Library) -> str | None:
    """The text of --help or --list; None when the command has work to do."""
    if arguments.help:
        return help_text(arguments.words, library)
    if arguments.list:
        return list_text(arguments.list, library, arguments.json)
    return None


def list_text(group: str, library: Library, as_json: bool = False) -> str:
    """Names, each with the first line of what its file says."""
    groups = LISTED if group == "all" else (group,)
    found = {g: _entries(g, library) for g in groups}
    if as_json:
        return json.dumps(found, indent=1, ensure_ascii=False)
    lines = []
    for name, entries in found.items():
        lines += [f"{name}:", *table(entries.items())]
        lines += [] if entries else ["  none yet"]
    return "\n".join(lines)


def _entries(group: str, library: Library) -> dict[str, str]:
    if group != "metrics":
        return {name: library.describe(group, name) for name in library.names(group)}
    from benchmarks.metrics.declaration import known_metrics  # needs NumPy, as no other list does

    return {name: metric.says for name, metric in known_metrics().items()}


def help_text(words: Sequence[str], library: Library) -> str:
    """Usage, groups, settings with their defaults, and the keys of a method that is named."""
    names = {word: library.names(group) for word, group in _GROUP_WORDS.items()}
    lines = [
        "usage: python -m medbench.run method=NAME [key=value ...] [options]",
        "",
        "Fits the stages that the method needs and that are not fitted yet, generates what the",
        "protocol asks for, measures it, and writes a report and a leaderboard row.",
        "",
        "groups (key=NAME; --list says more):",
        *table((word, ", ".join(known) or "none yet") for word, known in names.items()),
        "",
        "settings:",
        *table(_settings("", RunSettings)),
    ]
    for group, kind in GROUPS.items():
        lines += [*table(_settings(f"{group}.", kind))]
    lines += ["", "options:", *table(_OPTIONS.items()), "", EXAMPLES.rstrip()]
    if any(word.startswith("method=") for word in words):
        lines += ["", *method_help(words, library)]
    return "\n".join(lines)


def method_help(words: Sequence[str], library: Library) -> list[str]:
    """Every key that the command line can set for one method, with the value it would have."""
    from medbench.checks import settable
    from medbench.config import compose
    from medbench.core.settings import FitSettings

    config = compose(words, library)
    rows = [(key, _said(show(value), p.note)) for key, p, value in settable(config)]
    fit = [
        (name, _said(f"{_kind(p.annotation)} = {show(p.default)}", p.note))
        for name, p in schema(FitSettings).items()
    ]
    lines = [f"keys of method={config['method']} at scale={config['scale']}, as they would be set:"]
    lines += [*table(rows), "", "in the block of every stage and backbone, beside those above:"]
    lines += table([*fit, *_RESERVED.items()])
    variants = library.read("methods", config["method"]).get("variants") or {}
    return [*lines, *(["", f"variants: {', '.join(variants)}"] if variants else [])]


_RESERVED = {
    "class": "dotted path of another class",
    "data": "a dataset of its own: NAME, or {name, split, ...}",
    "weights": "FILE of released weights, which are imported in place of a fit",
    "seed": "of a backbone; the run's seed reaches the method's own stages",
}
_GROUP_WORDS = {
    "method": "methods",
    "data": "data",
    "protocol": "protocols",
    "trainer": "trainers",
}
_OPTIONS = {
    "--help": "this text; with method=NAME also that method's keys",
    "--list [GROUP]": f"the names of {', '.join(LISTED)}; or metrics",
    "--print-config": "print the composed config and stop",
    "--dry-run": "build everything without weights, print the plan and stop",
    "--json": "plan, list and result for programs",
    "--config-dir DIR": "add a folder with methods/, backbones/, data/, protocols/, trainers/",
}


def _settings(prefix: str, kind: type) -> list[tuple[str, str]]:
    return [
        (
            f"{prefix}{name}",
            _said(
                f"{_kind(p.annotation)}{', required' if p.required else f' = {show(p.default)}'}",
                p.note,
            ),
        )
        for name, p in schema(kind).items()
    ]


def _said(value: str, note: str) -> str:
    return f"{value}  # {note}" if note else value


def _kind(annotation: str | None) -> str:
    from medbench.core.values import describe

    return describe(annotation or "Any")


def show(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def table(rows: object) -> list[str]:
    """Two columns, the first as wide as it needs to be within 44 characters."""
    pairs = [(str(a), str(b)) for a, b in rows]  # type: ignore[attr-defined]
    width = min(44, max((len(a) for a, _ in pairs), default=0))
    return [f"  {a:<{width}}  {b}".rstrip() for a, b in pairs]


# how a command ends --------------------------------------------------------------
def finish(main: Main, argv: list[str]) -> int:
    """The exit status of a command: 2 for a user's mistake, 130 or 143 for a signal."""
    try:
        return main(argv)
    except UserError as error:
        print(str(error), file=sys.stderr)
        return 2
    except PermissionError as error:
        if error.filename is None:
            raise
        told = f"{error.filename} is closed to you ({error.strerror}). Ask its owner for the right."
        print(told, file=sys.stderr)
        return 2
    except Interrupted as error:
        print(f"{error}; the same command continues", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("stopped by Ctrl-C; the same command continues", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        sys.stderr.close()
        return 1


def launch(main: Main) -> None:
    """End the process with the status of a command."""
    sys.exit(finish(main, sys.argv[1:]))


def usage() -> str:
    """What `medbench` alone prints."""
    lines = ["usage: medbench COMMAND [key=value ...] [options]", "", "commands:"]
    return "\n".join([*lines, *table(COMMANDS.items()), "", "medbench COMMAND --help says more."])


def dispatch(argv: list[str]) -> int:
    """`medbench COMMAND ...`: only the named command's module is imported."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if argv[0] not in COMMANDS:
        close = nearest(argv[0], COMMANDS) or f"; commands are {', '.join(COMMANDS)}."
        raise UserError(f"medbench {argv[0]} is not known{close}")
    import importlib

    module = importlib.import_module(f"medbench.{argv[0]}")
    return int(module.main(argv[1:]))


def main() -> None:
    """The console script `medbench`."""
    launch(dispatch)
