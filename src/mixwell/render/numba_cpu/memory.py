"""Raw memory in kernels: addresses as arrays, and a few loads that Numba has no words for.

Arrays at an address are not counted as references and are not checked, so they compile to less, and
faster, than slices and views of an array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils
from numba.np.arrayobj import make_array, populate_array

from mixwell.render.numba_cpu.compile import part


def intrinsic(function: Callable) -> Callable[..., Any]:
    """Numba's decorator, by which numbers in the text stay numbers that the code can depend on; it
    passes the first argument of what it decorates by itself."""
    return extending.intrinsic(prefer_literal=True)(function)


def _array_of(context: Any, builder: Any, pointer: Any, dtype: types.Type, shape: Any) -> Any:
    """A contiguous array at a pointer, which nobody owns."""
    array = make_array(types.Array(dtype, len(shape), "C"))(context, builder)
    size = context.get_abi_sizeof(context.get_data_type(dtype))
    strides = [ir.Constant(ir.IntType(64), size)]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    populate_array(array, pointer, shape, strides, ir.Constant(ir.IntType(64), size), None)
    return array._getvalue()


def _at_address(dtype: types.Type) -> Callable[..., Any]:
    """What makes an array [count] of what lies at an address."""

    @extending.intrinsic
    def at_address(typing: Any, address: Any, count: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = builder.inttoptr(args[0], context.get_data_type(dtype).as_pointer())
            return _array_of(context, builder, pointer, dtype, [args[1]])

        return types.Array(dtype, 1, "C")(types.int64, types.int64), code

    return at_address


bytes_at = _at_address(types.uint8)
halves_at = _at_address(types.uint16)
words_at = _at_address(types.uint32)
ints_at = _at_address(types.int32)
longs_at = _at_address(types.int64)
floats_at = _at_address(types.float32)
doubles_at = _at_address(types.float64)


def _on_stack(dtype: types.Type) -> Callable[..., Any]:
    """What makes an array [rows, columns], literal numbers, that ends with its function."""

    @intrinsic
    def on_stack(typing: Any, rows: Any, columns: Any) -> Any:
        shape = [rows.literal_value, columns.literal_value]

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind = context.get_data_type(dtype)
            room = cgutils.alloca_once(builder, kind, size=shape[0] * shape[1])
            lengths = [ir.Constant(ir.IntType(64), length) for length in shape]
            return _array_of(context, builder, room, dtype, lengths)

        return types.Array(dtype, 2, "C")(rows, columns), code

    return on_stack


bytes_here = _on_stack(types.uint8)
words_here = _on_stack(types.uint32)
longs_here = _on_stack(types.int64)


@intrinsic
def address_of(typing: Any, array: Any) -> Any:
    """int64: where a contiguous array begins."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = make_array(array)(context, builder, args[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return types.int64(array), code


@part
def copy_words(source, count, out):
    """`count` words from one address to another."""
    given, to = words_at(source, count), words_at(out, count)
    for i in range(count):
        to[i] = given[i]


@part
def fill_words(out, count, word):
    """The same word `count` times, from an address on."""
    to = words_at(out, count)
    for i in range(count):
        to[i] = word


@part
def copy_longs(source, count, out):
    """The first `count` numbers of int64 [n] into another array."""
    for i in range(count):
        out[i] = source[i]


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

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        total = _looped(builder, *args)
        return builder.bitcast(_levels(builder, total, total, 4), ir.IntType(32))

    return types.uint32(*[types.int64] * 3), code


