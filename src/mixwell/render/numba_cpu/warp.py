"""WARP and CLIP on packed pixels; the rules are those of `mixwell.render.reference.warp`.

Where an affine line enters and leaves the source is solved in whole numbers, so the loop over its
pixels tests nothing.
"""

from __future__ import annotations

import math

import numpy as np

from mixwell.render.numba_cpu.compile import part
from mixwell.render.numba_cpu.memory import address_of, words_at
from mixwell.render.numba_cpu.pixels import at, between, channel, gathered, spread
from mixwell.render.taps import bicubic_phases

_NEAREST, _BILINEAR = 0, 1
_HALF = np.int64(1 << 31)
_ONE = float(1 << 32)
_PHASES = bicubic_phases()


@part
def is_affine(m):
    """The bottom row is exactly 0 0 1."""
    return m[6] == 0.0 and m[7] == 0.0 and m[8] == 1.0


@part
def is_lattice(m):
    """Pixel centres go exactly to pixel centres."""
    if not is_affine(m) or m[2] != np.rint(m[2]) or m[5] != np.rint(m[5]):
        return False
    straight = abs(m[0]) == 1.0 and abs(m[4]) == 1.0 and m[1] == 0.0 and m[3] == 0.0
    turned = abs(m[1]) == 1.0 and abs(m[3]) == 1.0 and m[0] == 0.0 and m[4] == 0.0
    return straight or turned


@part
def fixed(a, b, c, bits):
    """Steps along x and y and the first pixel's centre, in fixed point."""
    one = float(1 << bits)
    start = (c + a / 2.0) + b / 2.0
    return (
        np.int64(np.rint(a * one)),
        np.int64(np.rint(b * one)),
        np.int64(np.rint(start * one)),
    )


