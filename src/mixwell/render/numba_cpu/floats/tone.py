"""Ops that look at no other pixel, but for a statistic; `mixwell.render.reference.tone` has the
rules. Planes of one image lie one behind the other, and alpha is none of them."""

from __future__ import annotations

import math

import numpy as np

from mixwell.plan.steps import Code
from mixwell.render.numba_cpu.compile import inlined, part
from mixwell.render.numba_cpu.floats.lines import UNIT, clipped, copy
from mixwell.render.numba_cpu.levels import join, start
from mixwell.render.numba_cpu.memory import doubles_at, floats_at, words_at
from mixwell.render.numba_cpu.pixels import at
from mixwell.render.numba_cpu.tone import turned
from mixwell.render.tables import GREY_WEIGHTS

_BRIGHTNESS, _POSTERIZE = int(Code.BRIGHTNESS), int(Code.POSTERIZE)
_SOLARIZE, _EQUALIZE = int(Code.SOLARIZE), int(Code.EQUALIZE)
_RED, _GREEN, _BLUE = (np.float32(w / 65536) for w in GREY_WEIGHTS)
_TOP = np.float32(255 + 1.0 - 1e-3)
_LEVEL = np.float32(1.0 / 255)
COLUMNS = 512
"""Sums of greys are kept apart for so many columns: vectors of them are added at once."""


@part
def pointwise(code, source, count, value, out):
    """BRIGHTNESS, POSTERIZE, SOLARIZE or INVERT of `count` numbers from one address to another."""
    given, to = floats_at(source, count), floats_at(out, count)
    if code == _BRIGHTNESS:
        factor = np.float32(value)
        for i in range(count):
            to[i] = clipped(given[i] * factor)
    elif code == _POSTERIZE:
        levels = np.float32(2.0 ** math.floor(value))
        top = levels - UNIT
        for i in range(count):
            to[i] = min(np.float32(np.floor(given[i] * levels)), top) / levels
    elif code == _SOLARIZE:
        threshold = np.float32(value / 255)
        for i in range(count):
            to[i] = UNIT - given[i] if given[i] >= threshold else given[i]
    else:
        for i in range(count):
            to[i] = UNIT - given[i]


@inlined
def _grey(red, green, blue):
    return (red * _RED + green * _GREEN) + blue * _BLUE


@part
def contrast(source, pixels, colours, value, room, out):
    """A blend of every pixel with the mean grey; `room`: address of float64 [COLUMNS]."""
    base = _pivot(source, pixels, colours, room)
    weight, rest = np.float32(value), np.float32(1.0 - value)
    count = pixels * colours
    given, to = floats_at(source, count), floats_at(out, count)
    added = base * rest
    for i in range(count):
        to[i] = clipped(given[i] * weight + added)


@part
def _pivot(source, pixels, colours, room):
    sums = doubles_at(room, COLUMNS)
    for i in range(COLUMNS):
        sums[i] = 0.0
    for begin in range(0, pixels, COLUMNS):
        count = min(COLUMNS, pixels - begin)
        red = floats_at(source + 4 * begin, count)
        if colours == 1:
            for i in range(count):
                sums[i] += np.float64(red[i])
        else:
            green = floats_at(source + 4 * (begin + pixels), count)
            blue = floats_at(source + 4 * (begin + 2 * pixels), count)
            for i in range(count):
                sums[i] += np.float64(_grey(red[i], green[i], blue[i]))
    total = 0.0
    for i in range(COLUMNS):
        total += sums[i]
    return np.float32(total / pixels)


@part
def saturation(source, pixels, value, out):
    """A blend of every pixel with its grey."""
    weight, rest = np.float32(value), np.float32(1.0 - value)
    red, green = floats_at(source, pixels), floats_at(source + 4 * pixels, pixels)
    blue, to_red = floats_at(source + 8 * pixels, pixels), floats_at(out, pixels)
    to_green, to_blue = floats_at(out + 4 * pixels, pixels), floats_at(out + 8 * pixels, pixels)
    for i in range(pixels):
        base = _grey(red[i], green[i], blue[i]) * rest
        to_red[i] = clipped(red[i] * weight + base)
        to_green[i] = clipped(green[i] * weight + base)
        to_blue[i] = clipped(blue[i] * weight + base)


