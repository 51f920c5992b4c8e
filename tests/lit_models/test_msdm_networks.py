import re
from typing import Any

import pytest
import torch
from torch import nn

from lit_models.msdm import Autoencoder, Diffusion
from lit_models.networks.msdm_unet import CrossAttention, MsdmUNet
from lit_models.networks.msdm_vae import MsdmVae, posterior_kl
from lit_models.networks.perceptual import VGG_BLOCKS, VggDistance, ssim
from medbench.core.errors import UserError
from tests.lit_models.msdm_parts import TINY_UNET


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_published_counts():
    with torch.device("meta"):
        unet = count(MsdmUNet(self_conditioning=False))
        assert unet == 326_508_296
        assert count(MsdmUNet()) == 326_526_728
        vae = count(MsdmVae())
        assert vae == 13_365_094
        assert count(MsdmUNet(**TINY_UNET)) == 2_170_856
    clip_text = 123_060_480
    assert 462.5e6 < unet + vae + clip_text < 463.5e6


def unet_inputs() -> tuple[torch.Tensor, ...]:
    g = torch.manual_seed(0)
    mask = torch.arange(9)[None] < torch.tensor([4, 9])[:, None]
    x, states = torch.randn(2, 8, 8, 8, generator=g), torch.randn(2, 9, 64, generator=g)
    return x, torch.tensor([3, 900]), states, mask


def tiny_unet(**settings: object) -> MsdmUNet:
    torch.manual_seed(0)
    return MsdmUNet(**(TINY_UNET | settings)).eval()


def test_fresh_unet_predicts_nothing_and_fresh_blocks_are_plain():
    unet = tiny_unet()
    assert not unet(*unet_inputs()).any()
    block: Any = unet.encoder[0]
    x, embedding = torch.randn(2, 32, 8, 8), torch.randn(2, 64)
    assert torch.equal(block.res.unit2(x), x)
    plain = nn.functional.group_norm(x, 32)
    assert torch.equal(block.text.norm1(x, embedding), plain)


def test_text_begins_louder_by_its_gain():
    plain, loud = tiny_unet().state_dict(), tiny_unet(text_gain=3.0).state_dict()
    changed = [name for name in plain if not torch.equal(plain[name], loud[name])]
    assert changed == ["text2.weight"]
    assert torch.equal(loud["text2.weight"], 3 * plain["text2.weight"])


def test_heads_change_the_attention_and_no_weight():
    eight, two = tiny_unet(), tiny_unet(heads=2)
    two.load_state_dict(eight.state_dict())
    for unet in (eight, two):
        nn.init.normal_(unet.last.weight, generator=torch.manual_seed(0))
    assert not torch.equal(eight(*unet_inputs()), two(*unet_inputs()))
    with pytest.raises(UserError, match="heads=3 does not divide 32"):
        tiny_unet(heads=3)


def test_first_loss_is_the_mean_of_a_half_normal():
    noise = torch.randn(64, 8, 8, 8, generator=torch.manual_seed(0))
    assert nn.functional.l1_loss(torch.zeros_like(noise), noise) == pytest.approx(0.798, abs=0.02)


def test_padding_does_not_matter_unless_asked_for():
    x, t, states, mask = unet_inputs()
    other = torch.where(mask[:, :, None], states, 7.0)
    for legacy in (False, True):
        unet = tiny_unet(legacy_mean_query=legacy)
        nn.init.normal_(unet.last.weight)
        change = (unet(x, t, states, mask) - unet(x, t, other, mask)).abs().max()
        assert (change > 1e-4) if legacy else (change < 1e-5)
    shorter = unet_inputs()[2:]
    unet = tiny_unet()
    nn.init.normal_(unet.last.weight)
    long = unet(x[:1], t[:1], shorter[0][:1], mask[:1])
    torch.testing.assert_close(long, unet(x[:1], t[:1], states[:1, :4], mask[:1, :4]))


