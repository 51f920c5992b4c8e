"""What several methods do to samples before their networks see them."""

import numpy as np
import torch
import torch.nn.functional as F
from scipy import fft

from medbench.core.batch import Sample
from medbench.core.errors import UserError

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)[:, None, None]


def paraphrased(sample: Sample, rng: np.random.Generator) -> str:
    """One of the paraphrases of a sample's text."""
    known = sample.get("texts", {}).get("paraphrases")
    if not known:
        raise UserError(
            f"Sample {sample.get('sample_id')} has no texts.paraphrases; set paraphrase=none, or "
            "use data that yields them."
        )
    return str(known[int(rng.integers(len(known)))])


def square(image: np.ndarray, size: int, rng: np.random.Generator | None) -> np.ndarray:
    """(3, size, size): a square of the short side, at random or centred, resized."""
    height, width = image.shape[1:]
    side = min(height, width)
    spare = height - side, width - side
    top, left = (s // 2 if rng is None else int(rng.integers(s + 1)) for s in spare)
    image = image[:, top : top + side, left : left + side]
    if side == size:
        return image
    given = torch.from_numpy(np.ascontiguousarray(image))[None]
    out = F.interpolate(given, (size, size), mode="bilinear", antialias=True)
    return out[0].clamp(-1, 1).numpy()


def jittered(
    image: np.ndarray, brightness: float, contrast: float, rng: np.random.Generator
) -> np.ndarray:
    """Brightness and contrast times 1 +- the given shares, in random order, in [-1, 1]."""
    bright, strong = 1 + rng.uniform(-1, 1, 2) * (brightness, contrast)
    order = rng.permutation(2)
    x = (image + 1) / 2
    for step in order:
        if step == 0:
            x = np.clip(x * bright, 0, 1)
        else:
            grey = float((x * LUMA).sum(0).mean())
            x = np.clip(strong * x + (1 - strong) * grey, 0, 1)
    return (x * 2 - 1).astype(np.float32)


def softened(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image as a lossy autoencoder might give it: fine detail gone block by block, colours off.

    Blocks of 8 or 16 pixels at a random place lose the frequencies above a random one."""
    side = int(rng.choice((8, 16)))
    down, right = rng.integers(0, side, 2)
    height, width = image.shape[1:]
    margins = ((0, 0), (down, side - down + -height % side), (right, side - right + -width % side))
    padded = np.pad(image, margins, mode="edge")
    rows, columns = (extent // side for extent in padded.shape[1:])
    blocks = padded.reshape(len(image), rows, side, columns, side)
    waves = fft.dctn(blocks, axes=(2, 4), norm="ortho")
    index = np.arange(side, dtype=np.float32)
    radius = np.hypot(index[:, None], index)[None, None, :, None, :]
    waves *= 1 / (1 + (radius / (side * rng.uniform(0.25, 0.6))) ** 8)
    soft = fft.idctn(waves, axes=(2, 4), norm="ortho").reshape(padded.shape)
    soft = soft[:, down : down + height, right : right + width]
    mixed = np.eye(len(image)) + rng.normal(0, 0.05, (len(image), len(image)))
    shifted = np.einsum("ij,jhw->ihw", mixed, soft) + rng.normal(0, 0.03, (len(image), 1, 1))
    return np.clip(shifted, -1, 1).astype(np.float32)


def stretched(image: torch.Tensor) -> torch.Tensor:
    """Each image's own range stretched to [-1, 1]."""
    low = image.amin(dim=(1, 2, 3), keepdim=True)
    high = image.amax(dim=(1, 2, 3), keepdim=True)
    return (image - low) / (high - low).clamp(min=1e-8) * 2 - 1
