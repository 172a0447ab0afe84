"""Tone, filter, noise and erase ops as scalar loops, from Pillow's documents and the papers.

Images are nested lists image[channel][y][x] of whole numbers 0 .. 255. Philox follows Salmon,
Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import colorsys
import math
from fractions import Fraction

import numpy as np


def each(image, fn):
    """fn(level) at every pixel and channel."""
    return [[[fn(p) for p in line] for line in plane] for plane in image]


def pixels(image):
    """(y, x, colour tuple) over the image."""
    for y in range(len(image[0])):
        for x in range(len(image[0][0])):
            yield y, x, tuple(plane[y][x] for plane in image)


def from_pixels(image, fn):
    """The image whose colour at (y, x) is fn(colour)."""
    out = each(image, lambda p: 0)
    for y, x, colour in pixels(image):
        for c, value in enumerate(fn(colour)):
            out[c][y][x] = value
    return out


def blend(base, level, factor):
    """Image.blend for one level, in float32 with two roundings, clipped and truncated."""
    factor = np.float32(factor)
    mixed = np.float32(base) + factor * np.float32(level - base)
    return 0 if mixed <= 0 else 255 if mixed >= 255 else int(mixed)


def grey(colour):
    """Pillow's L of one colour."""
    red, green, blue = colour
    return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16


def brightness(image, factor):
    return each(image, lambda p: blend(0, p, factor))


def pivot(image):
    """The mean grey as a fraction, rounded half up."""
    sums = [sum(sum(line) for line in plane) for plane in image]
    count = len(image[0]) * len(image[0][0])
    if len(image) == 1:
        mean = Fraction(sums[0], count)
    else:
        weights = 19595, 38470, 7471
        mean = Fraction(sum(w * s for w, s in zip(weights, sums, strict=True)), 65536 * count)
    return math.floor(mean + Fraction(1, 2))


def contrast(image, factor):
    middle = pivot(image)
    return each(image, lambda p: blend(middle, p, factor))


def saturation(image, factor):
    return from_pixels(image, lambda c: [blend(grey(c), p, factor) for p in c])


def grayscale(image, _):
    return from_pixels(image, lambda c: [grey(c)] * 3)


def channels(image, *shown):
    return from_pixels(image, lambda c: [c[s] for s in shown])


def hue(image, turns):
    """In real arithmetic; out by 255.999 and truncation."""

    def turned(colour):
        h, s, v = colorsys.rgb_to_hsv(*(p / 255 for p in colour))
        return [int(p * 255.999) for p in colorsys.hsv_to_rgb((h + turns) % 1.0, s, v)]

    return from_pixels(image, turned)


