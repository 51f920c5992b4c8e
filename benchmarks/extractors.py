"""What turns images into features: a network, a layer and a resize rule."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.images import ANTIALIAS as RESIZE
from benchmarks.images import RESIZES, resized, resized_volume
from benchmarks.weights import to_device
from medbench.core.classes import load_class
from medbench.core.errors import UserError, nearest
from medbench.core.fingerprint import fingerprint

__all__ = ["NETWORKS", "RESIZE", "Extractor", "StageExtractor", "open_extractors", "resized"]

NETWORKS = {
    "inception": "benchmarks.pretrained.Inception",
    "inception_logits": "benchmarks.pretrained.InceptionLogits",
    "xrv_densenet121": "benchmarks.pretrained.XrayDenseNet",
    "dinov2": "benchmarks.pretrained.VisionTransformer",
    "rad_dino": "benchmarks.pretrained.RadDino",
    "clip": "benchmarks.pretrained.ClipVision",
    "med3d_resnet50": "benchmarks.volumes.Med3d",
    "med3d_resnet10": "benchmarks.volumes.Med3d10",
    "radiomics": "benchmarks.texture.Radiomics",
}


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

        if resize not in RESIZES:
            raise UserError(f"resize={resize!r} is not known; known are {', '.join(RESIZES)}.")
        self.size, self.resize, self.device = size, resize, device
        self._network: Any = open_classifier(stage, device)
        self.label_names = list(self._network.label_names)
        to_device(self._network, device)
        first = next(self._network.parameters())
        self.channels, self.dimensions = first.shape[1], first.ndim - 2
        config: Any = OmegaConf.load(Path(stage) / "config.yaml")
        self.stage_fingerprint = str(config["fingerprint"])
        self.fingerprint = fingerprint([self.stage_fingerprint, self.layer, resize, size])
        kind = [config["class"], config["arguments"], self.layer, resize, size]
        self.kind = fingerprint(OmegaConf.to_container(OmegaConf.create({"kind": kind})))

    def prepare(self, image: np.ndarray) -> np.ndarray:
        if self.dimensions == 3:
            return resized_volume(image, self.size)
        return resized(image, self.size, self.resize)

    def extract(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        import torch

        with torch.inference_mode():
            features, scores = self._network.look(torch.from_numpy(images))
        return features.float().cpu().numpy(), scores.float().cpu().numpy()


def open_extractors(
    protocol: dict[str, Any], device: str = "cpu", instead: str = ""
) -> dict[str, Extractor]:
    """The extractors that a protocol names, whose `stage` must be folders by now.

    instead: what to type where weights are absent, such as a protocol that needs none."""
    found: dict[str, Extractor] = {}
    mistakes: list[str] = []
    for name, block in (protocol.get("extractors") or {}).items():
        if block is None:
            continue
        try:
            found[name] = _open(name, block, device, instead)
        except UserError as error:
            mistakes += error.mistakes
    if mistakes:
        raise UserError(*mistakes)
    return found


def _open(name: str, block: dict[str, Any], device: str, instead: str) -> Extractor:
    given = {key: value for key, value in block.items() if value is not None}
    network = given.pop("network", None)
    if network is None:
        stage = str(given.get("stage"))
        if stage.startswith("stage:") or not Path(stage).is_dir():
            raise UserError(missing_stage(name, stage))
        return StageExtractor(**given, device=device)
    if "stage" in given:
        raise UserError(f"extractors.{name} names a network and a stage; set one of them to null.")
    if network not in NETWORKS:
        close = nearest(str(network), NETWORKS) or f"; known are {', '.join(NETWORKS)}."
        raise UserError(f"extractors.{name}.network={network} is not known{close}")
    kind: Callable[..., Extractor] = load_class(NETWORKS[network])
    return kind(
        given.get("weights"),
        given.get("size"),
        given.get("resize", RESIZE),
        device,
        name,
        instead,
    )


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
