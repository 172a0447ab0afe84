"""Loose rows: levels that erasing in normalised units has taken out of 0 .. 255.

Such a row is packed pixels and the erasings behind them, the first of which is in normalised
units. Lines are made in float32 when they are asked for.
"""

from __future__ import annotations

import numpy as np

from mixwell.plan.steps import Code, MixMode
from mixwell.render.numba_cpu.compile import part
from mixwell.render.numba_cpu.finish import finished, line_of, put_line, store
from mixwell.render.numba_cpu.memory import floats_at, words_at
from mixwell.render.numba_cpu.mixing import units_at
from mixwell.render.numba_cpu.noise import erased_value, rectangle
from mixwell.render.numba_cpu.pixels import channel

_ERASE, _SKIP, _PASTE = int(Code.ERASE), int(MixMode.SKIP), int(MixMode.PASTE)
_PART = np.float32(1.0 / 65536)


@part
def loose_line(row, y, x0, x1, c, code, param, fill, key, slot, mean, std, quantiles, line):
    """Levels float32 of a part of a row's line, erasings from `slot` on included."""
    pixels = words_at(row[0] + y * row[2] + 4 * x0, x1 - x0)
    for x in range(x1 - x0):
        line[x] = np.float32(channel(pixels[x], 8 * c))
    for k in range(slot, len(code)):
        if code[k] != _ERASE:
            continue
        left, top, right, bottom = rectangle(param[k], row[4], row[5])
        if not top <= y < bottom:
            continue
        for x in range(max(left, x0), min(right, x1)):
            line[x - x0] = erased_value(param[k], fill[k], key[k], x, y, c, mean, std, quantiles)


@part
def mix_loose(
    target, rows, source, mode, units, rect, offset, canvas, fill, mask, channels, scales, shifts,
    codes, params, fills, keys, slots, mean, std, quantiles, line, total,
):  # fmt: skip
    """An output of a mix that shows a loose row: sums in float32.

    Args:
        target: see `mixing.mix_to`, as all up to shifts.
        codes: uint8 [N, K]; params float64 [N, K, 12]; fills float32 [N, K, 4]; keys uint32
            [N, K, 4]: the edit before the mix.
        slots: int64 [N], from which slot on each row is loose.
        mean: float32 [4]; std float32 [4].
        quantiles: int32 [65536].
        line: float32, a line of scratch; total another.
    """
    width, normalized = np.int64(canvas[1]), target[7] != 0
    for y in range(np.int64(canvas[0])):
        for c in range(channels):
            for x in range(width):
                total[x] = np.float32(fill[c])
            for s in range(len(mode)):
                if mode[s] == _SKIP or not rect[s, 1] <= y < rect[s, 3]:
                    continue
                x0, x1 = np.int64(rect[s, 0]), np.int64(rect[s, 2])
                n, dx, dy = source[s], offset[s, 0], offset[s, 1]
                loose_line(
                    rows[n], y - dy, x0 - dx, x1 - dx, c, codes[n], params[n], fills[n], keys[n],
                    slots[n], mean, std, quantiles, line,
                )  # fmt: skip
                for x in range(x0, x1):
                    if mode[s] == _PASTE:
                        total[x] = line[x - x0]
                        continue
                    weight = np.float32(units_at(mode[s], units[s], mask, y, x)) * _PART
                    total[x] = line[x - x0] * weight + total[x]
            out = floats_at(line_of(target, y, c, line), width)
            for x in range(width):
                out[x] = finished(total[x], scales[c], shifts[c], normalized)
            put_line(target, y, c, out)


@part
def erase_output(
    target, channels, code, param, fill, key, slot, scales, shifts, mean, std, quantiles
):
    """Erasings from `slot` on, written over an output that is finished otherwise."""
    step, form = target[3], target[6]
    for k in range(slot, len(code)):
        if code[k] != _ERASE:
            continue
        x0, y0, x1, y1 = rectangle(param[k], target[4], target[5])
        for c in range(channels):
            for y in range(y0, y1):
                begin = target[0] + c * target[1] + y * target[2]
                for x in range(x0, x1):
                    value = erased_value(param[k], fill[k], key[k], x, y, c, mean, std, quantiles)
                    value = finished(value, scales[c], shifts[c], target[7] != 0)
                    store(begin + x * step, form, value)
