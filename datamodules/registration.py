"""Affine registration of a later radiograph on an earlier one, with the score that filters pairs.

BiomedJourney registers the reference image on the prior with SimpleITK and drops pairs of a low
score; transform, score and threshold are not published. Ours: mutual information, an affine
transform, the correlation inside the overlap. One thread and a fixed sampling seed make the result
the same at every run."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from medbench.core.errors import UserError

if TYPE_CHECKING:
    import SimpleITK

Array = np.ndarray
Transform = Literal["affine", "similarity", "rigid"]
VERSION = 1  # raised when the same pair would be registered otherwise
FAILED = -1.0  # the score when no try ended
LEAST_SIDE = 256  # below it registration was seen to fail for a third of the pairs
SEED = 1
SAMPLED = [0.5, 0.5, 0.25]  # share of the pixels, from the coarsest level to the finest
STILL = (1e-5, 8)  # the fit ends below this slope over so many steps; 1e-4 stopped far away
MOST_OUTSIDE = 0.5  # a fit that leaves more of the prior uncovered has run away
TRIES = (("line search", "geometry"), ("regular step", "geometry"), ("regular step", "moments"))


@dataclass(frozen=True)
class Registration:
    """Where the points of the later image lie in the prior one, and how well that fits.

    `matrix` (2, 3) float64 takes normalised coordinates (x, y, from -1 to 1 between the borders) of
    the later image to those of the prior. `outside`: share of the prior's pixels that lie outside
    the later image. `score` is -1 when every try failed."""

    matrix: Array
    score: float
    outside: float
    tries: int

    @property
    def failed(self) -> bool:
        return self.score == FAILED


def register(
    prior: Array,
    later: Array,
    *,
    long_side: int = 256,
    transform: Transform = "affine",
    second_try_below: float = 0.6,
) -> Registration:
    """Find the transform between two grey images (H, W), each of any range and size.

    A try that throws or scores below `second_try_below` is followed by the next of three; the best
    is kept."""
    if long_side < LEAST_SIDE:
        raise UserError(
            f"long_side={long_side} is too small to register on; give at least {LEAST_SIDE}. The "
            "images may be smaller than that afterwards."
        )
    fixed, moving = (_to_image(picture, long_side) for picture in (prior, later))
    best = Registration(np.eye(2, 3), FAILED, 1.0, 0)
    with _one_thread():
        for number, (optimiser, centre) in enumerate(TRIES, 1):
            found = _try(fixed, moving, transform, optimiser, centre, number)
            if _quality(found) > _quality(best):
                best = found
            if best.score >= second_try_below and best.outside <= MOST_OUTSIDE:
                break
    return Registration(best.matrix, best.score, best.outside, number)


@contextmanager
def _one_thread() -> Iterator[None]:
    """ITK with one thread, filters inside others too: sums over threads have no fixed order."""
    import SimpleITK as sitk

    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def _quality(found: Registration) -> tuple[bool, float]:
    return found.outside <= MOST_OUTSIDE, found.score


def warp(later: Array, matrix: Array, shape: tuple[int, int]) -> Array:
    """The later image (H, W) on the grid of the prior, float32; outside stands its darkest value.

    Bilinear, on the grid of `shape`; `matrix` takes later to prior, as `register` gives it."""
    return _sample(later, *_positions(matrix, shape, later.shape))


def _positions(
    matrix: Array, shape: tuple[int, ...], source: tuple[int, ...]
) -> tuple[Array, Array]:
    """Rows and columns in the later image, in pixels, of every pixel of the prior's grid."""
    inverse = _inverse(matrix)
    height, width = shape
    x = (np.arange(width) + 0.5) / width * 2 - 1
    y = (np.arange(height) + 0.5) / height * 2 - 1
    columns = inverse[0, 0] * x[None] + inverse[0, 1] * y[:, None] + inverse[0, 2]
    rows = inverse[1, 0] * x[None] + inverse[1, 1] * y[:, None] + inverse[1, 2]
    return (rows + 1) / 2 * source[0] - 0.5, (columns + 1) / 2 * source[1] - 0.5


def prepare_pair(
    key: str,
    *,
    read: Callable[[str], tuple[Array, Array]],
    long_side: int = 256,
    transform: Transform = "affine",
) -> dict[str, Array]:
    """What is kept of a pair: matrix (2, 3), score, outside, tries; `read(key)` gives both images.

    A failed pair is kept with score -1, so that it is counted and not tried again."""
    prior, later = read(key)
    found = register(prior, later, long_side=long_side, transform=transform)
    return {
        "matrix": found.matrix,
        "score": np.array(found.score),
        "outside": np.array(found.outside),
        "tries": np.array(found.tries),
    }


def pair_maker(
    read: Callable[[str], tuple[Array, Array]], settings: Mapping[str, Any]
) -> Callable[[str], dict[str, Array]]:
    """`make` of a Preparation of pairs; `read` must be picklable: a function or a partial."""
    return partial(prepare_pair, read=read, **settings)


