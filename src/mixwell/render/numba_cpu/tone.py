"""Saturation, hue and grayscale on packed pixels; `mixwell.render.reference.tone` has the rules."""

from __future__ import annotations

import numpy as np

from mixwell.render.numba_cpu.compile import part
from mixwell.render.numba_cpu.pixels import channel, packed

_ALPHA = np.uint32(0xFF000000)
_ZERO, _UNIT, _TOP = np.float32(0), np.float32(1), np.float32(255)


@part
def grey_of(red, green, blue):
    """int32: the grey level of levels, as Pillow."""
    return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16


@part
def grayscale(image, pixels):
    """Every pixel grey."""
    for i in range(pixels):
        word = image[i]
        grey = np.uint32(grey_of(channel(word, 0), channel(word, 8), channel(word, 16)))
        image[i] = packed(grey, grey, grey) | (word & _ALPHA)


@part
def _blended(base, level, factor):
    start = np.float32(base)
    mixed = start + factor * (np.float32(level) - start)
    return np.uint32(np.int32(min(max(mixed, _ZERO), _TOP)))


@part
def saturation(image, pixels, value):
    """A blend of every pixel with its grey."""
    factor = np.float32(value)
    for i in range(pixels):
        word = image[i]
        red, green, blue = channel(word, 0), channel(word, 8), channel(word, 16)
        grey = grey_of(red, green, blue)
        image[i] = packed(
            _blended(grey, red, factor),
            _blended(grey, green, factor),
            _blended(grey, blue, factor),
        ) | (word & _ALPHA)


@part
def turned(red, green, blue, shift):
    """A colour float32 in 0 .. 1 with its hue moved by `shift` turns, step by step as torch."""
    high, low = max(max(red, green), blue), min(min(red, green), blue)
    grey = high == low
    saturated = (high - low) / (_UNIT if grey else high)
    span = _UNIT if grey else high - low
    r, g, b = (high - red) / span, (high - green) / span, (high - blue) / span
    if high == red:
        sixths = b - g
    elif high == green:
        sixths = r + np.float32(2) - b
    else:
        sixths = g + np.float32(4) - r
    hue = sixths * np.float32(1.0 / 6.0) + _UNIT
    hue = hue - np.float32(np.floor(hue)) + shift
    hue = hue - np.float32(np.floor(hue))
    sixths = hue * np.float32(6)
    sector = np.float32(np.floor(sixths))
    share = saturated * (sixths - sector)
    q = min(max((_UNIT - share) * high, _ZERO), _UNIT)
    t = min(max((share + (_UNIT - saturated)) * high, _ZERO), _UNIT)
    p = min(max((_UNIT - saturated) * high, _ZERO), _UNIT)
    place = np.int32(sector) % 6
    if place == 0:
        return high, t, p
    if place == 1:
        return q, high, p
    if place == 2:
        return p, high, t
    if place == 3:
        return p, q, high
    if place == 4:
        return t, p, high
    return high, p, q


@part
def hue(image, pixels, value):
    """Every pixel's hue moved by `value` turns."""
    shift, inverse, top = np.float32(value), np.float32(1.0 / 255), np.float32(255 + 1.0 - 1e-3)
    for i in range(pixels):
        word = image[i]
        red, green, blue = turned(
            np.float32(channel(word, 0)) * inverse,
            np.float32(channel(word, 8)) * inverse,
            np.float32(channel(word, 16)) * inverse,
            shift,
        )
        image[i] = packed(np.int32(red * top), np.int32(green * top), np.int32(blue * top)) | (
            word & _ALPHA
        )
