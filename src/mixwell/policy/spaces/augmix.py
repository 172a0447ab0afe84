"""AugMix's space: its paper's and torchvision's levels, shears about the centre.

Translations reach a third of the side; posterize keeps 4 .. 0 bits. There is no identity and no
invert.
"""

from __future__ import annotations

import numpy as np

from mixwell.plan.steps import Code
from mixwell.policy.spaces.base import Entry, Space
from mixwell.policy.spaces.native import MIXWELL, shifted, tone, whole_px

AUGMIX = Space(
    "mixwell-augmix",
    "torchvision's levels of AugMix; shears about the centre",
    {
        **{name: MIXWELL.entries[name] for name in ("ShearX", "ShearY")},
        "TranslateX": Entry(whole_px(None, 1 / 3, 0), shifted(0), True, "px"),
        "TranslateY": Entry(whole_px(None, 1 / 3, 1), shifted(1), True, "px"),
        "Rotate": MIXWELL.entries["Rotate"],
        "Posterize": Entry(
            lambda t, sign, size_hw: 4.0 - np.rint(t * 4), tone(Code.POSTERIZE), unit="bits"
        ),
        **{name: MIXWELL.entries[name] for name in ("Solarize", "AutoContrast", "Equalize")},
        **{name: MIXWELL.entries[name] for name in ("Brightness", "Color", "Contrast")},
        "Sharpness": MIXWELL.entries["Sharpness"],
    },
    bins=10,
)
