"""Ops for detectors, on their definitions and against torchvision where it has the op.

torchvision draws from its own stream, so distributions are compared, never values.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torchvision import tv_tensors
from torchvision.transforms import v2

from mixwell._errors import PolicyError
from mixwell.plan.outlines import Outlines
from mixwell.plan.steps import Code, Edit
from mixwell.policy import (
    BBoxSafeCrop,
    FixedSizeCrop,
    LongestSide,
    Policy,
    RandomIoUCrop,
    RandomPhotometricDistort,
    RandomZoomOut,
    ScaleJitter,
)
from tests.policy.cases import keys

HW = (60, 80)
BOXES = np.array([(10, 10, 40, 30), (50, 20, 75, 55)], float)
MANY = 400
SIZES = st.tuples(st.integers(1, 90), st.integers(1, 90))


def planned(op, count: int = MANY, hw=HW, boxes=BOXES) -> Edit:
    """The edit of equal images with the same boxes."""
    sizes = np.full((count, 2), hw)
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    rows = np.repeat(np.arange(count), len(boxes))
    things = Outlines.start(rows, np.tile(boxes, (count, 1)), sizes)
    (step,) = Policy(op).sample(sizes, keys=keys(count), things=things).steps
    assert isinstance(step, Edit)
    return step


def windows_of(edit: Edit, hw=HW) -> np.ndarray:
    """int64 [N, 4]: what a whole-pixel crop shows of the image; the image itself where idle."""
    idle = edit.code[:, 0] == Code.NOTHING
    assert (idle | (edit.code[:, 0] == Code.WARP)).all() and edit.slots == 1
    size = np.where(idle[:, None], np.array(hw), edit.size_hw[:, 0])
    corner = np.where(idle[:, None], 0, edit.param[:, 0][:, [2, 5]])
    assert (corner == np.rint(corner)).all()
    return np.concatenate([corner, corner + size[:, ::-1]], axis=1).astype(int)


def iou(box, window) -> float:
    """Of two boxes, by plain numbers."""
    wide = max(0, min(box[2], window[2]) - max(box[0], window[0]))
    high = max(0, min(box[3], window[3]) - max(box[1], window[1]))
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, window)]
    return wide * high / (sum(areas) - wide * high)


def holds(box, window) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return window[0] < x < window[2] and window[1] < y < window[3]


class TestRandomIoUCrop:
    @pytest.mark.parametrize("least", [0.0, 0.1, 0.5, 0.9])
    def test_windows_keep_their_promise(self, least):
        op = RandomIoUCrop(0.3, 1.0, 0.5, 2.0, (least,), trials=40)
        found = windows_of(planned(op))
        cut = 0
        for window in found.tolist():
            width, height = window[2] - window[0], window[3] - window[1]
            if [width, height] == [80, 60]:
                continue
            cut += 1
            assert 0 <= window[0] < window[2] <= 80 and 0 <= window[1] < window[3] <= 60
            assert int(0.3 * 80) <= width <= 80 and int(0.3 * 60) <= height <= 60
            assert 0.5 <= width / height <= 2.0
            held = [box for box in BOXES if holds(box, window)]
            assert held and max(iou(box, window) for box in held) >= least
        assert cut > (0.9 * MANY if least < 0.9 else 0)

    def test_option_1_and_images_without_boxes_are_kept(self):
        whole = planned(RandomIoUCrop(sampler_options=(1.0, 1.5)), 8)
        none = planned(RandomIoUCrop(), 8, boxes=[])
        for edit in (whole, none):
            assert windows_of(edit).tolist() == [[0, 0, 80, 60]] * 8

    def test_windows_are_torchvisions(self):
        """The same distributions of width, height, and place, and as many images kept whole."""
        torch.manual_seed(1)
        boxes = tv_tensors.BoundingBoxes(torch.tensor(BOXES), format="XYXY", canvas_size=HW)
        image = tv_tensors.Image(torch.zeros(1, *HW))
        theirs = v2.RandomIoUCrop()
        found = [theirs.make_params([image, boxes]) for _ in range(MANY)]
        cuts = np.array([[f["left"], f["top"], f["width"], f["height"]] for f in found if f])
        ours = windows_of(planned(RandomIoUCrop()))
        ours[:, 2:] -= ours[:, :2]
        mine = ours[(ours[:, 2:] != (80, 60)).any(axis=1)]
        kept = stats.fisher_exact([[len(cuts), MANY - len(cuts)], [len(mine), MANY - len(mine)]])
        assert kept[1] > 1e-3
        for k in range(4):
            assert stats.ks_2samp(cuts[:, k], mine[:, k]).pvalue > 1e-3

    def test_it_must_be_told(self):
        with pytest.raises(PolicyError, match="RandomIoUCrop looks at boxes while it samples"):
            Policy(RandomIoUCrop()).sample(np.array([HW]), keys=keys(1))

    @pytest.mark.parametrize(
        "options",
        [
            {"min_scale": 0.9, "max_scale": 0.5},
            {"min_aspect_ratio": 0.0},
            {"trials": 0},
            {"sampler_options": ()},
            {"sampler_options": (-0.1,)},
        ],
    )
    def test_options_out_of_range(self, options):
        with pytest.raises(PolicyError, match="RandomIoUCrop"):
            RandomIoUCrop(**options)

    @settings(max_examples=30)
    @given(SIZES, st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=3))
    def test_any_image_any_boxes(self, hw, parts):
        ends = np.array(parts).reshape(-1, 2, 2) * hw[::-1]
        boxes = np.concatenate([ends.min(axis=1), ends.max(axis=1)], axis=1)
        for x0, y0, x1, y1 in windows_of(planned(RandomIoUCrop(), 6, hw, boxes), hw).tolist():
            assert 0 <= x0 < x1 <= hw[1] and 0 <= y0 < y1 <= hw[0]


class TestBBoxSafeCrop:
    @settings(max_examples=40)
    @given(SIZES, st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=3))
    def test_all_boxes_are_inside(self, hw, parts):
        ends = np.array(parts).reshape(-1, 2, 2) * hw[::-1]
        boxes = np.concatenate([ends.min(axis=1), ends.max(axis=1)], axis=1)
        visible = boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)]
        for x0, y0, x1, y1 in windows_of(planned(BBoxSafeCrop(), 6, hw, boxes), hw).tolist():
            assert 0 <= x0 < x1 <= hw[1] and 0 <= y0 < y1 <= hw[0]
            assert (visible >= (x0, y0, x0, y0)).all() and (visible <= (x1, y1, x1, y1)).all()

    def test_edges_are_uniform_between_boxes_and_image(self):
        found = windows_of(planned(BBoxSafeCrop(), 2000))
        for k, (low, high) in enumerate([(0, 10), (0, 10), (75, 80), (55, 60)]):
            edge = found[:, k] - low + (0 if k < 2 else -1)  # floors, or ceilings
            counts = np.bincount(edge, minlength=high - low)
            assert len(counts) == high - low and stats.chisquare(counts).pvalue > 1e-3

    def test_an_image_without_boxes_keeps_its_middle(self):
        found = windows_of(planned(BBoxSafeCrop(), 300, boxes=[]))
        assert found[:, :2].max(axis=0).tolist() <= [20, 15]
        assert (found[:, 2:] >= (60, 45)).all()
        assert len(np.unique(found[:, 0])) > 10

    def test_a_size_is_a_resize_of_the_window(self):
        edit = planned(BBoxSafeCrop((32, 48), "bicubic"), 50)
        assert (edit.code == Code.RESIZE).all() and (edit.size_hw == (32, 48)).all()
        box = edit.param[:, 0, :4]
        assert (box[:, :2] <= (10, 10)).all() and (box[:, 2:] >= (75, 55)).all()


class TestRandomZoomOut:
    def test_the_image_lies_on_a_larger_canvas(self):
        found = windows_of(planned(RandomZoomOut((1.5, 3.0), p=1.0)))
        width, height = (found[:, 2:] - found[:, :2]).T
        assert (found[:, :2] <= 0).all() and (found[:, 2:] >= (80, 60)).all()
        assert width.min() >= 120 and width.max() <= 240
        assert (np.abs(width / 80 - height / 60) < 1 / 60 + 1e-9).all()

    def test_canvases_are_torchvisions(self):
        torch.manual_seed(2)
        theirs = v2.RandomZoomOut(p=1.0)
        image = tv_tensors.Image(torch.zeros(1, *HW))
        pads = np.array([theirs.make_params([image])["padding"] for _ in range(MANY)])
        ours = windows_of(planned(RandomZoomOut(p=1.0)))
        mine = np.stack([-ours[:, 0], -ours[:, 1], ours[:, 2] - 80, ours[:, 3] - 60], axis=1)
        for k in range(4):
            assert stats.ks_2samp(pads[:, k], mine[:, k]).pvalue > 1e-3
        assert RandomZoomOut().p == v2.RandomZoomOut().p

    def test_the_fill_is_what_is_said(self):
        assert (planned(RandomZoomOut(fill=(1, 2, 3), p=1.0), 4).fill[:, 0, :3] == (1, 2, 3)).all()


class TestSizes:
    def test_scale_jitter_is_torchvisions_for_a_square(self):
        """For other targets torchvision's own code takes height for width; ours fits the image."""
        torch.manual_seed(3)
        theirs = v2.ScaleJitter((64, 64))
        image = tv_tensors.Image(torch.zeros(1, *HW))
        sizes = np.array([theirs.make_params([image])["size"] for _ in range(MANY)])
        ours = planned(ScaleJitter(64)).size_hw[:, 0]
        for k in range(2):
            assert stats.ks_2samp(sizes[:, k], ours[:, k]).pvalue > 1e-3

    @settings(max_examples=50)
    @given(SIZES, SIZES, st.floats(0.1, 2.0))
    def test_scale_jitter_fits_its_target(self, hw, target, factor):
        found = planned(ScaleJitter(target, (factor, factor)), 2, hw, []).size_hw[0, 0]
        fit = min(target[0] / hw[0], target[1] / hw[1]) * factor
        assert np.abs(found - np.maximum(np.array(hw) * fit, 1)).max() < 1 + 1e-9
        if factor == 1.0:
            assert (found <= target).all()

    @settings(max_examples=50)
    @given(SIZES, st.integers(1, 99))
    def test_longest_side(self, hw, size):
        edit = planned(LongestSide(size), 2, hw, [])
        found = edit.size_hw[0, 0].tolist()
        assert max(found) == size
        short = min(hw) * size / max(hw)
        assert abs(min(found) - max(short, 1)) <= 0.5
        assert edit.param[0, 0, :4].tolist() == [0, 0, hw[1], hw[0]]

    @settings(max_examples=50)
    @given(SIZES, SIZES)
    def test_fixed_size_crop_cuts_or_pads(self, hw, size):
        for x0, y0, x1, y1 in windows_of(planned(FixedSizeCrop(size), 4, hw, []), hw).tolist():
            assert (y1 - y0, x1 - x0) == size
            assert x0 >= 0 and y0 >= 0
            assert x1 <= hw[1] if hw[1] >= size[1] else x0 == 0
            assert y1 <= hw[0] if hw[0] >= size[0] else y0 == 0

    def test_fixed_size_crop_is_uniform(self):
        found = windows_of(planned(FixedSizeCrop((56, 75)), 2000))
        for k, places in enumerate((6, 5)):
            counts = np.bincount(found[:, k], minlength=places)
            assert len(counts) == places and stats.chisquare(counts).pvalue > 1e-3


