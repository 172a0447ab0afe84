"""Warping, clipping and resizing as scalar loops over Python integers and floats.

Two levels: `warp`, `clip` and `resize` follow the documented integer arithmetic exactly;
`warp_real` is what the arithmetic approximates, in double precision.
Images are nested lists or arrays [H][W] of one channel.
"""

from __future__ import annotations

import math
from fractions import Fraction

ONE = 1 << 32


def _round(value: float) -> int:
    return round(Fraction(value))  # exact, half to even


def position(m: list[float], x: int, y: int, out_hw: tuple[int, int]) -> tuple[int, int]:
    """Source position of an output pixel's centre with 32 fraction bits."""
    a, b, c, d, e, f, g, h, i = m
    if (g, h, i) == (0.0, 0.0, 1.0):
        return tuple(
            _round(p * 2.0**32) * x
            + _round(q * 2.0**32) * y
            + _round((r + p / 2 + q / 2) * 2.0**32)
            for p, q, r in ((a, b, c), (d, e, f))
        )
    height, width = out_hw
    largest = max(g * u + h * v + i for u in (0, width) for v in (0, height))
    unit = 1.0
    while largest >= unit:
        unit *= 2.0
    m = [v / unit for v in m]

    def line(p: float, q: float, r: float, bits: int) -> int:
        one = float(1 << bits)
        return _round(p * one) * x + _round(q * one) * y + _round((r + p / 2 + q / 2) * one)

    below = max(line(*m[6:], 30), 1)
    out = []
    for part in (m[:3], m[3:6]):
        n = min(max(line(*part, 24), -(below << 10)), below << 10)
        out.append((n << 22) // below << 16)
    return out[0], out[1]


def warp(image, m, out_hw, interp: str, fill, top: int, phases=None):
    """Integer warp of one channel; `interp` is nearest, bilinear or bicubic."""
    height, width = len(image), len(image[0])
    out = [[fill] * out_hw[1] for _ in range(out_hw[0])]
    for y in range(out_hw[0]):
        for x in range(out_hw[1]):
            px, py = position(m, x, y, out_hw)
            if 0 <= px < width * ONE and 0 <= py < height * ONE:
                out[y][x] = _sample(image, px, py, interp, top)
    return out


def clip(image, m, canvas_hw, fill):
    """One channel with the fill where it looks outside its canvas."""
    size = len(image), len(image[0])
    out = [[int(v) for v in line] for line in image]
    for y in range(size[0]):
        for x in range(size[1]):
            px, py = position(m, x, y, size)
            if not (0 <= px < canvas_hw[1] * ONE and 0 <= py < canvas_hw[0] * ONE):
                out[y][x] = fill
    return out


def _sample(image, px: int, py: int, interp: str, top: int) -> int:
    height, width = len(image), len(image[0])

    def at(x: int, y: int) -> int:
        return int(image[min(max(y, 0), height - 1)][min(max(x, 0), width - 1)])

    if interp == "nearest":
        return at(px >> 32, py >> 32)
    u, v = px - (1 << 31), py - (1 << 31)
    x, y, wx, wy = u >> 32, v >> 32, (u >> 24) & 255, (v >> 24) & 255
    if interp == "bilinear":
        t0 = (at(x, y) * (256 - wx) + at(x + 1, y) * wx + 128) >> 8
        t1 = (at(x, y + 1) * (256 - wx) + at(x + 1, y + 1) * wx + 128) >> 8
        return (t0 * (256 - wy) + t1 * wy + 128) >> 8
    kx, ky = phase(wx), phase(wy)
    total = sum(ky[j] * sum(kx[i] * at(x + i - 1, y + j - 1) for i in range(4)) for j in range(4))
    return min(max((total + (1 << 21)) >> 22, 0), top)


def phase(k: int) -> list[int]:
    """Four cubic weights in 1 / 2048 at the fraction k / 256, summing to 2048."""
    weights = [round(Fraction(cubic(k / 256 - i)) * 2048) for i in range(-1, 3)]
    weights[weights.index(max(weights))] += 2048 - sum(weights)
    return weights


def cubic(x: float) -> float:
    """Keys's cubic convolution kernel, a = -0.5."""
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    if x < 2:
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return 0.0


def triangle(x: float) -> float:
    """1 at 0, 0 at -1 and 1."""
    return max(0.0, 1.0 - abs(x))


def warp_real(image, m, out_hw, interp: str, fill: float):
    """The same in double precision, neither rounded nor clipped."""
    height, width = len(image), len(image[0])
    kernel = {"bilinear": triangle, "bicubic": cubic}.get(interp)
    out = [[fill] * out_hw[1] for _ in range(out_hw[0])]
    for row in range(out_hw[0]):
        for col in range(out_hw[1]):
            x, y = col + 0.5, row + 0.5
            z = m[6] * x + m[7] * y + m[8]
            px = (m[0] * x + m[1] * y + m[2]) / z
            py = (m[3] * x + m[4] * y + m[5]) / z
            if not (0 <= px < width and 0 <= py < height):
                continue
            if kernel is None:
                out[row][col] = float(image[math.floor(py)][math.floor(px)])
                continue
            left, upper = math.floor(px - 0.5), math.floor(py - 0.5)
            total = 0.0
            for j in range(upper - 1, upper + 3):
                for i in range(left - 1, left + 3):
                    weight = kernel(px - 0.5 - i) * kernel(py - 0.5 - j)
                    pixel = image[min(max(j, 0), height - 1)][min(max(i, 0), width - 1)]
                    total += weight * float(pixel)
            out[row][col] = total
    return out


def resize(image, box, out_hw, interp: str, top: int):
    """Antialiased resize of a box of one channel, in integers; x0 > x1 mirrors, y too."""
    x0, y0, x1, y1 = box
    height = len(image)
    across = axis_taps(x0, x1, out_hw[1], interp)
    down = axis_taps(y0, y1, out_hw[0], interp)

    def rounded(total: int) -> int:
        return min(max((total + (1 << 21)) >> 22, 0), top)

    def weighted(values, taps) -> int:
        return rounded(sum(int(values[i]) * _whole(w) for i, w in taps))

    halfway = [[weighted(image[y], taps) for taps in across] for y in range(height)]
    columns = [[line[x] for line in halfway] for x in range(out_hw[1])]
    return [[weighted(column, taps) for column in columns] for taps in down]


def _whole(weight: float) -> int:
    return int(weight * 2**22 + (0.5 if weight >= 0 else -0.5))


def axis_taps(start: float, stop: float, size: int, interp: str) -> list[list[tuple[int, float]]]:
    """For each output pixel the (pixel, normalised weight) pairs of an antialiasing filter."""
    low, high = min(start, stop), max(start, stop)
    first, last = math.floor(low), math.ceil(high)
    kernel, support = (triangle, 1.0) if interp == "bilinear" else (cubic, 2.0)
    scale = (high - low) / size
    stretch = max(scale, 1.0)
    out = []
    for k in range(size):
        centre = low - first + (k + 0.5) * scale
        begin = max(int(centre - support * stretch + 0.5), 0)
        end = min(int(centre + support * stretch + 0.5), last - first)
        weights = [kernel((i - centre + 0.5) / stretch) for i in range(begin, end)]
        total = sum(weights)
        out.append([(first + begin + i, w / total) for i, w in enumerate(weights)])
    return out[::-1] if start > stop else out
