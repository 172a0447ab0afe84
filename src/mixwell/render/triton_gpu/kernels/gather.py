"""What a pass reads from its place: a pixel, pixels between others, a window of them."""

import triton
import triton.language as tl

from mixwell.render.taps import CUBIC_BITS
from mixwell.render.triton_gpu import constants, records
from mixwell.render.triton_gpu.kernels.read import (
    blended,
    float_of,
    held,
    level_of,
    mirrored,
    read,
    read_level,
)

_HALF = tl.constexpr(1 << 31)
_CUBIC_SHIFT, _CUBIC_HALF = tl.constexpr(2 * CUBIC_BITS), tl.constexpr(1 << (2 * CUBIC_BITS - 1))
_TAPS_SHIFT = tl.constexpr(records.TAPS_BITS)
_TAPS_HALF = tl.constexpr(1 << (records.TAPS_BITS - 1))
_PHASES = tl.constexpr(constants.PHASES)
_LOAD, _NEAREST, _BILINEAR, _BICUBIC, _RESIZE, _SHARPNESS, _BLUR = (
    tl.constexpr(int(kind)) for kind in records.Gather
)


@triton.jit
def positions(op, x, y, REACH: tl.constexpr):
    """Where a WARP's or a CLIP's output pixels lie, int64 with 32 fraction bits: x and y."""
    x, y = x.to(tl.int64), y.to(tl.int64)
    u = tl.load(op + 3) * x + tl.load(op + 4) * y + tl.load(op + 5)
    v = tl.load(op + 6) * x + tl.load(op + 7) * y + tl.load(op + 8)
    if REACH >= 1:
        if tl.load(op + 2) == 0:
            below = tl.load(op + 9) * x + tl.load(op + 10) * y + tl.load(op + 11)
            below = tl.maximum(below, 1)
            u, v = _divided(u, below), _divided(v, below)
    return u, v


@triton.jit
def _divided(above, below):
    limit = below << 10
    above = held(above, -limit, limit) << 22
    whole = above // below
    # Triton cuts off, Python floors: both are floored here.
    return (whole - (above - whole * below < 0).to(tl.int64)) << 16


@triton.jit
def inside(u, v, height, width):
    """Whether positions lie on a canvas."""
    return (u >= 0) & (u < (width << 32)) & (v >= 0) & (v < (height << 32))


@triton.jit
def gathered(kind, place, op, taps, weights, numbers, x, y, mask, CHANNELS: tl.constexpr,
             REACH: tl.constexpr):  # fmt: skip
    """Packed pixels of a pass before its further ops.

    Args:
        kind: a `Gather`.
        place: pointer to a pass.
        op: pointer to the op that gathers, if any.
        taps: int32, see `kernels.taps`.
        weights: int32, weights of blurs.
        numbers: int32, see `constants`.
        x: int32 [BLOCK], column of the output, px.
        y: int32 [BLOCK], row.
        mask: bool [BLOCK].
        CHANNELS: 1, 3 or 4.
        REACH: what is compiled in; 0: LOAD and affine NEAREST; 1: every NEAREST, BILINEAR;
            2: RESIZE; 3: all.
    """
    height, width = tl.load(place + 4), tl.load(place + 5)
    word = tl.zeros_like(x)
    if kind == _LOAD:
        word = read(place, x, y, mask, CHANNELS)
    elif kind <= _BICUBIC:
        u, v = positions(op, x, y, REACH)
        shown = mask & inside(u, v, height, width)
        if kind == _NEAREST:
            word = read(place, (u >> 32).to(tl.int32), (v >> 32).to(tl.int32), shown, CHANNELS)
        elif REACH >= 1:
            u, v = u - _HALF, v - _HALF
            left, upper = (u >> 32).to(tl.int32), (v >> 32).to(tl.int32)
            across, down = ((u >> 24) & 255).to(tl.int32), ((v >> 24) & 255).to(tl.int32)
            right, bottom = (width - 1).to(tl.int32), (height - 1).to(tl.int32)
            if kind == _BILINEAR:
                word = _bilinear(place, left, upper, across, down, right, bottom, shown, CHANNELS)
            elif REACH == 3:
                word = _bicubic(
                    place, numbers + _PHASES, left, upper, across, down, right, bottom, shown,
                    CHANNELS,
                )  # fmt: skip
        word = tl.where(shown, word, tl.load(op + 12).to(tl.int32))
    elif REACH >= 2:
        if kind == _RESIZE:
            word = _resized(place, op, taps, x, y, mask, CHANNELS)
        elif REACH == 3:
            if kind == _SHARPNESS:
                word = _sharpened(place, op, x, y, mask, CHANNELS)
            else:
                word = _blurred(place, op, weights, x, y, mask, CHANNELS)
    return word


@triton.jit
def _bilinear(place, left, upper, across, down, right, bottom, mask, CHANNELS: tl.constexpr):
    x0, x1 = held(left, 0, right), held(left + 1, 0, right)
    y0, y1 = held(upper, 0, bottom), held(upper + 1, 0, bottom)
    above = _between(
        read(place, x0, y0, mask, CHANNELS), read(place, x1, y0, mask, CHANNELS), across, CHANNELS
    )
    below = _between(
        read(place, x0, y1, mask, CHANNELS), read(place, x1, y1, mask, CHANNELS), across, CHANNELS
    )
    return _between(above, below, down, CHANNELS)


