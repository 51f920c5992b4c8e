"""Structural similarity: of images with what they belong to, and between generated images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.metrics.declaration import IMAGE_PAIRS, IMAGES, PAIRS, SAMPLES, metric
from benchmarks.metrics.pairing import draw_pairs
from medbench.core.errors import UserError

WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2  # for intensities in [0, 1]
TAPS = np.exp(-((np.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
TAPS /= TAPS.sum()
BLOCK = 48  # means made by one product: few of its factors are zeros, and it is large enough
BAND = np.stack([np.pad(np.float32(TAPS), (row, BLOCK - 1 - row)) for row in range(BLOCK)])
WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])  # of five scales, fine to coarse
Images = Sequence[np.ndarray] | np.ndarray


@dataclass(frozen=True)
class Moments:
    """One scale of an image in [0, 1], (h, C, w), with its local mean and variance.

    The rows come first because a sum along them is then one product for all channels."""

    image: np.ndarray
    mean: np.ndarray
    variance: np.ndarray  # with half of C2, which each of two images adds


@metric(
    "ssim",
    says="likeness of an image and its reference, structure by structure",
    direction="higher",
    needs=IMAGE_PAIRS,
    min_samples=1,
    version=1,
    kind=SAMPLES,
    source="Wang et al. 2004: Gaussian window of 11 and sigma 1.5, without the border",
)
def ssim(real_images: Images, fake_images: Images) -> np.ndarray:
    """(n,) structural similarity of images in [-1, 1], measured in [0, 1], mean over channels."""
    found = []
    for real, fake in zip(real_images, fake_images, strict=True):
        _check_size(real, 1, "ssim")
        found.append(similarity(real, fake))
    return np.array(found)


@metric(
    "psnr",
    says="likeness of an image and its reference, pixel by pixel",
    direction="higher",
    needs=IMAGE_PAIRS,
    min_samples=1,
    version=1,
    kind=SAMPLES,
    source="20 log10(range / root mean square error), range 2 for images in [-1, 1]",
)
def psnr(real_images: Images, fake_images: Images) -> np.ndarray:
    """(n,) decibels, the error over all channels and pixels; infinite for equal images."""
    pairs = zip(real_images, fake_images, strict=True)
    gaps = [np.asarray(fake, np.float64) - real for real, fake in pairs]
    errors = np.array([np.mean(gap * gap) for gap in gaps])
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(4 / errors))


@metric(
    "ms_ssim",
    says="likeness of generated images to each other: low means diverse",
    direction="lower",
    needs=IMAGES,
    may_need=("groups",),
    min_samples=2,
    version=1,
    kind=PAIRS,
    draws=True,
    source="Wang et al. 2003, five scales; pairs of generated images by pairing.draw_pairs",
)
def ms_ssim(
    fake_images: Images,
    *,
    rng: np.random.Generator,
    pairs: int = 1000,
    groups: Sequence[str] | None = None,
) -> np.ndarray:
    """(p,) multi-scale similarity of pairs of generated images: lower means more diverse.

    Undefined up to 160 pixels, where `ms_ssim_k` is used. Negative structure counts as 0."""
    _check_size(fake_images[0], len(WEIGHTS), "ms_ssim")
    return multi_scale(fake_images, draw_pairs(len(fake_images), pairs, rng, groups), WEIGHTS)


@metric(
    "ms_ssim_k",
    says="ms_ssim for images of 160 pixels or fewer",
    direction="lower",
    needs=IMAGES,
    may_need=("groups",),
    min_samples=2,
    version=1,
    kind=PAIRS,
    draws=True,
    source="ms_ssim by as many scales as fit (11 pixels at the coarsest), weights renormalised",
)
def ms_ssim_k(
    fake_images: Images,
    *,
    rng: np.random.Generator,
    pairs: int = 1000,
    groups: Sequence[str] | None = None,
) -> np.ndarray:
    """(p,) the same for small images: k <= 5 scales, the largest k with side > 10 * 2^(k - 1)."""
    _check_size(fake_images[0], 1, "ms_ssim_k")
    side = min(fake_images[0].shape[1:])
    scales = max(k for k in range(1, len(WEIGHTS) + 1) if side > _least(k))
    weights = WEIGHTS if scales == len(WEIGHTS) else WEIGHTS[:scales] / WEIGHTS[:scales].sum()
    return multi_scale(fake_images, draw_pairs(len(fake_images), pairs, rng, groups), weights)


def similarity(real: np.ndarray, fake: np.ndarray) -> float:
    """Structural similarity of two (C, H, W) images in [-1, 1]."""
    one, other = moments(real, 1)[0], moments(fake, 1)[0]
    return float((luminance(one, other) * structure(one, other)).mean(dtype=np.float64))


def multi_scale(images: Images, pairs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(p,) similarity of the pairs (p, 2); the moments of an image serve consecutive pairs."""
    known: dict[int, list[Moments]] = {}
    found = np.empty(len(pairs))
    for place, pair in enumerate(pairs):
        known = {i: known[i] if i in known else moments(images[i], len(weights)) for i in pair}
        scales = list(zip(*known.values(), strict=True))
        maps = [structure(one, other) for one, other in scales]
        maps[-1] *= luminance(*scales[-1])
        parts = [one.mean(axis=2).mean(axis=0, dtype=np.float64) for one in maps]
        found[place] = np.prod(np.maximum(parts, 0) ** weights[:, None], axis=0).mean()
    return found


