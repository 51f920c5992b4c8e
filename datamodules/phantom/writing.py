"""A phantom on disk as a real release would lie there: which layouts there are, and the marker.

A layout is a module with `QUIRKS` (name: sentence) and `write(dest, n, *, seed, size, traps, ...)`.
It writes tables first, then images, and the truth beside the folder, where no reader looks."""

import importlib
import inspect
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal, TypeVar

from datamodules.base import PHANTOM_MARKER
from medbench.core.errors import UserError, nearest
from medbench.core.files import disk_error, write_json
from medbench.core.progress import Progress
from medbench.core.values import check_value, convert_value

T = TypeVar("T")
Traps = Literal["forced", "natural", "off"]
TRAPS = ("forced", "natural", "off")
VERSION = 1  # of the files; raised when the same words write other ones
PLACE = "datamodules.phantom.layouts"
LAYOUTS = {  # what `layout=` names
    "chexpert": f"{PLACE}.chexpert",
    "ct_rate": f"{PLACE}.ct_rate",
    "ct_report": f"{PLACE}.ct_report",
    "eye_gaze_cxr": f"{PLACE}.egd_cxr",
    "gaze_combined": f"{PLACE}.gaze_combined",
    "hyper_kvasir": f"{PLACE}.hyper_kvasir",
    "kvasir_instrument": f"{PLACE}.kvasir_instrument",
    "medvqa_gi_2024": f"{PLACE}.medvqa",
    "mimic_cxr": f"{PLACE}.mimic_cxr",
    "mimic_cxr_jpg": f"{PLACE}.mimic_cxr_jpg",
    "mimic_cxr_lt": f"{PLACE}.mimic_cxr_lt",
    "mimic_iv": f"{PLACE}.mimic_iv",
    "radchest": f"{PLACE}.rad_chestct",
    "reflacx": f"{PLACE}.reflacx",
}
COMMON = ("dest", "n", "seed", "size", "traps")
_shown: ContextVar[bool] = ContextVar("shown", default=False)


def open_layout(name: str) -> Any:
    """The module of a layout."""
    if name not in LAYOUTS:
        close = nearest(name, LAYOUTS) or f"; known are {', '.join(sorted(LAYOUTS))}."
        raise UserError(f"layout={name} is not known{close}")
    return importlib.import_module(LAYOUTS[name])


def flavours_of(name: str) -> dict[str, inspect.Parameter]:
    """The settings that one layout has beyond those of all."""
    parameters = inspect.signature(open_layout(name).write).parameters
    return {key: p for key, p in parameters.items() if key not in COMMON}


def write_layout(
    layout: str,
    dest: Path,
    n: int,
    *,
    seed: int = 0,
    size: int = 128,
    traps: Traps = "forced",
    flavours: Mapping[str, Any] | None = None,
    quiet: bool = True,
) -> Path:
    """Write n images or volumes of a layout into an empty folder; the marker comes last."""
    flavours = dict(flavours or {})
    module = open_layout(layout)
    mistakes = [*_check(n, size, traps), *_check_flavours(layout, flavours)]
    if mistakes:
        raise UserError(*mistakes)
    dest = Path(dest).expanduser().resolve()
    _refuse_full(dest)
    token = _shown.set(not quiet)
    try:
        dest.mkdir(parents=True, exist_ok=True)
        module.write(dest, n, seed=seed, size=size, traps=traps, **flavours)
        write_json(dest / PHANTOM_MARKER, _marker(layout, n, seed, size, traps, flavours))
    except OSError as error:
        raise disk_error(error, dest) from error
    finally:
        _shown.reset(token)
    return dest


def _check(n: int, size: int, traps: str) -> Iterator[str]:
    if n < 1:
        yield f"n={n} must be at least 1."
    if size < 16:
        yield f"size={size} must be at least 16 pixels."
    if traps not in TRAPS:
        yield f"traps={traps} is not known; it takes {', '.join(TRAPS)}."


def _check_flavours(layout: str, flavours: Mapping[str, Any]) -> Iterator[str]:
    known = flavours_of(layout)
    for name, value in flavours.items():
        if name not in known:
            close = nearest(name, (*known, *COMMON)) or "."
            has = ", ".join(known) or "no flavours"
            yield f"{name}={value} is not known{close} Layout {layout} has: {has}."
            continue
        wrong = check_value(_annotation(known[name]), value)
        if wrong:
            yield f"{name} {wrong}."
        flavours[name] = convert_value(_annotation(known[name]), value)  # type: ignore[index]


def _annotation(parameter: inspect.Parameter) -> str | None:
    kind = parameter.annotation
    if kind is inspect.Parameter.empty:
        return None
    if isinstance(kind, type) and not hasattr(kind, "__args__"):
        return kind.__name__
    return str(kind).replace("typing.", "")


def _refuse_full(dest: Path) -> None:
    truth = truth_folder(dest)
    for folder in (dest, truth):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            whole = (dest / PHANTOM_MARKER).is_file()
            what = "a finished phantom" if whole else "something, perhaps an unfinished phantom"
            raise UserError(
                f"dest={dest}: {folder.name} holds {what}. Choose an empty folder, or delete "
                f"{dest} and {truth} first."
            )


def _marker(
    layout: str, n: int, seed: int, size: int, traps: str, flavours: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "layout": layout,
        "version": VERSION,
        "phantom": getattr(open_layout(layout), "VERSION", 1),
        "seed": seed,
        "n": n,
        "size": size,
        "traps": traps,
        "flavours": dict(flavours),
    }


# for the layouts -----------------------------------------------------------------
def steps(items: Sequence[T], label: str = "write", unit: str = "image") -> Iterator[T]:
    """The items, with a bar where a command wants one."""
    with Progress(label, len(items), unit=unit, quiet=not _shown.get()) as bar:
        for item in items:
            yield item
            bar.update(1)


def truth_folder(dest: Path) -> Path:
    """Beside the layout and not inside it, where no reader of a real release would look."""
    return dest.with_name(f"{dest.name}.truth")


def write_truth(dest: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """One line of JSON a draw."""
    folder = truth_folder(dest)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".truth.{os.getpid()}.tmp"
    with temporary.open("w", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    os.replace(temporary, folder / "truth.jsonl")
