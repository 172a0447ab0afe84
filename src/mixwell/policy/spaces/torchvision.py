"""torchvision's spaces: its levels and its matrices, for PIL images and for tensors.

torchvision v2 (checked with 0.29.2) has four tables of levels, for AutoAugment (10 bins),
RandAugment, TrivialAugmentWide (31 bins each, unless said otherwise) and AugMix (10 bins), and two
arithmetics. Levels are float32, as `torch.linspace` makes them on CPUs with fused multiply-add
(x86 with AVX2): there, bin 15 of TrivialAugmentWide's 0 .. 32 px is 15.999999, which the int() of a
translation turns into 15.

Shears turn about the top-left corner, rotations about the centre, translations are whole pixels.
Rotations by quarter turns that fit the image are exact, as torchvision's are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np

from mixwell.plan import geometry as g
from mixwell.plan.steps import Code
from mixwell.policy.base import Rows
from mixwell.policy.spaces.base import Build, Drawn, Entry, LevelOf, Space
from mixwell.policy.spaces.native import IDENTITY, plain, tone

AUTO_BINS = 10
"""Bins of AutoAugment and AugMix."""
RAND_BINS = 31
"""Bins of RandAugment and TrivialAugmentWide by default."""


# ------------------------------------------------------------------------------------- levels


def linspace32(start: float, end: np.ndarray | float, t: np.ndarray, bins: int) -> np.ndarray:
    """float64 [n]: the float32 numbers that torch.linspace(start, end, bins) has at t * (bins - 1).

    The lower half counts from `start`, the upper half back from `end`, with one rounding each.
    Strengths between the bins give the number in between, rounded to float32.

    Args:
        start: the first number; one that float32 can hold.
        end: the last number, float64, one or [n].
        t: float64 [n], 0 .. 1.
        bins: how many numbers there are.
    """
    last = np.asarray(end, np.float32)
    step = ((last - np.float32(start)) / np.float32(bins - 1)).astype(np.float64)
    place = np.rint(t * (bins - 1))
    # A step has 24 bits, so these are exact in float64 but for the sum: one rounding is left.
    up, down = start + step * place, last - step * (bins - 1 - place)
    level = np.where(place < bins // 2, up, down)
    between = np.abs(t * (bins - 1) - place) > 1e-9
    level = np.where(between, start + (end - start) * t, level)
    return level.astype(np.float32).astype(np.float64)


def _signed(end: float, bins: int) -> LevelOf:
    return lambda t, sign, size_hw: sign * linspace32(0.0, end, t, bins)


def _around_one(end: float, bins: int) -> LevelOf:
    return lambda t, sign, size_hw: 1.0 + sign * linspace32(0.0, end, t, bins)


def _whole_px(reach: Callable[[np.ndarray], np.ndarray | float], axis: int, bins: int) -> LevelOf:
    """Up to `reach` of the side along x (axis 0) or y (1), cut to whole px."""

    def level(t: np.ndarray, sign: np.ndarray, size_hw: np.ndarray) -> np.ndarray:
        end = reach(size_hw[:, 1 - axis].astype(np.float64))
        return sign * np.trunc(linspace32(0.0, end, t, bins))

    return level


def _bits(most: int, removed: int, bins: int) -> LevelOf:
    """`most` bits down to `most - removed`, half to even, divided in float32."""
    width = np.float32((bins - 1) / removed)

    def level(t: np.ndarray, sign: np.ndarray, size_hw: np.ndarray) -> np.ndarray:
        place = (t * (bins - 1)).astype(np.float32)
        return np.rint(np.float32(most) - place / width).astype(np.float64)

    return level


def _threshold(tensor: bool, bins: int) -> LevelOf:
    """255 down to 0. Tensors are compared with it in float32, PIL images in float64."""

    def level(t: np.ndarray, sign: np.ndarray, size_hw: np.ndarray) -> np.ndarray:
        threshold = 255.0 * linspace32(1.0, 0.0, t, bins)
        return threshold.astype(np.float32).astype(np.float64) if tensor else threshold

    return level


# ----------------------------------------------------------------------------------- matrices
#
# Python's functions on each level that occurs, instead of NumPy's on all: the last bit decides
# where a nearest pixel is read, and NumPy's may differ from the C library's.


def _each(function: Callable[[float], float], level: np.ndarray) -> np.ndarray:
    """float64 [n]: a Python function of each level."""
    values, place = np.unique(level, return_inverse=True)
    return np.array([function(v) for v in values.tolist()], np.float64)[place]


def _slope_x(level: float) -> float:
    return math.tan(math.radians(math.degrees(math.atan(level))))


def _slope_y(level: float) -> float:
    angle = math.radians(math.degrees(math.atan(level)))
    return -(math.sin(-angle) / math.cos(angle))


def _warp(tensor: bool, m: np.ndarray, x: np.ndarray, y: np.ndarray) -> Drawn:
    """A warp; x and y are the translation about the centre, which only tensors need."""
    if tensor:
        return Code.TV_WARP, np.column_stack([m.reshape(-1, 9), x, y])
    return Code.PIL_WARP, m.reshape(-1, 9)


def _sheared(tensor: bool, axis: int) -> Build:
    """A shear about the top-left corner, along x (axis 0) or y (1)."""

    def drawn(rows: Rows, level: np.ndarray) -> Drawn:
        zero = np.zeros_like(level)
        middle_y, middle_x = (-rows.size_hw * 0.5).T
        if axis == 0:
            slope = _each(_slope_x, level)
            return _warp(tensor, g.shear(slope, zero), 0.0 - slope * middle_y, zero)
        slope = _each(_slope_y, level)
        move = middle_y - slope * middle_x - middle_y
        return _warp(tensor, g.shear(zero, slope), zero, move)

    return drawn


def _shifted(tensor: bool, axis: int) -> Build:
    """A translation, along x (axis 0) or y (1); content moves with the level."""

    def drawn(rows: Rows, level: np.ndarray) -> Drawn:
        zero = np.zeros_like(level)
        x, y = (level, zero) if axis == 0 else (zero, level)
        return _warp(tensor, g.shift(x, y), 0.0 - x, 0.0 - y)

    return drawn


def rotated(tensor: bool) -> Build:
    """A rotation about the centre; nothing at 0, exact at the quarter turns that fit."""

    def drawn(rows: Rows, level: np.ndarray) -> Drawn:
        turn = level % 360.0
        height, width = (rows.size_hw * 0.5).T
        cos, sin = (_each(f, turn) for f in (_tensor_turn if tensor else _pil_turn))
        turned = g.matrix(len(rows), {(0, 0): cos, (0, 1): -sin, (1, 0): sin, (1, 1): cos})
        m = turned.copy()
        # Pillow's order of operations: the products' sum, then the centre.
        m[:, 0, 2] = cos * -width + -sin * -height + width
        m[:, 1, 2] = sin * -width + cos * -height + height
        whole = (turn % 180 == 0) | ((turn % 90 == 0) & (width == height))
        m[whole] = g.about_centre(np.rint(turned), rows.size_hw)[whole]
        zero = np.zeros_like(level)
        code, param = _warp(tensor, m, zero, zero)
        if tensor:
            code = np.where(whole, Code.WARP, code)
        return np.where(turn == 0, Code.NOTHING, code), np.where(turn[:, None] == 0, 0.0, param)

    return drawn


_tensor_turn = (
    lambda turn: math.cos(math.radians(-turn)),
    lambda turn: -math.sin(math.radians(-turn)),
)
_pil_turn = (
    lambda turn: round(math.cos(-math.radians(turn)), 15),
    lambda turn: -round(math.sin(-math.radians(turn)), 15),
)


# ------------------------------------------------------------------------------------- spaces


_INPUTS = {"pil": "PIL images", "tensor": "tensors"}


def _entries(
    backend: str,
    bins: int,
    *,
    shear: float = 0.3,
    reach: Callable[[np.ndarray], np.ndarray | float] = lambda side: 150.0 / 331.0 * side,
    degrees: float = 30.0,
    enhance: float = 0.9,
    bits: tuple[int, int] = (8, 4),
) -> dict[str, Entry]:
    """All ops in the order of torchvision's RandAugment, and Invert."""
    tensor, factor = backend == "tensor", _around_one(enhance, bins)
    if tensor:
        codes = Code.TV_BRIGHTNESS, Code.TV_SATURATION, Code.TV_CONTRAST, Code.TV_SHARPNESS
    else:
        codes = Code.BRIGHTNESS, Code.SATURATION, Code.PIL_CONTRAST, Code.SHARPNESS
    enhanced = zip(("Brightness", "Color", "Contrast", "Sharpness"), codes, strict=True)
    stretched = Code.TV_AUTOCONTRAST if tensor else Code.AUTOCONTRAST
    return {
        "Identity": IDENTITY,
        "ShearX": Entry(_signed(shear, bins), _sheared(tensor, 0), True, "slope"),
        "ShearY": Entry(_signed(shear, bins), _sheared(tensor, 1), True, "slope"),
        "TranslateX": Entry(_whole_px(reach, 0, bins), _shifted(tensor, 0), True, "px"),
        "TranslateY": Entry(_whole_px(reach, 1, bins), _shifted(tensor, 1), True, "px"),
        "Rotate": Entry(_signed(degrees, bins), rotated(tensor), True, "degrees"),
        **{name: Entry(factor, tone(code), True, "factor") for name, code in enhanced},
        "Posterize": Entry(_bits(*bits, bins), tone(Code.POSTERIZE), unit="bits"),
        "Solarize": Entry(_threshold(tensor, bins), tone(Code.SOLARIZE), unit="level"),
        "AutoContrast": plain(stretched),
        "Equalize": plain(Code.EQUALIZE),
        "Invert": plain(Code.INVERT),
    }