class TestPhotometric:
    CODES = (Code.BRIGHTNESS, Code.CONTRAST, Code.SATURATION, Code.HUE)

    def test_each_happens_by_half_in_its_range(self):
        edit = planned(RandomPhotometricDistort(), 2000, boxes=[])
        ranges = [(0.875, 1.125), (0.5, 1.5), (0.5, 1.5), (-0.05, 0.05)]
        for code, (low, high) in zip(self.CODES, ranges, strict=True):
            row, k = np.nonzero(edit.code == code)
            assert len(np.unique(row)) == len(row)  # contrast stands in one place
            assert stats.binomtest(len(row), 2000).pvalue > 1e-3
            assert stats.kstest(edit.param[row, k, 0], "uniform", (low, high - low)).pvalue > 1e-3

    def test_contrast_stands_early_or_late(self):
        edit = planned(RandomPhotometricDistort(each=1.0), 2000, boxes=[])
        early = edit.code[:, 1] == Code.CONTRAST
        assert stats.binomtest(int(early.sum()), 2000).pvalue > 1e-3
        assert ((edit.code[:, 4] == Code.CONTRAST) == ~early).all()
        rest = (Code.BRIGHTNESS, Code.SATURATION, Code.HUE, Code.CHANNELS)
        assert (edit.code[:, [0, 2, 3, 5]] == rest).all()

    def test_channels_change_places_by_half_in_any_order(self):
        edit = planned(RandomPhotometricDistort(), 2000, boxes=[])
        changed = edit.code[:, 5] == Code.CHANNELS  # behind all others
        assert (edit.code == Code.CHANNELS).sum() == changed.sum()
        assert stats.binomtest(int(changed.sum()), 2000).pvalue > 1e-3
        assert not edit.param[~changed, 5].any()
        number = {order: i for i, order in enumerate(permutations(range(3)))}
        which = [number[tuple(shown)] for shown in edit.param[changed, 5, :3].astype(int).tolist()]
        assert stats.chisquare(np.bincount(which, minlength=6)).pvalue > 1e-3

    def test_each_happens_whatever_else_does(self):
        codes = planned(RandomPhotometricDistort(), 2000, boxes=[]).code
        happens = np.stack([(codes == c).any(axis=1) for c in (*self.CODES, Code.CHANNELS)])
        for i, one in enumerate(happens):
            for other in happens[:i]:
                assert stats.binomtest(int((one & other).sum()), 2000, 0.25).pvalue > 1e-3

    def test_ranges_and_order_are_torchvisions(self):
        theirs = v2.RandomPhotometricDistort()
        ours = RandomPhotometricDistort()
        for name in ("brightness", "contrast", "saturation", "hue"):
            assert tuple(getattr(theirs, name)) == tuple(getattr(ours, name))
        torch.manual_seed(4)
        image = [tv_tensors.Image(torch.zeros(3, 4, 4))]
        drawn = [theirs.make_params(image) for _ in range(MANY)]
        early = np.mean([d["contrast_before"] for d in drawn if d["contrast_factor"] is not None])
        assert early == pytest.approx(0.5, abs=0.15)
        assert list(drawn[0])[:2] == ["brightness_factor", "contrast_factor"]
        orders = [d["channel_permutation"] for d in drawn]
        orders = [tuple(order.tolist()) for order in orders if order is not None]
        assert len(orders) / MANY == pytest.approx(0.5, abs=0.15)
        assert set(orders) == set(permutations(range(3)))

    def test_no_pixel_moves(self):
        assert not RandomPhotometricDistort.moves
        found = planned(RandomPhotometricDistort(), 50).code
        assert np.isin(found, (Code.NOTHING, *self.CODES, Code.CHANNELS)).all()
