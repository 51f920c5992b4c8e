"""Time of both check levels, and how fast samples come from files and from a prepared copy.

    python -m benchmarks.speed.data [files]

The files are colonoscopy phantom frames as JPEG. What is asked of a loader is what one training
step of MSDM's autoencoder at tiny scale takes."""

import io
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from datamodules.folder import Folder
from datamodules.inspection import inspect_files
from datamodules.phantom import colonoscopy
from datamodules.preparing import prepare
from lit_models.stage import Stage
from medbench.config import load
from medbench.core.batch import collate
from medbench.core.seeds import Draws
from medbench.fitting import build
from medbench.library import Library
from medbench.plan import Plan

DIFFERENT = 100  # drawn frames; the files repeat them
SIDE, SMALL, RADIOGRAPH = 576, 64, (3056, 2544)
LOADED = 400


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        levels(Path(place), count)
        loading(Path(place), "frames of 576 x 576", DIFFERENT, SIDE)
        radiographs(Path(place))
    rate, size = step_rate()
    print(f"{'asked by the tiny step':<40} {rate * size:>8.0f} samples/s ({size} a step)")


def timed(what: str, work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    print(f"{what:<40} {seconds:>8.2f} s")
    return seconds


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


def levels(place: Path, count: int) -> None:
    root = frames(place / "many", count, SMALL)
    paths = sorted(root.iterdir())
    cores = len(os.sched_getaffinity(0))
    look = partial(inspect_files, paths, quiet=True)
    timed(f"fast check of {count} files", partial(look, "fast"))
    timed("full check, 1 process", partial(look, "full", workers=1))
    timed(f"full check, {cores} processes", partial(look, "full", work=place, workers=cores))
    timed("full check again, by its journal", partial(look, "full", work=place))
    timed("check() of `folder`", Folder(str(root)).check)


def loading(place: Path, what: str, count: int, side: int) -> None:
    root = frames(place / what, count, side)
    report(what, root, place / f"out {side}")


def radiographs(place: Path) -> None:
    """Grey JPEG files as large as a radiograph of MIMIC-CXR-JPG."""
    root = place / "radiographs"
    root.mkdir()
    small = colonoscopy.draw(0, "train", 0, size=RADIOGRAPH[0] // 8).image[0]
    large = Image.fromarray(small).resize(RADIOGRAPH[::-1], Image.Resampling.BICUBIC)
    for index in range(20):
        large.save(root / f"{index}.jpg", quality=95)
    report("radiographs of 2544 x 3056", root, place / "out radiographs")


def report(what: str, root: Path, out: Path) -> None:
    """Samples a second of a folder at 64 x 64, from its files and from a prepared copy."""
    plain = Folder(str(root), image_size=SMALL)
    slow = sample_rate(plain)
    began = time.perf_counter()
    prepare(plain.preparations()["resized"], out, quiet=True)
    seconds = (time.perf_counter() - began) / len(plain.rows())
    fast = sample_rate(Folder(str(root), image_size=SMALL, prepared=str(out)))
    print(f"{what + ', from files':<40} {slow:>8.0f} samples/s")
    print(f"{what + ', prepared':<40} {fast:>8.0f} samples/s ({1000 * seconds:.1f} ms to prepare)")


def sample_rate(module: Folder) -> float:
    """Samples a second of one process, in batches."""
    split = module.split("all")
    n = min(LOADED, 8 * len(split))
    collate([split[i % len(split)] for i in range(8)])
    began = time.perf_counter()
    for start in range(0, n, 8):
        collate([split[i % len(split)] for i in range(start, start + 8)])
    return n / (time.perf_counter() - began)


def step_rate(steps: int = 30) -> tuple[float, int]:
    """Steps a second of the tiny autoencoder on one batch that is there, and its batch size."""
    with tempfile.TemporaryDirectory() as out:
        words = ["method=msdm", "data.n_train=8", "stages.autoencoder.batch_size=8", f"out={out}"]
        plan = Plan(load(words, Library()))
        stage: Stage = build(plan.stage("stage:msdm.autoencoder"))
        stage.load_parts()
    size = 8
    images = np.random.default_rng(0).uniform(-1, 1, (size, 3, SMALL, SMALL)).astype(np.float32)
    batch = {"image": torch.from_numpy(images)}
    optimizer = torch.optim.AdamW(stage.parameters(), 1e-4)
    began = 0.0
    for step in range(steps + 3):
        if step == 3:
            began = time.perf_counter()
        stage.draws = Draws(range(size))
        stage.loss(batch)["loss"].backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return steps / (time.perf_counter() - began), size


if __name__ == "__main__":
    main()
