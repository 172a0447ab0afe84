"""Runs of tables on packed pixels; each table is that of `mixwell.render.tables`.

Consecutive tables are composed, and statistics inside the run come from the histogram at its start,
moved through the tables so far: pixels are counted at most once and looked up at most once.
"""

from __future__ import annotations

import numpy as np

from mixwell.plan.steps import Code
from mixwell.render.numba_cpu.compile import part
from mixwell.render.numba_cpu.memory import words_here
from mixwell.render.numba_cpu.pixels import at

_BRIGHTNESS, _CONTRAST = int(Code.BRIGHTNESS), int(Code.CONTRAST)
_POSTERIZE, _SOLARIZE, _INVERT = int(Code.POSTERIZE), int(Code.SOLARIZE), int(Code.INVERT)
_AUTOCONTRAST, _EQUALIZE = int(Code.AUTOCONTRAST), int(Code.EQUALIZE)


@part
def is_table(code):
    """Whether a code is a table."""
    return (
        code == _BRIGHTNESS
        or code == _CONTRAST
        or (_POSTERIZE <= code <= _EQUALIZE and code != Code.GRAYSCALE)
    )


@part
def needs_counts(code):
    """Whether a table depends on the pixels."""
    return code == _CONTRAST or code == _AUTOCONTRAST or code == _EQUALIZE


@part
def count(image, pixels, counts):
    """Histograms of the first three channels.

    Args:
        image: uint32 [pixels].
        pixels: their number.
        counts: int64 [3, 256], written.
    """
    # Four sets take turns: neighbours are alike, and a count waits for the one before it.
    sets = words_here(4, 768)
    for k in range(4):
        for place in range(768):
            sets[k, place] = 0
    whole = pixels & ~3
    for i in range(0, whole, 4):
        for k in range(4):
            word = image[at(i + k)]
            sets[k, at(word & np.uint32(255))] += np.uint32(1)
            sets[k, at(256 + ((word >> np.uint32(8)) & np.uint32(255)))] += np.uint32(1)
            sets[k, at(512 + ((word >> np.uint32(16)) & np.uint32(255)))] += np.uint32(1)
    for i in range(whole, pixels):
        for c in range(3):
            level = (image[i] >> np.uint32(8 * c)) & np.uint32(255)
            sets[0, at(256 * c + level)] += np.uint32(1)
    for c in range(3):
        for level in range(256):
            place = 256 * c + level
            counts[c, level] = np.int64(sets[0, place]) + sets[1, place]
            counts[c, level] += np.int64(sets[2, place]) + sets[3, place]


@part
def moved(counts, table, out):
    """Histograms behind a table."""
    for c in range(3):
        for level in range(256):
            out[c, level] = 0
        for level in range(256):
            out[c, table[c, level]] += counts[c, level]


@part
def start(table):
    """The table that changes nothing."""
    for c in range(3):
        for level in range(256):
            table[c, level] = level


@part
def blend(base, factor, level):
    """base + factor * (level - base) in float32, clipped and cut off."""
    mixed = base + factor * (np.float32(level) - base)
    return np.uint8(min(max(mixed, np.float32(0)), np.float32(255)))


@part
def _pivot(counts, channels):
    pixels, red, green, blue = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    for level in range(256):
        pixels += counts[0, level]
        red += level * counts[0, level]
        green += level * counts[1, level]
        blue += level * counts[2, level]
    total = red * 65536
    if channels != 1:
        total = 19595 * red + 38470 * green + 7471 * blue
    whole = max(pixels << 16, 1)
    return (total + (whole >> 1)) // whole


@part
def _autocontrast(counts, c, step):
    low, high = 0, 255
    while low < 255 and counts[c, low] == 0:
        low += 1
    while high > 0 and counts[c, high] == 0:
        high -= 1
    for level in range(256):
        step[level] = level
    if high > low:
        scale = 255.0 / np.float64(high - low)
        offset = -np.float64(low) * scale
        for level in range(256):
            stretched = np.float64(level) * scale + offset
            step[level] = np.uint8(min(max(stretched, 0.0), 255.0))


@part
def _equalize(counts, c, step):
    pixels, top = np.int64(0), 0
    for level in range(256):
        pixels += counts[c, level]
        if counts[c, level] > 0:
            top = level
    width = (pixels - counts[c, top]) // 255
    before = np.int64(0)
    for level in range(256):
        step[level] = level
        if width > 0:
            step[level] = min((before + width // 2) // width, 255)
        before += counts[c, level]


@part
def join(code, value, counts, channels, table, step):
    """Puts a code's table behind the run's.

    Args:
        code: see `is_table`.
        value: float64, its first parameter.
        counts: int64 [3, 256], histograms behind the run so far, if the code needs them.
        channels: 1, 3 or 4.
        table: uint8 [3, 256], the run's table, changed.
        step: uint8 [256], scratch.
    """
    pivot = np.int64(0)
    if code == _CONTRAST:
        pivot = _pivot(counts, channels)
    bits = -(np.int64(1) << (8 - np.int64(value))) if code == _POSTERIZE else np.int64(0)
    for c in range(min(channels, 3)):
        if code == _AUTOCONTRAST:
            _autocontrast(counts, c, step)
        elif code == _EQUALIZE:
            _equalize(counts, c, step)
        else:
            for level in range(256):
                made = np.uint8(255 - level)
                if code == _BRIGHTNESS or code == _CONTRAST:
                    made = blend(np.float32(pivot), np.float32(value), level)
                elif code == _POSTERIZE:
                    made = np.uint8(level & bits)
                elif code == _SOLARIZE and level < value:
                    made = np.uint8(level)
                step[level] = made
        for level in range(256):
            table[c, level] = step[table[c, level]]


@part
def look_up(image, pixels, table):
    """All pixels through a table uint8 [3, 256]; the fourth channel stays."""
    words = words_here(3, 256)
    for c in range(3):
        for level in range(256):
            words[c, level] = np.uint32(table[c, level]) << np.uint32(8 * c)
    red, green, blue = words[0], words[1], words[2]
    for i in range(pixels):
        word = image[at(i)]
        image[at(i)] = (
            red[at(word & np.uint32(255))]
            | green[at((word >> np.uint32(8)) & np.uint32(255))]
            | blue[at((word >> np.uint32(16)) & np.uint32(255))]
            | (word & np.uint32(0xFF000000))
        )
