"""Automatic policies: each image draws its own ops and strengths.

Levels follow torchvision's tables (31 magnitudes for both policies here), which is what most
published recipes of recent years mean by "magnitude 9". Two things are native to mixwell: shears
turn about the image's centre (torchvision and timm: the top-left corner), so that a sheared image
does not also drift, and geometry is bilinear by default. The profiles that
reproduce other libraries exactly are a separate module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from mixwell.plan import geometry as g
from mixwell.plan.steps import Code, Edit, Interp
from mixwell.policy.base import EditOp, Fill, InterpName, Rows, fill_levels, need, slot, warp

Build = Callable[[Rows, np.ndarray], Edit]


def _warped(linear: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Build:
    def build(rows: Rows, level: np.ndarray) -> Edit:
        m = linear(level, np.zeros_like(level))
        return warp(rows, g.about_centre(m, rows.size_hw))

    return build


def _tone(code: Code) -> Build:
    return lambda rows, level: slot(rows, code, level)


def _shift_x(rows: Rows, level: np.ndarray) -> Edit:
    return warp(rows, g.shift(level, np.zeros_like(level)))


def _shift_y(rows: Rows, level: np.ndarray) -> Edit:
    return warp(rows, g.shift(np.zeros_like(level), level))


_BUILD: dict[str, Build] = {
    "Identity": lambda rows, level: Edit.nothing(rows.size_hw),
    "ShearX": _warped(lambda v, zero: g.shear(v, zero)),
    "ShearY": _warped(lambda v, zero: g.shear(zero, v)),
    "TranslateX": _shift_x,
    "TranslateY": _shift_y,
    "Rotate": _warped(lambda v, zero: g.rotation(v)),
    "Brightness": _tone(Code.BRIGHTNESS),
    "Color": _tone(Code.SATURATION),
    "Contrast": _tone(Code.CONTRAST),
    "Sharpness": _tone(Code.SHARPNESS),
    "Posterize": _tone(Code.POSTERIZE),
    "Solarize": _tone(Code.SOLARIZE),
    "AutoContrast": lambda rows, level: slot(rows, Code.AUTOCONTRAST),
    "Equalize": lambda rows, level: slot(rows, Code.EQUALIZE),
}
"""How each of the fourteen ops writes its slot, given physical levels float64 [n]."""

OP_NAMES = tuple(_BUILD)
_GEOMETRIC = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
_ENHANCE = ("Brightness", "Color", "Contrast", "Sharpness")


@dataclass(frozen=True)
class Levels:
    """The strongest level of each op; weaker ones follow linearly over the magnitude bins."""

    shear: float
    degrees: float
    enhance: float
    posterize_bits: int
    translate_px: float | None
    translate_frac: float = 150.0 / 331.0

    def of(self, name: str, t: np.ndarray, sign: np.ndarray, size_hw: np.ndarray) -> np.ndarray:
        """Physical levels for strengths t = bin / (bins - 1), float64 [n]."""
        if name in ("ShearX", "ShearY"):
            return sign * t * self.shear
        if name in ("TranslateX", "TranslateY"):
            side = size_hw[:, 1 if name.endswith("X") else 0]
            most = self.translate_frac * side if self.translate_px is None else self.translate_px
            return sign * np.trunc(t * most + 1e-6)  # 11/30 of 150 is 55, not 54.999999999999993
        if name == "Rotate":
            return sign * t * self.degrees
        if name in _ENHANCE:
            return 1.0 + sign * t * self.enhance
        if name == "Posterize":
            return 8.0 - np.rint(t * self.posterize_bits)
        if name == "Solarize":
            return 255.0 * (1.0 - t)
        return np.zeros_like(t)


RAND_AUGMENT = Levels(shear=0.3, degrees=30.0, enhance=0.9, posterize_bits=4, translate_px=None)
TRIVIAL_WIDE = Levels(shear=0.99, degrees=135.0, enhance=0.99, posterize_bits=6, translate_px=32.0)


def _drawn_slot(
    op: RandAugment | TrivialAugmentWide, rows: Rows, levels: Levels, t: np.ndarray
) -> Edit:
    """One slot in which every row has its own op."""
    which = rows.draws.integers("op", 0, len(OP_NAMES))
    sign = rows.draws.sign("sign")
    edit = Edit.nothing(rows.size_hw)
    for i, name in enumerate(OP_NAMES):
        chosen = np.flatnonzero(which == i)
        if not len(chosen):
            continue
        some = rows.take(chosen)
        part = _BUILD[name](some, levels.of(name, t[chosen], sign[chosen], some.size_hw))
        edit.code[chosen], edit.param[chosen] = part.code, part.param
        if name in _GEOMETRIC:
            edit.interp[chosen] = Interp[op.interp.upper()]
            edit.fill[chosen] = fill_levels(op.fill)
    return edit


@final
@dataclass(frozen=True, repr=False)
class RandAugment(EditOp):
    """Each image undergoes `num_ops` ops drawn with replacement from fourteen, at one magnitude
    (Cubuk et al. 2019, arXiv 1909.13719).

    Args:
        num_ops: ops for each image.
        magnitude: bin, 0 .. num_magnitude_bins - 1; 9 of 31 shears by 0.09, turns by 9 degrees.
        num_magnitude_bins: number of bins.
        interp: of the geometric ops.
        fill: of the geometric ops, level(s) in image units.

    Differs from the paper: see the module. timm's "m9" is about three times as strong.
    """

    num_ops: int = 2
    magnitude: int = 9
    num_magnitude_bins: int = 31
    interp: InterpName = "bilinear"
    fill: Fill = 0.0
    moves = True

    def validate(self) -> None:
        """Check the numbers."""
        need(self, 1 <= self.num_ops <= 64, "num_ops must lie in 1 .. 64", self.num_ops)
        bins = self.num_magnitude_bins
        need(self, bins >= 2, "num_magnitude_bins must be at least 2", bins)
        good = 0 <= self.magnitude < bins
        need(self, good, f"magnitude must lie in 0 .. {bins - 1}", self.magnitude)

    def sample(self, rows: Rows) -> Edit:
        """`num_ops` slots."""
        t = np.full(len(rows), self.magnitude / (self.num_magnitude_bins - 1))
        slots = [_drawn_slot(self, rows.child(i), RAND_AUGMENT, t) for i in range(self.num_ops)]
        return Edit.chain(slots)


@final
@dataclass(frozen=True, repr=False)
class TrivialAugmentWide(EditOp):
    """Each image undergoes one op at one strength, both drawn uniformly
    (Müller & Hutter 2021, arXiv 2103.10158).

    Args:
        num_magnitude_bins: number of strengths.
        interp: of the geometric ops.
        fill: of the geometric ops, level(s) in image units.
    """

    num_magnitude_bins: int = 31
    interp: InterpName = "bilinear"
    fill: Fill = 0.0
    moves = True

    def validate(self) -> None:
        """Check the number of bins."""
        bins = self.num_magnitude_bins
        need(self, bins >= 2, "num_magnitude_bins must be at least 2", bins)

    def sample(self, rows: Rows) -> Edit:
        """One slot."""
        bins = self.num_magnitude_bins
        t = rows.draws.integers("magnitude", 0, bins) / (bins - 1)
        return _drawn_slot(self, rows, TRIVIAL_WIDE, t)
