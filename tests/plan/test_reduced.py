"""Plans for images that were decoded smaller, on plans written by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mixwell.plan.check import check_plan
from mixwell.plan.plan import Plan
from mixwell.plan.reduced import checked_part, reduced, reduction
from mixwell.plan.steps import Code, Edit, MixMode
from mixwell.render import render
from tests.render.plans import flip_x, mix, plan, slot

R = Code.RESIZE
NOTHING = slot(Code.NOTHING)


def crop(box, size) -> dict:
    return slot(R, box, size)


@pytest.mark.parametrize(
    ("box", "size", "factor"),
    [
        ((0, 0, 64, 32), (8, 16), 4),
        ((0, 0, 64, 32), (4, 8), 8),
        ((0, 0, 64, 32), (2, 2), 8),
        ((0, 0, 64, 32), (16, 32), 2),
        ((0, 0, 64, 32), (17, 32), 1),
        ((0, 0, 64, 32), (16, 33), 1),
        ((0, 0, 63.9, 32), (16, 32), 1),
        ((64, 32, 0, 0), (16, 32), 2),
        ((10, 10, 30, 20), (5, 5), 2),
        ((0, 0, 64, 32), (64, 64), 1),
    ],
)
def test_the_factor_leaves_enough_pixels_on_both_axes(box, size, factor):
    assert reduction(plan((32, 64), [crop(box, size)])).tolist() == [factor]


def test_only_a_resize_that_comes_first_counts():
    first = crop((0, 0, 64, 32), (8, 8))
    flip = slot(Code.WARP, flip_x(64), (32, 64))
    turn = slot(Code.WARP, (1, 0.2, 40, -30, 1, 5, 0, 0, 1), (8, 8))
    rows = [[first], [NOTHING, first], [flip, first], [slot(Code.INVERT), first], [NOTHING], [turn]]
    made = plan((32, 64), *rows)
    assert reduction(made).tolist() == [4, 4, 1, 1, 1, 1]
    assert reduction(Plan(np.array([[32, 64]]))).tolist() == [1]
    copied = mix((32, 64), [(0, MixMode.ADD, 1.0, (0, 0, 64, 32), (0, 0))])
    mixed = Plan(np.array([[32, 64]]), (copied, *plan((32, 64), [first]).steps))
    assert reduction(mixed).tolist() == [1]
    assert reduction(made, factors=(2,)).tolist() == [2, 2, 1, 1, 1, 1]


def test_boxes_and_sizes_follow():
    made = plan((33, 65), [NOTHING, crop((4, 8, 44, 32), (6, 10))], [crop((0, 0, 65, 33), (9, 9))])
    small = reduced(made, np.array([4, 1]))
    assert small.in_hw.tolist() == [[9, 17], [33, 65]]
    assert small.steps[0].param[0, 1, :4].tolist() == [1, 2, 11, 8]
    assert small.steps[0].size_hw[0].tolist() == [[9, 17], [6, 10]]
    assert small.steps[0].param[1, 0, :4].tolist() == [0, 0, 65, 33]
    assert made.in_hw.tolist() == [[33, 65]] * 2, "the plan itself stays"
    np.testing.assert_array_equal(small.out_hw, made.out_hw)
    assert reduced(made, np.array([1, 1])) is made


def test_boxes_from_the_far_edge():
    """65 columns become 17, of which the last shows one column alone; from the far edge it is the
    first, and everything lies 3/4 px further on."""
    made = plan((33, 65), [crop((4, 8, 65, 32), (6, 10))])
    for far, box in (
        ((0, 0), [1, 2, 16.25, 8]),
        ((0, 1), [1.75, 2, 17, 8]),
        ((1, 1), [1.75, 2.75, 17, 8.75]),
    ):
        small = reduced(made, np.array([4]), np.array([far]))
        assert small.steps[0].param[0, 0, :4].tolist() == box


@given(
    st.tuples(st.integers(8, 300), st.integers(8, 300)),
    st.tuples(*[st.floats(0, 1, width=32)] * 4),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.booleans(), st.booleans()),
)
def test_any_reduced_plan_is_sound(hw, corners, size, far):
    x0, y0, x1, y1 = (c * side for c, side in zip(corners, (hw[1], hw[0]) * 2, strict=True))
    if abs(x1 - x0) < 1e-3 or abs(y1 - y0) < 1e-3:
        return
    made = plan(hw, [crop((x0, y0, x1, y1), size)])
    factor = reduction(made)
    small = reduced(made, factor, np.array([far], np.int64))
    check_plan(small.in_hw, small.inputs, small.steps)
    assert small.in_hw.tolist() == [[-(-hw[0] // factor[0]), -(-hw[1] // factor[0])]]
    x0, y0, x1, y1 = small.steps[0].param[0, 0, :4]
    assert factor == 1 or (abs(x1 - x0) >= size[1] - 1 and abs(y1 - y0) >= size[0] - 1)


@pytest.mark.parametrize("far", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_a_picture_stays_where_it_was(far):
    """A ramp that is averaged over blocks of 4 from one edge, or from the other, looks the same
    after the same crop."""
    h, w = 61, 97
    ramp = (np.arange(w) + 1.5 * np.arange(h)[:, None])[None].astype(np.float64)
    made = plan((h, w), [crop((7, 5, 91, 57), (12, 20))])
    more = (
        [(-h % 4) * far[0], (-h % 4) * (1 - far[0])],
        [(-w % 4) * far[1], (-w % 4) * (1 - far[1])],
    )
    padded = np.pad(ramp, ([0, 0], *more), "edge")
    blocks = padded.reshape(1, padded.shape[1] // 4, 4, padded.shape[2] // 4, 4).mean(axis=(2, 4))
    small = reduced(made, np.array([4]), np.array([far]))
    whole, less = (
        render(torch.from_numpy(image[None] / 255), p, backend="reference")
        for image, p in ((ramp, made), (blocks, small))
    )
    # One level is 1 px across or 2/3 px down; the wrong edge would move all by 3 px. Antialiasing
    # does not reproduce ramps exactly, and at its border a box cuts through pixels.
    apart = (whole - less).abs() * 255
    assert apart[..., 1:-1, 1:-1].max() < 0.8
    assert apart.max() < 1.5


def test_parts_of_a_checked_plan_are_plans():
    made = plan((8, 9), [crop((0, 0, 9, 8), (4, 4))], [crop((1, 1, 5, 5), (4, 4))], [NOTHING])
    rows = np.array([1])
    edits = tuple(step.take(rows) for step in made.steps if isinstance(step, Edit))
    part = checked_part(made.in_hw[rows], edits)
    check_plan(part.in_hw, part.inputs, part.steps)
    image = torch.arange(72, dtype=torch.uint8).reshape(1, 1, 8, 9)
    whole = render(image.repeat(3, 1, 1, 1), made, stack=False, backend="reference")
    assert torch.equal(render(image, part, backend="reference")[0], whole[1])
    assert part.digest() == Plan(part.in_hw, part.steps).digest()
