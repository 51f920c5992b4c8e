"""Our values beside those of independent implementations, on the same inputs, as a table.

    python -m benchmarks.speed.agreement

Theirs were stored by tests/benchmarks/reference/make.py, so that none of the tools is needed."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.metrics.classification import area, score_of_part
from benchmarks.metrics.counterfactual import pearson
from benchmarks.metrics.ct_anatomy import arm_ttest
from benchmarks.metrics.frechet import fid
from benchmarks.metrics.kernel import cmmd, kid, mmd_rbf_median
from benchmarks.metrics.manifold import density_coverage, prc
from benchmarks.metrics.overlap import dice, iou
from benchmarks.metrics.structure import WEIGHTS, multi_scale, psnr, ssim

STORED = Path(__file__).resolve().parents[2] / "tests/benchmarks/reference"
ROUNDING = 1e-12  # differences below it are not told apart
Row = tuple[str, str, float, float, float]  # value, tool, theirs, ours, scale of the difference


def main() -> None:
    given = dict(np.load(STORED / "inputs.npz"))
    theirs = json.loads((STORED / "values.json").read_text(encoding="utf-8"))
    print("| value | tool | theirs | ours | difference |")
    print("| --- | --- | ---: | ---: | ---: |")
    for name, tool, other, own, scale in rows(given, theirs):
        tool = f"{tool} {theirs['made_with'][tool]}"
        print(f"| {name} | {tool} | {other:.9g} | {own:.9g} | {_told(abs(own - other) / scale)} |")


def rows(given: dict[str, np.ndarray], theirs: dict[str, Any]) -> Iterator[Row]:
    yield from features(given["real"], given["fake"], theirs)
    yield from classes(given, theirs)
    yield from pictures(given, theirs)


def features(real: np.ndarray, fake: np.ndarray, theirs: dict[str, Any]) -> Iterator[Row]:
    few = real[:40], fake[:36]
    for case, (x, y), note in (
        ("frechet", (real, fake), "n > d"),
        ("frechet_few", few, "n < d"),
    ):
        known, own = theirs[case], fid(x, y)
        for tool in ("pytorch-fid", "clean-fid", "torchmetrics", "torch-fidelity"):
            yield f"FID, {note}", tool, known[tool], own, known["traces"]
    same, known = real[: len(fake)], theirs["kernel"]
    whole = kid(same, fake, rng=np.random.default_rng(0), subset_size=len(fake), subsets=1)
    yield "KID", "torch-fidelity", known["kid"], whole, 1
    gauss = mmd_rbf_median(same, fake)
    yield "MMD, Gaussian", "torch-fidelity", known["mmd_rbf_median"], gauss, 1
    yield "CMMD", "scikit-learn", known["cmmd"], cmmd(same, fake), 1
    known, own_prc = theirs["neighbours"]["torch-fidelity"], prc(real, fake)
    for name, key in (("precision", "precision"), ("recall", "recall"), ("f1", "f_score")):
        yield f"{name}, k = 3", "torch-fidelity", known[key], own_prc[name], 1
    known = theirs["neighbours"]["prdc"]
    for name, value in density_coverage(real, fake).items():
        yield f"{name}, k = 5", "prdc", known[name], value, 1


def classes(given: dict[str, np.ndarray], theirs: dict[str, Any]) -> Iterator[Row]:
    logits = given["logits"].astype(np.float64)
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    edges = np.arange(11) * len(shares) // 10
    parts = [score_of_part(shares[a:b]) for a, b in pairwise(edges)]
    score = float(np.mean(parts))
    yield "Inception Score", "torch-fidelity", theirs["inception"]["10"], score, 1
    known, scores, labels = theirs["ranking"], given["scores"], given["labels"]
    yield "AUROC, with ties", "scikit-learn", known["auroc"], area(scores, labels), 1
    yield "Pearson", "scipy", known["pearson"], pearson(scores, labels), 1
    for name, value in arm_ttest(given["first"], given["second"]).items():
        if name in theirs["tests"]:
            test = f"one-tailed t-test, {name.removeprefix('p_').title()}"
            yield test, "scipy", theirs["tests"][name], value, 1


def pictures(given: dict[str, np.ndarray], theirs: dict[str, Any]) -> Iterator[Row]:
    colour, grey = (given[name].astype(np.float64) / 127.5 - 1 for name in ("images", "small"))
    known, pairs = theirs["similarity"], np.array([[0, 2], [1, 3]])
    own = multi_scale(colour, pairs, WEIGHTS)
    yield "MS-SSIM", "pytorch-msssim", known["ms_ssim"][0], float(own[0]), 1
    own = multi_scale(colour, pairs, WEIGHTS[:4] / WEIGHTS[:4].sum())
    yield "MS-SSIM, four scales", "pytorch-msssim", known["ms_ssim_4"][0], float(own[0]), 1
    yield "SSIM", "scikit-image", known["ssim_small"], float(ssim(grey[:1], grey[1:])[0]), 1
    yield "PSNR", "scikit-image", known["psnr_small"], float(psnr(grey[:1], grey[1:])[0]), 1
    masks = ({"lung": given["masks"][:, side]} for side in (0, 1))
    real, fake = masks
    yield "Dice", "monai", theirs["overlap"]["dice"][0], float(dice(real, fake)["lung"][0]), 1
    yield "IoU", "monai", theirs["overlap"]["iou"][0], float(iou(real, fake)["lung"][0]), 1


def _told(difference: float) -> str:
    """The power of ten that a difference stays below."""
    if difference <= ROUNDING:
        return "< 1e-12"
    return f"< {10.0 ** (np.floor(np.log10(difference)) + 1):.0e}"


if __name__ == "__main__":
    main()