def posterize(image, bits):
    keep = 2 ** (8 - int(bits))
    return each(image, lambda p: p // keep * keep)


def solarize(image, threshold):
    return each(image, lambda p: p if p < threshold else 255 - p)


def invert(image, _):
    return each(image, lambda p: 255 - p)


def autocontrast(image, _):
    out = []
    for plane in image:
        levels = [p for line in plane for p in line]
        low, high = min(levels), max(levels)
        if low == high:
            out.append(plane)
            continue
        scale = 255.0 / (high - low)
        offset = -low * scale
        out.append([[min(max(int(p * scale + offset), 0), 255) for p in line] for line in plane])
    return out


def equalize(image, _):
    out = []
    for plane in image:
        levels = [p for line in plane for p in line]
        step = (len(levels) - levels.count(max(levels))) // 255
        if step == 0:
            out.append(plane)
            continue
        lower = {p: sum(q < p for q in levels) for p in set(levels)}
        out.append([[min((lower[p] + step // 2) // step, 255) for p in line] for line in plane])
    return out


def sharpness(image, factor):
    height, width = len(image[0]), len(image[0][0])
    out = each(image, lambda p: p)
    for c, plane in enumerate(image):
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                near = [plane[y + i][x + j] for i in (-1, 0, 1) for j in (-1, 0, 1)]
                smooth = math.floor(Fraction(sum(near) + 4 * plane[y][x], 13) + Fraction(1, 2))
                out[c][y][x] = blend(smooth, plane[y][x], factor)
    return out


def reflect(i, length):
    """Walks back and forth between the edge pixels, one step at a time."""
    if length == 1:
        return 0
    while not 0 <= i < length:
        i = -i if i < 0 else 2 * (length - 1) - i
    return i


def blur_weights(sigma, size):
    """Whole weights in 1/16384; the centre takes the remainder."""
    reach = size // 2
    raw = [math.exp(-(x * x) / (2 * sigma * sigma)) for x in range(-reach, reach + 1)]
    weights = [round(w / sum(raw) * 16384) for w in raw]
    weights[reach] += 16384 - sum(weights)
    return weights


def blur(image, sigma, size):
    weights, reach = blur_weights(sigma, size), size // 2
    out = []
    for plane in image:
        height, width = len(plane), len(plane[0])
        along = [
            [
                sum(w * line[reflect(x + i - reach, width)] for i, w in enumerate(weights)) + 128
                for x in range(width)
            ]
            for line in plane
        ]
        along = [[h // 256 for h in line] for line in along]
        out.append(
            [
                [
                    sum(w * along[reflect(y + i - reach, height)][x] for i, w in enumerate(weights))
                    + 2**19
                    >> 20
                    for x in range(width)
                ]
                for y in range(height)
            ]
        )
    return out


def blur_exactly(image, sigma, size):
    """The same in real arithmetic, unrounded."""
    reach = size // 2
    raw = [math.exp(-(x * x) / (2 * sigma * sigma)) for x in range(-reach, reach + 1)]
    weights = [w / sum(raw) for w in raw]
    out = []
    for plane in image:
        height, width = len(plane), len(plane[0])
        out.append(
            [
                [
                    sum(
                        wy
                        * wx
                        * plane[reflect(y + i - reach, height)][reflect(x + j - reach, width)]
                        for i, wy in enumerate(weights)
                        for j, wx in enumerate(weights)
                    )
                    for x in range(width)
                ]
                for y in range(height)
            ]
        )
    return out


def philox(counter, key):
    """Ten rounds of Philox4x32 on whole numbers: four words."""
    c, k = list(counter), list(key)
    for _ in range(10):
        first, second = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [
            second // 2**32 ^ c[1] ^ k[0],
            second % 2**32,
            first // 2**32 ^ c[3] ^ k[1],
            first % 2**32,
        ]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


def word(key, channel, y, x):
    """The random word of one pixel of one channel."""
    return philox((x + 65536 * y, channel // 4, key[2], key[3]), key[:2])[channel % 4]


def normal(bits, digits=12):
    """The normal quantile at the middle of bin `bits` of 65536, in 2**-12, by bisection."""
    p = (bits + 0.5) / 65536
    if p < 0.5:
        return -normal(65535 - bits, digits)
    low, high = 0.0, 8.0
    for _ in range(80):
        middle = (low + high) / 2
        upper_tail = 0.5 * math.erfc(middle / math.sqrt(2))
        low, high = (middle, high) if upper_tail > 1 - p else (low, middle)
    return round(low * 2**digits)


def noise(image, std, key):
    scale = round(std * 255 * 4096)
    out = each(image, lambda p: p)
    for y, x, colour in pixels(image):
        for c, p in enumerate(colour):
            z = normal(word(key, c, y, x) >> 16)
            out[c][y][x] = min(max(p + (z * scale + 2**23 >> 24), 0), 255)
    return out


def erase(image, rect, value, fill, key):
    """In input units; value is 'constant', 'channel' or 'pixel'."""
    out = each(image, lambda p: p)
    x0, y0, x1, y1 = rect
    for c in range(len(image)):
        for y in range(y0, y1):
            for x in range(x0, x1):
                at = (0, 0) if value == "channel" else (y, x)
                out[c][y][x] = round(fill[c]) if value == "constant" else word(key, c, *at) >> 24
    return out
