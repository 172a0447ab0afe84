"""RESIZE: crop a box and resize it with antialiasing; on uint8, bit for bit what Pillow does.

Across first, then down, always. So did Pillow until 12; Pillow 13 goes down first when the height
shrinks much more than the width, which moves single levels.

| what   | rule                                                                                  |
| ------ | ------------------------------------------------------------------------------------- |
| taps   | `taps.resample_taps`: float64, normalised; integers round half away from 0 to 22 bits |
| box    | pixels outside it, rounded out to whole pixels, never take part; x0 > x1 mirrors      |
| uint8  | clip((sum w p + 2^21) >> 22, 0, 255) horizontally, then the same vertically           |
| uint16 | the same with 0 .. 65535, in 64 bits                                                  |
| floats | sum of float32(w) p from the first tap to the last, horizontally, then vertically;    |
|        | clipped to 0 .. 1 at the end unless loose                                             |

Pillow itself multiplies RGBA by alpha before resizing; here every channel is on its own.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mixwell.render.reference.rows import Numbers
from mixwell.render.taps import RESIZE_BITS, resample_taps

_CHUNK = 1 << 21  # output elements of the first pass at a time, so that they stay near the cache


def resize(
    numbers: Numbers, images: Tensor, param: np.ndarray, out_hw: tuple[int, int], interp: int
) -> Tensor:
    """Boxes of images [n, C, H, W], resized to [n, C, *out_hw].

    Args:
        numbers: how the images' numbers are treated.
        images: tensor [n, C, H, W].
        param: float64 [n, 12], see `Code.RESIZE`.
        out_hw: size of the output, px.
        interp: `Interp.BILINEAR` or `Interp.BICUBIC`.
    """
    _, channels, height, _ = images.shape
    step = max(1, _CHUNK // (channels * height * out_hw[1]))
    out = [
        _resize_some(numbers, images[i : i + step], param[i : i + step], out_hw, interp)
        for i in range(0, len(images), step)
    ]
    return out[0] if len(out) == 1 else torch.cat(out)


def _resize_some(
    numbers: Numbers, images: Tensor, param: np.ndarray, out_hw: tuple[int, int], interp: int
) -> Tensor:
    x0, y0, x1, y1 = param[:, :4].T
    top, bottom = int(np.floor(min(y0.min(), y1.min()))), int(np.ceil(max(y0.max(), y1.max())))
    images = images[:, :, top:bottom]
    across = _tables(numbers, x0, x1, out_hw[1], interp, images.device)
    down = _tables(numbers, y0 - top, y1 - top, out_hw[0], interp, images.device)
    halfway = _pass(numbers, images, *across, axis=3)
    out = _pass(numbers, halfway, *down, axis=2)
    return out if numbers.integer or numbers.limit is None else out.clamp_(0, numbers.limit)


def _tables(
    numbers: Numbers,
    start: np.ndarray,
    stop: np.ndarray,
    size: int,
    interp: int,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Every row's taps, padded to the longest: first int64 [n, size], weights [n, size, T]."""
    taps = [
        resample_taps(float(a), float(b), size, interp) for a, b in zip(start, stop, strict=True)
    ]
    longest = max(weights.shape[1] for _, weights, _ in taps)
    first = np.stack([f for f, _, _ in taps]).astype(np.int64)
    weights = np.zeros((len(taps), size, longest), np.int64 if numbers.integer else np.float32)
    for row, (_, exact, whole) in enumerate(taps):
        weights[row, :, : exact.shape[1]] = whole if numbers.integer else exact
    dtype = torch.int32 if numbers.kind == "uint8" else torch.int64
    table = torch.from_numpy(weights).to(device)
    return torch.from_numpy(first).to(device), table.to(dtype) if numbers.integer else table


def _pass(numbers: Numbers, images: Tensor, first: Tensor, weights: Tensor, axis: int) -> Tensor:
    """Weighted sums along one axis."""
    n, size = first.shape
    shape = (n, 1, 1, size) if axis == 3 else (n, 1, size, 1)
    wide = [*images.shape]
    wide[axis] = size
    total = torch.zeros(wide, dtype=weights.dtype, device=images.device)
    for tap in range(weights.shape[2]):
        at = (first + tap).clamp_(max=images.shape[axis] - 1).reshape(shape).expand(wide)
        total += images.gather(axis, at) * weights[:, :, tap].reshape(shape)
    if not numbers.integer:
        return total
    total = (total + (1 << (RESIZE_BITS - 1))) >> RESIZE_BITS
    assert numbers.limit is not None
    return total.clamp_(0, int(numbers.limit)).to(images.dtype)
