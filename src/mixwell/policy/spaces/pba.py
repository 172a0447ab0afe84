"""Population-based augmentation's space: its authors' levels, shears about the centre.

Factors are 0.1 .. 1.9 without a sign, posterize keeps 4 .. 0 bits, translations reach 10 px and
Cutout's square 20 px, as made for images of 32 px.
"""

from __future__ import annotations

from mixwell.plan.steps import Code
from mixwell.policy.spaces.base import Entry, Space
from mixwell.policy.spaces.native import NARROW, below, cut_out, tone, whole

_ORDER = (
    "AutoContrast Equalize Invert Rotate Posterize Solarize Color Contrast Brightness Sharpness "
    "ShearX ShearY TranslateX TranslateY Cutout"
)
_ENTRIES = {
    **NARROW.entries,
    "Posterize": Entry(below(4, 4), tone(Code.POSTERIZE), unit="bits"),
    "Cutout": Entry(whole(20), cut_out, unit="px", random=True),
}

PBA = Space(
    "pba",
    "levels of population-based augmentation (made for 32 px); shears about the centre",
    {name: _ENTRIES[name] for name in _ORDER.split()},
    bins=11,
)
