"""Lines of float32 at addresses: the loops that more than one op needs."""

from __future__ import annotations

import numpy as np

from mixwell.render.numba_cpu.compile import inlined, part
from mixwell.render.numba_cpu.memory import floats_at
from mixwell.render.numba_cpu.pixels import at

ZERO, UNIT = np.float32(0), np.float32(1)


@inlined
def clipped(value):
    """A number held within 0 .. 1."""
    return min(max(value, ZERO), UNIT)


@part
def copy(source, count, out):
    """`count` numbers from one address to another."""
    given, to = floats_at(source, count), floats_at(out, count)
    for i in range(count):
        to[i] = given[i]


@part
def line_at(source, c, y, x, count, spare):
    """Address of `count` pixels of an image's line from column x on, side by side.

    Args:
        source: int64 [6]: address, strides c y x in bytes, height, width.
        c: channel.
        y: line.
        x: first column.
        count: pixels; more than a line holds if lines lie one behind the other.
        spare: address of scratch for `count` numbers, used where pixels lie apart.
    """
    stride = source[3]
    begin = source[0] + c * source[1] + y * source[2] + x * stride
    if stride == 4:
        return begin
    line = floats_at(spare, count)
    if stride % 4 == 0:
        step = stride >> 2
        given = floats_at(begin, (count - 1) * step + 1)
        for i in range(count):
            line[i] = given[at(i * step)]
        return spare
    for i in range(count):
        line[i] = floats_at(begin + i * stride, 1)[0]
    return spare


@part
def is_tight(source, channels):
    """Whether planes lie one behind the other without gaps, and so do their lines."""
    line = 4 * source[5]
    planes = channels == 1 or source[1] == line * source[4]
    return planes and source[3] == 4 and (source[4] == 1 or source[2] == line)


@part
def add_four(fresh, a, b, c, d, u, v, w, x, out):
    """a u + b v + c w + d x, from left to right, behind what `out` holds if it is not fresh."""
    if fresh:
        for j in range(len(out)):
            out[j] = ((a[j] * u + b[j] * v) + c[j] * w) + d[j] * x
    else:
        for j in range(len(out)):
            out[j] = (((out[j] + a[j] * u) + b[j] * v) + c[j] * w) + d[j] * x


@part
def clip(line):
    """A line held within 0 .. 1."""
    for x in range(len(line)):
        line[x] = clipped(line[x])