@part
def grayscale(source, pixels, out):
    """Every pixel grey."""
    red, green = floats_at(source, pixels), floats_at(source + 4 * pixels, pixels)
    blue, to_red = floats_at(source + 8 * pixels, pixels), floats_at(out, pixels)
    to_green, to_blue = floats_at(out + 4 * pixels, pixels), floats_at(out + 8 * pixels, pixels)
    for i in range(pixels):
        grey = _grey(red[i], green[i], blue[i])
        to_red[i], to_green[i], to_blue[i] = grey, grey, grey


@part
def rearrange(source, pixels, shown, out):
    """Planes exchanged; `shown`: float64 [12], first those that red, green and blue show."""
    for c in range(3):
        copy(source + 4 * pixels * np.int64(shown[c]), pixels, out + 4 * pixels * c)


@part
def hue(source, pixels, value, out):
    """Every pixel's hue moved by `value` turns."""
    shift = np.float32(value)
    red, green = floats_at(source, pixels), floats_at(source + 4 * pixels, pixels)
    blue, to_red = floats_at(source + 8 * pixels, pixels), floats_at(out, pixels)
    to_green, to_blue = floats_at(out + 4 * pixels, pixels), floats_at(out + 8 * pixels, pixels)
    for i in range(pixels):
        to_red[i], to_green[i], to_blue[i] = turned(red[i], green[i], blue[i], shift)


@part
def autocontrast(source, pixels, room, out):
    """One plane stretched to 0 .. 1; one of a single level stays.

    `room`: address of scratch for two lines of COLUMNS numbers.
    """
    low, high = _extremes(source, pixels, room)
    given, to = floats_at(source, pixels), floats_at(out, pixels)
    if low == high:
        for i in range(pixels):
            to[i] = given[i]
        return
    span = high - low
    for i in range(pixels):
        to[i] = clipped((given[i] - low) / span)


@part
def _extremes(source, pixels, room):
    lows, highs = floats_at(room, COLUMNS), floats_at(room + 4 * COLUMNS, COLUMNS)
    low = high = floats_at(source, 1)[0]
    for i in range(COLUMNS):
        lows[i], highs[i] = low, high
    for begin in range(0, pixels, COLUMNS):
        count = min(COLUMNS, pixels - begin)
        given = floats_at(source + 4 * begin, count)
        for i in range(count):
            lows[i], highs[i] = min(lows[i], given[i]), max(highs[i], given[i])
    for i in range(COLUMNS):
        low, high = min(low, lows[i]), max(high, highs[i])
    return low, high


@inlined
def _level(value):
    """The nearest of 256 levels below."""
    return np.int32(value * _TOP) & np.int32(255)


@part
def equalize(source, pixels, colours, counts, table, step, room, out):
    """Each plane's 256 levels spread evenly.

    Args:
        source: address of planes float32 [colours, pixels].
        pixels: in a plane.
        colours: 1 or 3.
        counts: int64 [3, 256], scratch; table uint8 [3, 256]; step uint8 [256].
        room: address of scratch for 4 x 256 words.
        out: address of planes like `source`.
    """
    for c in range(colours):
        _count(floats_at(source + 4 * c * pixels, pixels), words_at(room, 1024), counts[c])
    start(table)
    join(_EQUALIZE, 0.0, counts, colours, table, step)
    levels = floats_at(room, 256)
    for c in range(colours):
        for level in range(256):
            levels[level] = np.float32(table[c, level]) * _LEVEL
        given = floats_at(source + 4 * c * pixels, pixels)
        to = floats_at(out + 4 * c * pixels, pixels)
        for i in range(pixels):
            to[i] = levels[at(_level(given[i]))]


@part
def _count(given, sets, counts):
    """A plane's histogram: four sets take turns, because a count waits for the one before it."""
    for i in range(1024):
        sets[i] = np.uint32(0)
    whole = len(given) & ~3
    for i in range(0, whole, 4):
        for k in range(4):
            sets[at(256 * k + _level(given[at(i + k)]))] += np.uint32(1)
    for i in range(whole, len(given)):
        sets[at(_level(given[at(i)]))] += np.uint32(1)
    for level in range(256):
        counts[level] = np.int64(sets[level]) + sets[256 + level]
        counts[level] += np.int64(sets[512 + level]) + sets[768 + level]
