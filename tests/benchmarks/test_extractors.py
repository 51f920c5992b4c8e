"""Extractors out of real files: weights that tests write, read as released ones would be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.extractors import NETWORKS, open_extractors
from benchmarks.images import RESIZES, resized, resized_volume
from medbench.core.errors import UserError


def opened(network: str, weights: Path | str | None, **more: Any) -> Any:
    block = {"network": network, "weights": weights and str(weights)} | more
    return open_extractors({"extractors": {"eye": block}}, instead="Meanwhile: x_quick.")["eye"]


@pytest.fixture(scope="module")
def inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An Inception of the FID paper's shape, all random, as pytorch-fid's file is written."""
    from benchmarks.inception import fid_inception

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(fid_inception().state_dict(), path)
    return path


def test_inception_gives_pooled_features_and_probabilities(inception: Path) -> None:
    extractor = opened("inception", inception)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 1, 40, 50)).astype(np.float32)
    batch = np.stack([extractor.prepare(image) for image in images])
    assert batch.shape == (2, 3, 299, 299) and (batch[:, 0] == batch[:, 2]).all()
    features, scores = extractor.extract(batch)
    assert features.shape == (2, 2048) and scores.shape == (2, 1008)
    assert scores.sum(1) == pytest.approx(1, abs=1e-5) and extractor.label_names[7] == "class=7"
    assert opened("inception", inception).fingerprint == extractor.fingerprint
    other = opened("inception", inception, resize="bilinear")
    assert other.fingerprint != extractor.fingerprint


def test_averages_of_inception_leave_the_padding_out(inception: Path) -> None:
    from torchvision.models.inception import InceptionA, InceptionE

    network = opened("inception", inception)._network
    block, kind = network.Mixed_5b, InceptionA
    assert isinstance(block, kind) and isinstance(network.Mixed_7c, InceptionE)
    x = torch.ones(1, 192, 5, 5)
    seen = block._forward(x)[-1]
    assert torch.allclose(seen, block.branch_pool(x))  # an average of ones is one at the edge too
    assert torch.allclose(
        network.Mixed_7c._forward(torch.ones(1, 2048, 4, 4))[-1],
        network.Mixed_7c.branch_pool(torch.ones(1, 2048, 4, 4)),
    )


def test_xray_densenet_out_of_a_state_and_out_of_a_whole_pickled_network(tmp_path: Path) -> None:
    from torchxrayvision.models import DenseNet

    torch.manual_seed(0)
    network = DenseNet(num_classes=18).eval()
    torch.save(network.state_dict(), tmp_path / "state.pt")
    torch.save(network, tmp_path / "whole.pt")  # as the library's own files are
    first, second = (opened("xrv_densenet121", tmp_path / f"{n}.pt") for n in ("state", "whole"))
    assert first.fingerprint == second.fingerprint and first.channels == 1
    assert {"pleural effusion", "lung opacity", "cardiomegaly"} <= set(first.label_names)
    image = np.random.default_rng(0).uniform(-1, 1, (1, 224, 224)).astype(np.float32)
    features, scores = first.extract(first.prepare(image)[None])
    assert features.shape == (1, 1024) and scores.shape == (1, 18)
    with torch.no_grad():
        theirs = network(torch.from_numpy(image)[None] * 1024).sigmoid().numpy()
    assert scores == pytest.approx(theirs, abs=1e-6)


