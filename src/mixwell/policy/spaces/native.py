"""Mixwell's own spaces: torchvision's levels, shears about the centre.

Most published recipes of recent years mean torchvision's 31 magnitudes. Two things are native: a
shear turns about the image's centre (torchvision, timm: the top-left corner), so that a sheared
image does not also drift; and translations are whole pixels, rounded toward zero.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mixwell.plan import geometry as g
from mixwell.plan.steps import Code
from mixwell.policy.base import Rows
from mixwell.policy.spaces.base import Build, Drawn, Entry, Fixed, LevelOf, Space

_TINY = 1e-6
"""11 / 30 of 150 px is 55, not 54.999999999999993."""


def centred(linear: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Build:
    """A warp about the image's centre, from (level, zeros) to matrices."""

    def drawn(rows: Rows, level: np.ndarray) -> Drawn:
        m = linear(level, np.zeros_like(level))
        return Code.WARP, g.about_centre(m, rows.size_hw).reshape(-1, 9)

    return drawn


def shifted(axis: int) -> Build:
    """A translation by the level in px, along x (axis 0) or y (1); content moves with it."""

    def drawn(rows: Rows, level: np.ndarray) -> Drawn:
        zero = np.zeros_like(level)
        m = g.shift(level, zero) if axis == 0 else g.shift(zero, level)
        return Code.WARP, m.reshape(-1, 9)

    return drawn


def tone(code: Code) -> Build:
    """A slot whose only parameter is the level."""
    return Fixed(code, 1)


def plain(code: Code) -> Entry:
    """An op without a level."""
    return Entry(_level_zero, Fixed(code, 0))


def _level_zero(t: np.ndarray, sign: np.ndarray, size_hw: np.ndarray) -> np.ndarray:
    return np.zeros_like(t)


IDENTITY = plain(Code.NOTHING)


def signed(most: float) -> LevelOf:
    """+- t * most."""
    return lambda t, sign, size_hw: sign * t * most


def around_one(most: float) -> LevelOf:
    """1 +- t * most."""
    return lambda t, sign, size_hw: 1.0 + sign * t * most


def whole_px(most: float | None, fraction: float, axis: int) -> LevelOf:
    """+- t * most px, or t * fraction of the side along x (0) or y (1), rounded toward zero."""

    def level(t: np.ndarray, sign: np.ndarray, size_hw: np.ndarray) -> np.ndarray:
        reach = fraction * size_hw[:, 1 - axis] if most is None else most
        return sign * np.trunc(t * reach + _TINY)

    return level


def bits_kept(removed: int) -> LevelOf:
    """8 down to 8 - removed, half to even."""
    return lambda t, sign, size_hw: 8.0 - np.rint(t * removed)


# The first implementations, of AutoAugment and what came from it, count in whole numbers that are
# cut, and take factors from 0.1 .. 1.9 without a sign.


def whole(most: float) -> LevelOf:
    """0 up to `most`, cut to whole numbers."""
    return lambda t, sign, size_hw: np.trunc(t * most + _TINY)


def signed_whole(most: float) -> LevelOf:
    """+- 0 .. `most`, cut to whole numbers."""
    return lambda t, sign, size_hw: sign * np.trunc(t * most + _TINY)


def below(top: float, most: float) -> LevelOf:
    """`top` down to `top` - `most`, in whole steps."""
    return lambda t, sign, size_hw: top - np.trunc(t * most + _TINY)


def first_factor(t: np.ndarray, sign: np.ndarray, size_hw: np.ndarray) -> np.ndarray:
    """0.1 .. 1.9."""
    return 0.1 + 1.8 * t


def first_factors() -> dict[str, Entry]:
    """The four enhancements with factors 0.1 .. 1.9."""
    return {
        "Brightness": Entry(first_factor, tone(Code.BRIGHTNESS), unit="factor"),
        "Color": Entry(first_factor, tone(Code.SATURATION), unit="factor"),
        "Contrast": Entry(first_factor, tone(Code.CONTRAST), unit="factor"),
        "Sharpness": Entry(first_factor, tone(Code.SHARPNESS), unit="factor"),
    }


