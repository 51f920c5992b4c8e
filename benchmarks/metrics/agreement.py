"""Scores of single images from embeddings and from a posture network."""

import numpy as np

from benchmarks.metrics.declaration import EMBEDDINGS, POSTURE, SAMPLES, metric
from medbench.core.errors import UserError


@metric(
    "clip_similarity",
    says="cosine of an image and its own text",
    direction="higher",
    needs=EMBEDDINGS,
    min_samples=1,
    version=1,
    kind=SAMPLES,
    source="cosine of image and text embeddings; CXRL's semantic consistency with CXR-CLIP",
)
def clip_similarity(image_embeddings: np.ndarray, text_embeddings: np.ndarray) -> np.ndarray:
    """(n,) cosine in [-1, 1] of each image with its own text; NaN for an embedding of zeros."""
    return _cosine(image_embeddings, text_embeddings)


@metric(
    "clip_score",
    says="100 times clip_similarity, never below 0",
    direction="higher",
    needs=EMBEDDINGS,
    min_samples=1,
    version=1,
    kind=SAMPLES,
    source="Hessel et al. 2021 with weight 100: 100 max(cosine, 0), as usually printed",
)
def clip_score(image_embeddings: np.ndarray, text_embeddings: np.ndarray) -> np.ndarray:
    """(n,) from 0 to 100; NaN for an embedding of zeros."""
    return np.asarray(100 * np.maximum(_cosine(image_embeddings, text_embeddings), 0))


@metric(
    "posture_alignment",
    says="how close the chest is to its canonical posture, 0 at best",
    direction="higher",
    needs=POSTURE,
    min_samples=1,
    version=1,
    kind=SAMPLES,
    source="CXRL's r_align, with the minus signs that its description asks for",
)
def posture_alignment(posture: np.ndarray) -> np.ndarray:
    """(n,) -(max(|s_x - 1|, |s_y - 1|) + |angle| / 2 pi + sqrt(t_x^2 + t_y^2)): 0 at canonical
    posture, never above. Radians, and translations in normalised coordinates (a side is 2)."""
    scale_x, scale_y, move_x, move_y, angle = np.asarray(posture, np.float64).T
    stretch = np.maximum(np.abs(scale_x - 1), np.abs(scale_y - 1))
    return np.asarray(-(stretch + np.abs(angle) / (2 * np.pi) + np.hypot(move_x, move_y)))


def _cosine(images: np.ndarray, texts: np.ndarray) -> np.ndarray:
    if images.shape != texts.shape:
        raise UserError(
            f"Image embeddings are {images.shape}, text embeddings {texts.shape}; both must be of "
            "one space and one a sample."
        )
    x, y = np.asarray(images, np.float64), np.asarray(texts, np.float64)
    lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    products = np.einsum("nd,nd->n", x, y)
    return np.where(lengths > 0, products / np.where(lengths > 0, lengths, 1), np.nan)
