"""The entry points for erasing behind a mix, and in normalised units before one."""

from __future__ import annotations

from mixwell.render.numba_cpu.compile import kernel
from mixwell.render.numba_cpu.loose import erase_output, mix_loose
from mixwell.render.numba_cpu.memory import address_of, floats_at
from mixwell.render.numba_cpu.signatures import EDIT, INT, MIX, OUTPUT, SCRATCH, SLOTS, SPAN, TABLE


@kernel(*SPAN, TABLE, *MIX, *EDIT, SLOTS, INT, *OUTPUT, *SCRATCH)
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


@kernel(*SPAN, *EDIT, SLOTS, INT, *OUTPUT)
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
