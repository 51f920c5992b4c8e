"""Store what independent implementations make of the same inputs, for tests/benchmarks.

    PYTHON tests/benchmarks/reference/make.py

PYTHON needs torch-fidelity, pytorch-fid, clean-fid, prdc and pytorch-msssim beside this project's
own packages. It writes inputs.npz and values.json next to itself; the tests need none of the
tools."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

FOLDER = Path(__file__).parent
TOOLS = ("torch-fidelity", "pytorch-fid", "clean-fid", "torchmetrics", "prdc", "pytorch-msssim")
LIBRARIES = ("scikit-learn", "scipy", "scikit-image", "monai", "torch", "numpy")
Arrays = dict[str, np.ndarray]


def inputs() -> Arrays:
    rng = np.random.default_rng(20)
    mixing = rng.normal(size=(48, 48)) / 7
    real = np.maximum(rng.normal(size=(320, 48)) @ mixing, 0)  # as pooled layers give them
    fake = np.maximum(rng.normal(size=(280, 48)) @ mixing * 1.1 + 0.1, 0)
    labels = (rng.random(400) < 0.3).astype(float)
    scores = np.round(np.clip(0.5 + 0.2 * labels + 0.2 * rng.normal(size=400), 0, 1), 2)  # ties
    return {
        "real": real.astype(np.float32),
        "fake": fake.astype(np.float32),
        "logits": rng.normal(size=(205, 12)).astype(np.float32) * 2,
        "labels": labels,
        "scores": scores,
        "images": alike(pictures(rng, 4, 3, 181)),
        "small": alike(pictures(rng, 2, 1, 112)),
        "masks": rng.random((6, 2, 12, 14)) < np.linspace(0.2, 0.7, 6)[:, None, None, None],
        "first": rng.normal(0.4, 1, 32),
        "second": rng.normal(0, 2, 30),
    }


def pictures(rng: np.random.Generator, n: int, channels: int, size: int) -> np.ndarray:
    """Smooth noise as 8-bit images (n, C, H, W), with an odd side where `size` is odd."""
    from scipy.ndimage import zoom

    coarse = rng.random((n, channels, size // 12, size // 12))
    smooth = zoom(coarse, (1, 1, size / (size // 12), size / (size // 12)), order=1)
    return np.round(smooth * 255).astype(np.uint8)


def alike(images: np.ndarray) -> np.ndarray:
    """The second half of the images blended with the first, so that pairs share structure."""
    half = len(images) // 2
    blend = np.round(0.6 * images[:half] + 0.4 * images[half:])
    return np.concatenate([images[:half], blend.astype(np.uint8)])


def main() -> None:
    given = inputs()
    np.savez_compressed(FOLDER / "inputs.npz", **given)
    found: dict[str, Any] = {
        "made_with": {name: version(name) for name in (*TOOLS, *LIBRARIES)},
        "frechet": frechet(given["real"], given["fake"]),
        "frechet_few": frechet(given["real"][:40], given["fake"][:36]),
        "kernel": kernel(given["real"][:280], given["fake"]),
        "neighbours": neighbours(given["real"], given["fake"]),
        "inception": inception(given["logits"]),
        "similarity": similarity(given["images"], given["small"]),
        "ranking": ranking(given["scores"], given["labels"]),
        "overlap": overlap(given["masks"]),
        "tests": tests(given["first"], given["second"]),
        "texture": texture(given["small"][0, 0]),
    }
    text = json.dumps(found, indent=1, default=float)
    (FOLDER / "values.json").write_text(text + "\n", encoding="utf-8")


def frechet(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    from cleanfid.fid import frechet_distance
    from pytorch_fid.fid_score import calculate_frechet_distance
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torchmetrics.image.fid import _compute_fid

    x, y = real.astype(np.float64), fake.astype(np.float64)
    moments = [x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False)]
    tensors = [torch.from_numpy(moment) for moment in moments]
    statistics = [fid_features_to_statistics(torch.from_numpy(z)) for z in (x, y)]
    fidelity = fid_statistics_to_metric(*statistics, False)
    return {
        "pytorch-fid": calculate_frechet_distance(*moments),
        "clean-fid": frechet_distance(*moments),
        "torchmetrics": _compute_fid(*tensors).item(),
        "torch-fidelity": fidelity["frechet_inception_distance"],
        "traces": float(np.trace(moments[1]) + np.trace(moments[3])),
    }


def kernel(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import pairwise_distances
    from torch_fidelity.metric_kid import kernel_mmd

    x, y = real.astype(np.float64), fake.astype(np.float64)
    distances = pairwise_distances(np.concatenate([x, y]), metric="sqeuclidean")
    median = float(np.median(distances[np.triu_indices(len(distances), 1)]))
    rbf = {"kid_kernel": "rbf", "kid_kernel_rbf_sigma": (median / 2) ** 0.5}
    units = [z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x, y)]
    return {
        "kid": float(kernel_mmd(x, y, kid_kernel="poly", **KID_POLY)),
        "mmd_rbf_median": float(kernel_mmd(x, y, **rbf)),
        "cmmd": cmmd(*units),
    }


KID_POLY = {"kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1}


def cmmd(x: np.ndarray, y: np.ndarray) -> float:
    """The formula of the paper's code, by scikit-learn's kernel matrix."""
    from sklearn.metrics.pairwise import rbf_kernel

    sums = [rbf_kernel(a, b, gamma=1 / 200).mean() for a, b in ((x, x), (y, y), (x, y))]
    return float(1000 * (sums[0] + sums[1] - 2 * sums[2]))


def neighbours(real: np.ndarray, fake: np.ndarray) -> dict[str, Any]:
    from prdc import compute_prdc
    from torch_fidelity.metric_prc import prc_features_to_metric

    x, y = (torch.from_numpy(z.astype(np.float64)) for z in (real, fake))
    about = {"prc_neighborhood": 3, "prc_batch_size": 100, "save_cpu_ram": True, "verbose": False}
    found = compute_prdc(x.numpy(), y.numpy(), nearest_k=5)
    return {
        "torch-fidelity": prc_features_to_metric(y, x, **about),
        "prdc": {name: float(value) for name, value in found.items()},
    }


def inception(logits: np.ndarray) -> dict[str, float]:
    from torch_fidelity.metric_isc import isc_features_to_metric

    features = torch.from_numpy(logits)
    return {
        str(splits): isc_features_to_metric(features, splits=splits, shuffle=False)[
            "inception_score_mean"
        ]
        for splits in (1, 10)
    }


def similarity(images: np.ndarray, small: np.ndarray) -> dict[str, Any]:
    import pytorch_msssim
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    x = torch.from_numpy(images / 255.0)
    one, other = small[0, 0] / 255.0, small[1, 0] / 255.0
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363])
    about = {"data_range": 1.0, "size_average": False}
    four = pytorch_msssim.ms_ssim(x[:2], x[2:], weights=(weights / weights.sum()).tolist(), **about)
    return {
        "ms_ssim": pytorch_msssim.ms_ssim(x[:2], x[2:], **about).tolist(),
        "ssim": pytorch_msssim.ssim(x[:2], x[2:], **about).tolist(),
        "ssim_small": structural_similarity(
            one, other, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1
        ),
        "psnr_small": peak_signal_noise_ratio(one, other, data_range=1),
        "ms_ssim_4": four.tolist(),
    }


def ranking(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    from scipy.stats import pearsonr
    from sklearn.metrics import roc_auc_score

    return {"auroc": roc_auc_score(labels, scores), "pearson": pearsonr(scores, labels)[0]}


def overlap(masks: np.ndarray) -> dict[str, list[float]]:
    from monai.metrics import compute_dice, compute_iou

    real, fake = (torch.from_numpy(masks[:, i : i + 1].astype(np.float32)) for i in (0, 1))
    return {
        "dice": compute_dice(fake, real)[:, 0].tolist(),
        "iou": compute_iou(fake, real)[:, 0].tolist(),
    }


def tests(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    from scipy.stats import t

    n, m = len(first), len(second)
    gap, variances = first.mean() - second.mean(), (first.var(ddof=1), second.var(ddof=1))
    pooled = ((n - 1) * variances[0] + (m - 1) * variances[1]) / (n + m - 2)
    a, b = variances[0] / n, variances[1] / m
    freedom = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (m - 1))
    return {
        "p_student": t.sf(gap / np.sqrt(pooled * (1 / n + 1 / m)), n + m - 2),
        "p_welch": t.sf(gap / np.sqrt(a + b), freedom),
    }


def texture(image: np.ndarray) -> dict[str, float]:
    from skimage.feature import graycomatrix, graycoprops

    levels = image.astype(int) * 32 // 255
    levels = np.clip(levels, 0, 31).astype(np.uint8)
    directions = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
    found = {}
    for distance in (1,):
        counts = graycomatrix(levels, [distance], directions, 32, symmetric=True)
        whole = counts.sum(axis=3, keepdims=True)
        for name in ("contrast", "dissimilarity", "homogeneity", "correlation"):
            found[f"glcm{distance}_{name}"] = float(graycoprops(whole / whole.sum(), name)[0, 0])
    return found


if __name__ == "__main__":
    main()
