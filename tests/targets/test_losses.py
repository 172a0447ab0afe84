"""Losses of mixed labels: against the scalar oracle, torch's own and timm's."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F

from mixwell import SparseLabels
from mixwell.targets import bce, mixed_accuracy, soft_cross_entropy, sparse_loss
from tests.oracles import labels as oracle

B, K = 5, 4
LOGITS = 3 * torch.randn((B, K), generator=torch.Generator().manual_seed(0)).double()
CLASSES = torch.tensor([[0, 1], [2, 2], [3, 0], [1, 3], [0, 0]])
SHARES = torch.tensor([[0.75, 0.25], [0.5, 0.5], [0.125, 0.875], [1.0, 0.0], [0.3, 0.7]]).double()
SPARSE = SparseLabels(CLASSES, SHARES)
DENSE = SPARSE.dense(K)
MANY = torch.tensor([[0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0], [0.2, 0.5, 0.51, 0.9], [1, 0, 0, 0]])
EXACT = {"rtol": 0, "atol": 1e-12}  # float64; only the order of sums differs


def near(found: torch.Tensor, expected: float | torch.Tensor) -> None:
    torch.testing.assert_close(found, torch.as_tensor(expected, dtype=found.dtype), **EXACT)


def test_soft_cross_entropy_equals_torch_and_the_oracle():
    near(soft_cross_entropy(LOGITS, DENSE), F.cross_entropy(LOGITS, DENSE))
    near(soft_cross_entropy(LOGITS, DENSE), oracle.cross_entropy(LOGITS.tolist(), DENSE.tolist()))


def test_soft_cross_entropy_takes_plain_classes():
    near(soft_cross_entropy(LOGITS, CLASSES[:, 0]), F.cross_entropy(LOGITS, CLASSES[:, 0]))


def test_mixing_labels_is_mixing_losses():
    """lambda CE(a) + (1 - lambda) CE(b), the form in which the papers' code writes it."""
    a, b = (F.cross_entropy(LOGITS, CLASSES[:, s], reduction="none") for s in (0, 1))
    mixed = (SHARES[:, 0] * a + SHARES[:, 1] * b).mean()
    near(soft_cross_entropy(LOGITS, DENSE), mixed)


@pytest.mark.parametrize("sum_classes", [False, True])
@pytest.mark.parametrize("threshold", [None, 0.0, 0.2, 0.5])
@pytest.mark.parametrize("target", [DENSE, MANY.double()], ids=["one class", "many"])
def test_bce_equals_the_oracle(target, threshold, sum_classes):
    found = bce(LOGITS, target, threshold=threshold, sum_classes=sum_classes)
    near(found, oracle.bce(LOGITS.tolist(), target.tolist(), threshold, sum_classes))


@pytest.fixture(scope="module")
def timm_bce():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # timm's own deprecations are none of ours
        reason = "timm is absent: unproven here: that bce equals its BinaryCrossEntropy"
        return pytest.importorskip("timm.loss", reason=reason).BinaryCrossEntropy


@pytest.mark.parametrize("sum_classes", [False, True])
@pytest.mark.parametrize("threshold", [None, 0.2, 0.5])
def test_bce_equals_timm(timm_bce, threshold, sum_classes):
    theirs = timm_bce(smoothing=0.0, target_threshold=threshold, sum_classes=sum_classes)
    for target in (DENSE, MANY.double()):
        ours = bce(LOGITS, target, threshold=threshold, sum_classes=sum_classes)
        near(ours, theirs(LOGITS, target))


def test_a_threshold_is_exceeded_not_reached():
    logits = torch.zeros((1, 2), dtype=torch.float64)
    hit, miss = torch.tensor([[0.51, 0.0]]), torch.tensor([[0.5, 0.0]])
    logits[0, 0] = 4.0
    assert bce(logits, hit, threshold=0.5) < bce(logits, miss, threshold=0.5)
    near(bce(logits, miss, threshold=0.5), bce(logits, torch.zeros((1, 2))))


def squared(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """A loss over class numbers that is no cross-entropy."""
    return (logits - F.one_hot(classes, K)).square().sum(dim=1)


def cross_entropies(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits, classes, reduction="none")


@pytest.mark.parametrize("criterion", [squared, cross_entropies, F.multi_margin_loss])
def test_sparse_loss_equals_the_dense_loss(criterion):
    if criterion is F.multi_margin_loss:

        def criterion(logits, classes):
            return F.multi_margin_loss(logits, classes, reduction="none")

    every = torch.stack([criterion(LOGITS, torch.full((B,), k)) for k in range(K)], dim=1)
    near(sparse_loss(criterion, LOGITS, SPARSE), (DENSE * every).sum(dim=1).mean())


def test_sparse_cross_entropy_equals_soft_cross_entropy():
    near(sparse_loss(cross_entropies, LOGITS, SPARSE), soft_cross_entropy(LOGITS, DENSE))


@pytest.mark.parametrize(
    "loss",
    [
        lambda v: soft_cross_entropy(v, DENSE),
        lambda v: bce(v, DENSE),
        lambda v: bce(v, DENSE, threshold=0.2, sum_classes=True),
        lambda v: sparse_loss(cross_entropies, v, SPARSE),
    ],
    ids=["soft_cross_entropy", "bce", "bce threshold", "sparse_loss"],
)
def test_gradients_flow(loss):
    assert torch.autograd.gradcheck(loss, (LOGITS.clone().requires_grad_(),))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_losses_take_float32_labels_with_other_logits(dtype):
    """Labels are float32 whatever the model computes in."""
    logits, target = LOGITS.to(dtype), DENSE.float()
    for loss in (soft_cross_entropy, bce):
        # Half-precision logits carry 8 bits at least; a wrong dtype fails, it does not drift.
        torch.testing.assert_close(
            loss(logits, target).double(), loss(LOGITS, DENSE), rtol=0.02, atol=0
        )


def test_mixed_accuracy_by_hand():
    """Predicted 0, 2, 1, 3, 3: their label masses are .75, 1, 0, 0 and 0."""
    logits = F.one_hot(torch.tensor([0, 2, 1, 3, 3]), K).double()
    near(mixed_accuracy(logits, DENSE), 1.75 / B)
    near(mixed_accuracy(logits, SPARSE), 1.75 / B)


def test_mixed_accuracy_of_a_perfect_model_is_the_mean_of_the_largest_shares():
    near(mixed_accuracy(DENSE, DENSE), (0.75 + 1 + 0.875 + 1 + 1) / B)


def test_mixed_accuracy_needs_no_gradient():
    assert not mixed_accuracy(LOGITS.clone().requires_grad_(), DENSE).requires_grad
