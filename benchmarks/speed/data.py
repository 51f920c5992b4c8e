"""Time of both check levels on 10,000 files, and what a prepared copy saves of an epoch.

    python -m benchmarks.speed.data [files] [levels|copies]

Two layouts: a folder of frames, and MIMIC-CXR-JPG with its tables and reports. `own` are seconds of
the processor, children included: what other work on the machine does not change."""

import io
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from PIL import Image

from datamodules.base import DataModule, Level
from datamodules.folder import Folder
from datamodules.inspection import inspect_files
from datamodules.mimic_cxr_jpg import MimicCxrJpg
from datamodules.phantom import colonoscopy
from datamodules.phantom.writing import write_layout
from datamodules.preparing import prepare
from medbench.core.batch import collate

T = TypeVar("T")
DIFFERENT = 100  # drawn frames; the files repeat them
SIDE, SMALL, LARGE = 576, 64, 2048
LOADED, FILMS = 400, 40
VIEWS = ("PA", "AP", "lateral", "other")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    asked = sys.argv[2:] or ["levels", "copies"]
    with tempfile.TemporaryDirectory() as place:
        if "levels" in asked:
            levels(Path(place), count)
        if "copies" in asked:
            copies(Path(place))


def timed(what: str, work: Callable[[], T]) -> T:
    began, before = time.perf_counter(), os.times()
    found = work()
    wall, after = time.perf_counter() - began, os.times()
    own = sum(after[:4]) - sum(before[:4])
    print(f"{what:<44} {wall:>7.2f} s {own:>7.2f} s own", flush=True)
    return found


# both levels ---------------------------------------------------------------------
def levels(place: Path, count: int) -> None:
    """Every check as the doctor makes it, of new datasets; and one process against all cores."""
    paths = sorted(frames(place / "many", count, SMALL).iterdir())
    look = partial(inspect_files, paths, "full", quiet=True)
    check_both("folder", partial(Folder, str(place / "many")), place, count)
    timed("folder, decoding alone, 1 process", partial(look, workers=1))
    root = write_layout("mimic_cxr_jpg", place / "mimic", count, size=SMALL)
    mimic = partial(MimicCxrJpg, str(root), views=VIEWS, section="none")
    check_both("mimic_cxr_jpg", mimic, place, count)
    texts = partial(MimicCxrJpg, str(root))
    check_both("mimic_cxr_jpg, its views with reports", texts, place / "texts", count)


def check_both(name: str, opened: Callable[[], DataModule], work: Path, count: int) -> None:
    rounds: tuple[tuple[Level, str], ...]
    rounds = (("fast", "fast"), ("full", "full"), ("full", "full again, resumed"))
    for level, what in rounds:
        module = opened()
        module.work = work / "inspections"
        mistakes = timed(f"{name}, {what}", partial(module.check, level))
        if mistakes:
            raise RuntimeError(f"{name} of {count} files: {mistakes[0]}")


def frames(folder: Path, count: int, side: int) -> Path:
    """`count` JPEG files of drawn frames, DIFFERENT of them different."""
    folder.mkdir()
    packed = []
    for index in range(min(count, DIFFERENT)):
        image = colonoscopy.draw(0, "train", index, size=side).image
        buffer = io.BytesIO()
        Image.fromarray(image.transpose(1, 2, 0)).save(buffer, "JPEG", quality=95)
        packed.append(buffer.getvalue())
    for index in range(count):
        (folder / f"{index:06d}.jpg").write_bytes(packed[index % len(packed)])
    return folder


# a prepared copy -------------------------------------------------------------------
def copies(place: Path) -> None:
    """Samples a second of one process at 64 x 64, from the files and from a copy of them."""
    root = frames(place / "frames", DIFFERENT, SIDE)
    report(f"frames of {SIDE} px", partial(Folder, str(root), image_size=SMALL), "all", place / "1")
    films = write_layout("mimic_cxr_jpg", place / "films", FILMS, size=LARGE, traps="off")
    opened = partial(MimicCxrJpg, str(films), image_size=SMALL)
    report(f"radiographs of {LARGE} px", opened, "train", place / "2")


def report(what: str, opened: Callable[..., DataModule], split: str, out: Path) -> None:
    plain = opened()
    slow = sample_rate(plain, split)
    preparation = plain.preparations()["resized"]
    began = time.process_time()
    prepare(preparation, out, quiet=True)
    each = 1000 * (time.process_time() - began) / len(preparation.keys)
    fast = sample_rate(opened(prepared=str(out)), split)
    print(f"{what}, from files: {slow:.0f} samples/s")
    print(f"{what}, prepared:   {fast:.0f} samples/s, {fast / slow:.0f} x ({each:.1f} ms to make)")


def sample_rate(module: DataModule, name: str) -> float:
    """Samples a second of the processor, in batches of 8."""
    split = module.split(name)
    n = min(LOADED, 8 * len(split))
    collate([split[i % len(split)] for i in range(8)])
    began = time.process_time()
    for start in range(0, n, 8):
        collate([split[i % len(split)] for i in range(start, start + 8)])
    return n / (time.process_time() - began)


if __name__ == "__main__":
    main()
