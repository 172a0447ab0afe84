"""The last pass: rows mixed, erased, normalised and written in their final form."""

import triton
import triton.language as tl

from mixwell.plan.steps import MixMode
from mixwell.render.triton_gpu import records
from mixwell.render.triton_gpu.kernels.noise import erase_levels, in_rectangle
from mixwell.render.triton_gpu.kernels.passes import pixels
from mixwell.render.triton_gpu.kernels.read import float_of, held, level_of

_SOURCE, _ERASING, _OUTPUT, _TODO = (
    tl.constexpr(n) for n in (records.SOURCE, records.ERASING, records.OUTPUT, records.TODO)
)
_PASTE, _MASK = tl.constexpr(int(MixMode.PASTE)), tl.constexpr(int(MixMode.MASK))
_FULL, _TOP = tl.constexpr(1 << 16), tl.constexpr(255 << 16)
_PART = tl.constexpr(1.0 / 65536)
WORDS, UINT8, FLOAT32, FLOAT16, BFLOAT16 = 0, 1, 2, 3, 4
_WORDS, _UINT8, _FLOAT16, _BFLOAT16 = (tl.constexpr(n) for n in (WORDS, UINT8, FLOAT16, BFLOAT16))


@triton.jit
def finish(todo, outputs, sources, erasings, statistics, passes, ops, taps, weights, tables,
           numbers, CHANNELS: tl.constexpr, REACH: tl.constexpr, FORM: tl.constexpr,
           NORMALIZED: tl.constexpr, LOOSE: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Outputs, one for each program of the first axis.

    Args:
        todo: int64, todo records: the outputs' numbers.
        outputs: int64, output records.
        sources: int64, source records.
        erasings: int64, erasing records.
        statistics: float32, scales, shifts, means and standard deviations, four of each.
        passes: as the rest up to numbers, see `passes.pixels`.
        FORM: how outputs are written.
        NORMALIZED: whether with mean and std.
        LOOSE: whether sources may be erased in normalised units: sums in float32 then.
        BLOCK: pixels of a program.
    """
    out = outputs + tl.load(todo + tl.program_id(0) * _TODO) * _OUTPUT
    height, width = tl.load(out + 4).to(tl.int32), tl.load(out + 5).to(tl.int32)
    start = tl.program_id(1) * BLOCK
    if start < height * width:
        index = start + tl.arange(0, BLOCK)
        mask = index < height * width
        x, y = index % width, index // width
        if LOOSE:
            v0, v1, v2, v3 = _fills(out, index)
        else:
            fill = tl.load(out + 10).to(tl.int32)
            a0, a1, a2, a3 = _canvas(fill, index)
        for s in range(tl.load(out + 6), tl.load(out + 7)):
            source = sources + s * _SOURCE
            mode = tl.load(source + 1)
            shown = mask & in_rectangle(source + 3, x, y)
            sx = x - tl.load(source + 7).to(tl.int32)
            sy = y - tl.load(source + 8).to(tl.int32)
            word = pixels(
                tl.load(source), passes, ops, taps, weights, tables, numbers, sx, sy, shown,
                CHANNELS, REACH,
            )  # fmt: skip
            units = tl.zeros_like(x) + tl.load(source + 2).to(tl.int32)
            if mode >= _MASK:
                units = _through(out, mode, x, y, shown)
            units = tl.where(shown, units, 0)
            kept = tl.where(shown & (mode == _PASTE), 0, 1)
            if LOOSE:
                v0, v1, v2, v3 = _joined(
                    v0, v1, v2, v3, word, source, erasings, sx, sy, statistics, numbers, units,
                    kept, CHANNELS, REACH,
                )  # fmt: skip
            else:
                a0 = a0 * kept + level_of(word, 0) * units
                if CHANNELS > 1:
                    a1 = a1 * kept + level_of(word, 1) * units
                    a2 = a2 * kept + level_of(word, 2) * units
                if CHANNELS > 3:
                    a3 = a3 * kept + level_of(word, 3) * units
        if not LOOSE:
            rounded = tl.load(out + 11)
            v0, v1 = _levels(a0, rounded), _levels(a1, rounded)
            v2, v3 = _levels(a2, rounded), _levels(a3, rounded)
        for e in range(tl.load(out + 8), tl.load(out + 9)):
            v0, v1, v2, v3 = erase_levels(
                v0, v1, v2, v3, erasings + e * _ERASING, x, y, statistics, numbers, CHANNELS,
                REACH,
            )  # fmt: skip
        if FORM == _WORDS:
            word = v0.to(tl.int32)
            if CHANNELS > 1:
                word |= (v1.to(tl.int32) << 8) | (v2.to(tl.int32) << 16)
            if CHANNELS > 3:
                word |= v3.to(tl.int32) << 24
            to = tl.load(out) + 4 * index.to(tl.int64)
            tl.store(to.to(tl.pointer_type(tl.int32)), word, mask)
        else:
            row = y.to(tl.int64) * tl.load(out + 2) + x.to(tl.int64) * tl.load(out + 3)
            to, step = tl.load(out) + row, tl.load(out + 1)
            _put(to, v0, 0, statistics, mask, FORM, NORMALIZED)
            if CHANNELS > 1:
                _put(to + step, v1, 1, statistics, mask, FORM, NORMALIZED)
                _put(to + 2 * step, v2, 2, statistics, mask, FORM, NORMALIZED)
            if CHANNELS > 3:
                _put(to + 3 * step, v3, 3, statistics, mask, FORM, NORMALIZED)


@triton.jit
def _canvas(fill, index):
    """Sums in 1/65536 of a level before the first source."""
    zero = tl.zeros_like(index)
    return (
        zero + level_of(fill, 0) * _FULL,
        zero + level_of(fill, 1) * _FULL,
        zero + level_of(fill, 2) * _FULL,
        zero + level_of(fill, 3) * _FULL,
    )


@triton.jit
def _fills(out, index):
    """Levels float32 before the first source."""
    zero = tl.zeros_like(index).to(tl.float32)
    return (
        zero + float_of(tl.load(out + 14)),
        zero + float_of(tl.load(out + 15)),
        zero + float_of(tl.load(out + 16)),
        zero + float_of(tl.load(out + 17)),
    )


@triton.jit
def _through(out, mode, x, y, shown):
    """Units with which a source enters through the mask, or past it."""
    at = tl.load(out + 12) + y.to(tl.int64) * tl.load(out + 13) + 2 * x.to(tl.int64)
    part = tl.load(at.to(tl.pointer_type(tl.uint16)), mask=shown, other=0).to(tl.int32)
    return tl.where(mode == _MASK, 2 * part, _FULL - 2 * part)


@triton.jit
def _joined(v0, v1, v2, v3, word, source, erasings, x, y, statistics, numbers, units, kept,
            CHANNELS: tl.constexpr, REACH: tl.constexpr):  # fmt: skip
    """Sums of levels with one more source, whose erasings come first."""
    w0, w1 = level_of(word, 0).to(tl.float32), level_of(word, 1).to(tl.float32)
    w2, w3 = level_of(word, 2).to(tl.float32), level_of(word, 3).to(tl.float32)
    for e in range(tl.load(source + 9), tl.load(source + 10)):
        w0, w1, w2, w3 = erase_levels(
            w0, w1, w2, w3, erasings + e * _ERASING, x, y, statistics, numbers, CHANNELS, REACH
        )
    weight, rest = units.to(tl.float32) * _PART, kept.to(tl.float32)
    return (
        v0 * rest + w0 * weight,
        v1 * rest + w1 * weight,
        v2 * rest + w2 * weight,
        v3 * rest + w3 * weight,
    )


@triton.jit
def _levels(total, rounded):
    """Sums as levels float32, rounded half to even if that is said."""
    total = held(total, 0, _TOP)
    whole = (total + 32767 + ((total >> 16) & 1)) >> 16
    return tl.where(rounded != 0, whole.to(tl.float32), total.to(tl.float32) * _PART)


@triton.jit
def _put(address, level, c: tl.constexpr, statistics, mask, FORM: tl.constexpr,
         NORMALIZED: tl.constexpr):  # fmt: skip
    """A channel in its final form."""
    if FORM == _UINT8:
        tl.store(address.to(tl.pointer_type(tl.uint8)), level.to(tl.uint8), mask)
    else:
        if NORMALIZED:
            value = level * tl.load(statistics + c) + tl.load(statistics + 4 + c)
        else:
            value = tl.div_rn(level, tl.full(level.shape, 255.0, tl.float32))
        if FORM == _FLOAT16:
            tl.store(address.to(tl.pointer_type(tl.float16)), value.to(tl.float16), mask)
        elif FORM == _BFLOAT16:
            bits = value.to(tl.int32, bitcast=True)
            half = ((bits + 32767 + ((bits >> 16) & 1)) >> 16).to(tl.int16)
            tl.store(address.to(tl.pointer_type(tl.int16)), half, mask)
        else:
            tl.store(address.to(tl.pointer_type(tl.float32)), value, mask)
