"""The ops and their one setting, the same for everybody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

SHEAR = 0.3
SHIFT = 0.125
DEGREES = 15.0
FACTOR = 1.5
HUE = 0.1
BITS = 4
THRESHOLD = 128
KERNEL, SIGMA = 5, 1.0
NOISE = 0.1
ERASED = 0.25
SHRINK = 0.875
BOX_AREA = 0.5

OPS = {
    "shear": "0.3, bilinear",
    "translate": "1/8 of the side, bilinear",
    "rotate": "15 degrees, bilinear",
    "brightness": "1.5",
    "contrast": "1.5",
    "saturation": "1.5",
    "hue": "0.1 turns",
    "sharpness": "1.5",
    "posterize": "4 bits",
    "solarize": "from 128",
    "invert": "",
    "autocontrast": "",
    "equalize": "",
    "grayscale": "three channels out",
    "blur": "5 px, sigma 1",
    "noise": "normal, 0.1",
    "erase": "a quarter, black",
    "hflip": "",
    "vflip": "",
    "crop": "the middle, 7/8 of the side",
    "resize": "to 7/8 of the side, bilinear with antialiasing",
    "resized-crop": "half of the area to 7/8 of the side, bilinear with antialiasing",
}
"""Name -> setting."""

RANDOM = {"noise", "erase", "resized-crop"}
"""Ops whose pixels are drawn: only their form is checked."""


def small(side: int) -> int:
    """px of outputs that shrink."""
    return int(side * SHRINK)


@dataclass(frozen=True)
class Made:
    """One library's form of an op.

    Attributes:
        run: the timed call.
        look: its output as uint8 [N, H, W, 3].
        settings: what was called, in words.
        label: where the work differs.
    """

    run: Callable[[], Any]
    look: Callable[[Any], np.ndarray]
    settings: str
    label: str = ""
