"""What turns images into features: a backbone, a layer and a resize rule."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from medbench.core.errors import UserError
from medbench.core.fingerprint import fingerprint

RESIZE = "antialias bilinear"


class Extractor(Protocol):
    """Features of images in [-1, 1], and scores where the network judges as well."""

    fingerprint: str  # of the weights, the layer and the resize rule
    label_names: list[str]  # of the scores; empty where there are none
    channels: int  # of the images it takes

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """A (C, H, W) image as the network takes it, (C, size, size) float32; thread-safe."""
        ...

    def extract(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, d) features and (n, K) scores of (n, C, size, size) images, in one forward pass."""
        ...


class StageExtractor:
    """The pooled layer of a fitted classifier stage, and its scores."""

    layer = "pooled"

    def __init__(self, stage: str, size: int, resize: str = RESIZE, device: str = "cpu") -> None:
        from omegaconf import OmegaConf

        from lit_models.backbones.classifier import open_classifier

        if resize != RESIZE:
            raise UserError(f"resize={resize!r} is not known; known is {RESIZE!r}.")
        self.size, self.resize, self.device = size, resize, device
        self._network: Any = open_classifier(stage, device)
        self.label_names = list(self._network.label_names)
        self.channels = next(self._network.parameters()).shape[1]
        config: Any = OmegaConf.load(Path(stage) / "config.yaml")
        self.stage_fingerprint = str(config["fingerprint"])
        self.fingerprint = fingerprint([self.stage_fingerprint, self.layer, resize, size])

    def prepare(self, image: np.ndarray) -> np.ndarray:
        return resized(image, self.size)

    def extract(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        import torch

        with torch.inference_mode():
            features, scores = self._network.look(torch.from_numpy(images))
        return features.float().cpu().numpy(), scores.float().cpu().numpy()


def resized(image: np.ndarray, size: int) -> np.ndarray:
    """A (C, H, W) image as (C, size, size) by antialiased bilinear interpolation, in float32.

    The aspect ratio is not kept; an image of the right size comes back as it is."""
    if image.shape[1:] == (size, size):
        return np.ascontiguousarray(image, dtype=np.float32)
    from PIL import Image

    planes = [Image.fromarray(np.asarray(plane, np.float32)) for plane in image]
    shrunk = [plane.resize((size, size), Image.Resampling.BILINEAR) for plane in planes]
    return np.stack([np.asarray(plane) for plane in shrunk])


def open_extractors(protocol: dict[str, Any], device: str = "cpu") -> dict[str, Extractor]:
    """The extractors that a protocol names, whose `stage` must be folders by now."""
    found: dict[str, Extractor] = {}
    for name, block in protocol["extractors"].items():
        stage = str(block["stage"])
        if stage.startswith("stage:") or not Path(stage).is_dir():
            raise UserError(missing_stage(name, stage))
        found[name] = StageExtractor(**(block | {"stage": stage}), device=device)
    return found


def missing_stage(name: str, stage: str) -> str:
    """What to do when the stage of an extractor is not at hand."""
    if not stage.startswith("stage:"):
        return f"extractors.{name}.stage={stage} is not a folder; name that of a fitted stage."
    wanted = stage.removeprefix("stage:")
    return (
        f"The extractor {name} needs the stage {wanted}, which is fitted on phantom data. Name its "
        f"folder, outputs/stages/{wanted}-FINGERPRINT, with extractors.{name}.stage=DIR; a run of "
        "a method under this protocol fits it."
    )
