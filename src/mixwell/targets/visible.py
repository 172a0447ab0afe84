"""Shares when a mix is moved afterwards: what of each source is still seen.

`Plan.sources` says what a `Mix` put on its canvas. If a crop or a rotation follows, part of that is
cut off. Here a map of every source's coefficient follows the rest of the plan, by nearest pixel
and with nothing but geometry, and the share is its mean over the pixels that are not fill.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from mixwell._errors import TargetError
from mixwell.plan import geometry
from mixwell.plan.plan import Plan
from mixwell.plan.steps import GEOMETRIC, Code, Edit, Interp, Mix, MixMode
from mixwell.render import render


def visible_sources(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Like `Plan.sources`, counting what the outputs still show.

    Args:
        plan: any plan without geometric edits behind a `Mix`; or one `Mix` and any edits.

    Returns:
        rows int64 [B, S] and shares float64 [B, S]; zeros for an output that shows only fill.

    Raises:
        TargetError: several mixes, and geometric edits behind the first.
    """
    mixes = [i for i, step in enumerate(plan.steps) if isinstance(step, Mix)]
    if not mixes or not any(moves(step) for step in plan.steps[mixes[0] + 1 :]):
        return plan.sources()
    if len(mixes) > 1:
        raise TargetError(
            f"Visible shares are defined for plans with one Mix before the pixels move, got "
            f"{len(mixes)}. Put the geometric ops before the mixes; then shares='exact' serves."
        )
    mix = plan.steps[mixes[0]]
    assert isinstance(mix, Mix)
    tail = [geometry_only(step) for step in plan.steps[mixes[0] + 1 :] if isinstance(step, Edit)]
    shares = np.zeros(mix.source.shape)
    moving = Plan(in_hw=mix.canvas_hw, steps=tuple(tail))
    for row, maps in enumerate(render(coefficient_maps(mix), moving, stack=False)):
        mass = maps.to(torch.float64).sum(dim=(1, 2)).numpy()
        shares[row] = mass / max(mass.sum(), 1e-12)
    return mix.source.astype(np.int64), shares


def moves(step: Edit | Mix) -> bool:
    """Whether a step may move pixels on any row."""
    return isinstance(step, Edit) and bool(np.isin(step.code, GEOMETRIC).any())


def coefficient_maps(mix: Mix) -> list[torch.Tensor]:
    """For each output float32 [S, H, W]: the final coefficient of every source at every pixel."""
    units = mix.units() / 65536.0
    maps = []
    for row in range(mix.rows):
        h, w = mix.canvas_hw[row]
        found = np.zeros((mix.source.shape[1], h, w), np.float32)
        for s, mode in enumerate(mix.mode[row]):
            x0, y0, x1, y1 = mix.rect_px[row, s]
            if mode == MixMode.PASTE:
                found[:, y0:y1, x0:x1] = 0.0
            if mode != MixMode.SKIP:
                found[s, y0:y1, x0:x1] = units[row, s]
        maps.append(torch.from_numpy(found))
    return maps


def geometry_only(edit: Edit) -> Edit:
    """The same movements by nearest pixel, with empty fill and nothing else."""
    moved = edit.copy()
    moved.fill[...] = 0.0
    moved.interp[...] = Interp.NEAREST
    moved.code[~np.isin(moved.code, GEOMETRIC)] = Code.NOTHING
    resize = moved.code == Code.RESIZE
    box = moved.param[resize, :4]
    h, w = np.moveaxis(moved.size_hw[resize], -1, 0)
    m = geometry.matrix(
        len(box),
        {
            (0, 0): (box[:, 2] - box[:, 0]) / w,
            (0, 2): box[:, 0],
            (1, 1): (box[:, 3] - box[:, 1]) / h,
            (1, 2): box[:, 1],
        },
    )
    moved.param[resize, :9] = m.reshape(-1, 9)
    moved.code[resize] = Code.WARP
    return replace(moved)
