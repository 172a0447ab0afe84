"""The consistency loss against the paper's formula in plain loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch

from mixwell._errors import TargetError
from mixwell.targets import jsd_loss


def softmax(row: list[float]) -> list[float]:
    top = max(row)
    parts = [math.exp(v - top) for v in row]
    return [p / sum(parts) for p in parts]


def by_hand(logits: torch.Tensor, classes: list[int], views: int, weight: float) -> float:
    rows = [softmax(row) for row in logits.double().tolist()]
    n = len(rows) // views
    clean = -sum(math.log(rows[i][classes[i]]) for i in range(n)) / n
    divergence = 0.0
    for i in range(n):
        group = [rows[v * n + i] for v in range(views)]
        mean = [sum(p) / views for p in zip(*group, strict=True)]
        for p in group:
            divergence += sum(a * math.log(a / b) for a, b in zip(p, mean, strict=True)) / views
    return clean + weight * divergence / n


@pytest.mark.parametrize("views", [2, 3, 4])
@pytest.mark.parametrize("weight", [0.0, 1.0, 12.0])
def test_the_papers_formula(views, weight):
    logits = torch.randn(views * 5, 7, generator=torch.Generator().manual_seed(views))
    classes = [0, 3, 6, 2, 2]
    found = jsd_loss(logits, torch.tensor(classes * views), views=views, weight=weight)
    assert float(found) == pytest.approx(by_hand(logits, classes, views, weight), rel=1e-5)


def test_targets_of_the_clean_rows_or_of_all_soft_or_hard():
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    classes = torch.tensor([1, 3])
    soft = torch.eye(4)[classes]
    values = [
        jsd_loss(logits, classes),
        jsd_loss(logits, classes.repeat(3)),
        jsd_loss(logits, soft),
        jsd_loss(logits, soft.repeat(3, 1)),
    ]
    assert torch.allclose(torch.stack(values), values[0])


def test_equal_views_have_no_divergence_and_gradients_flow():
    one = torch.randn(3, 5)
    logits = one.repeat(3, 1).requires_grad_()
    loss = jsd_loss(logits, torch.tensor([0, 1, 2]), weight=100.0)
    plain = torch.nn.functional.cross_entropy(one, torch.tensor([0, 1, 2]))
    assert float(loss.detach()) == pytest.approx(float(plain), abs=1e-4)
    loss.backward()
    assert torch.isfinite(logits.grad).all()


def test_certain_and_wrong_views_stay_finite():
    logits = torch.tensor([[90.0, 0.0], [0.0, 90.0], [90.0, 0.0]], requires_grad=True)
    loss = jsd_loss(logits, torch.tensor([0]))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()


def test_timms_loss():
    timm = pytest.importorskip("timm.loss", reason="timm is missing: unproven that losses agree")
    logits = torch.randn(12, 6, generator=torch.Generator().manual_seed(3))
    classes = torch.tensor([0, 5, 2, 2]).repeat(3)
    for smoothing in (0.0, 0.1):
        theirs = timm.JsdCrossEntropy(num_splits=3, alpha=12, smoothing=smoothing)(logits, classes)
        ours = jsd_loss(logits, classes, smoothing=smoothing)
        assert float(ours) == pytest.approx(float(theirs), rel=1e-5)


def test_an_empty_batch_and_wrong_shapes():
    assert float(jsd_loss(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))) == 0
    with pytest.raises(TargetError, match="needs logits"):
        jsd_loss(torch.zeros(4, 4), torch.zeros(4, dtype=torch.int64))
    with pytest.raises(TargetError, match="needs logits"):
        jsd_loss(torch.zeros(4, 4), torch.zeros(4, dtype=torch.int64), views=1)
    with pytest.raises(TargetError, match="needs targets of all 6 rows or of the 2 clean ones"):
        jsd_loss(torch.zeros(6, 4), torch.zeros(3, dtype=torch.int64))
