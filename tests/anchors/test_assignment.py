"""Which anchor gets which box: the worked example, and the two-part rule one pair at a time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mixwell import TargetError
from mixwell.anchors import assign, box_iou
from tests.anchors.cases import ANCHORS, TRUTH, boxes, random_boxes, tensor
from tests.oracles import anchors as oracle


def test_the_worked_example():
    assert assign(ANCHORS, TRUTH[:, 1:]).tolist() == [-1, 0, 1, -1, 1]


@given(boxes(most=8), boxes(), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.data())
def test_assignment_equals_the_oracle(places, truth, threshold, data):
    """Boxes on a grid make ties; there may be none, more than anchors, and boxes without area."""
    valid = data.draw(st.lists(st.booleans(), min_size=len(truth), max_size=len(truth)))
    there = torch.tensor(valid, dtype=torch.bool)
    found = assign(tensor(places), tensor(truth), valid=there, threshold=threshold)
    assert found.tolist() == oracle.assign(places, truth, valid, threshold)


@pytest.mark.parametrize("number", [1, 2, 13, 40])
def test_many_boxes_equal_the_oracle(number):
    """Crowded boxes: most of them want an anchor that another one gets."""
    places, truth = random_boxes((30,), seed=number) / 2, random_boxes((number,), seed=99) / 2
    expected = oracle.assign(places.tolist(), truth.tolist(), [True] * number)
    assert assign(places, truth).tolist() == expected


def test_a_batch_is_assigned_as_its_images_are():
    truth = torch.cat((random_boxes((6, 7), seed=1), random_boxes((6, 2), seed=2).round()), dim=1)
    valid = torch.rand((6, 9), generator=torch.Generator().manual_seed(3)) < 0.7
    valid[2] = False
    for places in (random_boxes((50,), seed=4), random_boxes((6, 50), seed=5)):
        found = assign(places, truth, valid=valid)
        of_image = places.expand(6, 50, 4)
        each = [assign(of_image[i], truth[i], valid=valid[i]) for i in range(6)]
        assert torch.equal(found, torch.stack(each))


def test_padding_does_not_matter():
    """Not its coordinates either, NaN included."""
    places, truth = random_boxes((20,), seed=6), random_boxes((2, 3), seed=7)
    waste = torch.full((2, 4, 4), torch.nan, dtype=torch.float64)
    valid = torch.tensor([[True] * 3 + [False] * 4] * 2)
    found = assign(places, torch.cat((truth, waste), dim=1), valid=valid)
    assert torch.equal(found, assign(places, truth))


@pytest.mark.parametrize("number", [1, 3, 12])
def test_every_box_gets_an_anchor_of_its_own(number):
    """Also where they are all the same box."""
    truth = torch.tensor([[0.2, 0.2, 0.6, 0.6]]).expand(number, 4)
    found = assign(random_boxes((12,), seed=8), truth)
    assert set(range(number)) <= set(found.tolist())


def test_an_overlap_of_the_threshold_is_enough():
    place = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.5]])
    truth = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    assert box_iou(place, truth)[1].item() == 0.5
    assert assign(place, truth, threshold=0.5).tolist() == [0, 0]
    assert assign(place, truth, threshold=0.5001).tolist() == [0, -1]


@pytest.mark.parametrize(
    ("places", "truth", "shape"),
    [((5, 4), (0, 4), (5,)), ((0, 4), (3, 4), (0,)), ((5, 4), (0, 2, 4), (0, 5))],
)
def test_none_at_all(places, truth, shape):
    found = assign(torch.zeros(places), torch.zeros(truth))
    assert found.shape == shape and found.dtype == torch.int64 and bool((found == -1).all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_on_in_float32(dtype):
    places, truth = random_boxes((40,), seed=9).to(dtype), random_boxes((2, 5), seed=10).to(dtype)
    assert torch.equal(assign(places, truth), assign(places.float(), truth.float()))


def test_it_asks_for_no_gradient():
    places = random_boxes((5,), seed=11).requires_grad_()
    assert not assign(places, random_boxes((2,), seed=12)).requires_grad


@pytest.mark.parametrize(
    ("places", "truth", "options", "words"),
    [
        ((5, 4), (2, 3, 2, 4), {}, "assign needs boxes"),
        ((3, 5, 4), (2, 3, 4), {}, "assign needs boxes"),
        ((4,), (2, 3, 4), {}, "assign needs boxes"),
        ((5, 4), (2, 3, 4), {"valid": torch.ones(2, 3)}, "valid must be bool"),
        ((5, 4), (2, 3, 4), {"valid": torch.ones(2, 2, dtype=torch.bool)}, "valid must be bool"),
        ((5, 4), (2, 3, 4), {"threshold": 1.5}, "IoU in 0 .. 1, got 1.5"),
    ],
)
def test_what_does_not_fit_is_refused(places, truth, options, words):
    with pytest.raises(TargetError, match=words):
        assign(torch.zeros(places), torch.zeros(truth), **options)