@part
def span(step, start, limit, low, high):
    """The part of low .. high in which 0 <= step * x + start < limit."""
    if step == 0:
        return (low, high) if 0 <= start < limit else (low, low)
    if step > 0:
        first, past = -(start // step), -((start - limit) // step)
    else:
        first, past = (start - limit) // -step + 1, start // -step + 1
    low = min(max(low, first), high)
    return low, max(low, min(high, past))


@part
def unit_of(m, height, width):
    """The power of two to divide a perspective by."""
    largest = m[8]
    for x in (0.0, float(width)):
        for y in (0.0, float(height)):
            largest = max(largest, m[6] * x + m[7] * y + m[8])
    return math.ldexp(1.0, max(math.frexp(largest)[1], 0))


@part
def perspective(m, height, width):
    """The three rows of a matrix, in units that fit, in fixed point."""
    unit = unit_of(m, height, width)
    return (
        fixed(m[0] / unit, m[1] / unit, m[2] / unit, 24),
        fixed(m[3] / unit, m[4] / unit, m[5] / unit, 24),
        fixed(m[6] / unit, m[7] / unit, m[8] / unit, 30),
    )


@part
def looked_at(line, x, y, below):
    """A perspective's position in fixed point."""
    across = line[0] * x + line[1] * y + line[2]
    limit = below << 10
    across = min(max(across, -limit), limit)
    return ((across << 22) // below) << 16


@part
def nearest(source, width, u, step_u, v, step_v, low, high, out):
    """A line's pixels, none of them outside."""
    one = np.int64(1 << 32)
    if step_v == 0 and (step_u == one or step_u == -one):
        begin = (v >> 32) * width + ((u + low * step_u) >> 32)
        if step_u > 0:
            for x in range(high - low):
                out[at(low + x)] = source[at(begin + x)]
        else:
            for x in range(high - low):
                out[at(low + x)] = source[at(begin - x)]
        return
    u, v = u + low * step_u, v + low * step_v
    for x in range(low, high):
        out[at(x)] = source[at((v >> 32) * width + (u >> 32))]
        u, v = u + step_u, v + step_v


@part
def bilinear_pixel(source, height, width, u, v):
    """One pixel between four, which are held at the edge."""
    x, y = u >> 32, v >> 32
    left, right = max(x, 0), min(x + 1, width - 1)
    upper, lower = max(y, 0) * width, min(y + 1, height - 1) * width
    weight = (u >> 24) & 255
    above = between(spread(source[at(upper + left)]), spread(source[at(upper + right)]), weight)
    below = between(spread(source[at(lower + left)]), spread(source[at(lower + right)]), weight)
    return gathered(between(above, below, (v >> 24) & 255))


@part
def bilinear(source, height, width, u, step_u, v, step_v, low, high, out):
    """A line's pixels, none of them outside; only near the edge neighbours are held."""
    a, b = span(step_u, u, (width - 1) << 32, low, high)
    a, b = span(step_v, v, (height - 1) << 32, a, b)
    for x in range(low, a):
        out[at(x)] = bilinear_pixel(source, height, width, u + x * step_u, v + x * step_v)
    p, q = u + a * step_u, v + a * step_v
    for x in range(a, b):
        place = (q >> 32) * width + (p >> 32)
        weight = (p >> 24) & 255
        above = between(spread(source[at(place)]), spread(source[at(place + 1)]), weight)
        place += width
        below = between(spread(source[at(place)]), spread(source[at(place + 1)]), weight)
        out[at(x)] = gathered(between(above, below, (q >> 24) & 255))
        p, q = p + step_u, q + step_v
    for x in range(b, high):
        out[at(x)] = bilinear_pixel(source, height, width, u + x * step_u, v + x * step_v)


@part
def bicubic_pixel(source, height, width, u, v):
    """One pixel between sixteen, which are held at the edge."""
    x, y = u >> 32, v >> 32
    phase_x, phase_y = (u >> 24) & 255, (v >> 24) & 255
    word = np.uint32(0)
    for c in range(4):
        total = np.int32(0)
        for j in range(4):
            row = min(max(y + j - 1, 0), height - 1) * width
            line = np.int32(0)
            for i in range(4):
                place = row + min(max(x + i - 1, 0), width - 1)
                line += channel(source[at(place)], 8 * c) * _PHASES[phase_x, i]
            total += line * _PHASES[phase_y, j]
        level = min(max((total + (1 << 21)) >> 22, 0), 255)
        word |= np.uint32(level) << np.uint32(8 * c)
    return word


@part
def pixel(source, height, width, x, y, interp):
    """One pixel at a position inside the source."""
    if interp == _NEAREST:
        return source[at((y >> 32) * width + (x >> 32))]
    if interp == _BILINEAR:
        return bilinear_pixel(source, height, width, x - _HALF, y - _HALF)
    return bicubic_pixel(source, height, width, x - _HALF, y - _HALF)


@part
def warp(source, height, width, m, size_hw, interp, fill, out):
    """An image through its matrix.

    Args:
        source: uint32 [height * width].
        height: px.
        width: px.
        m: float64 [12], `dst_to_src` in the first nine.
        size_hw: int32 [2], of the output.
        interp: `Interp`.
        fill: uint32, a packed pixel.
        out: uint32 [h * w].
    """
    out_h, out_w = np.int64(size_hw[0]), np.int64(size_hw[1])
    if not is_affine(m):
        _perspective(source, height, width, m, out_h, out_w, interp, fill, out)
        return
    if is_lattice(m):
        if m[1] == 0.0:
            _shifted(source, height, width, m, out_h, out_w, fill, out)
            return
        interp = _NEAREST
    step_x, turn_x, start_x = fixed(m[0], m[1], m[2], 32)
    step_y, turn_y, start_y = fixed(m[3], m[4], m[5], 32)
    for y in range(out_h):
        line = words_at(address_of(out) + 4 * y * out_w, out_w)
        u, v = turn_x * y + start_x, turn_y * y + start_y
        low, high = span(step_x, u, width << 32, 0, out_w)
        low, high = span(step_y, v, height << 32, low, high)
        for x in range(low):
            line[x] = fill
        for x in range(high, out_w):
            line[at(x)] = fill
        if interp == _NEAREST:
            nearest(source, width, u, step_x, v, step_y, low, high, line)
        elif interp == _BILINEAR:
            u, v = u - _HALF, v - _HALF
            bilinear(source, height, width, u, step_x, v, step_y, low, high, line)
        else:
            for x in range(low, high):
                p, q = u + x * step_x - _HALF, v + x * step_y - _HALF
                line[at(x)] = bicubic_pixel(source, height, width, p, q)


@part
def _shifted(source, height, width, m, out_h, out_w, fill, out):
    """Flips and whole shifts: lines copied, forwards or backwards."""
    back, upward = m[0] < 0.0, m[4] < 0.0
    left, top = np.int64(m[2]), np.int64(m[5])
    low, high = (left - width, left) if back else (-left, width - left)
    low, high = min(max(low, 0), out_w), max(min(high, out_w), 0)
    for y in range(out_h):
        line = words_at(address_of(out) + 4 * y * out_w, out_w)
        row = top - 1 - y if upward else top + y
        if row < 0 or row >= height or high <= low:
            for x in range(out_w):
                line[x] = fill
            continue
        for x in range(low):
            line[x] = fill
        for x in range(high, out_w):
            line[at(x)] = fill
        begin = row * width + (left - 1 - low if back else left + low)
        if back:
            for x in range(high - low):
                line[at(low + x)] = source[at(begin - x)]
        else:
            for x in range(high - low):
                line[at(low + x)] = source[at(begin + x)]


@part
def _perspective(source, height, width, m, out_h, out_w, interp, fill, out):
    line_x, line_y, line_d = perspective(m, out_h, out_w)
    for y in range(out_h):
        for x in range(out_w):
            below = max(line_d[0] * x + line_d[1] * y + line_d[2], 1)
            u, v = looked_at(line_x, x, y, below), looked_at(line_y, x, y, below)
            inside = 0 <= u < width << 32 and 0 <= v < height << 32
            found = fill
            if inside:
                found = pixel(source, height, width, u, v, interp)
            out[at(y * out_w + x)] = found


@part
def clip(image, height, width, param, fill):
    """Paints the fill where an image looks outside its canvas."""
    canvas_h, canvas_w = np.int64(param[9]), np.int64(param[10])
    if not is_affine(param):
        _clip_perspective(image, height, width, param, canvas_h, canvas_w, fill)
        return
    step_x, turn_x, start_x = fixed(param[0], param[1], param[2], 32)
    step_y, turn_y, start_y = fixed(param[3], param[4], param[5], 32)
    for y in range(height):
        line = words_at(address_of(image) + 4 * y * width, width)
        u, v = turn_x * y + start_x, turn_y * y + start_y
        low, high = span(step_x, u, canvas_w << 32, 0, width)
        low, high = span(step_y, v, canvas_h << 32, low, high)
        for x in range(low):
            line[x] = fill
        for x in range(high, width):
            line[at(x)] = fill


@part
def _clip_perspective(image, height, width, param, canvas_h, canvas_w, fill):
    line_x, line_y, line_d = perspective(param, height, width)
    for y in range(height):
        for x in range(width):
            below = max(line_d[0] * x + line_d[1] * y + line_d[2], 1)
            u, v = looked_at(line_x, x, y, below), looked_at(line_y, x, y, below)
            if not (0 <= u < canvas_w << 32 and 0 <= v < canvas_h << 32):
                image[at(y * width + x)] = fill
