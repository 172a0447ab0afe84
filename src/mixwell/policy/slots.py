"""Edits of one slot, from columns of numbers."""

from __future__ import annotations

import numpy as np

from mixwell.plan.steps import Code, Edit, Interp
from mixwell.policy.base import Rows
from mixwell.policy.fields import Fill, InterpName, fill_levels


def slot(
    rows: Rows,
    code: Code | np.ndarray,
    *params: np.ndarray | float,
    out_hw: np.ndarray | None = None,
    interp: InterpName = "nearest",
    fill: Fill = 0.0,
    key: np.ndarray | None = None,
) -> Edit:
    """An edit of one slot, the same code for all rows, a parameter an array [N] or a number."""
    edit = Edit.nothing(rows.size_hw if out_hw is None else out_hw)
    edit.code[:, 0] = code
    for i, value in enumerate(params):
        edit.param[:, 0, i] = value
    if interp != "nearest":
        edit.interp[:, 0] = Interp[interp.upper()]
    if fill != 0.0:
        edit.fill[:, 0] = fill_levels(fill)
    if key is not None:
        edit.key[:, 0] = key
    return edit


def warp(
    rows: Rows,
    dst_to_src: np.ndarray,
    *,
    out_hw: np.ndarray | None = None,
    interp: InterpName = "nearest",
    fill: Fill = 0.0,
) -> Edit:
    """A WARP slot from matrices float64 [N, 3, 3]."""
    edit = slot(rows, Code.WARP, out_hw=out_hw, interp=interp, fill=fill)
    edit.param[:, 0, :9] = dst_to_src.reshape(-1, 9)
    return edit
