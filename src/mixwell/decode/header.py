"""`Header`: what a file says of its image before any pixel is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mixwell._errors import DataError

Mode = Literal["RGB", "L", "RGBA"]
"""Channels of a decoded image: three, one or four."""

CHANNELS: dict[str, int] = {"RGB": 3, "L": 1, "RGBA": 4}

_FAR = {2: (0, 1), 3: (1, 1), 4: (1, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}
"""Orientations that count rows or columns from the stored image's far edge, as (height, width)."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of its image.

    Attributes:
        width: px, as the image is looked at: after the EXIF orientation.
        height: px, likewise.
        orientation: EXIF orientation that decoding undoes, 1 .. 8; 1 = stored upright.
        format: "JPEG", "PNG", ... as Pillow names it.
        mode: the stored pixels, as Pillow names them: "RGB", "L", "CMYK", "I;16", ...
        scalable: whether `decode` can make it smaller by 2, 4 or 8 at once.
    """

    width: int
    height: int
    orientation: int
    format: str
    mode: str
    scalable: bool = False

    @property
    def raw_size(self) -> tuple[int, int]:
        """Width and height as stored, px."""
        turned = self.orientation >= 5
        return (self.height, self.width) if turned else (self.width, self.height)

    @property
    def far_hw(self) -> tuple[int, int]:
        """1 where the upright image's rows or columns begin at the stored image's far edge."""
        return _FAR.get(self.orientation, (0, 0))


def check_header(header: Header, name: str, max_pixels: int | None) -> Header:
    """The header, unless its image is empty or too large.

    Raises:
        DataError: a side of 0 px, or more pixels than allowed.
    """
    width, height = header.raw_size
    if width < 1 or height < 1:
        raise DataError(
            f"{name}: an image needs at least one pixel, got {width}x{height}. Remove the file."
        )
    if max_pixels is not None and width * height > max_pixels:
        raise DataError(
            f"{name}: images may have {max_pixels} pixels, this file claims {width}x{height} = "
            f"{width * height}, which may be a decompression bomb; nothing was decoded. If the "
            "file is right, raise max_pixels=."
        )
    return header


def damaged(name: str, what: object) -> DataError:
    """The error for a file that cannot be decoded."""
    return DataError(
        f"{name}: the file must hold a whole image that can be decoded, got: {what}. Restore or "
        'remove the file, or leave such files out with Loader(..., on_error="skip").'
    )
