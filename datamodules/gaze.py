"""What the sets of radiologists' gaze share: fixations on an image, and the maps drawn of them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from datamodules import controls
from datamodules.geometry import Fit, Place
from datamodules.pictures import decode, to_unit
from datamodules.preparing import Arrays
from medbench.core.errors import UserError

Array = np.ndarray
Focus = Literal["all", "focal"]
Weight = Literal["count", "duration"]
Box = tuple[float, float, float, float]  # left, top, right, bottom

FILLS = {"gl": 128}  # what padding is filled with, of 255; the other maps are 0 where nothing is


@dataclass(frozen=True)
class Gaze:
    """Fixations on one image, in its pixels: x to the right, y down."""

    points: Array  # (F, 2) x, y; some may lie outside the image
    times: Array  # (F, 2) start and duration in s
    degree: Array  # (F, 2) image pixels that one degree of sight covers, in x and y
    shown: Array  # (F, 4) left, top, right, bottom of the part that was on screen

    def __len__(self) -> int:
        return len(self.points)

    def take(self, rows: Array) -> "Gaze":
        """Some fixations, by index or by truth."""
        return Gaze(self.points[rows], self.times[rows], self.degree[rows], self.shown[rows])

    def inside(self, box: Box) -> Array:
        """(F,) bool: within left, top, right, bottom, borders included."""
        low, high = np.array(box[:2]), np.array(box[2:])
        return np.asarray(((self.points >= low) & (self.points <= high)).all(axis=1))

    def shares(self, width: int, height: int) -> Array:
        """(F, 4) float32: x, y in [0, 1] where the fixation lies in the image, start, duration."""
        return np.concatenate([self.points / (width, height), self.times], axis=1).astype(
            np.float32
        )


def join(parts: list[Gaze]) -> Gaze:
    """Several readings of one image after each other, as they stand."""
    return Gaze(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("points", "times", "degree", "shown")
        )
    )


@dataclass(frozen=True)
class Word:
    """A word, a phrase or a mark of a dictation, with its time in s."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Case:
    """A sample as the tables have it: nothing of the image, the gaze or the dictation is read."""

    sample_id: str
    subject_id: str
    dicom_id: str
    image: Path
    labels: Array  # (14,) float32
    readings: tuple[str, ...]  # of this image, whose gaze is joined
    study_id: str = ""
    meta: dict[str, Any] = field(default_factory=dict)


class Source(Protocol):
    """A release: what a case needs beyond its tables. Other processes are handed it."""

    @property
    def masks(self) -> tuple[str, ...]:
        """Names of the masks, the same for each case."""

    def size(self, case: Case) -> tuple[int, int]:
        """Width and height of the image as the release has it."""

    def gaze(self, case: Case, width: int, height: int) -> Gaze:
        """Every valid fixation, those beyond the image included."""

    def focus(self, case: Case) -> Box | None:
        """Left, top, right, bottom that attention is limited to; None: nothing limits it."""

    def words(self, case: Case) -> list[Word]:
        """The dictation with its times."""

    def text(self, case: Case) -> str:
        """The text of the sample."""

    def details(self, case: Case) -> dict[str, Any]:
        """What `meta` says beyond the tables."""

    def draw_masks(self, case: Case, place: Place, width: int, height: int) -> Arrays:
        """(1, S, S) uint8 under each name, of an image of width x height pixels."""

    def files(self, case: Case) -> list[Path]:
        """What is read of a case beside its image."""

    def tables(self) -> list[Path]:
        """What is read once for all cases."""


@dataclass(frozen=True)
class Look:
    """How a case becomes arrays.

    sigma: of the attention map, as a share of the image's width. exact: whether the image must
    have the very size that the tables claim, or may be a smaller copy of the same shape."""

    fit: Fit
    sigma: float = controls.SIGMA
    weight: Weight = "count"
    focus: Focus = "all"
    exact: bool = True

    def settings(self) -> dict[str, Any]:
        """What the arrays depend on, for the name of what is prepared."""
        return {
            "size": self.fit.size,
            "fit": self.fit.mode,
            "sigma": self.sigma,
            "weight": self.weight,
            "focus": self.focus,
        }


