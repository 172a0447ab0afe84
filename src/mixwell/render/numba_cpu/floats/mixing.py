"""Mix on planes; `mixwell.render.reference.mixing` has the rules.

A canvas is cut into bands of lines in which the same sources take part. A band of one whole row, or
of two with weights, needs no sums in memory and is read from where the rows lie.
"""

from __future__ import annotations

import numpy as np

from mixwell.plan.steps import MixMode
from mixwell.render.numba_cpu.compile import part
from mixwell.render.numba_cpu.floats.finish import is_direct, put, stored
from mixwell.render.numba_cpu.floats.lines import line_at
from mixwell.render.numba_cpu.memory import floats_at
from mixwell.render.numba_cpu.mixing import units_at

_SKIP, _PASTE, _ADD = int(MixMode.SKIP), int(MixMode.PASTE), int(MixMode.ADD)
_PART, _ZERO, _UNIT = np.float32(1.0 / 65536), np.float32(0), np.float32(1)
_FAR = np.float32(np.inf)


@part
def mix_to(
    target, rows, source, mode, units, rect, offset, canvas, fill, mask, loose, channels, scales,
    shifts, total, spare, other,
):  # fmt: skip
    """An output of a mix into its final form.

    Args:
        target: int64 [8], see `finish`.
        rows: int64 [N, 6], see `lines.line_at`.
        source: int32 [S]; mode uint8 [S]; units int64 [S]; rect int32 [S, 4]; offset int32 [S, 2];
            canvas int32 [2]; fill float32 [4]; mask uint16 [H, W]: a row of `Mix`.
        loose: whether the output is not held within 0 .. 1.
        channels: C.
        scales: float32 [4]; with shifts float32 [4] what normalises.
        total: address of scratch for the canvas's pixels; spare another, other another.
    """
    height, y = np.int64(canvas[0]), np.int64(0)
    while y < height:
        until, first, used, whole = _band(y, mode, rect, canvas)
        if 1 <= used <= 2 and whole:
            _whole_rows(
                target, rows, source, mode, units, rect, offset, fill, loose, channels, scales,
                shifts, total, spare, other, y, until, first,
            )  # fmt: skip
            y = until
            continue
        for row in range(y, until):
            _sums(
                target, rows, source, mode, units, rect, offset, canvas, fill, mask, loose,
                channels, scales, shifts, total, spare, row, first,
            )  # fmt: skip
        y = until


@part
def _band(y, mode, rect, canvas):
    """Lines from y on in which the same sources take part.

    Returns:
        The first line behind them; the first source that is not painted over; how many take part
        from that one on; whether each of them is as wide as the canvas and none has a mask or is
        pasted on another.
    """
    until, first, used, whole = np.int64(canvas[0]), 0, 0, True
    for s in range(len(mode)):
        if mode[s] == _SKIP:
            continue
        top, bottom = np.int64(rect[s, 1]), np.int64(rect[s, 3])
        if top > y:
            until = min(until, top)
        elif bottom > y:
            until = min(until, bottom)
            wide = rect[s, 0] == 0 and rect[s, 2] == canvas[1]
            if mode[s] == _PASTE and wide:
                first, used, whole = s, 0, True
            used += 1
            whole = whole and wide and (mode[s] == _ADD or (mode[s] == _PASTE and used == 1))
    return until, first, used, whole


@part
def _whole_rows(
    target, rows, source, mode, units, rect, offset, fill, loose, channels, scales, shifts, total,
    spare, other, y, until, first,
):  # fmt: skip
    """A band of one or two rows, each as wide as the canvas."""
    one, two = -1, -1
    for s in range(first, len(mode)):
        if mode[s] != _SKIP and rect[s, 1] <= y < rect[s, 3]:
            if one < 0:
                one = s
            else:
                two = s
    width = target[5]
    tight = target[2] == width * target[3] and _is_dense(rows[source[one]], width)
    if two >= 0:
        tight = tight and _is_dense(rows[source[two]], width)
    step = until - y if tight else 1
    a = np.float32(units[one]) * _PART
    b = np.float32(units[max(two, 0)]) * _PART
    pasted, count = mode[one] == _PASTE, step * width
    for c in range(channels):
        base = _ZERO if pasted else fill[c]
        for row in range(y, until, step):
            left = floats_at(_shown(rows, source, offset, one, c, row, count, total), count)
            if two < 0 and a == _UNIT and base == _ZERO:
                put(target, c, row, left, scales[c], shifts[c], spare)
                continue
            if two < 0:
                _one(target, c, row, left, a, base, loose, scales[c], shifts[c], spare)
                continue
            right = floats_at(_shown(rows, source, offset, two, c, row, count, other), count)
            _two(target, c, row, left, right, a, b, base, loose, scales[c], shifts[c], spare)


