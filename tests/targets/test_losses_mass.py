"""Losses and accuracies where labels are ignored or weighted, logits short, batches empty."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
import torch.nn.functional as F

import mixwell as mw
from mixwell import SparseLabels, TargetError
from mixwell.targets import (
    MultiLabels,
    accuracy,
    bce,
    each_head,
    exact_match,
    heads_loss,
    mixed_accuracy,
    multilabel_accuracy,
    soft_cross_entropy,
    sparse_cross_entropy,
    sparse_loss,
    target_loss,
)

torch.set_num_threads(1)

B, K = 5, 4
IGNORE = -100
LOGITS = 3 * torch.randn((B, K), generator=torch.Generator().manual_seed(0)).double()
CLASSES = torch.tensor([[0, 1], [2, 2], [3, 0], [1, 3], [0, 0]])
SHARES = torch.tensor(
    [[0.75, 0.25], [0.5, 0.0], [0.0, 0.0], [2.0, 0.0], [0.3, 0.9]], dtype=torch.float64
)
SPARSE = SparseLabels(CLASSES, SHARES)
DENSE = SPARSE.dense(K)
VALUES = torch.tensor(
    [[0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0], [0.2, 0.5, 0.51, 0.9], [1, 0, 0, 0]]
)
WEIGHTS = torch.tensor([[1, 1, 0, 0], [2, 1, 1, 1], [0, 0, 0, 0], [0.5, 1, 1, 3], [1, 1, 1, 0]])
MANY = MultiLabels(VALUES.double(), WEIGHTS.double())


def near(found: torch.Tensor, expected: float | torch.Tensor) -> None:
    # float64; only the order of sums differs.
    wanted = torch.as_tensor(expected, dtype=found.dtype)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


def by_source() -> list[float]:
    """sum over s of mass * loss, one number at a time."""
    return [
        sum(float(m) * float(F.cross_entropy(row, k)) for k, m in zip(classes, shares, strict=True))
        for row, classes, shares in zip(LOGITS, CLASSES, SHARES, strict=True)
    ]


def cross_entropies(logits, classes, smoothing=0.0):
    return F.cross_entropy(logits, classes, reduction="none", label_smoothing=smoothing)


def test_the_mean_is_over_the_label_mass():
    each, mass = by_source(), float(SHARES.sum())
    for loss in (
        lambda **o: soft_cross_entropy(LOGITS, DENSE, **o),
        lambda **o: sparse_cross_entropy(LOGITS, SPARSE, **o),
        lambda **o: sparse_loss(cross_entropies, LOGITS, SPARSE, **o),
    ):
        near(loss(reduction="none"), torch.tensor(each, dtype=torch.float64))
        near(loss(reduction="sum"), sum(each))
        near(loss(), sum(each) / mass)
        with pytest.raises(TargetError, match="reduction must be"):
            loss(reduction="average")


@pytest.mark.parametrize("smoothing", [0.1, 1.0])
def test_smoothing_inside_and_outside_are_one(smoothing):
    """Smoothed rows, smoothing in the loss, and torch's own smoothing of plain classes."""
    mass = DENSE.sum(dim=1, keepdim=True)
    rows = DENSE * (1 - smoothing) + mass * smoothing / K
    inside = soft_cross_entropy(LOGITS, rows)
    near(soft_cross_entropy(LOGITS, DENSE, smoothing=smoothing), inside)
    near(sparse_cross_entropy(LOGITS, SPARSE, smoothing=smoothing), inside)

    def smoothed(logits, classes):
        return cross_entropies(logits, classes, smoothing)

    near(sparse_loss(smoothed, LOGITS, SPARSE), inside)
    plain = F.cross_entropy(LOGITS, CLASSES[:, 0], label_smoothing=smoothing)
    near(soft_cross_entropy(LOGITS, CLASSES[:, 0], smoothing=smoothing), plain)


