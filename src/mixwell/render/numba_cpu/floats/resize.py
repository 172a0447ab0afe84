"""RESIZE on planes; the rules are those of `mixwell.render.reference.resize`."""

from __future__ import annotations

import math

import numpy as np

from mixwell.render.numba_cpu.compile import part
from mixwell.render.numba_cpu.floats.lines import add_four, clip, line_at
from mixwell.render.numba_cpu.memory import doubles_at, floats_at, longs_at
from mixwell.render.numba_cpu.pixels import at
from mixwell.render.numba_cpu.resize import tap_count, taps

_ZERO = np.float32(0)


@part
def resize(source, param, size_hw, interp, channels, room, out):
    """A box of an image, resized.

    Args:
        source: int64 [6]: address, strides c y x in bytes, height, width.
        param: float64 [12].
        size_hw: int32 [2].
        interp: `Interp`.
        channels: C.
        room: address of scratch, as `room_for` says.
        out: address of planes float32 [channels, h, w].
    """
    x0, y0, x1, y1 = param[0], param[1], param[2], param[3]
    height, width = np.int64(size_hw[0]), np.int64(size_hw[1])
    top = math.floor(min(y0, y1))
    left = math.floor(min(x0, x1))
    lines = math.ceil(max(y0, y1)) - top
    columns = math.ceil(max(x0, x1)) - left
    count_x, count_y = tap_count(x0, x1, width, interp), tap_count(y0, y1, height, interp)
    # Scratch, the 8-byte numbers first, so that everything is aligned.
    edge, here = max(width * count_x, height * count_y), room
    exact, here = doubles_at(here, edge), here + 8 * edge
    begin_x, here = longs_at(here, width), here + 8 * width
    begin_y, here = longs_at(here, height), here + 8 * height
    weight_x, here = floats_at(here, width * count_x), here + 4 * width * count_x
    weights_down, here = here, here + 4 * height * count_y
    weight_y = floats_at(weights_down, height * count_y)
    wide = columns + count_x
    four, here = here, here + 16 * wide
    middle = here
    taps(x0, x1, width, interp, count_x, begin_x, exact)
    for i in range(width * count_x):
        weight_x[i] = np.float32(exact[i])
    for x in range(width):
        begin_x[x] -= left
    taps(y0, y1, height, interp, count_y, begin_y, exact)
    for i in range(height * count_y):
        weight_y[i] = np.float32(exact[i])
    for c in range(channels):
        for y in range(0, lines, 4):
            for k in range(4):
                row = top + min(y + k, lines - 1)
                _load(source, c, row, left, columns, wide, four + 4 * k * wide)
            _across(four, wide, begin_x, weight_x, count_x, width, middle + 4 * y * width)
        for y in range(height):
            to = floats_at(out + 4 * (c * height + y) * width, width)
            begin = middle + 4 * (begin_y[y] - top) * width
            weights = floats_at(weights_down + 4 * y * count_y, count_y)
            _down(begin, width, weights, to)


@part
def _load(source, c, y, x, count, wide, out):
    """A part of a line, with zeros behind it: what does not count must not be NaN."""
    line = floats_at(out, wide)
    given = floats_at(line_at(source, c, y, x, count, out), count)
    for i in range(count):
        line[i] = given[i]
    for i in range(count, wide):
        line[at(i)] = _ZERO


@part
def _across(four, wide, first, weights, count, size, out):
    """Four lines through their taps.

    Args:
        four: address of four lines float32, `wide` apart, zeros behind their pixels.
        wide: numbers from line to line.
        first: int64 [size].
        weights: float32 [size * count].
        count: taps.
        size: pixels that go out.
        out: address of four lines float32 [size].
    """
    a, b = floats_at(four, wide), floats_at(four + 4 * wide, wide)
    c, d = floats_at(four + 8 * wide, wide), floats_at(four + 12 * wide, wide)
    e, f = floats_at(out, size), floats_at(out + 4 * size, size)
    g, h = floats_at(out + 8 * size, size), floats_at(out + 12 * size, size)
    for x in range(size):
        i, j = first[x], x * count
        p, q, r, s = _ZERO, _ZERO, _ZERO, _ZERO
        for t in range(count):
            weight = weights[at(j + t)]
            p += a[at(i + t)] * weight
            q += b[at(i + t)] * weight
            r += c[at(i + t)] * weight
            s += d[at(i + t)] * weight
        e[x], f[x], g[x], h[x] = p, q, r, s


@part
def _down(begin, width, weights, out):
    """Lines through their taps: the second pass; lines with weight 0 are not read.

    Args:
        begin: address of the first line that counts.
        width: numbers from line to line.
        weights: float32 [count].
        out: float32 [width].
    """
    for t in range(0, len(weights), 4):
        u = weights[t]
        a = floats_at(begin + (4 * t * width if u != _ZERO else 0), width)
        b, v = _following(begin, a, t + 1, weights, width)
        c, w = _following(begin, a, t + 2, weights, width)
        d, x = _following(begin, a, t + 3, weights, width)
        if t > 0 and u == _ZERO and v == _ZERO and w == _ZERO and x == _ZERO:
            continue
        add_four(t == 0, a, b, c, d, u, v, w, x, out)
    clip(out)


@part
def _following(begin, other, t, weights, width):
    """A line and its weight; a line without weight may not be there, another stands for it."""
    if t >= len(weights) or weights[t] == _ZERO:
        return other, _ZERO
    return floats_at(begin + 4 * t * width, width), weights[t]


def room_for(span_hw: np.ndarray, size_hw: np.ndarray) -> int:
    """Words of scratch that `resize` needs for the largest of some boxes.

    Args:
        span_hw: float64 [n, 2], heights and widths of boxes, px.
        size_hw: int64 [n, 2], of the outputs.
    """
    if not len(span_hw):
        return 0
    taps_hw = np.ceil(4 * np.maximum(span_hw / size_hw, 1.0)).astype(np.int64) + 4
    needed = taps_hw * size_hw
    lines, columns = np.ceil(span_hw).astype(np.int64).T + 2
    words = 2 * needed.max(axis=1) + 2 * size_hw.sum(axis=1) + needed.sum(axis=1)
    words += 4 * (columns + taps_hw[:, 1]) + (lines + 4) * size_hw[:, 1]
    return int(words.max()) + 16
