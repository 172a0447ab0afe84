"""Pixel noise and erasing; `mixwell.render.reference.noise` has the stream and the rules."""

from __future__ import annotations

import numpy as np

from mixwell.plan.steps import EraseUnits, EraseValue
from mixwell.render.numba_cpu.compile import inlined, part
from mixwell.render.numba_cpu.memory import address_of, words_at
from mixwell.render.numba_cpu.pixels import at, channel, fill_word
from mixwell.render.tables import NORMAL_BITS

_CONSTANT, _PIXEL = int(EraseValue.CONSTANT), int(EraseValue.PIXEL)
NORMALIZED = int(EraseUnits.NORMALIZED)
_LOW = np.uint64(0xFFFFFFFF)
_ALPHA = np.uint32(0xFF000000)
_STEP = np.float32(2.0**-NORMAL_BITS)


@inlined
def words_of(key, x, y):
    """Philox4x32-10: the four random words of a pixel."""
    c0, c1 = np.uint64(x) | (np.uint64(y) << np.uint64(16)), np.uint64(0)
    c2, c3 = np.uint64(key[2]), np.uint64(key[3])
    k0, k1 = np.uint64(key[0]), np.uint64(key[1])
    for _ in range(10):
        a, b = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1 = (b >> np.uint64(32)) ^ c1 ^ k0, b & _LOW
        c2, c3 = (a >> np.uint64(32)) ^ c3 ^ k1, a & _LOW
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & _LOW, (k1 + np.uint64(0xBB67AE85)) & _LOW
    return c0, c1, c2, c3


@part
def word_of(words, c):
    """One of four words."""
    if c == 0:
        return words[0]
    if c == 1:
        return words[1]
    return words[2] if c == 2 else words[3]


@part
def noise(image, height, width, channels, std, key, quantiles, room):
    """Adds normal noise; alpha stays. `room`: uint32, scratch for three lines."""
    scale = np.int64(np.rint(std * float(255 << NORMAL_BITS)))
    colours = min(channels, 3)
    words, lanes = address_of(room), 4 * width
    first, second = words_at(words, width), words_at(words + lanes, width)
    third = words_at(words + 2 * lanes, width)
    for y in range(height):
        _line_of_words(key, y, first, second, third)
        line = words_at(address_of(image) + y * lanes, width)
        for c in range(colours):
            shift, drawn = np.uint32(8 * c), words_at(words + c * lanes, width)
            keep = ~(np.uint32(255) << shift)
            for x in range(width):
                z = np.int64(quantiles[at(drawn[x] >> np.uint32(16))])
                level = channel(line[x], shift) + ((z * scale + (1 << 23)) >> 24)
                line[x] = (line[x] & keep) | (np.uint32(min(max(level, 0), 255)) << shift)


@part
def _line_of_words(key, y, first, second, third):
    """The first three random words of a line's pixels."""
    for x in range(len(first)):
        words = words_of(key, x, y)
        first[x], second[x] = np.uint32(words[0]), np.uint32(words[1])
        third[x] = np.uint32(words[2])


@part
def rectangle(param, height, width):
    """x0 y0 x1 y1 of an ERASE, inside the canvas."""
    x0, y0 = max(np.int64(np.rint(param[0])), 0), max(np.int64(np.rint(param[1])), 0)
    x1, y1 = min(np.int64(np.rint(param[2])), width), min(np.int64(np.rint(param[3])), height)
    return x0, y0, x1, y1


@part
def random_word(key, x, y, channels):
    """A packed pixel of random levels."""
    words = words_of(key, x, y)
    word = np.uint32(0)
    for c in range(channels):
        word |= np.uint32(word_of(words, c) >> np.uint64(24)) << np.uint32(8 * c)
    return word


@part
def erase(image, height, width, channels, param, fill, key):
    """Writes a rectangle in the image's units, alpha too."""
    x0, y0, x1, y1 = rectangle(param, height, width)
    colour = np.uint32(0)
    if param[4] == _CONSTANT:
        colour = fill_word(fill, channels)
    elif param[4] != _PIXEL:
        colour = random_word(key, np.int64(0), np.int64(0), channels)
    for y in range(y0, y1):
        for x in range(x0, x1):
            if param[4] == _PIXEL:
                colour = random_word(key, x, y, channels)
            image[y * width + x] = colour


@part
def erased_value(param, fill, key, x, y, c, mean, std, quantiles):
    """float32: what a pixel of a loose row holds inside an erased rectangle, in levels."""
    random = param[4] != _CONSTANT
    px, py = (x, y) if param[4] == _PIXEL else (0, 0)
    if param[5] != NORMALIZED:
        if not random:
            return np.float32(np.rint(fill[c]))
        return np.float32(word_of(words_of(key, px, py), c) >> np.uint64(24))
    value = fill[c]
    if random:
        word = word_of(words_of(key, px, py), c)
        value = np.float32(quantiles[word >> np.uint64(16)]) * _STEP
    return (value * std[c] + mean[c]) * np.float32(255)
