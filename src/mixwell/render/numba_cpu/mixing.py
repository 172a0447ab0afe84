"""Mix on packed pixels, line by line; `mixwell.render.reference.mixing` has the rules.

Most outputs are one of two simple kinds, which need no sums in memory: pixels copied from one
source or another, or two whole rows with weights.
"""

from __future__ import annotations

import numpy as np

from mixwell.plan.steps import MixMode
from mixwell.render.numba_cpu.compile import part
from mixwell.render.numba_cpu.finish import UINT8, finished, line_of, put_line, put_words
from mixwell.render.numba_cpu.memory import words_at
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
def copied(y, rows, source, mode, rect, offset, canvas, fill, out):
    """A line of a canvas whose pixels are copies."""
    width = np.int64(canvas[1])
    out[:width] = fill
    for s in range(len(mode)):
        if mode[s] == _SKIP or not rect[s, 1] <= y < rect[s, 3]:
            continue
        x0, x1 = np.int64(rect[s, 0]), np.int64(rect[s, 2])
        row = rows[source[s]]
        begin = row[0] + (y - offset[s, 1]) * row[2] + 4 * (x0 - offset[s, 0])
        out[x0:x1] = words_at(begin, x1 - x0)


@part
def units_at(mode, units, mask, y, x):
    """The weight of a source at a pixel, in 1/65536."""
    if mode <= _ADD:
        return np.int32(units)
    through = 2 * np.int32(mask[y, x])
    return through if mode == _MASK else _FULL - through


@part
def summed(y, rows, source, mode, units, rect, offset, canvas, fill, mask, channels, total):
    """A line of a canvas in 1/65536 of a level: int32 [channels, width]."""
    width = np.int64(canvas[1])
    for c in range(channels):
        total[c, :width] = np.int32(np.rint(fill[c])) * _FULL
    for s in range(len(mode)):
        if mode[s] == _SKIP or not rect[s, 1] <= y < rect[s, 3]:
            continue
        x0, x1 = np.int64(rect[s, 0]), np.int64(rect[s, 2])
        row = rows[source[s]]
        begin = row[0] + (y - offset[s, 1]) * row[2] + 4 * (x0 - offset[s, 0])
        pixels = words_at(begin, x1 - x0)
        for c in range(channels):
            line = total[c]
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
        line = total[c]
        for x in range(width):
            line[x] = min(max(line[x], 0), 255 * _FULL)


@part
def rounded(total, width, channels, out):
    """Sums to packed pixels, half to even."""
    out[:width] = 0
    for c in range(channels):
        line, shift = total[c], np.uint32(8 * c)
        for x in range(width):
            level = (line[x] + 32767 + ((line[x] >> 16) & 1)) >> 16
            out[x] |= np.uint32(level) << shift


@part
def pair_line(target, y, first, second, a, b, channels, scales, shifts, spare):
    """A line of two weighted rows into a floating output."""
    width, normalized = target[5], target[7] != 0
    for c in range(channels):
        line = line_of(target, y, c, spare)
        scale, shift, bits = scales[c], shifts[c], 8 * c
        for x in range(width):
            total = channel(first[x], bits) * a + channel(second[x], bits) * b
            total = min(total, 255 * _FULL)
            line[x] = finished(np.float32(total) * _PART, scale, shift, normalized)
        put_line(target, y, c, line)


@part
def mix_to(
    target, rows, source, mode, units, rect, offset, canvas, fill, mask, channels, scales, shifts,
    words, total, spare,
):  # fmt: skip
    """An output of a mix into its final form.

    Args:
        target: int64 [8], see `finish`.
        rows: int64 [N, 6], packed rows.
        source: int32 [S]; mode uint8 [S]; units int64 [S]; rect int32 [S, 4]; offset int32 [S, 2];
            canvas int32 [2]; fill float32 [4]; mask uint16 [H, W]: a row of `Mix`.
        channels: 1, 3 or 4.
        scales: float32 [4]; with shifts float32 [4] what normalises.
        words: uint32, a line of scratch.
        total: int32 [4, width], scratch.
        spare: float32, a line of scratch.
    """
    colour = fill_word(fill, channels)
    kind = kind_of(mode, units, rect, offset, canvas, colour == 0)
    width = np.int64(canvas[1])
    one, two, weights = _two(source, mode, units) if kind == PAIR else (0, 0, (0, 0))
    for y in range(canvas[0]):
        if kind == COPY:
            copied(y, rows, source, mode, rect, offset, canvas, colour, words)
            put_words(target, y, words, channels, scales, shifts, spare)
            continue
        if kind == PAIR and target[6] != UINT8:
            first = words_at(rows[one, 0] + y * rows[one, 2], width)
            second = words_at(rows[two, 0] + y * rows[two, 2], width)
            pair_line(
                target, y, first, second, weights[0], weights[1], channels, scales, shifts, spare
            )
            continue
        summed(y, rows, source, mode, units, rect, offset, canvas, fill, mask, channels, total)
        if target[6] == UINT8:
            rounded(total, width, channels, words)
            put_words(target, y, words, channels, scales, shifts, spare)
            continue
        for c in range(channels):
            line, sums = line_of(target, y, c, spare), total[c]
            scale, shift, normalized = scales[c], shifts[c], target[7] != 0
            for x in range(width):
                line[x] = finished(np.float32(sums[x]) * _PART, scale, shift, normalized)
            put_line(target, y, c, line)


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


@part
def mix_words(out, rows, source, mode, units, rect, offset, canvas, fill, mask, channels, total):
    """An output of a mix as packed pixels uint32 [h * w]."""
    colour = fill_word(fill, channels)
    kind = kind_of(mode, units, rect, offset, canvas, colour == 0)
    width = np.int64(canvas[1])
    for y in range(canvas[0]):
        line = out[y * width : (y + 1) * width]
        if kind == COPY:
            copied(y, rows, source, mode, rect, offset, canvas, colour, line)
        else:
            summed(y, rows, source, mode, units, rect, offset, canvas, fill, mask, channels, total)
            rounded(total, width, channels, line)