def test_attention_equals_diffusers():
    from diffusers.models import attention_processor as processor

    torch.manual_seed(0)
    ours = CrossAttention(32, 64, heads=8)
    theirs = processor.Attention(32, 64, heads=8, dim_head=4, out_bias=False)
    state = {k.replace("to_out.", "to_out.0."): v for k, v in ours.state_dict().items()}
    theirs.load_state_dict(state)
    x, tokens, bias = torch.randn(2, 5, 32), torch.randn(2, 7, 64), torch.zeros(2, 1, 7)
    bias[1, 0, 3:] = -10_000.0
    torch.testing.assert_close(ours(x, tokens, bias), theirs(x, tokens, bias))


def test_vae_shapes_and_start():
    vae = MsdmVae((16, 16, 32, 32))
    mean, log_variance = vae.encode(torch.randn(2, 3, 64, 64))
    assert mean.shape == (2, 8, 8, 8) == log_variance.shape
    full, half = vae.decode_both(mean)
    assert full.shape == (2, 3, 64, 64) and half.shape == (2, 3, 32, 32)
    assert not full.any() and not half.any()
    assert not posterior_kl(torch.zeros(2, 8, 4, 4), torch.zeros(2, 8, 4, 4)).any()


def test_ssim_against_its_definition():
    x, y = torch.rand(2, 2, 3, 16, 20, generator=torch.manual_seed(0))
    torch.testing.assert_close(ssim(x, x), torch.ones(2))
    i = torch.arange(11) - 5.0
    w = torch.exp(-(i**2) / 4.5)
    w = torch.outer(w, w) / torch.outer(w, w).sum()
    a, b = x[0, 0, 2:13, 3:14], y[0, 0, 2:13, 3:14]
    ma, mb = (w * a).sum(), (w * b).sum()
    va, vb, c = (w * a * a).sum() - ma**2, (w * b * b).sum() - mb**2, (w * a * b).sum() - ma * mb
    value = (2 * ma * mb + 1e-4) * (2 * c + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))
    one = ssim(x[:1, :1, 2:13, 3:14], y[:1, :1, 2:13, 3:14])
    torch.testing.assert_close(one[0], value.relu())


def vgg_state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    state, number, given = {}, 0, 3
    for width, n in VGG_BLOCKS:
        for _ in range(n):
            state[f"features.{number}.weight"] = torch.randn(width, given, 3, 3) * 0.02
            state[f"features.{number}.bias"] = torch.zeros(width)
            number, given = number + 2, width
        number += 1  # the pooling layer
    return state


def test_vgg_weights_come_from_a_file(tmp_path):
    torch.save(vgg_state() | {"classifier.0.bias": torch.zeros(2)}, tmp_path / "vgg.pt")
    stage = Autoencoder(32, (16, 16, 32, 32), vgg_weights=str(tmp_path / "vgg.pt"))
    stage.load_parts()
    x, y = torch.rand(2, 2, 3, 32, 32) * 2 - 1
    assert not stage.distance(x, x).any() and (stage.distance(x, y) > 0).all()
    with pytest.raises(UserError, match="needs vgg_weights=FILE"):
        Autoencoder(32).load_parts()
    with pytest.raises(UserError, match="12 convolutions"):
        VggDistance().load({k: v for k, v in vgg_state().items() if ".0." not in k})


# The released names, written out from the released layout and not from our table.
def unit(prefix: str, i: int, skip: bool) -> list[str]:
    names = [f"{prefix}.block_seq.{i}.basic_block.{part}" for part in ("conv", "norm")]
    return names + ([f"{prefix}.block_seq.{i}.conv_res"] if skip else [])


def public_res(prefix: str, skip: bool) -> list[str]:
    return unit(prefix, 0, skip) + unit(prefix, 1, False)