@triton.jit
def _between(p, q, weight, CHANNELS: tl.constexpr):
    word = tl.zeros_like(p)
    for c in tl.static_range(CHANNELS):
        total = level_of(p, c) * (256 - weight) + level_of(q, c) * weight + 128
        word |= (total >> 8) << (8 * c)
    return word


@triton.jit
def _bicubic(place, phases, left, upper, across, down, right, bottom, mask,
             CHANNELS: tl.constexpr):  # fmt: skip
    step, line, column = tl.load(place + 1), tl.load(place + 2), tl.load(place + 3)
    word = tl.zeros_like(left)
    for c in tl.static_range(CHANNELS):
        begin = tl.load(place) + c * step
        total = tl.zeros_like(left)
        for j in range(4):
            at = begin + held(upper + (j - 1), 0, bottom).to(tl.int64) * line
            row = tl.zeros_like(left)
            for i in range(4):
                x = tl.minimum(tl.maximum(left + (i - 1), 0), right).to(tl.int64)
                level = tl.load((at + x * column).to(tl.pointer_type(tl.uint8)), mask, 0)
                row += level.to(tl.int32) * tl.load(phases + 4 * across + i)
            total += row * tl.load(phases + 4 * down + j)
        total = (total + _CUBIC_HALF) >> _CUBIC_SHIFT
        word |= held(total, 0, 255) << (8 * c)
    return word


@triton.jit
def _resized(place, op, taps, x, y, mask, CHANNELS: tl.constexpr):
    bottom, right = tl.load(place + 4).to(tl.int32) - 1, tl.load(place + 5).to(tl.int32) - 1
    out_h, out_w = tl.load(place + 8), tl.load(place + 9)
    wide, high = tl.load(op + 3).to(tl.int32), tl.load(op + 5).to(tl.int32)
    across, down = taps + tl.load(op + 2), taps + tl.load(op + 4)
    first_x = tl.load(across + x, mask=mask, other=0)
    first_y = tl.load(down + y, mask=mask, other=0)
    step, line, column = tl.load(place + 1), tl.load(place + 2), tl.load(place + 3)
    word = tl.zeros_like(x)
    for c in tl.static_range(CHANNELS):
        begin = tl.load(place) + c * step
        total = tl.zeros_like(x)
        for j in range(high):
            at = begin + tl.minimum(first_y + j, bottom).to(tl.int64) * line
            row = tl.zeros_like(x)
            for i in range(wide):
                to = at + tl.minimum(first_x + i, right).to(tl.int64) * column
                level = tl.load(to.to(tl.pointer_type(tl.uint8)), mask, 0).to(tl.int32)
                row += level * tl.load(across + (i + 1) * out_w + x, mask, 0)
            total += _whole(row) * tl.load(down + (j + 1) * out_h + y, mask, 0)
        word |= _whole(total) << (8 * c)
    return word


@triton.jit
def _whole(total):
    return held((total + _TAPS_HALF) >> _TAPS_SHIFT, 0, 255)


@triton.jit
def _sharpened(place, op, x, y, mask, CHANNELS: tl.constexpr):
    bottom, right = tl.load(place + 4).to(tl.int32) - 1, tl.load(place + 5).to(tl.int32) - 1
    factor = float_of(tl.load(op + 2))
    inner = mask & (x > 0) & (y > 0) & (x < right) & (y < bottom)
    word = read(place, x, y, mask, CHANNELS)
    sharp = word & -16777216  # alpha stays
    for c in tl.static_range(CHANNELS if CHANNELS < 3 else 3):
        centre = level_of(word, c)
        total = 4 * centre
        for j in range(3):
            for i in range(3):
                total += read_level(place, x + (i - 1), y + (j - 1), c, inner)
        sharp |= blended((2 * total + 13) // 26, centre, factor) << (8 * c)
    return tl.where(inner, sharp, word)


@triton.jit
def _blurred(place, op, weights, x, y, mask, CHANNELS: tl.constexpr):
    """The pass down the columns; `kernels.blur` did the one across."""
    height, size = tl.load(place + 4).to(tl.int32), tl.load(op + 3).to(tl.int32)
    kernel = weights + tl.load(op + 2)
    column, line = x.to(tl.int64) * tl.load(place + 3), tl.load(place + 2)
    word = tl.zeros_like(x)
    for c in tl.static_range(CHANNELS):
        begin = tl.load(place) + c * tl.load(place + 1) + column
        total = tl.zeros_like(x)
        for t in range(size):
            row = mirrored(y + (t - size // 2), height)
            at = (begin + row.to(tl.int64) * line).to(tl.pointer_type(tl.int16))
            total += tl.load(kernel + t) * tl.load(at, mask=mask, other=0).to(tl.int32)
        word |= ((total + (1 << 19)) >> 20) << (8 * c)
    return word
