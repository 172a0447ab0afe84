"""The entry points that threads call: a share of an edit's rows, or of a mix's outputs."""

from __future__ import annotations

from numba import types

from mixwell.render.numba_cpu.compile import kernel
from mixwell.render.numba_cpu.finish import WORDS, put_image
from mixwell.render.numba_cpu.loose import erase_output
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
from mixwell.render.numba_cpu.signatures import (
    EDIT,
    INT,
    MIX,
    OUTPUT,
    SCRATCH,
    SLOTS,
    SPAN,
    TABLE,
    array,
)


@kernel(*SPAN, TABLE, types.boolean, *EDIT, SLOTS, array(types.int32, 3), INT,
        *OUTPUT, *SCRATCH)  # fmt: skip
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


@kernel(*SPAN, TABLE, *MIX, INT, *OUTPUT, *SCRATCH)
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
