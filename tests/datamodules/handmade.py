"""DICOM and NIfTI files put together byte by byte, so that no library's habits are tested."""

import gzip
import struct
from pathlib import Path

import numpy as np

TAGS = "1.2.840.10008.5.1.4.1.1.7"


def element(group: int, number: int, kind: str, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    if len(data) % 2:
        data += b"\0" if kind in ("UI", "OB") else b" "
    head = struct.pack("<HH", group, number) + kind.encode()
    long = kind in ("OB", "OW")
    return (
        head + (struct.pack("<HI", 0, len(data)) if long else struct.pack("<H", len(data))) + data
    )


def dicom(
    pixels: np.ndarray,
    photometric: str = "MONOCHROME2",
    stored: int | None = None,
    modality: str = "CR",
    rescale: tuple[float, float] | None = None,
    spacing: str = "",
) -> bytes:
    """A plain DICOM file of (H, W) uint8, uint16 or int16."""
    bits = pixels.dtype.itemsize * 8
    meta = element(2, 1, "OB", b"\0\1") + element(2, 2, "UI", TAGS) + element(2, 3, "UI", "2.25.1")
    meta += element(2, 0x10, "UI", "1.2.840.10008.1.2.1") + element(2, 0x12, "UI", "2.25.9")
    meta = element(2, 0, "UL", struct.pack("<I", len(meta))) + meta
    body = element(8, 0x16, "UI", TAGS) + element(8, 0x18, "UI", "2.25.1")
    body += element(8, 0x60, "CS", modality)
    body += element(0x18, 0x1164, "DS", spacing) if spacing else b""
    body += element(0x28, 2, "US", struct.pack("<H", 1)) + element(0x28, 4, "CS", photometric)
    numbers = {0x10: pixels.shape[0], 0x11: pixels.shape[1], 0x100: bits, 0x101: stored or bits}
    numbers |= {0x102: (stored or bits) - 1, 0x103: int(pixels.dtype.kind == "i")}
    for number, value in numbers.items():
        body += element(0x28, number, "US", struct.pack("<H", value))
    if rescale:
        body += element(0x28, 0x1052, "DS", str(rescale[1]))
        body += element(0x28, 0x1053, "DS", str(rescale[0]))
    body += element(0x7FE0, 0x10, "OW", pixels.tobytes())
    return b"\0" * 128 + b"DICM" + meta + body


CODES = {"uint8": 2, "int16": 4, "float32": 16, "uint16": 512}


def nifti(
    path: Path,
    volume: np.ndarray,
    affine: np.ndarray | None,
    slope: float = 0.0,
    intercept: float = 0.0,
) -> Path:
    """Write (k, j, i) as NIfTI-1; `affine` is (3, 4) in NIfTI's own sense, x to the right."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *volume.shape[::-1], 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, CODES[str(volume.dtype)], volume.dtype.itemsize * 8)
    struct.pack_into("<8f", header, 76, 1, 1, 1, 1, 0, 0, 0, 0)
    struct.pack_into("<3f", header, 108, 352, slope, intercept)
    if affine is not None:
        struct.pack_into("<2h", header, 252, 0, 1)
        struct.pack_into("<12f", header, 280, *np.asarray(affine, np.float32).ravel())
    header[344:348] = b"n+1\0"
    data = bytes(header) + volume.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path
