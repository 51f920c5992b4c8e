"""Resizing before a network or a metric: named rules, since numbers depend on them."""

import numpy as np

ANTIALIAS = "antialias bilinear"
# Plain bilinear drops pixels when it shrinks; `buffer` is the MEDVQA-GI scorer's, no interpolation.
RESIZES = (ANTIALIAS, "antialias bicubic", "bilinear", "buffer")


def resized(image: np.ndarray, size: int, rule: str = ANTIALIAS) -> np.ndarray:
    """A (C, H, W) image as (C, size, size) float32; its aspect ratio is not kept.

    An image of the right size comes back as it is. Pillow's filters antialias; plain bilinear
    looks at the four neighbours alone, as older FID code does."""
    if image.shape[1:] == (size, size):
        return np.ascontiguousarray(image, dtype=np.float32)
    if rule == "buffer":
        from benchmarks.metrics.frechet import buffer_resized

        cut = buffer_resized(np.asarray(image, np.float32).transpose(1, 2, 0), size)
        return np.ascontiguousarray(cut.transpose(2, 0, 1))
    if rule == "bilinear":
        return _four_neighbours(image, size)
    from PIL import Image

    kind = Image.Resampling.BICUBIC if rule == RESIZES[1] else Image.Resampling.BILINEAR
    planes = [Image.fromarray(np.asarray(plane, np.float32)) for plane in image]
    return np.stack([np.asarray(plane.resize((size, size), kind)) for plane in planes])


def _four_neighbours(image: np.ndarray, size: int) -> np.ndarray:
    found = np.asarray(image, np.float32)
    for axis in (1, 2):
        n = found.shape[axis]
        place = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, n - 1)
        below = np.floor(place).astype(int)
        above = np.minimum(below + 1, n - 1)
        share = (place - below).astype(np.float32)
        share = share.reshape([-1 if a == axis else 1 for a in range(3)])
        found = found.take(below, axis) * (1 - share) + found.take(above, axis) * share
    return found


def resized_volume(volume: np.ndarray, size: int) -> np.ndarray:
    """A (C, D, H, W) volume as (C, size, size, size): trilinear, after a Gaussian to shrink."""
    if volume.shape[1:] == (size,) * 3:
        return np.ascontiguousarray(volume, dtype=np.float32)
    from scipy.ndimage import gaussian_filter, zoom

    factors = [size / n for n in volume.shape[1:]]
    widths = [max(0.0, (1 / factor - 1) / 2) for factor in factors]
    parts = []
    for channel in volume:
        smooth = gaussian_filter(channel.astype(np.float32), widths) if any(widths) else channel
        parts.append(zoom(smooth, factors, order=1, grid_mode=True, mode="nearest"))
    return np.stack(parts).astype(np.float32)
