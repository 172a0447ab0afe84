"""Masks through a plan: by nearest pixel, never blended, hidden where something is drawn over them.

At every step each instance mask is a row of its own, so all masks of a batch go through the
renderer together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mixwell._errors import TargetError
from mixwell.plan.covered import mixed
from mixwell.plan.follow import edited
from mixwell.plan.outlines import Outlines
from mixwell.plan.plan import Plan
from mixwell.plan.steps import MASK_ONE, WEIGHT_ONE, Edit, Mix, MixMode
from mixwell.render import render
from mixwell.targets.visible import geometry_only, moves

HALF = MASK_ONE // 2


def follow_instances(
    items: Outlines, masks: list[Tensor], steps: Sequence[Any], min_visibility: float
) -> tuple[Outlines, list[Tensor]]:
    """Things and their masks behind some steps.

    Args:
        items: things on the rows that the first step takes.
        masks: of each thing, uint8 [H, W].
        steps: of a plan.
        min_visibility: 0 .. 1, see `mixwell.plan.follow`.

    Returns:
        The things that are left, and uint8 [H', W'] for each.
    """
    for step in steps:
        if isinstance(step, Mix):
            items = mixed(items, step, min_visibility, [mask.numpy() for mask in masks])
            masks = _drawn(step, [masks[i] for i in items.parent.tolist()], items)
        else:
            masks = _moved(step, masks, items.row) if moves(step) else masks
            items = edited(items, step)
    return items, masks


def _moved(edit: Edit, masks: list[Tensor], rows: np.ndarray) -> list[Tensor]:
    """Masks after an edit, each with the edit of its row."""
    if not masks:
        return masks
    sizes = np.array([mask.shape for mask in masks])
    plan = Plan(sizes, (geometry_only(edit.take(rows)),)).fused()
    out = render([mask[None].contiguous() for mask in masks], plan, stack=False)
    return [mask[0] for mask in out]


def _drawn(mix: Mix, masks: list[Tensor], items: Outlines) -> list[Tensor]:
    """Masks on the canvases of a mix, where their source is visible."""
    units, out = mix.units(), []
    for mask, b, s in zip(masks, items.row.tolist(), items.via.tolist(), strict=True):
        canvas = torch.zeros(*mix.canvas_hw[b].tolist(), dtype=torch.uint8)
        x0, y0, x1, y1 = mix.rect_px[b, s].tolist()
        dx, dy = mix.offset_px[b, s].tolist()
        canvas[y0:y1, x0:x1] = mask[y0 - dy : y1 - dy, x0 - dx : x1 - dx]
        if mix.mode[b, s] in (MixMode.MASK, MixMode.UNMASK):
            canvas[~through(mix, b, s)] = 0
        for later in range(s + 1, mix.source.shape[1]):
            if mix.mode[b, later] == MixMode.PASTE and units[b, later]:
                u0, v0, u1, v1 = mix.rect_px[b, later].tolist()
                canvas[v0:v1, u0:u1] = 0
        out.append(canvas)
    return out


def through(mix: Mix, b: int, s: int) -> Tensor:
    """bool [H, W]: where a source that is drawn through the mask counts as visible."""
    assert mix.mask is not None
    height, width = mix.canvas_hw[b].tolist()
    mask = torch.from_numpy(mix.mask[b, :height, :width].astype(np.int32))
    mask = mask if mix.mode[b, s] == MixMode.MASK else MASK_ONE - mask
    return mask >= HALF


def follow_semantic(masks: list[Tensor], plan: Plan, ignore_index: int) -> list[Tensor]:
    """Class maps of the outputs.

    Args:
        masks: integers [H, W] of each input row.
        plan: what the images undergo.
        ignore_index: the class of what no image covers.

    Returns:
        [H', W'] of each output, in the same dtype.

    Raises:
        TargetError: a mix blends images, so that a pixel has two classes.
    """
    for step in plan.steps:
        if isinstance(step, Mix):
            masks = _laid(step, masks, ignore_index)
        elif moves(step):
            masks = moved_classes(step, masks, ignore_index)
    return masks


def moved_classes(edit: Edit, masks: list[Tensor], ignore_index: int) -> list[Tensor]:
    """Class maps after an edit: classes as bytes, the outside as a level that no class has."""
    moved = geometry_only(edit)
    if not masks:
        return []
    levels = torch.unique(torch.cat([torch.unique(mask) for mask in masks]))
    if len(levels) > 255:
        raise TargetError(f"Semantic masks may hold 255 classes, got {len(levels)} values.")
    moved.fill[...] = 255.0
    sizes = np.array([mask.shape for mask in masks]).reshape(-1, 2)
    rows = [torch.searchsorted(levels, mask.contiguous())[None].to(torch.uint8) for mask in masks]
    out = render(rows, Plan(sizes, (moved,)).fused(), stack=False)
    table = torch.full((256,), ignore_index, dtype=masks[0].dtype)
    table[: len(levels)] = levels
    return [table[row[0].long()] for row in out]


def _laid(mix: Mix, masks: list[Tensor], ignore_index: int) -> list[Tensor]:
    """Class maps of mixes that show one image at every pixel."""
    units, out = mix.units(), []
    for b in range(mix.rows):
        canvas = torch.full(mix.canvas_hw[b].tolist(), ignore_index, dtype=masks[0].dtype)
        for s in np.flatnonzero(mix.mode[b] != MixMode.SKIP).tolist():
            x0, y0, x1, y1 = mix.rect_px[b, s].tolist()
            dx, dy = mix.offset_px[b, s].tolist()
            shown = masks[int(mix.source[b, s])][y0 - dy : y1 - dy, x0 - dx : x1 - dx]
            if mix.mode[b, s] in (MixMode.MASK, MixMode.UNMASK):
                here = through(mix, b, s)[y0:y1, x0:x1]
                canvas[y0:y1, x0:x1] = torch.where(here, shown, canvas[y0:y1, x0:x1])
            elif units[b, s] == WEIGHT_ONE:
                canvas[y0:y1, x0:x1] = shown
            elif units[b, s] and x1 > x0 and y1 > y0:
                raise TargetError(
                    "Semantic masks hold one class a pixel, and this policy blends images (output "
                    f"{b} holds {units[b, s] / WEIGHT_ONE:.3f} of one). Use an op that shows one "
                    'image at every pixel, such as CutMix or Mosaic, or declare masks="layers".'
                )
        out.append(canvas)
    return out
