"""The random words of pixels, noise, and what an erasing writes."""

import triton
import triton.language as tl

from mixwell.plan.steps import EraseUnits, EraseValue
from mixwell.render.tables import NORMAL_BITS
from mixwell.render.triton_gpu.kernels.read import float_of, held, level_of

_CONSTANT = tl.constexpr(int(EraseValue.CONSTANT))
_PIXEL = tl.constexpr(int(EraseValue.PIXEL))
_NORMALIZED = tl.constexpr(int(EraseUnits.NORMALIZED))
_STEP = tl.constexpr(2.0**-NORMAL_BITS)
_A, _B = tl.constexpr(0xD2511F53), tl.constexpr(0xCD9E8D57)
_WEYL_A, _WEYL_B = tl.constexpr(0x9E3779B9), tl.constexpr(0xBB67AE85)
_LOW = tl.constexpr(0xFFFFFFFF)


@triton.jit
def random_words(key, x, y):
    """Philox4x32-10: four int64 [BLOCK] of 32 random bits for each pixel.

    Args:
        key: pointer to four int64.
        x: int32 [BLOCK], column.
        y: int32 [BLOCK], row.
    """
    c0 = x.to(tl.uint64) | (y.to(tl.uint64) << 16)
    c1 = tl.zeros_like(c0)
    c2, c3 = c1 + tl.load(key + 2).to(tl.uint64), c1 + tl.load(key + 3).to(tl.uint64)
    k0, k1 = tl.load(key).to(tl.uint64), tl.load(key + 1).to(tl.uint64)
    for _ in tl.static_range(10):
        a, b = c0 * _A, c2 * _B
        c0, c1 = (b >> 32) ^ c1 ^ k0, b & _LOW
        c2, c3 = (a >> 32) ^ c3 ^ k1, a & _LOW
        k0, k1 = (k0 + _WEYL_A) & _LOW, (k1 + _WEYL_B) & _LOW
    return c0.to(tl.int64), c1.to(tl.int64), c2.to(tl.int64), c3.to(tl.int64)


@triton.jit
def noisy(word, op, x, y, numbers, mask, CHANNELS: tl.constexpr):
    """Packed pixels with normal noise added; alpha stays.

    Args:
        word: int32 [BLOCK].
        op: pointer to a NOISE.
        x: int32 [BLOCK], column.
        y: int32 [BLOCK], row.
        numbers: int32, normal quantiles first.
        mask: bool [BLOCK].
        CHANNELS: 1, 3 or 4.
    """
    scale = tl.load(op + 2)
    r0, r1, r2, _ = random_words(op + 8, x, y)
    out = _shifted(word, 0, r0, scale, numbers, mask)
    if CHANNELS > 1:
        out |= _shifted(word, 1, r1, scale, numbers, mask)
        out |= _shifted(word, 2, r2, scale, numbers, mask)
    if CHANNELS > 3:
        out |= word & -16777216
    return out


@triton.jit
def _shifted(word, c: tl.constexpr, random, scale, numbers, mask):
    z = tl.load(numbers + (random >> 16), mask=mask, other=0).to(tl.int64)
    level = level_of(word, c).to(tl.int64) + ((z * scale + (1 << 23)) >> 24)
    return held(level, 0, 255).to(tl.int32) << (8 * c)


@triton.jit
def erased(word, op, x, y, CHANNELS: tl.constexpr, REACH: tl.constexpr):
    """Packed pixels with a rectangle written over, in the image's units; `op`: an ERASE."""
    colour = tl.zeros_like(word) + tl.load(op + 7).to(tl.int32)
    if REACH >= 1:
        kind = tl.load(op + 6)
        if kind != _CONSTANT:
            moves = (kind == _PIXEL).to(tl.int32)
            r0, r1, r2, r3 = random_words(op + 8, x * moves, y * moves)
            colour = (r0 >> 24).to(tl.int32)
            if CHANNELS > 1:
                colour |= (r1 >> 24).to(tl.int32) << 8
                colour |= (r2 >> 24).to(tl.int32) << 16
            if CHANNELS > 3:
                colour |= (r3 >> 24).to(tl.int32) << 24
    return tl.where(in_rectangle(op + 2, x, y), colour, word)


@triton.jit
def in_rectangle(rect, x, y):
    """Whether pixels lie inside x0 y0 x1 y1, four int64."""
    x0, y0 = tl.load(rect).to(tl.int32), tl.load(rect + 1).to(tl.int32)
    x1, y1 = tl.load(rect + 2).to(tl.int32), tl.load(rect + 3).to(tl.int32)
    return (x >= x0) & (x < x1) & (y >= y0) & (y < y1)


@triton.jit
def erase_levels(v0, v1, v2, v3, record, x, y, statistics, numbers, CHANNELS: tl.constexpr,
                 REACH: tl.constexpr):  # fmt: skip
    """Levels float32 of all channels, behind one erasing record, normalised units included.

    Args:
        v0: float32 [BLOCK], levels of the first channel; v1, v2 and v3 of the others.
        record: pointer to an erasing.
        x: int32 [BLOCK], column.
        y: int32 [BLOCK], row.
        statistics: float32, scales, shifts, means and standard deviations, four of each.
        numbers: int32, normal quantiles first.
        CHANNELS: 1, 3 or 4.
        REACH: 0: constants only.
    """
    kind, units = tl.load(record + 4), tl.load(record + 5)
    there = in_rectangle(record, x, y)
    zero = tl.zeros_like(v0)
    w0, w1 = zero + float_of(tl.load(record + 10)), zero + float_of(tl.load(record + 11))
    w2, w3 = zero + float_of(tl.load(record + 12)), zero + float_of(tl.load(record + 13))
    if REACH >= 1:
        if kind != _CONSTANT:
            moves = (kind == _PIXEL).to(tl.int32)
            r0, r1, r2, r3 = random_words(record + 6, x * moves, y * moves)
            if units == _NORMALIZED:
                w0, w1 = _normal(r0, numbers), _normal(r1, numbers)
                w2, w3 = _normal(r2, numbers), _normal(r3, numbers)
            else:
                w0, w1 = (r0 >> 24).to(tl.float32), (r1 >> 24).to(tl.float32)
                w2, w3 = (r2 >> 24).to(tl.float32), (r3 >> 24).to(tl.float32)
    if units == _NORMALIZED:
        w0, w1 = _in_levels(w0, 0, statistics), _in_levels(w1, 1, statistics)
        w2, w3 = _in_levels(w2, 2, statistics), _in_levels(w3, 3, statistics)
    v0 = tl.where(there, w0, v0)
    if CHANNELS > 1:
        v1, v2 = tl.where(there, w1, v1), tl.where(there, w2, v2)
    if CHANNELS > 3:
        v3 = tl.where(there, w3, v3)
    return v0, v1, v2, v3


@triton.jit
def _normal(random, numbers):
    return tl.load(numbers + (random >> 16)).to(tl.float32) * _STEP


@triton.jit
def _in_levels(value, c: tl.constexpr, statistics):
    return (value * tl.load(statistics + 12 + c) + tl.load(statistics + 8 + c)) * 255.0
