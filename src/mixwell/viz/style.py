"""One look for all pictures: colours, type and spacing, in one place.

The palette is that of Okabe and Ito, told apart with every common form of colour blindness. Two of
its colours are left out: black (the text is nearly black) and yellow (too faint on white).
"""

from __future__ import annotations

import math
import unicodedata
from functools import lru_cache
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

PAPER = (255, 255, 255)
INK = (51, 51, 51)
FAINT = (115, 115, 115)
RULE = (222, 222, 222)

BLUE, VERMILION, GREEN = (0, 114, 178), (213, 94, 0), (0, 158, 115)
PURPLE, SKY, ORANGE = (204, 121, 167), (86, 180, 233), (230, 159, 0)
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE)

SMALL, BODY, TITLE = 11, 12, 15  # px
LEADING = 1.36  # line height in units of the type size
GAP = 16  # px between neighbours
MARGIN = 24  # px around a whole picture

_FINE = 4
"""Type is drawn this many times larger and averaged down: small type is else spaced unevenly."""

Color = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Pillow's built-in font knows these and no more; other text needs a font of the system.
_BUILT_IN = frozenset(map(chr, range(32, 127))) | frozenset("«°±´·»‘’“”…‹›⁄™ﬁﬂ")


def class_color(index: int) -> Color:
    """The colour of class number `index`; after six the colours repeat, lighter each time."""
    turn, place = divmod(index, len(PALETTE))
    toward_paper = 1 - 0.62 ** (turn % 3)
    red, green, blue = (round(c + (255 - c) * toward_paper) for c in PALETTE[place])
    return red, green, blue


@lru_cache(maxsize=64)
def _fonts(size: int) -> tuple[Font, Font | None]:
    """The built-in font, and one with more letters where the system has it."""
    built_in = ImageFont.load_default(size)
    try:
        return built_in, ImageFont.truetype("DejaVuSans.ttf", size)
    except OSError:
        return built_in, None


def lettering(text: str, size: int) -> tuple[str, Font]:
    """The text and a font that can draw it; letters no font here has lose their accents."""
    built_in, wider = _fonts(size)
    if _BUILT_IN.issuperset(text):
        return text, built_in
    if wider is not None:
        return text, wider
    plain = unicodedata.normalize("NFKD", text)
    kept = "".join(c for c in plain if not unicodedata.combining(c))
    return "".join(c if c in _BUILT_IN else "?" for c in kept), built_in


def text_width(text: str, size: int) -> int:
    """Width of one line of text, px."""
    shown, font = lettering(text, size * _FINE)
    return math.ceil(font.getlength(shown) / _FINE)


def line_height(size: int) -> int:
    """Distance from one line to the next, px."""
    return round(size * LEADING)


def fitted(text: str, size: int, width: int) -> str:
    """The text, cut short with an ellipsis where it is wider than `width` px."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…" if text else ""


def wrapped(text: str, size: int, width: int, most: int) -> list[str]:
    """The text in at most `most` lines of `width` px, broken between words."""
    lines: list[str] = []
    words = text.split()
    while words and len(lines) < most:
        taken = 1
        while taken < len(words) and text_width(" ".join(words[: taken + 1]), size) <= width:
            taken += 1
        last = len(lines) == most - 1
        lines.append(fitted(" ".join(words if last else words[:taken]), size, width))
        words = words[taken:]
    return lines


def write(
    page: Image.Image,
    x: int,
    y: int,
    text: str,
    size: int = BODY,
    color: Color = INK,
    *,
    align: Literal["left", "middle", "right"] = "left",
) -> None:
    """Write one line whose top is at y, and whose start, middle or end is at x."""
    width, height = text_width(text, size), line_height(size)
    if not width:
        return
    shown, font = lettering(text, size * _FINE)
    mask = Image.new("L", (width * _FINE, height * _FINE))
    ImageDraw.Draw(mask).text((0, 0), shown, fill=255, font=font)
    mask = mask.resize((width, height), Image.Resampling.BOX)
    left = x - {"left": 0, "middle": width // 2, "right": width}[align]
    page.paste(color, (left, y), mask)
