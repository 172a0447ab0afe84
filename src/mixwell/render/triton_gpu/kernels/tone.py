"""Ops on one pixel at a time: tables by look-up, saturation, hue, grayscale, channels."""

import triton
import triton.language as tl

from mixwell.render.triton_gpu.kernels.read import blended, float_of, held, level_of

_ALPHA = tl.constexpr(-16777216)


@triton.jit
def looked_up(word, table, mask, CHANNELS: tl.constexpr):
    """Packed pixels through a table uint8 [3, 256]; the fourth channel stays."""
    out = word & _ALPHA if CHANNELS > 3 else tl.zeros_like(word)
    for c in tl.static_range(CHANNELS if CHANNELS < 3 else 3):
        level = tl.load(table + 256 * c + level_of(word, c), mask=mask, other=0)
        out |= level.to(tl.int32) << (8 * c)
    return out


@triton.jit
def _grey(word):
    total = 19595 * level_of(word, 0) + 38470 * level_of(word, 1) + 7471 * level_of(word, 2)
    return (total + 32768) >> 16


@triton.jit
def grayscale(word):
    """Pixels of three or four channels, grey."""
    grey = _grey(word)
    return grey | (grey << 8) | (grey << 16) | (word & _ALPHA)


@triton.jit
def rearranged(word, op):
    """Pixels with their channels exchanged as an op says."""
    out = word & _ALPHA
    for c in tl.static_range(3):
        shift = 8 * tl.load(op + 2 + c).to(tl.int32)
        out |= ((word >> shift) & 255) << (8 * c)
    return out


@triton.jit
def saturation(word, factor):
    """A blend of pixels with their grey."""
    grey = _grey(word)
    out = word & _ALPHA
    for c in tl.static_range(3):
        out |= blended(grey, level_of(word, c), factor) << (8 * c)
    return out


@triton.jit
def hue(word, shift):
    """Pixels with their hue moved by `shift` turns, step by step as torchvision."""
    inverse = 0.003921568859368563  # float32(1 / 255)
    red = level_of(word, 0).to(tl.float32) * inverse
    green = level_of(word, 1).to(tl.float32) * inverse
    blue = level_of(word, 2).to(tl.float32) * inverse
    high = tl.maximum(tl.maximum(red, green), blue)
    low = tl.minimum(tl.minimum(red, green), blue)
    grey = high == low
    saturated = tl.div_rn(high - low, tl.where(grey, 1.0, high))
    span = tl.where(grey, 1.0, high - low)
    r, g, b = (
        tl.div_rn(high - red, span), tl.div_rn(high - green, span), tl.div_rn(high - blue, span)
    )  # fmt: skip
    sixths = tl.where(high == green, r + 2.0 - b, g + 4.0 - r)
    sixths = tl.where(high == red, b - g, sixths)
    turns = sixths * 0.1666666716337204 + 1.0  # float32(1 / 6)
    turns = turns - tl.floor(turns) + shift
    turns = turns - tl.floor(turns)
    sixths = turns * 6.0
    sector = tl.floor(sixths)
    part = saturated * (sixths - sector)
    q = held((1.0 - part) * high, 0.0, 1.0)
    t = held((part + (1.0 - saturated)) * high, 0.0, 1.0)
    p = held((1.0 - saturated) * high, 0.0, 1.0)
    place = sector.to(tl.int32) % 6
    out = (word & _ALPHA) | _picked(place, high, p, q, t)
    out |= _picked((place + 4) % 6, high, p, q, t) << 8
    return out | (_picked((place + 2) % 6, high, p, q, t) << 16)


@triton.jit
def _picked(place, high, p, q, t):
    """What red takes in a sixth of the circle; green and blue take it 4 and 2 later."""
    found = tl.where(place == 1, q, high)
    found = tl.where((place == 2) | (place == 3), p, found)
    found = tl.where(place == 4, t, found)
    return (found * 255.99899291992188).to(tl.int32)  # float32(255 + 1 - 1e-3)


@triton.jit
def factor_of(op):
    """The factor of an op, float32."""
    return float_of(tl.load(op + 2))
