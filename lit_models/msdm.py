"""MSDM: a latent diffusion model of colonoscopy frames, conditioned on text by cross-attention.

Chaichuk and Tutubalina, ImageCLEFmed MEDVQA-GI 2024, on Medfusion (Mueller-Franzes et al. 2023).
Where the paper and its released code differ we follow the paper: self-conditioning is fed with the
estimate of x0, jitter is of brightness and contrast alone and in training only, prompts are dropped
sample by sample. Padding takes no part in attention. The loss and the betas are the code's.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lit_models.backbones.text import count_released_text, open_text_encoder
from lit_models.networks import msdm_unet, msdm_vae
from lit_models.networks.checkpoints import renamed
from lit_models.networks.diffusion import (
    LossName,
    ddim_step,
    eps_loss,
    guide,
    noise_schedule,
    q_sample,
    spaced_steps,
    x0_from_eps,
)
from lit_models.networks.msdm_unet import MsdmUNet, ResBlock, TextBlock
from lit_models.networks.msdm_vae import MsdmVae, posterior_kl, posterior_sample
from lit_models.networks.perceptual import VggDistance, ssim
from lit_models.stage import Dataset, Stage, View, open_stage
from lit_models.tensors import read_tensors
from lit_models.views import jittered, paraphrased, square, stretched
from medbench.core.batch import Batch, Sample, collate
from medbench.core.errors import UserError
from medbench.core.progress import Progress
from medbench.core.seeds import Draws
from medbench.core.seeds import rng as stream

ENCODED_AT_ONCE, MEASURED_ROWS = 32, 256


class Autoencoder(Stage):
    """The variational autoencoder, fitted first: factor 8, judged at full and at half size."""

    version = 1
    needs = ("image",)
    distance: VggDistance

    def __init__(
        self,
        image_size: int = 256,
        widths: Sequence[int] = (64, 128, 256, 512),
        latent_channels: int = 8,
        kl_weight: float = 1e-6,
        structure_weight: float = 1.0,
        perceptual: Literal["vgg", "none"] = "vgg",
        vgg_weights: str = "",
    ) -> None:
        super().__init__()
        if image_size % 8:
            raise UserError(f"image_size={image_size} must be a multiple of 8.")
        self.image_size, self.kl_weight, self.ssim_weight = image_size, kl_weight, structure_weight
        self.perceptual, self.vgg_weights = perceptual, vgg_weights
        self.vae = MsdmVae(widths, latent_channels)

    def load_parts(self) -> None:
        if self.perceptual == "none":
            return
        if not self.vgg_weights:
            raise UserError(
                "perceptual=vgg needs vgg_weights=FILE, the state_dict of torchvision's vgg16; "
                "perceptual=none leaves this term of the loss out."
            )
        distance = VggDistance()
        distance.load(read_tensors(Path(self.vgg_weights)))
        self.keep_frozen("distance", distance)

    # training ------------------------------------------------------------
    def transform(self, sample: Sample, rng: np.random.Generator) -> Sample:
        return sample | {"image": square(sample["image"], self.image_size, None)}

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        x = batch["image"]
        mean, log_variance = self.vae.encode(x)
        z = posterior_sample(mean, log_variance, self.draws.normal(*mean.shape[1:]))
        full, half = self.vae.decode_both(z)
        small = F.interpolate(x, half.shape[2:], mode="nearest-exact")
        kl = posterior_kl(mean, log_variance).mean()
        first, second = self._distance(full, x), self._distance(half, small)
        mse = F.mse_loss(full, x)
        return {
            "loss": first + second + self.kl_weight * kl,
            "kl": kl,
            "psnr": 10 * torch.log10(4 / mse),  # of a range of 2
        }

    def _distance(self, made: Tensor, x: Tensor) -> Tensor:
        """Squared error, perceptual distance and 1 - SSIM, summed over elements, mean of samples.

        The last two, one number an image, are broadcast over its elements before the sum."""
        likeness = ssim(((made + 1) / 2).clamp(0, 1), (x + 1) / 2)
        per_image = self.ssim_weight * (1 - likeness)
        if self.perceptual == "vgg":
            per_image = per_image + self.distance(made, x)
        return ((made - x).pow(2).flatten(1).sum(1) + per_image * x[0].numel()).mean()

    # released weights --------------------------------------------------------
    def import_weights(self, path: Path) -> dict[str, Tensor]:
        """Our names, or Medfusion's: a `state_dict` of its VAE."""
        state = read_tensors(path)
        if not any(name.startswith("vae.") for name in state):
            state = {f"vae.{k}": v for k, v in renamed(state, msdm_vae.PUBLIC_NAMES).items()}
        return state


