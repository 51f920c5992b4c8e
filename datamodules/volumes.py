"""Chest CT volumes from files, as HU on (D, H, W) = feet to head, back to front, right to left.

NIfTI, npy, npz and folders of DICOM files; nothing that looks wrong is mended in silence."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from datamodules import nifti
from datamodules.pictures import NPZ_KEYS, kind_of
from medbench.core.errors import UserError

Array = np.ndarray
Intensity = Literal["hu", "stored"]
AIR = (-3100.0, -700.0)  # HU: where the 1st percentile of a volume lies
BODY = (-200.0, 200.0)  # HU: where the median of what is not air lies
SUFFIXES = (".nii.gz", ".nii", ".npz", ".npy")


@dataclass(frozen=True)
class Reading:
    """What a file does not say of itself; where `axes` are given, they replace a header's."""

    intensity: Intensity = "hu"
    slope: float = 1.0
    intercept: float = 0.0
    spacing: tuple[float, ...] | None = None  # mm along the array's axes, first axis first
    axes: str = ""  # where the array's axes run to, LAST axis first: LAS is what we yield


@dataclass(frozen=True)
class Ct:
    hu: Array  # (D, H, W), LAS
    spacing_mm: Array  # (3,) float32, dz dy dx

    @property
    def shape(self) -> tuple[int, ...]:
        return self.hu.shape


def read_ct(path: Path, reading: Reading = Reading(), *, guard: bool = True) -> Ct:
    """A volume in HU. `guard` stops at values that cannot be HU of a chest."""
    stored, affine = _read(path, reading)
    if stored.ndim != 3 or min(stored.shape) < 2:
        raise UserError(f"{path} has the shape {stored.shape}; a volume of three axes is read.")
    if reading.intensity == "stored":
        stored = stored.astype(np.float32) * np.float32(reading.slope)
        stored = stored + np.float32(reading.intercept)
    if stored.dtype.kind == "f" and not np.isfinite(stored).all():
        raise UserError(f"{path} holds values that are no finite numbers. Replace them.")
    turned, spacing = nifti.to_las(stored, affine)
    found = Ct(np.ascontiguousarray(turned), spacing)
    if guard:
        check_hu(found.hu, str(path))
    return found


def read_mask(path: Path, like: Ct, reading: Reading = Reading()) -> Array:
    """(D, H, W) uint8 on the grid of its volume; another grid stops the run."""
    stored, affine = _read(path, Reading(spacing=reading.spacing, axes=reading.axes))
    turned, spacing = nifti.to_las(stored, affine)
    if turned.shape != like.shape or not np.allclose(spacing, like.spacing_mm, rtol=1e-3):
        raise UserError(
            f"The mask {path} has the shape {turned.shape} and spacing {_mm(spacing)}, its volume "
            f"{like.shape} and {_mm(like.spacing_mm)}. Resample it to the volume's grid with "
            "nearest neighbour."
        )
    whole = np.rint(turned)
    if (whole != turned).any() or whole.min() < 0 or whole.max() > 255:
        raise UserError(f"The mask {path} holds values that are no labels from 0 to 255.")
    return np.ascontiguousarray(whole).astype(np.uint8)


