"""`python -m medbench.prepare data=NAME`: do once what is expensive, and keep it by content."""

import json
import os
from pathlib import Path
from typing import Any

from datamodules.base import DataModule
from datamodules.preparing import Preparation, prepare
from medbench.blocks import Config
from medbench.cli import launch, parse, table
from medbench.config import load
from medbench.core.classes import load_class
from medbench.core.errors import UserError, nearest
from medbench.core.files import check_writable
from medbench.core.values import check_value
from medbench.datasets import compose_data, open_data
from medbench.library import Library
from medbench.settings import SCALES, RunSettings, defaults
from medbench.words import read_words

KEYS = ("data", "prepare", "method", "scale", "out", "workers")
USAGE = """\
usage: python -m medbench.prepare data=NAME data.root=DIR [key=value ...] [options]

Computes once what is expensive about a dataset, such as a resized copy of large images, and writes
it under out=. What is there is kept: the same command goes on after a stop, and other data or
settings get a folder of their own.

  data=NAME        a dataset, and its settings: data.root=DIR data.image_size=64
  prepare=NAME     one of what the dataset offers, several as [a,b], or all; without it the only one
  method=NAME      with this method's settings of its dataset, as a run has them
  scale=tiny       tiny or paper: what the dataset's file sets at a scale
  workers=N        processes; without it one for each core
  out=outputs      folder that everything is written under

Options: --list (what the dataset offers), --json, --config-dir DIR."""


def main(argv: list[str]) -> int:
    """0 when everything asked for is there, 2 after a mistake."""
    lists = "--list" in argv
    arguments = parse([word for word in argv if word != "--list"])
    if arguments.help:
        print(USAGE)
        return 0
    library = Library(arguments.config_dirs)
    asked = understand(arguments.words)
    out = Path(asked.get("out") or defaults(RunSettings)["out"]).expanduser().resolve()
    module = _open(asked, library)
    offered = module.preparations()
    if lists:
        print(_listed(offered, out, arguments.json))
        return 0
    chosen = [offered[name] for name in choose(asked.get("prepare"), offered, asked["data"])]
    mistakes = module.check()
    if mistakes:
        raise UserError(*mistakes)
    check_writable(out)
    workers = asked.get("workers") or len(os.sched_getaffinity(0))
    folders = {one.name: prepare(one, out, workers=workers) for one in chosen}
    for line in module.funnel():
        print(line)
    if arguments.json:
        print(json.dumps({name: str(folder) for name, folder in folders.items()}, indent=1))
    else:
        for name, folder in folders.items():
            print(f"{name}: {folder}")
        print(f"use it: data.prepared={out / 'prepared'}")
    return 0


def understand(words: list[str]) -> Config:
    """The command's words, all mistakes together."""
    asked, mistakes = read_words(words, KEYS, "prepare")
    if "name" not in asked.get("data", {}) and "method" not in asked:
        mistakes.append("data=NAME is missing. List them with: python -m medbench.run --list data")
    wrong = check_value("int | None", asked.get("workers"))
    mistakes += [f"workers {wrong}."] if wrong else []
    if asked.get("scale", SCALES[0]) not in SCALES:
        mistakes.append(f"scale={asked['scale']} is not known; it is {' or '.join(SCALES)}.")
    if mistakes:
        raise UserError(*mistakes)
    return asked


def _open(asked: Config, library: Library) -> DataModule:
    """The dataset, without a prepared copy unless one is made from another."""
    scale = asked.get("scale", SCALES[0])
    given = asked.get("data", {})
    data = {key: value for key, value in given.items() if key != "prepared"}
    if "method" in asked:
        words = [f"method={asked['method']}", f"scale={scale}"]
        words += [f"data.{key}={_typed(v)}" for key, v in data.items() if key != "name"]
        words += [f"data={data['name']}"] if "name" in data else []
        block = load(words, library)["data"]
    else:
        block = compose_data(data, scale, library)
    asked.setdefault("data", {})["name"] = block["name"]
    if "prepared" in block:
        builds_on = load_class(block["class"]).builds_on_prepared
        block |= {"prepared": given.get("prepared") if builds_on else None}
    module = open_data(block)
    module.preparing = True
    return module


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def choose(asked: Any, offered: dict[str, Preparation], data: Config) -> list[str]:
    """The names of the preparations to make."""
    names = list(offered)
    if not names:
        raise UserError(
            f"data={data['name']} offers nothing to prepare with these settings; a resized copy "
            "needs data.image_size."
        )
    if asked == "all":
        return names
    if asked is None:
        if len(names) > 1:
            raise UserError(f"prepare=NAME is missing; choose of {', '.join(names)}, or all.")
        return names
    wanted = [str(name) for name in (asked if isinstance(asked, list) else [asked])]
    for name in wanted:
        if name not in offered:
            close = nearest(name, names) or "."
            raise UserError(
                f"prepare={name} is not known{close} data={data['name']} offers {', '.join(names)}."
            )
    return wanted


def _listed(offered: dict[str, Preparation], out: Path, as_json: bool) -> str:
    if as_json:
        found = {
            name: {"keys": len(one.keys), "settings": one.settings, "folder": str(one.folder(out))}
            for name, one in offered.items()
        }
        return json.dumps(found, indent=1)
    rows = [(n, f"{len(one.keys)} {one.unit}s, {one.settings}") for n, one in offered.items()]
    return "\n".join(table(rows)) if rows else "nothing with these settings"


if __name__ == "__main__":
    launch(main)
