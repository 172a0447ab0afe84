"""WARP and CLIP on planes; the rules are those of `mixwell.render.reference.warp`.

For each line of the output, positions become places and weights once, which all channels use.
"""

from __future__ import annotations

import numpy as np

from mixwell.render.numba_cpu.compile import part
from mixwell.render.numba_cpu.floats.lines import clipped
from mixwell.render.numba_cpu.memory import floats_at, longs_at
from mixwell.render.numba_cpu.pixels import at
from mixwell.render.numba_cpu.warp import fixed, is_affine, is_lattice, looked_at, perspective, span

_NEAREST, _BILINEAR = 0, 1
_HALF, _LOW = np.int64(1 << 31), np.int64((1 << 32) - 1)
_PART = np.float32(2.0**-32)
_UNIT, _TWO, _HALVES = np.float32(1), np.float32(2), np.float32(0.5)
_THREE_HALVES, _FIVE_HALVES = np.float32(1.5), np.float32(2.5)
ROOM = 28
"""Words of scratch for each pixel of a line."""


@part
def warp(source, height, width, channels, m, size_hw, interp, fill, room, out):
    """An image through its matrix.

    Args:
        source: address of planes float32 [channels, height, width].
        height: px.
        width: px.
        channels: C.
        m: float64 [12], `dst_to_src` in the first nine.
        size_hw: int32 [2], of the output.
        interp: `Interp`.
        fill: float32 [4].
        room: address of scratch, see ROOM.
        out: address of planes float32 [channels, h, w].
    """
    out_h, out_w = np.int64(size_hw[0]), np.int64(size_hw[1])
    if is_lattice(m):
        if m[1] == 0.0:
            _shifted(source, height, width, channels, m, out_h, out_w, fill, out)
            return
        interp = _NEAREST
    affine = is_affine(m)
    numbers = _numbers(m, out_h, out_w)
    u, v = longs_at(room, out_w), longs_at(room + 8 * out_w, out_w)
    places, weights = room + 16 * out_w, room + 80 * out_w
    for y in range(out_h):
        low, high = _positions(numbers, affine, y, width, height, out_w, u, v)
        if interp == _NEAREST:
            _nearest_places(u, v, low, high, width, places)
        elif interp == _BILINEAR:
            _bilinear_places(u, v, low, high, height, width, places, weights)
        else:
            _bicubic_places(u, v, low, high, height, width, places, weights)
        for c in range(channels):
            pixels = floats_at(source + 4 * c * height * width, height * width)
            line = floats_at(out + 4 * (c * out_h + y) * out_w, out_w)
            colour = fill[c]
            for x in range(low):
                line[x] = colour
            for x in range(high, out_w):
                line[at(x)] = colour
            if interp == _NEAREST:
                _nearest(pixels, places, low, high, line)
            elif interp == _BILINEAR:
                _bilinear(pixels, places, weights, low, high, line)
            else:
                _bicubic(pixels, places, weights, low, high, line)
            if not affine:
                for x in range(out_w):
                    line[x] = colour if u[x] < 0 else line[x]


@part
def _numbers(m, height, width):
    """Steps and starts of x, y and the denominator in fixed point."""
    none = np.int64(0)
    if is_affine(m):
        return (
            fixed(m[0], m[1], m[2], 32),
            fixed(m[3], m[4], m[5], 32),
            (none, none, none),
        )
    return perspective(m, height, width)


@part
def _positions(numbers, affine, y, width, height, count, u, v):
    """Where a line's pixels look.

    Args:
        numbers: see `_numbers`.
        affine: whether they are those of an affine map.
        y: the line.
        width: of what is looked at, px; height alike.
        count: pixels in the line.
        u: int64 [count], written: across, -1 for pixels outside; v down.

    Returns:
        First and last place in the line; those before and behind are outside and not written.
    """
    line_x, line_y, line_d = numbers
    if affine:
        a, b = line_x[1] * y + line_x[2], line_y[1] * y + line_y[2]
        step_a, step_b = line_x[0], line_y[0]
        low, high = span(step_a, a, width << 32, 0, count)
        low, high = span(step_b, b, height << 32, low, high)
        for x in range(low, high):
            u[at(x)], v[at(x)] = a + x * step_a, b + x * step_b
        return low, high
    for x in range(count):
        below = max(line_d[0] * x + line_d[1] * y + line_d[2], 1)
        a, b = looked_at(line_x, x, y, below), looked_at(line_y, x, y, below)
        inside = 0 <= a < width << 32 and 0 <= b < height << 32
        u[x], v[x] = (a, b) if inside else (np.int64(-1), np.int64(0))
    return 0, count


@part
def _nearest_places(u, v, low, high, width, places):
    place = longs_at(places, len(u))
    for x in range(low, high):
        place[at(x)] = max((v[at(x)] >> 32) * width + (u[at(x)] >> 32), 0)


@part
def _nearest(pixels, places, low, high, line):
    place = longs_at(places, len(line))
    for x in range(low, high):
        line[at(x)] = pixels[at(place[at(x)])]


