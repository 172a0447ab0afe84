"""Targets of every anchor: the worked example, the oracle, batches, padding and weights."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mixwell import TargetError
from mixwell.anchors import assign, decode, pad, targets
from tests.anchors.cases import ANCHORS, TRUTH, boxes, random_boxes, tensor
from tests.oracles import anchors as oracle

CLASSES = TRUTH[:, 0].long()


def test_the_worked_example():
    found = targets(ANCHORS, TRUTH[None, :, 1:], CLASSES[None])
    assert found.classes.tolist() == [[0, 1, 2, 0, 2]]
    assert found.mask.tolist() == [[0.0] * 4 + [1.0] * 8 + [0.0] * 4 + [1.0] * 4]
    assert torch.equal(found.weights, torch.ones(1, 5))
    rows = found.offsets.reshape(5, 4)
    assert torch.equal(rows[[0, 3]], torch.zeros(2, 4))
    expected = torch.tensor([[1.40, 10.0, 2.5940, 7.1754], [-1.20, 0.2688, 1.6824, -1.5655]])
    torch.testing.assert_close(rows[1:3], expected, rtol=0, atol=1e-4)


@given(boxes(most=8, room=0.01), boxes(), st.data())
def test_targets_equal_the_oracle(places, truth, data):
    """Classes of -1 are padding; weights are in steps of 1/4, 0 included."""
    number = len(truth)
    classes = data.draw(st.lists(st.integers(-1, 3), min_size=number, max_size=number))
    weights = data.draw(
        st.lists(st.integers(0, 4).map(lambda n: n / 4), min_size=number, max_size=number)
    )
    found = targets(
        tensor(places),
        tensor(truth)[None],
        torch.tensor([classes], dtype=torch.int32),
        torch.tensor([weights]),
    )
    offsets, mask, numbers, each = oracle.targets(places, truth, classes, weights)
    wanted = torch.tensor([offsets], dtype=torch.float64)
    torch.testing.assert_close(found.offsets, wanted, rtol=1e-12, atol=1e-12)
    assert found.mask.tolist() == [mask]
    assert found.classes.tolist() == [numbers]
    assert found.weights.tolist() == [each]


def ragged(numbers: list[int], seed: int):
    source = torch.Generator().manual_seed(seed)
    some = [random_boxes((n,), seed + i) for i, n in enumerate(numbers)]
    classes = [torch.randint(0, 5, (n,), generator=source) for n in numbers]
    weights = [torch.rand(n, generator=source) for n in numbers]
    return some, classes, weights


@pytest.mark.parametrize("own", [False, True], ids=["shared anchors", "anchors of each image"])
def test_a_batch_is_its_images_one_by_one(own):
    some, classes, weights = ragged([3, 0, 7, 1], seed=20)
    places = random_boxes((4, 60) if own else (60,), seed=3)
    found = targets(places, *pad(some, classes, weights))
    for i in range(4):
        one = targets(
            places[i] if own else places, some[i][None], classes[i][None], weights[i][None]
        )
        for part, whole in zip(one, found, strict=True):
            assert torch.equal(part[0], whole[i])


def test_padding_is_not_read():
    some, classes, weights = pad(*ragged([2, 5], seed=30))
    waste = torch.where((classes < 0)[:, :, None], torch.nan, some)
    broken = torch.where(classes < 0, torch.nan, weights)
    places = random_boxes((40,), seed=4)
    first, second = targets(places, some, classes, weights), targets(places, waste, classes, broken)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_offsets_lead_back_to_the_boxes():
    some, classes, _ = pad(*ragged([4, 6], seed=40))
    places = random_boxes((80,), seed=5)
    found = targets(places, some, classes, threshold=0.3)
    owner = assign(places, some, valid=classes >= 0, threshold=0.3)
    back = decode(places, found.offsets.reshape(2, 80, 4))
    for i in range(2):
        positive = owner[i] >= 0
        assert torch.equal(positive, found.classes[i] > 0)
        expected = some[i][owner[i][positive]]
        torch.testing.assert_close(back[i][positive], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
@pytest.mark.parametrize("number", [0, 5])
def test_no_images_boxes_or_anchors(shape, number):
    found = targets(
        random_boxes((number,), seed=6), torch.zeros(*shape, 4), torch.zeros(shape).long()
    )
    assert found.offsets.shape == found.mask.shape == (shape[0], number * 4)
    assert found.classes.shape == found.weights.shape == (shape[0], number)
    assert not found.classes.any() and not found.mask.any() and bool((found.weights == 1).all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_on_in_float32(dtype):
    some, classes, weights = pad(*ragged([3, 4], seed=50))
    places = random_boxes((40,), seed=7)
    halves = [v.to(dtype) for v in (places, some, weights)]
    found = targets(halves[0], halves[1], classes, halves[2])
    wide = [v.float() for v in halves]
    expected = targets(wide[0], wide[1], classes, wide[2])
    assert found.offsets.dtype == found.mask.dtype == found.weights.dtype == torch.float32
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_they_move_together():
    found = targets(ANCHORS, TRUTH[None, :, 1:], CLASSES[None]).to("meta")
    assert {part.device.type for part in found} == {"meta"}


BOX = torch.tensor([[[0.1, 0.1, 0.5, 0.5]]])
ONE = torch.zeros((1, 1), dtype=torch.int64)


@pytest.mark.parametrize(
    ("some", "classes", "weights", "words"),
    [
        (BOX[0], ONE, None, "Ragged lists go through mixwell.anchors.pad"),
        (BOX, ONE[0], None, r"got shapes \(1, 1, 4\), \(1,\)"),
        (BOX, ONE, torch.ones(1, 2), r"got shapes \(1, 1, 4\), \(1, 1\), \(1, 2\)"),
        (BOX, ONE.float(), None, "classes must be integers, got torch.float32"),
        (BOX.flip(-1), ONE, None, r"x0 <= x1 and y0 <= y1, got \[0.5.*convert"),
        (BOX * torch.nan, ONE, None, "boxes must be finite"),
        (BOX, ONE, torch.full((1, 1), -0.5), r"at least 0, got \[-0.5\]"),
        (BOX, ONE, torch.full((1, 1), torch.inf), r"weights must be finite"),
    ],
)
def test_what_does_not_fit_is_refused(some, classes, weights, words):
    with pytest.raises(TargetError, match=words):
        targets(ANCHORS, some, classes, weights)
