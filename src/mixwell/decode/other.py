"""Everything that is no plain JPEG, through Pillow, and conversion between modes.

| stored                         | becomes                                                   |
| ------------------------------ | --------------------------------------------------------- |
| alpha, a transparent palette   | "RGBA": kept; else dropped, nothing is blended            |
| no alpha                       | "RGBA": opaque                                            |
| 1-bit, grey                    | "RGB": repeated                                           |
| colour                         | "L": (19595 R + 38470 G + 7471 B + 32768) / 65536         |
| 16-bit grey                    | 8 bits: level / 257, rounded; never clipped               |
| 16-bit colour                  | 8 bits: the high byte of each level, as Pillow reads it   |
| CMYK, YCCK                     | RGB by Pillow's plain conversion, without ICC profiles    |
| 32-bit integers, floats, Lab   | refused: no fixed range of levels, or no conversion       |
"""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from mixwell._errors import DataError
from mixwell.decode.header import Header, Mode, damaged

_ORIENTATION = 0x0112
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    RuntimeError,
    struct.error,
)
"""What Pillow raises on damaged files; OSError includes those it cannot identify."""


def other_header(data: bytes, name: str) -> Header:
    """Size and orientation of any format Pillow knows.

    Raises:
        DataError: Pillow cannot identify the file, or takes it for a decompression bomb.
    """
    image = _open(data, name)
    orientation = _orientation_of(image, data)
    width, height = image.size
    # Pillow turns TIFF files upright by itself, and gives their upright size.
    if image.format == "TIFF":
        orientation = 1
    elif orientation >= 5:
        width, height = height, width
    return Header(width, height, orientation, image.format or "", image.mode)


def decode_other(data: bytes, name: str, mode: Mode) -> np.ndarray:
    """Pixels as uint8 [H, W, C], not yet turned upright (TIFF: upright); the first frame of many.

    Raises:
        DataError: the file is damaged, or of a kind that has no fixed range of levels.
    """
    image = _open(data, name)
    try:
        image.load()
    except (*_BROKEN, Image.DecompressionBombError) as error:
        raise damaged(name, error) from None
    return converted(image, name, mode)


def converted(image: Image.Image, name: str, mode: Mode) -> np.ndarray:
    """A Pillow image as uint8 [H, W, C] in a mode, by the module's table."""
    if image.mode in ("I", "F"):
        raise DataError(
            f"{name}: an image of mode {image.mode} (32 bits) has no fixed range of levels. "
            "Convert the file to 8 or 16 bits."
        )
    if image.mode.startswith("I;16"):
        levels = np.asarray(image).astype(np.uint32)
        image = Image.fromarray(((levels + 128) // 257).astype(np.uint8))
    elif image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    try:
        out = np.asarray(image if image.mode == mode else image.convert(mode))
    except ValueError as error:
        raise DataError(
            f"{name}: mode {image.mode} cannot become {mode} ({error}). Convert the file to RGB."
        ) from None
    return out[..., None] if out.ndim == 2 else out


def _open(data: bytes, name: str) -> Any:
    try:
        return Image.open(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise DataError(
            f"{name}: refused from its header, nothing was decoded: {error} If the file is right, "
            "raise PIL.Image.MAX_IMAGE_PIXELS."
        ) from None
    except UnidentifiedImageError:
        raise damaged(name, _kind(data)) from None
    except _BROKEN as error:
        raise damaged(name, error) from None


def _kind(data: bytes) -> str:
    if not data:
        return "an empty file"
    return f"{len(data)} bytes that begin with {data[:8]!r} and are no image that Pillow knows"


def _orientation_of(image: Any, data: bytes) -> int:
    """1 .. 8; 1 where EXIF data are missing, damaged or out of range."""
    # Pillow decodes a whole PNG in search of EXIF data behind the pixels; look before asking.
    whole = image.format != "PNG" or b"eXIf" in data
    try:
        exif = image.getexif() if whole else Image.Image.getexif(image)
        found = exif.get(_ORIENTATION, 1)
    except _BROKEN:
        return 1
    return found if found in range(1, 9) else 1
