"""Outlines against scalar loops: cut, moved, clipped, chosen."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixwell.plan import geometry, polygons
from mixwell.plan.outlines import Outlines
from tests.oracles import things as oracle

NEAR = 1e-6
BOX = st.tuples(*[st.integers(-20, 60)] * 4).map(
    lambda v: (min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]) + 1, max(v[1], v[3]) + 1)
)
AFFINE = st.tuples(
    st.sampled_from([0.5, -1.0, 1.0, 0.9, 2.0]),
    st.sampled_from([0.0, 0.4, -1.1]),
    st.floats(-30, 30),
    st.sampled_from([0.0, 0.3, 1.2]),
    st.sampled_from([1.0, -0.7, 1.5]),
    st.floats(-30, 30),
).map(lambda v: [[*v[:3]], [*v[3:]], [0.0, 0.0, 1.0]])


def is_flat(m) -> bool:
    return abs(m[0][0] * m[1][1] - m[0][1] * m[1][0]) < 0.05


TILTED = st.tuples(AFFINE, st.floats(-0.01, 0.01), st.floats(-0.01, 0.01)).map(
    lambda v: [v[0][0], v[0][1], [v[1], v[2], 1.0]]
)
SIZE = st.tuples(st.integers(1, 50), st.integers(1, 50))


def outlines(boxes, size=(40, 40), **more) -> Outlines:
    rows = np.zeros(len(boxes), np.int64)
    return Outlines.start(rows, np.array(boxes, float).reshape(-1, 4), np.array([size]), **more)


def assert_shape(found: Outlines, at: int, points) -> None:
    """The outline's extent and area are those of a polygon; without area it is gone."""
    area = oracle.area(points) if points else 0.0
    assert polygons.areas(found.points)[at] == pytest.approx(area, rel=1e-6, abs=1e-6)
    if area > 1e-3:
        assert found.xyxy()[at] == pytest.approx(oracle.extent(points), rel=1e-6, abs=1e-5)


@given(st.lists(BOX, max_size=4), SIZE)
def test_an_image_cuts_its_boxes(boxes, size):
    found = outlines(boxes, size)
    for at, box in enumerate(boxes):
        left = oracle.cut_to(oracle.corners(box), (0, 0, size[1], size[0]))
        assert_shape(found, at, left)
        whole = oracle.area(oracle.corners(box))
        area = oracle.area(left) if left else 0.0
        assert found.visibility()[at] == pytest.approx(area / whole, abs=1e-9)
    assert found.upright.all() and not found.mirrored.any()
    assert (found.weight == 1).all()


@settings(max_examples=200)
@given(st.lists(BOX, min_size=1, max_size=3), AFFINE | TILTED, SIZE, AFFINE, SIZE)
def test_moved_twice(boxes, first, size, second, end):
    """Each canvas cuts, so what has left the first does not come back on the second."""
    if is_flat(first) or is_flat(second):
        return
    found = outlines(boxes)
    shapes = [oracle.cut_to(oracle.corners(box), (0, 0, 40, 40)) for box in boxes]
    for m, hw in ((first, size), (second, end)):
        back = np.tile(np.array(oracle.inverse(m)), (len(boxes), 1, 1))
        found = found.moved(back).on_canvas(np.tile(hw, (len(boxes), 1)))
        shapes = [oracle.moved(p, m, hw) if p else p for p in shapes]
    for at, points in enumerate(shapes):
        assert_shape(found, at, points)


@given(st.lists(BOX, min_size=1, max_size=3), AFFINE, SIZE)
def test_clipped_is_cut_by_a_turned_canvas(boxes, m, size):
    if is_flat(m):
        return
    found = outlines(boxes).clipped(
        np.tile(np.array(m), (len(boxes), 1, 1)), np.tile(size, (len(boxes), 1)).astype(float)
    )
    for at, box in enumerate(boxes):
        points = oracle.cut_to(oracle.corners(box), (0, 0, 40, 40))
        assert_shape(found, at, oracle.clipped(points, m, size) if points else points)


@given(BOX, AFFINE)
def test_what_is_whole_is_never_cut(box, m):
    if is_flat(m):
        return
    back = np.array([oracle.inverse(m)])
    found = outlines([box], (3, 3)).moved(back).on_canvas(np.array([(2, 2)]))
    there = [oracle.mapped(p, back[0])[0] for p in oracle.corners(box)]
    assert found.whole[0] == pytest.approx(np.array(there), abs=1e-6)


@given(st.lists(st.tuples(st.floats(-9, 49), st.floats(-9, 49)), min_size=3, max_size=3), AFFINE)
def test_marks_move_and_are_cut_off(points, m):
    if is_flat(m):
        return
    marks = np.array([points])
    start = outlines([(0, 0, 40, 40)], marks=marks)
    assert start.seen[0].tolist() == [0 <= x <= 40 and 0 <= y <= 40 for x, y in points]
    found = start.moved(np.array([oracle.inverse(m)])).on_canvas(np.array([(30, 20)]))
    for k, point in enumerate(points):
        (x, y), _ = oracle.mapped(point, oracle.inverse(m))
        assert found.marks[0, k] == pytest.approx((x, y), abs=1e-6)
        edge = min(abs(x), abs(x - 20), abs(y), abs(y - 30)) < NEAR
        assert edge or found.seen[0, k] == (start.seen[0, k] and 0 <= x <= 20 and 0 <= y <= 30)


