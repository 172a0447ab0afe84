"""A row's program: all slots of an edit in order, in two buffers that stay in the cache."""

from __future__ import annotations

import numpy as np

from mixwell.plan.steps import Code
from mixwell.render.numba_cpu.compile import part
from mixwell.render.numba_cpu.filters import blur, sharpness
from mixwell.render.numba_cpu.levels import (
    count,
    is_table,
    join,
    look_up,
    moved,
    needs_counts,
    start,
)
from mixwell.render.numba_cpu.memory import (
    address_of,
    copy_longs,
    copy_words,
    longs_here,
    words_at,
)
from mixwell.render.numba_cpu.noise import erase, noise
from mixwell.render.numba_cpu.pixels import fill_word, pack_line
from mixwell.render.numba_cpu.resize import resize
from mixwell.render.numba_cpu.tone import grayscale, hue, rearrange, saturation
from mixwell.render.numba_cpu.warp import clip, warp

_NOTHING, _WARP, _RESIZE, _CLIP = (
    int(c) for c in (Code.NOTHING, Code.WARP, Code.RESIZE, Code.CLIP)
)
_SATURATION, _HUE, _GRAYSCALE, _CHANNELS = (
    int(c) for c in (Code.SATURATION, Code.HUE, Code.GRAYSCALE, Code.CHANNELS)
)
_SHARPNESS, _BLUR, _NOISE, _ERASE = (
    int(c) for c in (Code.SHARPNESS, Code.BLUR, Code.NOISE, Code.ERASE)
)


@part
def load(source, packed_source, channels, out):
    """A whole image as packed pixels."""
    height, width = source[4], source[5]
    if source[2] == width * source[3]:  # one long line
        height, width = 1, height * width
    for y in range(height):
        to, begin = address_of(out) + 4 * y * width, source[0] + y * source[2]
        if packed_source:
            copy_words(begin, width, to)
        else:
            pack_line(begin, source[1], source[3], channels, width, words_at(to, width))


@part
def run_row(
    source, packed_source, code, param, size_hw, interp, fill, key, slots, channels, kernels,
    quantiles, one, two, room, counts, behind, table, step,
):  # fmt: skip
    """The first `slots` slots of a row.

    Args:
        source: int64 [6], see `resize`; packed_source: whether its pixels are words.
        code: uint8 [K]; param float64 [K, 12]; size_hw int32 [K, 2]; interp uint8 [K];
            fill float32 [K, 4]; key uint32 [K, 4]: a row of `Edit`.
        slots: how many of them to do.
        channels: 1, 3 or 4.
        kernels: int32 [K, T], weights of blurs.
        quantiles: int32 [65536].
        one: uint32, buffer; two another, room scratch.
        counts: int64 [3, 256], scratch; behind another; table uint8 [3, 256]; step uint8 [256].

    Returns:
        The buffer that holds the result, and the other one.
    """
    height, width = source[4], source[5]
    loaded = pending = counted = False
    colours, given = min(channels, 3), longs_here(1, 6)[0]
    copy_longs(source, 6, given)
    for k in range(slots):
        op = code[k]
        if op == _NOTHING:
            continue
        if is_table(op):
            if not loaded:
                load(source, packed_source, channels, one)
                loaded = True
            if not pending:
                start(table)
                pending, counted = True, False
            if needs_counts(op):
                if not counted:
                    count(one, height * width, counts)
                    counted = True
                moved(counts, table, behind)
            join(op, param[k, 0], behind, channels, table, step)
            continue
        if pending:
            look_up(one, height * width, table)
            pending = False
        out_h, out_w = np.int64(size_hw[k, 0]), np.int64(size_hw[k, 1])
        if op == _RESIZE:
            if loaded:
                given[0], given[1], given[2], given[3] = address_of(one), 1, 4 * width, 4
                given[4], given[5] = height, width
            packed = packed_source or loaded
            resize(given, param[k], size_hw[k], interp[k], channels, packed, room, two)
            one, two, loaded = two, one, True
            height, width = out_h, out_w
            continue
        if not loaded:
            load(source, packed_source, channels, one)
            loaded = True
        if op == _WARP:
            colour = fill_word(fill[k], channels)
            warp(one, height, width, param[k], size_hw[k], interp[k], colour, two)
            one, two = two, one
            height, width = out_h, out_w
        elif op == _CLIP:
            clip(one, height, width, param[k], fill_word(fill[k], channels))
        elif op == _SHARPNESS:
            if height >= 3 and width >= 3:
                sharpness(one, height, width, channels, param[k, 0], two)
                one, two = two, one
        elif op == _BLUR:
            size = np.int64(param[k, 1])
            blur(one, height, width, kernels[k], size, room, two)
            one, two = two, one
        elif op == _NOISE:
            noise(one, height, width, channels, param[k, 0], key[k], quantiles, room)
        elif op == _ERASE:
            erase(one, height, width, channels, param[k], fill[k], key[k])
        elif colours == 3:
            if op == _SATURATION:
                saturation(one, height * width, param[k, 0])
            elif op == _HUE:
                hue(one, height * width, param[k, 0])
            elif op == _GRAYSCALE:
                grayscale(one, height * width)
            elif op == _CHANNELS:
                rearrange(one, height * width, param[k])
    if not loaded:
        load(source, packed_source, channels, one)
    if pending:
        look_up(one, height * width, table)
    return one, two
