"""What kernels are called with: a plan's arrays and an output's numbers, as they expect them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mixwell.plan.steps import Code, Edit, Mix
from mixwell.render.reference.finish import Output

_NO_MASK = np.zeros((1, 1, 1), np.uint16)


def edit_arrays(edit: Edit) -> tuple[np.ndarray, ...]:
    """code, param, size_hw, interp, fill and key."""
    arrays = edit.code, edit.param, edit.size_hw, edit.interp, edit.fill, edit.key
    return tuple(np.ascontiguousarray(a) for a in arrays)


def mix_arrays(mix: Mix) -> tuple[np.ndarray, ...]:
    """source, mode, units, rect_px, offset_px, canvas_hw, fill and a mask."""
    arrays = mix.source, mix.mode, mix.units(), mix.rect_px, mix.offset_px, mix.canvas_hw, mix.fill
    mask = _NO_MASK if mix.mask is None else mix.mask
    return tuple(np.ascontiguousarray(a) for a in (*arrays, mask))


def normalising(output: Output, channels: int, top: float) -> tuple[np.ndarray, ...]:
    """scales, shifts, mean and std, float32 [4] each, for pixels from 0 to `top`."""
    four = [np.zeros(4, np.float32) for _ in range(4)]
    if output.mean is not None and output.std is not None:
        values = 1.0 / (top * output.std), -output.mean / output.std, output.mean, output.std
        for array, value in zip(four, values, strict=True):
            array[:channels] = value
    return tuple(four)


def blurs(edit: Edit, weights: Callable[[float, int], np.ndarray], dtype: type) -> np.ndarray:
    """[N, K, T]: `weights(sigma, size)` of each BLUR; [1, K, 1] where there is none."""
    rows, slots = np.nonzero(edit.code == Code.BLUR)
    if not len(rows):
        return np.zeros((1, edit.slots, 1), dtype)
    longest = int(edit.param[rows, slots, 1].max())
    made = np.zeros((edit.rows, edit.slots, longest), dtype)
    for row, slot in zip(rows.tolist(), slots.tolist(), strict=True):
        sigma, size = edit.param[row, slot, :2].tolist()
        made[row, slot, : int(size)] = weights(sigma, int(size))
    return made


def entering_pixels(edit: Edit, in_hw: np.ndarray) -> int:
    """Pixels of the largest row that an edit takes in whole: those it resizes first are not."""
    busy = edit.code != Code.NOTHING
    first = np.take_along_axis(edit.code, busy.argmax(axis=1)[:, None], axis=1)[:, 0]
    return int(in_hw[first != Code.RESIZE].prod(axis=1).max(initial=1))


def resizes(edit: Edit) -> tuple[np.ndarray, np.ndarray]:
    """Height and width of the boxes of all RESIZEs, float [R, 2], and of what they become."""
    chosen = edit.code == Code.RESIZE
    box = edit.param[:, :, :4][chosen]
    return np.abs(box[:, 3:1:-1] - box[:, 1::-1]), edit.size_hw[chosen].astype(np.int64)


def blurred(edit: Edit, in_hw: np.ndarray) -> tuple[np.ndarray, int]:
    """Height and width of what each BLUR takes in, int [R, 2], and the longest window."""
    chosen = edit.code == Code.BLUR
    before = np.concatenate([in_hw[:, None], edit.size_hw.astype(np.int64)[:, :-1]], axis=1)
    return before[chosen], int(edit.param[:, :, 1][chosen].max(initial=0))
