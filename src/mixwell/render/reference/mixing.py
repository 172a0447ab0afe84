"""Mix: rows on a canvas, exactly.

Weights are whole multiples of 1/65536 (`Mix.units`), the same that labels use.

| images        | rule                                                                         |
| ------------- | ---------------------------------------------------------------------------- |
| uint8, uint16 | acc = 65536 round(fill); PASTE: acc = 65536 p; ADD: acc += units p;          |
|               | MASK: acc += 2 m p; UNMASK: acc += (65536 - 2 m) p;                          |
|               | at the end acc is held within 0 .. 65536 top                                 |
| - rounded     | acc / 65536, half to even                                                    |
| - loose       | float32(acc / 65536); for a floating output, when only erasing follows in it |
| floats        | the same in float32 with units / 65536, sources in order; held within 0 .. 1 |
|               | unless loose; so are the outputs that show a loose row of integer images     |
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mixwell.plan.steps import WEIGHT_ONE, Mix, MixMode
from mixwell.render.images import TOP
from mixwell.render.reference.rows import Numbers, Rows, colours, index, rectangles, together

_EVERY = slice(None)
FEW_SOURCES = 4
"""With more, rectangles are mostly small, and going through them one by one is faster."""


def mix(rows: Rows, step: Mix, unrounded: np.ndarray) -> Rows:
    """B rows from N (see the module).

    Args:
        rows: the step's input.
        step: what to do; obeys the rules of `plan.check`.
        unrounded: bool [B], outputs of integer images to leave as float32 numbers.
    """
    if step.rows == 0:
        return Rows(rows.images[:0], rows.kind, np.zeros(0, bool))
    shows_loose = (rows.loose[step.source] & (step.mode != MixMode.SKIP)).any(axis=1)
    loose = shows_loose | (unrounded & (rows.kind != "float"))
    parts = []
    for group in (shows_loose, loose & ~shows_loose, ~loose):
        some = np.flatnonzero(group)
        if len(some):
            numbers = Numbers(rows.kind, bool(shows_loose[some[0]]))
            parts.append((some, _mixed(rows, step.take(some), numbers, bool(loose[some[0]]))))
    if len(parts) == 1:
        return Rows(parts[0][1], rows.kind, loose)
    images = [torch.empty(0)] * step.rows
    for some, mixed in parts:
        for row, image in zip(some, mixed, strict=True):
            images[row] = image.float()
    return Rows(together(images), rows.kind, loose)


def _mixed(rows: Rows, step: Mix, numbers: Numbers, loose: bool) -> Tensor | list[Tensor]:
    """Outputs that agree in whether a source is loose (`numbers`) and in being loose themselves."""
    if _is_copy(rows, step) and loose == numbers.loose:
        return rows.take(step.source[:, 0], numbers)
    if _is_plain(rows, step):
        return _rounded(numbers, _all_at_once(rows, step, numbers), loose)
    return together([_rounded(numbers, a, loose) for a in _one_by_one(rows, step, numbers)])


def _is_copy(rows: Rows, step: Mix) -> bool:
    """Every output is one whole row, as it is."""
    if isinstance(rows.images, list) or step.source.shape[1] != 1:
        return False
    size = np.array(rows.images.shape[-2:])
    whole = step.rect_px[:, 0] == (0, 0, size[1], size[0])
    full = (step.units() == WEIGHT_ONE).all() and (step.canvas_hw == size).all()
    full = full and step.mask is None
    full = full and (not step.fill.any() or (step.mode[:, 0] == MixMode.PASTE).all())
    return bool(full and whole.all() and not step.offset_px.any())


def _is_plain(rows: Rows, step: Mix) -> bool:
    """One size everywhere, nothing moved and few sources: the whole batch goes in one."""
    if isinstance(rows.images, list) or step.source.shape[1] > FEW_SOURCES:
        return False
    moved = step.offset_px[step.mode != MixMode.SKIP].any()
    return not moved and bool((step.canvas_hw == np.array(rows.images.shape[-2:])).all())


def _all_at_once(rows: Rows, step: Mix, numbers: Numbers) -> Tensor:
    acc = _canvas(rows, step, numbers, np.arange(step.rows))
    units = step.units()
    height, width = step.canvas_hw[0].tolist()
    for s in range(step.source.shape[1]):
        used = step.mode[:, s] != MixMode.SKIP
        if not used.any():
            continue
        pixels = rows.take(step.source[:, s], numbers)
        weight = _weights(numbers, _through(step, s, units), pixels)
        full = (step.rect_px[:, s] == (0, 0, width, height)).all(axis=1) | ~used
        paste = used & (step.mode[:, s] == MixMode.PASTE)
        if full.all() and not paste.any():
            acc = (pixels * weight).add_(acc)
            continue
        inside = rectangles(np.where(used[:, None], step.rect_px[:, s], 0), pixels)
        if paste.any():
            covered = inside & index(paste, pixels).bool()[:, None, None, None]
            acc = acc * (~covered).to(acc.dtype)
        acc = (pixels * (inside * weight)).add_(acc)
    return acc.expand(step.rows, rows.images[0].shape[0], height, width)


def _one_by_one(rows: Rows, step: Mix, numbers: Numbers) -> list[Tensor]:
    out, units = [], step.units()
    for b in range(step.rows):
        height, width = step.canvas_hw[b].tolist()
        acc = _canvas(rows, step, numbers, np.array([b]))[0].repeat(1, height, width)
        for s in np.flatnonzero(step.mode[b] != MixMode.SKIP).tolist():
            x0, y0, x1, y1 = step.rect_px[b, s].tolist()
            if x0 == x1 or y0 == y1:
                continue
            dx, dy = step.offset_px[b, s].tolist()
            source = rows.images[int(step.source[b, s])]
            pixels = source[None, :, y0 - dy : y1 - dy, x0 - dx : x1 - dx].to(numbers.dtype)
            here = _through(step, s, units, np.array([b]), (y0, y1, x0, x1))
            shown = (pixels * _weights(numbers, here, pixels))[0]
            if step.mode[b, s] != MixMode.PASTE:
                shown = shown + acc[:, y0:y1, x0:x1]
            acc[:, y0:y1, x0:x1] = shown
        out.append(acc)
    return out


def _canvas(rows: Rows, step: Mix, numbers: Numbers, some: np.ndarray) -> Tensor:
    """Fills of some outputs in the accumulator's dtype and units, [n, C, 1, 1]."""
    like = rows.images[0][None, :, :1, :1].to(_dtype(numbers, step))
    return colours(step.fill[some], numbers, like) * (WEIGHT_ONE if numbers.integer else 1)


