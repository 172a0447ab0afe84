"""The entry points that threads call: a share of an edit's rows, or of a mix's outputs."""

from __future__ import annotations

from numba import types

from mixwell.render.numba_cpu.compile import kernel
from mixwell.render.numba_cpu.floats.finish import is_direct, put_image
from mixwell.render.numba_cpu.floats.lines import is_tight
from mixwell.render.numba_cpu.floats.mixing import mix_to
from mixwell.render.numba_cpu.floats.program import run_row
from mixwell.render.numba_cpu.memory import bytes_here, longs_here
from mixwell.render.numba_cpu.signatures import EDIT, INT, MIX, OUTPUT, SPAN, TABLE, array

_SCRATCH = (INT, INT)
"""Address of scratch, and bytes of a buffer in it."""


@kernel(*SPAN, TABLE, *EDIT, array(types.float32, 3), INT, *OUTPUT, *_SCRATCH)
def edit_rows(
    first, last, todo, rows, code, param, size_hw, interp, fill, key, kernels, channels, targets,
    scales, shifts, mean, std, quantiles, scratch, area,
):  # fmt: skip
    """Rows through their programs, into their final form."""
    one, two, room = scratch, scratch + area, scratch + 2 * area
    counts, table = longs_here(3, 256), bytes_here(3, 256)
    step, here = bytes_here(1, 256)[0], longs_here(1, 6)[0]
    for i in range(first, last):
        n = todo[i]
        target = targets[n]
        plain = target[7] == 0 and is_direct(target) and is_tight(target, channels)
        straight = target[0] if plain else 0
        run_row(
            rows[n], code[n], param[n], size_hw[n], interp[n], fill[n], key[n], channels,
            kernels[n if len(kernels) > 1 else 0], mean, std, quantiles, one, two, room, straight,
            counts, table, step, here,
        )  # fmt: skip
        if here[0] != straight:
            put_image(target, here, channels, scales, shifts, room)


@kernel(*SPAN, TABLE, *MIX, array(types.boolean, 1), INT, *OUTPUT, *_SCRATCH)
def mix_rows(
    first, last, todo, rows, source, mode, units, rect, offset, canvas, fill, mask, loose, channels,
    targets, scales, shifts, mean, std, quantiles, scratch, area,
):  # fmt: skip
    """Outputs of a mix into their final form."""
    for i in range(first, last):
        b = todo[i]
        mix_to(
            targets[b], rows, source[b], mode[b], units[b], rect[b], offset[b], canvas[b], fill[b],
            mask[b if len(mask) > 1 else 0], loose[b], channels, scales, shifts, scratch,
            scratch + area, scratch + 2 * area,
        )  # fmt: skip