class Harmful:
    """What a pickled file could run."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("harmed"),))


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": Harmful()}, tmp_path / "bad.pt")
    with pytest.raises(UserError, match=r"weights=.*bad.pt cannot be read"):
        opened("xrv_densenet121", tmp_path / "bad.pt")
    assert not Path("harmed").exists()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny DINOv2 and a tiny CLIP with its tokenizer, as transformers writes them."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        CLIPConfig,
        CLIPModel,
        Dinov2Config,
        Dinov2Model,
        PreTrainedTokenizerFast,
    )

    root = tmp_path_factory.mktemp("hub")
    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    Dinov2Model(Dinov2Config(**small, image_size=28, patch_size=14)).save_pretrained(root / "dino")
    tower = small | {"intermediate_size": 32}
    config = CLIPConfig(
        text_config=tower | {"vocab_size": 40, "max_position_embeddings": 12},
        vision_config=tower | {"image_size": 32, "patch_size": 16},
        projection_dim=8,
    )
    CLIPModel(config).save_pretrained(root / "clip")
    words = ["[PAD]", "[UNK]", "a", "small", "effusion", "none"]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")
    fast.save_pretrained(root / "clip")
    return root


def test_transformers_folders_are_opened(hub: Path) -> None:
    images = np.zeros((3, 3, 28, 28), np.float32)
    dino = opened("dinov2", hub / "dino", size=28)
    assert dino.extract(images)[0].shape == (3, 16) and dino.extract(images)[1].shape == (3, 0)
    clip = opened("clip", hub / "clip", size=32)
    assert clip.extract(np.zeros((2, 3, 32, 32), np.float32))[0].shape == (2, 8)
    texts = clip.embed_texts(["a small effusion", "none " * 30])
    assert texts.shape == (2, 8) and not np.allclose(texts[0], texts[1])


def test_a_checkpoint_that_lacks_tensors_is_not_filled_with_random_ones(
    hub: Path, tmp_path: Path
) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    shutil.copytree(hub / "dino", tmp_path / "dino")
    state = load_file(tmp_path / "dino" / "model.safetensors")
    state.pop("layernorm.weight")
    save_file(state, tmp_path / "dino" / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"lack 1 tensors .* nothing is measured with random"):
        opened("dinov2", tmp_path / "dino")


def test_med3d_keeps_its_strides_and_dilations(tmp_path: Path) -> None:
    from benchmarks.volumes import med3d_resnet

    torch.manual_seed(0)
    state = {f"module.{k}": v for k, v in med3d_resnet(10, 0.125).state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "resnet_10.pth")
    extractor = opened("med3d_resnet10", tmp_path / "resnet_10.pth", size=16)
    volume = np.random.default_rng(0).normal(0, 0.3, (1, 20, 24, 24)).clip(-1, 1)
    features, scores = extractor.extract(extractor.prepare(volume)[None])
    assert features.shape == (1, 64) and scores.shape == (1, 0) and extractor.dimensions == 3
    network = med3d_resnet(50, 0.125)
    x = torch.zeros(1, 1, 32, 32, 32)
    x = network.maxpool(network.act(network.bn1(network.conv1(x))))
    sides = []
    for layer in (network.layer1, network.layer2, network.layer3, network.layer4):
        x = layer(x)
        sides.append(x.shape[-1])
    assert sides == [8, 4, 4, 4]


@pytest.mark.parametrize("network", sorted(set(NETWORKS) - {"radiomics"}))  # has no weights
def test_absent_weights_say_where_to_get_them_and_what_to_do_meanwhile(network: str) -> None:
    with pytest.raises(UserError, match=r"The extractor eye .* Meanwhile: x_quick\."):
        opened(network, None)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"network": "inceptoin"}, "network=inceptoin is not known; did you mean inception"),
        ({"network": "inception", "weights": "no.pth"}, "needs the file no.pth, which is not"),
        ({"network": "inception", "stage": "x"}, "names a network and a stage"),
        ({"stage": "stage:judge"}, "needs the stage judge"),
        ({"network": "dinov2", "weights": "nobody/nothing"}, "cannot be opened from weights="),
    ],
)
def test_mistakes_are_sentences(block: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said.replace(".", r"\.")):
        open_extractors({"extractors": {"eye": block}})


def test_weights_of_another_network_are_named(tmp_path: Path) -> None:
    torch.save({"classifier.bias": torch.zeros(18), "x": torch.zeros(2)}, tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"do not fit DenseNet: \d+ of \d+ tensors are absent"):
        opened("xrv_densenet121", tmp_path / "w.pt")


@pytest.mark.parametrize("rule", RESIZES)
def test_every_resize_rule_keeps_a_constant_and_differs_on_stripes(rule: str) -> None:
    assert resized(np.full((1, 9, 7), 0.25, np.float32), 4, rule) == pytest.approx(0.25)
    stripes = np.tile(np.array([-1.0, 1.0, 1.0, -1.0], np.float32), (1, 16, 4))
    smooth = np.abs(resized(stripes, 5, rule)).max()
    assert (smooth < 0.8) == rule.startswith("antialias")


def test_a_volume_is_smoothed_before_it_shrinks() -> None:
    stripes = np.tile(np.array([-1.0, 1.0], np.float32), (1, 16, 16, 8))
    assert np.abs(resized_volume(stripes, 8)[:, 2:-2, 2:-2, 2:-2]).max() < 0.5
    assert resized_volume(stripes, 16) is not None
    assert (resized_volume(stripes, 16) == stripes).all()
