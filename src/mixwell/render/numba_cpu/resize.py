"""RESIZE on packed pixels; the rules are those of `mixwell.render.reference.resize`."""

from __future__ import annotations

import math

import numpy as np

from mixwell.render.numba_cpu.compile import part
from mixwell.render.numba_cpu.memory import (
    address_of,
    bytes_at,
    copy_words,
    doubles_at,
    ints_at,
    longs_at,
    put_two_pixels,
    weighted_pixels,
    words_at,
)
from mixwell.render.numba_cpu.pixels import pack_line

_BICUBIC = 2
_ONE = float(1 << 22)
SLACK = 64
"""Words that may be read, but do not count, behind a line."""


@part
def _triangle(x):
    x = abs(x)
    return 1.0 - x if x < 1.0 else 0.0


@part
def _cubic(x):
    x = abs(x)
    if x < 1.0:
        return (1.5 * x - 2.5) * x * x + 1.0
    return (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5 if x < 2.0 else 0.0


@part
def tap_count(start, stop, size, interp):
    """An even number of taps that is enough for every output pixel."""
    stretch = max(abs(stop - start) / size, 1.0)
    support = stretch * (2.0 if interp == _BICUBIC else 1.0)
    return (int(2.0 * support + 1e-6) + 2) & ~1


@part
def taps(start, stop, size, interp, count, first, exact):
    """`taps.resample_taps` in the same order of operations.

    Args:
        start: of the box, px; more than `stop` mirrors.
        stop: end of the box.
        size: output pixels.
        interp: `Interp`.
        count: `tap_count`.
        first: int64 [size], written: first pixel read.
        exact: float64 [size * count], written: weights.
    """
    low, high = min(start, stop), max(start, stop)
    origin = math.floor(low)
    inside = math.ceil(high) - int(origin)
    low, high = low - origin, high - origin
    scale = (high - low) / size
    stretch = max(scale, 1.0)
    support = (2.0 if interp == _BICUBIC else 1.0) * stretch
    inverse = 1.0 / stretch
    for i in range(size):
        centre = low + (i + 0.5) * scale
        begin = max(int(centre - support + 0.5), 0)
        end = min(int(centre + support + 0.5), inside)
        place = size - 1 - i if start > stop else i
        total = 0.0
        for t in range(count):
            weight = 0.0
            if t < end - begin:
                offset = (np.float64(t + begin) - centre + 0.5) * inverse
                weight = _cubic(offset) if interp == _BICUBIC else _triangle(offset)
            exact[place * count + t] = weight
            total += weight
        for t in range(count):
            exact[place * count + t] /= total
        first[place] = begin + int(origin)


@part
def whole(weight):
    """A weight in 1 / 2^22, half away from zero."""
    return np.int32(weight * _ONE + math.copysign(0.5, weight))


@part
def needed(exact, size, count):
    """How many of `count` taps any output pixel needs, an even number: later ones weigh nothing."""
    for t in range(count - 1, 1, -1):
        for i in range(size):
            if whole(exact[i * count + t]) != 0:
                return (t + 2) & ~1
    return min(count, 2)


@part
def across(line, first, origin, weights, count, size, out):
    """One line through its taps.

    Args:
        line: address of packed pixels from `origin` on, SLACK behind them.
        first: int64 [size].
        origin: px of the line's first pixel.
        weights: address of int32 [size, count, 4].
        count: taps, even.
        size: pixels that go out.
        out: address of uint32 [size].
    """
    to, line = words_at(out, size), line - 4 * origin
    even = size & ~1
    if count == 2:
        for x in range(0, even, 2):
            begin, end = line + 4 * first[x], line + 4 * first[x + 1]
            put_two_pixels(out + 4 * x, begin, end, weights + 32 * x, 1)
    elif count == 4:
        for x in range(0, even, 2):
            begin, end = line + 4 * first[x], line + 4 * first[x + 1]
            put_two_pixels(out + 4 * x, begin, end, weights + 64 * x, 2)
    elif count == 6:
        for x in range(0, even, 2):
            begin, end = line + 4 * first[x], line + 4 * first[x + 1]
            put_two_pixels(out + 4 * x, begin, end, weights + 96 * x, 3)
    else:
        even = 0
    for x in range(even, size):
        begin = line + 4 * first[x]
        to[x] = weighted_pixels(begin, weights + 16 * count * x, count >> 1)


@part
def down(middle, width, first, weights, count, total, out):
    """Columns through their taps: the second pass.

    Args:
        middle: address of lines of `width` packed pixels.
        width: pixels in a line.
        first: the first line that counts.
        weights: int32 [count].
        count: taps; those with weight 0 are not read.
        total: int32 [4 * width], scratch.
        out: address of uint32 [width].
    """
    lanes = 4 * width
    to = bytes_at(out, lanes)
    for t in range(0, count, 4):
        a = bytes_at(middle + (first + t) * lanes, lanes)
        b, v = _following(middle, a, first, t + 1, weights, count, lanes)
        if t + 2 >= count:
            _add_two(t == 0, a, b, weights[t], v, total)
            break
        c, w = _following(middle, a, first, t + 2, weights, count, lanes)
        d, x = _following(middle, a, first, t + 3, weights, count, lanes)
        _add_four(t == 0, a, b, c, d, weights[t], v, w, x, total)
    for j in range(lanes):
        to[j] = np.uint8(min(max(total[j] >> 22, 0), 255))


@part
def _following(middle, other, first, t, weights, count, lanes):
    """A line and its weight; a line without weight may not be there, another stands for it."""
    if t >= count or weights[t] == 0:
        return other, np.int32(0)
    return bytes_at(middle + (first + t) * lanes, lanes), weights[t]


@part
def _add_two(is_first, a, b, u, v, total):
    """Two lines with their weights, onto a half or what is there."""
    half = np.int32(1 << 21)
    for j in range(len(total)):
        added = np.int32(np.int32(a[j]) * u + np.int32(b[j]) * v)
        total[j] = added + (half if is_first else total[j])


@part
def _add_four(is_first, a, b, c, d, u, v, w, x, total):
    """Four lines with their weights, onto a half or what is there."""
    half = np.int32(1 << 21)
    for j in range(len(total)):
        above = np.int32(np.int32(a[j]) * u + np.int32(b[j]) * v)
        below = np.int32(np.int32(c[j]) * w + np.int32(d[j]) * x)
        total[j] = np.int32(above + below) + (half if is_first else total[j])


@part
def resize(source, param, size_hw, interp, channels, packed_source, room, out):
    """A box of an image, resized.

    Args:
        source: int64 [6]: address, strides c y x in bytes, height, width; `packed_source` says
            that its pixels are words.
        param: float64 [12].
        size_hw: int32 [2].
        interp: `Interp`.
        channels: 1, 3 or 4.
        packed_source: bool.
        room: uint32, scratch as `room_for` says.
        out: uint32 [h * w].
    """
    x0, y0, x1, y1 = param[0], param[1], param[2], param[3]
    height, width = np.int64(size_hw[0]), np.int64(size_hw[1])
    top = math.floor(min(y0, y1))
    left = math.floor(min(x0, x1))
    lines = math.ceil(max(y0, y1)) - top
    columns = math.ceil(max(x0, x1)) - left
    count_x, count_y = tap_count(x0, x1, width, interp), tap_count(y0, y1, height, interp)
    # Scratch, the 8-byte numbers first, so that everything is aligned.
    edge = max(width * count_x, height * count_y)
    here = address_of(room)
    exact, here = doubles_at(here, edge), here + 8 * edge
    begin_x, here = longs_at(here, width), here + 8 * width
    begin_y, here = longs_at(here, height), here + 8 * height
    table, here = here, here + 16 * width * count_x
    weight_y, here = here, here + 4 * height * count_y
    total, here = ints_at(here, 4 * width), here + 16 * width
    line, here = here, here + 4 * (columns + SLACK + count_x)
    middle = here
    taps(x0, x1, width, interp, count_x, begin_x, exact)
    need_x = needed(exact, width, count_x)
    weights = ints_at(table, 4 * width * need_x)
    for x in range(width):
        for t in range(need_x):
            weight = whole(exact[x * count_x + t])
            for j in range(4):
                weights[4 * (x * need_x + t) + j] = weight
    taps(y0, y1, height, interp, count_y, begin_y, exact)
    need_y = needed(exact, height, count_y)
    weights = ints_at(weight_y, height * need_y)
    for y in range(height):
        for t in range(need_y):
            weights[y * need_y + t] = whole(exact[y * count_y + t])
    for y in range(lines):
        begin = source[0] + (top + y) * source[2] + left * source[3]
        if packed_source:
            copy_words(begin, columns, line)
        else:
            pack_line(begin, source[1], source[3], channels, columns, words_at(line, columns))
        across(line, begin_x, left, table, need_x, width, middle + 4 * y * width)
    for y in range(height):
        weights = ints_at(weight_y + 4 * y * need_y, need_y)
        to = address_of(out) + 4 * y * width
        down(middle, width, begin_y[y] - top, weights, need_y, total, to)


def room_for(span_hw: np.ndarray, size_hw: np.ndarray) -> int:
    """Words of scratch that `resize` needs for the largest of some boxes.

    Args:
        span_hw: float64 [n, 2], heights and widths of boxes, px.
        size_hw: int64 [n, 2], of the outputs.
    """
    if not len(span_hw):
        return 0
    taps_hw = np.ceil(4 * np.maximum(span_hw / size_hw, 1.0)).astype(np.int64) + 4
    edge = (taps_hw * size_hw).max(axis=1)
    height, width = size_hw.T
    words = 2 * edge + 2 * (height + width) + 4 * width * taps_hw[:, 1] + edge + 4 * width
    lines, columns = np.ceil(span_hw).astype(np.int64).T + 2
    words += columns + SLACK + taps_hw[:, 1] + lines * width
    return int(words.max()) + 16
