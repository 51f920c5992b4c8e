"""Spatial maps that need no weights: edges, texture, lungs, and where a radiologist looked.

Edge and texture maps are taken from 8-bit grey levels at the image's own resolution and resized
afterwards: a map of a resized image is another map. Attention maps are sums of Gaussians at the
fixations, evaluated at the pixel centres of any grid."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy import ndimage

from medbench.core.errors import UserError, nearest

Array = np.ndarray

LOW, HIGH = 40, 50  # thresholds of the Canny maps, on the L1 gradient of 8-bit levels
SIGMA = 0.05  # of an attention map, as a share of the image's width
LEVEL = 120  # of an attention map on the 0..255 scale: what counts as looked at
COARSE = 256  # pixels of the shorter side on which lungs are looked for
SHARES = (1.0, 0.85, 0.7, 0.55, 0.4)  # of Otsu's threshold
_TANGENT = 13573  # tan(22.5 degrees) * 2**15, the fixed point that OpenCV sorts directions with
_EIGHT = np.ones((3, 3), bool)


def grey_levels(image: Array) -> Array:
    """(1 or 3, H, W) in [-1, 1] as (H, W) uint8; colour by the mean of its channels."""
    levels = np.rint((image.astype(np.float64).mean(axis=0) + 1) * 127.5)
    return np.clip(levels, 0, 255).astype(np.uint8)


def as_control(levels: Array) -> Array:
    """(H, W) uint8, or bool, as the (1, H, W) float32 in [0, 1] of a sample's `controls`."""
    scale = np.float32(1 if levels.dtype == bool else 1 / 255)
    return levels[None].astype(np.float32) * scale


# edges and texture ------------------------------------------------------------------
def canny(grey: Array, low: float = LOW, high: float = HIGH) -> Array:
    """(H, W) uint8 -> 0 or 255: OpenCV's Canny (3 x 3 Sobel, L1 magnitude, no smoothing).

    An edge is kept where it exceeds `high`, or exceeds `low` and is joined to one that does."""
    wide = _checked(grey).astype(np.int32)
    dx = ndimage.sobel(wide, axis=1, mode="nearest")
    dy = ndimage.sobel(wide, axis=0, mode="nearest")
    magnitude = np.abs(dx) + np.abs(dy)
    kept = (magnitude > np.floor(low)) & _is_ridge(dx, dy, magnitude)
    parts, count = ndimage.label(kept, _EIGHT)
    strong = np.zeros(count + 1, bool)
    strong[parts[kept & (magnitude > np.floor(high))]] = True
    return np.where(strong[parts] & kept, np.uint8(255), np.uint8(0))


def _is_ridge(dx: Array, dy: Array, magnitude: Array) -> Array:
    """Where the magnitude is the largest of the three pixels across the edge.

    Of two equal neighbours the first counts, so that a symmetric step gives one line and not two;
    on diagonals neither does. These are OpenCV's rules."""
    padded = np.pad(magnitude, 1)
    rows, columns = magnitude.shape

    def at(down: int, right: int) -> Array:
        return padded[1 + down : 1 + down + rows, 1 + right : 1 + right + columns]

    run, rise = np.abs(dx) * _TANGENT, np.abs(dy) << 15
    across = (magnitude > at(0, -1)) & (magnitude >= at(0, 1))
    down = (magnitude > at(-1, 0)) & (magnitude >= at(1, 0))
    falling = (magnitude > at(-1, -1)) & (magnitude > at(1, 1))
    rising = (magnitude > at(-1, 1)) & (magnitude > at(1, -1))
    diagonal = np.where((dx ^ dy) >= 0, falling, rising)
    steep = rise > run + (np.abs(dx) << 16)
    return np.where(rise < run, across, np.where(steep, down, diagonal))


def sobel(grey: Array, legacy_uint8: bool = False) -> Array:
    """(H, W) uint8 -> (H, W) uint8: gradient magnitude, its maximum at 255; zeros if constant.

    legacy_uint8: gradients wrapped around to 8 bits before they are joined, as the maps were that
    the authors' own networks were trained on."""
    grey = _checked(grey)
    if legacy_uint8:
        parts = [_wrapped_sobel(grey, axis).astype(np.float64) for axis in (0, 1)]
    else:
        parts = [ndimage.sobel(grey.astype(np.float64), axis=axis) for axis in (0, 1)]
    magnitude = np.hypot(*parts)
    top = magnitude.max()
    return np.rint(magnitude * (255 / top) if top else magnitude).astype(np.uint8)


