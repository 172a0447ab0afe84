"""Mix on packed pixels, line by line; `mixwell.render.reference.mixing` has the rules.

Most outputs are one of two simple kinds, which need no sums in memory: pixels copied from one
source or another, or two whole rows with weights.
"""

from __future__ import annotations

import numpy as np

from mixwell.plan.steps import MixMode
from mixwell.render.numba_cpu.compile import part
from mixwell.render.numba_cpu.finish import (
    FLOAT32,
    finished,
    flatten,
    is_floating,
    line_of,
    put_line,
    put_words,
)
from mixwell.render.numba_cpu.memory import (
    address_of,
    copy_longs,
    fill_words,
    floats_at,
    ints_at,
    longs_here,
    words_at,
)
from mixwell.render.numba_cpu.pixels import at, channel, fill_word

_SKIP, _PASTE, _ADD = int(MixMode.SKIP), int(MixMode.PASTE), int(MixMode.ADD)
_MASK = int(MixMode.MASK)
_FULL = 1 << 16
_PART = np.float32(1.0 / 65536)
COPY, PAIR, SUM = 0, 1, 2


@part
def kind_of(mode, units, rect, offset, canvas, empty):
    """COPY, PAIR or SUM; `empty`: the canvas starts black."""
    used, whole, copies = 0, True, True
    for s in range(len(mode)):
        if mode[s] == _SKIP:
            continue
        full = rect[s, 0] == 0 and rect[s, 1] == 0 and rect[s, 2] == canvas[1]
        full = full and rect[s, 3] == canvas[0] and offset[s, 0] == 0 and offset[s, 1] == 0
        whole = whole and full and mode[s] == _ADD
        alone = mode[s] == _ADD and units[s] == _FULL and used == 0 and empty
        copies = copies and (alone or mode[s] == _PASTE)
        used += 1
    if copies:
        return COPY
    return PAIR if used == 2 and whole and empty else SUM


@part
def units_at(mode, units, mask, y, x):
    """The weight of a source at a pixel, in 1/65536."""
    if mode <= _ADD:
        return np.int32(units)
    through = 2 * np.int32(mask[y, x])
    return through if mode == _MASK else _FULL - through


@part
def summed(y, rows, source, mode, units, rect, offset, canvas, fill, mask, channels, total):
    """A line of a canvas in 1/65536 of a level: int32 [channels, width], one behind the other."""
    width = np.int64(canvas[1])
    for c in range(channels):
        line = ints_at(sums_of(total, c, width), width)
        colour = np.int32(np.rint(fill[c])) * _FULL
        for x in range(width):
            line[x] = colour
    for s in range(len(mode)):
        if mode[s] == _SKIP or not rect[s, 1] <= y < rect[s, 3]:
            continue
        x0, x1 = np.int64(rect[s, 0]), np.int64(rect[s, 2])
        row = rows[source[s]]
        begin = row[0] + (y - offset[s, 1]) * row[2] + 4 * (x0 - offset[s, 0])
        pixels = words_at(begin, x1 - x0)
        for c in range(channels):
            line = ints_at(sums_of(total, c, width), width)
            if mode[s] == _PASTE:
                for x in range(x1 - x0):
                    line[at(x0 + x)] = channel(pixels[x], 8 * c) << 16
            elif mode[s] == _ADD:
                weight = np.int32(units[s])
                for x in range(x1 - x0):
                    line[at(x0 + x)] += channel(pixels[x], 8 * c) * weight
            else:
                for x in range(x1 - x0):
                    weight = units_at(mode[s], units[s], mask, y, x0 + x)
                    line[at(x0 + x)] += channel(pixels[x], 8 * c) * weight
    for c in range(channels):
        line = ints_at(sums_of(total, c, width), width)
        for x in range(width):
            line[x] = min(max(line[x], np.int32(0)), np.int32(255 * _FULL))


@part
def sums_of(total, c, width):
    """Address of the sums of one channel."""
    return address_of(total) + 4 * c * width


@part
def rounded(total, width, channels, out):
    """Sums to packed pixels, half to even."""
    for x in range(width):
        out[x] = 0
    for c in range(channels):
        line, shift = ints_at(sums_of(total, c, width), width), np.uint32(8 * c)
        for x in range(width):
            level = (line[x] + 32767 + ((line[x] >> 16) & 1)) >> 16
            out[x] |= np.uint32(level) << shift


@part
def pair_line(target, y, first, second, a, b, channels, scales, shifts, spare):
    """A line of two weighted rows into a floating output."""
    width, normalized = target[5], target[7] != 0
    if target[6] == FLOAT32 and target[3] == 4 and channels == 3 and normalized:
        begin = target[0] + y * target[2]
        red, green = floats_at(begin, width), floats_at(begin + target[1], width)
        blue = floats_at(begin + 2 * target[1], width)
        _normalized_pair(first, second, a, b, red, green, blue, scales, shifts)
        return
    for c in range(channels):
        line = floats_at(line_of(target, y, c, spare), width)
        scale, shift, bits = scales[c], shifts[c], 8 * c
        for x in range(width):
            total = np.int32(channel(first[x], bits) * a + channel(second[x], bits) * b)
            total = min(total, np.int32(255 * _FULL))
            line[x] = finished(np.float32(total) * _PART, scale, shift, normalized)
        put_line(target, y, c, line)


