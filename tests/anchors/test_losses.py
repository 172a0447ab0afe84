"""The detector's loss: against the oracle, torchvision's SSD, and what a weight must do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.ssd import SSD

from mixwell import TargetError
from mixwell.anchors import assign, hard_negatives, ssd_loss, ssd_terms, targets
from tests.anchors.cases import random_boxes
from tests.oracles import anchors as oracle

B, M, A, K = 3, 4, 30, 5
ANCHORS = random_boxes((A,), seed=1)
BOXES = random_boxes((B, M), seed=2)
CLASSES = torch.tensor([[0, 4, 2, 2], [1, 3, -1, -1], [-1, -1, -1, -1]])
WEIGHTS = torch.tensor(
    [[1.0, 0.5, 0.25, 0.0], [0.75, 0.1, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]]
).double()
SOURCE = torch.Generator().manual_seed(3)
LOGITS = 2 * torch.randn((B, A, K + 1), generator=SOURCE, dtype=torch.float64)
OFFSETS = 2 * torch.randn((B, A * 4), generator=SOURCE, dtype=torch.float64)


def wanted(weights: torch.Tensor | None = WEIGHTS):
    return targets(ANCHORS, BOXES, CLASSES, weights, threshold=0.3)


@pytest.mark.parametrize("beta", [1.0, 0.3])
@pytest.mark.parametrize("ratio", [3.0, 1.5, 0.0, 100.0, None])
def test_terms_equal_the_oracle(ratio, beta):
    found = ssd_terms(LOGITS, OFFSETS, wanted(), negative_ratio=ratio, beta=beta)
    each = [
        oracle.targets(ANCHORS.tolist(), b.tolist(), c.tolist(), w.tolist(), threshold=0.3)
        for b, c, w in zip(BOXES, CLASSES, WEIGHTS, strict=True)
    ]
    expected = oracle.ssd_terms(LOGITS.tolist(), OFFSETS.tolist(), each, ratio, beta)
    assert [v.item() for v in found] == pytest.approx(expected, rel=1e-12)
    both = ssd_loss(LOGITS, OFFSETS, wanted(), negative_ratio=ratio, beta=beta, offset_weight=0.5)
    assert both.item() == pytest.approx(expected[0] + 0.5 * expected[1], rel=1e-12)


def test_without_weights_it_is_the_loss_of_torchvisions_ssd():
    owner = assign(ANCHORS, BOXES, valid=CLASSES >= 0, threshold=0.3)
    model: Any = SimpleNamespace(box_coder=BoxCoder((10.0, 10.0, 5.0, 5.0)), neg_to_pos_ratio=3)
    truth = [{"boxes": b, "labels": c + 1} for b, c in zip(BOXES, CLASSES, strict=True)]
    heads = {"bbox_regression": OFFSETS.reshape(B, A, 4), "cls_logits": LOGITS}
    expected = SSD.compute_loss(model, truth, heads, [ANCHORS] * B, list(owner))
    found = ssd_terms(LOGITS, OFFSETS, wanted(None))
    # its coder has no 1e-6 in the logarithm
    assert found.classes.item() == pytest.approx(expected["classification"].item(), rel=1e-12)
    assert found.offsets.item() == pytest.approx(expected["bbox_regression"].item(), rel=1e-5)


def test_offsets_may_be_flat_or_not():
    flat = ssd_loss(LOGITS, OFFSETS, wanted())
    assert torch.equal(flat, ssd_loss(LOGITS, OFFSETS.reshape(B, A, 4), wanted()))


def gradients(weights: torch.Tensor, **options: Any) -> tuple[torch.Tensor, torch.Tensor]:
    logits, offsets = LOGITS.clone().requires_grad_(), OFFSETS.clone().requires_grad_()
    ssd_loss(logits, offsets, wanted(weights), **options).backward()
    assert logits.grad is not None and offsets.grad is not None
    return logits.grad, offsets.grad.reshape(B, A, 4)


@pytest.mark.parametrize("box", range(M))
def test_half_a_weight_is_half_the_gradient_of_that_box_alone(box):
    """Of both its terms; every other anchor's gradient is the same to the last bit, so the
    normaliser is as well."""
    weights = torch.ones((B, M), dtype=torch.float64)
    whole = gradients(weights)
    weights[0, box] = 0.5
    half = gradients(weights)
    owner = assign(ANCHORS, BOXES, valid=CLASSES >= 0, threshold=0.3)
    its_own = torch.zeros((B, A), dtype=torch.bool)
    its_own[0] = owner[0] == box
    for before, after in zip(whole, half, strict=True):
        assert bool(before[its_own].abs().sum() > 0)
        assert torch.equal(after[its_own], before[its_own] / 2)
        assert torch.equal(after[~its_own], before[~its_own])


def test_gradients_are_right():
    logits, offsets = LOGITS.clone().requires_grad_(), OFFSETS.clone().requires_grad_()
    found = wanted()
    assert torch.autograd.gradcheck(lambda x, y: ssd_loss(x, y, found), (logits, offsets))


def test_negatives_count_one_each():
    by_class, by_offset = gradients(WEIGHTS, negative_ratio=None)
    negative = wanted().classes == 0
    probabilities = LOGITS.softmax(dim=2)
    probabilities[:, :, 0] -= 1
    number = (~negative).sum()
    torch.testing.assert_close(by_class[negative], probabilities[negative] / number)
    assert not by_offset[negative].any()


def test_no_positives_give_no_loss():
    found = targets(ANCHORS, BOXES, torch.full_like(CLASSES, -1))
    logits = LOGITS.clone().requires_grad_()
    loss = ssd_loss(logits, OFFSETS, found)
    loss.backward()
    assert loss.item() == 0 and logits.grad is not None and not logits.grad.any()
    every = ssd_loss(LOGITS, OFFSETS, found, negative_ratio=None)
    assert every.item() == pytest.approx(-LOGITS.log_softmax(dim=2)[:, :, 0].sum().item())


def test_a_weight_of_zero_silences_even_an_infinite_loss():
    found = targets(ANCHORS, BOXES, CLASSES, torch.zeros((B, M)))
    masked = LOGITS.clone()
    masked[:, :, 1:] = -torch.inf
    assert ssd_loss(masked, OFFSETS, found, negative_ratio=0.0).item() == 0


@pytest.mark.parametrize(("images", "anchors"), [(0, A), (2, 0)])
def test_no_images_or_anchors(images, anchors):
    found = targets(ANCHORS[:anchors], BOXES[:images], CLASSES[:images])
    loss = ssd_loss(LOGITS[:images, :anchors], OFFSETS[:images, : anchors * 4], found)
    assert loss.item() == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_on_in_float32(dtype):
    logits, offsets = LOGITS.to(dtype).requires_grad_(), OFFSETS.to(dtype).requires_grad_()
    loss = ssd_loss(logits, offsets, wanted())
    assert loss.dtype == torch.float32
    assert torch.equal(loss, ssd_loss(logits.float(), offsets.float(), wanted()))
    loss.backward()
    assert logits.grad is not None and logits.grad.dtype == dtype


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), min_size=6, max_size=6),
        max_size=3,
    ),
    st.sampled_from([0.0, 0.5, 1.0, 3.0, 100.0]),
)
def test_hard_negatives_equal_the_oracle(rows, ratio):
    """Few different losses, so there are ties."""
    table = torch.tensor(rows).reshape(-1, 6, 2)
    classes, losses = table[:, :, 0], table[:, :, 1].double()
    found = hard_negatives(losses, classes, ratio)
    pairs = zip(losses.tolist(), classes.tolist(), strict=True)
    expected = [oracle.hard_negatives(each, numbers, ratio) for each, numbers in pairs]
    assert [row.nonzero().flatten().tolist() for row in found] == expected


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ssd_loss(LOGITS.mT, OFFSETS, wanted()), r"class_logits \[B, A, K \+ 1\]"),
        (lambda: ssd_loss(LOGITS, OFFSETS[:, :-4], wanted()), r"offsets \[B, A \* 4\]"),
        (lambda: hard_negatives(torch.ones(2, 3), torch.ones(2, 4)), "losses and classes"),
        (lambda: hard_negatives(torch.ones(2, 3), torch.ones(2, 3), -1), "at least 0, got -1"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(TargetError, match=words):
        call()
