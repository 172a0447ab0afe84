"""Encodings, units, overlap and padding."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from torchvision import ops

from mixwell import TargetError
from mixwell.anchors import box_iou, convert, pad, to_pixels, to_unit
from tests.anchors.cases import boxes, random_boxes, tensor
from tests.oracles import anchors as oracle

KNOWN = {
    "xyxy": [1.0, 2.0, 5.0, 10.0],
    "xywh": [1.0, 2.0, 4.0, 8.0],
    "cxcywh": [3.0, 6.0, 4.0, 8.0],
}


@pytest.mark.parametrize("to", KNOWN)
@pytest.mark.parametrize("source", KNOWN)
def test_each_encoding_becomes_each_other(source, to):
    many = torch.tensor(KNOWN[source]).expand(2, 3, 4)
    assert torch.equal(convert(many, source, to), torch.tensor(KNOWN[to]).expand(2, 3, 4))


@pytest.mark.parametrize("shape", [(0, 4), (2, 0, 4), (0, 3, 4)])
def test_no_boxes_stay_none(shape):
    assert convert(torch.zeros(shape), "xywh", "cxcywh").shape == shape
    assert to_pixels(torch.zeros(shape), (3, 5)).shape == shape
    assert box_iou(torch.zeros(shape), torch.zeros(7, 4)).shape == (*shape[:-1], 7)


def test_pixels_and_fractions():
    pixels = torch.tensor([[20.0, 5.0, 40.0, 10.0]])
    fractions = torch.tensor([[0.2, 0.1, 0.4, 0.2]])
    torch.testing.assert_close(to_unit(pixels, (50, 100)), fractions)
    torch.testing.assert_close(to_pixels(fractions, (50, 100)), pixels)


def test_each_image_has_its_own_size():
    pixels = random_boxes((3, 2), seed=0) * 100
    sizes = torch.tensor([[50, 100], [30, 20], [7, 9]])
    found = to_unit(pixels, sizes)
    each = [to_unit(p, (int(h), int(w))) for p, (h, w) in zip(pixels, sizes, strict=True)]
    assert torch.equal(found, torch.stack(each))
    torch.testing.assert_close(to_pixels(found, sizes), pixels, rtol=1e-15, atol=1e-13)


@given(boxes(), boxes())
def test_overlap_equals_the_oracle(some, others):
    found = box_iou(tensor(some), tensor(others))
    assert found.tolist() == [[oracle.iou(a, b) for b in others] for a in some]


def test_overlap_equals_torchvision():
    some, others = random_boxes((40,), seed=1), random_boxes((50,), seed=2)
    assert torch.equal(box_iou(some, others), ops.box_iou(some, others))
    assert torch.equal(
        box_iou(some.float(), others.float()), ops.box_iou(some.float(), others.float())
    )


def test_overlap_of_a_batch_is_that_of_its_images():
    some, others = random_boxes((3, 4), seed=3), random_boxes((3, 5), seed=4)
    found = box_iou(some, others)
    assert torch.equal(
        found, torch.stack([box_iou(*pair) for pair in zip(some, others, strict=True)])
    )
    shared = box_iou(some, others[0])
    assert torch.equal(shared, torch.stack([box_iou(one, others[0]) for one in some]))


def test_overlap_without_area_is_zero():
    nothing = torch.tensor([[0.5, 0.5, 0.5, 0.5], [0.2, 0.1, 0.2, 0.9]])
    assert torch.equal(box_iou(nothing, nothing), torch.zeros(2, 2))
    assert torch.equal(box_iou(nothing, torch.tensor([[0.0, 0.0, 1.0, 1.0]])), torch.zeros(2, 1))


def test_overlap_has_gradients():
    some, others = random_boxes((2, 3), seed=5), random_boxes((2, 2), seed=6)
    assert torch.autograd.gradcheck(box_iou, (some.requires_grad_(), others.requires_grad_()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64, torch.uint8])
def test_other_numbers_are_computed_on_in_float32(dtype):
    pixels = torch.tensor([[1, 2, 5, 9], [0, 0, 4, 4]]).to(dtype)
    for function in (
        lambda b: convert(b, "xyxy", "cxcywh"),
        lambda b: to_unit(b, (10, 20)),
        lambda b: box_iou(b, b),
    ):
        found = function(pixels)
        assert found.dtype == torch.float32
        assert torch.equal(found, function(pixels.float()))
    assert box_iou(pixels, pixels.double()).dtype == torch.float64


def test_padding():
    found = pad(
        [torch.ones(2, 4), torch.zeros(0, 4), torch.full((1, 4), 2)],
        [torch.tensor([3, 4]), torch.zeros(0, dtype=torch.uint8), torch.tensor([5])],
        [torch.tensor([0.5, 0.25]), torch.zeros(0), torch.tensor([0.75])],
    )
    assert found.boxes.tolist() == [[[1] * 4, [1] * 4], [[0] * 4, [0] * 4], [[2] * 4, [0] * 4]]
    assert found.classes.tolist() == [[3, 4], [-1, -1], [5, -1]]
    assert found.weights.tolist() == [[0.5, 0.25], [1, 1], [0.75, 1]]
    assert (found.boxes.dtype, found.classes.dtype) == (torch.float32, torch.int64)


def test_padding_without_weights_has_ones():
    found = pad([torch.ones(1, 4), torch.ones(2, 4)], [torch.tensor([3]), torch.tensor([4, 5])])
    assert torch.equal(found.weights, torch.ones(2, 2))


def test_padding_of_nothing():
    assert [part.shape for part in pad([], [])] == [(0, 0, 4), (0, 0), (0, 0)]
    empty = pad([torch.zeros(0, 4)] * 2, [torch.zeros(0, dtype=torch.int64)] * 2)
    assert [part.shape for part in empty] == [(2, 0, 4), (2, 0), (2, 0)]


ONE = torch.zeros(1, 4)
ERRORS = {
    "an encoding": (lambda: convert(ONE, "xyxy", "yxyx"), "one of xyxy, xywh, cxcywh, got 'yxyx'"),  # pyright: ignore[reportArgumentType]
    "five numbers": (lambda: box_iou(torch.zeros(2, 5), ONE), r"\[\.\.\., 4\], got \(2, 5\)"),
    "yes and no": (lambda: to_unit(ONE.bool(), (2, 2)), "real numbers, got torch.bool"),
    "a size": (lambda: to_unit(ONE, torch.ones(3)), r"\(height, width\).* got shape \(3,\)"),
    "sizes without a batch": (lambda: to_unit(ONE, torch.ones(1, 2)), r"for boxes \[B, n, 4\]"),
    "a size of 0": (lambda: to_unit(ONE, (0, 4)), "above 0, got"),
    "images": (lambda: pad([ONE], []), "same images, got 1, 0 and 1"),
    "numbers": (lambda: pad([ONE], [torch.tensor([1, 2])]), "Image 0 needs boxes"),
    "classes": (lambda: pad([ONE], [torch.tensor([1.0])]), r"must be integers.* \.long\(\)"),
}


@pytest.mark.parametrize(("call", "words"), ERRORS.values(), ids=ERRORS)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(TargetError, match=words):
        call()
