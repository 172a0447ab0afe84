"""A row's program: all slots of an edit in order, from one buffer into the other.

The first op reads the image where it lies, if its planes lie one behind the other, and the last one
writes into the output, if that is float32 and nothing is normalised.
"""

from __future__ import annotations

import numba
import numpy as np

from mixwell.plan.steps import Code
from mixwell.render.numba_cpu.compile import OPTIONS, part
from mixwell.render.numba_cpu.floats.filters import blur, sharpness
from mixwell.render.numba_cpu.floats.lines import copy, is_tight, line_at
from mixwell.render.numba_cpu.floats.noise import erase, noise
from mixwell.render.numba_cpu.floats.resize import resize
from mixwell.render.numba_cpu.floats.tone import (
    autocontrast,
    contrast,
    equalize,
    grayscale,
    hue,
    pointwise,
    rearrange,
    saturation,
)
from mixwell.render.numba_cpu.floats.warp import clip, warp

_NOTHING, _WARP, _RESIZE, _CLIP = (
    int(c) for c in (Code.NOTHING, Code.WARP, Code.RESIZE, Code.CLIP)
)
_CONTRAST, _SATURATION, _HUE = int(Code.CONTRAST), int(Code.SATURATION), int(Code.HUE)
_SHARPNESS, _AUTOCONTRAST = int(Code.SHARPNESS), int(Code.AUTOCONTRAST)
_EQUALIZE, _GRAYSCALE = int(Code.EQUALIZE), int(Code.GRAYSCALE)
_CHANNELS = int(Code.CHANNELS)
_BLUR, _NOISE, _ERASE = int(Code.BLUR), int(Code.NOISE), int(Code.ERASE)
_spliced = numba.njit(inline="always", **OPTIONS)
"""Written into its only caller before that is compiled, which is a tenth less to compile."""


@part
def is_idle(op, height, width, channels):
    """Whether an op changes nothing whatever the pixels are."""
    if op == _NOTHING:
        return True
    if op == _SHARPNESS:
        return height < 3 or width < 3
    of_colour = op == _SATURATION or op == _HUE or op == _GRAYSCALE or op == _CHANNELS
    return channels == 1 and of_colour


@part
def load(source, channels, out):
    """An image as planes."""
    height, width = source[4], source[5]
    if is_tight(source, channels):
        copy(source[0], channels * height * width, out)
        return
    together = source[2] == width * source[3]  # one long line
    lines, count = (1, height * width) if together else (height, width)
    for c in range(channels):
        for y in range(lines):
            to = out + 4 * (c * height * width + y * width)
            copy(line_at(source, c, y, 0, count, to), count, to)


@part
def described(address, height, width, out):
    """The table entry int64 [6] of planes one behind the other."""
    out[0], out[1], out[2], out[3] = address, 4 * height * width, 4 * width, 4
    out[4], out[5] = height, width


@_spliced
def run_row(
    source, code, param, size_hw, interp, fill, key, channels, kernels, mean, std, quantiles, one,
    two, room, last, counts, table, step, here,
):  # fmt: skip
    """All slots of a row.

    Args:
        source: int64 [6], see `lines.line_at`.
        code: uint8 [K]; param float64 [K, 12]; size_hw int32 [K, 2]; interp uint8 [K];
            fill float32 [K, 4]; key uint32 [K, 4]: a row of `Edit`.
        channels: C.
        kernels: float32 [K, T], weights of blurs.
        mean: float32 [4]; with std float32 [4] the output's statistics.
        quantiles: int32 [65536].
        one: address of a buffer; two another, room scratch.
        last: address of planes for the result, or 0.
        counts: int64 [3, 256], scratch; table uint8 [3, 256]; step uint8 [256].
        here: int64 [6], written: where the result is, as `source`.
    """
    for i in range(6):
        here[i] = source[i]
    end = len(code)
    while end > 0 and code[end - 1] == _NOTHING:
        end -= 1
    for k in range(end):
        op, height, width = code[k], here[4], here[5]
        if is_idle(op, height, width, channels):
            continue
        begin = here[0]
        to = two if begin == one else one
        if last != 0 and k == end - 1:
            to = last
        out_h, out_w = np.int64(size_hw[k, 0]), np.int64(size_hw[k, 1])
        if op == _RESIZE:
            resize(here, param[k], size_hw[k], interp[k], channels, room, to)
            described(to, out_h, out_w, here)
            continue
        if op == _CLIP or op == _ERASE:  # these paint
            if begin != one and begin != two:
                load(here, channels, to)
                described(to, height, width, here)
            if op == _CLIP:
                clip(here[0], height, width, channels, param[k], fill[k], room)
            else:
                erase(
                    here[0], height, width, channels, param[k], fill[k], key[k], mean, std,
                    quantiles, room,
                )  # fmt: skip
            continue
        if not is_tight(here, channels):
            spare = one if to == two else two
            load(here, channels, spare)
            begin = spare
        if op == _WARP:
            warp(begin, height, width, channels, param[k], size_hw[k], interp[k], fill[k], room, to)
        elif op == _BLUR:
            for c in range(channels):
                plane = 4 * c * height * width
                size = np.int64(param[k, 1])
                blur(begin + plane, height, width, kernels[k], size, room, to + plane)
        else:
            colours, pixels = min(channels, 3), height * width
            _tone(
                op, begin, height, width, colours, param[k], key[k], quantiles, room, counts,
                table, step, to,
            )  # fmt: skip
            if channels == 4:
                copy(begin + 12 * pixels, pixels, to + 12 * pixels)
        described(to, out_h, out_w, here)


@_spliced
def _tone(
    op, begin, height, width, colours, param, key, quantiles, room, counts, table, step, to
):  # fmt: skip
    """An op that leaves pixels where they are and alpha alone."""
    pixels, value = height * width, param[0]
    if op == _CONTRAST:
        contrast(begin, pixels, colours, value, room, to)
    elif op == _SATURATION:
        saturation(begin, pixels, value, to)
    elif op == _HUE:
        hue(begin, pixels, value, to)
    elif op == _GRAYSCALE:
        grayscale(begin, pixels, to)
    elif op == _CHANNELS:
        rearrange(begin, pixels, param, to)
    elif op == _EQUALIZE:
        equalize(begin, pixels, colours, counts, table, step, room, to)
    elif op == _NOISE:
        noise(begin, height, width, colours, value, key, quantiles, room, to)
    elif op == _SHARPNESS or op == _AUTOCONTRAST:
        for c in range(colours):
            plane = 4 * c * pixels
            if op == _SHARPNESS:
                sharpness(begin + plane, height, width, value, to + plane)
            else:
                autocontrast(begin + plane, pixels, room, to + plane)
    else:
        pointwise(op, begin, pixels * colours, value, to)
