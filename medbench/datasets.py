"""One dataset out of a command's words, and what a look at it says."""

import inspect
import time
from typing import Any

from datamodules.base import DataModule
from medbench.blocks import Config
from medbench.checks import check_data
from medbench.config import Composer
from medbench.core.classes import load_class
from medbench.core.errors import UserError
from medbench.library import Library

LEVELS = ("fast", "full")
PLACES = ("name", "class", "split")


def compose_data(words: Config, scale: str, library: Library) -> Config:
    """The block of a dataset at one scale, with defaults; all its mistakes in one UserError."""
    composer = Composer(library)
    composer.scale = scale
    block = composer.dataset({}, words)
    mistakes = [*composer.mistakes, *check_data(block, library)]
    if mistakes:
        raise UserError(*mistakes)
    return block


def open_data(block: Config) -> DataModule:
    """The dataset of a composed block."""
    settings = {key: value for key, value in block.items() if key not in PLACES}
    return load_class(block["class"])(**settings)


def run_check(module: DataModule, level: str) -> list[str]:
    """A dataset's own check; one of yours may have a single level."""
    if level == "fast":
        return module.check()
    if "level" not in inspect.signature(module.check).parameters:
        raise UserError(f"{type(module).__name__} has one level of its check: leave out level.")
    return module.check("full")


def look_at(block: Config, module: DataModule, level: str) -> dict[str, Any]:
    """What there is and what is wrong, as plain values."""
    began = time.monotonic()
    mistakes = run_check(module, level)
    found: dict[str, Any] = {
        "name": block["name"],
        "phantom": module.phantom,
        "restricted": module.restricted,
        "licence": module.licence,
        "level": level,
        "funnel": [],
        "splits": {},
        "missing": mistakes,
    }
    if not mistakes:
        try:
            found["funnel"] = module.funnel()
            found["splits"], empty = count_splits(module)
            found["funnel"] += empty
        except UserError as error:
            found["missing"] = list(error.mistakes)
    return found | {"seconds": round(time.monotonic() - began, 1)}


def count_splits(module: DataModule) -> tuple[dict[str, int], list[str]]:
    """Samples of each split, and why one has none; stops when none has any."""
    counts: dict[str, int] = {}
    why: list[str] = []
    for name in module.splits:
        try:
            counts[name] = len(module.split(name))
        except UserError as error:
            counts[name] = 0
            why += error.mistakes
    if not any(counts.values()):
        raise UserError(*why)
    return counts, why


def show(found: dict[str, Any], block: Config) -> list[str]:
    """The look as lines; the last says whether the dataset can be used."""
    kind = "drawn by a phantom" if found["phantom"] else "real"
    access = ", access needs an agreement" if found["restricted"] else ""
    lines = [f"data={found['name']}: {kind}{access}; licence: {found['licence']}"]
    lines += [f"root: {block['root']}"] if block.get("root") else []
    lines += ["", *(f"  {line}" for line in found["funnel"])] if found["funnel"] else []
    if found["splits"]:
        counts = ", ".join(f"{name} {n}" for name, n in found["splits"].items())
        lines += ["", f"samples: {counts}"]
    lines += ["", f"checked at level={found['level']} in {found['seconds']} s"]
    if found["missing"]:
        return [*lines, "", *found["missing"], "", "This dataset cannot be used yet; see above."]
    hint = " Every file was decoded." if found["level"] == "full" else ""
    hint = hint or " level=full decodes every file."
    return [*lines, f"This dataset can be used.{hint}"]
