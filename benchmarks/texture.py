"""Texture features as an extractor: no network and no weights, for images and volumes alike."""

from typing import Any

import numpy as np

from benchmarks.images import ANTIALIAS, resized, resized_volume
from benchmarks.metrics import radiomics
from medbench.core.fingerprint import fingerprint

VERSION = 1  # raised when the features change


class Radiomics:
    """Grey values, co-occurrence, edges and runs of an image in [-1, 1]; scores nothing.

    Volumes are described slice by slice along D, and averaged."""

    layer = "radiomics"
    accepts = (1, 3)
    channels = 1

    def __init__(
        self,
        weights: str | None = None,
        size: int | None = None,
        resize: str = ANTIALIAS,
        device: str = "cpu",
        name: str = "radiomics",
        instead: str = "",
    ) -> None:
        self.size, self.resize, self.name = size or 64, resize, name
        self.label_names: list[str] = []
        self.fingerprint = fingerprint(["radiomics", VERSION, radiomics.NAMES, resize, self.size])

    def takes(self, dimensions: int) -> bool:
        return dimensions in (2, 3)

    def prepare(self, image: np.ndarray) -> np.ndarray:
        if image.ndim == 4:
            return resized_volume(image, self.size)
        return resized(image.mean(axis=0, keepdims=True), self.size, self.resize)

    def extract(self, images: Any) -> tuple[np.ndarray, np.ndarray]:
        found = np.stack([radiomics.describe(image) for image in images])
        return found.astype(np.float32), np.empty((len(images), 0), np.float32)
