"""From the bytes of a file to upright pixels: `read_header` and `decode`.

Plain JPEG goes through libjpeg-turbo (simplejpeg) and gives Pillow's pixels, bit for bit; it can
be decoded at 1/2, 1/4 or 1/8 of its size, which costs less. Everything else goes through Pillow.
Images are turned upright by their EXIF orientation. `mixwell.decode.other` has the table of what
becomes of alpha, palettes and 16 bits.

A file is read whole or refused. Truncated JPEG data and broken Huffman codes raise; libjpeg-turbo
would paint the rest grey. Stray bytes between markers are left to Pillow, which reads past them.
Damage that leaves a valid stream cannot be seen by any decoder.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixwell._errors import DataError
from mixwell.decode.header import CHANNELS, Header, Mode, check_header, damaged
from mixwell.decode.jpeg import UnreadableError, decode_jpeg, jpeg_header

__all__ = ["CHANNELS", "DENOMS", "Header", "Mode", "decode", "default_max_pixels", "read_header"]

DENOMS = (8, 4, 2)
"""Denominators of scaled JPEG decoding, largest first."""

_DEFAULT: Any = object()


def default_max_pixels() -> int | None:
    """Twice Pillow's `MAX_IMAGE_PIXELS` (179 million unless changed), where Pillow refuses too."""
    from PIL import Image

    limit = Image.MAX_IMAGE_PIXELS
    return None if limit is None else 2 * limit


def read_header(data: bytes, name: str, *, max_pixels: int | None = _DEFAULT) -> Header:
    """Size, orientation and kind of an image; nothing is decoded.

    Args:
        data: the whole file.
        name: what errors call it.
        max_pixels: more are refused; None: no limit of our own (Pillow has its own for all but
            plain JPEG); default `default_max_pixels()`.

    Raises:
        DataError: no image, an empty one, or a decompression bomb.
    """
    header = jpeg_header(data) if data.startswith(b"\xff\xd8") else None
    if header is None:
        from mixwell.decode.other import other_header

        header = other_header(data, name)
    limit = default_max_pixels() if max_pixels is _DEFAULT else max_pixels
    return check_header(header, name, limit)


def decode(
    data: bytes,
    name: str,
    *,
    scale_denom: int = 1,
    mode: Mode = "RGB",
    header: Header | None = None,
) -> np.ndarray:
    """Upright pixels of an image, uint8 [H, W, C].

    Args:
        data: the whole file.
        name: what errors call it.
        scale_denom: 1, 2, 4 or 8: each side becomes ceil(side / scale_denom); more than 1 for
            scalable headers only.
        mode: "RGB", "L" or "RGBA"; see `mixwell.decode.other`.
        header: what `read_header` said of the same bytes, to save asking again.

    Raises:
        DataError: no image, a decompression bomb, truncated or damaged data, an unknown mode, or a
            scale that the file cannot have.
    """
    if mode not in CHANNELS:
        raise DataError(f"{name}: mode must be one of {list(CHANNELS)}, got {mode!r}.")
    header = read_header(data, name) if header is None else header
    if scale_denom not in (1, *DENOMS) or (scale_denom > 1 and not header.scalable):
        raise DataError(
            f"{name}: scale_denom must be 1, or 2, 4 or 8 for a plain JPEG, got {scale_denom} for "
            f"{header.format} {header.mode}. Decode it whole."
        )
    pixels = _pixels(data, name, header, scale_denom, mode)
    expected = (-(-header.height // scale_denom), -(-header.width // scale_denom), CHANNELS[mode])
    if pixels.shape != expected:
        raise damaged(name, f"pixels of shape {pixels.shape} where the header says {expected}")
    return pixels


def _pixels(data: bytes, name: str, header: Header, scale_denom: int, mode: Mode) -> np.ndarray:
    if header.scalable:
        try:
            stored = decode_jpeg(data, header, scale_denom, mode)
        except UnreadableError as error:
            if error.truncated or scale_denom > 1:
                return _second_opinion(data, name, header, scale_denom, mode, error)
        else:
            return _in_mode(upright(stored, header.orientation), name, mode)
    from mixwell.decode.other import decode_other

    return upright(decode_other(data, name, mode), header.orientation)


def _second_opinion(
    data: bytes, name: str, header: Header, scale_denom: int, mode: Mode, error: UnreadableError
) -> np.ndarray:
    """What libjpeg-turbo complained of while scaling, as Pillow sees it whole; never truncated."""
    if error.truncated:
        raise damaged(name, error)
    whole = _pixels(data, name, header, 1, mode)
    from PIL import Image

    image = Image.fromarray(whole[..., 0] if mode == "L" else whole)
    size = -(-header.width // scale_denom), -(-header.height // scale_denom)
    small = np.asarray(image.resize(size, Image.Resampling.BOX))
    return small[..., None] if mode == "L" else small


def upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels [H, W, C] turned as their EXIF orientation says, contiguous."""
    if orientation == 1:
        return stored
    if orientation >= 5:
        stored = stored.swapaxes(0, 1)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(stored[::rows, ::columns])


def _in_mode(pixels: np.ndarray, name: str, mode: Mode) -> np.ndarray:
    """Pixels of one or three channels in a mode."""
    if pixels.shape[-1] == CHANNELS[mode]:
        return pixels
    from PIL import Image

    from mixwell.decode.other import converted

    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    return converted(image, name, mode)
