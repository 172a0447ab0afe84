"""Mix: rows on a canvas, exactly.

Weights are whole multiples of 1/65536 (`Mix.units`), the same that labels use.

| images        | rule                                                                         |
| ------------- | ---------------------------------------------------------------------------- |
| uint8, uint16 | acc = 65536 round(fill); PASTE: acc = 65536 p; ADD: acc += units p;          |
|               | at the end acc is held within 0 .. 65536 top                                 |
| - rounded     | acc / 65536, half to even                                                    |
| - loose       | float32(acc / 65536); for a floating output, when only erasing follows       |
| floats        | the same in float32 with units / 65536, sources in order; held within 0 .. 1 |
|               | unless loose                                                                 |
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mixwell.plan.steps import WEIGHT_ONE, Mix, MixMode
from mixwell.render.images import TOP
from mixwell.render.reference.rows import Rows, colours, index, together


def mix(rows: Rows, step: Mix, *, loose: bool) -> Rows:
    """B rows from N (see the module).

    Args:
        rows: the step's input.
        step: what to do; obeys the rules of `plan.check`.
        loose: leave integer images unrounded, as float32 numbers.
    """
    if step.rows == 0:
        return replace(rows, images=rows.images[:0])
    if _is_plain(rows, step):
        images = _rounded(rows, _all_at_once(rows, step), loose)
    else:
        images = together([_rounded(rows, acc, loose) for acc in _one_by_one(rows, step)])
    return replace(rows, images=images, loose=rows.loose or (loose and rows.integer))


def _is_plain(rows: Rows, step: Mix) -> bool:
    """One size everywhere and nothing moved: the whole batch goes in one."""
    if isinstance(rows.images, list):
        return False
    moved = step.offset_px[step.mode != MixMode.SKIP].any()
    return not moved and bool((step.canvas_hw == np.array(rows.images.shape[-2:])).all())


def _all_at_once(rows: Rows, step: Mix) -> Tensor:
    acc = _canvas(rows, step, np.arange(step.rows))
    units = step.units()
    height, width = step.canvas_hw[0].tolist()
    for s in range(step.source.shape[1]):
        used = step.mode[:, s] != MixMode.SKIP
        if not used.any():
            continue
        pixels = rows.take(step.source[:, s])
        weight = _weights(rows, units[:, s], pixels)
        full = (step.rect_px[:, s] == (0, 0, width, height)).all(axis=1) | ~used
        paste = used & (step.mode[:, s] == MixMode.PASTE)
        if full.all() and not paste.any():
            acc = (pixels * weight).add_(acc)
            continue
        inside = _rectangles(np.where(used[:, None], step.rect_px[:, s], 0), height, width, pixels)
        if paste.any():
            covered = inside & index(paste, pixels).bool()[:, None, None, None]
            acc = acc * (~covered).to(acc.dtype)
        acc = (pixels * (inside * weight)).add_(acc)
    return acc.expand(step.rows, rows.images[0].shape[0], height, width)


def _one_by_one(rows: Rows, step: Mix) -> list[Tensor]:
    out, units = [], step.units()
    for b in range(step.rows):
        height, width = step.canvas_hw[b].tolist()
        acc = _canvas(rows, step, np.array([b]))[0].repeat(1, height, width)
        for s in np.flatnonzero(step.mode[b] != MixMode.SKIP).tolist():
            x0, y0, x1, y1 = step.rect_px[b, s].tolist()
            if x0 == x1 or y0 == y1:
                continue
            dx, dy = step.offset_px[b, s].tolist()
            source = rows.images[int(step.source[b, s])]
            pixels = source[None, :, y0 - dy : y1 - dy, x0 - dx : x1 - dx]
            shown = (pixels * _weights(rows, units[b : b + 1, s], pixels))[0]
            if step.mode[b, s] == MixMode.ADD:
                shown = shown + acc[:, y0:y1, x0:x1]
            acc[:, y0:y1, x0:x1] = shown
        out.append(acc)
    return out


def _canvas(rows: Rows, step: Mix, some: np.ndarray) -> Tensor:
    """Fills of some outputs in the accumulator's dtype and units, [n, C, 1, 1]."""
    fill = colours(step.fill[some], rows, rows.images[0][None])
    return fill.to(_dtype(rows, step)) * (WEIGHT_ONE if rows.integer else 1)


def _dtype(rows: Rows, step: Mix) -> torch.dtype:
    if not rows.integer:
        return torch.float32
    # 2^24 a source at most: up to 100 of them fit in 32 bits.
    small = rows.kind == "uint8" and step.source.shape[1] <= 100
    return torch.int32 if small else torch.int64


def _weights(rows: Rows, units: np.ndarray, like: Tensor) -> Tensor:
    """[n, 1, 1, 1], whole numbers, or parts of one for floats."""
    weights = torch.from_numpy(units)[:, None, None, None].to(like.device)
    if not rows.integer:
        return weights.float() / WEIGHT_ONE
    return weights.int() if rows.kind == "uint8" else weights


def _rectangles(rect: np.ndarray, height: int, width: int, like: Tensor) -> Tensor:
    """bool [n, 1, H, W]: pixels inside x0 y0 x1 y1."""
    x0, y0, x1, y1 = index(rect, like).T[:, :, None]
    x, y = (torch.arange(size, device=like.device) for size in (width, height))
    in_x, in_y = (x >= x0) & (x < x1), (y >= y0) & (y < y1)
    return (in_y[:, :, None] & in_x[:, None, :])[:, None]


def _rounded(rows: Rows, acc: Tensor, loose: bool) -> Tensor:
    if not rows.integer:
        return acc if rows.limit is None else acc.clamp(0, rows.limit)
    acc = acc.clamp(0, int(TOP[rows.kind]) * WEIGHT_ONE)
    if loose:
        # uint8: below 2^24, so float32 holds it; a power of two divides exactly.
        exact = acc.float() if rows.kind == "uint8" else acc.double()
        return exact.mul_(1.0 / WEIGHT_ONE).float()
    odd = (acc >> 16).bitwise_and_(1)
    half_to_even = odd.add_(acc).add_(WEIGHT_ONE // 2 - 1).bitwise_right_shift_(16)
    return half_to_even.to(torch.uint8 if rows.kind == "uint8" else torch.int32)
