"""Things painted in pure colours, and what of them is found again in pixels.

The half pixel, and what comes to it: `tests/tolerances.py`.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import torch
from torch import Tensor

import mixwell as mw
from mixwell.plan import Plan
from mixwell.plan.steps import GEOMETRIC, Code, Edit
from tests.tolerances import atol

HALF_PX = atol("boxes", "px", "painted pixels")
"""Between grids with pixels of the same size."""
BICUBIC_PX = atol("boxes, bicubic", "px", "painted pixels")


def boxes_in(rng: Random, hw: tuple[int, int], count: int, least: int = 6) -> np.ndarray:
    """int64 [count, 4]: whole-pixel boxes with sides of at least `least` px."""
    found = []
    for _ in range(count):
        ends = []
        for length in (hw[1], hw[0]):
            low = rng.randint(0, length - least)
            ends.append((low, rng.randint(low + least, length)))
        (x0, x1), (y0, y1) = ends
        found.append((x0, y0, x1, y1))
    return np.array(found, np.int64).reshape(count, 4)


def painted(boxes: np.ndarray, hw: tuple[int, int], channels: int, first: int = 0) -> Tensor:
    """float32 [channels, H, W]: box i is full in channel first + i, and nothing is elsewhere."""
    image = torch.zeros(channels, *hw)
    for i, (x0, y0, x1, y1) in enumerate(boxes.tolist()):
        image[first + i, y0:y1, x0:x1] = 1.0
    return image


def masks_of(boxes: np.ndarray, hw: tuple[int, int]) -> Tensor:
    """uint8 [n, H, W]: the boxes filled."""
    return painted(boxes, hw, len(boxes)).to(torch.uint8)


def extent_of(shown: np.ndarray) -> np.ndarray | None:
    """float64 [4]: the box around true pixels; None if there are none."""
    lines, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    if not len(lines):
        return None
    return np.array([columns[0], lines[0], columns[-1] + 1, lines[-1] + 1], float)


def smooth_extent(level: np.ndarray) -> np.ndarray:
    """float64 [4]: the box whose sides are sums of levels along its middle line and column, which
    reads an upright edge between pixels. `level` [H, W] is 1 inside."""
    rows, columns = level.sum(axis=1), level.sum(axis=0)
    along, down = level[rows.argmax()], level[:, columns.argmax()]
    ends = []
    for profile in (along, down):
        middle = int((profile * (np.arange(len(profile)) + 0.5)).sum() / profile.sum())
        ends.append((middle - profile[:middle].sum(), middle + profile[middle:].sum()))
    (x0, x1), (y0, y1) = ends
    return np.array([x0, y0, x1, y1])


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Of two boxes."""
    common = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0).prod()
    return float(common / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - common))


def movements(plan: Plan) -> Plan:
    """The plan without what changes levels; it moves pixels alike, so things alike."""
    steps = []
    for step in plan.steps:
        if isinstance(step, Edit):
            code = np.where(np.isin(step.code, GEOMETRIC), step.code, np.uint8(Code.NOTHING))
            fill = np.zeros_like(step.fill)
            step = replace(step, code=code, fill=fill)
        steps.append(step)
    return replace(plan, steps=tuple(steps))


def augment_of(policy: mw.Policy, **options) -> mw.Augment:
    """Keeps whatever has any area, unless something else is asked for."""
    boxes = options.pop("boxes", mw.Boxes("xyxy", min_visibility=0.0, min_side=0.0))
    return mw.Augment(policy, boxes=boxes, fuse=False, **options)


def keys_of(rng: Random, count: int = 1) -> mw.Keys:
    """Any samples."""
    return mw.Keys(np.array([rng.getrandbits(30) for _ in range(count)]))