def public_unet_names() -> set[str]:
    names = [
        "in_conv.conv",
        "outc.conv.conv",
        "time_embedder.time_emb.1",
        "time_embedder.time_emb.3",
    ]
    blocks = [f"in_blocks.{i}" for i in (0, 1, 3, 4, 6, 7)] + ["middle_block"]
    wider = {"in_blocks.3", "in_blocks.6"}
    blocks += [f"out_blocks.{i}" for i in range(9)]
    wider |= {f"out_blocks.{i}" for i in range(9)}
    bare = ["cond_projection_linear", "cond_projection_linear2"]
    bare += [f"cond_pooling.attention.{p}" for p in ("to_q", "to_k", "to_v", "to_out.0")]
    for block in blocks:
        names += [*public_res(f"{block}.0", block in wider), f"{block}.0.local_embedder.1"]
        inner = f"{block}.1.attention"
        names += [f"{inner}.{norm}.context_mlp.1" for norm in ("in_norm", "out_norm")]
        bare += [f"{inner}.attention.{p}" for p in ("to_q", "to_k", "to_v", "to_out.0")]
        bare += [f"{inner}.feed_forward.{i}" for i in (0, 2)]
    names += [*public_res("middle_block.2", False), "middle_block.2.local_embedder.1"]
    names += [f"in_blocks.{i}.down_op" for i in (2, 5)]
    names += [f"out_blocks.{i}.2.up_op" for i in (3, 6)]
    return {f"{n}.{p}" for n in names for p in ("weight", "bias")} | {f"{n}.weight" for n in bare}


def public_vae_names() -> set[str]:
    names = [*public_res("inc", True), *public_res("inc_dec", True), "outc.conv", "outc_ver.0.conv"]
    names += ["out_enc.0.conv", "out_enc.1.conv"]
    for i in range(3):
        names += [f"encoders.{i}.down_op.down_op", f"decoders.{i}.up_op.up_op"]
        names += public_res(f"encoders.{i}.conv_block", False)
        names += public_res(f"decoders.{i}.conv_block", False)
    return {f"{n}.{p}" for n in names for p in ("weight", "bias")}


def test_released_unet_is_imported(tmp_path):
    with torch.device("meta"):
        stage = Diffusion("text", "vae", self_conditioning=False)
    torch.save(
        {"model_state_dict": {n: torch.zeros(1, 8) for n in public_unet_names()}}, tmp_path / "a"
    )
    given = {k for k in stage.import_weights(tmp_path / "a") if k.startswith("unet.")}
    assert given == {k for k in stage.own_state() if k.startswith("unet.")}


def test_released_tensors_land_where_they_belong(tmp_path):
    """Shapes tell most places apart; levels of the decoder run in the other direction."""
    tiny = {**TINY_UNET, "widths": (32, 64, 96, 128)}
    stage = Diffusion("text", "vae", 32, self_conditioning=False, **tiny)
    own, rules = stage.own_state(), {}
    for name in public_unet_names():
        torch.save({name: torch.zeros(1, 8)}, tmp_path / "one")
        (ours,) = (k for k in stage.import_weights(tmp_path / "one") if k.startswith("unet."))
        rules[name] = own[ours]
    torch.save({"model_state_dict": rules}, tmp_path / "all")
    stage.load_state_dict(stage.import_weights(tmp_path / "all"), strict=False)
    shape = {n: tuple(t.shape) for n, t in rules.items()}
    assert shape["out_blocks.0.0.block_seq.0.basic_block.conv.weight"] == (32, 96, 3, 3)
    assert shape["out_blocks.3.0.block_seq.0.basic_block.conv.weight"] == (64, 160, 3, 3)
    assert shape["out_blocks.8.0.block_seq.0.basic_block.conv.weight"] == (128, 256, 3, 3)
    assert shape["out_blocks.6.2.up_op.weight"] == (96, 96, 3, 3)
    wanted = "without self-conditioning. Set self_conditioning"
    with pytest.raises(UserError, match=re.escape(wanted)):
        Diffusion("text", "vae", 32, **tiny).import_weights(tmp_path / "all")


def test_released_vae_is_imported(tmp_path):
    stage = Autoencoder(32, (16, 16, 32, 32), perceptual="none")
    torch.save({"state_dict": {n: torch.zeros(0) for n in public_vae_names()}}, tmp_path / "vae.pt")
    assert set(stage.import_weights(tmp_path / "vae.pt")) == set(stage.own_state())
