"""One tool measuring two folders of images, in a process of its own: seconds and peak memory.

    python -m benchmarks.speed.contestants NAME FOLDER PAIRS

FOLDER holds `real` and `fake`, PNGs of one size. Every tool gets the same network, a ResNet-18
with weights from one seed (it is as slow as a trained one), and one thread. Import time does not
count; decoding does. What a tool prints goes to the standard error."""

import importlib
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

BATCH, SIZE, CLASSES, SUBSETS = 50, 224, 1000, 100
Timed = dict[str, float]


def clock() -> tuple[float, float]:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)  # those that have ended
    return time.perf_counter(), time.process_time() + children.ru_utime + children.ru_stime


def taken(started: tuple[float, float]) -> Timed:
    """Seconds since then, by the wall and of the processor, with the loading processes that a tool
    starts; a busy machine does not stretch the second."""
    wall, cpu = (now - then for now, then in zip(clock(), started, strict=True))
    return {"seconds": wall, "cpu": cpu}


class Network(torch.nn.Module):
    """8-bit images (n, 3, H, W) to pooled features and logits in one pass."""

    num_features = 512

    def __init__(self, gives: str = "both") -> None:
        from torchvision.models import resnet18

        super().__init__()
        torch.manual_seed(0)
        self.gives, self.body = gives, resnet18(weights=None)
        self.head, self.body.fc = self.body.fc, torch.nn.Identity()
        self.requires_grad_(False).eval()

    @torch.inference_mode()
    def forward(self, images: torch.Tensor) -> Any:
        small = interpolate(images.float() / 127.5 - 1, (SIZE, SIZE), mode="bilinear")
        features = self.body(small)
        if self.gives == "features":
            return features
        logits = self.head(features)
        return logits if self.gives == "logits" else (features, logits)


