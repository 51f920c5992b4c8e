"""Tiny stages and synthetic frames that the tests of MSDM share."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from lit_models.backbones.contrastive import Clip
from lit_models.msdm import Autoencoder, Diffusion
from lit_models.stage import write_stage
from medbench.core.batch import collate
from medbench.core.files import mark_complete
from medbench.core.seeds import Draws, mix, rng
from medbench.core.settings import FitSettings

TEXTS = ("an image with a red square", "an image with no square", "an image with 2 squares")
PARAPHRASES = ("a red block", "nothing to see", "two blocks")
TINY_UNET: dict[str, Any] = {"widths": (32, 32, 64, 64), "embedding": 64, "text_width": 64}
TINY_VAE: dict[str, Any] = {"image_size": 32, "widths": (16, 16, 32, 32), "perceptual": "none"}


class Frames:
    """Twelve frames of 32 x 40; the text says what the brightness of the frame is."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> dict[str, Any]:
        image = rng("frames", index).uniform(-0.2, 0.2, (3, 32, 40)) + index % 3 - 1
        return {
            "image": np.clip(image, -1, 1).astype(np.float32),
            "text": TEXTS[index % 3],
            "texts": {"paraphrases": [PARAPHRASES[index % 3]]},
            "sample_id": f"frame{index}",
        }


def finish(stage: Any, folder: Path, **arguments: Any) -> str:
    """The stage as a finished folder."""
    kind = type(stage)
    config = {
        "class": f"{kind.__module__}.{kind.__name__}",
        "arguments": arguments,
        "version": kind.version,
    }
    folder.mkdir(parents=True)
    write_stage(stage, folder, config)
    mark_complete(folder)
    return str(folder)


def finished_clip(folder: Path) -> str:
    torch.manual_seed(0)
    clip = Clip()
    clip.view(Frames())
    return finish(clip, folder)


def finished_autoencoder(folder: Path) -> str:
    torch.manual_seed(1)
    stage = Autoencoder(**TINY_VAE)
    torch.nn.init.normal_(stage.vae.head.weight, std=0.1)  # zero otherwise, and every image black
    return finish(stage, folder, **TINY_VAE)


def diffusion(clip: str, autoencoder: str, **settings: Any) -> Diffusion:
    """A tiny UNet with its parts, its last convolution no longer zero."""
    torch.manual_seed(2)
    stage = Diffusion(clip, autoencoder, image_size=32, **(TINY_UNET | settings))
    stage.load_parts()
    torch.nn.init.normal_(stage.unet.last.weight, std=0.02)
    return stage


def batch_of(stage: Any, n: int, view: Any = None) -> dict[str, Any]:
    view = view or stage.view(Frames())
    return collate([view.draw(i, rng("view", i)) for i in range(n)])


def steps(stage: Any, batch: dict[str, Any], n: int = 1) -> torch.Tensor:
    """The loss after n optimiser steps on one batch."""
    stage.train()
    stage.prepare_fit(FitSettings(steps=n, lr=1e-3), n, "key", 1)
    optimizer = stage.configure_optimizers()[0]
    for step in range(n):
        stage.draws = Draws([mix(step, i) for i in range(len(batch["image"]))])
        loss = stage.loss(batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.detach()
