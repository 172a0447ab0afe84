"""Sharpness and blur on planes; `mixwell.render.reference.filters` has the rules."""

from __future__ import annotations

import numpy as np

from mixwell.render.numba_cpu.compile import part
from mixwell.render.numba_cpu.filters import mirrored
from mixwell.render.numba_cpu.floats.lines import add_four, clip, clipped, copy
from mixwell.render.numba_cpu.memory import floats_at
from mixwell.render.numba_cpu.pixels import at

_CENTRE, _SHARE = np.float32(4), np.float32(1.0 / 13.0)


@part
def sharpness(source, height, width, value, out):
    """One plane: a blend of the smoothed one and itself; the border stays.

    Args:
        source: address of float32 [height, width].
        height: px, at least 3.
        width: px, at least 3.
        value: factor.
        out: address of float32 [height, width].
    """
    weight, rest, last = np.float32(value), np.float32(1.0 - value), 4 * (height - 1) * width
    copy(source, width, out)
    copy(source + last, width, out + last)
    for y in range(1, height - 1):
        begin = source + 4 * y * width
        above, here = floats_at(begin - 4 * width, width), floats_at(begin, width)
        below, to = floats_at(begin + 4 * width, width), floats_at(out + 4 * y * width, width)
        to[0], to[width - 1] = here[0], here[width - 1]
        for x in range(width - 2):
            centre = here[x + 1]
            total = _CENTRE * centre + above[x] + above[x + 1] + above[x + 2]
            total = total + here[x] + centre + here[x + 2]
            total = total + below[x] + below[x + 1] + below[x + 2]
            to[x + 1] = clipped(centre * weight + (total * _SHARE) * rest)


@part
def blur(source, height, width, weights, size, room, out):
    """One plane: a kernel along x, then along y; the border reflects.

    Args:
        source: address of float32 [height, width].
        height: px.
        width: px.
        weights: float32 [size].
        size: odd number of taps.
        room: address of scratch for float32 [height, width] and width + size numbers.
        out: address of float32 [height, width].
    """
    reach = size // 2
    edge = room + 4 * height * width
    wide = floats_at(edge, width + 2 * reach)
    for y in range(height):
        line = floats_at(source + 4 * y * width, width)
        for x in range(reach):
            wide[x] = line[mirrored(x - reach, width)]
            wide[at(width + reach + x)] = line[mirrored(width + x, width)]
        copy(source + 4 * y * width, width, edge + 4 * reach)
        to = floats_at(room + 4 * y * width, width)
        for t in range(0, size, 4):
            a, u = floats_at(edge + 4 * t, width), weights[t]
            b, v = _along(edge, t + 1, weights, size, width)
            c, w = _along(edge, t + 2, weights, size, width)
            d, x = _along(edge, t + 3, weights, size, width)
            add_four(t == 0, a, b, c, d, u, v, w, x, to)
    for y in range(height):
        to, first = floats_at(out + 4 * y * width, width), y - reach
        for t in range(0, size, 4):
            a = floats_at(room + 4 * mirrored(first + t, height) * width, width)
            b, v = _beside(room, first, t + 1, weights, size, height, width)
            c, w = _beside(room, first, t + 2, weights, size, height, width)
            d, x = _beside(room, first, t + 3, weights, size, height, width)
            add_four(t == 0, a, b, c, d, weights[t], v, w, x, to)
        clip(to)


@part
def _along(edge, t, weights, size, width):
    """A line from tap t on, and its weight; behind the last tap any line, without weight."""
    if t >= size:
        return floats_at(edge, width), np.float32(0)
    return floats_at(edge + 4 * t, width), weights[t]


@part
def _beside(middle, first, t, weights, size, height, width):
    """The line under tap t, and its weight; behind the last tap any line, without weight."""
    weight = weights[t] if t < size else np.float32(0)
    row = mirrored(first + min(t, size - 1), height)
    return floats_at(middle + 4 * row * width, width), weight
