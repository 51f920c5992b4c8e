"""Grey values on disk and in [-1, 1]: the one place where images are quantised and read."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medbench.core.errors import UserError

if TYPE_CHECKING:
    from PIL import Image as Pillow

SUFFIXES = (".png", ".jpg", ".jpeg")
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def quantise(image: np.ndarray, bits: int) -> tuple[np.ndarray, int]:
    """(C, H, W) in [-1, 1] as (H, W[, 3]) integers, and how many values clipping changed.

    A value counts as clipped when it lies outside by more than half a grey level, which rounding
    alone would not have mended."""
    if bits not in (8, 16):
        raise ValueError(f"bits={bits}; images are written with 8 or 16")
    if image.ndim != 3 or image.shape[0] not in (1, 3) or (bits == 16 and image.shape[0] != 1):
        raise ValueError(f"an image of shape {image.shape} cannot be written with {bits} bits")
    if not np.isfinite(image).all():
        raise UserError(
            f"A generated image holds {int((~np.isfinite(image)).sum())} values that are not "
            "finite numbers; nothing was written for it. The stage that drew it has diverged."
        )
    top = 2**bits - 1
    levels = np.rint((image.astype(np.float64) + 1) * (top / 2))
    clipped = int(((levels < 0) | (levels > top)).sum())
    grey = np.clip(levels, 0, top).astype(np.uint8 if bits == 8 else np.uint16)
    return (grey[0] if image.shape[0] == 1 else grey.transpose(1, 2, 0)), clipped


def encode_png(grey: np.ndarray) -> bytes:
    """(H, W) uint8 or uint16, or (H, W, 3) uint8, as a PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()


def decode_image(path: Path) -> np.ndarray:
    """A PNG or JPEG as (1 or 3, H, W) float32 in [-1, 1]; UserError naming an unreadable one."""
    levels, top = decode_levels(path)
    if top == 65535:
        return (levels.astype(np.float64) * (2 / 65535) - 1).astype(np.float32)
    return levels * np.float32(2 / 255) - 1


def decode_levels(path: Path) -> tuple[np.ndarray, int]:
    """A PNG or JPEG as (1 or 3, H, W) float32 grey levels, and the highest that its type holds."""
    from PIL import Image

    try:
        data = path.read_bytes()
        _refuse_deep_colour(path, data)
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
            image.load()  # verify() would pass a truncated JPEG
            return _to_array(path, image)
    except FileNotFoundError:
        raise UserError(f"The image {path} is missing.") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(
            f"The image {path} cannot be read ({error}). Replace it, or take it out of the folder."
        ) from error


def _refuse_deep_colour(path: Path, data: bytes) -> None:
    """Pillow reads 16-bit colour as 8-bit without a word; byte 24 is a PNG's bit depth."""
    if data[:8] == PNG_SIGNATURE and len(data) > 25 and data[24] == 16 and data[25] != 0:
        raise UserError(
            f"{path} is a 16-bit colour PNG, of which only 8 bits would be read. "
            "Save it as 8-bit colour or as 16-bit grey."
        )


def _to_array(path: Path, image: "Pillow.Image") -> tuple[np.ndarray, int]:
    if image.mode.startswith("I"):  # 16-bit grey; Pillow widens some of them to 32
        return np.asarray(image).astype(np.float32)[None], 65535
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        if np.asarray(image)[..., 3].min() < 255:
            raise UserError(f"{path} has transparent pixels. Save it without an alpha channel.")
    if image.mode in ("1", "L", "LA"):
        return np.asarray(image.convert("L"), np.float32)[None], 255
    return np.asarray(image.convert("RGB"), np.float32).transpose(2, 0, 1), 255
