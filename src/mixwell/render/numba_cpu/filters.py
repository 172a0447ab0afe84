"""Sharpness and blur on packed pixels; `mixwell.render.reference.filters` has the rules."""

from __future__ import annotations

import numpy as np

from mixwell.render.numba_cpu.compile import part
from mixwell.render.numba_cpu.memory import address_of, bytes_at, copy_words, ints_at, words_at

_ALPHA = np.uint32(0xFF000000)
_ZERO, _TOP = np.float32(0), np.float32(255)


@part
def sharpness(image, height, width, channels, value, out):
    """Blends the smoothed image and the image; the border and alpha stay.

    Args:
        image: uint32 [height * width].
        height: px, at least 3.
        width: px, at least 3.
        channels: 1, 3 or 4.
        value: factor.
        out: uint32 [height * width].
    """
    factor = np.float32(value)
    lanes, source, to = 4 * width, address_of(image), address_of(out)
    last = (height - 1) * lanes
    copy_words(source, width, to)
    copy_words(source + last, width, to + last)
    for y in range(1, height - 1):
        begin = source + y * lanes
        above, here = bytes_at(begin - lanes, lanes), bytes_at(begin, lanes)
        below, levels = bytes_at(begin + lanes, lanes), bytes_at(to + y * lanes, lanes)
        for j in range(4, lanes - 4):
            total = np.int32(above[j - 4]) + above[j] + above[j + 4]
            total += np.int32(below[j - 4]) + below[j] + below[j + 4]
            total += np.int32(here[j - 4]) + 5 * np.int32(here[j]) + here[j + 4]
            smooth = np.float32(np.uint32(2 * total + 13) // np.uint32(26))
            mixed = smooth + factor * (np.float32(here[j]) - smooth)
            levels[j] = np.uint8(np.int32(min(max(mixed, _ZERO), _TOP)))
        row = y * width
        out[row], out[row + width - 1] = image[row], image[row + width - 1]
        if channels == 4:
            for x in range(row + 1, row + width - 1):
                out[x] = (out[x] & ~_ALPHA) | (image[x] & _ALPHA)


@part
def mirrored(place, length):
    """A position reflected at the edge pixels until it is inside."""
    if length == 1:
        return 0
    period = 2 * (length - 1)
    place %= period
    return min(place, period - place)


@part
def blur(image, height, width, weights, size, room, out):
    """A kernel along x, then along y; the border reflects.

    Args:
        image: uint32 [height * width].
        height: px.
        width: px.
        weights: int32 [size] in 2^-14.
        size: odd number of taps.
        room: uint32, scratch for 4 * height * width and 5 * width + 4 * size words.
        out: uint32 [height * width].
    """
    reach, lanes = size // 2, 4 * width
    middle = address_of(room)
    total = ints_at(middle + 4 * height * lanes, lanes)
    edge = middle + 4 * (height + 1) * lanes
    wide = words_at(edge, width + 2 * reach)
    for y in range(height):
        for x in range(-reach, width + reach):
            wide[x + reach] = image[y * width + mirrored(x, width)]
        to = ints_at(middle + 4 * y * lanes, lanes)
        _scaled(to, bytes_at(edge + 4 * reach, lanes), weights[reach], 1 << 7)
        for t in range(1, reach + 1):
            low, high = edge + 4 * (reach - t), edge + 4 * (reach + t)
            _add_both(to, bytes_at(low, lanes), bytes_at(high, lanes), weights[reach + t])
        for j in range(lanes):
            to[j] >>= 8
    for y in range(height):
        _scaled(total, ints_at(middle + 4 * y * lanes, lanes), weights[reach], 1 << 19)
        for t in range(1, reach + 1):
            low = middle + 4 * lanes * mirrored(y - t, height)
            high = middle + 4 * lanes * mirrored(y + t, height)
            _add_both(total, ints_at(low, lanes), ints_at(high, lanes), weights[reach + t])
        levels = bytes_at(address_of(out) + y * lanes, lanes)
        for j in range(lanes):
            levels[j] = np.uint8(total[j] >> 20)


@part
def _scaled(total, line, weight, start):
    """total = start + weight * line, int32."""
    for j in range(len(total)):
        total[j] = np.int32(start + np.int32(weight * np.int32(line[j])))


@part
def _add_both(total, low, high, weight):
    """total += weight * (low + high), int32: kernels are symmetrical."""
    for j in range(len(total)):
        both = np.int32(np.int32(low[j]) + np.int32(high[j]))
        total[j] = np.int32(total[j] + np.int32(weight * both))
