"""A finished run as the commands leave it, with numbers and pictures made up."""

import atexit
import json
import math
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from medbench.core.files import mark_complete, write_json, write_text
from medbench.core.sample_set import SampleSetWriter, write_image
from medbench.tracking.store import Store

PROMPTS = (
    "a colonoscopy image with one polyp",
    "a pink instrument in the upper left corner",
    "<script>alert('prompt')</script> & <b>bold</b> \"quoted\"",
    "two polyps and a green box, " + "with a long description " * 20,
)


def write_run(out: Path, samples: bool = True, fid: float = 31.2, **changes: Any) -> Path:
    """Writes `out/runs/METHOD-RUN` and returns it; keywords replace parts of the result."""
    result = example_result(fid) | changes
    folder = out / "runs" / f"{result['method']}-{result['run']}"
    stages = [_stage(out, name) for name in ("autoencoder", "diffusion")]
    write_json(folder / "result.json", {"stages": stages} | result)
    write_json(folder / "run.json", {"attempt": result["attempt"]})
    write_text(folder / "config.yaml", "method: msdm\nnote: <img src=x onerror=alert(1)>\n")
    if samples:
        _samples(folder)
    mark_complete(folder)
    return folder


def write_database(out: Path) -> None:
    """An empty MLflow database: making its tables takes seconds, copying it none."""
    (out / "tracking").mkdir(parents=True)
    shutil.copy(_empty_database(), out / "tracking" / "mlflow.db")


@cache
def _empty_database() -> Path:
    path = Path(tempfile.mkdtemp()) / "mlflow.db"
    Store(f"sqlite:///{path}")
    atexit.register(shutil.rmtree, path.parent)
    return path


def example_result(fid: float) -> dict[str, Any]:
    return {
        "version": 1,
        "row": "msdm",
        "method": "msdm",
        "variant": None,
        "run": "0123456789abcdef",
        "attempt": 1,
        "settings": "feedbeef00000000",
        "seed": 0,
        "scale": "tiny",
        "data": {"name": "phantom_colonoscopy", "train": "aaaa000011112222"},
        "protocol": "gi_quick",
        "phantom": True,
        "untrained": [],
        "sampling": {"guidance": 4.0},
        "provenance": {
            "git": "526c62c",
            "packages": {"torch": "2.15"},
            "device": "cpu, 2 threads",
            "seconds": 731.2,
        },
        "values": [
            distance("fid", fid, 2.1, "lower"),
            distance("kid", fid / 300, 0.011, "lower"),
            distance("precision", 0.71, 0.03, "higher"),
            distance("recall", 0.52, 0.04, "higher"),
            judged("class", 0.93, 1.0, 0.25, 0.31),
            judged("count", 0.62, 0.97, 0.3, 0.36),
            judged("corner", 0.27, 0.88, 0.25, 0.31),
        ],
    }


def distance(name: str, value: float, half: float, direction: str) -> dict[str, Any]:
    parts = {"metric": f"{name} 1 {{}}", "extractor": "eeee", "n": 500, "requests": "rrrr"}
    return {
        "name": name,
        "metric": name,
        "arm": "prompts",
        "extractor": "gi_classifier",
        "value": value,
        "low": value - half,
        "high": value + half,
        "n": 500,
        "n_real": 500,
        "direction": direction,
        "fingerprint": {"id": f"f-{name}", "parts": parts},
        "floor": {"value": value / 9, "m": 250, "generated": value * 1.1},
        "ceiling": None,
        "chance": None,
        "undefined": 0,
        "note": "500 images for 512 dimensions: biased upwards" if name == "fid" else None,
    }


def judged(name: str, value: float, ceiling: float, chance: float, bound: float) -> dict[str, Any]:
    whole = distance(f"adherence/{name}", value, 0.04, "higher")
    levels = {"value": chance, "low": chance - 0.05, "high": bound}
    return whole | {
        "metric": "adherence",
        "high": min(1.0, value + 0.03),
        "floor": None,
        "ceiling": ceiling,
        "chance": levels,
        "note": None,
    }


def _stage(out: Path, name: str) -> dict[str, Any]:
    folder = out / "stages" / f"{name}-1234"
    steps = range(0, 1500, 10)
    noise = np.random.default_rng(0).normal(0, 0.15, len(steps))
    train = [
        [s, math.exp(-s / 400 + n) + 0.02 * (name == "diffusion")]
        for s, n in zip(steps, noise, strict=True)
    ]
    curves = {
        "train/loss": [*train, [1500, math.nan]],
        "val/loss": [[s, math.exp(-s / 400) + 0.05] for s in range(0, 1500, 150)],
        "train/kl": [[s, 3 + 0.001 * s] for s in steps],
    }
    text = json.dumps({"steps": 1500, "seconds": 130.0, "curves": curves})
    write_text(folder / "metrics.json", text)
    return {
        "name": f"msdm.{name}",
        "class": f"lit_models.msdm.{name.title()}",
        "fingerprint": "1234",
        "folder": str(folder),
        "action": "reuse" if name == "autoencoder" else "fit",
        "untrained": False,
        "steps": 1500,
        "seconds": 130.0,
        "steps_per_second": 11.5,
        "parameters": 1_234_567,
    }


def _samples(folder: Path, n: int = 30) -> None:
    writer = SampleSetWriter(folder / "samples", {"run": "0123456789abcdef"}, bits=8)
    for index in range(n):
        record = {
            "sample_id": f"s{index}",
            "subject_id": f"p{index}",
            "seed": index,
            "request": {"text": PROMPTS[index % len(PROMPTS)], "meta": {}},
        }
        writer.write("prompts", index, _disc(index, 0.2), record)
        if index < 24:
            path = folder / "real" / "prompts" / f"{index:06d}.png"
            write_image(path, _disc(index, 0.0), 8)
    writer.finish({"prompts": n})


def _disc(seed: int, noise: float) -> np.ndarray:
    """(3, 64, 64) in [-1, 1]: a pale disc on a pink ground."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:64, 0:64] / 64
    cx, cy, r = rng.uniform((0.3, 0.3, 0.08), (0.7, 0.7, 0.25))
    inside = 1 / (1 + np.exp(((x - cx) ** 2 + (y - cy) ** 2 - r**2) * 300))
    ground = np.array([0.5, -0.3, -0.3])[:, None, None] - 0.6 * ((x - 0.5) ** 2 + (y - 0.5) ** 2)
    image = ground + inside * np.array([0.3, 0.6, 0.4])[:, None, None]
    return np.clip(image + rng.normal(0, noise, image.shape), -1, 1)
