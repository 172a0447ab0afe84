"""Keypoints: they move with their image, swap in mirrors, and are not visible outside."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mixwell as mw
from mixwell._errors import TargetError
from tests.targets.scenes.flips import FLIP, IMAGE, flipped

EYES = mw.Keypoints(flip_pairs=((0, 1),))


def after(points, policy=FLIP, form=EYES, boxes=(0, 0, 40, 30), **more):
    target = {"boxes": np.array([boxes], float), "keypoints": points}
    return flipped(target, policy, keypoints=form, **more)[0]["keypoints"]


def test_left_and_right_swap_in_a_mirror():
    points = np.array([[(10, 5, 2), (20, 6, 1), (15, 10, 2)]], float)
    found = after(points)
    assert found.tolist() == [[[20, 6, 1], [30, 5, 2], [25, 10, 2]]]


def test_two_mirrors_are_a_turn():
    both = mw.Policy(mw.HorizontalFlip(p=1.0), mw.VerticalFlip(p=1.0))
    points = np.array([[(10, 5, 2), (20, 6, 1), (15, 10, 2)]], float)
    assert after(points, both).tolist() == [[[30, 25, 2], [20, 24, 1], [25, 20, 2]]]
    up = after(points, mw.Policy(mw.VerticalFlip(p=1.0)))
    assert up.tolist() == [[[20, 24, 1], [10, 25, 2], [15, 20, 2]]]


def test_what_leaves_the_image_is_not_visible():
    points = np.array([[(2, 5, 2), (20, 6, 0), (39, 10, 1)]], float)
    found = after(points, mw.Policy(mw.CenterCrop((30, 30))), True)
    assert found[0, :, 2].tolist() == [0, 0, 0]
    assert found[0, :, 0].tolist() == [-3, 15, 34]


def test_without_visibility_points_stay_where_they_fall():
    points = np.array([[(2, 5), (20, 6)]], float)
    found = after(points, mw.Policy(mw.CenterCrop((30, 30))), True)
    assert found.tolist() == [[[-3, 5], [15, 6]]]


@pytest.mark.parametrize(
    "points",
    [
        [[[10.0, 5.0], [20.0, 6.0]]],
        [[[10.0, 5.0, 2.0], [20.0, 6.0, 1.0]]],
        np.array([[(10, 5), (20, 6)]], np.float32),
        np.array([[(10, 5, 2), (20, 6, 1)]], np.int64),
        torch.tensor([[(10, 5, 2), (20, 6, 1)]]),
        torch.tensor([[(10.0, 5.0), (20.0, 6.0)]], dtype=torch.float64),
    ],
)
def test_the_same_kind_comes_out(points):
    found = after(points, mw.Policy())
    assert type(found) is type(points)
    assert np.array_equal(np.asarray(found, float), np.asarray(points, float))


def test_normalized():
    points = np.array([[(0.25, 0.5, 2)]])
    form = mw.Keypoints(normalized=True)
    assert after(points, FLIP, form).tolist() == [[[0.75, 0.5, 2]]]


def test_alone_without_boxes():
    points = torch.tensor([[(10.0, 5.0, 2.0)], [(39.0, 29.0, 2.0)]])
    augment = mw.Augment(FLIP, keypoints=True)
    _, (made,) = augment([IMAGE], [{"keypoints": points}], keys=mw.Keys(np.arange(1)))
    assert made["keypoints"].tolist() == [[[30, 5, 2]], [[1, 29, 2]]]


@pytest.mark.parametrize("pairs", [((0, 1), (1, 2)), ((0,),), ((-1, 2),), ((3, 3),)])
def test_pairs_that_are_none(pairs):
    with pytest.raises(TargetError, match="flip_pairs"):
        mw.Keypoints(flip_pairs=pairs)


def test_pairs_beyond_the_points():
    with pytest.raises(TargetError, match="name place 1, got 1 keypoints"):
        after(np.array([[(1, 1, 2)]], float))
