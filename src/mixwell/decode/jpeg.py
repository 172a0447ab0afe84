"""JPEG: the header in a few microseconds, pixels by libjpeg-turbo (simplejpeg), whole or scaled.

A file with anything unusual before its pixels is left to Pillow: `jpeg_header` returns None.
"""

from __future__ import annotations

import re
import struct

import numpy as np

from mixwell.decode.header import Header, Mode

_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_ORIENTATION, _SHORT = 0x0112, 3


def jpeg_header(data: bytes) -> Header | None:
    """Size and orientation of a plain 8-bit JPEG; None for anything that needs a closer look."""
    try:
        frame, exif, xmp = _segments(data)
        if frame is None:
            return None
        precision, height, width, components = struct.unpack_from(">BHHB", data, frame)
        if precision != 8 or components not in _MODES:
            return None
        orientation = _exif_orientation(exif) if exif is not None else None
    except (struct.error, IndexError, ValueError):
        return None
    if orientation is None and xmp is not None:
        found = _XMP_ORIENTATION.search(xmp)
        orientation = int(found[1]) if found else None
    if orientation is None or not 1 <= orientation <= 8:
        orientation = 1
    if orientation >= 5:
        width, height = height, width
    plain = components in (1, 3)
    return Header(width, height, orientation, "JPEG", _MODES[components], scalable=plain)


def _segments(data: bytes) -> tuple[int | None, bytes | None, bytes | None]:
    """Where the frame header begins, and the EXIF and XMP blocks; up to the first scan.

    Raises:
        ValueError: bytes between segments, or two EXIF blocks.
        IndexError, struct.error: the data end before the first scan.
    """
    frame, exif, xmp, at = None, None, None, 2
    while True:
        if data[at] != 0xFF:
            raise ValueError("bytes between segments")
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        if marker == 0xDA:
            return frame, exif, xmp
        if marker == 0x00 or 0xD0 <= marker <= 0xD9:
            raise ValueError("no such segment before a scan")
        (length,) = struct.unpack_from(">H", data, at + 1)
        start, end = at + 3, at + 1 + length
        if marker in _FRAMES:
            frame = start
        elif marker == 0xE1 and data.startswith(_EXIF, start):
            if exif is not None:
                raise ValueError("two EXIF blocks")
            exif = data[start + len(_EXIF) : end]
        elif marker == 0xE1 and data.startswith(_XMP, start):
            xmp = data[start:end]
        at = end


def _exif_orientation(exif: bytes) -> int | None:
    """The orientation that a TIFF block gives, None if it gives none.

    Raises:
        ValueError, struct.error: the block is damaged or unusual.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        raise ValueError("no TIFF block")
    (at,) = struct.unpack_from(order + "I", exif, 4)
    (count,) = struct.unpack_from(order + "H", exif, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, values, value = struct.unpack_from(order + "HHIH", exif, entry)
        if tag == _ORIENTATION:
            if kind != _SHORT or values != 1:
                raise ValueError("an unusual orientation")
            return value
    return None


class UnreadableError(ValueError):
    """libjpeg-turbo complained; `truncated` says that pixels are missing."""

    def __init__(self, message: str) -> None:
        """Judge libjpeg's last message."""
        super().__init__(message)
        text = message.lower()
        self.truncated = "premature end" in text or "huffman" in text


def decode_jpeg(data: bytes, header: Header, scale_denom: int, mode: Mode) -> np.ndarray:
    """Pixels as stored, uint8 [H, W, C], not yet turned upright.

    Exact DCT and exact upsampling, so the pixels are Pillow's. A scaled image has
    ceil(size / scale_denom) pixels on each side.

    Raises:
        UnreadableError: libjpeg-turbo had to guess at anything.
    """
    import simplejpeg

    width, height = header.raw_size
    at_least = {"min_height": -(-height // scale_denom), "min_width": -(-width // scale_denom)}
    grey = mode == "L" and header.mode == "L"
    try:
        return simplejpeg.decode_jpeg(
            data,
            colorspace="GRAY" if grey else "RGB",
            fastdct=False,
            fastupsample=False,
            strict=True,
            **(at_least if scale_denom > 1 else {}),
        )
    except ValueError as error:
        raise UnreadableError(str(error)) from None