def gaussian_laplace(grey: Array, sigma: float = 1.0, legacy_uint8: bool = False) -> Array:
    """(H, W) uint8 -> (H, W) uint8: Laplacian of a Gaussian, zero at 128, extremes at 1 or 255.

    legacy_uint8: values wrapped around to 8 bits, negative lobes becoming bright."""
    grey = _checked(grey)
    if legacy_uint8:
        return _wrapped_second(grey, sigma, 0) + _wrapped_second(grey, sigma, 1)
    # the cut-off kernel does not quite sum to zero: without its mean, flat stays flat
    lobes = ndimage.gaussian_laplace(grey.astype(np.float64) - grey.mean(), sigma)
    top = np.abs(lobes).max()
    if top < 1e-9:
        return np.full(grey.shape, 128, np.uint8)
    return np.rint(128 + 127 * lobes / top).astype(np.uint8)


def _wrap(values: Array) -> Array:
    """To 8 bits as a C program does it: the fraction cut off, the rest modulo 256."""
    return np.trunc(values).astype(np.int64).astype(np.uint8)


def _wrapped_sobel(grey: Array, axis: int) -> Array:
    step = _wrap(ndimage.correlate1d(grey.astype(np.float64), [-1, 0, 1], axis))
    return _wrap(ndimage.correlate1d(step.astype(np.float64), [1, 2, 1], 1 - axis))


def _wrapped_second(grey: Array, sigma: float, axis: int) -> Array:
    """Second derivative along an axis, cut to 8 bits after each of the two passes."""
    for place in (0, 1):
        order = 2 if place == axis else 0
        grey = _wrap(ndimage.gaussian_filter1d(grey.astype(np.float64), sigma, place, order))
    return grey