def make_arrays(source: Source, case: Case, look: Look) -> Arrays:
    """Everything of a case that has pixels or fixations, 8 bits a value where that is enough.

    Maps of texture are taken at the image's own size and fitted afterwards."""
    image = read_film(case.image)
    grey = controls.grey_levels(image)
    height, width = grey.shape
    claimed = source.size(case)
    check_size(case, (width, height), claimed, look.exact)
    place = look.fit.place(height, width)
    made = {"image": _quantise(place.image(image / 2 + 0.5, fill=0.0))}
    for name in controls.EXTRACTORS:
        fill = FILLS.get(name, 0) / 255
        level = controls.as_control(controls.extract(name, grey))
        made[f"control.{name}"] = _quantise(place.image(level, fill=fill))
    whole = look.fit.place(claimed[1], claimed[0])
    gaze = source.gaze(case, *claimed)
    made |= _draw_gaze(gaze, source.focus(case), whole, look, *claimed)
    for name, mask in source.draw_masks(case, whole, *claimed).items():
        made[f"mask.{name}"] = np.packbits(mask.astype(bool), axis=-1)
    return made


def read_film(path: Path) -> Array:
    """(1, H, W) float32 in [-1, 1] at the image's own size."""
    pixels, info = decode(path)
    return to_unit(pixels[:1], info, None, path)


def _quantise(values: Array) -> Array:
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def _draw_gaze(
    gaze: Gaze,
    focus: Box | None,
    place: Place,
    look: Look,
    width: int,
    height: int,
) -> Arrays:
    """Attention on the grid of the result; each Gaussian is as wide as it is on the source."""
    size, scale = place.size, np.array(place.scale)
    left, top, right, bottom = 0.0, 0.0, float(width), float(height)
    gaze = gaze.take(gaze.inside((left, top, right, bottom)))  # the others saw no image
    near = gaze if focus is None else gaze.take(gaze.inside(focus))
    sigma = tuple(look.sigma * width * scale / size)
    hva = controls.attention(
        _on_grid(near, place),
        size,
        size,
        sigma=(float(sigma[0]), float(sigma[1])),
        weight=look.weight,
        focus=look.focus,
    )
    shown = place.points(gaze.shown.reshape(-1, 2)).reshape(-1, 4) / size
    spread = gaze.degree * scale / size
    return {
        "gaze": place.gaze(gaze.shares(width, height), height, width),
        "control.hva": _quantise(hva[None]),
        "control.gaze_density": controls.density(_on_grid(gaze, place), spread, size, size, shown)[
            None
        ],
    }


def _on_grid(gaze: Gaze, place: Place) -> Array:
    """(F, 4) in shares of the result; those beyond its border still reach into it."""
    return np.concatenate([place.points(gaze.points) / place.size, gaze.times], axis=1)


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height from the header of an image file."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            return picture.size
    except FileNotFoundError:
        raise UserError(f"The image {path} is missing.") from None
    except (OSError, UnidentifiedImageError) as error:
        raise UserError(f"The image {path} cannot be read ({error}). Fetch it again.") from None


def check_size(case: Case, found: tuple[int, int], claimed: tuple[int, int], exact: bool) -> None:
    """Stop when an image has another size, or another shape, than its release says."""
    if found == claimed:
        return
    (width, height), (wide, high) = found, claimed
    same_shape = abs(width * high - height * wide) <= max(wide, high)  # by at most a pixel
    if exact or not same_shape:
        raise UserError(
            f"{case.image} has {width} x {height} pixels, but {case.sample_id} was read on "
            f"{wide} x {high}. "
            + (
                "Set expect=subset if these are smaller copies."
                if same_shape
                else "It is another image, or a cropped one; gaze cannot be laid over it."
            )
        )


# ellipses -----------------------------------------------------------------------------
def draw_ellipses(boxes: Array, size: int) -> Array:
    """(N, 4) boxes in result pixels as one (1, size, size) uint8 mask of the ellipses in them."""
    centres = np.arange(size) + 0.5
    mask = np.zeros((size, size), bool)
    for left, top, right, bottom in np.asarray(boxes, np.float64).reshape(-1, 4):
        a, b = max((right - left) / 2, 1e-6), max((bottom - top) / 2, 1e-6)
        across = ((centres - (left + right) / 2) / a) ** 2
        down = ((centres - (top + bottom) / 2) / b) ** 2
        mask |= across[None, :] + down[:, None] <= 1
    return mask[None].astype(np.uint8)