def _without(entries: dict[str, Entry], *names: str) -> dict[str, Entry]:
    return {name: entry for name, entry in entries.items() if name not in names}


def _rand(backend: str, bins: int) -> Space:
    summary = f"torchvision on {_INPUTS[backend]}: RandAugment, {bins} bins"
    entries = _without(_entries(backend, bins), "Invert")
    return Space(f"torchvision-{backend}", summary, entries, bins)


def _auto(backend: str, bins: int) -> Space:
    summary = f"torchvision on {_INPUTS[backend]}: AutoAugment, {bins} bins"
    entries = _without(_entries(backend, bins), "Identity")
    return Space(f"torchvision-{backend}-auto", summary, entries, bins)


def _wide(backend: str, bins: int) -> Space:
    summary = f"torchvision on {_INPUTS[backend]}: TrivialAugmentWide, {bins} bins"
    wide = {"shear": 0.99, "degrees": 135.0, "enhance": 0.99, "bits": (8, 6)}
    entries = _entries(backend, bins, reach=lambda side: 32.0, **wide)
    return Space(f"torchvision-{backend}-wide", summary, _without(entries, "Invert"), bins)


def _augmix() -> Space:
    entries = _entries("tensor", AUTO_BINS, reach=lambda side: side / 3.0, bits=(4, 4))
    colours = ("Brightness", "Color", "Contrast", "Sharpness")
    others = _without(entries, "Identity", "Invert", *colours)
    return Space(
        "torchvision-augmix",
        f"torchvision: AugMix, {AUTO_BINS} bins; PIL images become tensors there",
        others | {name: entries[name] for name in colours},
        AUTO_BINS,
    )


ALL = (
    *(make(backend, RAND_BINS) for backend in _INPUTS for make in (_rand, _wide)),
    *(_auto(backend, AUTO_BINS) for backend in _INPUTS),
    _augmix(),
)


@cache
def with_bins(name: str) -> Space | None:
    """The space of RandAugment or TrivialAugmentWide with another number of bins.

    Args:
        name: as in "torchvision-pil/11" or "torchvision-tensor-wide/11"; 2 bins or more.

    Returns:
        The space, or None where the name is none of these.
    """
    found = re.fullmatch(r"torchvision-(pil|tensor)(-wide)?/([1-9]\d{0,4})", name)
    if found is None or int(found[3]) < 2:
        return None
    made = (_wide if found[2] else _rand)(found[1], int(found[3]))
    return replace(made, name=name)
