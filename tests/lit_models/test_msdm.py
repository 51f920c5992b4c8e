from typing import Any

import numpy as np
import pytest
import torch

from lit_models.msdm import Autoencoder
from lit_models.networks.diffusion import x0_from_eps
from lit_models.stage import open_stage
from lit_models.views import jittered, square
from medbench.core.errors import UserError
from medbench.core.seeds import Draws, rng
from tests.lit_models.msdm_parts import (
    PARAPHRASES,
    TEXTS,
    TINY_VAE,
    Frames,
    batch_of,
    diffusion,
    finish,
    steps,
)


def rows(stage, n=None, views=None):
    view = views or stage.view(Frames())
    return [view.draw(i, rng("row", i)) for i in range(n or len(view))]


def test_a_step_lowers_the_loss_and_moves_no_frozen_part(parts):
    stage = diffusion(*parts)
    frozen = {k: v.clone() for k, v in stage.state_dict().items() if not stage.is_own(k)}
    batch = batch_of(stage, 6)
    first, last = steps(stage, batch, 1), steps(stage, batch, 20)
    assert last < first
    assert frozen and all(torch.equal(v, stage.state_dict()[k]) for k, v in frozen.items())
    assert not stage.autoencoder.training and not stage.text_encoder.training


def test_autoencoder_learns(tmp_path):
    torch.manual_seed(0)
    stage = Autoencoder(**TINY_VAE)
    batch = batch_of(stage, 4)
    assert batch["image"].shape == (4, 3, 32, 32)
    first = steps(stage, batch, 1)
    assert steps(stage, batch, 30) < 0.8 * first
    folder = finish(stage, tmp_path / "stage", **TINY_VAE)
    x = batch["image"]
    again = open_stage(folder)
    assert torch.equal(stage.eval().vae.encode(x)[0], again.vae.encode(x)[0])


def test_generate_is_the_same_alone_and_in_a_batch_and_after_reload(parts, tmp_path):
    stage = diffusion(*parts).eval().requires_grad_(False)  # as a finished stage is
    batch, seeds = {"text": [*TEXTS, ""]}, [5, 6, 7, 8]
    settings: dict[str, Any] = {"steps": 4, "guidance": 2.0}
    images = stage.generate(batch, seeds, **settings)["image"]
    assert images.shape == (4, 3, 32, 32) and images.abs().max() <= 1
    assert not torch.equal(images[0], images[1])
    for i, (text, seed) in enumerate(zip(batch["text"], seeds, strict=True)):
        alone = stage.generate({"text": [text]}, [seed], **settings)["image"]
        # one grey level: untrained, the first estimate of x0 is noise enlarged a hundredfold
        torch.testing.assert_close(alone[0], images[i], atol=2 / 255, rtol=0)
    minmax = stage.generate(batch, seeds, output="minmax", **settings)["image"]
    assert torch.equal(minmax.amax((1, 2, 3)), torch.ones(4))
    arguments = {"text_encoder": parts[0], "autoencoder": parts[1], "image_size": 32}
    tiny = {"widths": [32, 32, 64, 64], "embedding": 64, "text_width": 64}
    folder = finish(stage, tmp_path / "stage", **arguments, **tiny)
    again = open_stage(folder).generate(batch, seeds, **settings)["image"]
    assert torch.equal(again, images)


