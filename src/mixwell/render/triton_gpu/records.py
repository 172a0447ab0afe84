"""What kernels read: records of whole numbers, int64, whose fields are listed here.

Floats stand in them as their bits. A *place* is where pixels lie: address, strides of channel, row
and column in bytes, height, width, form. Forms are BYTES, channels apart as images come, WORDS, all
channels of a pixel in a 32-bit word, and WIDE, four numbers of 16 bits, half-way through a blur.

| record | fields                                                                              |
| ------ | ----------------------------------------------------------------------------------- |
| pass   | 0..6 the place read, 7 address of the words written or 0, 8 9 height and width,     |
|        | 10 11 ops from, to, 12 `Gather`, done by the first op unless LOAD,                  |
|        | 13 histogram to count into or -1                                                    |
| op     | 0 `Code` of the plan, the rest by code:                                             |
| - WARP, CLIP | 2 affine?, 3..11 `fixed`, 12 fill word, 13 14 canvas height and width         |
| - RESIZE | 2 taps across, their number, 4 taps down, their number (see axis)                 |
| - ERASE | 2..5 rectangle, 6 `EraseValue`, 7 fill word, 8..11 key                             |
| - NOISE | 2 scale, 8..11 key                                                                 |
| - BLUR | 2 where its weights are, 3 their number                                             |
| - tables | 2 which table                                                                     |
| - CHANNELS | 2..4 the channel that red, green and blue show                             |
| - else | 2 factor                                                                            |
| axis   | 0 low, 1 scale, 2 support, 3 1 / stretch, 4 pixels inside, 5 first pixel, 6 outputs, |
|        | 7 mirrored?, 8 taps, 9 where they go, 10 cubic?                                     |
| blur   | 0..6 the place read, 7 address of the WIDE numbers, 8 9 height and width, 10 11 as BLUR |
| run    | 0 1 steps of the run from, to, 2 its histogram or -1, 3 which table                  |
| source | 0 pass, 1 `MixMode`, 2 units, 3..6 rectangle, 7 8 offset, 9 10 erasings from, to      |
| erasing | 0..3 rectangle, 4 `EraseValue`, 5 `EraseUnits`, 6..9 key, 10..13 fill               |
| output | 0..5 the place written but for its form, 6 7 sources from, to, 8 9 erasings from, to, |
|        | 10 fill word, 11 rounded to levels?, 12 address of its mask, 13 mask's row in bytes, |
|        | 14..17 fill                                                                          |
| todo   | 0 number of an output                                                                |
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from mixwell.plan.geometry import is_affine

PASS, OP, AXIS, BLUR, RUN, SOURCE, ERASING, OUTPUT, TODO = 16, 16, 12, 12, 4, 12, 14, 18, 2
"""Numbers in each kind of record: even, so that the first of any launch lies at a multiple of 16
bytes, with which compiled kernels reckon."""

BYTES, WORDS, WIDE = 0, 1, 2
TAPS_BITS = 22


class Gather(IntEnum):
    """How a pass reads its place."""

    LOAD = 0
    NEAREST = 1
    BILINEAR = 2
    BICUBIC = 3
    RESIZE = 4
    SHARPNESS = 5
    BLUR = 6


def float_bits(values: np.ndarray) -> np.ndarray:
    """int64: the bits of float32 numbers."""
    return np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.int64)


def double_bits(values: np.ndarray) -> np.ndarray:
    """int64: the bits of float64 numbers."""
    return np.ascontiguousarray(values, np.float64).view(np.int64)


def fill_words(fill: np.ndarray, channels: int) -> np.ndarray:
    """int64 [n]: fills float32 [n, 4] as packed pixels, rounded half to even."""
    levels = np.rint(fill[:, :channels]).astype(np.int64)
    return (levels << (8 * np.arange(channels))).sum(axis=1)


def fixed(m: np.ndarray, out_hw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Matrices in fixed point, by `mixwell.render.reference.warp`.

    Args:
        m: float64 [n, 3, 3], `dst_to_src`.
        out_hw: int [n, 2], sizes of the outputs, px.

    Returns:
        bool [n], which are affine, and int64 [n, 9]: for x, y and the denominator the steps along
        x and y, and the first pixel's centre.
    """
    affine = is_affine(m)
    unit = np.where(affine, 1.0, _denominator_unit(m, out_hw))
    m = m / unit[:, None, None]
    bits = np.where(affine[:, None], (32, 32, 30), (24, 24, 30))
    a, b, c = np.moveaxis(m, 2, 0)
    steps = np.stack([a, b, (c + a / 2) + b / 2], axis=2)
    return affine, np.rint(steps * (2.0 ** bits[..., None])).astype(np.int64).reshape(-1, 9)


def _denominator_unit(m: np.ndarray, out_hw: np.ndarray) -> np.ndarray:
    """float64 [n]: the power of two that brings the largest denominator below 1, or 1."""
    h, w = out_hw.T
    zero = np.zeros_like(h)
    corners = [m[:, 2, 0] * x + m[:, 2, 1] * y + m[:, 2, 2] for x in (zero, w) for y in (zero, h)]
    largest = np.max(corners, axis=0, initial=0.0)
    return np.ldexp(1.0, np.maximum(np.frexp(largest)[1], 0))


def axes(start: np.ndarray, stop: np.ndarray, size: np.ndarray, cubic: np.ndarray) -> np.ndarray:
    """Records of axes that are resized; where their taps go is left open.

    Args:
        start: float64 [n], where the box starts, px.
        stop: float64 [n], where it ends; less than `start` mirrors.
        size: int [n], output pixels.
        cubic: bool [n].

    Returns:
        int64 [n, AXIS].
    """
    low, high = np.minimum(start, stop), np.maximum(start, stop)
    first = np.floor(low)
    inside = np.ceil(high) - first
    low, high = low - first, high - first
    scale = (high - low) / size
    stretch = np.maximum(scale, 1.0)
    support = np.where(cubic, 2.0, 1.0) * stretch
    made = np.zeros((len(low), AXIS), np.int64)
    for field, values in enumerate((low, scale, support, 1.0 / stretch)):
        made[:, field] = double_bits(values)
    made[:, 4], made[:, 5], made[:, 6] = inside, first, size
    made[:, 7], made[:, 10] = start > stop, cubic
    # From centre - support to centre + support, each rounded: no more than 2 support + 1.
    made[:, 8] = (2.0 * support + 1e-6).astype(np.int64) + 2
    return made
