"""`python -m datamodules.phantom write layout=NAME dest=DIR n=500`: a release of drawn data."""

import inspect
import sys
from collections.abc import Sequence
from typing import Any

import yaml

from datamodules.phantom.writing import LAYOUTS, flavours_of, open_layout, write_layout
from medbench.core.errors import UserError, nearest

USAGE = """\
usage: python -m datamodules.phantom write layout=NAME dest=DIR n=500 [key=value ...]

Writes n drawn images or volumes as a real release lies on disk, with the release's quirks, so that
its reader can be tried before a credential arrives. The folder must be empty.

  seed=0         other draws
  size=128       pixels of the short side (of each side of a volume)
  traps=forced   forced: every quirk among the first subjects; natural: at real rates; off: none

layouts (--help layout=NAME lists its quirks and its own settings):"""
WORDS = {"layout": str, "dest": str, "n": int, "seed": int, "size": int, "traps": str}


def main(argv: Sequence[str]) -> int:
    """0 when everything is written, 2 after a mistake."""
    try:
        words = _words([word for word in argv if not word.startswith("-") and "=" in word])
        if not argv or {"--help", "-h"} & set(argv):
            print("\n".join(_help(words.get("layout"))))
            return 0
        odd = [word for word in argv if "=" not in word]
        if odd != ["write"]:
            raise UserError(f"{' '.join(odd)} is not known; type: write layout=NAME dest=DIR n=N.")
        return _write(words)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped by Ctrl-C; delete the folder and type the command again", file=sys.stderr)
        return 130


def _words(argv: Sequence[str]) -> dict[str, Any]:
    words: dict[str, Any] = {}
    for word in argv:
        key, _, text = word.partition("=")
        try:
            words[key] = text if key in ("layout", "dest", "traps") else yaml.safe_load(text)
        except yaml.YAMLError:
            raise UserError(f"{word}: the value cannot be read.") from None
        kind = WORDS.get(key, object)
        if not isinstance(words[key], kind) or (isinstance(words[key], bool) and kind is int):
            raise UserError(f"{word}: a whole number is needed.")
    return words


def _write(words: dict[str, Any]) -> int:
    missing = [
        f"{key} is missing: give {key}=..." for key in ("layout", "dest") if key not in words
    ]
    if missing:
        raise UserError(*missing)
    own = {key: value for key, value in words.items() if key not in WORDS}
    layout, dest = words["layout"], words["dest"]
    flavours = flavours_of(layout)
    wrong = [key for key in own if key not in flavours]
    if wrong:
        close = nearest(wrong[0], (*WORDS, *flavours)) or "."
        raise UserError(f"{wrong[0]}={own[wrong[0]]} is not known{close}")
    given = {key: words[key] for key in ("seed", "size", "traps") if key in words}
    place = write_layout(layout, dest, words.get("n", 500), flavours=own, quiet=False, **given)
    print(f"written: {place}\ntry it: python -m medbench.doctor data={layout} data.root={place}")
    return 0


def _help(layout: str | None) -> list[str]:
    if layout is None:
        return [USAGE, *(f"  {name}" for name in sorted(LAYOUTS))]
    module = open_layout(layout)
    lines = [f"layout={layout}: {(module.__doc__ or '').splitlines()[0]}", "", "quirks:"]
    lines += [f"  {name}: {said}" for name, said in module.QUIRKS.items()]
    own = flavours_of(layout)
    lines += ["", "its own settings:" if own else "it has no settings of its own"]
    return lines + [f"  {name}={_default(parameter)}" for name, parameter in own.items()]


def _default(parameter: inspect.Parameter) -> str:
    return "..." if parameter.default is inspect.Parameter.empty else str(parameter.default)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