def check_hu(hu: Array, where: str) -> None:
    """Stop at values that cannot be HU of a chest: stored values, or a window applied before."""
    part = hu[:: max(1, hu.shape[0] // 48), ::2, ::2]
    low = float(np.percentile(part, 1))
    body = part[part > -500]
    middle = float(np.median(body)) if body.size else float("nan")
    if AIR[0] <= low <= AIR[1] and BODY[0] <= middle <= BODY[1]:
        return
    if float(part.min()) >= -1.001 and float(part.max()) <= 1.001:
        hint = "They lie in [-1, 1]: a window was applied already; give the volume in HU."
    elif float(part.min()) >= 0:
        hint = (
            "They are never negative: these are stored values; set slope and intercept with "
            "intensity=stored (CT scanners mostly use 1 and -1024)."
        )
    elif low < AIR[0]:
        hint = "The rescale may have been applied twice; read them as they are (intensity=hu)."
    else:
        hint = "Check slope, intercept and whether the rescale was applied already."
    raise UserError(
        f"{where}: these are no Hounsfield units of a chest: 1st percentile {low:.0f} (air lies in "
        f"[{AIR[0]:.0f}, {AIR[1]:.0f}]), median of the body {middle:.0f} (in [{BODY[0]:.0f}, "
        f"{BODY[1]:.0f}]). {hint}"
    )


def check_orientation(ct: Ct, where: str, axes: str) -> None:
    """Stop when a chest lies otherwise than its axes say: bone at the back, the liver on the
    patient's right. Feet and head cannot be told apart with certainty."""
    hu = ct.hu
    bone = np.count_nonzero(hu > 300, axis=(0, 2)).astype(float)
    air = np.count_nonzero(_air_inside(hu), axis=(1, 2)).astype(float)
    soft = _soft_below(hu, air)
    wrong = []
    if bone.sum() > 50 and _centre(bone) > 0.5:
        wrong.append("bone lies in front")
    if soft is not None and soft[0] < soft[1] * 0.95:
        wrong.append("what lies under the lungs is denser on the left than on the right")
    if wrong:
        raise UserError(
            f"{where}: read with axes {axes}, the chest is turned: {' and '.join(wrong)}. The "
            "array has other axes; set data.axes to them, three of L/R, A/P, S/I."
        )


def _air_inside(hu: Array) -> Array:
    """Air with body on both sides of it in its row."""
    body = hu > -400
    before = np.logical_or.accumulate(body, 2)
    after = np.flip(np.logical_or.accumulate(np.flip(body, 2), 2), 2)
    return ~body & before & after


def _soft_below(hu: Array, air: Array) -> tuple[float, float] | None:
    """Share of liver-like voxels, right and left, under the lungs; none if not in view."""
    if not air.any():
        return None
    bottom = int(np.argmax(air > 0.05 * air.max()))
    planes = hu[: bottom + max(1, len(air) // 20)]
    if len(planes) < 3:
        return None
    liver = (planes > 40) & (planes < 150)
    rows = slice(planes.shape[1] // 3, planes.shape[1])
    half = hu.shape[2] // 2
    right, left = liver[:, rows, :half].mean(), liver[:, rows, half:].mean()
    return (float(right), float(left)) if max(right, left) > 0.05 else None


def _centre(counts: Array) -> float:
    return float((counts * (np.arange(len(counts)) + 0.5)).sum() / counts.sum() / len(counts))


# files --------------------------------------------------------------------------------------
def _read(path: Path, reading: Reading) -> tuple[Array, Array]:
    """(k, j, i) stored values and the affine that takes (i, j, k) to mm."""
    if path.is_dir():
        return _read_series(path)
    if not path.is_file():
        raise UserError(f"The volume {path} is missing.")
    name = path.name.lower()
    if name.endswith((".zip", ".tar", ".tgz", ".7z")):
        raise UserError(f"{path} is an archive in place of a volume. Unpack it.")
    if kind_of(path) == "nifti":
        return _read_nifti(path, reading)
    if name.endswith((".npz", ".npy")):
        return _read_array(path, reading)
    raise UserError(f"{path} is not read; volumes end with {', '.join(SUFFIXES)}.")


def _read_nifti(path: Path, reading: Reading) -> tuple[Array, Array]:
    stored, header = nifti.read_nifti(path)
    scaled = (header.slope, header.intercept) != (1, 0)
    if scaled:
        stored = stored.astype(np.float32) * np.float32(header.slope) + np.float32(header.intercept)
    if reading.axes:  # the table knows better than the header
        return stored, _affine_of(path, reading, stored.ndim)
    nifti.check_affine(header)
    assert header.affine is not None
    return stored, header.affine


def _read_array(path: Path, reading: Reading) -> tuple[Array, Array]:
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            array = found
        else:
            with found:
                names = list(found.files)
                name = next((key for key in NPZ_KEYS if key in names), None)
                if name is None and len(names) != 1:
                    raise ValueError(f"it has the arrays {', '.join(names)}; call one of them ct")
                array = found[name or names[0]]
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"The volume {path} cannot be read ({error}). Replace it, or leave it out."
        ) from error
    if array.dtype.kind not in "uif":
        raise UserError(f"{path} holds {array.dtype}; numbers are read.")
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    return array, _affine_of(path, reading, array.ndim)


def _affine_of(path: Path, reading: Reading, ndim: int) -> Array:
    """Of an array whose axes and spacing are told apart from it."""
    if ndim != 3:
        raise UserError(f"{path} has {ndim} axes; a volume of three is read.")
    if not reading.axes or reading.spacing is None or len(reading.spacing) != 3:
        raise UserError(
            f"{path} says neither its spacing nor its axes; give both (spacing `dz dy dx` in mm, "
            "axes such as LAS)."
        )
    if min(reading.spacing) <= 0:
        raise UserError(f"{path}: a spacing of {_mm(reading.spacing)} is none.")
    return nifti.from_code(reading.axes, np.array(reading.spacing[::-1], float))


def _read_series(folder: Path) -> tuple[Array, Array]:
    """A folder of one DICOM series, by position; slices that miss are named."""
    import SimpleITK as sitk

    reader = sitk.ImageSeriesReader()
    ids = reader.GetGDCMSeriesIDs(str(folder))
    if len(ids) != 1:
        what = f"{len(ids)} DICOM series" if ids else "no DICOM series"
        raise UserError(f"{folder} holds {what}; name a folder with the files of one.")
    names = reader.GetGDCMSeriesFileNames(str(folder), ids[0])
    reader.SetFileNames(names)
    reader.MetaDataDictionaryArrayUpdateOn()
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise UserError(f"The series {folder} cannot be read ({error}).") from error
    _check_steps(folder, names)
    turn = np.array(image.GetDirection()).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3] = turn * np.array(image.GetSpacing())
    affine[1, :3] *= -1  # DICOM's y runs to the back, ours to the front
    return sitk.GetArrayFromImage(image), affine


def _check_steps(folder: Path, names: Sequence[str]) -> None:
    """Positions of the slices must be evenly apart."""
    import SimpleITK as sitk

    places = []
    for name in names:
        reader = sitk.ImageFileReader()
        reader.SetFileName(name)
        reader.ReadImageInformation()
        if not reader.HasMetaDataKey("0020|0032"):
            return
        places.append([float(part) for part in reader.GetMetaData("0020|0032").split("\\")])
    steps = np.linalg.norm(np.diff(np.array(places), axis=0), axis=1)
    if len(steps) > 1 and steps.max() > 1.5 * np.median(steps):
        at = int(np.argmax(steps))
        raise UserError(
            f"{folder}: slices miss between {Path(names[at]).name} and {Path(names[at + 1]).name} "
            f"({steps[at]:.2f} mm apart, others {np.median(steps):.2f}). Fetch the series again."
        )


def _mm(spacing: Sequence[float] | Array) -> str:
    return " x ".join(f"{float(value):.4g}" for value in spacing) + " mm"


# windows and grids ------------------------------------------------------------------------------
def to_unit(hu: Array, window: tuple[float, float]) -> Array:
    """HU as float32 in [-1, 1]: the window's ends at -1 and 1, clipped."""
    low, high = window
    clipped = np.clip(hu.astype(np.float32), low, high)
    return (clipped - np.float32(low)) * np.float32(2 / (high - low)) - np.float32(1)


def from_unit(image: Array, window: tuple[float, float]) -> Array:
    """HU of values in [-1, 1], float32."""
    low, high = window
    return (image.astype(np.float32) + np.float32(1)) * np.float32((high - low) / 2) + np.float32(
        low
    )


def decimate(volume: Array, stride: int) -> Array:
    """Every stride-th voxel of the last three axes, phase 0: nearest neighbour as MedSyn's pair.

    The origin stays, the spacing grows by the stride."""
    return volume[..., ::stride, ::stride, ::stride]


def enlarge(volume: Array, stride: int) -> Array:
    """Each voxel repeated: decimating the result gives the input back."""
    for axis in (-3, -2, -1):
        volume = np.repeat(volume, stride, axis)
    return volume
