"""How long measuring takes, beside the tools that researchers use today.

    python -m benchmarks.speed.metrics folders [n=500] [pairs=1000] [rounds=3] [size=299]
    python -m benchmarks.speed.metrics frechet [rounds=3]
    python -m benchmarks.speed.metrics neighbours [n=10000]
    python -m benchmarks.speed.metrics memory [n=5000]

`folders` lets every tool measure the same two folders of n images, in turns, each in a process of
its own with one thread; the median of the rounds counts. A tool that is not installed is left out,
and said; the packages are torch-fidelity, torchmetrics, prdc, pytorch-msssim and pytorch-fid."""

import importlib
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.metrics.frechet import fid
from benchmarks.metrics.manifold import manifold
from benchmarks.speed.contestants import clock, taken

OURS = ("medbench", "medbench_cached", "medbench_spread")
TOOLS = ("torch_fidelity", "torchmetrics", "prdc", "pytorch_msssim")
Rounds = dict[str, list[dict[str, float]]]


def main() -> None:
    what = sys.argv[1] if len(sys.argv) > 1 else "folders"
    given = {key: int(value) for key, _, value in (a.partition("=") for a in sys.argv[2:])}
    known: dict[str, Callable[..., None]] = {
        "folders": folders,
        "frechet": frechet,
        "neighbours": neighbours,
        "memory": memory,
    }
    known[what](**given)


def installed(names: tuple[str, ...]) -> list[str]:
    """Those that can be imported; a sentence for each of the others."""
    found = []
    for name in names:
        if importlib.util.find_spec(name) is None:
            print(f"{name} is not installed and left out: pip install {name.replace('_', '-')}.")
        else:
            found.append(name)
    return found


# two folders of images ------------------------------------------------------------------------


def folders(n: int = 500, pairs: int = 1000, rounds: int = 3, size: int = 299) -> None:
    tools = installed(TOOLS)
    found: Rounds = {name: [] for name in (*OURS, *tools)}
    with tempfile.TemporaryDirectory() as place:
        write_images(Path(place), n, size)
        for turn in range(rounds):
            for name in found:
                found[name].append(run_one(name, Path(place), pairs))
                print(f"round {turn + 1} {name}: {found[name][-1]}", file=sys.stderr, flush=True)
    print(f"\n{n} + {n} images of {size}, {pairs} MS-SSIM pairs, median of {rounds}\n")
    print(table(found))
    for key, label in (("seconds", "by the wall"), ("cpu", "of the processor")):
        seconds = {name: _median(found[name], key) for name in found}
        for line in ratios(
            seconds, _median(found["prdc"], f"{key}_after") if "prdc" in tools else 0.0
        ):
            print(f"{label}: {line}")


def write_images(place: Path, n: int, size: int) -> None:
    """Phantom frames as PNG, other ones in each folder."""
    from PIL import Image

    from datamodules.phantom import colonoscopy

    for split, name in (("train", "real"), ("test", "fake")):
        (place / name).mkdir()
        for i in range(n):
            pixels = colonoscopy.draw(0, split, i, size=size).image.transpose(1, 2, 0)
            Image.fromarray(pixels).save(place / name / f"{i:05d}.png")


def run_one(name: str, place: Path, pairs: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.speed.contestants", name, str(place), str(pairs)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | threads
    )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def table(found: Rounds) -> str:
    lines = ["| tool | seconds | of the processor | peak memory, MB |"]
    lines.append("| --- | ---: | ---: | ---: |")
    for name, rounds in found.items():
        seconds, cpu, peak = (_median(rounds, key) for key in ("seconds", "cpu", "peak_mb"))
        lines.append(f"| {name} | {seconds:.1f} | {cpu:.1f} | {peak:,.0f} |")
    return "\n".join(lines)


def ratios(seconds: dict[str, float], neighbours_alone: float) -> list[str]:
    """What the four tools take one after another, and what a careful user's choice takes."""
    spread = seconds["medbench_spread"] / seconds["medbench"] - 1
    lines = [f"intervals and floors add {100 * spread:.0f} %"]
    if set(TOOLS) <= set(seconds):
        every = sum(seconds[name] for name in TOOLS)
        careful = seconds["torch_fidelity"] + neighbours_alone + seconds["pytorch_msssim"]
        for label, total in (("the four tools", every), ("features shared by hand", careful)):
            once, again = (total / seconds[name] for name in ("medbench", "medbench_cached"))
            lines.append(f"{label} take {total:.1f} s, {once:.1f} times; cached {again:.1f} times")
    return lines


def _median(rounds: list[dict[str, float]], key: str) -> float:
    return statistics.median(one[key] for one in rounds)


# distances on features ------------------------------------------------------------------------


