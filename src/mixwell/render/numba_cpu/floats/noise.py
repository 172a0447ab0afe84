"""Pixel noise and erasing on planes; `mixwell.render.reference.noise` has the stream."""

from __future__ import annotations

import numpy as np

from mixwell.plan.steps import EraseUnits, EraseValue
from mixwell.render.numba_cpu.compile import part
from mixwell.render.numba_cpu.floats.lines import clipped
from mixwell.render.numba_cpu.memory import floats_at, words_at
from mixwell.render.numba_cpu.noise import rectangle, words_of
from mixwell.render.numba_cpu.pixels import at
from mixwell.render.tables import NORMAL_BITS

_CONSTANT, _PIXEL = int(EraseValue.CONSTANT), int(EraseValue.PIXEL)
_NORMALIZED = int(EraseUnits.NORMALIZED)
_STEP, _SHARE = np.float32(2.0**-NORMAL_BITS), np.float32(2.0**-32)


@part
def _lines_of_words(key, y, first, count, room):
    """Four lines of random words at an address, for `count` pixels of line y from `first` on."""
    one, two = words_at(room, count), words_at(room + 4 * count, count)
    three, four = words_at(room + 8 * count, count), words_at(room + 12 * count, count)
    for x in range(count):
        words = words_of(key, first + x, y)
        one[x], two[x] = np.uint32(words[0]), np.uint32(words[1])
        three[x], four[x] = np.uint32(words[2]), np.uint32(words[3])


@part
def noise(source, height, width, colours, std, key, quantiles, room, out):
    """Adds normal noise to colours; `room`: address of scratch for four lines."""
    strength = np.float32(std)
    for y in range(height):
        _lines_of_words(key, y, 0, width, room)
        for c in range(colours):
            place = 4 * (c * height + y) * width
            drawn = words_at(room + 4 * c * width, width)
            given, to = floats_at(source + place, width), floats_at(out + place, width)
            for x in range(width):
                z = np.float32(quantiles[at(drawn[x] >> np.uint32(16))])
                to[x] = clipped(given[x] + z * _STEP * strength)


@part
def _drawn(words, normalized, mean, std, quantiles, line):
    """A line of random numbers from their words."""
    if normalized:
        for x in range(len(line)):
            z = np.float32(quantiles[at(words[x] >> np.uint32(16))]) * _STEP
            line[x] = z * std + mean
    else:
        for x in range(len(line)):
            line[x] = np.float32(words[x]) * _SHARE


@part
def erase(image, height, width, channels, param, fill, key, mean, std, quantiles, room):
    """Writes a rectangle, alpha too; in normalised units it is not held within 0 .. 1.

    Args:
        image: address of planes float32 [channels, height, width].
        height: px.
        width: px.
        channels: C.
        param: float64 [12], see `Code.ERASE`.
        fill: float32 [4].
        key: uint32 [4].
        mean: float32 [4]; with std float32 [4] the output's statistics.
        quantiles: int32 [65536].
        room: address of scratch for four lines.
    """
    x0, y0, x1, y1 = rectangle(param, height, width)
    count, normalized, pixels = x1 - x0, param[5] == _NORMALIZED, param[4] == _PIXEL
    if count <= 0:
        return
    if not pixels:
        _lines_of_words(key, 0, 0, 1, room)
    for y in range(y0, y1):
        if pixels:
            _lines_of_words(key, y, x0, count, room)
        for c in range(channels):
            line = floats_at(image + 4 * ((c * height + y) * width + x0), count)
            if pixels:
                words = words_at(room + 4 * c * count, count)
                _drawn(words, normalized, mean[c], std[c], quantiles, line)
                continue
            colour = fill[c]
            if param[4] != _CONSTANT:
                words, pixel = words_at(room + 4 * c, 1), floats_at(room + 16, 1)
                _drawn(words, normalized, mean[c], std[c], quantiles, pixel)
                colour = pixel[0]
            elif normalized:
                colour = colour * std[c] + mean[c]
            for x in range(count):
                line[x] = colour