@part
def _bilinear_places(u, v, low, high, height, width, places, weights):
    """The left upper pixel, the way to the right one and to the lower one, and two weights."""
    n = len(u)
    place, right = longs_at(places, n), longs_at(places + 8 * n, n)
    down = longs_at(places + 16 * n, n)
    across, along = floats_at(weights, n), floats_at(weights + 4 * n, n)
    for x in range(low, high):
        a, b = u[at(x)] - _HALF, v[at(x)] - _HALF
        across[at(x)] = np.float32(a & _LOW) * _PART
        along[at(x)] = np.float32(b & _LOW) * _PART
        left, upper = max(a >> 32, 0), max(b >> 32, 0)
        right[at(x)] = min((a >> 32) + 1, width - 1) - left
        down[at(x)] = (min((b >> 32) + 1, height - 1) - upper) * width
        place[at(x)] = upper * width + left


@part
def _bilinear(pixels, places, weights, low, high, line):
    n = len(line)
    place, right = longs_at(places, n), longs_at(places + 8 * n, n)
    down = longs_at(places + 16 * n, n)
    across, along = floats_at(weights, n), floats_at(weights + 4 * n, n)
    for x in range(low, high):
        i, j, k = place[at(x)], right[at(x)], down[at(x)]
        p, q = pixels[at(i)], pixels[at(i + j)]
        above = p + (q - p) * across[at(x)]
        p, q = pixels[at(i + k)], pixels[at(i + j + k)]
        below = p + (q - p) * across[at(x)]
        line[at(x)] = above + (below - above) * along[at(x)]


@part
def _bicubic_places(u, v, low, high, height, width, places, weights):
    """Four columns, four lines, four weights across and four down."""
    n = len(u)
    place, weight = longs_at(places, 8 * n), floats_at(weights, 8 * n)
    for x in range(low, high):
        a, b = u[at(x)] - _HALF, v[at(x)] - _HALF
        for i in range(4):
            place[at(i * n + x)] = min(max((a >> 32) + (i - 1), 0), width - 1)
            place[at((4 + i) * n + x)] = min(max((b >> 32) + (i - 1), 0), height - 1) * width
        for i, position in ((0, a), (4, b)):
            f = np.float32(position & _LOW) * _PART
            weight[at(i * n + x)] = ((-_HALVES * f + _UNIT) * f - _HALVES) * f
            weight[at((i + 1) * n + x)] = (_THREE_HALVES * f - _FIVE_HALVES) * f * f + _UNIT
            weight[at((i + 2) * n + x)] = ((-_THREE_HALVES * f + _TWO) * f + _HALVES) * f
            weight[at((i + 3) * n + x)] = (_HALVES * f - _HALVES) * f * f


@part
def _bicubic(pixels, places, weights, low, high, line):
    n = len(line)
    place, weight = longs_at(places, 8 * n), floats_at(weights, 8 * n)
    for x in range(low, high):
        a, b = place[at(x)], place[at(n + x)]
        c, d = place[at(2 * n + x)], place[at(3 * n + x)]
        p, q = weight[at(x)], weight[at(n + x)]
        r, s = weight[at(2 * n + x)], weight[at(3 * n + x)]
        total = np.float32(0)
        for j in range(4):
            row = place[at((4 + j) * n + x)]
            across = pixels[at(row + a)] * p + pixels[at(row + b)] * q
            across = across + pixels[at(row + c)] * r
            across = across + pixels[at(row + d)] * s
            total = total + across * weight[at((4 + j) * n + x)]
        line[at(x)] = clipped(total)


@part
def _shifted(source, height, width, channels, m, out_h, out_w, fill, out):
    """Flips and whole shifts: lines copied, forwards or backwards."""
    back, upward = m[0] < 0.0, m[4] < 0.0
    left, top = np.int64(m[2]), np.int64(m[5])
    low, high = (left - width, left) if back else (-left, width - left)
    low, high = min(max(low, 0), out_w), max(min(high, out_w), 0)
    for c in range(channels):
        pixels, colour = floats_at(source + 4 * c * height * width, height * width), fill[c]
        for y in range(out_h):
            line = floats_at(out + 4 * (c * out_h + y) * out_w, out_w)
            row = top - 1 - y if upward else top + y
            if row < 0 or row >= height or high <= low:
                for x in range(out_w):
                    line[x] = colour
                continue
            for x in range(low):
                line[x] = colour
            for x in range(high, out_w):
                line[at(x)] = colour
            begin = row * width + (left - 1 - low if back else left + low)
            if back:
                for x in range(high - low):
                    line[at(low + x)] = pixels[at(begin - x)]
            else:
                for x in range(high - low):
                    line[at(low + x)] = pixels[at(begin + x)]


@part
def clip(image, height, width, channels, param, fill, room):
    """Paints the fill where an image looks outside its canvas; `room` as for `warp`."""
    canvas_h, canvas_w = np.int64(param[9]), np.int64(param[10])
    affine = is_affine(param)
    numbers = _numbers(param, height, width)
    u, v = longs_at(room, width), longs_at(room + 8 * width, width)
    for y in range(height):
        low, high = _positions(numbers, affine, y, canvas_w, canvas_h, width, u, v)
        for c in range(channels):
            line, colour = floats_at(image + 4 * (c * height + y) * width, width), fill[c]
            for x in range(low):
                line[x] = colour
            for x in range(high, width):
                line[at(x)] = colour
            if not affine:
                for x in range(width):
                    line[x] = colour if u[x] < 0 else line[x]
