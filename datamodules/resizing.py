"""A resized copy of a large root: what any dataset of flat pictures can prepare and read back.

A picture is kept in the grey levels of its file, so that a copy and the original give the same."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from datamodules.geometry import Fit
from datamodules.pictures import Info, Window, decode, to_unit
from datamodules.preparing import Arrays, Preparation, Prepared
from medbench.core.errors import UserError
from medbench.core.fingerprint import hash_files

VERSION = 1


def resized(
    root: Path, names: Sequence[str], fit: Fit, grey: bool = False, content: object = None
) -> Preparation:
    """The preparation `resized`: every named file of a root at the size of `fit`.

    `content` identifies the files; without it their names and sizes do."""
    source = content
    if source is None:
        source = hash_files(root, (root / name for name in names), content=False)
    settings = {"image_size": fit.size, "fit": fit.mode, "grey": grey}
    make = partial(resize_file, root, fit, grey)
    return Preparation("resized", VERSION, list(names), make, settings, source)


def resize_file(root: Path, fit: Fit, grey: bool, name: str) -> Arrays:
    """image (C, S, S) in the levels of the file, shape (2,) of the file, range (2,) of its type."""
    pixels, info = decode(root / name)
    return shrink(pixels, info, fit, grey, root / name)


def shrink(pixels: np.ndarray, info: Info, fit: Fit, grey: bool, path: Path) -> Arrays:
    """A decoded picture at the size of `fit`, as whole grey levels where its type has levels."""
    if pixels.ndim != 3:
        raise UserError(f"{path} is a volume of shape {pixels.shape}; a flat picture is needed.")
    if grey and len(pixels) == 3:
        pixels = as_grey(pixels, path)
    height, width = pixels.shape[-2:]
    unbounded = info.bottom is None or info.top is None
    bottom = float(pixels.min()) if unbounded else float(info.bottom or 0.0)
    small = fit.place(height, width).image(pixels, fill=bottom)
    span = np.array([np.nan, np.nan] if unbounded else [info.bottom, info.top], np.float32)
    if info.kind == "flat":
        small = np.rint(small).astype(np.uint8 if info.top == 255 else np.uint16)
    return {"image": small, "shape": np.array([height, width], np.int32), "range": span}


def as_grey(pixels: np.ndarray, path: Path) -> np.ndarray:
    """(1, H, W) of a colour file whose channels are equal; any other one is refused."""
    if not ((pixels[0] == pixels[1]).all() and (pixels[0] == pixels[2]).all()):
        raise UserError(f"{path} is in colour, where a grey picture is needed. Replace it.")
    return pixels[:1]


class PictureReader:
    """Pictures of a root at one size, from the files or from their prepared copy."""

    def __init__(
        self,
        root: Path,
        fit: Fit,
        *,
        grey: bool = False,
        window: Window | None = None,
        prepared: Prepared | None = None,
    ) -> None:
        self.root, self.fit, self.grey = root, fit, grey
        self.window, self.prepared = window, prepared

    def read(self, name: str) -> tuple[np.ndarray, tuple[int, int]]:
        """(C, S, S) float32 in [-1, 1], and height and width of the file's picture."""
        if self.prepared is not None:
            arrays = self.prepared.read(name)
        else:
            arrays = resize_file(self.root, self.fit, self.grey, name)
        low, high = (None if np.isnan(edge) else float(edge) for edge in arrays["range"])
        image = arrays["image"].astype(np.float32)
        unit = to_unit(image, Info("flat", low, high), self.window, self.root / name)
        height, width = (int(side) for side in arrays["shape"])
        return unit, (height, width)