def moments(image: np.ndarray, scales: int) -> list[Moments]:
    """Local moments of a (C, H, W) image in [-1, 1] at each scale, in [0, 1] and float32.

    Intensities start at 0 because the luminance term is not the same about another origin."""
    part = np.array(np.moveaxis(image, 0, 1), np.float32, order="C")  # a copy
    part += 1
    part /= 2
    found = []
    for scale in range(scales):
        if scale:
            part = _halved(part)
        both = smoothed(np.concatenate([part, part * part], axis=1))
        mean, variance = np.split(both, 2, axis=1)
        variance -= mean * mean
        variance += C2 / 2
        found.append(Moments(part, mean, variance))
    return found


def luminance(one: Moments, other: Moments) -> np.ndarray:
    """(h, C, w) map of how alike the local means are."""
    found = one.mean * other.mean
    found *= 2
    found += C1
    found /= one.mean * one.mean + other.mean * other.mean + np.float32(C1)
    return found


def structure(one: Moments, other: Moments) -> np.ndarray:
    """(h, C, w) map of how alike contrast and structure are."""
    found = smoothed(one.image * other.image)
    found -= one.mean * other.mean
    found *= 2
    found += C2
    found /= one.variance + other.variance
    return found


def smoothed(image: np.ndarray) -> np.ndarray:
    """(h - 10, C, w - 10) Gaussian means of an (h, C, w) image in float32, without the border.

    Sums along an axis are products with a band of the taps, block by block."""
    height, channels, width = image.shape
    rows = image.reshape(height, -1)
    down = np.empty((height - WINDOW + 1, rows.shape[1]), image.dtype)
    for start, band in _bands(len(down)):
        stop = start + len(band)
        np.matmul(band, rows[start : stop + WINDOW - 1], out=down[start:stop])
    rows = down.reshape(-1, width)
    found = np.empty((len(rows), width - WINDOW + 1), image.dtype)
    for start, band in _bands(found.shape[1]):
        stop = start + len(band)
        np.matmul(rows[:, start : stop + WINDOW - 1], band.T, out=found[:, start:stop])
    return found.reshape(-1, channels, found.shape[1])


def _bands(length: int) -> Iterator[tuple[int, np.ndarray]]:
    """Where each block of means starts, and the (b, b + 10) factors that make it."""
    for start in range(0, length, BLOCK):
        yield start, BAND[: length - start, : length - start + WINDOW - 1]


def _halved(image: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels of an (h, C, w) image.

    An odd side gets a border of zeros, as in the usual implementation."""
    tall, _, wide = (side % 2 for side in image.shape)
    if tall or wide:
        image = np.pad(image, ((tall, tall), (0, 0), (wide, wide)))
    height, width = (image.shape[axis] // 2 * 2 for axis in (0, 2))
    rows = image[:height:2] + image[1:height:2]
    found = rows[:, :, :width:2] + rows[:, :, 1:width:2]
    found /= 4
    return found


def _least(scales: int) -> int:
    return (WINDOW - 1) * 2 ** (scales - 1)


def _check_size(image: np.ndarray, scales: int, name: str) -> None:
    side = min(image.shape[1:])
    if side <= _least(scales):
        other = " Use ms_ssim_k." if name == "ms_ssim" and side > _least(1) else ""
        raise UserError(
            f"{name} needs images of more than {_least(scales)} pixels; these have {side}.{other}"
        )
