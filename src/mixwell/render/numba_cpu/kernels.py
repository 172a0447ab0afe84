"""The entry points that threads call: a share of an edit's rows, or of a mix's outputs."""

from __future__ import annotations

from numba import types

from mixwell.render.numba_cpu.compile import kernel
from mixwell.render.numba_cpu.finish import WORDS, put_image
from mixwell.render.numba_cpu.loose import erase_output, mix_loose
from mixwell.render.numba_cpu.memory import (
    address_of,
    bytes_here,
    floats_at,
    ints_at,
    longs_here,
    words_at,
)
from mixwell.render.numba_cpu.mixing import mix_to
from mixwell.render.numba_cpu.program import run_row


def _array(dtype: types.Type, ndim: int) -> types.Array:
    """A contiguous array that a kernel only reads."""
    return types.Array(dtype, ndim, "C", readonly=True)


_INT = types.int64
_TABLE = types.Array(types.int64, 2, "C")
"""Images or outputs, see `layout`; of the same type as what kernels describe themselves."""
_SPAN = (_INT, _INT, _array(types.int64, 1))
"""First and last place in a list of rows, and the list."""
_EDIT = (
    _array(types.uint8, 2),
    _array(types.float64, 3),
    _array(types.int32, 3),
    _array(types.uint8, 2),
    _array(types.float32, 3),
    _array(types.uint32, 3),
    _array(types.int64, 1),
)
"""code, param, size_hw, interp, fill, key, and how many slots of each row are done on words."""
_MIX = (
    _array(types.int32, 2),
    _array(types.uint8, 2),
    _array(types.int64, 2),
    _array(types.int32, 3),
    _array(types.int32, 3),
    _array(types.int32, 2),
    _array(types.float32, 2),
    _array(types.uint16, 3),
)
"""source, mode, units, rect_px, offset_px, canvas_hw, fill, mask."""
_OUTPUT = (_TABLE, *[_array(types.float32, 1)] * 4, _array(types.int32, 1))
"""targets, scales, shifts, mean, std, quantiles."""
_SCRATCH = (types.Array(types.uint32, 1, "C"), _INT)
"""Words of scratch, and how many of them a buffer has."""


@kernel(*_SPAN, _TABLE, types.boolean, *_EDIT, _array(types.int32, 3), _INT,
        *_OUTPUT, *_SCRATCH)  # fmt: skip
def edit_rows(
    first, last, todo, sources, packed_sources, code, param, size_hw, interp, fill, key, slots,
    kernels, channels, targets, scales, shifts, mean, std, quantiles, scratch, area,
):  # fmt: skip
    """Rows through their programs, into words or into their final form."""
    begin = address_of(scratch)
    one, two = words_at(begin, area), words_at(begin + 4 * area, area)
    room = words_at(begin + 8 * area, len(scratch) - 2 * area)
    counts, behind, table = longs_here(3, 256), longs_here(3, 256), bytes_here(3, 256)
    step = bytes_here(1, 256)[0]
    for i in range(first, last):
        n = todo[i]
        image, other = run_row(
            sources[n], packed_sources, code[n], param[n], size_hw[n], interp[n], fill[n], key[n],
            slots[n], channels, kernels[n if len(kernels) > 1 else 0], quantiles, one, two, room,
            counts, behind, table, step,
        )  # fmt: skip
        target = targets[n]
        spare = floats_at(address_of(other), area)
        put_image(target, image, channels, scales, shifts, spare)
        if slots[n] < code.shape[1] and target[6] != WORDS:
            erase_output(
                target, channels, code[n], param[n], fill[n], key[n], slots[n], scales, shifts,
                mean, std, quantiles,
            )  # fmt: skip


@kernel(*_SPAN, _TABLE, *_MIX, _INT, *_OUTPUT, *_SCRATCH)
def mix_rows(
    first, last, todo, rows, source, mode, units, rect, offset, canvas, fill, mask, channels,
    targets, scales, shifts, mean, std, quantiles, scratch, area,
):  # fmt: skip
    """Outputs of a mix, into words or into their final form."""
    begin = address_of(scratch)
    total, spare = ints_at(begin, 4 * area), floats_at(begin + 16 * area, area)
    words = words_at(begin + 20 * area, len(scratch) - 5 * area)
    for i in range(first, last):
        b = todo[i]
        canvas_mask = mask[b if len(mask) > 1 else 0]
        mix_to(
            targets[b], rows, source[b], mode[b], units[b], rect[b], offset[b], canvas[b], fill[b],
            canvas_mask, channels, scales, shifts, words, total, spare,
        )  # fmt: skip


@kernel(*_SPAN, _TABLE, *_MIX, *_EDIT, _INT, *_OUTPUT, *_SCRATCH)
def mix_loose_rows(
    first, last, todo, rows, source, mode, units, rect, offset, canvas, fill, mask, code, param,
    size_hw, interp, fills, key, slots, channels, targets, scales, shifts, mean, std, quantiles,
    scratch, area,
):  # fmt: skip
    """Outputs of a mix that show loose rows; the edit is the one before the mix."""
    begin = address_of(scratch)
    line, total = floats_at(begin, area), floats_at(begin + 4 * area, area)
    for i in range(first, last):
        b = todo[i]
        mix_loose(
            targets[b], rows, source[b], mode[b], units[b], rect[b], offset[b], canvas[b], fill[b],
            mask[b if len(mask) > 1 else 0], channels, scales, shifts, code, param, fills, key,
            slots, mean, std, quantiles, line, total,
        )  # fmt: skip


@kernel(*_SPAN, *_EDIT, _INT, *_OUTPUT)
def erase_outputs(
    first, last, todo, code, param, size_hw, interp, fill, key, slots, channels, targets, scales,
    shifts, mean, std, quantiles,
):  # fmt: skip
    """Erasings behind the last mix, on outputs in their final form."""
    for i in range(first, last):
        b = todo[i]
        erase_output(
            targets[b], channels, code[b], param[b], fill[b], key[b], slots[b], scales, shifts,
            mean, std, quantiles,
        )  # fmt: skip