def test_guidance_one_is_the_conditional_prediction(parts):
    stage = diffusion(*parts).eval()
    encoded = stage._encoded([TEXTS[0], ""])
    x = torch.randn(1, 8, 4, 4, generator=torch.manual_seed(0))
    conditional = stage._guided(x, 500, encoded, None, 1.0)
    unconditional = stage._guided(x, 500, encoded, None, 0.0)
    assert not torch.allclose(conditional, unconditional)
    mixed = stage._guided(x, 500, encoded, None, 3.0)
    wanted = unconditional + 3 * (conditional - unconditional)
    torch.testing.assert_close(mixed, wanted, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("legacy", [False, True])
def test_self_conditioning_is_fed_with_the_first_estimate(parts, legacy):
    stage = diffusion(*parts, self_cond_prob=1.0, legacy_selfcond_xt=legacy).eval()
    batch = batch_of(stage, 3)
    calls = []
    stage.unet.register_forward_hook(lambda m, given, out: calls.append((given, out)))
    stage.draws = Draws([1, 2, 3])
    stage.loss(batch)
    x, t, _, _, extra = calls[-1][0]
    assert not extra.requires_grad
    if legacy:
        assert len(calls) == 1 and torch.equal(extra, x)
    else:
        torch.testing.assert_close(extra, x0_from_eps(x, calls[0][1], stage.alpha_bar[t]))
    calls.clear()
    stage.generate({"text": [TEXTS[0]]}, [1], steps=3, guidance=1.0)
    extras = [given[4] for given, _ in calls]
    assert extras[0] is None and all(e is not None for e in extras[1:])


def test_first_estimate_is_for_its_share_of_samples(parts):
    stage = diffusion(*parts, self_cond_prob=0.5).eval()
    calls = []
    stage.unet.register_forward_hook(lambda m, given, out: calls.append(given))
    stage.draws = Draws(range(12))
    stage.loss(batch_of(stage, 12))
    zero = (calls[-1][4] == 0).flatten(1).all(1)
    assert 0 < zero.sum() < 12 and len(calls[0][0]) == 12 - zero.sum()
    stage = diffusion(*parts, self_conditioning=False)
    assert stage.unet.first.in_channels == 8


def test_no_noise_at_the_last_step(parts, monkeypatch):
    stage = diffusion(*parts).eval()
    drawn = []

    class Counted(Draws):
        def normal(self, *shape):
            drawn.append(shape)
            return super().normal(*shape)

    monkeypatch.setattr("lit_models.msdm.Draws", Counted)
    stage.generate({"text": [TEXTS[0]]}, [1], steps=5)
    assert len(drawn) == 5  # the start and four of five steps


def test_dropped_prompts_are_empty_and_alone_are_flipped(parts):
    stage = diffusion(*parts, drop_text=0.5, brightness=0.0, contrast=0.0, paraphrase="none")
    ramp = np.linspace(-1, 1, 32 * 32 * 3).astype(np.float32).reshape(3, 32, 32)
    sample = {"image": ramp, "text": TEXTS[0]}
    seen = [stage.transform(sample, rng("flip", i)) for i in range(60)]
    prompted = [s for s in seen if s["text"]]
    dropped = [s for s in seen if not s["text"]]
    assert 15 < len(dropped) < 45
    assert all(np.allclose(s["image"], ramp, atol=1e-6) for s in prompted)
    corners = {float(s["image"][0, 0, 0]) for s in dropped}
    assert len(corners) == 4
    stage.eval()
    assert all(stage.transform(sample, rng("flip", i))["text"] for i in range(20))
    ids, mask = stage.text_encoder.tokenizer([""], 64)
    assert ids.tolist() == [[0, 1]] and mask.all()


def test_jitter_and_square():
    image = rng("image").uniform(-1, 1, (3, 20, 30)).astype(np.float32)
    out = jittered(image, 0.4, 0.4, rng("jitter"))
    assert out.dtype == np.float32 and np.abs(out).max() <= 1 and not np.allclose(out, image)
    assert np.allclose(jittered(image, 0.0, 0.0, rng("jitter")), image, atol=1e-6)
    bright = jittered(np.zeros((3, 4, 4), np.float32), 0.4, 0.0, rng("jitter"))
    assert np.ptp(bright) == 0
    assert np.array_equal(square(image, 20, None), image[:, :, 5:25])
    starts = {int(np.argmax(np.all(image[0, 0] == square(image, 20, rng(i))[0, 0, 0])))
              for i in range(5)}  # fmt: skip
    assert starts
    assert square(image, 8, rng("square")).shape == (3, 8, 8)


def test_paraphrases_are_added_mixed_or_put_in_place(parts):
    def texts(**settings):
        return [s["text"] for s in rows(diffusion(*parts, drop_text=0.0, **settings))]

    plain = texts(paraphrase="none")
    assert plain == [TEXTS[i % 3] for i in range(12)]
    assert texts(paraphrase="add") == plain + [PARAPHRASES[i % 3] for i in range(12)]
    assert texts(paraphrase="mix", paraphrase_share=0.0) == plain
    replaced = texts(paraphrase="replace")
    assert replaced == texts(paraphrase="mix", paraphrase_share=1.0) == list(PARAPHRASES) * 4
    assert 0 < sum(a != b for a, b in zip(plain, texts(paraphrase="mix"), strict=True)) < 12
    added = rows(diffusion(*parts, drop_text=0.0, brightness=0.0, contrast=0.0))
    for i in (1, 4):  # the same frame under both wordings
        assert abs(added[i]["image"].mean() - added[i + 12]["image"].mean()) < 0.05


def test_paraphrases_must_be_there(parts):
    stage = diffusion(*parts, paraphrase="replace")
    sample = {"image": np.zeros((3, 32, 32), np.float32), "text": "x", "texts": {}}
    with pytest.raises(UserError, match=r"has no texts\.paraphrases; set paraphrase=none"):
        stage.transform(sample, rng(0))


def test_cached_latents_are_those_of_the_frames(parts):
    stage = diffusion(*parts, latent_copies=2, standardise_latents=True, paraphrase="none")
    view: Any = stage.view(Frames())
    assert len(view) == 12 and 12 < len({row["moments"].tobytes() for row in view.rows}) <= 24
    assert view.draw(3, rng(1))["moments"].shape == (16, 4, 4)
    z = torch.from_numpy(np.stack([row["moments"][:8] for row in view.rows]))
    scaled = (z - stage.latent_mean) / stage.latent_std
    assert scaled.mean().abs() < 0.3 and 0.6 < scaled.std() < 1.4
    assert torch.isfinite(steps(stage, batch_of_cached(view)))
    held_out = stage.view(Frames())
    assert "image" in held_out.draw(0, rng(0))  # only the first view, of the training data


def batch_of_cached(view):
    from medbench.core.batch import collate

    batch = collate([view.draw(i, rng("view", i)) for i in range(4)])
    return batch | {"image": batch["moments"]}


def test_a_long_prompt_is_never_cut(parts):
    stage = diffusion(*parts).eval()
    with pytest.raises(UserError, match="has 82 tokens; the limit is 64"):
        stage.generate({"text": ["word " * 80]}, [1], steps=1)


def test_wrong_sizes_are_said(parts):
    with pytest.raises(UserError, match="multiple of 32"):
        diffusion(*parts).__class__("a", "b", image_size=48)
    with pytest.raises(UserError, match="whose states are 64 wide"):
        diffusion(*parts, text_width=32)
