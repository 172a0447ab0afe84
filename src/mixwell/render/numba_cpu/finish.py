"""The last pass: levels as they go out; `mixwell.render.reference.finish` has the rules.

An output is described by int64 [8]: address, strides c y x in bytes, height, width, form, and
whether it is normalised. Forms: uint8, float32, float16, bfloat16, and packed pixels for a later
step.
"""

from __future__ import annotations

import numpy as np

from mixwell.render.numba_cpu.compile import part
from mixwell.render.numba_cpu.memory import (
    address_of,
    bytes_at,
    copy_longs,
    copy_words,
    floats_at,
    halves_at,
    longs_here,
    put_word,
    words_at,
)
from mixwell.render.numba_cpu.pixels import at

UINT8, FLOAT32, FLOAT16, BFLOAT16, WORDS = 0, 1, 2, 3, 4
_TOP = np.float32(255)


@part
def finished(value, scale, shift, normalized):
    """A level as it goes out, float32."""
    return value * scale + shift if normalized else value / _TOP


@part
def half_bits(value):
    """The bits of a float32 as float16, rounded half to even."""
    bits = np.int64(np.float32(value).view(np.uint32))
    sign, size = (bits >> 16) & 0x8000, bits & 0x7FFFFFFF
    if size >= 0x47800000:  # 65536 and more
        return np.uint16(sign | 0x7C00)
    if size < 0x38800000:  # below 2^-14: steps of 2^-24
        whole = np.int64(np.rint(abs(np.float64(value)) * 16777216.0))
        return np.uint16(sign | whole)
    size += 0xFFF + ((size >> 13) & 1)
    return np.uint16(sign | ((size - 0x38000000) >> 13))


@part
def brain_bits(value):
    """The bits of a float32 as bfloat16, rounded half to even."""
    bits = np.int64(np.float32(value).view(np.uint32))
    return np.uint16((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16)


@part
def store(address, form, value):
    """One float32 into memory."""
    if form == FLOAT32:
        floats_at(address, 1)[0] = value
    elif form == FLOAT16:
        halves_at(address, 1)[0] = half_bits(value)
    else:
        halves_at(address, 1)[0] = brain_bits(value)


@part
def line_of(target, y, c, spare):
    """Address where a line of floats is made: the output's if that is float32 side by side."""
    if target[6] == FLOAT32 and target[3] == 4:
        return target[0] + c * target[1] + y * target[2]
    return address_of(spare)


@part
def put_line(target, y, c, line):
    """A line of floats into an output that is not float32 side by side."""
    form, stride, width = target[6], target[3], target[5]
    begin = target[0] + c * target[1] + y * target[2]
    if form == FLOAT32:
        if stride == 4:
            return
        to, step = floats_at(begin, (width - 1) * (stride >> 2) + 1), stride >> 2
        for x in range(width):
            to[at(x * step)] = line[x]
        return
    to, step = halves_at(begin, (width - 1) * (stride >> 1) + 1), stride >> 1
    if form == BFLOAT16:
        for x in range(width):
            to[at(x * step)] = brain_bits(line[x])
    else:
        for x in range(width):
            to[at(x * step)] = half_bits(line[x])


@part
def put_levels(target, y, words, channels):
    """A line of packed pixels into a uint8 output."""
    begin, width, step = target[0] + y * target[2], target[5], target[3]
    if channels == 3 and step == 3 and target[1] == 1:
        # Whole words, each one's empty byte under the next one's first.
        for x in range(width - 1):
            put_word(begin + 3 * x, words[x])
        words = words_at(address_of(words) + 4 * (width - 1), 1)
        width, begin = 1, begin + 3 * (width - 1)
    for c in range(channels):
        to = bytes_at(begin + c * target[1], (width - 1) * step + 1)
        shift = np.uint32(8 * c)
        if step == 1:
            for x in range(width):
                to[x] = np.uint8((words[x] >> shift) & np.uint32(255))
        else:
            for x in range(width):
                to[at(x * step)] = np.uint8((words[x] >> shift) & np.uint32(255))


@part
def is_floating(target):
    """Whether an output can hold what lies between levels."""
    return target[6] != UINT8 and target[6] != WORDS


@part
def flatten(target, out):
    """The same output, as one line if its lines lie one behind the other: int64 [8] into `out`."""
    copy_longs(target, 8, out)
    if target[2] == target[5] * target[3]:
        out[4], out[5] = 1, target[4] * target[5]


@part
def put_image(target, words, channels, scales, shifts, spare):
    """An image of packed pixels into any output.

    Args:
        target: int64 [8], see the module.
        words: uint32 [h * w].
        channels: 1, 3 or 4.
        scales: float32 [4]; with shifts float32 [4] what normalises.
        spare: float32 [h * w], scratch.
    """
    wide = longs_here(1, 8)[0]
    flatten(target, wide)
    width = wide[5]
    for y in range(wide[4]):
        line = words_at(address_of(words) + 4 * y * width, width)
        put_words(wide, y, line, channels, scales, shifts, spare)


@part
def put_words(target, y, words, channels, scales, shifts, spare):
    """A line of packed pixels into any output."""
    if target[6] == UINT8:
        put_levels(target, y, words, channels)
        return
    width = target[5]
    if target[6] == WORDS:
        copy_words(address_of(words), width, target[0] + y * target[2])
        return
    if target[6] == FLOAT32 and target[3] == 4 and channels == 3 and target[7] != 0:
        begin = target[0] + y * target[2]
        red, green = floats_at(begin, width), floats_at(begin + target[1], width)
        blue = floats_at(begin + 2 * target[1], width)
        _normalized_lines(words, red, green, blue, scales, shifts)
        return
    for c in range(channels):
        line = floats_at(line_of(target, y, c, spare), width)
        shift_bits, scale, shift = np.uint32(8 * c), scales[c], shifts[c]
        if target[7] != 0:
            for x in range(width):
                level = np.float32(np.int32((words[x] >> shift_bits) & np.uint32(255)))
                line[x] = level * scale + shift
        else:
            for x in range(width):
                level = np.float32(np.int32((words[x] >> shift_bits) & np.uint32(255)))
                line[x] = level / _TOP
        put_line(target, y, c, line)


@part
def _normalized_lines(words, red, green, blue, scales, shifts):
    """The usual output: three planes in one go."""
    a, b, c = scales[0], scales[1], scales[2]
    p, q, r = shifts[0], shifts[1], shifts[2]
    for x in range(len(red)):
        word = np.int32(words[x])
        red[x] = np.float32(word & 255) * a + p
        green[x] = np.float32((word >> 8) & 255) * b + q
        blue[x] = np.float32((word >> 16) & 255) * c + r
