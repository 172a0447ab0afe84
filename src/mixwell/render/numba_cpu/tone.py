"""Ops on the colours of packed pixels; `mixwell.render.reference.tone` has the rules."""

from __future__ import annotations

import numpy as np

from mixwell.render.numba_cpu.compile import inlined, part
from mixwell.render.numba_cpu.pixels import channel, packed

_ALPHA = np.uint32(0xFF000000)
_ZERO, _UNIT, _TOP = np.float32(0), np.float32(1), np.float32(255)


@inlined
def grey_of(red, green, blue):
    """int32: the grey level of levels, as Pillow."""
    return np.int32(19595 * red + 38470 * green + 7471 * blue + 32768) >> 16


@part
def grayscale(image, pixels):
    """Every pixel grey."""
    for i in range(pixels):
        word = image[i]
        grey = np.uint32(grey_of(channel(word, 0), channel(word, 8), channel(word, 16)))
        image[i] = packed(grey, grey, grey) | (word & _ALPHA)


@part
def rearrange(image, pixels, shown):
    """Every pixel's channels exchanged; `shown`: float64 [12], first those that each one shows."""
    red, green, blue = 8 * np.int64(shown[0]), 8 * np.int64(shown[1]), 8 * np.int64(shown[2])
    for i in range(pixels):
        word = image[i]
        image[i] = packed(channel(word, red), channel(word, green), channel(word, blue)) | (
            word & _ALPHA
        )


@inlined
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


@inlined
def _floor(value):
    """The whole number below; small numbers only."""
    cut = np.float32(np.int32(value))
    return cut - _UNIT if cut > value else cut


@inlined
def turned(red, green, blue, shift):
    """A colour float32 in 0 .. 1 with its hue moved by `shift` turns, step by step as torch."""
    high, low = max(max(red, green), blue), min(min(red, green), blue)
    grey = high == low
    saturated = (high - low) / (_UNIT if grey else high)
    span = _UNIT if grey else high - low
    r, g, b = (high - red) / span, (high - green) / span, (high - blue) / span
    sixths = g + np.float32(4) - r
    sixths = r + np.float32(2) - b if high == green else sixths
    sixths = b - g if high == red else sixths
    hue = sixths * np.float32(1.0 / 6.0) + _UNIT
    hue = hue - _floor(hue) + shift
    hue = hue - _floor(hue)
    sixths = hue * np.float32(6)
    sector = _floor(sixths)
    share = saturated * (sixths - sector)
    q = min(max((_UNIT - share) * high, _ZERO), _UNIT)
    t = min(max((share + (_UNIT - saturated)) * high, _ZERO), _UNIT)
    p = min(max((_UNIT - saturated) * high, _ZERO), _UNIT)
    place = sector - np.float32(6) if sector >= np.float32(6) else sector
    return (
        _picked(place, high, p, q, t),
        _picked(place + np.float32(4), high, p, q, t),
        _picked(place + np.float32(2), high, p, q, t),
    )


@inlined
def _picked(place, high, p, q, t):
    """What red takes in a sixth of the circle, 0 .. 11; green and blue take it 4 and 2 later."""
    place = place - np.float32(6) if place >= np.float32(6) else place
    found = high
    found = q if place == np.float32(1) else found
    found = p if place == np.float32(2) or place == np.float32(3) else found
    return t if place == np.float32(4) else found


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
