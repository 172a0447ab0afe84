"""Raw memory in kernels: addresses as arrays, and a few loads that Numba has no words for.

Arrays at an address are not counted as references and are not checked, so they compile to less, and
faster, than slices and views of an array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import extending, types
from numba.np.numpy_support import carray

from mixwell.render.numba_cpu.compile import part


def intrinsic(function: Callable) -> Callable[..., Any]:
    """Numba's decorator; it passes the first argument of what it decorates by itself."""
    return extending.intrinsic(function)


@intrinsic
def _pointer(typing: Any, address: Any) -> Any:
    """An integer as a pointer."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), code


@part
def bytes_at(address, count):
    """uint8 [count] at an address."""
    return carray(_pointer(address), (count,), np.uint8)


@part
def words_at(address, count):
    """uint32 [count] at an address."""
    return carray(_pointer(address), (count,), np.uint32)


@part
def halves_at(address, count):
    """uint16 [count] at an address."""
    return carray(_pointer(address), (count,), np.uint16)


@part
def floats_at(address, count):
    """float32 [count] at an address."""
    return carray(_pointer(address), (count,), np.float32)


@part
def ints_at(address, count):
    """int32 [count] at an address."""
    return carray(_pointer(address), (count,), np.int32)


@part
def longs_at(address, count):
    """int64 [count] at an address."""
    return carray(_pointer(address), (count,), np.int64)


@part
def doubles_at(address, count):
    """float64 [count] at an address."""
    return carray(_pointer(address), (count,), np.float64)


@intrinsic
def weighted_pixels(typing: Any, pixels: Any, weights: Any, pairs: Any) -> Any:
    """A resized pixel: the weighted sum of neighbouring pixels, rounded and clipped.

    Eight products at once: two pixels of four channels. Numba's loops do not become that.

    Args:
        pixels: int64, address of 2 * pairs packed pixels.
        weights: int64, address of int32 [2 * pairs, 4], each weight four times, in 1 / 2^22.
        pairs: int64, at least 1.

    Returns:
        uint32, the packed pixel.
    """
    signature = types.uint32(types.int64, types.int64, types.int64)
    return signature, _weighted_pixels


def _weighted_pixels(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    byte8, int8, int4 = (ir.VectorType(ir.IntType(b), n) for b, n in ((8, 8), (32, 8), (32, 4)))
    pixels = builder.inttoptr(args[0], byte8.as_pointer())
    weights = builder.inttoptr(args[1], int8.as_pointer())
    one, zero = ir.Constant(ir.IntType(64), 1), ir.Constant(ir.IntType(64), 0)
    before, loop = builder.block, builder.append_basic_block("pair")
    after = builder.append_basic_block("after")
    builder.branch(loop)
    builder.position_at_end(loop)
    pair, total = builder.phi(ir.IntType(64)), builder.phi(int8)
    pixel = builder.load(builder.gep(pixels, [pair]), align=1)
    weight = builder.load(builder.gep(weights, [pair]), align=4)
    summed = builder.add(total, builder.mul(builder.zext(pixel, int8), weight))
    following = builder.add(pair, one)
    pair.add_incoming(zero, before)
    pair.add_incoming(following, loop)
    total.add_incoming(ir.Constant(int8, [0] * 8), before)
    total.add_incoming(summed, loop)
    builder.cbranch(builder.icmp_signed("<", following, args[2]), loop, after)
    builder.position_at_end(after)
    halves = [
        builder.shuffle_vector(
            summed, summed, ir.Constant(ir.VectorType(ir.IntType(32), 4), list(lanes))
        )
        for lanes in (range(4), range(4, 8))
    ]
    both = builder.add(*halves)
    rounded = builder.ashr(
        builder.add(both, ir.Constant(int4, [1 << 21] * 4)), ir.Constant(int4, [22] * 4)
    )
    for sign, limit in ((">", 0), ("<", 255)):
        edge = ir.Constant(int4, [limit] * 4)
        rounded = builder.select(builder.icmp_signed(sign, rounded, edge), rounded, edge)
    packed = builder.trunc(rounded, ir.VectorType(ir.IntType(8), 4))
    return builder.bitcast(packed, ir.IntType(32))


@intrinsic
def word_at(typing: Any, address: Any) -> Any:
    """uint32 at an address that need not be aligned."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(32).as_pointer())
        return builder.load(pointer, align=1)

    return types.uint32(types.int64), code