@pytest.mark.parametrize("ignore", [IGNORE, 0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_plain_classes_are_ignored_as_torch_ignores_them(ignore, smoothing):
    labels = torch.tensor([2, ignore, 3, ignore, 1])
    wanted = F.cross_entropy(LOGITS, labels, ignore_index=ignore, label_smoothing=smoothing)
    near(soft_cross_entropy(LOGITS, labels, ignore_index=ignore, smoothing=smoothing), wanted)


def test_torch_takes_dense_labels_as_they_are():
    augment = mw.Augment(mw.Policy(mw.CutMix()), num_classes=K)
    _, y = augment(torch.zeros((B, 1, 8, 8)), CLASSES[:, 0], keys=mw.Keys(range(B)))
    torch.testing.assert_close(
        F.cross_entropy(LOGITS, y.double()), soft_cross_entropy(LOGITS, y), rtol=1e-6, atol=0
    )


def test_a_criterion_that_averages_is_refused():
    """Its mean would silently be multiplied by every image's share."""
    with pytest.raises(TargetError, match=r"each of 5 images, got shape \(\).*reduction='none'"):
        sparse_loss(F.cross_entropy, LOGITS, SPARSE)


def test_masked_classes_in_unused_places_do_no_harm():
    logits = LOGITS.clone()
    logits[1:3, 0] = -math.inf
    sparse = SparseLabels(torch.tensor([[0], [2], [3], [1], [0]]), torch.ones((B, 1)))
    padded = SparseLabels(
        torch.cat([sparse.classes, torch.zeros((B, 1), dtype=torch.int64)], dim=1),
        torch.tensor([[1.0, 0.0]] * B),
    )
    for loss in (sparse_cross_entropy, lambda v, t: sparse_loss(cross_entropies, v, t)):
        found = logits.clone().requires_grad_()
        value = loss(found, padded)
        near(value.detach(), loss(logits, sparse))
        value.backward()
        assert found.grad.isfinite().all()


# Yes or no


@pytest.mark.parametrize("threshold", [None, 0.5])
@pytest.mark.parametrize("sum_classes", [False, True])
def test_bce_weighs_every_entry(threshold, sum_classes):
    total = mass = 0.0
    for row, values, weights in zip(LOGITS, MANY.values, MANY.weights, strict=True):
        for v, y, w in zip(row.tolist(), values.tolist(), weights.tolist(), strict=True):
            y = y if threshold is None else float(y > threshold)
            q = 1 / (1 + math.exp(-v))
            total -= w * (y * math.log(q) + (1 - y) * math.log(1 - q))
            mass += w
    found = bce(LOGITS, MANY, threshold=threshold, sum_classes=sum_classes)
    near(found, total / mass * (K if sum_classes else 1))
    given = bce(
        LOGITS, MANY.values, threshold=threshold, sum_classes=sum_classes, weight=MANY.weights
    )
    near(given, found)


def test_bce_by_weights_of_samples():
    weight = torch.tensor([1.0, 0.0, 2.0, 0.0, 0.0]).double()
    near(
        bce(LOGITS, MANY.values, weight=weight),
        (bce(LOGITS[:1], MANY.values[:1]) + 2 * bce(LOGITS[2:3], MANY.values[2:3])) / 3,
    )
    both = bce(LOGITS, MANY, weight=weight)
    near(both, bce(LOGITS[:1], MultiLabels(MANY.values[:1], MANY.weights[:1])))


def test_multi_label_smoothing_is_timms():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # timm's own deprecations are none of ours
        reason = "timm is absent: unproven here: that multi-label smoothing equals its own"
        timm_loss = pytest.importorskip("timm.loss", reason=reason)
    plan = mw.Plan(in_hw=[[4, 4]] * B)
    target = mw.targets.multi_labels(VALUES.round(), plan, K, smoothing=0.1)
    assert ((target - VALUES.round()).abs() - 0.05).abs().max() < 1e-7
    theirs = timm_loss.BinaryCrossEntropy(smoothing=0.0)
    near(bce(LOGITS, target.double()), theirs(LOGITS, target.double()))


# Short logits, nothing at all

NOTHING = {
    "soft": (soft_cross_entropy, lambda b: torch.zeros((b, K))),
    "classes": (soft_cross_entropy, lambda b: torch.full((b,), IGNORE)),
    "smoothed": (
        lambda v, t: soft_cross_entropy(v, t, smoothing=0.1),
        lambda b: torch.zeros((b, K)),
    ),
    "sparse": (
        sparse_cross_entropy,
        lambda b: SparseLabels(torch.zeros((b, 2), dtype=torch.int64), torch.zeros((b, 2))),
    ),
    "criterion": (
        lambda v, t: sparse_loss(cross_entropies, v, t),
        lambda b: SparseLabels(torch.zeros((b, 2), dtype=torch.int64), torch.zeros((b, 2))),
    ),
    "bce": (bce, lambda b: MultiLabels(torch.zeros((b, K)), torch.zeros((b, K)))),
    "bce summed": (
        lambda v, t: bce(v, t, sum_classes=True),
        lambda b: MultiLabels(torch.zeros((b, K)), torch.zeros((b, K))),
    ),
}


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("name", NOTHING)
def test_nothing_known_is_loss_zero_and_gradient_zero(name, count):
    loss, target = NOTHING[name]
    logits = torch.ones((count, K), requires_grad=True)
    value = loss(logits, target(count))
    value.backward()
    assert value.item() == 0 and value.shape == ()
    assert torch.equal(logits.grad, torch.zeros((count, K)))


def test_plain_bce_of_no_images():
    assert bce(torch.zeros((0, K)), torch.zeros((0, K))).item() == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_logits_are_computed_on_in_float32(dtype):
    logits = LOGITS.to(dtype)
    wide = logits.float()
    for loss, target in (
        (soft_cross_entropy, DENSE.float()),
        (soft_cross_entropy, CLASSES[:, 0]),
        (sparse_cross_entropy, SparseLabels(CLASSES, SHARES.float())),
        (bce, VALUES),
        (bce, MANY),
    ):
        found = loss(logits, target)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, loss(wide, target), rtol=1e-6, atol=0)
    # 70 000 equal classes: their sum is beyond float16.
    many = torch.zeros((1, 70_000), dtype=torch.float16)
    assert soft_cross_entropy(many, torch.tensor([5])).item() == pytest.approx(math.log(70_000))


# Accuracies


def hot(*predicted: int) -> torch.Tensor:
    return F.one_hot(torch.tensor(predicted), K).double()


def test_accuracy_by_hand():
    assert accuracy(hot(1, 2, 3, 0), torch.tensor([1, 2, 0, 0])).item() == 0.75
    known = accuracy(hot(1, 2, 3, 0), torch.tensor([1, IGNORE, 0, IGNORE]))
    assert known.item() == 0.5
    assert accuracy(hot(1, 2), torch.tensor([3, 2]), ignore_index=3).item() == 1


def test_mixed_accuracy_is_over_the_label_mass():
    """Predicted 0, 2, 1, 1, 3: masses .75, .5, 0, 2 and 0 of 4.7."""
    logits = hot(0, 2, 1, 1, 3)
    near(mixed_accuracy(logits, DENSE), 3.25 / 4.7)
    near(mixed_accuracy(logits, SPARSE), 3.25 / 4.7)


def test_multi_label_accuracies_by_hand():
    logits = torch.tensor([[1.0, -1, 1, -1], [1, 1, -1, -1], [-1, -1, -1, 1]])
    values = torch.tensor([[1.0, 0, 1, 0], [1, 0, 0, 0], [0.6, 0.4, 0, 1]])
    assert multilabel_accuracy(logits, values).item() == pytest.approx(10 / 12)
    assert multilabel_accuracy(logits, values, threshold=0.7).item() == pytest.approx(11 / 12)
    assert exact_match(logits, values).item() == pytest.approx(1 / 3)
    known = torch.tensor([[1.0, 1, 1, 1], [1, 0, 1, 1], [0, 0, 0, 0]])
    some = MultiLabels(values, known)
    assert multilabel_accuracy(logits, some).item() == 1
    assert exact_match(logits, some).item() == 1
    wrong = MultiLabels(values, torch.tensor([[1.0, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]]))
    assert exact_match(logits, wrong).item() == 0.5


def test_accuracies_of_nothing_are_zero():
    none = torch.zeros((0, K))
    sparse = SparseLabels(torch.zeros((0, 2), dtype=torch.int64), torch.zeros((0, 2)))
    for found in (
        accuracy(none, torch.zeros(0, dtype=torch.int64)),
        accuracy(torch.zeros((2, K)), torch.full((2,), IGNORE)),
        mixed_accuracy(none, none),
        mixed_accuracy(none, sparse),
        multilabel_accuracy(none, none),
        exact_match(none, none),
    ):
        assert found.item() == 0


# Heads


def heads() -> tuple[dict, dict]:
    logits = {"a": LOGITS, "b": LOGITS[:, :2], "c": LOGITS}
    return logits, {"a": DENSE, "b": SparseLabels(CLASSES % 2, SHARES), "c": MANY}


def test_the_loss_of_heads_is_their_weighted_sum():
    logits, target = heads()
    parts = {
        "a": soft_cross_entropy(LOGITS, DENSE),
        "b": sparse_cross_entropy(LOGITS[:, :2], target["b"]),
        "c": bce(LOGITS, MANY),
    }
    near(heads_loss(logits, target), sum(parts.values()))
    weights = {"a": 1.0, "b": 0.5, "c": 3.0}
    near(heads_loss(logits, target, weights=weights), sum(weights[h] * parts[h] for h in parts))
    for head, value in each_head(target_loss, logits, target).items():
        near(value, parts[head])
    near(target_loss(LOGITS, CLASSES[:, 0]), F.cross_entropy(LOGITS, CLASSES[:, 0]))


def test_every_head_may_have_its_own_loss_and_accuracy():
    logits, target = {"a": LOGITS, "b": LOGITS}, {"a": DENSE, "b": MANY.values}
    near(
        heads_loss(logits, target, loss={"a": soft_cross_entropy, "b": bce}),
        soft_cross_entropy(LOGITS, DENSE) + bce(LOGITS, MANY.values),
    )
    measured = each_head({"a": mixed_accuracy, "b": exact_match}, logits, target)
    near(measured["a"], mixed_accuracy(LOGITS, DENSE))
    assert measured["b"] == exact_match(LOGITS, MANY.values)


def test_heads_must_match():
    logits, target = heads()
    for options in ({"weights": {"a": 1.0}}, {"loss": {"a": bce}}):
        with pytest.raises(
            TargetError, match=r"heads of the logits \['a', 'b', 'c'\], got \['a'\]"
        ):
            heads_loss(logits, target, **options)
    with pytest.raises(TargetError, match=r"target must name the heads"):
        heads_loss(logits, {"a": DENSE})
    with pytest.raises(TargetError, match="at least one head, got none"):
        heads_loss({}, {})