def test_marks_on_an_edge_are_inside():
    marks = np.array([[(0, 0), (40, 30), (40.0001, 1)]])
    found = outlines([(0, 0, 9, 9)], (30, 40), marks=marks)
    assert found.seen[0].tolist() == [True, True, False]
    flip = geometry.flip(np.array([(30, 40)]), horizontal=True)
    assert found.moved(flip).on_canvas(np.array([(30, 40)])).seen[0].tolist() == [True, True, False]


def test_marks_beyond_the_horizon_are_not_seen():
    m = geometry.matrix(1, {(2, 0): -0.05})  # from where they are; beyond x = 20
    found = outlines([(0, 0, 40, 40)], marks=np.array([[(10.0, 5.0), (30.0, 5.0)]])).moved(m)
    assert found.seen[0].tolist() == [True, False]
    assert np.isfinite(found.points).all() and not found.upright.any()


@pytest.mark.parametrize(
    ("m", "mirrored", "upright"),
    [
        ([[-1, 0, 40], [0, 1, 0]], True, True),
        ([[1, 0, 0], [0, -2, 40]], True, True),
        ([[-1, 0, 40], [0, -1, 40]], False, True),
        ([[0, 1, 0], [1, 0, 0]], True, True),
        ([[0, -1, 40], [1, 0, 0]], False, True),
        ([[1, 0.1, 0], [0, 1, 0]], False, False),
    ],
)
def test_mirrors_and_turns_are_noticed(m, mirrored, upright):
    found = outlines([(2, 3, 20, 9)]).moved(np.array([[*m, (0, 0, 1)]], float))
    assert found.mirrored.tolist() == [mirrored]
    assert found.upright.tolist() == [upright]
    again = found.moved(np.array([[*m, (0, 0, 1)]], float))
    assert not again.mirrored.any()


def test_a_turned_box_is_not_enclosed_again_and_again():
    """Eight turns by 45 degrees lead back to the box; enclosing each time would make it grow."""
    found = outlines([(40, 45, 60, 50)], (100, 100))
    turn = geometry.about_centre(geometry.rotation(np.array([45.0])), np.array([(100, 100)]))
    for _ in range(8):
        found = found.moved(turn).on_canvas(np.array([(100, 100)]))
    assert found.xyxy()[0] == pytest.approx((40, 45, 60, 50), abs=1e-9)


def test_what_has_left_does_not_come_back():
    found = outlines([(0, 0, 20, 10)], (40, 40))
    away, back = (geometry.shift(np.array([x]), np.array([0.0])) for x in (15.0, -15.0))
    found = found.moved(away).on_canvas(np.array([(40, 40)]))
    found = found.moved(back).on_canvas(np.array([(40, 40)]))
    assert found.xyxy()[0].tolist() == [15, 0, 20, 10]
    assert found.visibility()[0] == pytest.approx(0.25)


def test_take_counts_what_is_left_out():
    found = outlines([(0, 0, 9, 9), (1, 1, 5, 5), (2, 2, 8, 8)])
    some = found.take(np.array([True, False, True]), "small")
    assert some.origin.tolist() == [0, 2]
    assert dict(some.lost) == {"small": 1}
    assert dict(some.take(np.array([1]), "small").lost) == {"small": 2}
    assert found.take(np.ones(3, bool)) is found
    assert dict(found.lost) == {}


def test_on_rows_repeats_and_renumbers():
    found = Outlines.start(
        np.array([2, 0, 2]),
        np.array([[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3.0]]),
        np.full((3, 2), 9),
    )
    again = found.on_rows(np.array([2, 1, 0, 2]))
    assert again.row.tolist() == [0, 0, 2, 3, 3]
    assert again.origin.tolist() == [0, 2, 1, 0, 2]
    assert again.xyxy()[:, 2].tolist() == [1, 3, 2, 1, 3]


def test_nothing_is_something():
    none = outlines([])
    assert len(none) == 0 and none.xyxy().shape == (0, 4) and none.visibility().shape == (0,)
    assert len(none.on_rows(np.arange(3))) == 0
    assert len(none.moved(np.zeros((0, 3, 3))).on_canvas(np.zeros((0, 2), int))) == 0


@given(
    st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=3, max_size=9),
    st.floats(0, 2 * math.pi),
    st.floats(-9, 9),
)
def test_any_polygon_is_cut_to_the_area_that_remains(points, angle, away):
    """Both sides of a line add up, whatever the polygon's shape, turned either way around."""
    shape = np.array([points])
    line = np.array([[math.cos(angle), math.sin(angle), away]])
    parts = [polygons.cut(shape, line), polygons.cut(shape, -line)]

    def signed(p: np.ndarray) -> float:
        x, y = p[0].T
        return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)

    assert sum(map(signed, parts)) == pytest.approx(signed(shape), abs=1e-6)
    assert (parts[0] @ line[0, :2] + away >= -1e-6).all() or signed(parts[0]) == 0
