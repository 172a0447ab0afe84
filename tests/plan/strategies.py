"""Hand-made and drawn plans for the tests of this folder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from mixwell.plan import Code, Edit, Interp, Mix, MixMode, Plan

SIZES = st.tuples(st.integers(1, 7), st.integers(1, 7))
WEIGHTS = st.sampled_from([0.0, 1.0, 0.5, 0.3, 1 / 3, 1e-6, 0.999999]) | st.floats(
    0, 1, width=32, allow_subnormal=False
)


@st.composite
def mixes(draw, size_hw: np.ndarray, outputs: int) -> Mix:
    """A mix of rows of the given sizes: pastes and adds that overlap, skips, fill left over."""
    sources = draw(st.integers(1, 4))
    modes = draw(st.sampled_from([list(MixMode)[:3], list(MixMode)]))
    canvas = np.array([draw(SIZES) for _ in range(outputs)], np.int32).reshape(-1, 2)
    mix = Mix(
        source=np.zeros((outputs, sources), np.int32),
        mode=np.zeros((outputs, sources), np.uint8),
        weight=np.zeros((outputs, sources), np.float32),
        rect_px=np.zeros((outputs, sources, 4), np.int32),
        offset_px=np.zeros((outputs, sources, 2), np.int32),
        canvas_hw=canvas,
        fill=np.zeros((outputs, 4), np.float32),
    )
    for b, s in np.ndindex(outputs, sources):
        row = draw(st.integers(0, len(size_hw) - 1))
        mix.source[b, s] = row
        mix.mode[b, s] = draw(st.sampled_from(modes))
        mix.weight[b, s] = 1.0 if mix.masked[b, s] else draw(WEIGHTS)
        for axis in (0, 1):
            room, have = int(canvas[b, 1 - axis]), int(size_hw[row, 1 - axis])
            length = draw(st.integers(0, min(room, have)))
            start = draw(st.integers(0, room - length))
            mix.rect_px[b, s, axis], mix.rect_px[b, s, axis + 2] = start, start + length
            mix.offset_px[b, s, axis] = start - draw(st.integers(0, have - length))
    return masked(mix, draw(st.integers(0, 9999))).tidy()


def masked(mix: Mix, seed: int) -> Mix:
    """The mix with masks for the rows that need one: zeros, ones and anything between."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((mix.rows, *mix.canvas_hw.max(axis=0, initial=0)), np.uint16)
    for b in np.flatnonzero(mix.masked.any(axis=1)):
        h, w = mix.canvas_hw[b]
        mask[b, :h, :w] = rng.choice([0, 32768, 1, 12345, 16384], (h, w))
    return replace(mix, mask=mask)


@st.composite
def mixed_plans(draw, steps: int) -> Plan:
    """A plan of several mixes in a row; `inputs` are samples of a larger data set."""
    size_hw = np.array(draw(st.lists(SIZES, min_size=1, max_size=4)), np.int32)
    sizes, chain = size_hw, []
    for _ in range(steps):
        chain.append(draw(mixes(sizes, draw(st.integers(1, 4)))))
        sizes = chain[-1].canvas_hw
    return Plan(size_hw, tuple(chain), inputs=100 + 7 * np.arange(len(size_hw)))


def entries_of(mix: Mix, output: int) -> list[tuple]:
    """One output's sources as the oracle takes them."""
    return [
        (int(mix.mode[output, s]), weight_of(mix, output, s), tuple(mix.rect_px[output, s]))
        for s in range(mix.source.shape[1])
    ]


def weight_of(mix: Mix, output: int, s: int):
    """A source's weight, or the mask in its place."""
    if mix.mask is not None and mix.masked[output, s]:
        return mix.mask[output].tolist()
    return float(mix.weight[output, s])


def full_entries_of(mix: Mix, output: int) -> list[tuple]:
    """The same with the source row in front and the offset behind."""
    return [
        (int(mix.source[output, s]), *entry, tuple(mix.offset_px[output, s].tolist()))
        for s, entry in enumerate(entries_of(mix, output))
    ]


def edit_of(size_hw, *slots: tuple) -> Edit:
    """One edit for all rows from (code, parameters) slots; a third entry is the new size."""
    size_hw = np.asarray(size_hw, np.int32).reshape(-1, 2)
    edit = Edit.nothing(size_hw, len(slots))
    for k, (code, params, *out_hw) in enumerate(slots):
        edit.code[:, k] = code
        edit.param[:, k, : len(params)] = params
        if out_hw:
            edit.size_hw[:, k:] = out_hw[0]
        if code == Code.RESIZE:
            edit.interp[:, k] = Interp.BILINEAR
    return edit


FLIP_8 = (Code.WARP, [-1, 0, 8, 0, 1, 0, 0, 0, 1])
"""A horizontal flip of images 8 px wide."""


def long_plan() -> Plan:
    """Four rows of 6x8 px: an edit, a mix of each row and the one before, an edit."""
    size_hw = np.full((4, 2), (6, 8), np.int32)
    before = edit_of(size_hw, FLIP_8, (Code.CONTRAST, [1.25]))
    before.code[1, 0] = Code.NOTHING
    before.key[...] = np.arange(32).reshape(4, 2, 4)
    mix = Mix.identity(size_hw)
    mix.source[:, 1] = np.roll(np.arange(4), 1)
    mix.mode[:, 1] = [MixMode.ADD, MixMode.PASTE, MixMode.SKIP, MixMode.ADD]
    mix.weight[:, 0] = [0.75, 1.0, 1.0, 0.5]
    mix.weight[:, 1] = [0.25, 1.0, 0.0, 0.5]
    mix.rect_px[:, 1] = [(0, 0, 8, 6), (1, 2, 5, 6), (0, 0, 0, 0), (0, 0, 8, 6)]
    after = edit_of(size_hw, (Code.POSTERIZE, [4]))
    return Plan(size_hw, (before, mix, after), inputs=np.array([40, 10, 30, 20]))
