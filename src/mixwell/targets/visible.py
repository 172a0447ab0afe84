"""Shares when a mix is moved afterwards: what of each source is still seen.

`Plan.sources` says what the mixes put on their canvases. If a crop or a rotation follows, part of
that is cut off. Here a map of every source's coefficient follows the rest of the plan: mixes draw
on maps as they draw on pixels, edits move them by nearest pixel and with nothing but geometry. The
share is a map's mean over the pixels that are not fill.

A row that shows one whole image shows nothing else, whatever moves it: what an edit pads belongs to
its image. So edits before the first mix, and those of AugMix's or ResizeMix's copies, take nothing
away. Only rows that a mix has combined, or has left partly empty, are followed.

Labels that a plan sets against what is seen (`Mix.label`) have no say here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from mixwell.plan import geometry
from mixwell.plan.plan import Plan
from mixwell.plan.shares import Sources, sources
from mixwell.plan.steps import (
    GEOMETRIC,
    MASK_ONE,
    WARPS,
    WEIGHT_ONE,
    Code,
    Edit,
    Interp,
    Mix,
    MixMode,
)
from mixwell.render import render


def visible_sources(plan: Plan) -> Sources:
    """Like `Plan.sources`, counting what the outputs still show.

    Exact where whole pixels are moved; smooth movements are followed by nearest pixel.

    Args:
        plan: any plan.

    Returns:
        rows int64 [B, S] and shares float64 [B, S]; zeros for an output that shows only fill,
        unless it is one image's own.
    """
    steps = tuple(replace(s, label=None) if isinstance(s, Mix) else s for s in plan.steps)
    whole = _whole_rows(steps, plan.rows)
    if not any((moved_rows(s) & ~w).any() for s, w in zip(steps, whole, strict=True)):
        return sources(plan.in_hw, steps)
    rows, mass = seen_px(plan)
    return rows, mass / np.maximum(mass.sum(axis=1, keepdims=True), 1e-12)


def seen_px(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Input rows int64 [B, S], and how many pixels of each an output shows, float64 [B, S]."""
    steps = plan.steps
    whole = _whole_rows(steps, plan.rows)
    rows, size_hw = np.arange(plan.rows, dtype=np.int64)[:, None], plan.in_hw
    maps = [torch.ones(1, 1, 1).expand(1, *hw) for hw in size_hw.tolist()]
    for step, still in zip(steps, whole, strict=True):
        if isinstance(step, Mix):
            maps = drawn_maps(step, maps)
            rows = rows[step.source].reshape(step.rows, step.source.shape[1] * rows.shape[1])
        else:
            maps = _moved_maps(step, maps, still, size_hw)
        size_hw = step.out_hw(size_hw)
    mass = np.zeros(rows.shape)
    for row, one in enumerate(maps):
        mass[row] = one.to(torch.float64).sum(dim=(1, 2)).numpy()
    return rows, mass


def _whole_rows(steps: tuple[Edit | Mix, ...], rows: int) -> list[np.ndarray]:
    """bool [N] before each step: rows that show one whole image and nothing else."""
    whole, found = np.ones(rows, bool), []
    for step in steps:
        found.append(whole)
        if isinstance(step, Mix):
            mass, area = step.mass(), step.canvas_hw.astype(np.int64).prod(axis=1)
            shown = np.take_along_axis(step.source, mass.argmax(axis=1)[:, None], axis=1)[:, 0]
            whole = (mass.max(axis=1) == mass.sum(axis=1)) & whole[shown]
            whole &= mass.sum(axis=1) == area * WEIGHT_ONE
    return found


def _moved_maps(
    edit: Edit, maps: list[torch.Tensor], whole: np.ndarray, size_hw: np.ndarray
) -> list[torch.Tensor]:
    """Maps after an edit; those of whole rows only change in size."""
    if not moves(edit):
        return maps
    after = [
        m[:, :1, :1].expand(-1, *hw)
        for m, hw in zip(maps, edit.size_hw[:, -1].tolist(), strict=True)
    ]
    some = np.flatnonzero(~whole)
    if len(some):
        moving = Plan(size_hw[some], (geometry_only(edit.take(some)),))
        for row, moved in zip(
            some, render([maps[i] for i in some], moving, stack=False), strict=True
        ):
            after[row] = moved
    return after


def moved_rows(step: Edit | Mix) -> np.ndarray:
    """bool [N]: rows whose pixels a step moves; nobody's for a mix (it has its own canvas)."""
    if isinstance(step, Mix):
        return np.zeros(1, bool)
    return np.asarray(np.isin(step.code, GEOMETRIC).any(axis=1))


def moves(step: Edit | Mix) -> bool:
    """Whether a step may move pixels on any row."""
    return isinstance(step, Edit) and bool(np.isin(step.code, GEOMETRIC).any())


def coefficient_maps(mix: Mix) -> list[torch.Tensor]:
    """For each output float32 [S, H, W]: the final coefficient of every source at every pixel."""
    return [_drawn(mix, row, [None] * mix.source.shape[1], 1) for row in range(mix.rows)]


def drawn_maps(mix: Mix, maps: list[torch.Tensor]) -> list[torch.Tensor]:
    """For each output float32 [S * P, H, W]: maps [P, h, w] of the mix's input, drawn as pixels."""
    width = len(maps[0]) if maps else 1
    return [
        _drawn(mix, row, [maps[i] for i in mix.source[row].tolist()], width)
        for row in range(mix.rows)
    ]


def _drawn(mix: Mix, row: int, maps: list[torch.Tensor | None], width: int) -> torch.Tensor:
    """One output's maps; a source without a map is 1 everywhere."""
    h, w = mix.canvas_hw[row].tolist()
    found = torch.zeros(len(maps), width, h, w)
    units = mix.units()[row] / WEIGHT_ONE
    for s, mode in enumerate(mix.mode[row].tolist()):
        if mode == MixMode.SKIP:
            continue
        x0, y0, x1, y1 = mix.rect_px[row, s].tolist()
        dx, dy = mix.offset_px[row, s].tolist()
        if mode == MixMode.PASTE:
            found[:, :, y0:y1, x0:x1] = 0.0
        part: torch.Tensor | float = float(units[s])
        if mix.mask is not None and mode in (MixMode.MASK, MixMode.UNMASK):
            through = torch.from_numpy(mix.mask[row, y0:y1, x0:x1].astype(np.float32)) / MASK_ONE
            part = through if mode == MixMode.MASK else 1 - through
        source = maps[s]
        shown = 1.0 if source is None else source[:, y0 - dy : y1 - dy, x0 - dx : x1 - dx]
        found[s, :, y0:y1, x0:x1] = shown * part
    return found.flatten(0, 1)


def geometry_only(edit: Edit) -> Edit:
    """The same movements by nearest pixel, with empty fill and nothing else."""
    moved = edit.copy()
    moved.fill[...] = 0.0
    moved.interp[...] = Interp.NEAREST
    moved.code[~np.isin(moved.code, GEOMETRIC)] = Code.NOTHING
    moved.code[np.isin(moved.code, WARPS)] = Code.WARP
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
