"""Which things are kept: visible enough, large enough, and meaning anything; the rest counts."""

from __future__ import annotations

import numpy as np
import pytest

import mixwell as mw
from mixwell._errors import TargetError
from tests.targets.scenes.flips import BOXES, FLIPPED, HW, flipped

SMALL = np.array([(0, 0, 20, 10), (4, 4, 6, 28), (30, 10, 32, 12)], float)


@pytest.mark.parametrize(
    ("options", "left", "lost"),
    [
        ({}, [0, 1, 2], {}),
        ({"min_area": 5.0}, [0, 1], {"min_area": 1}),
        ({"min_side": 3.0}, [0], {"min_side": 2}),
        ({"min_area": 49.0, "min_side": 2.0}, [0], {"min_area": 2}),
        ({"min_area": 1e9}, [], {"min_area": 3}),
    ],
)
def test_small_boxes(options, left, lost):
    target = {"boxes": SMALL, "labels": np.arange(3)}
    made, found = flipped(target, mw.Policy(), boxes=mw.Boxes("xyxy", **options))
    assert made["labels"].tolist() == left and found == lost


@pytest.mark.parametrize(("least", "left"), [(0.0, [0]), (0.2, [0]), (0.21, []), (1.0, [])])
def test_visibility_is_of_the_uncut_box(least, left):
    """A fifth of the box lies in the image from the start; zooming does not change that."""
    target = {"boxes": np.array([(-16, 5, 4, 10)], float), "labels": np.arange(1)}
    policy = mw.Policy(mw.Resize((60, 80)), mw.HorizontalFlip(p=1.0))
    made, lost = flipped(target, policy, boxes=mw.Boxes("xyxy", min_visibility=least))
    assert made["labels"].tolist() == left
    assert lost == ({} if left else {"min_visibility": 1})
    if left:
        assert made["boxes"].tolist() == [[72, 10, 80, 20]]


def test_boxes_outside_are_dropped_and_counted():
    boxes = np.array([(-9, 0, -1, 5), (40, 0, 50, 5), (0, 30, 5, 31), (1, 1, 9, 9)], float)
    made, lost = flipped({"boxes": boxes, "labels": np.arange(4)}, mw.Policy())
    assert made["labels"].tolist() == [3] and lost == {"outside": 3}


@pytest.mark.parametrize(
    "bad", [(5, 5, 5, 9), (5, 5, 9, 5), (9, 5, 5, 9), (5, np.nan, 9, 9), (0, 0, np.inf, 9)]
)
def test_boxes_that_mean_nothing(bad):
    target = {"boxes": np.array([BOXES[0], bad]), "labels": np.arange(2)}
    with pytest.raises(TargetError, match=r"as box 1 of image 0.*check the format"):
        flipped(target)
    made, lost = flipped(target, boxes=mw.Boxes("xyxy", invalid="drop"))
    assert made["labels"].tolist() == [0] and lost == {"invalid": 1}
    assert made["boxes"].tolist() == [FLIPPED[0].tolist()]


def test_an_invalid_box_takes_its_mask_and_points_along():
    target = {
        "boxes": np.array([(9, 9, 5, 5), BOXES[0]]),
        "masks": np.stack([np.zeros(HW, bool), np.ones(HW, bool)]),
        "keypoints": np.array([[(1, 1, 2)], [(10, 10, 2)]], float),
    }
    options = mw.Boxes("xyxy", invalid="drop")
    made, _ = flipped(target, boxes=options, masks="instance", keypoints=True)
    assert made["masks"].shape == (1, *HW) and made["masks"].all()
    assert made["keypoints"].tolist() == [[[30, 10, 2]]]


def test_a_mask_that_leaves_the_image_takes_its_thing_along():
    masks = np.zeros((2, *HW), bool)
    masks[0, 5:9, 0:4], masks[1, 5:9, 20:24] = True, True
    target = {"boxes": np.array([(0, 0, 30, 20), (18, 4, 26, 10)], float), "masks": masks}
    made, lost = flipped(target, mw.Policy(mw.CenterCrop((30, 30))), masks="instance")
    assert lost == {"empty mask": 1} and len(made["boxes"]) == len(made["masks"]) == 1


def test_tight_boxes_are_those_of_their_masks():
    masks = np.zeros((1, *HW), np.uint8)
    masks[0, 10:15, 12:20] = 1
    target = {"boxes": np.array([(5, 5, 35, 25)], float), "masks": masks}
    tight = mw.Boxes("xyxy", tight=True)
    made, _ = flipped(target, boxes=tight, masks="instance")
    assert made["boxes"].tolist() == [[20, 10, 28, 15]]
    loose, _ = flipped(target, masks="instance")
    assert loose["boxes"].tolist() == [[5, 5, 35, 25]]