def _dtype(numbers: Numbers, step: Mix) -> torch.dtype:
    if not numbers.integer:
        return torch.float32
    # 2^24 a source at most: up to 100 of them fit in 32 bits.
    small = numbers.kind == "uint8" and step.source.shape[1] <= 100
    return torch.int32 if small else torch.int64


def _through(
    step: Mix,
    s: int,
    units: np.ndarray,
    some: np.ndarray | slice = _EVERY,
    window: tuple[int, int, int, int] | None = None,
) -> np.ndarray:
    """Units with which source s enters some outputs: int32 [n, 1, 1], or [n, h, w] if a mask has a
    say, in a window y0 y1 x0 x1 of the canvas."""
    mode = step.mode[some, s, None, None]
    units = units[some, s, None, None].astype(np.int32)
    if step.mask is None or not step.masked[some, s].any():
        return units
    y0, y1, x0, x1 = window or (0, *step.canvas_hw[0, :1], 0, *step.canvas_hw[0, 1:])
    through = 2 * step.mask[some, y0:y1, x0:x1].astype(np.int32)
    units = np.where(mode == MixMode.MASK, through, units)
    return np.where(mode == MixMode.UNMASK, WEIGHT_ONE - through, units)


def _weights(numbers: Numbers, units: np.ndarray, like: Tensor) -> Tensor:
    """[n, 1, h, w] from [n, h, w], whole numbers, or parts of one for floats."""
    weights = torch.from_numpy(units)[:, None].to(like.device)
    if not numbers.integer:
        return weights.float() / WEIGHT_ONE
    return weights if numbers.kind == "uint8" else weights.long()


def _rounded(numbers: Numbers, acc: Tensor, loose: bool) -> Tensor:
    if not numbers.integer:
        return acc if numbers.limit is None else acc.clamp(0, numbers.limit)
    acc = acc.clamp(0, int(TOP[numbers.kind]) * WEIGHT_ONE)
    if loose:
        # One rounding, to float32 (none for uint8, below 2^24); a power of two divides exactly.
        return acc.float().mul_(1.0 / WEIGHT_ONE)
    odd = (acc >> 16).bitwise_and_(1)
    half_to_even = odd.add_(acc).add_(WEIGHT_ONE // 2 - 1).bitwise_right_shift_(16)
    return half_to_even.to(numbers.dtype)
