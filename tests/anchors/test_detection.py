"""Suppression and decoding of predictions: worked examples, the oracle, batches."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision import ops

from mixwell import TargetError
from mixwell.anchors import detect, nms, roi_align, roi_pool
from tests.anchors.cases import boxes, random_boxes, tensor
from tests.oracles import anchors as oracle

PLACES = torch.tensor(
    [
        [0.1, 0.08, 0.52, 0.92],
        [0.08, 0.2, 0.56, 0.95],
        [0.15, 0.3, 0.62, 0.91],
        [0.55, 0.2, 0.9, 0.88],
    ]
)
PROBABILITIES = torch.tensor([[0, 0.9, 0.1], [0, 0.8, 0.2], [0, 0.7, 0.3], [0, 0.1, 0.9]])
SIXTEENTH = st.integers(0, 16).map(lambda n: n / 16)


def test_three_dogs_are_one_and_the_cat_stays():
    """Its 0.9 is as probable as the first dog's, which comes first."""
    found = detect(PROBABILITIES[None], torch.zeros(1, 16), PLACES)[0]
    expected = torch.tensor([[0, 0.9], [1, 0.9], [-1, 0.8], [-1, 0.7]])
    torch.testing.assert_close(found[:, :2], expected)
    torch.testing.assert_close(found[:, 2:], PLACES[[0, 3, 1, 2]])


def test_roi_pooling_as_worked_out():
    """torchvision's own: boxes in pixels of the image, a map of a tenth of its size."""
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    rois = torch.tensor([[0, 0, 0, 20, 20], [0, 0, 10, 30, 30]]).float()
    found = roi_pool(image, rois, output_size=(2, 2), spatial_scale=0.1)
    assert found.tolist() == [[[[5, 6], [9, 10]]], [[[9, 11], [13, 15]]]]
    assert (roi_pool, roi_align) == (ops.roi_pool, ops.roi_align)


@given(boxes(most=8), st.data(), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.booleans())
def test_suppression_equals_the_oracle(some, data, threshold, by_class):
    """Boxes on a grid: overlaps equal to the threshold, and scores that are equal."""
    number = len(some)
    scores = data.draw(st.lists(SIXTEENTH, min_size=number, max_size=number))
    drawn = data.draw(st.lists(st.integers(0, 2), min_size=number, max_size=number))
    classes = drawn if by_class else None
    kinds = None if classes is None else torch.tensor(classes, dtype=torch.int64)
    # moved to where torchvision's classes would meet
    for shift in (0.0, -1.5):
        moved = [[v + shift for v in box] for box in some]
        found = nms(tensor(moved), torch.tensor(scores), threshold, classes=kinds)
        assert found.tolist() == oracle.nms(moved, scores, threshold, classes)


@pytest.mark.parametrize("number", [40, 1200])
def test_suppression_by_class_is_suppression_of_each_class(number):
    """Below and above the number at which torchvision changes its method."""
    some = random_boxes((number,), seed=1).float()
    source = torch.Generator().manual_seed(2)
    scores, classes = torch.rand(number, generator=source), torch.arange(number) % 3
    kept = nms(some, scores, 0.3, classes=classes)
    assert torch.equal(scores[kept], scores[kept].sort(descending=True).values)
    for kind in range(3):
        own = (classes == kind).nonzero().flatten()
        expected = own[ops.nms(some[own].double(), scores[own].double(), 0.3)]
        assert torch.equal(kept[classes[kept] == kind], expected)