@intrinsic
def put_two_pixels(typing: Any, out: Any, first: Any, second: Any, weights: Any, pairs: Any) -> Any:
    """Two neighbouring pixels of the output at once, as `weighted_pixels` makes each.

    What follows the sums costs as much as two pairs' products; two pixels share it.

    Args:
        out: int64, address of the first of them.
        first: int64, address of the pixels that the first one sums.
        second: of those of the second one.
        weights: int64, address of int32 [2, 2 * pairs, 4].
        pairs: a literal number.
    """
    number = pairs.literal_value
    signature = types.void(*[types.int64] * 4, pairs)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out, first, second, weights = args[:4]
        one = _unrolled(builder, first, weights, number)
        behind = builder.add(weights, ir.Constant(ir.IntType(64), 32 * number))
        two = _unrolled(builder, second, behind, number)
        levels = _levels(builder, one, two, 8)
        builder.store(levels, builder.inttoptr(out, levels.type.as_pointer()), align=1)
        return context.get_dummy_value()

    return signature, code


_BYTE8, _INT8 = (ir.VectorType(ir.IntType(b), 8) for b in (8, 32))


def _product(builder: Any, pixels: Any, weights: Any, pair: Any) -> Any:
    """Two pixels times their weights, <8 x i32>."""
    pixel = builder.load(builder.gep(pixels, [pair]), align=1)
    weight = builder.load(builder.gep(weights, [pair]), align=4)
    return builder.mul(builder.zext(pixel, _INT8), weight)


def _unrolled(builder: Any, pixels: Any, weights: Any, pairs: int) -> Any:
    """The sum over a known number of pairs."""
    pixels = builder.inttoptr(pixels, _BYTE8.as_pointer())
    weights = builder.inttoptr(weights, _INT8.as_pointer())
    places = [ir.Constant(ir.IntType(64), pair) for pair in range(pairs)]
    total = _product(builder, pixels, weights, places[0])
    for place in places[1:]:
        total = builder.add(total, _product(builder, pixels, weights, place))
    return total


def _looped(builder: Any, pixels: Any, weights: Any, pairs: Any) -> Any:
    """The sum over any number of pairs."""
    pixels = builder.inttoptr(pixels, _BYTE8.as_pointer())
    weights = builder.inttoptr(weights, _INT8.as_pointer())
    one, zero = ir.Constant(ir.IntType(64), 1), ir.Constant(ir.IntType(64), 0)
    before, loop = builder.block, builder.append_basic_block("pair")
    after = builder.append_basic_block("after")
    builder.branch(loop)
    builder.position_at_end(loop)
    pair, total = builder.phi(ir.IntType(64)), builder.phi(_INT8)
    summed = builder.add(total, _product(builder, pixels, weights, pair))
    following = builder.add(pair, one)
    pair.add_incoming(zero, before)
    pair.add_incoming(following, loop)
    total.add_incoming(ir.Constant(_INT8, [0] * 8), before)
    total.add_incoming(summed, loop)
    builder.cbranch(builder.icmp_signed("<", following, pairs), loop, after)
    builder.position_at_end(after)
    return summed


def _levels(builder: Any, one: Any, two: Any, lanes: int) -> Any:
    """Sums <8 x i32> of one pixel (4 lanes) or of two, rounded and clipped: <lanes x i8>."""
    kind = ir.VectorType(ir.IntType(32), lanes)
    halves = [
        builder.shuffle_vector(one, two, ir.Constant(kind, lane[:lanes]))
        for lane in ([0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15])
    ]
    total = builder.add(builder.add(*halves), ir.Constant(kind, [1 << 21] * lanes))
    rounded = builder.ashr(total, ir.Constant(kind, [22] * lanes))
    for sign, limit in ((">", 0), ("<", 255)):
        edge = ir.Constant(kind, [limit] * lanes)
        rounded = builder.select(builder.icmp_signed(sign, rounded, edge), rounded, edge)
    return builder.trunc(rounded, ir.VectorType(ir.IntType(8), lanes))


@intrinsic
def put_word(typing: Any, address: Any, word: Any) -> Any:
    """A uint32 to an address that need not be aligned."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(32).as_pointer())
        builder.store(args[1], pointer, align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.uint32), code


@intrinsic
def word_at(typing: Any, address: Any) -> Any:
    """uint32 at an address that need not be aligned."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(32).as_pointer())
        return builder.load(pointer, align=1)

    return types.uint32(types.int64), code
