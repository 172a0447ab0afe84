"""Plans that a loader renders: for images that were decoded smaller, and for parts of a batch.

A plan speaks of whole images. Where the first thing a row undergoes is a RESIZE that shrinks, the
decoder may shrink first: by a whole factor that keeps at least as many pixels as the RESIZE makes
of its box. Targets follow the plan as it was; only the renderer is given the reduced one. It is a
function of the plan and of how the files are stored, never of pixels.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mixwell.plan.plan import Plan
from mixwell.plan.steps import Code, Edit, Mix

FACTORS = (8, 4, 2)
"""Whole factors that decoders offer, largest first."""


def reduction(plan: Plan, factors: tuple[int, ...] = FACTORS) -> np.ndarray:
    """int64 [N]: the largest factor by which each input row may be decoded smaller, 1 = not.

    More than 1 only where the first busy slot of the plan's first `Edit` is a RESIZE whose box is
    at least that factor times as wide and as high as what it becomes, and nothing precedes it.
    """
    out = np.ones(plan.rows, np.int64)
    first, rows = _leading_resizes(plan)
    if first is None or not len(rows):
        return out
    edit = plan.steps[0]
    assert isinstance(edit, Edit)
    x0, y0, x1, y1 = edit.param[rows, first[rows], :4].T
    height, width = edit.size_hw[rows, first[rows]].T
    room = np.minimum(np.abs(x1 - x0) / width, np.abs(y1 - y0) / height)
    for factor in sorted(factors):
        out[rows[room >= factor]] = factor
    return out


def reduced(plan: Plan, factor: np.ndarray, far_hw: np.ndarray | None = None) -> Plan:
    """The plan for images whose sides became ceil(side / factor).

    Pixel i of a smaller image shows pixels i * factor .. of the stored one, so a box is divided by
    the factor. Where the upright image begins at the stored image's far edge, it is moved by the
    part of a pixel that rounding up has added there.

    Args:
        plan: for whole images.
        factor: int64 [N], each row's factor, at most `reduction(plan)`.
        far_hw: 0 or 1 [N, 2], whether upright rows and columns are counted from the stored image's
            far edge; None: never.
    """
    small = np.flatnonzero(np.asarray(factor) > 1)
    if not len(small):
        return plan
    by = np.asarray(factor, np.int64)[small, None]
    in_hw = plan.in_hw.copy()
    in_hw[small] = -(-plan.in_hw[small] // by)
    edit = plan.steps[0]
    assert isinstance(edit, Edit)
    first, _ = _leading_resizes(plan)
    assert first is not None
    param, size_hw = edit.param.copy(), edit.size_hw.copy()
    slack = in_hw[small] - plan.in_hw[small] / by
    shift = slack * (0 if far_hw is None else np.asarray(far_hw)[small])
    box = param[small, first[small], :4] / by + shift[:, [1, 0, 1, 0]]
    param[small, first[small], :4] = np.clip(box, 0.0, in_hw[small][:, [1, 0, 1, 0]])
    before = np.arange(edit.slots) < first[small, None]
    size_hw[small] = np.where(before[..., None], in_hw[small, None], size_hw[small])
    steps = (replace(edit, param=param, size_hw=size_hw), *plan.steps[1:])
    return replace(plan, in_hw=in_hw, steps=steps)


def checked_part(in_hw: np.ndarray, steps: tuple[Edit | Mix, ...]) -> Plan:
    """A plan of some rows and steps of a plan that was checked as a whole.

    Nothing is checked again, which for a group of 16 rows would take longer than its overhead.

    Args:
        in_hw: int32 [n, 2], sizes before the first of the steps.
        steps: with n rows, from `Edit.take`, or the last steps of the whole plan.
    """
    plan = object.__new__(Plan)
    given = {"in_hw": in_hw, "steps": steps, "inputs": np.arange(len(in_hw))}
    for name, value in (given | {"seed": None, "keys": None, "policy_digest": ""}).items():
        object.__setattr__(plan, name, value)
    return plan


def _leading_resizes(plan: Plan) -> tuple[np.ndarray | None, np.ndarray]:
    """Each row's first busy slot int64 [N] (None without a leading Edit), and the rows int64 in
    which it is a RESIZE."""
    edit = plan.steps[0] if plan.steps else None
    if not isinstance(edit, Edit):
        return None, np.zeros(0, np.int64)
    first = (edit.code != Code.NOTHING).argmax(axis=1)
    return first, np.flatnonzero(edit.code[np.arange(edit.rows), first] == Code.RESIZE)
