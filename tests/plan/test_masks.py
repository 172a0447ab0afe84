"""Mixes with masks and with labels of their own: cut, joined, saved, chained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixwell._errors import PlanError
from mixwell.plan import Code, Interp, Mix, MixMode, Plan, paste_plan
from mixwell.plan import shares as home
from mixwell.plan.cover import cell_sums
from mixwell.plan.steps import select
from tests.oracles import labels as labels_oracle
from tests.oracles import policy as policy_oracle
from tests.plan.strategies import (
    edit_of,
    entries_of,
    full_entries_of,
    masked,
    mixed_plans,
    mixes,
)

SIZE_HW = np.array([(4, 6), (5, 3), (4, 6), (2, 2)], np.int32)


def through(size_hw=SIZE_HW, rows=(True, True, False, True)) -> Mix:
    """Each row and itself, row by row a mask or not."""
    mix = Mix.identity(size_hw)
    mix.rect_px[:, 1] = mix.rect_px[:, 0]
    some = np.asarray(rows)
    mix.mode[some] = MixMode.MASK, MixMode.UNMASK
    mix.weight[some] = 1.0
    mix.source[:, 1] = [2, 1, 0, 3]
    return masked(mix, seed=4).tidy()


@st.composite
def crowded(draw, modes=tuple(MixMode)[1:]) -> Mix:
    """Three of four rows of 5 x 6 px on each of two outputs, in large rectangles, mostly masked."""
    mix = Mix.identity(np.full((2, 2), (5, 6), np.int32), sources=3)
    for b, s in np.ndindex(2, 3):
        mix.source[b, s] = draw(st.integers(0, 3))
        mix.mode[b, s] = draw(st.sampled_from([*modes, MixMode.MASK, MixMode.UNMASK]))
        mix.weight[b, s] = 1.0 if mix.masked[b, s] else draw(st.sampled_from([1.0, 0.3, 0.5]))
        low = draw(st.integers(0, 2)), draw(st.integers(0, 2))
        mix.rect_px[b, s] = *low, draw(st.integers(4, 6)), draw(st.integers(3, 5))
    return masked(mix, draw(st.integers(0, 9999))).tidy()


@given(crowded())
def test_shares_through_masks_are_counted_pixels(mix):
    found = Plan(np.full((4, 2), (5, 6)), (mix,)).sources()[1]
    for b in range(2):
        expected = policy_oracle.painted_shares(entries_of(mix, b), (5, 6))
        assert found[b] == pytest.approx([float(v) for v in expected], abs=1e-15)


@given(crowded(), crowded(), crowded())
@settings(max_examples=60)
def test_shares_through_chained_masks_are_counted_pixels(first, second, third):
    """The second mix shows the first's two outputs, the third the second's."""
    chain = [first, *(replace(m, source=m.source % 2) for m in (second, third))]
    plan = Plan(np.full((4, 2), (5, 6)), tuple(chain))
    traced = labels_oracle.trace(
        [(5, 6)] * 4, [[(full_entries_of(m, b), 5, 6) for b in range(2)] for m in chain]
    )
    found = _by_row(plan, *plan.sources())
    for b in range(2):
        expected = [float(traced[b].get(row, 0)) for row in range(4)]
        assert found[b] == pytest.approx(expected, abs=1e-12)


def test_a_part_has_masks_as_large_as_it_needs():
    mix = through()
    assert mix.mask is not None and mix.mask.shape == (4, 5, 6)
    sizes = {(0,): (4, 6), (1,): (5, 3), (3,): (2, 2), (1, 3): (5, 3), (0, 1): (5, 6)}
    for rows, shape in sizes.items():
        part = mix.take(np.array(rows))
        assert part.mask is not None and part.mask.shape == (len(rows), *shape)
        Plan(SIZE_HW, (part,))
    assert mix.take(np.array([2])).mask is None
    assert mix.take(np.array([], int)).mask is None


@given(st.data())
@settings(max_examples=60)
def test_cut_and_joined_mixes_are_the_same(data):
    mix = data.draw(mixes(SIZE_HW, 5))
    if data.draw(st.booleans()):
        mix = replace(mix, label=np.full(mix.source.shape, -1, np.float32))
    mix = mix.tidy()
    order = np.array(data.draw(st.permutations(range(5))))
    at = data.draw(st.integers(0, 5))
    parts = [mix.take(order[:at]), mix.take(order[at:])]
    joined = Mix.stack(parts).take(np.argsort(order))
    assert Plan(SIZE_HW, (joined,)).digest() == Plan(SIZE_HW, (mix,)).digest()


@given(st.data())
@settings(max_examples=60)
def test_selected_rows_are_those_of_their_mix(data):
    """Canvases agree, as those of several ops on the same rows do."""
    given_mixes = [through(rows=data.draw(st.tuples(*[st.booleans()] * 4))) for _ in range(3)]
    pick = np.array(data.draw(st.lists(st.integers(0, 2), min_size=4, max_size=4)))
    chosen = select([m.padded(2 + i) for i, m in enumerate(given_mixes)], pick)
    for row, which in enumerate(pick):
        one = given_mixes[which].padded(4).take(np.array([row]))
        found = chosen.take(np.array([row]))
        assert Plan(SIZE_HW, (found,)).digest() == Plan(SIZE_HW, (one,)).digest()


def test_labels_have_their_way_in_their_rows_only():
    mix = through()
    label = np.array([(0.25, 0.75), (-1, -1), (1, 0), (-1, -1)], np.float32)
    plan = Plan(SIZE_HW, (replace(mix, label=label),))
    true = mix.shares()
    assert np.array_equal(plan.steps[0].shares(), true)
    said = plan.sources()[1]
    assert said[[0, 2]].tolist() == [[0.25, 0.75], [1.0, 0.0]]
    assert np.array_equal(said[[1, 3]], true[[1, 3]])
    kept = plan[[1, 3]].steps[0]
    assert isinstance(kept, Mix) and kept.label is None
    wide = plan.steps[0].padded(4)
    assert wide.label[0].tolist() == [0.25, 0.75, 0, 0] and (wide.label[1] == -1).all()
    both = Mix.stack([mix, plan.steps[0]])
    assert np.array_equal(both.label, np.concatenate([np.full((4, 2), -1), label]))


def test_labels_survive_later_mixes_as_if_spread_evenly():
    """Row 0 is labelled 1/4 and 3/4; half of it is then pasted over."""
    size_hw = np.full((3, 2), 4, np.int32)
    first = Mix.identity(size_hw)
    first.source[:, 1] = [1, 2, 0]
    label = np.array([(0.25, 0.75), (-1, -1), (-1, -1)], np.float32)
    first = replace(first, label=label)
    first.mode[0, 1], first.weight[0, 1], first.rect_px[0, 1] = MixMode.PASTE, 1.0, (0, 0, 1, 1)
    second = Mix.identity(size_hw)
    second.source[0, 1], second.mode[0, 1], second.weight[0, 1] = 2, MixMode.PASTE, 1.0
    second.rect_px[0, 1] = 0, 0, 4, 2
    rows, shares = Plan(size_hw, (first, second)).sources()
    told = [shares[0][rows[0] == i].sum() for i in range(3)]
    assert told == [0.125, 0.375, 0.5]


@given(mixed_plans(steps=2) | mixed_plans(steps=3))
@settings(max_examples=60)
def test_following_few_outputs_at_a_time_changes_nothing(plan):
    whole = [_by_row(plan, *home.sources(plan.in_hw, plan.steps))]
    at_once = home.OUTPUTS_AT_ONCE
    home.OUTPUTS_AT_ONCE = 1
    try:
        whole.append(_by_row(plan, *home.sources(plan.in_hw, plan.steps)))
    finally:
        home.OUTPUTS_AT_ONCE = at_once
    assert np.allclose(*whole, rtol=0, atol=1e-12)


def _by_row(plan: Plan, rows: np.ndarray, shares: np.ndarray) -> np.ndarray:
    table = np.zeros((len(plan), plan.rows))
    np.add.at(table, (np.arange(len(plan))[:, None], rows), shares)
    return table


def test_rows_that_an_edit_does_not_move_keep_their_places():
    """Row 0 is cut out of where source 1 stands; row 1, which is turned, counts as even."""
    size_hw = np.full((2, 2), 4, np.int32)
    first = Mix.identity(size_hw)
    first.source[:, 1] = 1, 0
    first.mode[:, 1], first.weight[:, 1], first.rect_px[:, 1] = MixMode.PASTE, 1.0, (0, 0, 2, 4)
    flip = edit_of(size_hw, (Code.WARP, [-1, 0, 4, 0, 1, 0, 0, 0, 1]))
    flip.code[0] = Code.NOTHING
    second = Mix.identity(np.full((2, 2), (4, 2), np.int32), sources=1)
    plan = Plan(size_hw, (first, flip, second))
    assert plan.sources()[1].tolist() == [[0.0, 1.0], [0.5, 0.5]]


@pytest.mark.parametrize("size_hw", [(1, 1), (3, 5), (40, 33)])
def test_sums_of_cells(size_hw):
    rng = np.random.default_rng(2)
    mask = rng.integers(0, 65536, (70, *size_hw)).astype(np.uint16)
    ys, xs = (np.sort(rng.integers(0, side + 1, (70, 4)), axis=1) for side in size_hw)
    found = cell_sums(mask, ys, xs)
    for b, f, e in np.ndindex(found.shape):
        y, x = slice(*ys[b, f : f + 2]), slice(*xs[b, e : e + 2])
        assert found[b, f, e] == mask[b, y, x].sum(dtype=np.int64)


def test_many_rectangles_make_few_cells():
    """65 rectangles with common edges: 64 cells, not 129 times 129."""
    mix = Mix.identity(np.full((4, 2), 64, np.int32)).padded(65)
    for s, (y, x) in enumerate(np.ndindex(8, 8)):
        mix.mode[:, 1 + s] = MixMode.PASTE
        mix.rect_px[:, 1 + s] = 8 * x, 8 * y, 8 * x + 8, 8 * y + 8
    assert mix.cover().seen.shape == (4, 65, 8, 8)
    assert mix.visible_px().tolist() == [[0] + [64] * 64] * 4


def test_a_resize_between_two_mixes_keeps_interp_valid():
    """A masked mix after copies of which one was shrunk: the cheap way and the long one agree."""
    size_hw = np.full((2, 2), (4, 6), np.int32)
    copies = Mix.identity(size_hw, sources=1).take(np.array([0, 1, 0, 1]))
    edit = edit_of(np.full((4, 2), (4, 6)), (Code.RESIZE, [0, 0, 6, 4], (4, 6)))
    edit.code[:2] = Code.NOTHING
    edit.interp[...] = Interp.BILINEAR
    last = Mix.identity(size_hw)
    last.source[:, 1] = 3, 2
    last.rect_px[:, 1] = last.rect_px[:, 0]
    last.mode[:], last.weight[:] = (MixMode.UNMASK, MixMode.MASK), 1.0
    last = masked(last, 3).tidy()
    rows, shares = Plan(size_hw, (copies, edit, last)).sources()
    assert rows.tolist() == [[0, 1], [1, 0]]
    assert np.allclose(shares, last.shares(), rtol=0, atol=1e-15)


# ------------------------------------------------------------------------------- by hand


def test_rectangles_by_hand():
    plan = paste_plan([(8, 8)] * 3, [1, 2, 0], [(0, 0, 4, 4), (2, 2, 4, 8), (0, 0, 0, 0)])
    assert plan.sources()[1].tolist() == [[0.75, 0.25], [0.8125, 0.1875], [1.0, 0.0]]
    moved = paste_plan([(8, 8)] * 2, [1, 0], [(4, 4, 8, 8)] * 2, [(0, 2), (4, 4)])
    assert moved.steps[0].offset_px[:, 1].tolist() == [[4, 2], [0, 0]]
    with pytest.raises(PlanError, match="a rectangle must lie inside its source; row 1"):
        paste_plan([(8, 8)] * 2, [1, 0], [(4, 4, 8, 8)] * 2, [(0, 2), (5, 4)])
    with pytest.raises(PlanError, match=r"for each of 2 images, got \[2\], \[3, 4\], \[3, 2\]"):
        paste_plan([(8, 8)] * 2, [1, 0], [(4, 4, 8, 8)] * 3)