@given(boxes(most=8, room=0.125), st.data(), st.sampled_from([0.25, 0.5]), st.booleans())
def test_detections_equal_the_oracle(places, data, threshold, per_class):
    number = len(places)
    three = st.lists(SIXTEENTH, min_size=3, max_size=3)
    probs = data.draw(st.lists(three, min_size=number, max_size=number))
    kind = data.draw(st.sampled_from([st.just(0.0), st.floats(-3, 3)]))
    four = st.lists(kind, min_size=4, max_size=4)
    offsets = data.draw(st.lists(four, min_size=number, max_size=number))
    found = detect(
        torch.tensor(probs, dtype=torch.float64).reshape(1, number, 3),
        tensor(offsets)[None],
        tensor(places),
        iou_threshold=threshold,
        min_confidence=0.125,
        per_class=per_class,
    )
    expected = oracle.detect(probs, offsets, places, threshold, 0.125, per_class)
    wanted = torch.tensor(expected, dtype=torch.float64).reshape(1, number, 6)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("own", [False, True], ids=["shared anchors", "anchors of each image"])
def test_a_batch_is_its_images_one_by_one(own, per_class):
    source = torch.Generator().manual_seed(3)
    places = random_boxes((4, 90) if own else (90,), seed=4).float()
    probs = torch.randn((4, 90, 6), generator=source).mul(3).softmax(dim=2)
    offsets = torch.randn((4, 360), generator=source)
    found = detect(probs, offsets, places, per_class=per_class)
    for i in range(4):
        place = places[i] if own else places
        one = detect(probs[i : i + 1], offsets[i : i + 1], place, per_class=per_class)
        assert torch.equal(one[0], found[i])


def test_rows_are_in_order():
    source = torch.Generator().manual_seed(5)
    probs = torch.randn((3, 200, 4), generator=source).mul(3).softmax(dim=2)
    found = detect(probs, torch.zeros(3, 800), random_boxes((200,), seed=6), min_confidence=0.3)
    for rows in found:
        number = int((rows[:, 0] >= 0).sum())
        assert 0 < number < 200 and bool((rows[number:, 0] == -1).all())
        assert bool((rows[:number, 1].diff() <= 0).all()) and bool((rows[:number, 1] >= 0.3).all())


@pytest.mark.parametrize(("images", "number"), [(0, 5), (2, 0), (0, 0)])
def test_no_images_or_anchors(images, number):
    found = detect(
        torch.zeros(images, number, 3), torch.zeros(images, number * 4), torch.zeros(number, 4)
    )
    assert found.shape == (images, number, 6)


def test_nothing_but_background():
    found = detect(torch.tensor([[[0.995, 0.003, 0.002]]]), torch.zeros(1, 4), PLACES[:1])
    torch.testing.assert_close(found[0, 0, :2], torch.tensor([-1, 0.997]))
    empty = nms(torch.zeros(0, 4), torch.zeros(0), classes=torch.zeros(0, dtype=torch.int64))
    assert empty.shape == (0,) and empty.dtype == torch.int64


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_on_in_float32(dtype):
    probs, offsets, places = (v.to(dtype) for v in (PROBABILITIES[None], torch.ones(1, 16), PLACES))
    found = detect(probs, offsets, places, per_class=True)
    assert found.dtype == torch.float32
    wide = detect(probs.float(), offsets.float(), places.float(), per_class=True)
    assert torch.equal(found, wide)
    kept = nms(places, probs[0, :, 1])
    assert torch.equal(kept, nms(places.float(), probs[0, :, 1].float()))


FLAT = torch.zeros(1, 16)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: detect(PROBABILITIES.mT[None], FLAT, PLACES), r"\[B, K \+ 1, A\] need .mT"),
        (lambda: detect(PROBABILITIES[None, :, :1], FLAT, PLACES), "K >= 1"),
        (
            lambda: detect(PROBABILITIES[None], FLAT[:, 4:], PLACES),
            r"offsets must be \[B, A \* 4\]",
        ),
        (lambda: nms(PLACES[None], torch.zeros(1, 4)), "Batches go through mixwell.anchors.detect"),
        (lambda: nms(PLACES, torch.zeros(3)), r"got shapes \(4, 4\), \(3,\)"),
        (lambda: nms(PLACES, torch.zeros(4), 1.5), "IoU in 0 .. 1, got 1.5"),
        (lambda: nms(PLACES, torch.zeros(4), classes=torch.zeros(4)), "classes must be integers"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(TargetError, match=words):
        call()
