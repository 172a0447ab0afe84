"""What mixes leave of outlines, against pixels counted one by one."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixwell.plan import Mix, MixMode, polygons
from mixwell.plan.covered import mixed, pixels_in
from mixwell.plan.outlines import Outlines
from mixwell.plan.steps import MASK_ONE
from tests.oracles import outlines as filling
from tests.oracles import things as oracle
from tests.plan.strategies import SIZES, mixes

NAMES = {MixMode.PASTE: "paste", MixMode.ADD: "add", MixMode.MASK: "mask", MixMode.UNMASK: "unmask"}


@st.composite
def scenes(draw) -> tuple[Outlines, Mix]:
    """Whole-pixel boxes on rows of small images, and a mix of these rows."""
    size = np.array(draw(st.lists(SIZES, min_size=1, max_size=3)), np.int32)
    rows = draw(st.lists(st.integers(0, len(size) - 1), max_size=4))
    boxes = []
    for row in rows:
        height, width = size[row].tolist()
        x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        boxes.append((x0, y0, draw(st.integers(x0 + 1, width)), draw(st.integers(y0 + 1, height))))
    items = Outlines.start(np.array(rows, int), np.array(boxes, float).reshape(-1, 4), size)
    return items, draw(mixes(size, draw(st.integers(1, 3))))


def sources_of(mix: Mix, b: int) -> list[dict]:
    """The sources of an output that are drawn, as the oracle takes them."""
    height, width = mix.canvas_hw[b].tolist()
    found = []
    for s, mode in enumerate(mix.mode[b].tolist()):
        mask = np.zeros((height, width))
        if mix.mask is not None and mix.masked[b].any():  # rows with a mask fit into its array
            mask = mix.mask[b, :height, :width] / MASK_ONE
        rect = mix.rect_px[b, s].tolist() if mode else [0, 0, 0, 0]
        weight = float(np.rint(float(mix.weight[b, s]) * 65536) / 65536)
        name = NAMES.get(MixMode(mode), "add")
        found.append({"mode": name, "weight": weight, "rect": rect, "mask": mask.tolist()})
    return found


def expected(items: Outlines, mix: Mix, least: float) -> dict:
    """{(output, item, extent): weight} by counting pixels."""
    found: dict = defaultdict(float)
    for b, s in np.argwhere(mix.mode != MixMode.SKIP).tolist():
        sources = sources_of(mix, b)
        x0, y0, x1, y1 = sources[s]["rect"]
        dx, dy = mix.offset_px[b, s].tolist()
        for item in np.flatnonzero(items.row == mix.source[b, s]).tolist():
            u0, v0, u1, v1 = items.xyxy()[item].astype(int).tolist()
            pixels = [
                (x, y)
                for x in range(max(u0 + dx, x0), min(u1 + dx, x1))
                for y in range(max(v0 + dy, y0), min(v1 + dy, y1))
            ]
            whole = (u1 - u0) * (v1 - v0)
            shown, total, extent = oracle.seen_of(sources, s, pixels)
            if shown and shown / whole >= least and total > 0:
                found[b, item, extent] += total / whole
    return {key: min(weight, 1.0) for key, weight in found.items()}


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(scenes(), st.sampled_from([0.0, 0.1, 0.5]))
def test_weights_and_extents_are_counted_pixels(scene, least):
    items, mix = scene
    found = mixed(items, mix, least)
    keys = [
        (int(b), int(item), tuple(int(v) for v in box))
        for b, item, box in zip(found.row, found.origin, found.xyxy(), strict=True)
    ]
    want = expected(items, mix, least)
    assert sorted(keys) == sorted(want)
    for key, weight in zip(keys, found.weight.tolist(), strict=True):
        assert weight == pytest.approx(want[key], abs=1e-9)
    assert (np.diff(found.row) >= 0).all()


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(scenes())
def test_things_are_where_their_pixels_are(scene):
    """`parent` and `via` say whose pixels an outline stands on."""
    items, mix = scene
    found = mixed(items, mix, 0.0)
    assert np.array_equal(items.row[found.parent], mix.source[found.row, found.via])
    assert np.array_equal(items.origin[found.parent], found.origin)


def paste(rect, size=(20, 20), offset=(0, 0)) -> Mix:
    """Row 0 with a rectangle of row 1 pasted over it; row 1 stays out."""
    mix = Mix.identity(np.array([size]))
    mix.source[0, 1], mix.mode[0, 1], mix.weight[0, 1] = 1, MixMode.PASTE, 1.0
    mix.rect_px[0, 1], mix.offset_px[0, 1] = rect, offset
    return mix


def on_row(row: int, points, **more) -> Outlines:
    return Outlines.start(np.array([row]), np.array([points], float), np.full((2, 2), 20), **more)


def test_an_outline_is_what_is_left_around_the_hole():
    found = mixed(on_row(0, (2, 2, 12, 10)), paste((6, 0, 20, 20)), 0.1)
    assert found.xyxy().tolist() == [[2, 2, 6, 10]]
    assert found.weight.tolist() == [0.4]
    corner = mixed(on_row(0, (2, 2, 12, 10)), paste((6, 6, 20, 20)), 0.1)
    assert corner.xyxy().tolist() == [[2, 2, 12, 10]]
    assert corner.weight.tolist() == [pytest.approx(1 - 24 / 80)]


def test_no_box_reaches_out_for_what_no_pixel_shows():
    """A strip of 0.2 px beside the hole is not seen; one of 0.6 px is, and one that is whole."""
    for left, extent in ((5.8, [5.8, 8, 12, 10]), (5.4, [5.4, 2, 12, 10]), (6.0, [6, 8, 12, 10])):
        found = mixed(on_row(0, (left, 2, 12, 10)), paste((6, 0, 20, 8)), 0.0)
        assert found.xyxy().tolist() == [pytest.approx(extent)]
        hidden = (12 - 6) * 6 / ((12 - left) * 8)
        assert found.weight[0] == pytest.approx(1 - hidden)
    alone = mixed(on_row(0, (5.8, 2, 12, 10)), paste((6, 0, 20, 20)), 0.0)
    assert alone.xyxy().tolist() == [pytest.approx([5.8, 2, 6, 10])]


def test_a_tilted_outline_behind_a_paste():
    """A diamond of area 50 around (10, 10); its right half is covered."""
    diamond = [(10, 5), (15, 10), (10, 15), (5, 10)]
    found = mixed(on_row(0, diamond), paste((10, 0, 20, 20)), 0.1)
    assert found.weight[0] == pytest.approx(0.5)
    assert found.xyxy()[0] == pytest.approx((5, 5, 10, 15))
    shown = mixed(on_row(1, diamond), paste((10, 0, 20, 20)), 0.1)
    assert shown.weight[0] == pytest.approx(0.5)
    assert shown.xyxy()[0] == pytest.approx((10, 5, 15, 15))


def test_what_an_image_loses_is_counted_once_each():
    boxes = np.array([(0, 0, 4, 4), (8, 8, 12, 12), (0, 0, 20, 1), (30, 30, 40, 40)], float)
    items = Outlines.start(np.zeros(4, int), boxes, np.full((2, 2), 20))
    found = mixed(items, paste((1, 0, 20, 20)), 0.3)
    assert dict(found.lost) == {"outside": 1, "covered": 1, "min_visibility": 2}
    assert len(found) == 0


def test_an_image_of_weight_0_loses_its_things_and_counts_them():
    mix = Mix.identity(np.array([(20, 20)]))
    mix.source[0, 1], mix.mode[0, 1], mix.rect_px[0, 1] = 1, MixMode.ADD, (0, 0, 20, 20)
    mix.weight[0] = 0.0, 1.0
    items = Outlines.start(np.array([0, 1]), np.array([(0, 0, 4, 4.0)] * 2), np.full((2, 2), 20))
    found = mixed(items, mix, 0.1)
    assert found.origin.tolist() == [1]
    assert dict(found.lost) == {"weight 0": 1}


def test_marks_are_seen_where_their_pixel_is():
    marks = np.array([[(2.5, 2.5), (7.5, 2.5), (6.0, 5.0)]])
    own = mixed(on_row(0, (0, 0, 20, 20), marks=marks), paste((6, 0, 10, 20)), 0.0)
    assert own.seen.tolist() == [[True, False, True]]  # on the edge it counts for both
    other = mixed(on_row(1, (0, 0, 20, 20), marks=marks), paste((6, 0, 10, 20)), 0.0)
    assert other.seen.tolist() == [[False, True, True]]
    moved = mixed(on_row(1, (0, 0, 20, 20), marks=marks), paste((6, 0, 10, 20), offset=(4, 0)), 0.0)
    assert moved.marks[0, :, 0].tolist() == [6.5, 11.5, 10.0]
    assert moved.seen.tolist() == [[True, False, True]]


def masked(mask: np.ndarray) -> Mix:
    """Row 1 through a mask, row 0 past it."""
    mix = paste((0, 0, 20, 20))
    mix.mode[0] = MixMode.UNMASK, MixMode.MASK
    return replace(mix, mask=(mask * MASK_ONE).astype(np.uint16)[None])


def test_through_a_mask_a_things_own_pixels_count():
    """The box is 8 x 8; its mask is a cross of 28 pixels, of which the mix hides 7."""
    cross = np.zeros((20, 20), np.uint8)
    cross[4:12, 7:9], cross[7:9, 4:12] = 1, 1
    hides = np.zeros((20, 20))
    hides[:, :5] = 1  # the cross loses two pixels there, the box a column of eight
    found = mixed(on_row(0, (4, 4, 12, 12)), masked(hides), 0.1, [cross])
    assert found.weight[0] == pytest.approx(1 - 2 / 28)
    assert found.xyxy().tolist() == [[5, 4, 12, 12]]
    plain = mixed(on_row(0, (4, 4, 12, 12)), masked(hides), 0.1)
    assert plain.weight[0] == pytest.approx(1 - 8 / 64)


def test_marks_behind_a_mask():
    hides = np.zeros((20, 20))
    hides[:, :10] = 1
    marks = np.array([[(3.5, 3.5), (12.5, 3.5)]])
    own = mixed(on_row(0, (0, 0, 20, 20), marks=marks), masked(hides), 0.0)
    other = mixed(on_row(1, (0, 0, 20, 20), marks=marks), masked(hides), 0.0)
    assert own.seen.tolist() == [[False, True]] and other.seen.tolist() == [[True, False]]


def test_copies_in_one_place_are_one():
    mix = Mix.identity(np.array([(20, 20)]), sources=3)
    mix.mode[0, :], mix.weight[0], mix.rect_px[0] = MixMode.ADD, (0.25, 0.25, 0.5), (0, 0, 20, 20)
    found = mixed(on_row(0, (2, 3, 9, 9)), mix, 0.1)
    assert found.weight.tolist() == [1.0] and len(found) == 1
    mix.offset_px[0, 2], mix.rect_px[0, 2] = (3, 0), (3, 0, 20, 20)
    apart = mixed(on_row(0, (2, 3, 9, 9)), mix, 0.1)
    assert sorted(apart.weight.tolist()) == [0.5, 0.5] and len(apart) == 2


def test_copies_whose_marks_lie_apart_are_not_one():
    """A box over the whole image stays in its place when the image turns; its points do not."""
    turn = np.array([(0.0, 1, 0), (-1, 0, 20), (0, 0, 1)])
    marks, seen = np.array([[(5.0, 8.0), (1.0, 1.0)]] * 2), np.array([[True, False]] * 2)
    whole = np.array([(0, 0, 20, 20.0)] * 2)
    items = Outlines.start(np.arange(2), whole, np.full((2, 2), 20), marks=marks, seen=seen)
    items = replace(items, origin=np.zeros(2, int))
    mix = Mix.identity(np.array([(20, 20)]))
    mix.source[0, 1], mix.mode[0, 1], mix.rect_px[0, 1] = 1, MixMode.ADD, (0, 0, 20, 20)
    mix.weight[0] = 0.75, 0.25
    assert mixed(items, mix, 0.1).weight.tolist() == [1.0]
    moved = items.put(np.array([1]), items.take(np.array([1])).moved(turn[None]))
    found = mixed(moved, mix, 0.1)
    assert found.weight.tolist() == [0.75, 0.25]
    assert found.marks[:, 0].tolist() == [[5, 8], [8, 15]]
    hidden = replace(moved, seen=np.zeros((2, 2), bool))  # points that nobody knows keep none apart
    assert mixed(hidden, mix, 0.1).weight.tolist() == [1.0]


def test_oriented_boxes_of_one_extent_are_not_one():
    """One larger than the image covers it at any angle; the angle is what is learnt."""
    turn = np.array([(0.8, -0.6, 8), (0.6, 0.8, -4), (0, 0, 1)])
    square = np.array([[(-20.0, -20), (40, -20), (40, 40), (-20, 40)]])
    mix = Mix.identity(np.array([(20, 20)]))
    mix.source[0, 1], mix.mode[0, 1], mix.rect_px[0, 1] = 1, MixMode.ADD, (0, 0, 20, 20)
    mix.weight[0] = 0.75, 0.25
    size, found = np.full((2, 2), 20), {}
    for name, shape in (("oriented", square), ("upright", polygons.extents(square))):
        items = Outlines.start(np.arange(2), np.repeat(shape, 2, axis=0), size)
        items = replace(items, origin=np.zeros(2, int))
        assert mixed(items, mix, 0.01).weight.tolist() == [1.0]
        second = items.take(np.array([1])).moved(turn[None]).on_canvas(size[:1])
        found[name] = mixed(items.put(np.array([1]), second), mix, 0.01)
        assert (found[name].xyxy() == (0, 0, 20, 20)).all()
    assert found["oriented"].weight.tolist() == [0.75, 0.25]
    assert found["upright"].weight.tolist() == [1.0]


def test_a_weight_is_multiplied_by_what_each_mix_leaves():
    mix = Mix.identity(np.array([(20, 20)]))
    mix.source[0, 1], mix.mode[0, 1], mix.rect_px[0, 1] = 1, MixMode.ADD, (0, 0, 20, 20)
    mix.weight[0] = 0.75, 0.25
    first = mixed(on_row(1, (0, 0, 10, 10)), paste((0, 0, 20, 5)), 0.1)
    found = mixed(first, mix, 0.1)
    assert found.weight.tolist() == [0.5 * 0.75]


@settings(max_examples=100)
@given(st.lists(st.tuples(st.floats(-3, 14), st.floats(-3, 14)), min_size=3, max_size=3))
def test_pixels_of_a_convex_polygon(points):
    window, (x, y) = pixels_in(np.array(points), (9, 11))
    found = np.zeros((9, 11), bool)
    found[y : y + window.shape[0], x : x + window.shape[1]] = window
    if polygons.areas(np.array([points]))[0] > 1e-6:
        assert found.astype(int).tolist() == filling.filled(points, 9, 11)
