"""Released networks as extractors: weights from a file, a folder or a hub name; never random."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmarks.images import RESIZES, resized
from benchmarks.weights import hash_state, load_state, local_file, read_state, to_device
from medbench.core.errors import UserError, nearest
from medbench.core.fingerprint import fingerprint


class Pretrained:
    """What every released network does: resize, scale, one forward pass, a name by content."""

    layer: ClassVar[str] = "pooled"
    get: ClassVar[str] = ""  # where the weights are to be had
    channels: ClassVar[int] = 3
    dimensions: ClassVar[int] = 2
    side: ClassVar[int] = 224
    label_names: list[str]

    def __init__(
        self,
        weights: str | None,
        size: int | None,
        resize: str,
        device: str,
        name: str,
        instead: str = "",
    ) -> None:
        if resize not in RESIZES:
            close = nearest(resize, RESIZES) or f"; known are {', '.join(RESIZES)}."
            raise UserError(f"extractors.{name}.resize={resize!r} is not known{close}")
        self.name, self.resize, self.device = name, resize, device
        self.size = size or self.side
        self.label_names = []
        self._network = self._open(weights, instead).eval().requires_grad_(False)
        self.weights = hash_state(self._network)
        to_device(self._network, device)
        rule = [type(self).__name__, self.layer, self.resize, self.size]
        self.kind = fingerprint(rule)  # everything but the weights
        self.fingerprint = fingerprint([*rule, self.weights])

    @property
    def accepts(self) -> tuple[int, ...]:
        """Numbers of channels of the images that it takes; grey ones are repeated."""
        return (1, 3) if self.channels == 3 else (self.channels,)

    def _open(self, weights: str | None, instead: str) -> Any:
        raise NotImplementedError

    def _see(self, images: Any) -> tuple[Any, Any]:
        """(n, d) features and (n, K) scores of a tensor in [-1, 1]."""
        raise NotImplementedError

    def prepare(self, image: np.ndarray) -> np.ndarray:
        fitted = resized(image, self.size, self.resize)
        if len(fitted) == self.channels:
            return fitted
        return np.repeat(fitted[:1], self.channels, axis=0)

    def extract(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        import torch

        with torch.inference_mode():
            features, scores = self._see(torch.from_numpy(images).to(self.device))
        return features.float().cpu().numpy(), scores.float().cpu().numpy()


class Inception(Pretrained):
    """Inception of the FID paper: 2,048 pooled features; probabilities of its 1,008 classes
    without the bias, as the Inception Score of torch-fidelity takes them."""

    side = 299
    get = (
        "Download pt_inception-2015-12-05-6726825d.pth from "
        "https://github.com/mseitzer/pytorch-fid/releases/tag/fid_weights."
    )

    def _open(self, weights: str | None, instead: str) -> Any:
        from benchmarks.inception import fid_inception

        path = local_file(weights, self.name, self.get, instead)
        network = fid_inception()
        load_state(network, read_state(path), str(path))
        self.label_names = [f"class={k}" for k in range(network.fc.out_features)]
        return network

    def _see(self, images: Any) -> tuple[Any, Any]:
        pooled = self._network(images)
        return pooled, (pooled @ self._network.fc.weight.T).softmax(1)


class InceptionLogits(Pretrained):
    """Torchvision's Inception v3: the 1,000 class outputs as features, which the organisers of
    MEDVQA-GI take for their distance; as scores their probabilities."""

    side, layer = 299, "logits"
    get = (
        "Download inception_v3_google-0cc3c7bd.pth from "
        "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth."
    )

    def _open(self, weights: str | None, instead: str) -> Any:
        from torchvision.models import Inception3

        path = local_file(weights, self.name, self.get, instead)
        network = Inception3(aux_logits=False, transform_input=False, init_weights=False)
        load_state(network, read_state(path), str(path))
        self.label_names = [f"class={k}" for k in range(network.fc.out_features)]
        return network

    def _see(self, images: Any) -> tuple[Any, Any]:
        logits = self._network(images)
        return logits, logits.softmax(1)


class XrayDenseNet(Pretrained):
    """TorchXRayVision's DenseNet-121: 1,024 pooled features and the probability of each finding,
    under the library's names in lower case."""

    channels = 1
    get = (
        "Download nih-pc-chex-mimic_ch-google-openi-kaggle-densenet121-d121-tw-lr001-rot45-tr15-"
        "sc15-seed0-best.pt from https://github.com/mlmed/torchxrayvision/releases/tag/v1."
    )

    def _open(self, weights: str | None, instead: str) -> Any:
        from torchxrayvision.models import DenseNet

        path = local_file(weights, self.name, self.get, instead)
        state = read_state(path, DenseNet)
        network = DenseNet(num_classes=len(state["classifier.bias"]))
        load_state(network, state, str(path))
        names = [str(name).lower().replace("_", " ") for name in DenseNet.targets]
        self.label_names = [FINDINGS.get(name, name) for name in names][: len(names)]
        if len(self.label_names) != len(state["classifier.bias"]):
            raise UserError(
                f"weights={path} judge {len(state['classifier.bias'])} findings; the network that "
                f"is known judges {len(self.label_names)}."
            )
        return network

    def _see(self, images: Any) -> tuple[Any, Any]:
        from torch.nn.functional import relu

        maps = relu(self._network.features(images * 1024))  # the library's range
        pooled = maps.mean(dim=(2, 3))
        return pooled, self._network.classifier(pooled).sigmoid()


