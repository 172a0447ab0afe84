"""How closely each library's ops are reproduced: one table, which tests keep and people read.

Every row is (op, library, backend) -> EXACT, or the widest difference that is allowed, how many
values may differ at all, and why. Tests compare on photographs, for every magnitude bin and both
signs; an op of a library's space without a row fails, and so does a row that is laxer than need be.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Bound(NamedTuple):
    """How far an op may be from the library's.

    Attributes:
        most: largest difference, in levels of 8 bits.
        share: part of all values that may differ, 0 .. 1.
        reason: why it is not exact; empty where it is.
    """

    most: float
    share: float
    reason: str


class Found(NamedTuple):
    """What a comparison found; the same two numbers."""

    most: float
    share: float


EXACT = Bound(0.0, 0.0, "")

Key = tuple[str, str, str]
"""(op, library, backend): ("ShearX", "torchvision", "pil")."""


def _all(library: str, backends: tuple[str, ...], ops: str) -> dict[Key, Bound]:
    return {(op, library, backend): EXACT for op in ops.split() for backend in backends}


_ROUNDED = (
    "torchvision sums in float32 and cuts off what is behind the point; weights here are whole "
    "multiples of 1/65536 and the sum is rounded to the nearest level"
)
_WEIGHT = "lambda is a whole multiple of 1/65536, so that labels hold the same number as pixels"
_NORMALIZED = (
    "values in normalised units are written before the image is normalised, as value * std + mean"
)
_TAIL = (
    "torch's CPU kernels use fused multiply-add but for the last few values of an array; here all "
    "values do, so that a pixel's result does not depend on where it lies in memory"
)
_MEAN = "the mean grey is summed exactly here and in float32 there; " + _TAIL

TORCHVISION: dict[Key, Bound] = {
    **_all(
        "torchvision",
        ("pil", "tensor"),
        "Identity ShearX ShearY TranslateX TranslateY Rotate Brightness Color Contrast Sharpness "
        "Posterize Solarize AutoContrast Equalize Invert",
    ),
    ("Contrast", "torchvision", "tensor"): Bound(1.0, 0.01, _MEAN),
    ("Contrast, floats", "torchvision", "tensor"): Bound(1e-3, 1.0, _MEAN),
    **{
        (f"{op}, bilinear", "torchvision", "tensor"): Bound(1.0, 0.002, _TAIL)
        for op in ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
    },
    ("AugMix", "torchvision", "tensor"): Bound(1.0, 0.6, _ROUNDED),
    ("MixUp", "torchvision", "tensor"): Bound(0.002, 1.0, _WEIGHT),
    ("CutMix", "torchvision", "tensor"): EXACT,
    ("RandomErasing", "torchvision", "tensor"): Bound(1e-4, 1.0, _NORMALIZED),
}

_CUT_OFF = (
    "timm cuts off what is behind the point after the sum and after each blend; weights here are "
    "whole multiples of 1/65536 and the sum is rounded once"
)

TIMM: dict[Key, Bound] = {
    **_all(
        "timm",
        ("pil",),
        "AutoContrast Equalize Invert Rotate Posterize PosterizeIncreasing PosterizeOriginal "
        "Solarize SolarizeIncreasing SolarizeAdd Color ColorIncreasing Contrast ContrastIncreasing "
        "Brightness BrightnessIncreasing Sharpness SharpnessIncreasing ShearX ShearY TranslateX "
        "TranslateY TranslateXRel TranslateYRel Desaturate GaussianBlur GaussianBlurRand",
    ),
    ("AugMix", "timm", "pil"): Bound(2.0, 1.0, _CUT_OFF),
    ("AugMix, b1", "timm", "pil"): Bound(3.0, 1.0, _CUT_OFF),
    ("MixUp", "timm", "uint8"): EXACT,  # FastCollateMixup
    ("CutMix", "timm", "uint8"): EXACT,
    ("MixUp", "timm", "tensor"): Bound(0.002, 1.0, _WEIGHT),  # Mixup
    ("CutMix", "timm", "tensor"): EXACT,
    ("RandomErasing", "timm", "tensor"): Bound(1e-4, 1.0, _NORMALIZED),
}

_GREY = (
    "TensorFlow, not at hand, compared by its published formulas: its grey has other weights and "
    "another rounding than Pillow's"
)
_SINGLE = "TensorFlow, compared by its published formulas, counts in float32, Pillow in float64"
_TIES = Bound(
    255.0,
    0.02,
    "TensorFlow is compared by its published formulas; where two pixels are equally near, its "
    "float32 decides, here Pillow's 16 bits behind the point; elsewhere exact",
)
TF_TPU: dict[Key, Bound] = {
    **_all(
        "tf_tpu",
        ("formulas",),
        "Equalize Invert Posterize Solarize SolarizeAdd TranslateX TranslateY",
    ),
    ("Color", "tf_tpu", "formulas"): Bound(1.0, 1.0, _GREY),
    ("AutoContrast", "tf_tpu", "formulas"): Bound(1.0, 0.05, _SINGLE),
    **{(op, "tf_tpu", "formulas"): _TIES for op in ("Rotate", "ShearX", "ShearY")},
}

PARITY: dict[Key, Bound] = {**TORCHVISION, **TIMM, **TF_TPU}
"""All libraries' rows."""

_ITS_OWN = (
    "torch's kernels place their fused multiply-adds by the machine, so that torchvision's own "
    "positions differ from one to another by an ulp"
)
_NEAREST = Bound(255.0, 0.0015, _ITS_OWN + "; where two pixels are equally near, the other is read")
_BETWEEN = Bound(1.0, 0.004, _ITS_OWN)
_FLOATS = Bound(0.05, 1.0, _ITS_OWN + "; 0.004 levels were seen")
_WARPS = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")

BY_MACHINE: dict[Key, Bound] = {
    **{(op, "torchvision", "tensor"): _NEAREST for op in _WARPS},
    **{(f"{op}, bilinear", "torchvision", "tensor"): _BETWEEN for op in _WARPS},
    **{(f"{op}, bilinear floats", "torchvision", "tensor"): _FLOATS for op in _WARPS},
    ("AugMix", "torchvision", "tensor"): Bound(2.0, 0.6, f"{_ROUNDED}; {_ITS_OWN}"),
    ("ops in a row", "torchvision", "tensor"): Bound(255.0, 0.006, _ITS_OWN + "; three warps"),
}
"""What replaces rows of warps. On some machines with AVX-512 all of them are exact; on one (Zen 4)
ShearX was not, and without AVX-512 none was."""


def key(op: str, library: str, backend: str, what: str = "") -> Key:
    """The row for an op, or its row for one way of reading (`what`: "bilinear", "floats")."""
    special = (f"{op}, {what}", library, backend)
    known = special in PARITY or special in BY_MACHINE
    return special if known else (op, library, backend)


def difference(ours: np.ndarray, theirs: np.ndarray, *, top: float = 255.0) -> Found:
    """The largest difference, in levels of 8 bits, and the share of values that differ.

    Args:
        ours: any shape.
        theirs: the same shape.
        top: the value of white.
    """
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    apart = np.abs(ours.astype(np.float64) - theirs.astype(np.float64)) * (255.0 / top)
    return Found(float(apart.max(initial=0.0)), float((apart > 0).mean()) if apart.size else 0.0)


def within(found: Found, key: Key) -> bool:
    """Whether a difference is what the tables allow; no row: none."""
    bound = BY_MACHINE.get(key, PARITY.get(key, EXACT))
    return found.most <= bound.most and found.share <= bound.share