class Diffusion(Stage):
    """The text-conditioned UNet in the autoencoder's latent space.

    standardise_latents: to mean 0 and deviation 1 by channel, as the paper does not.
    latent_copies: augmented copies of every row that are encoded once, before the fit; 0 encodes
    each sample anew. text_gain: how much louder than by default the text's projection begins.
    legacy_*: what the released code does, for comparison."""

    version = 1
    needs = ("image", "text")
    takes = ("text",)
    makes = ("image",)
    blocks = (ResBlock, TextBlock)
    alpha_bar: Tensor
    latent_mean: Tensor
    latent_std: Tensor
    autoencoder: MsdmVae
    text_encoder: Any

    def __init__(
        self,
        text_encoder: str,
        autoencoder: str,
        image_size: int = 256,
        latent_channels: int = 8,
        widths: Sequence[int] = (256, 256, 512, 1024),
        embedding: int = 1024,
        text_width: int = 768,
        max_tokens: int = 64,
        groups: int = 32,
        heads: int = 8,
        text_gain: float = 1.0,
        dropout: float = 0.1,
        drop_text: float = 0.2,
        flip_when_dropped: bool = True,
        brightness: float = 0.4,
        contrast: float = 0.4,
        paraphrase: Literal["none", "add", "mix", "replace"] = "add",
        paraphrase_share: float = 0.5,
        self_conditioning: bool = True,
        self_cond_prob: float = 0.5,
        n_timesteps: int = 1000,
        beta_start: float = 0.002,
        beta_end: float = 0.02,
        standardise_latents: bool = False,
        latent_copies: int = 0,
        loss: LossName = "l1",
        legacy_selfcond_xt: bool = False,
        legacy_mean_query: bool = False,
    ) -> None:
        super().__init__()
        if image_size % 32:
            raise UserError(
                f"image_size={image_size} must be a multiple of 32: the autoencoder divides it "
                "by 8, the UNet by 4."
            )
        self.text_encoder_name, self.autoencoder_folder = text_encoder, autoencoder
        self.image_size, self.max_tokens, self.text_width = image_size, max_tokens, text_width
        self.drop_text, self.flip_when_dropped = drop_text, flip_when_dropped
        self.brightness, self.contrast, self.paraphrase = brightness, contrast, paraphrase
        self.share = {"mix": paraphrase_share, "replace": 1.0}.get(paraphrase, 0.0)
        if paraphrase != "none":
            self.needs = ("image", "text", "texts")  # type: ignore[misc, assignment]
        self.self_cond_prob = self_cond_prob if self_conditioning else 0.0
        self.n_timesteps, self.error, self.latent_copies = n_timesteps, loss, latent_copies
        self.standardise, self.legacy_selfcond_xt = standardise_latents, legacy_selfcond_xt
        self.latent_shape = (latent_channels, image_size // 8, image_size // 8)
        sizes = (latent_channels, widths, embedding, text_width, dropout)
        self.unet = MsdmUNet(*sizes, self_conditioning, groups, legacy_mean_query, text_gain, heads)
        levels = noise_schedule("scaled_linear", n_timesteps, beta_start, beta_end)
        self.register_buffer("alpha_bar", levels, persistent=False)
        self.register_buffer("latent_mean", torch.zeros(latent_channels, 1, 1))
        self.register_buffer("latent_std", torch.ones(latent_channels, 1, 1))
        self.has_seen_data = False

    def load_parts(self) -> None:
        self.keep_frozen("autoencoder", open_stage(self.autoencoder_folder).vae)
        self.keep_frozen("text_encoder", open_text_encoder(self.text_encoder_name))
        if self.text_encoder.width != self.text_width:
            raise UserError(
                f"text_width={self.text_width} does not fit text_encoder="
                f"{self.text_encoder_name}, whose states are {self.text_encoder.width} wide."
            )

    def outside_parts(self) -> dict[str, int | None]:
        return count_released_text(self.text_encoder_name)

    # what the network sees -----------------------------------------------------
    def view(self, dataset: Dataset) -> View:
        """The first view is the training data's: it sets the latents' scale and is cached."""
        view = Wordings(dataset, self)
        if self.has_seen_data:
            return view
        self.has_seen_data = True
        if self.standardise:
            self._measure_latents(view)
        return CachedLatents(view, self) if self.latent_copies else view

    def transform(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Wording, dropped prompt, random square, flips, jitter; held out, a centred square.

        Flips are for dropped prompts alone, since prompts name positions."""
        worded, dropped, across, down = rng.random(4) < (self.share, self.drop_text, 0.5, 0.5)
        if not self.training:
            worded = dropped = False
        text = paraphrased(sample, rng) if worded else sample["text"]
        image = square(sample["image"], self.image_size, rng if self.training else None)
        if dropped and self.flip_when_dropped:
            image = image[:, :: -1 if down else 1, :: -1 if across else 1]
        if self.training:
            image = jittered(image, self.brightness, self.contrast, rng)
        kept = {key: sample[key] for key in ("sample_id",) if key in sample}
        return kept | {"image": np.ascontiguousarray(image), "text": "" if dropped else text}

    # training ------------------------------------------------------------
    def loss(self, batch: Batch) -> dict[str, Tensor]:
        z = self._latents(batch)
        t = self.draws.integers(self.n_timesteps)
        noise = self.draws.normal(*self.latent_shape)
        level = self.alpha_bar[t]
        x = q_sample(z, noise, level)
        states, mask = self._encoded(batch["text"])
        extra = self._first_estimate(x, t, level, states, mask) if self.self_cond_prob else None
        return {"loss": eps_loss(self.unet(x, t, states, mask, extra), noise, level, self.error)}

    def _latents(self, batch: Batch) -> Tensor:
        """A sample of the posterior, on the scale that the UNet works at."""
        with torch.no_grad():
            if "moments" in batch:
                mean, log_variance = batch["moments"].chunk(2, dim=1)
            else:
                mean, log_variance = self.autoencoder.encode(batch["image"])
            z = posterior_sample(mean, log_variance, self.draws.normal(*mean.shape[1:]))
            return (z - self.latent_mean) / self.latent_std

    def _encoded(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """States and mask of prompts, without the padding that all of them share."""
        states, mask = self.text_encoder.encode(texts, self.max_tokens)
        if not self.unet.legacy_mean_query:
            longest = int(mask.sum(1).max())
            states, mask = states[:, :longest], mask[:, :longest]
        return states, mask

    def _first_estimate(
        self, x: Tensor, t: Tensor, level: Tensor, states: Tensor, mask: Tensor
    ) -> Tensor:
        """The extra input: x0 as a first pass estimates it, or zeros for the other samples."""
        chosen = self.draws.uniform() < self.self_cond_prob
        extra = x if self.legacy_selfcond_xt else torch.zeros_like(x)
        if not self.legacy_selfcond_xt:
            rows = chosen if chosen.any() else torch.ones_like(chosen)  # sharded: same passes
            with torch.no_grad():
                eps = self.unet(x[rows], t[rows], states[rows], mask[rows])
                extra[rows] = x0_from_eps(x[rows], eps, level[rows]).to(x.dtype)
        return torch.where(chosen[:, None, None, None], extra, 0)

    # sampling ------------------------------------------------------------
    @torch.no_grad()
    def generate(
        self,
        batch: Batch,
        seeds: Sequence[int],
        *,
        steps: int = 150,
        guidance: float = 4.5,
        eta: float = 1.0,
        output: Literal["clamp", "minmax"] = "clamp",
    ) -> Batch:
        """{"image": (N, 3, S, S) in [-1, 1]}; `minmax` stretches each image, as the release."""
        draws = Draws(seeds, str(self.alpha_bar.device))
        conditional = self._encoded([*batch["text"], ""])
        x = draws.normal(*self.latent_shape)
        extra: Tensor | None = None
        indices = spaced_steps(self.n_timesteps, steps)
        for t, following in zip(indices, [*indices[1:], None], strict=True):
            eps = self._guided(x, t, conditional, extra, guidance)
            level = self.alpha_bar[t]
            x0 = x0_from_eps(x, eps, level)
            if self.self_cond_prob:
                extra = x if self.legacy_selfcond_xt else x0
            if following is None:
                x = x0
            else:
                noise = draws.normal(*self.latent_shape)
                x = ddim_step(x, eps, noise, level, self.alpha_bar[following], eta)
        image = self.autoencoder.decode(x * self.latent_std + self.latent_mean)
        return {"image": stretched(image) if output == "minmax" else image.clamp(-1, 1)}

    def _guided(
        self,
        x: Tensor,
        t: int,
        encoded: tuple[Tensor, Tensor],
        extra: Tensor | None,
        guidance: float,
    ) -> Tensor:
        """Guided noise; the last row of `encoded` is the empty prompt."""
        states, mask = encoded
        n = len(x)
        times = torch.full((n,), t, device=x.device)
        if guidance == 1:
            return self.unet(x, times, states[:n], mask[:n], extra)
        rows = [*range(n), *[n] * n]
        twice = None if extra is None else torch.cat([extra, extra])
        x, times = torch.cat([x, x]), torch.cat([times, times])
        both = self.unet(x, times, states[rows], mask[rows], twice)
        conditional, unconditional = both.chunk(2)
        return guide(unconditional, conditional, guidance)

    # latents before a fit --------------------------------------------------------
    @torch.no_grad()
    def _measure_latents(self, view: View) -> None:
        """Mean and deviation of each channel over evenly spaced rows."""
        rows = np.linspace(0, len(view) - 1, min(MEASURED_ROWS, len(view))).astype(int)
        images = [view.draw(int(i), stream("latent scale", int(i)))["image"] for i in rows]
        means = [
            self.autoencoder.encode(torch.from_numpy(np.stack(images[i : i + ENCODED_AT_ONCE])))[0]
            for i in range(0, len(images), ENCODED_AT_ONCE)
        ]
        latents = torch.cat(means).transpose(0, 1).flatten(1)
        self.latent_mean.copy_(latents.mean(1)[:, None, None])
        self.latent_std.copy_(latents.std(1)[:, None, None])

    # released weights --------------------------------------------------------
    def import_weights(self, path: Path) -> dict[str, Tensor]:
        """Our names, or those of the released MSDM: a state dict of its UNet."""
        state = read_tensors(path)
        if not any(name.startswith("unet.") and ".unit1." in name for name in state):
            bare = {name.removeprefix("unet."): value for name, value in state.items()}
            state = {f"unet.{k}": v for k, v in renamed(bare, msdm_unet.PUBLIC_NAMES).items()}
            state |= {"latent_mean": self.latent_mean, "latent_std": self.latent_std}
        given, own = state.get("unet.first.weight"), self.unet.first.weight
        if given is not None and given.shape[1] != own.shape[1]:
            raise UserError(
                f"{path} takes {given.shape[1]} input channels and this UNet {own.shape[1]}: it "
                f"was trained {'with' if given.shape[1] > own.shape[1] else 'without'} "
                "self-conditioning. Set self_conditioning accordingly."
            )
        return state


class Wordings(View):
    """The rows; under `add` every row once more with a paraphrase in place of its text."""

    def __init__(self, dataset: Dataset, stage: Diffusion) -> None:
        super().__init__(dataset, stage.transform)
        self.times = 2 if stage.paraphrase == "add" else 1

    def __len__(self) -> int:
        return self.times * len(self.dataset)

    def draw(self, index: int, rng: np.random.Generator) -> Sample:
        again, row = divmod(index, len(self.dataset))
        sample = self.dataset[row]
        if again:
            sample = sample | {"text": paraphrased(sample, rng)}
        return self.transform(sample, rng)


class CachedLatents(View):
    """Rows whose augmented copies were encoded once; a draw picks one of the copies."""

    @torch.no_grad()
    def __init__(self, view: View, stage: Diffusion) -> None:
        super().__init__(view.dataset, stage.transform)
        self.copies, self.rows = stage.latent_copies, []
        addresses = [(i, c) for i in range(len(view)) for c in range(self.copies)]
        with Progress("encode latents", len(addresses)) as progress:
            for start in range(0, len(addresses), ENCODED_AT_ONCE):
                chosen = addresses[start : start + ENCODED_AT_ONCE]
                samples = [view.draw(i, stream("latent copy", i, c)) for i, c in chosen]
                images = collate([{"image": s.pop("image")} for s in samples])["image"]
                moments = torch.cat(stage.autoencoder.encode(images), dim=1).numpy()
                self.rows += [s | {"moments": m} for s, m in zip(samples, moments, strict=True)]
                progress.update(len(chosen))

    def __len__(self) -> int:
        return len(self.rows) // self.copies

    def draw(self, index: int, rng: np.random.Generator) -> Sample:
        return dict(self.rows[index * self.copies + int(rng.integers(self.copies))])