# anatomy ----------------------------------------------------------------------------
def find_lungs(grey: Array) -> Array:
    """(H, W) uint8 -> (H, W) uint8, 0 or 255: the two largest dark parts off the border.

    The threshold is Otsu's, or the highest share of it that leaves a part on both sides: where the
    chest wall is dark too, a lung is joined to the border. For images without lung masks and
    without a network that draws them; consolidated lung is bright and is lost."""
    step = max(1, min(_checked(grey).shape) // COARSE)  # finer than this adds noise and time
    rows, columns = (side // step * step for side in grey.shape)
    blocks = grey[:rows, :columns].reshape(rows // step, step, columns // step, step)
    small = ndimage.gaussian_filter(blocks.mean(axis=(1, 3)), 0.006 * columns / step)
    level = otsu(np.rint(small).astype(np.uint8))
    found = [_dark_parts(small <= level * share) for share in SHARES]
    lungs = next((mask for mask in found if _lie_on_both_sides(mask)), found[0])
    whole = np.repeat(np.repeat(lungs, step, axis=0), step, axis=1)
    rest = [(0, side - fitted) for side, fitted in zip(grey.shape, whole.shape, strict=True)]
    return np.where(np.pad(whole, rest, mode="edge"), np.uint8(255), np.uint8(0))


def _dark_parts(dark: Array) -> Array:
    """The two largest connected parts that do not touch the border, without holes."""
    parts, count = ndimage.label(dark)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    for edge in (parts[0], parts[-1], parts[:, 0], parts[:, -1]):
        sizes[edge] = 0
    best = [part for part in np.argsort(-sizes, kind="stable")[:2] if sizes[part]]
    return np.asarray(ndimage.binary_fill_holes(np.isin(parts, best)))


def _lie_on_both_sides(mask: Array) -> bool:
    """Whether each half of the image holds at least 3 % of it."""
    middle = mask.shape[1] // 2
    return min(mask[:, :middle].sum(), mask[:, middle:].sum()) >= 0.03 * mask.size


def otsu(grey: Array) -> int:
    """The level that splits 8-bit values into two groups (<= and >) of the least inner variance."""
    counts = np.bincount(grey.ravel(), minlength=256).astype(np.float64)
    below = np.cumsum(counts)
    sums = np.cumsum(counts * np.arange(256))
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = sums / below - (sums[-1] - sums) / above
        between = np.where((below > 0) & (above > 0), below * above * gap**2, 0)
    return int(between.argmax())


EXTRACTORS: dict[str, Callable[[Array], Array]] = {
    "canny": canny,
    "sobel": sobel,
    "gl": gaussian_laplace,
    "segmentation": find_lungs,
}


def extract(name: str, grey: Array) -> Array:
    """The named map of an (H, W) uint8 image, (H, W) uint8; of a real or a generated one alike."""
    if name not in EXTRACTORS:
        raise UserError(
            f"control {name} cannot be taken from an image{nearest(name, EXTRACTORS)}; "
            f"known are {', '.join(EXTRACTORS)}."
        )
    return EXTRACTORS[name](grey)


def _checked(grey: Array) -> Array:
    if grey.ndim != 2 or grey.dtype != np.uint8:
        raise ValueError(f"a control map needs (H, W) uint8, not {grey.shape} {grey.dtype}")
    return grey


# attention --------------------------------------------------------------------------
def attention(
    gaze: Array,
    height: int,
    width: int,
    *,
    sigma: float | tuple[float, float] = SIGMA,
    weight: Literal["count", "duration"] = "count",
    focus: Literal["all", "focal"] = "all",
) -> Array:
    """(F, 4) gaze as an (H, W) float32 map in [0, 1] with maximum 1; zeros without fixations.

    Each fixation adds a Gaussian of `sigma` times the width (or a pair: shares of width and of
    height), of weight 1 or its duration. focal: only the fixations of the cluster, of two, that was
    looked at longer."""
    gaze = gaze[longer_cluster(gaze)] if focus == "focal" else gaze
    weights = gaze[:, 3] if weight == "duration" else np.ones(len(gaze))
    pair = sigma if isinstance(sigma, tuple) else (sigma, sigma * width / height)
    spread = np.tile(np.array(pair, np.float64), (len(gaze), 1))
    heat = _sum_gaussians(gaze[:, :2], spread, weights, height, width)
    top = heat.max()
    return (heat / top if top > 0 else heat).astype(np.float32)


def density(
    gaze: Array, spread: Array, height: int, width: int, shown: Array | None = None
) -> Array:
    """(F, 4) gaze as an (H, W) float32 map of sum 1, by duration; zeros without fixations.

    spread: (F, 2) deviations in x and y, as shares of width and height. shown: (F, 4) left, top,
    right, bottom of what was on screen, as shares; nothing is seen outside it."""
    heat = _sum_gaussians(gaze[:, :2], spread, gaze[:, 3], height, width, shown)
    total = heat.sum()
    return (heat / total if total > 0 else heat).astype(np.float32)


def _sum_gaussians(
    places: Array, spread: Array, weights: Array, height: int, width: int, cut: Array | None = None
) -> Array:
    """(H, W) sum of products of a Gaussian along x and one along y, all in shares of the image."""
    across = _profiles(places[:, 0], spread[:, 0], width)
    down = _profiles(places[:, 1], spread[:, 1], height)
    if cut is not None:
        across *= _within(cut[:, 0], cut[:, 2], width)
        down *= _within(cut[:, 1], cut[:, 3], height)
    # equal masses, whatever the deviation
    scale = np.asarray(weights, np.float64) / np.maximum(spread[:, 0] * spread[:, 1], 1e-12)
    return (down * scale[:, None]).T @ across


def _centres(count: int) -> Array:
    return (np.arange(count) + 0.5) / count


def _profiles(middles: Array, deviations: Array, count: int) -> Array:
    away = (_centres(count)[None] - middles[:, None]) / np.maximum(deviations, 1e-6)[:, None]
    return np.exp(-0.5 * away.astype(np.float64) ** 2)


def _within(low: Array, high: Array, count: int) -> Array:
    centres = _centres(count)[None]
    return (centres >= low[:, None]) & (centres <= high[:, None])


def longer_cluster(gaze: Array, rounds: int = 50) -> Array:
    """(F,) bool: the one of two clusters (k-means on x, y) with the larger total duration.

    Starts from the point farthest from the mean and the one farthest from that: no seed."""
    places = gaze[:, :2].astype(np.float64)
    if len(places) < 2:
        return np.ones(len(places), bool)
    first = places[_away(places, places.mean(axis=0)).argmax()]
    centres = np.stack([first, places[_away(places, first).argmax()]])
    for _ in range(rounds):
        second = _away(places, centres[1]) < _away(places, centres[0])
        groups = [places[~second], places[second]]
        moved = np.stack(
            [g.mean(axis=0) if len(g) else c for g, c in zip(groups, centres, strict=True)]
        )
        if np.array_equal(moved, centres):
            break
        centres = moved
    return second if gaze[second, 3].sum() > gaze[~second, 3].sum() else ~second


def _away(places: Array, point: Array) -> Array:
    return ((places - point) ** 2).sum(axis=1)


def looked_at(heat: Array, level: int = LEVEL, dilate: tuple[int, int] | None = None) -> Array:
    """(H, W) bool: where an attention map in [0, 1] reaches `level` of 255.

    dilate: side of a square in pixels and how often it is applied; the square stays centred."""
    mask = heat >= np.float32(level / 255)
    if dilate is None or not dilate[1]:
        return mask
    side, times = dilate
    square = np.ones((side | 1, 1), bool)  # odd: an even one would shift the mask
    for structure in (square, square.T):
        mask = ndimage.binary_dilation(mask, structure, iterations=times)
    return mask
