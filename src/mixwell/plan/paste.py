"""Plans written by hand for mixers that look at pixels or at a network, which no policy does."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixwell._errors import PlanError
from mixwell.plan.plan import Plan
from mixwell.plan.steps import Mix, MixMode


def paste_plan(sizes_hw: Any, partners: Any, rect_px: Any, start_px: Any = None) -> Plan:
    """Each image with a rectangle of its partner pasted over it.

    For saliency-guided mixing (SaliencyMix, Uddin et al. 2020, arXiv 2006.01791; Attentive CutMix,
    Walawalkar et al. 2020, arXiv 2003.13048): work out the rectangles beforehand, and let the plan
    do the pixels and the labels.

    Args:
        sizes_hw: int [N, 2], height and width of each image, px.
        partners: int [N], the row that gives the rectangle.
        rect_px: int [N, 4], x0 y0 x1 y1 on the own image; empty for rows that stay as they are.
        start_px: int [N, 2], the rectangle's corner x, y on the partner; None: the same place.

    Raises:
        PlanError: counts that differ, or a rectangle that does not lie inside both images.
    """
    sizes = np.asarray(sizes_hw, np.int32).reshape(-1, 2)
    other, rect = np.asarray(partners), np.asarray(rect_px, np.int32)
    start = rect[..., :2] if start_px is None else np.asarray(start_px, np.int32)
    found = other.shape, rect.shape, start.shape
    n = len(sizes)
    if found != ((n,), (n, 4), (n, 2)):
        raise PlanError(
            f"paste_plan needs a partner [{n}], a rectangle [{n}, 4] and perhaps a corner [{n}, 2] "
            f"for each of {n} images, got {', '.join(str(list(shape)) for shape in found)}."
        )
    mix = Mix.identity(sizes)
    mix.source[:, 1] = other
    mix.mode[:, 1] = MixMode.PASTE
    mix.weight[:, 1] = 1.0
    mix.rect_px[:, 1] = rect
    mix.offset_px[:, 1] = rect[:, :2] - start
    return Plan(sizes, (mix,))
