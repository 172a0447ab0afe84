"""The last pass: numbers 0 .. 1 as they go out; `mixwell.render.reference.finish` has the rules.

Outputs are described as in `mixwell.render.numba_cpu.finish`; rows between two steps are such
outputs too, float32 and not normalised.
"""

from __future__ import annotations

import numpy as np

from mixwell.render.numba_cpu.compile import part
from mixwell.render.numba_cpu.finish import (
    BFLOAT16,
    FLOAT32,
    UINT8,
    brain_bits,
    half_bits,
)
from mixwell.render.numba_cpu.floats.lines import copy, line_at
from mixwell.render.numba_cpu.memory import address_of, bytes_at, floats_at, halves_at
from mixwell.render.numba_cpu.pixels import at


@part
def is_direct(target):
    """Whether numbers go out as float32 side by side."""
    return target[6] == FLOAT32 and target[3] == 4


@part
def put(target, c, y, line, scale, shift, spare):
    """A line, or several that lie one behind the other there too, into any output.

    Args:
        target: int64 [8], see the module.
        c: channel.
        y: line.
        line: float32, numbers 0 .. 1.
        scale: what normalises, with `shift`.
        spare: address of scratch for as many numbers.
    """
    begin, count = target[0] + c * target[1] + y * target[2], len(line)
    if target[7] != 0:
        out = floats_at(begin if is_direct(target) else spare, count)
        for x in range(count):
            out[x] = line[x] * scale + shift
        if not is_direct(target):
            stored(begin, target[3], target[6], out)
    elif is_direct(target):
        copy(address_of(line), count, begin)
    else:
        stored(begin, target[3], target[6], line)


@part
def stored(begin, stride, form, line):
    """Finished numbers into memory, `stride` bytes apart, in one of the forms."""
    count = len(line)
    if form == FLOAT32:
        step = stride >> 2
        to = floats_at(begin, (count - 1) * step + 1)
        for x in range(count):
            to[at(x * step)] = line[x]
    elif form == UINT8:
        levels = bytes_at(begin, (count - 1) * stride + 1)
        for x in range(count):
            level = np.rint(np.float64(line[x]) * 255.0)
            levels[at(x * stride)] = np.uint8(np.int32(min(max(level, 0.0), 255.0)))
    else:
        step = stride >> 1
        halves = halves_at(begin, (count - 1) * step + 1)
        if form == BFLOAT16:
            for x in range(count):
                halves[at(x * step)] = brain_bits(line[x])
        else:
            for x in range(count):
                halves[at(x * step)] = half_bits(line[x])


@part
def put_image(target, source, channels, scales, shifts, spare):
    """A whole image into any output.

    Args:
        target: int64 [8], see the module.
        source: int64 [6], see `lines.line_at`.
        channels: C.
        scales: float32 [4]; with shifts float32 [4] what normalises.
        spare: address of scratch for twice as many numbers as a plane has.
    """
    height, width = target[4], target[5]
    together = target[2] == width * target[3] and source[2] == width * source[3]
    lines, count = (1, height * width) if together else (height, width)
    for c in range(channels):
        for y in range(lines):
            line = floats_at(line_at(source, c, y, 0, count, spare), count)
            put(target, c, y, line, scales[c], shifts[c], spare + 4 * height * width)
