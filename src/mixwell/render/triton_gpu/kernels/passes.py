"""One pass over a row: what it gathers, the ops behind, and where the pixels go."""

import triton
import triton.language as tl

from mixwell.plan.steps import Code
from mixwell.render.triton_gpu import records
from mixwell.render.triton_gpu.kernels.gather import gathered, inside, positions
from mixwell.render.triton_gpu.kernels.noise import erased, noisy
from mixwell.render.triton_gpu.kernels.read import level_of, mirrored, read_level
from mixwell.render.triton_gpu.kernels.tone import (
    factor_of,
    grayscale,
    hue,
    looked_up,
    rearranged,
    saturation,
)

_PASS, _OP, _BLUR = (tl.constexpr(n) for n in (records.PASS, records.OP, records.BLUR))
_CLIP, _ERASE, _NOISE = (tl.constexpr(int(c)) for c in (Code.CLIP, Code.ERASE, Code.NOISE))
_SATURATION, _HUE, _GRAYSCALE, _CHANNELS = (
    tl.constexpr(int(c)) for c in (Code.SATURATION, Code.HUE, Code.GRAYSCALE, Code.CHANNELS)
)


@triton.jit
def pixels(which, passes, ops, taps, weights, tables, numbers, x, y, mask,
           CHANNELS: tl.constexpr, REACH: tl.constexpr):  # fmt: skip
    """Packed pixels of a pass at some places of its canvas.

    Args:
        which: number of the pass.
        passes: int64, passes.
        ops: int64, ops.
        taps: int32, weights of resizes.
        weights: int32, weights of blurs.
        tables: uint8 [.., 3, 256].
        numbers: int32, see `constants`.
        x: int32 [BLOCK], column, px.
        y: int32 [BLOCK], row.
        mask: bool [BLOCK].
        CHANNELS: 1, 3 or 4.
        REACH: see `gathered`. Ops are 0: tables and ERASE with a constant; 1: CLIP, every ERASE;
            3: all.
    """
    place = passes + which * _PASS
    first, past = tl.load(place + 10), tl.load(place + 11)
    kind = tl.load(place + 12)
    word = gathered(
        kind, place, ops + first * _OP, taps, weights, numbers, x, y, mask, CHANNELS, REACH
    )
    if kind > 0:
        first += 1
    for i in range(first, past):
        op = ops + i * _OP
        code = tl.load(op)
        if code == _ERASE:
            word = erased(word, op, x, y, CHANNELS, REACH)
        elif REACH == 0:
            word = looked_up(word, tables + 768 * tl.load(op + 2), mask, CHANNELS)
        elif code == _CLIP:
            u, v = positions(op, x, y, REACH)
            shown = inside(u, v, tl.load(op + 13), tl.load(op + 14))
            word = tl.where(shown, word, tl.load(op + 12).to(tl.int32))
        elif REACH < 3:
            word = looked_up(word, tables + 768 * tl.load(op + 2), mask, CHANNELS)
        elif code == _NOISE:
            word = noisy(word, op, x, y, numbers, mask, CHANNELS)
        elif CHANNELS == 1:
            word = looked_up(word, tables + 768 * tl.load(op + 2), mask, CHANNELS)
        elif code == _SATURATION:
            word = saturation(word, factor_of(op))
        elif code == _HUE:
            word = hue(word, factor_of(op))
        elif code == _GRAYSCALE:
            word = grayscale(word)
        elif code == _CHANNELS:
            word = rearranged(word, op)
        else:
            word = looked_up(word, tables + 768 * tl.load(op + 2), mask, CHANNELS)
    return word


@triton.jit
def run_passes(passes, ops, taps, weights, tables, numbers, counts,
               CHANNELS: tl.constexpr, REACH: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Passes, one for each program of the first axis: written, counted, or both.

    Args:
        passes: as the rest up to numbers, see `pixels`.
        counts: int32 [.., 3, 256], histograms, zero before.
        BLOCK: pixels of a program.
    """
    which = tl.program_id(0)
    place = passes + which * _PASS
    height, width = tl.load(place + 8).to(tl.int32), tl.load(place + 9).to(tl.int32)
    start = tl.program_id(1) * BLOCK
    if start < height * width:
        index = start + tl.arange(0, BLOCK)
        mask = index < height * width
        word = pixels(
            which, passes, ops, taps, weights, tables, numbers, index % width, index // width,
            mask, CHANNELS, REACH,
        )  # fmt: skip
        address, found = tl.load(place + 7), tl.load(place + 13)
        if address != 0:
            tl.store((address + 4 * index.to(tl.int64)).to(tl.pointer_type(tl.int32)), word, mask)
        if found >= 0:
            bins = tl.arange(0, 256)
            beyond = BLOCK - tl.sum(mask.to(tl.int32))  # they were counted as level 0
            for c in tl.static_range(CHANNELS if CHANNELS < 3 else 3):
                levels = tl.where(mask, level_of(word, c), 0)
                number = tl.histogram(levels, 256) - tl.where(bins == 0, beyond, 0)
                tl.atomic_add(counts + (3 * found + c) * 256 + bins, number, sem="relaxed")


@triton.jit
def blur_across(blurs, weights, CHANNELS: tl.constexpr, BLOCK: tl.constexpr):
    """The first half of blurs: along rows, kept in 1/64 level as 16-bit numbers.

    Args:
        blurs: int64, blur records.
        weights: int32.
        CHANNELS: 1, 3 or 4.
        BLOCK: pixels of a program.
    """
    place = blurs + tl.program_id(0) * _BLUR
    height, width = tl.load(place + 8).to(tl.int32), tl.load(place + 9).to(tl.int32)
    start = tl.program_id(1) * BLOCK
    if start < height * width:
        index = start + tl.arange(0, BLOCK)
        mask = index < height * width
        x, y = index % width, index // width
        kernel, size = weights + tl.load(place + 10), tl.load(place + 11).to(tl.int32)
        for c in tl.static_range(CHANNELS):
            total = tl.zeros_like(x)
            for t in range(size):
                column = mirrored(x + (t - size // 2), width)
                total += tl.load(kernel + t) * read_level(place, column, y, c, mask)
            at = tl.load(place + 7) + 8 * index.to(tl.int64) + 2 * c
            to = at.to(tl.pointer_type(tl.int16))
            tl.store(to, ((total + (1 << 7)) >> 8).to(tl.int16), mask)
