"""NIfTI-1 volumes, read by us: an affine that no grid can have is named, not straightened."""

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medbench.core.errors import UserError

Array = np.ndarray
HEADER = 348
TYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
AXES = "LAS"  # of what we yield: i to the patient's left, j to the front, k to the head
SHEAR = 1e-2  # largest cosine between two axes of a grid that counts as right-angled
ENDS = {"R": (0, -1), "L": (0, 1), "P": (1, -1), "A": (1, 1), "I": (2, -1), "S": (2, 1)}


@dataclass(frozen=True)
class Header:
    """What a NIfTI header says; `affine` takes (i, j, k, 1) to mm with x left, y front, z head."""

    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int
    slope: float
    intercept: float
    affine: Array | None  # None where the file gives none
    file: str

    @property
    def bytes(self) -> int:
        """What an unpacked file of this header holds."""
        return self.offset + int(np.prod(self.shape)) * self.dtype.itemsize


def read_header(path: Path) -> Header:
    """The header of .nii or .nii.gz; nothing else is read."""
    return parse_header(path, read_start(path, HEADER + 4))


def read_start(path: Path, count: int) -> bytes:
    """The first bytes, unpacked."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return file.read(count)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, str(error)) from error


def read_nifti(path: Path) -> tuple[Array, Header]:
    """(k, j, i[, ...]) values as stored, without slope and intercept, and the header."""
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, str(error)) from error
    header = parse_header(path, data)
    if len(data) < header.bytes:
        raise _unreadable(path, f"it is cut short: {len(data)} of {header.bytes} bytes")
    count = int(np.prod(header.shape))
    flat = np.frombuffer(data, header.dtype, count, header.offset)
    return flat.reshape(header.shape[::-1]), header


def parse_header(path: Path, data: bytes) -> Header:
    """The header out of a file's first bytes."""
    order = next((o for o in "<>" if len(data) >= HEADER and _int(o, data) == HEADER), None)
    if order is None or data[344:347] not in (b"n+1", b"ni1"):
        raise _unreadable(path, "it does not start as a NIfTI-1 file does")
    if data[344:347] == b"ni1":
        raise _unreadable(path, "its voxels are in a second file (.img); save it as one .nii")
    dims = struct.unpack_from(f"{order}8h", data, 40)
    code = struct.unpack_from(f"{order}h", data, 70)[0]
    if code not in TYPES or not 1 <= dims[0] <= 7 or min(dims[1 : dims[0] + 1]) < 1:
        raise _unreadable(path, f"its type {code} or shape {dims[1:]} is not one that is read")
    offset, slope, intercept = struct.unpack_from(f"{order}3f", data, 108)
    shape = tuple(dims[1 : dims[0] + 1])
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    scaled = slope != 0 and np.isfinite([slope, intercept]).all()
    return Header(
        shape,
        np.dtype(order + TYPES[code]),
        int(offset),
        slope if scaled else 1.0,
        intercept if scaled else 0.0,
        _affine(order, data),
        str(path),
    )


def _int(order: str, data: bytes) -> int:
    return int(struct.unpack_from(f"{order}i", data)[0])


def _affine(order: str, data: bytes) -> Array | None:
    """The file's affine with x to the left: the sform before the qform, as others read it."""
    qform, sform = struct.unpack_from(f"{order}2h", data, 252)
    if sform > 0:
        rows = np.array(struct.unpack_from(f"{order}12f", data, 280), np.float64).reshape(3, 4)
    elif qform > 0:
        rows = _from_quaternion(order, data)
    else:
        return None
    rows = rows * [[-1.0], [1.0], [1.0]]  # NIfTI's x runs to the right
    return np.vstack([rows, [0.0, 0.0, 0.0, 1.0]])


def _from_quaternion(order: str, data: bytes) -> Array:
    sizes = struct.unpack_from(f"{order}4f", data, 76)
    b, c, d, *shift = struct.unpack_from(f"{order}6f", data, 256)
    a = np.sqrt(max(0.0, 1 - b * b - c * c - d * d))
    turn = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    scale = np.array([sizes[1], sizes[2], sizes[3] * (-1 if sizes[0] < 0 else 1)])
    return np.column_stack([turn * scale, shift])


def check_affine(header: Header) -> Array:
    """(3,) lengths of the grid's axes in mm; UserError for an affine that is sheared or flat."""
    if header.affine is None:
        raise UserError(
            f"{header.file} has no affine (sform and qform code are 0), so that its sides cannot "
            "be told. Save it with one."
        )
    columns = header.affine[:3, :3]
    lengths = np.linalg.norm(columns, axis=0)
    if not np.isfinite(lengths).all() or lengths.min() <= 1e-6:
        raise UserError(f"{header.file} has an affine without extent: {columns.tolist()}.")
    cosines = (columns / lengths).T @ (columns / lengths) - np.eye(3)
    if np.abs(cosines).max() > SHEAR:
        raise UserError(
            f"{header.file} has a sheared affine (two axes meet at a cosine of "
            f"{np.abs(cosines).max():.3f}). Resample it to a right-angled grid first; a tilted "
            "gantry is the usual cause."
        )
    return lengths


def to_las(volume: Array, affine: Array) -> tuple[Array, Array]:
    """(D, H, W) view with D to the head, H to the front and W to the patient's left, and (3,)
    dz, dy, dx in mm: axes are permuted and turned, voxels are not resampled."""
    columns = affine[:3, :3]
    lengths = np.linalg.norm(columns, axis=0)
    axis_of = _assign(np.abs(columns / lengths))
    stored = volume.transpose(2, 1, 0)  # i, j, k
    ordered = stored.transpose([axis_of[x] for x in range(3)])
    for x in range(3):
        if columns[x, axis_of[x]] < 0:
            ordered = np.flip(ordered, x)
    spacing = np.array([lengths[axis_of[x]] for x in (2, 1, 0)], np.float32)
    return ordered.transpose(2, 1, 0), spacing


def _assign(cosines: Array) -> list[int]:
    """For x, y and z the array axis that runs along it most: largest cosine first."""
    found = [-1, -1, -1]
    free = cosines.copy()
    for _ in range(3):
        x, axis = np.unravel_index(np.argmax(free), free.shape)
        found[x] = int(axis)
        free[x, :] = free[:, axis] = -1
    return found


def from_code(code: str, spacing: Array) -> Array:
    """(4, 4) affine of axes given as a code of three letters for i, j, k, such as LAS or IPL."""
    if len(code) != 3 or {ENDS[c][0] for c in code if c in ENDS} != {0, 1, 2}:
        raise UserError(f"axes={code!r} is no orientation; write three of L/R, A/P, S/I, as LAS.")
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, letter in enumerate(code):
        x, sign = ENDS[letter]
        affine[x, axis] = sign * float(spacing[axis])
    return affine


def _unreadable(path: Path, why: str) -> UserError:
    return UserError(f"The volume {path} cannot be read ({why}). Replace it, or leave it out.")