FINDINGS = {"effusion": "pleural effusion", "pleural thickening": "pleural thickening"}


class VisionTransformer(Pretrained):
    """DINOv2 and RAD-DINO: the normalised class token of a transformers folder or hub name."""

    layer = "class token"
    get = "Name a folder with config.json and model.safetensors, or a hub name such as {hub}."
    hub: ClassVar[str] = "facebook/dinov2-base"

    def _open(self, weights: str | None, instead: str) -> Any:
        from transformers import AutoModel

        place, folder = self._place(weights, instead)
        network = _from_pretrained(AutoModel, place, self.name, instead)
        self._mean, self._deviation = _scaling(folder)
        return network

    def _place(self, weights: str | None, instead: str) -> tuple[str, Path | None]:
        if not weights:
            get = self.get.format(hub=self.hub)
            raise UserError(f"The extractor {self.name} needs weights. {get} {instead}".strip())
        folder = Path(weights).expanduser()
        return (str(folder), folder) if folder.is_dir() else (weights, None)

    def _see(self, images: Any) -> tuple[Any, Any]:
        pooled = self._network(pixel_values=self._scaled(images)).pooler_output
        return pooled, pooled[:, :0]

    def _scaled(self, images: Any) -> Any:
        import torch

        mean = torch.tensor(self._mean, device=images.device)[:, None, None]
        deviation = torch.tensor(self._deviation, device=images.device)[:, None, None]
        return ((images + 1) / 2 - mean) / deviation


class RadDino(VisionTransformer):
    """RAD-DINO: DINOv2 fitted to chest X-rays, at 518 pixels."""

    side = 518
    hub = "microsoft/rad-dino"


class ClipVision(VisionTransformer):
    """CLIP of transformers: projected image embeddings; texts go into the same space."""

    layer = "projected embedding"
    hub = "openai/clip-vit-base-patch32"

    def _open(self, weights: str | None, instead: str) -> Any:
        from transformers import AutoTokenizer, CLIPModel

        place, folder = self._place(weights, instead)
        network = _from_pretrained(CLIPModel, place, self.name, instead)
        self._tokenizer = _from_pretrained(AutoTokenizer, place, self.name, instead)
        self._longest = network.config.text_config.max_position_embeddings
        self._mean, self._deviation = _scaling(folder, CLIP_MEAN, CLIP_DEVIATION)
        return network

    def _see(self, images: Any) -> tuple[Any, Any]:
        seen = self._network.vision_model(pixel_values=self._scaled(images))
        embedded = self._network.visual_projection(seen.pooler_output)
        return embedded, embedded[:, :0]

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        """(n, d) embeddings of texts, cut at the longest that the network reads."""
        import torch

        found = []
        for start in range(0, len(texts), 64):
            part = self._tokenizer(
                texts[start : start + 64],
                padding=True,
                truncation=True,
                max_length=self._longest,
                return_tensors="pt",
            ).to(self.device)
            with torch.inference_mode():
                read = self._network.text_model(
                    input_ids=part["input_ids"], attention_mask=part["attention_mask"]
                )
                found.append(self._network.text_projection(read.pooler_output).cpu().numpy())
        return np.concatenate(found)


IMAGENET_MEAN, IMAGENET_DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
CLIP_DEVIATION = [0.26862954, 0.26130258, 0.27577711]


def _scaling(
    folder: Path | None,
    mean: list[float] = IMAGENET_MEAN,
    deviation: list[float] = IMAGENET_DEVIATION,
) -> tuple[list[float], list[float]]:
    """Mean and deviation of pixels in [0, 1], from the folder's preprocessor_config.json."""
    path = folder / "preprocessor_config.json" if folder else None
    if path is None or not path.is_file():
        return mean, deviation
    import json

    found = json.loads(path.read_text(encoding="utf-8"))
    return found.get("image_mean", mean), found.get("image_std", deviation)


def _from_pretrained(kind: Any, place: str, name: str, instead: str) -> Any:
    """transformers' own loading; tensors that the checkpoint lacks are an error, never random."""
    try:
        if kind.__name__.endswith("Tokenizer"):
            return kind.from_pretrained(place)
        network, info = kind.from_pretrained(place, output_loading_info=True)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0][:200]
        raise UserError(
            f"The extractor {name} cannot be opened from weights={place}: {reason} Name a folder "
            f"in transformers' layout, or a hub name with the network allowed. {instead}".strip()
        ) from error
    if info["missing_keys"]:
        missing = sorted(info["missing_keys"])
        raise UserError(
            f"weights={place} lack {len(missing)} tensors of the network, such as {missing[0]}; "
            "nothing is measured with random weights."
        )
    return network