def from_prepared(arrays: Mapping[str, Array]) -> Registration:
    """A registration as `prepare_pair` has kept it."""
    return Registration(
        arrays["matrix"],
        float(arrays["score"]),
        float(arrays["outside"]),
        int(arrays["tries"]),
    )


# one try ------------------------------------------------------------------------------------


def _to_image(picture: Array, long_side: int) -> "SimpleITK.Image":
    """Float32 in [0, 1] with `long_side` pixels on the long side, spacing 1, smoothed to shrink."""
    import SimpleITK as sitk
    from PIL import Image

    if picture.ndim != 2 or min(picture.shape) < 8:
        raise UserError(f"Registration needs two grey images; one has the shape {picture.shape}.")
    values = np.asarray(picture, np.float32)
    low, high = float(values.min()), float(values.max())
    if not high > low:
        raise UserError("Registration needs two images; one has the same grey value everywhere.")
    scale = long_side / max(picture.shape)
    size = [max(1, round(side * scale)) for side in picture.shape]
    small = Image.fromarray((values - low) / (high - low)).resize(
        (size[1], size[0]), Image.Resampling.BILINEAR
    )
    return sitk.GetImageFromArray(np.asarray(small, np.float32))


def _try(
    fixed: "SimpleITK.Image",
    moving: "SimpleITK.Image",
    transform: Transform,
    optimiser: str,
    centre: str,
    number: int,
) -> Registration:
    import SimpleITK as sitk

    rules = sitk.CenteredTransformInitializerFilter
    start = sitk.CenteredTransformInitializer(
        fixed,
        moving,
        {
            "affine": sitk.AffineTransform(2),
            "similarity": sitk.Similarity2DTransform(),
            "rigid": sitk.Euler2DTransform(),
        }[transform],
        rules.GEOMETRY if centre == "geometry" else rules.MOMENTS,
    )
    try:
        found = _method(optimiser, start).Execute(fixed, moving)
    except RuntimeError:  # ITK throws when the images no longer overlap
        return Registration(np.eye(2, 3), FAILED, 1.0, number)
    matrix = _normalised(found, fixed.GetSize(), moving.GetSize())
    later, prior = sitk.GetArrayViewFromImage(moving), sitk.GetArrayViewFromImage(fixed)
    score, outside = _score(prior, later, matrix)
    return Registration(matrix, score, outside, number)


def _method(optimiser: str, start: "SimpleITK.Transform") -> "SimpleITK.ImageRegistrationMethod":
    import SimpleITK as sitk

    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentagePerLevel(SAMPLED, SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    if optimiser == "line search":
        method.SetOptimizerAsGradientDescentLineSearch(1.0, 100, *STILL)
    else:
        method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, 200)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(start, inPlace=False)
    return method


def _normalised(
    found: "SimpleITK.Transform", fixed: tuple[int, int], moving: tuple[int, int]
) -> Array:
    """(2, 3) from the later image to the prior, out of a map of the prior's pixels to the later's.

    A pixel centre of ITK is a whole number, so that a border lies at -0.5."""
    corners = np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])
    origin, right, down = (np.array(found.TransformPoint(tuple(point))) for point in corners)
    linear = np.stack([right - origin, down - origin], axis=1)
    half_fixed, half_moving = np.array(fixed) / 2, np.array(moving) / 2
    turned = linear * half_fixed / half_moving[:, None]
    shift = (origin + linear @ (half_fixed - 0.5) + 0.5) / half_moving - 1
    return _inverse(np.column_stack([turned, shift]))


def _inverse(matrix: Array) -> Array:
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def _score(prior: Array, later: Array, matrix: Array) -> tuple[float, float]:
    """Correlation inside the overlap, and the share of the prior that lies outside the later."""
    rows, columns = _positions(matrix, prior.shape, later.shape)
    inside = _inside(later, rows, columns)
    if inside.mean() < 0.1:
        return FAILED, 1.0
    moved = _sample(later, rows, columns)
    pair = np.stack([np.asarray(prior)[inside], moved[inside]])
    deviations = pair.std(axis=1)
    correlation = float(np.corrcoef(pair)[0, 1]) if deviations.min() > 0 else 0.0
    return correlation, float(1 - inside.mean())


def _sample(picture: Array, rows: Array, columns: Array) -> Array:
    """Bilinear values of an image at pixel positions; its least value beyond half a pixel."""
    high, wide = picture.shape
    r, c = np.clip(rows, 0, high - 1), np.clip(columns, 0, wide - 1)
    top, left = np.minimum(r.astype(np.int64), high - 2), np.minimum(c.astype(np.int64), wide - 2)
    down, right = (r - top).astype(np.float32), (c - left).astype(np.float32)
    values = np.asarray(picture, np.float32)
    upper = values[top, left] * (1 - right) + values[top, left + 1] * right
    lower = values[top + 1, left] * (1 - right) + values[top + 1, left + 1] * right
    found = upper * (1 - down) + lower * down
    return np.where(_inside(picture, rows, columns), found, values.min())


def _inside(picture: Array, rows: Array, columns: Array) -> Array:
    high, wide = picture.shape
    return (rows >= -0.5) & (rows <= high - 0.5) & (columns >= -0.5) & (columns <= wide - 0.5)
