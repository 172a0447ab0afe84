"""The space of the TPU reference's AutoAugment: its levels and geometry, Pillow's tones.

Read from `models/official/efficientnet/autoaugment.py` of tensorflow/tpu (Apache-2.0): levels on a
scale of ten, nearest reading, grey 128 outside. It holds the ops that its policy "v0" draws from,
and the other translation. TensorFlow counts coordinates from the centres of pixels, so a shear
turns about the centre of the top-left *pixel*.
"""

from __future__ import annotations

import numpy as np

from mixwell.plan import geometry as g
from mixwell.policy.base import Rows
from mixwell.policy.spaces.base import Build, Drawn, Entry, Space
from mixwell.policy.spaces.native import signed
from mixwell.policy.spaces.timm import REACH, entries, pil_warp

_TIMM = entries(REACH)


def _sheared(axis: int) -> Build:
    """A shear about the centre of the top-left pixel, along x (axis 0) or y (1)."""

    def drawn(rows: Rows, level: np.ndarray) -> Drawn:
        zero = np.zeros_like(level)
        m = g.shear(level, zero) if axis == 0 else g.shear(zero, level)
        m[:, axis, 2] = -0.5 * level
        return pil_warp(m)

    return drawn


TPU = Space(
    "tf-tpu",
    "the TPU reference's AutoAugment v0, 11 bins; translations up to 250 px",
    {
        **{
            name: _TIMM[name]  # which timm took over as they are
            for name in (
                "AutoContrast",
                "Equalize",
                "Invert",
                "Rotate",
                "Posterize",
                "Solarize",
                "SolarizeAdd",
                "Color",
            )
        },
        "ShearX": Entry(signed(0.3), _sheared(0), True, "slope"),
        "ShearY": Entry(signed(0.3), _sheared(1), True, "slope"),
        "TranslateX": _TIMM["TranslateX"],
        "TranslateY": _TIMM["TranslateY"],
    },
    bins=11,
    beyond=True,
)