def cut_out(rows: Rows, level: np.ndarray) -> Drawn:
    """A square of `level` px (an even number) around a drawn pixel, cut off at the edges."""
    half = level.astype(np.int64) // 2
    height, width = rows.size_hw[:, 0].astype(np.int64), rows.size_hw[:, 1].astype(np.int64)
    y, x = rows.draws.integers("cut y", 0, height), rows.draws.integers("cut x", 0, width)
    low = np.maximum([x - half, y - half], 0)
    high = np.minimum([x + half, y + half], [width, height])
    cuts = half > 0
    box = np.stack([low[0], low[1], high[0], high[1]], axis=1)
    return np.where(cuts, Code.ERASE, Code.NOTHING), np.where(cuts[:, None], box, 0.0)


def _levels(
    shear: float, degrees: float, enhance: float, removed_bits: int, translate_px: float | None
) -> dict[str, Entry]:
    fraction = 150.0 / 331.0
    enhanced = around_one(enhance)
    return {
        "Identity": IDENTITY,
        "ShearX": Entry(signed(shear), centred(lambda v, zero: g.shear(v, zero)), True, "slope"),
        "ShearY": Entry(signed(shear), centred(lambda v, zero: g.shear(zero, v)), True, "slope"),
        "TranslateX": Entry(whole_px(translate_px, fraction, 0), shifted(0), True, "px"),
        "TranslateY": Entry(whole_px(translate_px, fraction, 1), shifted(1), True, "px"),
        "Rotate": Entry(signed(degrees), centred(lambda v, zero: g.rotation(v)), True, "degrees"),
        "Brightness": Entry(enhanced, tone(Code.BRIGHTNESS), True, "factor"),
        "Color": Entry(enhanced, tone(Code.SATURATION), True, "factor"),
        "Contrast": Entry(enhanced, tone(Code.CONTRAST), True, "factor"),
        "Sharpness": Entry(enhanced, tone(Code.SHARPNESS), True, "factor"),
        "Posterize": Entry(bits_kept(removed_bits), tone(Code.POSTERIZE), unit="bits"),
        "Solarize": Entry(lambda t, s, hw: 255.0 * (1.0 - t), tone(Code.SOLARIZE), unit="level"),
        "AutoContrast": plain(Code.AUTOCONTRAST),
        "Equalize": plain(Code.EQUALIZE),
        "Invert": plain(Code.INVERT),
    }


MIXWELL = Space(
    "mixwell",
    "torchvision's levels of RandAugment and AutoAugment; shears about the centre",
    _levels(shear=0.3, degrees=30.0, enhance=0.9, removed_bits=4, translate_px=None),
)
WIDE = Space(
    "mixwell-wide",
    "torchvision's levels of TrivialAugmentWide; shears about the centre",
    _levels(shear=0.99, degrees=135.0, enhance=0.99, removed_bits=6, translate_px=32.0),
)
NONINCREASING = Space(
    "mixwell-nonincreasing",
    "levels of the first implementations: factors 0.1 .. 1.9 without sign, posterize to 0 .. 4 "
    "bits, solarize above 0 .. 256, so that larger is not always stronger",
    MIXWELL.entries
    | first_factors()
    | {
        "Posterize": Entry(whole(4), tone(Code.POSTERIZE), unit="bits"),
        "Solarize": Entry(whole(256), tone(Code.SOLARIZE), unit="level"),
    },
)
NARROW = Space(
    "mixwell-narrow",
    "TrivialAugment's narrow space: factors 0.1 .. 1.9, translations up to 10 px",
    MIXWELL.entries
    | first_factors()
    | {
        "TranslateX": Entry(signed_whole(10), shifted(0), True, "px"),
        "TranslateY": Entry(signed_whole(10), shifted(1), True, "px"),
        "Rotate": Entry(signed_whole(30), centred(lambda v, zero: g.rotation(v)), True, "degrees"),
        "Posterize": Entry(below(8, 4), tone(Code.POSTERIZE), unit="bits"),
        "Solarize": Entry(below(256, 256), tone(Code.SOLARIZE), unit="level"),
    },
)
UNIFORM = Space(
    "mixwell-uniform",
    "UniformAugment's space: the narrow one, translations up to 0.45 of the side, and Cutout",
    NARROW.entries
    | {
        "TranslateX": Entry(whole_px(None, 0.45, 0), shifted(0), True, "px"),
        "TranslateY": Entry(whole_px(None, 0.45, 1), shifted(1), True, "px"),
        "Rotate": MIXWELL.entries["Rotate"],
        "Cutout": Entry(
            lambda t, sign, size_hw: np.trunc(t * 0.2 * size_hw[:, 1] + _TINY),
            cut_out,
            unit="px",
            random=True,
        ),
    },
)

ALL = (MIXWELL, WIDE, NARROW, UNIFORM, NONINCREASING)
