"""Two radiographs of one subject, the later one moved onto the grid of the earlier one."""

from pathlib import Path, PurePosixPath

import numpy as np

from datamodules.geometry import Fit
from datamodules.pictures import decode, to_unit
from datamodules.registration import warp
from datamodules.resizing import as_grey


def read_grey(path: Path) -> np.ndarray:
    """(H, W) float32 in [-1, 1], as large as the file."""
    pixels, info = decode(path)
    grey = as_grey(pixels, path) if len(pixels) == 3 else pixels
    return to_unit(grey, info, None, path)[0]


def read_reduced(path: Path, fit: Fit) -> np.ndarray:
    """(H, W) float32 in [-1, 1]: the whole picture, as large as `fit` will want it."""
    from PIL import Image

    grey = read_grey(path)
    height, width = grey.shape
    if fit.mode == "stretch":
        size = fit.size, fit.size
    else:
        side = min(height, width) if fit.mode == "crop" else max(height, width)
        size = round(height * fit.size / side), round(width * fit.size / side)
    small = Image.fromarray(grey).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(small, np.float32)


def read_pair(
    prior: Path, later: Path, fit: Fit, matrix: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Both as (1, S, S) float32 in [-1, 1]; the later one registered where a matrix is given.

    `matrix` (2, 3) takes normalised coordinates of the later image to those of the prior."""
    pictures = [read_reduced(path, fit) for path in (prior, later)]
    if matrix is not None:
        pictures[1] = warp(pictures[1], matrix, pictures[0].shape)
    one, other = (fit.place(*p.shape).image(p[None]) for p in pictures)
    return np.clip(one, -1, 1), np.clip(other, -1, 1)


def read_one(path: Path, fit: Fit) -> np.ndarray:
    """(1, S, S) float32 in [-1, 1], reduced as those of a pair are."""
    picture = read_reduced(path, fit)
    return np.clip(fit.place(*picture.shape).image(picture[None]), -1, 1)


def pair_key(prior: str, later: str) -> str:
    """The key of a preparation for two paths of the release; `pair_paths` is its inverse."""
    first, second = PurePosixPath(prior), PurePosixPath(later)
    folder = first.parent.parent.relative_to("files")
    return f"{folder}/{first.parent.name}__{second.parent.name}/{first.stem}__{second.stem}"


def pair_paths(key: str) -> tuple[str, str]:
    """The two paths of the release, files/.../DICOM_ID.jpg, of a key."""
    folder, studies, names = key.rsplit("/", 2)
    (one, other), (first, second) = studies.split("__"), names.split("__")
    return f"files/{folder}/{one}/{first}.jpg", f"files/{folder}/{other}/{second}.jpg"


def read_whole_pair(folder: Path, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Both pictures of a key in full, for registration."""
    prior, later = pair_paths(key)
    return read_grey(folder / prior), read_grey(folder / later)
