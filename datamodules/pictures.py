"""One reader for PNG, JPEG, DICOM, NIfTI and npz: values in the file's own range, never squeezed.

Sentences for every bad file stand here; a file is never replaced, skipped or straightened."""

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datamodules import nifti
from medbench.core.errors import UserError
from medbench.core.images import SUFFIXES as FLAT
from medbench.core.images import decode_levels

Array = np.ndarray
Window = Sequence[float]
KINDS = {
    **dict.fromkeys(FLAT, "flat"),
    ".dcm": "dicom",
    ".dicom": "dicom",
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".npz": "npz",
}
HEAD = 1 << 16  # bytes of a DICOM file in which its tags are looked for
PHOTOMETRIC = re.compile(rb"\x28\x00\x04\x00(?:CS)?.{2,4}MONOCHROME1", re.DOTALL)
NPZ_KEYS = ("image", "ct", "volume", "data")


@dataclass(frozen=True)
class Info:
    """What a file says of its values. `top` and `bottom` bound what its type can hold; None where
    the values have a unit of their own (HU, floats) and a window must say what is black and white.
    """

    kind: str  # flat, dicom, nifti or npz
    bottom: float | None
    top: float | None
    spacing_mm: Array | None = None  # (2,) dy, dx or (3,) dz, dy, dx
    axes: str = ""  # LAS where a volume was reoriented
    modality: str = ""
    inverted: bool = False  # a DICOM whose low values are bright, turned on reading


