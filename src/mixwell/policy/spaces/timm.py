"""timm's spaces: its levels on a scale of ten, its matrices, Pillow's pixels.

Read from and checked with timm 1.0.31 (`timm.data.auto_augment`). A strength is timm's magnitude
divided by ten, so policies count in 11 bins; with `magnitude_max` strengths may exceed one. Names
are timm's: "Posterize" keeps *more* bits the larger the magnitude, "PosterizeIncreasing" fewer.

Shears turn about the top-left corner, rotations about the centre; a translation by a positive level
moves the content left or up, and need not be whole pixels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import numpy as np

from mixwell.plan import geometry as g
from mixwell.plan.steps import Code
from mixwell.policy.base import Rows
from mixwell.policy.spaces.base import Build, Drawn, Entry, LevelOf, Space
from mixwell.policy.spaces.native import plain, signed, tone
from mixwell.policy.spaces.torchvision import rotated

BINS = 11
"""Magnitudes 0 .. 10."""
REACH = 0.45
"""Part of the side that translations reach; 0.3 for AugMix in timm's transform factory."""
REACH_PX = 250.0
"""What TranslateX and TranslateY reach, px; no policy of timm's makes use of these."""


# ----------------------------------------------------------------------------------- matrices


def pil_warp(m: np.ndarray) -> Drawn:
    """Pillow's affine transform from matrices float64 [N, 3, 3]."""
    return Code.PIL_WARP, m.reshape(-1, 9)


def _sheared(axis: int) -> Build:
    """A shear about the top-left corner, along x (axis 0) or y (1)."""

    def drawn(rows: Rows, level: np.ndarray) -> Drawn:
        zero = np.zeros_like(level)
        return pil_warp(g.shear(level, zero) if axis == 0 else g.shear(zero, level))

    return drawn


def shifted_against(axis: int) -> Build:
    """A translation by the level in px, along x (axis 0) or y (1); content moves against it."""

    def drawn(rows: Rows, level: np.ndarray) -> Drawn:
        zero = np.zeros_like(level)
        return pil_warp(g.shift(-level, zero) if axis == 0 else g.shift(zero, -level))

    return drawn


# ------------------------------------------------------------------------------------- levels


def _part_of_side(reach: float, axis: int) -> LevelOf:
    return lambda t, sign, size_hw: sign * (t * reach) * size_hw[:, 1 - axis]


def _factor(t: np.ndarray, sign: np.ndarray, size_hw: np.ndarray) -> np.ndarray:
    return t * 1.8 + 0.1


def _factor_increasing(t: np.ndarray, sign: np.ndarray, size_hw: np.ndarray) -> np.ndarray:
    return np.maximum(0.1, 1.0 + sign * (t * 0.9))


def _between(low: float, high: float) -> LevelOf:
    return lambda t, sign, size_hw: np.clip(low + (high - low) * t, low, high)


def _bits(none: int, step: int) -> LevelOf:
    """`none` + `step` * int(4 t); below 0 an image is black, above 8 nothing changes."""
    return lambda t, sign, size_hw: np.clip(none + step * np.trunc(t * 4), 0, 8)


def _threshold(t: np.ndarray, sign: np.ndarray, size_hw: np.ndarray) -> np.ndarray:
    return np.minimum(256.0, np.trunc(t * 256))


def _threshold_increasing(t: np.ndarray, sign: np.ndarray, size_hw: np.ndarray) -> np.ndarray:
    return 256.0 - _threshold(t, sign, size_hw)


def _added(t: np.ndarray, sign: np.ndarray, size_hw: np.ndarray) -> np.ndarray:
    return np.minimum(128.0, np.trunc(t * 110))


# --------------------------------------------------------------------------------- other slots


def _without_colour(rows: Rows, level: np.ndarray) -> Drawn:
    return Code.SATURATION, np.clip(1.0 - level, 0.0, 1.0)[:, None]


def _added_below_middle(rows: Rows, level: np.ndarray) -> Drawn:
    return Code.SOLARIZE_ADD, np.stack([level, np.full_like(level, 128)], axis=1)


def _blurred_at_random(rows: Rows, level: np.ndarray) -> Drawn:
    """A radius drawn between 0.1 px and twice the level, whichever is larger."""
    radius = 0.1 + (2.0 * level - 0.1) * rows.draws.uniform("radius")
    return Code.PIL_BLUR, radius[:, None]


