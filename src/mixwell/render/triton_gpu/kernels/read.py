"""Pixels from memory, as packed words or channel by channel, and small helpers."""

import triton
import triton.language as tl

from mixwell.render.triton_gpu import records

_WORDS = tl.constexpr(records.WORDS)


@triton.jit
def float_of(bits):
    """A float32 from its bits in an int64."""
    return bits.to(tl.int32).to(tl.float32, bitcast=True)


@triton.jit
def held(value, low, high):
    """The value, or the bound that it lies beyond."""
    return tl.minimum(tl.maximum(value, low), high)


@triton.jit
def level_of(word, c: tl.constexpr):
    """int32: the level of a channel in packed pixels."""
    return (word >> (8 * c)) & 255


@triton.jit
def read(place, x, y, mask, CHANNELS: tl.constexpr):
    """Packed pixels int32 at whole positions, inside the place where `mask` says so.

    Args:
        place: pointer to a record that begins with a place.
        x: int32 [BLOCK], px.
        y: int32 [BLOCK], px.
        mask: bool [BLOCK].
        CHANNELS: 1, 3 or 4.
    """
    column, line = x.to(tl.int64) * tl.load(place + 3), y.to(tl.int64) * tl.load(place + 2)
    address = tl.load(place) + line + column
    if tl.load(place + 6) == _WORDS:
        word = tl.load(address.to(tl.pointer_type(tl.int32)), mask=mask, other=0)
    else:
        step = tl.load(place + 1)
        at = address.to(tl.pointer_type(tl.uint8))
        word = tl.load(at, mask=mask, other=0).to(tl.int32)
        for c in tl.static_range(1, CHANNELS):
            word |= tl.load(at + c * step, mask=mask, other=0).to(tl.int32) << (8 * c)
    return word


@triton.jit
def read_level(place, x, y, c: tl.constexpr, mask):
    """int32: one channel's levels; in words, channels are bytes that follow one another."""
    column, line = x.to(tl.int64) * tl.load(place + 3), y.to(tl.int64) * tl.load(place + 2)
    address = tl.load(place) + c * tl.load(place + 1) + line + column
    return tl.load(address.to(tl.pointer_type(tl.uint8)), mask=mask, other=0).to(tl.int32)


@triton.jit
def mirrored(place, length):
    """Positions reflected at the edge pixels until they are inside."""
    period = tl.maximum(2 * (length - 1), 1)
    rest = place % period
    rest = tl.where(rest < 0, rest + period, rest)
    return tl.minimum(rest, period - rest)


@triton.jit
def blended(base, level, factor):
    """base + factor * (level - base) in float32, clipped and cut off: int32."""
    start = base.to(tl.float32)
    mixed = start + factor * (level.to(tl.float32) - start)
    return held(mixed, 0.0, 255.0).to(tl.int32)
