"""Outlines through edits, slot by slot against scalar loops, and through fused plans."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixwell.plan import Edit, Plan, polygons
from mixwell.plan.follow import Things, edited, follow, src_to_dst
from mixwell.plan.outlines import Outlines
from mixwell.plan.steps import GEOMETRIC, Code
from tests.oracles import things as oracle
from tests.render import random_plans
from tests.render.plans import edit, flip_x, plan, rotation, shift, slot

MOVES = [Code.WARP, Code.RESIZE, Code.CLIP, Code.INVERT, Code.NOTHING, Code.BLUR]
SEEDS = st.integers(0, 2**32 - 1).map(Random)


def drawn(rng: Random, codes: list[Code], most: int = 3) -> tuple[np.ndarray, Edit]:
    """Sizes of a few rows, and an edit of them."""
    sizes = [random_plans.size(rng) for _ in range(rng.randint(1, 3))]
    rows = [
        random_plans.slots(rng, hw, [rng.choice(codes) for _ in range(rng.randint(0, most))])[0]
        for hw in sizes
    ]
    return np.array(sizes), edit(sizes, rows)


def boxes_on(rng: Random, sizes: np.ndarray) -> Outlines:
    """Boxes and points in and around the rows."""
    row = [rng.randrange(len(sizes)) for _ in range(rng.randint(1, 5))]
    boxes, marks = [], []
    for r in row:
        height, width = sizes[r].tolist()
        x, y = rng.uniform(-5, width), rng.uniform(-5, height)
        boxes.append((x, y, x + rng.uniform(0.5, width), y + rng.uniform(0.5, height)))
        marks.append([(rng.uniform(-3, width + 3), rng.uniform(-3, height + 3)) for _ in range(2)])
    return Outlines.start(np.array(row), np.array(boxes), sizes, marks=np.array(marks))


def matrix_of(edit_: Edit, row: int, k: int) -> list[list[float]]:
    param = edit_.param[row, k].tolist()
    if edit_.code[row, k] == Code.RESIZE:
        return oracle.of_resize(param[:4], edit_.size_hw[row, k].tolist())
    return [param[0:3], param[3:6], param[6:9]]


def is_wild(edit_: Edit) -> bool:
    """Maps that squeeze an image almost flat, where nothing can be said to many digits."""
    for row, k in np.argwhere(np.isin(edit_.code, (Code.WARP, Code.CLIP, Code.RESIZE))).tolist():
        m = np.array(matrix_of(edit_, row, k))
        if abs(np.linalg.det(m)) < 0.05 or np.abs(m[:2, :2]).max() > 6:
            return True
    return False


def walked(points: list, edit_: Edit, row: int) -> list:
    """A polygon through a row's slots, by the oracle."""
    for k in range(edit_.slots):
        code, size = edit_.code[row, k], edit_.size_hw[row, k].tolist()
        if not points or code not in GEOMETRIC:
            continue
        m = matrix_of(edit_, row, k)
        if code == Code.CLIP:
            points = oracle.clipped(points, m, edit_.param[row, k, 9:11].tolist())
        else:
            points = oracle.moved(points, m, size)
    return points


@settings(max_examples=250)
@given(SEEDS)
def test_slot_by_slot(rng):
    sizes, step = drawn(rng, MOVES)
    if is_wild(step):
        return
    items = boxes_on(rng, sizes)
    found = edited(items, step)
    areas, boxes = polygons.areas(found.points), found.xyxy()
    for i, row in enumerate(items.row.tolist()):
        points = walked(oracle.corners(items.xyxy()[i].tolist()), step, row)
        area = oracle.area(points) if points else 0.0
        assert areas[i] == pytest.approx(area, rel=1e-5, abs=1e-4)
        if area > 0.01:
            assert boxes[i] == pytest.approx(oracle.extent(points), rel=1e-5, abs=1e-4)
    assert np.array_equal(found.origin, items.origin) and np.array_equal(found.row, items.row)