# ------------------------------------------------------------------------------------- spaces


def _enhanced() -> dict[str, Entry]:
    codes = {
        "Color": Code.SATURATION,
        "Contrast": Code.PIL_CONTRAST,
        "Brightness": Code.BRIGHTNESS,
        "Sharpness": Code.SHARPNESS,
    }
    out = {}
    for name, code in codes.items():
        out[name] = Entry(_factor, tone(code), unit="factor")
        out[f"{name}Increasing"] = Entry(_factor_increasing, tone(code), True, "factor")
    return out


def entries(reach: float) -> dict[str, Entry]:
    """Everything that timm knows by name, in its order."""
    posterize, solarize = tone(Code.POSTERIZE), tone(Code.SOLARIZE)
    return {
        "AutoContrast": plain(Code.AUTOCONTRAST),
        "Equalize": plain(Code.EQUALIZE),
        "Invert": plain(Code.INVERT),
        "Rotate": Entry(signed(30.0), rotated(tensor=False), True, "degrees"),
        "Posterize": Entry(_bits(0, 1), posterize, unit="bits"),
        "PosterizeIncreasing": Entry(_bits(4, -1), posterize, unit="bits"),
        "PosterizeOriginal": Entry(_bits(4, 1), posterize, unit="bits"),
        "Solarize": Entry(_threshold, solarize, unit="level"),
        "SolarizeIncreasing": Entry(_threshold_increasing, solarize, unit="level"),
        "SolarizeAdd": Entry(_added, _added_below_middle, unit="level"),
        **_enhanced(),
        "ShearX": Entry(signed(0.3), _sheared(0), True, "slope"),
        "ShearY": Entry(signed(0.3), _sheared(1), True, "slope"),
        "TranslateX": Entry(signed(REACH_PX), shifted_against(0), True, "px"),
        "TranslateY": Entry(signed(REACH_PX), shifted_against(1), True, "px"),
        "TranslateXRel": Entry(_part_of_side(reach, 0), shifted_against(0), True, "px"),
        "TranslateYRel": Entry(_part_of_side(reach, 1), shifted_against(1), True, "px"),
        "Desaturate": Entry(_between(0.5, 1.0), _without_colour, unit="colour removed"),
        "GaussianBlur": Entry(_between(0.1, 2.0), tone(Code.PIL_BLUR), unit="px"),
        "GaussianBlurRand": Entry(_between(0.0, 1.0), _blurred_at_random, unit="2 px", random=True),
    }


_RAND = (
    "AutoContrast Equalize Invert Rotate Posterize* Solarize* SolarizeAdd "
    "Color* Contrast* Brightness* Sharpness* ShearX ShearY TranslateXRel TranslateYRel"
)
_AUGMIX = (
    "AutoContrast Color* Contrast* Brightness* Sharpness* Equalize Rotate Posterize* Solarize* "
    "ShearX ShearY TranslateXRel TranslateYRel"
)
_KINDS: dict[str, tuple[str, Iterable[str]]] = {
    "": ("RandAugment with inc1", _RAND.replace("*", "Increasing").split()),
    "-nonincreasing": ("RandAugment without inc1", _RAND.replace("*", "").split()),
    "-augmix": ("AugMix", _AUGMIX.replace("*", "Increasing").split()),
    "-all": ("all its ops", entries(REACH)),
}
"""What follows "timm" in a space's name -> whose it is, and its ops."""


def _make(kind: str, reach: float) -> Space:
    whose, names = _KINDS[kind]
    summary = f"timm on PIL images: {whose}, 11 bins"
    everything = entries(reach)
    named = {name: everything[name] for name in names}
    return Space(f"timm{kind}", summary, named, BINS, beyond=True)


ALL = tuple(_make(kind, 0.3 if kind == "-augmix" else REACH) for kind in _KINDS)


@cache
def with_reach(name: str) -> Space | None:
    """One of timm's spaces with another `translate_pct`.

    Args:
        name: as in "timm/pct0.3", "timm/pct0.3-nonincreasing", "timm-augmix/pct0.45".

    Returns:
        The space, or None where the name is none of these.
    """
    found = re.fullmatch(r"timm(|-augmix|-all)/pct(\d+(?:\.\d+)?)(|-nonincreasing)", name)
    if found is None or (found[1] and found[3]):
        return None
    return replace(_make(found[1] or found[3], float(found[2])), name=name)
