"""Structural similarity: of images with what they belong to, and between generated images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.metrics.declaration import IMAGE_PAIRS, IMAGES, PAIRS, SAMPLES, metric
from benchmarks.metrics.pairing import draw_pairs
from medbench.core.errors import UserError

WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2  # for intensities in [0, 1]
TAPS = np.exp(-((np.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
TAPS /= TAPS.sum()
BAND = 256  # rows filtered at once
WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])  # of five scales, fine to coarse
Images = Sequence[np.ndarray] | np.ndarray


@dataclass(frozen=True)
class Moments:
    """One scale of an image in [0, 1], (C, h, w), with its local mean and variance."""

    image: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


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
        luminance, structure = compare(moments(real, 1)[0], moments(fake, 1)[0])
        found.append(float((luminance * structure).mean(dtype=np.float64)))
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


def multi_scale(images: Images, pairs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(p,) similarity of the pairs (p, 2); the moments of an image serve consecutive pairs."""
    known: dict[int, list[Moments]] = {}
    found = np.empty(len(pairs))
    for place, pair in enumerate(pairs):
        known = {i: known[i] if i in known else moments(images[i], len(weights)) for i in pair}
        parts: list[np.ndarray] = []
        for one, other in zip(*known.values(), strict=True):
            luminance, structure = compare(one, other)
            if len(parts) == len(weights) - 1:
                structure *= luminance
            parts.append(np.maximum(structure.mean(axis=(1, 2), dtype=np.float64), 0))
        found[place] = np.prod(np.stack(parts) ** weights[:, None], axis=0).mean()
    return found


def moments(image: np.ndarray, scales: int) -> list[Moments]:
    """Local moments of a (C, H, W) image in [-1, 1] at each scale, in [0, 1] and float32.

    Intensities start at 0 because the luminance term is not the same about another origin."""
    part = (np.asarray(image, np.float32) + 1) / 2
    found = []
    for scale in range(scales):
        if scale:
            part = _halved(part)
        mean = smoothed(part)
        found.append(Moments(part, mean, smoothed(part * part) - mean * mean))
    return found


def compare(one: Moments, other: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Maps (C, h, w) of the luminance term and of the contrast-structure term."""
    product = one.mean * other.mean
    structure = smoothed(one.image * other.image)
    structure -= product
    structure *= 2
    structure += C2
    structure /= one.variance + other.variance + np.float32(C2)
    product *= 2
    product += C1
    product /= one.mean * one.mean + other.mean * other.mean + np.float32(C1)
    return product, structure


def smoothed(image: np.ndarray) -> np.ndarray:
    """(C, h - 10, w - 10) Gaussian means without the border, by adding shifted copies.

    It goes by bands of rows that stay in a core's cache."""
    channels, height, width = image.shape
    reach = WINDOW - 1
    found = np.empty((channels, height - reach, width - reach), image.dtype)
    for channel in range(channels):
        for start in range(0, height - reach, BAND):
            band = image[channel, start : start + BAND + reach]
            found[channel, start : start + BAND] = _along_rows(_along_rows(band).T).T
    return found


def _along_rows(image: np.ndarray) -> np.ndarray:
    """(h - 10, w) weighted sums of 11 consecutive rows, outer ones first added in pairs."""
    height = len(image) - WINDOW + 1
    middle = WINDOW // 2
    total = image[middle : middle + height] * TAPS[middle].astype(image.dtype)
    both = np.empty_like(total)
    for k in range(middle):
        last = WINDOW - 1 - k
        np.add(image[k : k + height], image[last : last + height], out=both)
        both *= TAPS[k].astype(image.dtype)
        total += both
    return total


def _halved(image: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels; an odd side gets a border of zeros, as in the usual implementation."""
    odd = [side % 2 for side in image.shape[1:]]
    padded = np.pad(image, ((0, 0), *((side, side) for side in odd))) if any(odd) else image
    height, width = (side // 2 * 2 for side in padded.shape[1:])
    padded = padded[:, :height, :width]
    rows = padded[:, ::2] + padded[:, 1::2]
    return np.asarray((rows[:, :, ::2] + rows[:, :, 1::2]) / 4)


def _least(scales: int) -> int:
    return (WINDOW - 1) * 2 ** (scales - 1)


def _check_size(image: np.ndarray, scales: int, name: str) -> None:
    side = min(image.shape[1:])
    if side <= _least(scales):
        other = " Use ms_ssim_k." if name == "ms_ssim" and side > _least(1) else ""
        raise UserError(
            f"{name} needs images of more than {_least(scales)} pixels; these have {side}.{other}"
        )