@settings(max_examples=250)
@given(SEEDS)
def test_fused_plans_move_things_alike(rng):
    sizes, step = drawn(rng, [Code.WARP, Code.WARP, Code.RESIZE, Code.INVERT], 4)
    if is_wild(step):
        return
    items, whole = boxes_on(rng, sizes), Plan(sizes, (step,))
    one, other = follow(items, whole.steps), follow(items, whole.fused().steps)
    areas = polygons.areas(one.points)
    assert polygons.areas(other.points) == pytest.approx(areas, rel=1e-5, abs=1e-4)
    some = areas > 0.01
    assert other.xyxy()[some] == pytest.approx(one.xyxy()[some], rel=1e-5, abs=1e-3)
    assert other.marks[one.seen] == pytest.approx(one.marks[one.seen], rel=1e-5, abs=1e-4)
    assert np.array_equal(one.mirrored, other.mirrored)
    assert other.visibility()[some] == pytest.approx(one.visibility()[some], rel=1e-4, abs=1e-5)


def test_fused_plans_see_the_same_points():
    """A point that a canvas between two warps cut off stays cut off."""
    there, back = slot(Code.WARP, shift(-6, 0.5)), slot(Code.WARP, shift(6, -0.5))
    whole = plan((10, 10), [there, back])
    marks = np.array([[(2.0, 5.0), (8.0, 5.0), (2.0, 9.9)]])
    items = Outlines.start(np.array([0]), np.array([(0, 0, 10, 10.0)]), whole.in_hw, marks=marks)
    assert whole.fused().steps[0].slots == 2
    for steps in (whole.steps, whole.fused().steps):
        found = follow(items, steps)
        assert found.seen.tolist() == [[True, False, True]]
        assert found.xyxy()[0] == pytest.approx((0, 0.5, 4, 10))


def test_flips_and_whole_shifts_are_exact():
    step = edit([(31, 47)], [[slot(Code.WARP, flip_x(47)), slot(Code.WARP, shift(3, -5))]])
    items = Outlines.start(np.array([0]), np.array([(0.1, 0.3, 9.7, 8.9)]), np.array([(31, 47)]))
    found = edited(items, step)
    assert found.xyxy().tolist() == [[47 - 9.7 - 3, 0.3 + 5, 47 - 0.1 - 3, 8.9 + 5]]
    assert found.mirrored.tolist() == [True] and found.upright.tolist() == [True]


def test_a_resize_mirrors_where_its_box_is_backwards():
    step = edit([(20, 40)], [[slot(Code.RESIZE, (40, 0, 0, 20), (10, 20))]])
    items = Outlines.start(np.array([0]), np.array([(0, 0, 10, 10.0)]), np.array([(20, 40)]))
    found = edited(items, step)
    assert found.xyxy().tolist() == [[15, 0, 20, 5]] and found.mirrored.tolist() == [True]


def test_each_row_has_its_own_ops():
    rows = [[slot(Code.WARP, rotation(90, (9, 9)))], [], [slot(Code.INVERT)]]
    items = Outlines.start(np.arange(3), np.tile((1.0, 2, 4, 8), (3, 1)), np.full((3, 2), 9))
    found = edited(items, edit([(9, 9)] * 3, rows))
    assert found.xyxy()[0] == pytest.approx((2, 5, 8, 8))
    assert found.xyxy()[1:].tolist() == [[1, 2, 4, 8]] * 2


def test_matrices_of_slots_undo_each_other():
    step = edit([(17, 11)], [[slot(Code.WARP, rotation(33, (17, 11), (2, 3), 1.5))]])
    forth = src_to_dst(step, 0)[0]
    assert forth @ step.param[0, 0, :9].reshape(3, 3) == pytest.approx(np.eye(3), abs=1e-12)
    still = edit([(17, 11)], [[slot(Code.BLUR, (1, 3))]])
    assert np.array_equal(src_to_dst(still, 0), np.eye(3)[None])


def test_things_keep_their_stencils():
    items = Outlines.start(np.array([0, 1]), np.tile((0.0, 0, 4, 4), (2, 1)), np.full((2, 2), 9))
    stencils = [np.full((9, 9), i, np.uint8) for i in range(2)]
    found = Things(items, stencils).on_rows(np.array([1, 1, 0]))
    assert found.outlines.row.tolist() == [0, 1, 2]
    assert found.stencils is not None
    assert [int(s[0, 0]) for s in found.stencils] == [1, 1, 0]
    assert Things(items).on_rows(np.array([1])).stencils is None


def test_nothing_goes_through():
    none = Outlines.start(np.zeros(0, int), np.zeros((0, 4)), np.full((1, 2), 9))
    rows = [[slot(Code.WARP, rotation(20, (9, 9))), slot(Code.RESIZE, (0, 0, 9, 9), (3, 3))]]
    assert len(edited(none, edit([(9, 9)], rows))) == 0