def kind_of(path: Path) -> str | None:
    """flat, dicom, nifti or npz by suffix; None for a file that is not read."""
    name = path.name.lower()
    return KINDS.get(".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower())


def decode(path: Path) -> tuple[Array, Info]:
    """(C, H, W) or (C, D, H, W) float32 in the file's range, and what the file says of it.

    Volumes come as D to the head, H to the front, W to the patient's left."""
    kind = kind_of(path)
    if kind is None:
        raise UserError(f"{path} is not read; files end with {', '.join(KINDS)}.")
    if not path.is_file():
        raise UserError(f"The image {path} is missing.")
    if kind == "flat":
        levels, top = decode_levels(path)
        return levels, Info("flat", 0.0, float(top))
    reader = {"dicom": _read_dicom, "nifti": _read_nifti, "npz": _read_npz}[kind]
    return reader(path)


def to_unit(pixels: Array, info: Info, window: Window | None, path: Path) -> Array:
    """float32 in [-1, 1]: what the window names, or the range of the file's type."""
    if window is not None:
        low, high = float(window[0]), float(window[1])
    elif info.bottom is not None and info.top is not None:
        low, high = info.bottom, info.top
    else:
        least, most = float(pixels.min()), float(pixels.max())
        raise UserError(
            f"{path} holds values from {least:g} to {most:g}, and its type does not say which of "
            "them are black and white. Set data.window=[LOW,HIGH], such as [-1024,600] for CT."
        )
    unit = (pixels - np.float32(low)) * np.float32(2 / (high - low)) - np.float32(1)
    return np.clip(unit, -1, 1).astype(np.float32, copy=False)


def check_window(window: Window | None) -> list[str]:
    """A sentence when a window is no pair of rising numbers."""
    if window is None or (len(window) == 2 and window[0] < window[1]):
        return []
    return [f"window={list(window)} must be two numbers, the lower first, as [-1024,600]."]


def is_blank(pixels: Array) -> bool:
    """Whether every value of a picture is the same, as in an all-black exposure."""
    return bool(pixels.min() == pixels.max())


# DICOM ---------------------------------------------------------------------------
def _read_dicom(path: Path) -> tuple[Array, Info]:
    """Rescaled values; SimpleITK (GDCM) has turned MONOCHROME1 by the time we see it."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("GDCMImageIO")
    try:
        reader.ReadImageInformation()
        image = reader.Execute()
    except RuntimeError as error:
        why = str(error).strip().splitlines()[-1].removeprefix("ITK ERROR: ")
        raise _unreadable(path, why.rpartition("): ")[2]) from None
    tags = {key: reader.GetMetaData(key).strip() for key in reader.GetMetaDataKeys()}
    pixels = sitk.GetArrayFromImage(image).astype(np.float32)
    if image.GetNumberOfComponentsPerPixel() == 3:
        pixels = np.moveaxis(pixels, -1, 0)
    else:
        pixels = pixels[None]
    if pixels.ndim == 4 and pixels.shape[1] == 1:
        pixels = pixels[:, 0]
    bottom, top = _dicom_range(tags)
    info = Info(
        "dicom",
        bottom,
        top,
        _dicom_spacing(tags) if pixels.ndim == 3 else None,
        modality=tags.get("0008|0060", ""),
        inverted=tags.get("0028|0004", "") == "MONOCHROME1",
    )
    return pixels, info


def says_inverted(path: Path) -> bool:
    """Whether the head of a DICOM file says MONOCHROME1, without reading its pixels."""
    try:
        with path.open("rb") as file:
            return PHOTOMETRIC.search(file.read(HEAD)) is not None
    except OSError:  # reading it says why
        return False


def _dicom_range(tags: dict[str, str]) -> tuple[float | None, float | None]:
    """What the stored bits can hold, rescaled; none for CT and for signed values."""
    signed = tags.get("0028|0103", "0") == "1"
    if tags.get("0008|0060") == "CT" or signed:
        return None, None
    slope = float(tags.get("0028|1053") or 1)
    intercept = float(tags.get("0028|1052") or 0)
    most = 2 ** int(tags.get("0028|0101") or 8) - 1
    return intercept, intercept + slope * most


def _dicom_spacing(tags: dict[str, str]) -> Array | None:
    for tag in ("0028|0030", "0018|1164"):
        parts = tags.get(tag, "").split("\\")
        if len(parts) == 2:
            return np.array([float(part) for part in parts], np.float32)
    return None


# NIfTI and npz ---------------------------------------------------------------------
def _read_nifti(path: Path) -> tuple[Array, Info]:
    stored, header = nifti.read_nifti(path)
    if stored.ndim != 3:
        raise UserError(
            f"{path} has the shape {header.shape}; a volume of three axes is read. Save each "
            "volume as a file of its own."
        )
    lengths = nifti.check_affine(header)
    whole = header.dtype.itemsize == 1 and header.slope == 1 and header.intercept == 0
    kind = header.dtype.kind
    volume = stored.astype(np.float32)
    if (header.slope, header.intercept) != (1, 0):
        volume = volume * np.float32(header.slope) + np.float32(header.intercept)
    if not np.isfinite(volume).all():
        raise UserError(f"{path} holds values that are no finite numbers. Replace them.")
    bottom, top = (0.0, 255.0) if whole and kind == "u" else (None, None)
    if header.shape[2] == 1:  # a picture in a volume's file: its rows run down
        spacing = np.array([lengths[1], lengths[0]], np.float32)
        return volume.copy(), Info("nifti", bottom, top, spacing)
    assert header.affine is not None  # check_affine has refused that
    turned, spacing = nifti.to_las(volume, header.affine)
    return np.ascontiguousarray(turned)[None], Info("nifti", bottom, top, spacing, nifti.AXES)


def _read_npz(path: Path) -> tuple[Array, Info]:
    """One array, or that under a known name; its first axis is of channels if it is 1 or 3 long."""
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays: dict[str, Any] = {name: found[name] for name in found.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise _unreadable(path, str(error)) from error
    name = next((key for key in NPZ_KEYS if key in arrays), None)
    if name is None and len(arrays) != 1:
        raise _unreadable(
            path, f"it has the arrays {', '.join(arrays) or 'none'}; call one of them image"
        )
    array = arrays[name] if name else next(iter(arrays.values()))
    if array.dtype.kind not in "uif" or not 2 <= array.ndim <= 4 or not array.size:
        raise _unreadable(path, f"it holds {array.dtype} of shape {array.shape}")
    top = {"uint8": 255.0, "uint16": 65535.0}.get(str(array.dtype))
    pixels = array.astype(np.float32)
    if not np.isfinite(pixels).all():
        raise UserError(f"{path} holds values that are no finite numbers. Replace them.")
    if pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[0] not in (1, 3)):
        pixels = pixels[None]
    spacing = arrays.get("spacing_mm")
    bottom = None if top is None else 0.0
    kept = None if spacing is None else np.asarray(spacing, np.float32)
    return pixels, Info("npz", bottom, top, kept)


def _unreadable(path: Path, why: str) -> UserError:
    return UserError(f"The file {path} cannot be read ({why}). Replace it, or leave it out.")
