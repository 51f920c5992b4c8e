"""Metrics against independent implementations: values stored by reference/make.py."""

import json
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.metrics import radiomics
from benchmarks.metrics.classification import area, inception_score, score_of_part
from benchmarks.metrics.counterfactual import pearson
from benchmarks.metrics.ct_anatomy import arm_ttest
from benchmarks.metrics.frechet import fid
from benchmarks.metrics.kernel import cmmd, kid, mmd_rbf_median
from benchmarks.metrics.manifold import density_coverage, manifold, prc
from benchmarks.metrics.overlap import dice, iou
from benchmarks.metrics.structure import WEIGHTS, ms_ssim_k, multi_scale, psnr, ssim

FOLDER = Path(__file__).parent / "reference"
SINGLE = 2e-6  # the reference computes in single precision


@cache
def given() -> dict[str, np.ndarray]:
    return dict(np.load(FOLDER / "inputs.npz"))


@cache
def stored() -> dict[str, Any]:
    return dict(json.loads((FOLDER / "values.json").read_text(encoding="utf-8")))


def stream() -> np.random.Generator:
    return np.random.default_rng(0)


def images(name: str) -> np.ndarray:
    """8-bit images as the contract has them, in [-1, 1]."""
    return given()[name].astype(np.float64) / 127.5 - 1


@pytest.mark.parametrize("tool", ["pytorch-fid", "clean-fid", "torchmetrics", "torch-fidelity"])
@pytest.mark.parametrize(("case", "n", "m"), [("frechet", 320, 280), ("frechet_few", 40, 36)])
def test_fid_agrees_within_a_millionth_of_the_traces(tool: str, case: str, n: int, m: int) -> None:
    """With more and with fewer samples than the 48 dimensions."""
    found = fid(given()["real"][:n], given()["fake"][:m])
    expected = stored()[case]
    assert found == pytest.approx(expected[tool], abs=1e-6 * expected["traces"])


def test_kernel_distances_agree() -> None:
    real, fake = given()["real"][:280], given()["fake"]
    expected = stored()["kernel"]
    whole = kid(real, fake, rng=stream(), subset_size=280, subsets=2)
    assert whole == pytest.approx(expected["kid"], rel=1e-10)
    assert mmd_rbf_median(real, fake) == pytest.approx(expected["mmd_rbf_median"], rel=1e-9)
    assert cmmd(real, fake) == pytest.approx(expected["cmmd"], rel=1e-8)


def test_neighbour_scores_agree() -> None:
    """The two tools use other k and another inequality; each is matched with its own."""
    real, fake = given()["real"], given()["fake"]
    fidelity, prdc = (stored()["neighbours"][name] for name in ("torch-fidelity", "prdc"))
    found = prc(real, fake, k=3)
    assert found["precision"] == pytest.approx(fidelity["precision"], abs=1e-7)
    assert found["recall"] == pytest.approx(fidelity["recall"], abs=1e-7)
    assert found["f1"] == pytest.approx(fidelity["f_score"], abs=1e-6)
    dense = density_coverage(real, fake, k=5)
    assert dense == pytest.approx({name: prdc[name] for name in dense}, abs=1e-12)
    wide = prc(real, fake, k=5)  # nothing lies exactly on a sphere here
    assert wide["precision"] == pytest.approx(prdc["precision"])
    assert manifold(real, fake) == found | dense


def test_inception_score_agrees() -> None:
    logits = given()["logits"].astype(np.float64)
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    expected = stored()["inception"]
    assert inception_score(shares, rng=stream(), splits=1) == pytest.approx(expected["1"])
    edges = np.arange(11) * len(shares) // 10
    parts = [score_of_part(shares[a:b]) for a, b in pairwise(edges)]
    assert np.mean(parts) == pytest.approx(expected["10"])


def test_structural_similarity_agrees() -> None:
    expected = stored()["similarity"]
    pairs = np.array([[0, 2], [1, 3]])
    found = multi_scale(images("images"), pairs, WEIGHTS)
    np.testing.assert_allclose(found, expected["ms_ssim"], atol=SINGLE)
    found = ssim(images("images")[:2], images("images")[2:])
    np.testing.assert_allclose(found, expected["ssim"], atol=SINGLE)
    one, other = images("small")[:1], images("small")[1:]
    assert ssim(one, other)[0] == pytest.approx(expected["ssim_small"], abs=SINGLE)
    assert psnr(one, other)[0] == pytest.approx(expected["psnr_small"], abs=1e-9)


def test_four_scales_agree() -> None:
    """Of 181 pixels, for the reference asks for as many as five scales need."""
    pairs = np.array([[0, 2], [1, 3]])
    found = multi_scale(images("images"), pairs, WEIGHTS[:4] / WEIGHTS[:4].sum())
    np.testing.assert_allclose(found, stored()["similarity"]["ms_ssim_4"], atol=SINGLE)
    one = multi_scale(images("small"), np.array([[0, 1]]), WEIGHTS[:4] / WEIGHTS[:4].sum())
    assert ms_ssim_k(images("small"), rng=stream()) == pytest.approx(one)  # 80 < 112 <= 160


def test_ranking_and_tests_agree() -> None:
    data = given()
    expected = stored()["ranking"]
    assert area(data["scores"], data["labels"]) == pytest.approx(expected["auroc"], abs=1e-12)
    assert pearson(data["scores"], data["labels"]) == pytest.approx(expected["pearson"])
    found = arm_ttest(data["first"], data["second"])
    expected = stored()["tests"]
    assert found["p_student"] == pytest.approx(expected["p_student"])
    assert found["p_welch"] == pytest.approx(expected["p_welch"])


def test_overlap_agrees() -> None:
    masks = {side: {"lung": given()["masks"][:, i]} for i, side in enumerate(("real", "fake"))}
    expected = stored()["overlap"]
    np.testing.assert_allclose(dice(masks["real"], masks["fake"])["lung"], expected["dice"], 1e-6)
    np.testing.assert_allclose(iou(masks["real"], masks["fake"])["lung"], expected["iou"], 1e-6)


def test_co_occurrence_agrees() -> None:
    image = given()["small"][0] / 255.0 * 2 - 1
    found = dict(zip(radiomics.NAMES, radiomics.describe(image), strict=True))
    for name, value in stored()["texture"].items():
        assert found[name] == pytest.approx(value, rel=1e-9), name
