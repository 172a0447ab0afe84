"""From an image file to RGB bytes, with every failure named by file.

Rules: upright by EXIF orientation (an unreadable EXIF block counts as none); 16-bit grey keeps its
upper 8 bits, because Pillow's own conversion would clip it to white; transparency is dropped; the
first frame of an animation. 32-bit modes are refused: their range is not in the file.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mixwell import DataError

# What Pillow's many decoders raise on damaged files.
_DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    struct.error,
    Image.DecompressionBombError,
)


def decode_rgb(path: Path) -> np.ndarray:
    """Decode an image file.

    Args:
        path: a file of any format that Pillow reads.

    Returns:
        uint8 ``[H, W, 3]``.

    Raises:
        DataError: the file is missing, damaged, too large for Pillow's limit, or 32-bit.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return np.asarray(_to_rgb(_upright(image)))
    except FileNotFoundError:
        raise DataError(f"There is no image file {path}. Check the path.") from None
    except _DECODE_ERRORS as error:
        raise DataError(
            f"Every image must decode, got {type(error).__name__} for {path}: "
            f"{str(error).rstrip('.')}. Replace the file or remove it."
        ) from None


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _DECODE_ERRORS:
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError(f"mode {image.mode} has no known range; save it with 8 or 16 bits")
    if image.mode == "P":  # by way of RGBA: Pillow warns of a palette's transparency otherwise
        image = image.convert("RGBA")
    return image.convert("RGB")


def header_is_readable(path: Path) -> bool:
    """Whether Pillow recognises the file and its own quick check finds no damage.

    Args:
        path: the file.

    Returns:
        False also for a file over Pillow's size limit. True does not promise that all pixels are
        there: a JPEG cut short passes.
    """
    try:
        with Image.open(path) as image:
            image.verify()
    except _DECODE_ERRORS:
        return False
    return True