class OurExtractor:
    """The same network as the harness asks for one."""

    fingerprint, channels = "resnet18 seed 0", 3
    label_names = tuple(f"class={i}" for i in range(CLASSES))

    def __init__(self) -> None:
        from benchmarks.weights import to_device

        self.network, self.seen = Network(), 0
        to_device(self.network, "cpu")  # as our extractors do

    def prepare(self, image: np.ndarray) -> np.ndarray:
        return image

    def extract(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.seen += len(images)
        features, logits = self.network(torch.from_numpy((images + 1) * 127.5))
        return features.numpy(), logits.softmax(1).numpy()


def medbench(folder: Path, pairs: int, cache: Path | None = None, spread: bool = False) -> Timed:
    """Everything in one pass; `spread` adds intervals and floors."""
    from benchmarks import harness
    from benchmarks.resampling import Halves
    from benchmarks.sources import folder_source

    extractor = OurExtractor()
    metrics: list[Any] = [
        "fid",
        {"metric": "kid", "settings": {"subset_size": _subset(folder), "subsets": SUBSETS}},
        "manifold",
        {"metric": "inception_score", "settings": {"splits": 10}},
        {"metric": "ms_ssim", "settings": {"pairs": pairs}},
    ]
    size = Image.open(next((folder / "fake").iterdir())).size[0]
    protocol = {"resolution": size, "extractors": {"net": {}}, "metrics": metrics}
    with tempfile.TemporaryDirectory() as empty:
        started = clock()
        fakes, reals = ({name: folder_source(folder / name)} for name in ("fake", "real"))
        given = (protocol, fakes, reals, {"net": extractor}, cache or Path(empty), 0, True)
        if spread:
            harness.measure(*given)  # type: ignore[arg-type]
        else:
            with (
                patch.object(Halves, "draws", lambda *_: {}),
                patch("benchmarks.kinds._floor", lambda *_: ({}, 0)),
            ):
                harness.measure(*given)  # type: ignore[arg-type]
        return taken(started) | {"images": extractor.seen}


def medbench_cached(folder: Path, pairs: int) -> Timed:
    """With the features of the real set at hand."""
    with tempfile.TemporaryDirectory() as cache:
        medbench(folder, 2, Path(cache))
        return medbench(folder, pairs, Path(cache))


def medbench_spread(folder: Path, pairs: int) -> Timed:
    return medbench(folder, pairs, spread=True)


def torch_fidelity(folder: Path, pairs: int) -> Timed:
    """FID, KID, inception score and precision and recall of features that it shares."""
    tool = importlib.import_module("torch_fidelity")
    base = importlib.import_module("torch_fidelity.feature_extractor_base").FeatureExtractorBase
    registry = importlib.import_module("torch_fidelity.registry")

    class Features(base):  # type: ignore[misc, valid-type]
        def __init__(self, name: str, features_list: list[str], **rest: Any) -> None:
            super().__init__(name, features_list)
            self.network = Network()

        @staticmethod
        def get_provided_features_list() -> tuple[str, str]:
            return "features", "logits"

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return "logits" if metric == "isc" else "features"

        @staticmethod
        def can_be_compiled() -> bool:
            return False

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            found = dict(zip(("features", "logits"), self.network(images), strict=True))
            return tuple(found[name] for name in self.features_list)

    registry.register_feature_extractor("net", Features)
    asked = dict.fromkeys(("fid", "kid", "isc", "prc"), True)
    about = {"feature_extractor": "net", "cuda": False, "batch_size": BATCH, "verbose": False}
    folders = {"input1": str(folder / "fake"), "input2": str(folder / "real")}
    started = clock()
    tool.calculate_metrics(
        **folders, **asked, **about, kid_subset_size=_subset(folder), cache=False,
        kid_subsets=SUBSETS, samples_shuffle=False,
    )  # fmt: skip
    return taken(started)


def torchmetrics(folder: Path, pairs: int) -> Timed:
    """FID, KID and inception score, each with its own forward passes."""
    image = importlib.import_module("torchmetrics.image")
    frechet = importlib.import_module("torchmetrics.image.fid").FrechetInceptionDistance
    kernel = importlib.import_module("torchmetrics.image.kid").KernelInceptionDistance
    started = clock()
    fid = frechet(feature=Network("features"))
    kid = kernel(feature=Network("features"), subsets=SUBSETS, subset_size=_subset(folder))
    score = image.inception.InceptionScore(feature=Network("logits"))
    for name in ("real", "fake"):
        for images in _batches(folder / name):
            for metric in (fid, kid):
                metric.update(images, real=name == "real")
            if name == "fake":
                score.update(images)
    for metric in (fid, kid, score):
        metric.compute()
    return taken(started)


def prdc(folder: Path, pairs: int) -> Timed:
    """Density and coverage of features that are made for it; `seconds_after` is without these."""
    tool = importlib.import_module("prdc")
    started = clock()
    network = Network("features")
    real, fake = (
        np.concatenate([network(images).numpy() for images in _batches(folder / name)])
        for name in ("real", "fake")
    )
    made = clock()
    tool.compute_prdc(real, fake, nearest_k=5)
    after = {f"{name}_after": value for name, value in taken(made).items()}
    return taken(started) | after


def pytorch_msssim(folder: Path, pairs: int) -> Timed:
    tool = importlib.import_module("pytorch_msssim")
    started = clock()
    files = sorted((folder / "fake").iterdir())
    images = torch.stack([_decoded(file) for file in files]).float()
    order = np.random.default_rng(0).integers(0, len(files), (pairs, 2))
    for one, other in order:
        tool.ms_ssim(images[one][None], images[other][None], data_range=255)
    return taken(started)


CONTESTANTS: dict[str, Callable[[Path, int], Timed]] = {
    "medbench": medbench,
    "medbench_cached": medbench_cached,
    "medbench_spread": medbench_spread,
    "torch_fidelity": torch_fidelity,
    "torchmetrics": torchmetrics,
    "prdc": prdc,
    "pytorch_msssim": pytorch_msssim,
}


def _subset(folder: Path) -> int:
    return min(len(list((folder / name).iterdir())) for name in ("real", "fake")) // 2


def _decoded(file: Path) -> torch.Tensor:
    pixels = np.asarray(Image.open(file).convert("RGB"))
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())


def _batches(folder: Path) -> Iterator[torch.Tensor]:
    files = sorted(folder.iterdir())
    for start in range(0, len(files), BATCH):
        yield torch.stack([_decoded(file) for file in files[start : start + BATCH]])


def main() -> None:
    name, folder, pairs = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    with redirect_stdout(sys.stderr):
        found = CONTESTANTS[name](folder, pairs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found | {"peak_mb": peak}))


if __name__ == "__main__":
    main()
