"""Outlines through the steps of a plan: the same matrices, boxes and rectangles as the pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mixwell.plan import geometry
from mixwell.plan.covered import mixed
from mixwell.plan.outlines import Outlines
from mixwell.plan.steps import GEOMETRIC, WARPS, Code, Edit, Mix

MIN_VISIBILITY = 0.1
"""The part of its area below which a box is dropped, if nothing else is said."""


class Things(NamedTuple):
    """What ops may look at while they sample.

    Attributes:
        outlines: where things are on the op's rows.
        stencils: [H, W] of each, not 0 in its pixels, where instance masks are known.
        classes: int64 [H, W] of each row, -1 where no class is, where class maps are known.
        placed: whether things have outlines; class maps alone have none.
    """

    outlines: Outlines
    stencils: Sequence[np.ndarray] | None = None
    classes: Sequence[np.ndarray] | None = None
    placed: bool = True

    def on_rows(self, rows: np.ndarray) -> Things:
        """Those on some rows (int64 [n], perhaps repeated), which are then 0 .. n - 1."""
        numbered = replace(self.outlines, parent=np.arange(len(self.outlines)))
        outlines = numbered.on_rows(rows)
        stencils, classes = self.stencils, self.classes
        if stencils is not None:
            stencils = [stencils[i] for i in outlines.parent.tolist()]
        if classes is not None:
            classes = [classes[i] for i in rows.tolist()]
        return Things(outlines, stencils, classes, self.placed)


Follow = Callable[[Sequence[Edit | Mix]], Things]
"""Where things are behind some steps."""


def follow(
    outlines: Outlines, steps: Iterable[Edit | Mix], *, min_visibility: float = MIN_VISIBILITY
) -> Outlines:
    """Where outlines are after some steps.

    Args:
        outlines: on the rows that the first step takes.
        steps: of a plan, fused or not.
        min_visibility: 0 .. 1: a mix that leaves less than this part of an outline drops it.
    """
    for step in steps:
        if isinstance(step, Mix):
            outlines = mixed(outlines, step, min_visibility)
        else:
            outlines = edited(outlines, step)
    return outlines


def edited(outlines: Outlines, edit: Edit) -> Outlines:
    """Outlines after an edit; what is nowhere visible any more stays, without area."""
    for slot in range(edit.slots):
        code = edit.code[:, slot]
        busy = np.isin(code, GEOMETRIC)
        if not busy.any() or not len(outlines):
            continue
        some = np.flatnonzero(busy[outlines.row])
        if len(some):
            outlines = outlines.put(some, _slot(outlines.take(some), edit, slot))
    return outlines


def _slot(outlines: Outlines, edit: Edit, slot: int) -> Outlines:
    """Outlines on rows that a slot moves or clips."""
    row, param = outlines.row, edit.param[:, slot]
    clips = edit.code[row, slot] == Code.CLIP
    if clips.any():
        some, others = np.flatnonzero(clips), np.flatnonzero(~clips)
        part = outlines.take(some)
        at = param[part.row]
        outlines = outlines.put(some, part.clipped(at[:, :9].reshape(-1, 3, 3), at[:, 9:11]))
        if not len(others):
            return outlines
        moved = _moved(outlines.take(others), edit, slot)
        return outlines.put(others, moved)
    return _moved(outlines, edit, slot)


def _moved(outlines: Outlines, edit: Edit, slot: int) -> Outlines:
    m = src_to_dst(edit, slot)[outlines.row]
    return outlines.moved(m).on_canvas(edit.size_hw[outlines.row, slot])


def src_to_dst(edit: Edit, slot: int) -> np.ndarray:
    """float64 [N, 3, 3]: where a slot brings points; the identity where it moves nothing."""
    code, param = edit.code[:, slot], edit.param[:, slot]
    m = geometry.matrix(edit.rows, {})
    warps = np.isin(code, WARPS)
    if warps.any():
        m[warps] = _inverse(param[warps, :9].reshape(-1, 3, 3))
    resizes = np.flatnonzero(code == Code.RESIZE)
    if len(resizes):
        x0, y0, x1, y1 = param[resizes, :4].T
        height, width = edit.size_hw[resizes, slot].astype(np.float64).T
        for axis, low, high, length in ((0, x0, x1, width), (1, y0, y1, height)):
            m[resizes, axis, axis] = length / (high - low)
            m[resizes, axis, 2] = -low * length / (high - low)
    return m


def _inverse(m: np.ndarray) -> np.ndarray:
    """Inverse matrices, scaled so that the bottom row stays 0 0 1 where it was."""
    inverse = np.linalg.inv(m)
    affine = geometry.is_affine(m)
    inverse[affine, 2] = (0.0, 0.0, 1.0)
    straight = affine & (m[:, 0, 1] == 0) & (m[:, 1, 0] == 0)
    if straight.any():  # exact where it can be: flips and shifts by whole pixels
        s = m[straight]
        exact = geometry.matrix(len(s), {})
        for axis in (0, 1):
            exact[:, axis, axis] = 1.0 / s[:, axis, axis]
            exact[:, axis, 2] = -s[:, axis, 2] / s[:, axis, axis]
        inverse[straight] = exact
    return inverse