@part
def _is_dense(row, width):
    """Whether a row's lines lie one behind the other and are as wide as the canvas."""
    return row[5] == width and row[2] == width * row[3]


@part
def _shown(rows, source, offset, s, c, y, count, spare):
    """Address of lines of a source that is as wide as the canvas."""
    row = rows[source[s]]
    dx, dy = np.int64(offset[s, 0]), np.int64(offset[s, 1])
    return line_at(row, c, y - dy, -dx, count, spare)


@part
def _limits(loose):
    return (-_FAR, _FAR) if loose else (_ZERO, _UNIT)


@part
def _normal(target, scale, shift):
    """What finishes a number: a product and a sum that change nothing where none is asked for."""
    return (scale, shift) if target[7] != 0 else (_UNIT, _ZERO)


@part
def _one(target, c, y, given, a, base, loose, scale, shift, spare):
    """base + given a."""
    begin, count = target[0] + c * target[1] + y * target[2], len(given)
    out = floats_at(begin if is_direct(target) else spare, count)
    low, high = _limits(loose)
    scale, shift = _normal(target, scale, shift)
    for x in range(count):
        out[x] = min(max(given[x] * a + base, low), high) * scale + shift
    if not is_direct(target):
        stored(begin, target[3], target[6], out)


@part
def _two(target, c, y, left, right, a, b, base, loose, scale, shift, spare):
    """base + left a + right b."""
    begin, count = target[0] + c * target[1] + y * target[2], len(left)
    out = floats_at(begin if is_direct(target) else spare, count)
    low, high = _limits(loose)
    scale, shift = _normal(target, scale, shift)
    for x in range(count):
        mixed = right[x] * b + (left[x] * a + base)
        out[x] = min(max(mixed, low), high) * scale + shift
    if not is_direct(target):
        stored(begin, target[3], target[6], out)


@part
def _sums(
    target, rows, source, mode, units, rect, offset, canvas, fill, mask, loose, channels, scales,
    shifts, total, spare, y, first,
):  # fmt: skip
    """A line of any mix, from the source `first` on."""
    width = np.int64(canvas[1])
    line = floats_at(total, width)
    low, high = _limits(loose)
    for c in range(channels):
        untouched = True
        for s in range(first, len(mode)):
            if mode[s] == _SKIP or not rect[s, 1] <= y < rect[s, 3]:
                continue
            x0, count = np.int64(rect[s, 0]), np.int64(rect[s, 2]) - np.int64(rect[s, 0])
            if count <= 0:
                continue
            left, row = x0 - np.int64(offset[s, 0]), y - np.int64(offset[s, 1])
            given = floats_at(line_at(rows[source[s]], c, row, left, count, spare), count)
            weight = np.float32(units[s]) * _PART
            if untouched and count == width and mode[s] == _ADD:
                base, untouched = fill[c], False
                for x in range(width):
                    line[x] = given[x] * weight + base
                continue
            if untouched and not (count == width and mode[s] == _PASTE):
                _filled(line, fill[c])
            untouched = False
            part_line = floats_at(total + 4 * x0, count)
            if mode[s] == _PASTE:
                for x in range(count):
                    part_line[x] = given[x]
            elif mode[s] == _ADD:
                for x in range(count):
                    part_line[x] = given[x] * weight + part_line[x]
            else:
                for x in range(count):
                    through = units_at(mode[s], units[s], mask, y, x0 + x)
                    part_line[x] = given[x] * (np.float32(through) * _PART) + part_line[x]
        if untouched:
            _filled(line, fill[c])
        for x in range(width):
            line[x] = min(max(line[x], low), high)
        put(target, c, y, line, scales[c], shifts[c], spare)


@part
def _filled(line, colour):
    for x in range(len(line)):
        line[x] = colour
