"""Packed pixels: four 8-bit channels in a word, and arithmetic on all of them at once.

Spread over 64 bits, channels stand in lanes of 16 bits, in the order 0, 2, 1, 3.
"""

from __future__ import annotations

import numpy as np

from mixwell.render.numba_cpu.compile import inlined, part
from mixwell.render.numba_cpu.memory import bytes_at, word_at

_EVEN = np.int64(0x00FF00FF)
_ODD = np.int64(0xFF00FF00)
_LANES = np.int64(0x00FF00FF00FF00FF)
_HALF = np.int64(0x0080008000800080)


@inlined
def at(index):
    """A position that is known not to be negative: Numba then leaves out its test."""
    return np.uint64(index)


@inlined
def packed(red, green, blue):
    """A word from three levels 0 .. 255."""
    return np.uint32(red) | (np.uint32(green) << np.uint32(8)) | (np.uint32(blue) << np.uint32(16))


@inlined
def channel(word, shift):
    """int32: the level at a shift of 0, 8, 16 or 24 bits."""
    return np.int32((word >> np.uint32(shift)) & np.uint32(255))


@part
def fill_word(fill, channels):
    """A packed pixel from fills float32 [4], rounded half to even."""
    word = np.uint32(0)
    for c in range(channels):
        word |= np.uint32(np.rint(fill[c])) << np.uint32(8 * c)
    return word


@inlined
def spread(word):
    """int64: the channels in lanes of 16 bits."""
    wide = np.int64(word)
    return (wide & _EVEN) | ((wide & _ODD) << 24)


@inlined
def gathered(lanes):
    """uint32: the packed pixel of lanes that hold 0 .. 255."""
    return np.uint32((lanes & _EVEN) | ((lanes >> 24) & _ODD))


@inlined
def between(p, q, weight):
    """Lanes (p (256 - w) + q w + 128) >> 8; borrows between lanes cancel in the sum."""
    return (((p << 8) + _HALF + (q - p) * weight) >> 8) & _LANES


@part
def pack_line(address, stride_c, stride_x, channels, count, out):
    """Packs `count` pixels of uint8 channels that lie at an address, strides in bytes."""
    if channels == 3 and stride_c == 1 and stride_x == 3:
        for x in range(count - 1):
            out[x] = word_at(address + 3 * x) & np.uint32(0xFFFFFF)
        last = bytes_at(address + 3 * (count - 1), 3)
        out[count - 1] = packed(last[0], last[1], last[2])
    elif channels == 3 and stride_x == 1:
        red, green = bytes_at(address, count), bytes_at(address + stride_c, count)
        blue = bytes_at(address + 2 * stride_c, count)
        for x in range(count):
            out[x] = packed(red[x], green[x], blue[x])
    elif channels == 1 and stride_x == 1:
        grey = bytes_at(address, count)
        for x in range(count):
            out[x] = np.uint32(grey[x])
    else:
        for x in range(count):
            word = np.uint32(0)
            for c in range(channels):
                level = bytes_at(address + x * stride_x + c * stride_c, 1)[0]
                word |= np.uint32(level) << np.uint32(8 * c)
            out[x] = word