def frechet(rounds: int = 3, dimensions: int = 2048) -> None:
    """Frechet distance of stored features, by each tool, and how far the values are apart."""
    found = peers_of_frechet()
    print("| n | tool | seconds | times ours | difference over traces |")
    print("| ---: | --- | ---: | ---: | ---: |")
    for n in (2000, 5000):
        x, y = (features(n, dimensions, seed) for seed in (0, 1))
        traces = float(x.var(0).sum() + y.var(0).sum())
        times_of: dict[str, list[float]] = {name: [] for name in found}
        values = {}
        for _ in range(rounds):
            for name, measure in found.items():
                started = time.process_time()  # one thread; a busy machine does not stretch it
                values[name] = measure(x, y)
                times_of[name].append(time.process_time() - started)
        middle = {name: statistics.median(times) for name, times in times_of.items()}
        for name, seconds in middle.items():
            apart = abs(values[name] - values["medbench"]) / traces
            times = seconds / middle["medbench"]
            print(f"| {n:,} | {name} | {seconds:.2f} | {times:.1f} | {apart:.0e} |", flush=True)


def peers_of_frechet() -> dict[str, Callable[[np.ndarray, np.ndarray], float]]:
    found: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {"medbench": fid}
    names = installed(("torchmetrics", "torch_fidelity", "pytorch_fid"))
    import torch

    torch.set_num_threads(1)
    if "torchmetrics" in names:
        compute = importlib.import_module("torchmetrics.image.fid")._compute_fid

        def by_torchmetrics(x: np.ndarray, y: np.ndarray) -> float:
            moments = []
            for features in (torch.from_numpy(z).double() for z in (x, y)):
                gap = features - features.mean(0)
                moments += [features.mean(0), gap.T @ gap / (len(gap) - 1)]
            return float(compute(*moments))

        found["torchmetrics"] = by_torchmetrics
    if "torch_fidelity" in names:
        tool = importlib.import_module("torch_fidelity.metric_fid")

        def by_fidelity(x: np.ndarray, y: np.ndarray) -> float:
            both = [tool.fid_features_to_statistics(torch.from_numpy(z)) for z in (x, y)]
            return float(tool.fid_statistics_to_metric(*both, False)["frechet_inception_distance"])

        found["torch_fidelity"] = by_fidelity
    if "pytorch_fid" in names:
        distance = importlib.import_module("pytorch_fid.fid_score").calculate_frechet_distance

        def by_pytorch_fid(x: np.ndarray, y: np.ndarray) -> float:
            wide = (z.astype(np.float64) for z in (x, y))
            moments = [part for z in wide for part in (z.mean(0), np.cov(z, rowvar=False))]
            return float(distance(*moments))

        found["pytorch_fid"] = by_pytorch_fid
    return found


def neighbours(n: int = 10_000, dimensions: int = 2048) -> None:
    """Precision, recall, density and coverage of two memory-mapped files of features."""
    with tempfile.TemporaryDirectory() as place:
        files = [Path(place) / f"{name}.npy" for name in ("real", "fake")]
        for seed, file in enumerate(files):
            stored = np.lib.format.open_memmap(file, "w+", np.float32, (n, dimensions))
            for start in range(0, n, 5000):
                part = features(min(5000, n - start), dimensions, 2 * start + seed)
                stored[start : start + len(part)] = part
        real, fake = (np.load(file, mmap_mode="r") for file in files)
        started = clock()
        values = manifold(real, fake)
        took = taken(started)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        print(f"{n:,} x {dimensions:,}: {took}, at most {peak:.2f} GB, {values}")


class Looking:
    """An extractor that costs next to nothing and notes the memory of the process."""

    fingerprint, channels = "2,048 grey values", 3

    def __init__(self) -> None:
        self.label_names: list[str] = []
        self.seen, self.resident = 0, [resident()]

    def prepare(self, image: np.ndarray) -> np.ndarray:
        return image

    def extract(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.seen += len(images)
        if self.seen // 500 >= len(self.resident):
            self.resident.append(resident())
        flat = images.reshape(len(images), -1)[:, :2048]
        return np.ascontiguousarray(flat), np.zeros((len(images), 0), np.float32)


def memory(n: int = 5000, size: int = 299) -> None:
    """Memory of the process while a pass over a folder goes on, every 500 images."""
    from benchmarks.features import extract
    from benchmarks.sources import folder_source

    with tempfile.TemporaryDirectory() as place:
        write_images(Path(place), 50, size)
        for i in range(50, n):
            os.link(Path(place) / f"fake/{i % 50:05d}.png", Path(place) / f"fake/{i:05d}.png")
        source, looking = folder_source(Path(place) / "fake"), Looking()
        extract(source, {"looking": looking}, size, Path(place), "memory", quiet=True)
    told = ", ".join(f"{megabytes:,.0f}" for megabytes in looking.resident)
    print(f"{n:,} images of {size}, MB before and after every 500: {told}")


def resident() -> float:
    """MB of memory that this process holds, without pages of files."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in text.splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


def features(n: int, dimensions: int, seed: int) -> np.ndarray:
    """(n, d) float32 features like those of a pooled layer: correlated, never negative."""
    mixing = np.random.default_rng(0).normal(size=(dimensions, dimensions)) / dimensions**0.5
    draws = np.random.default_rng(seed + 1).normal(size=(n, dimensions))
    return np.maximum(draws @ mixing, 0).astype(np.float32)


if __name__ == "__main__":
    main()