@part
def _normalized_pair(first, second, a, b, red, green, blue, scales, shifts):
    """The usual output: three planes in one go."""
    i, j, k = scales[0], scales[1], scales[2]
    p, q, r = shifts[0], shifts[1], shifts[2]
    top = np.int32(255 * _FULL)
    for x in range(len(red)):
        one, two = np.int32(first[x]), np.int32(second[x])
        total = min(np.int32((one & 255) * a + (two & 255) * b), top)
        red[x] = np.float32(total) * _PART * i + p
        total = min(np.int32(((one >> 8) & 255) * a + ((two >> 8) & 255) * b), top)
        green[x] = np.float32(total) * _PART * j + q
        total = min(np.int32(((one >> 16) & 255) * a + ((two >> 16) & 255) * b), top)
        blue[x] = np.float32(total) * _PART * k + r


@part
def mix_to(
    target, rows, source, mode, units, rect, offset, canvas, fill, mask, channels, scales, shifts,
    words, total, spare,
):  # fmt: skip
    """An output of a mix, packed or in its final form.

    Args:
        target: int64 [8], see `finish`.
        rows: int64 [N, 6], packed rows.
        source: int32 [S]; mode uint8 [S]; units int64 [S]; rect int32 [S, 4]; offset int32 [S, 2];
            canvas int32 [2]; fill float32 [4]; mask uint16 [H, W]: a row of `Mix`.
        channels: 1, 3 or 4.
        scales: float32 [4]; with shifts float32 [4] what normalises.
        words: uint32 [h * w], scratch.
        total: int32 [4 * width], scratch.
        spare: float32 [h * w], scratch.
    """
    colour = fill_word(fill, channels)
    kind = kind_of(mode, units, rect, offset, canvas, colour == 0)
    width = np.int64(canvas[1])
    if kind == COPY:
        _copy(
            target, rows, source, mode, rect, offset, canvas, colour, channels, scales, shifts,
            words, spare,
        )  # fmt: skip
        return
    if kind == PAIR and is_floating(target):
        _pair(target, rows, source, mode, units, channels, scales, shifts, spare)
        return
    for y in range(np.int64(canvas[0])):
        summed(y, rows, source, mode, units, rect, offset, canvas, fill, mask, channels, total)
        if not is_floating(target):
            rounded(total, width, channels, words)
            put_words(target, y, words, channels, scales, shifts, spare)
            continue
        for c in range(channels):
            line = floats_at(line_of(target, y, c, spare), width)
            sums = ints_at(sums_of(total, c, width), width)
            scale, shift, normalized = scales[c], shifts[c], target[7] != 0
            for x in range(width):
                line[x] = finished(np.float32(sums[x]) * _PART, scale, shift, normalized)
            put_line(target, y, c, line)


@part
def _copy(
    target, rows, source, mode, rect, offset, canvas, fill, channels, scales, shifts, words, spare
):
    """Copied pixels into any output, one rectangle over the other."""
    height, width = np.int64(canvas[0]), np.int64(canvas[1])
    tight = target[2] == width * target[3]
    piece, empty, top = longs_here(1, 8)[0], True, np.int64(0)
    copy_longs(target, 8, piece)
    for s in range(len(mode) + 1):
        last = s == len(mode)
        if not last and mode[s] == _SKIP:
            continue
        x0, y0, x1, y1 = np.int64(0), np.int64(0), width, height
        if not last:
            x0, y0 = np.int64(rect[s, 0]), np.int64(rect[s, 1])
            x1, y1 = np.int64(rect[s, 2]), np.int64(rect[s, 3])
        if empty and (last or x1 - x0 != width or y1 - y0 != height):
            fill_words(address_of(words), width, fill)
            line = words_at(address_of(words), width)
            piece[4], piece[5] = 1, width
            for y in range(height):
                piece[0] = target[0] + y * target[2]
                put_words(piece, top, line, channels, scales, shifts, spare)
        empty = False
        if last or x1 <= x0:
            continue
        row = rows[source[s]]
        begin = row[0] + (y0 - offset[s, 1]) * row[2] + 4 * (x0 - offset[s, 0])
        lines, length = max(y1 - y0, 0), x1 - x0
        if tight and length == width and row[2] == 4 * width:  # one long line
            lines, length = min(lines, 1), lines * length
        piece[4], piece[5] = 1, length
        for y in range(lines):
            piece[0] = target[0] + (y0 + y) * target[2] + x0 * target[3]
            pixels = words_at(begin + y * row[2], length)
            put_words(piece, top, pixels, channels, scales, shifts, spare)


@part
def _pair(target, rows, source, mode, units, channels, scales, shifts, spare):
    """Two whole rows with weights into a floating output."""
    one, two, weights = _two(source, mode, units)
    step_one, step_two = rows[one, 2], rows[two, 2]
    # Rows may be larger than the canvas.
    tight = step_one == 4 * target[5] and step_two == 4 * target[5]
    wide = longs_here(1, 8)[0]
    copy_longs(target, 8, wide)
    if tight:
        flatten(target, wide)
    width = wide[5]
    for y in range(wide[4]):
        first = words_at(rows[one, 0] + y * step_one, width)
        second = words_at(rows[two, 0] + y * step_two, width)
        pair_line(wide, y, first, second, weights[0], weights[1], channels, scales, shifts, spare)


@part
def _two(source, mode, units):
    """Rows and weights of the two sources of a PAIR."""
    one, two, a, b = -1, 0, 0, 0
    for s in range(len(mode)):
        if mode[s] != _SKIP:
            if one < 0:
                one, a = np.int64(source[s]), np.int64(units[s])
            else:
                two, b = np.int64(source[s]), np.int64(units[s])
    return one, two, (np.int32(a), np.int32(b))
