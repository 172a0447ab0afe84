"""Features mixed as a plan says, against plain loops, and plans that features cannot follow."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mixwell as mw
from mixwell._errors import TargetError
from mixwell._rng import Keys
from mixwell.plan import Plan
from mixwell.plan.steps import Mix, MixMode
from mixwell.policy import CutMix, Identity, Invert, MixUp, OneOf, Policy
from mixwell.targets import dense_labels, mix_features


def plan_of(*ops, count: int = 6):
    return Policy(*ops).sample(np.full((count, 2), 8), keys=Keys(np.arange(count)))


@pytest.mark.parametrize("shape", [(6, 5), (6, 4, 3, 2), (6,)])
@pytest.mark.parametrize(
    "op", [MixUp(), MixUp(p=0.5), OneOf(MixUp(), Identity())], ids=["all", "some", "or none"]
)
def test_every_feature_is_mixed_as_the_label(op, shape):
    hidden = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    plan = plan_of(op)
    found = mix_features(hidden, plan)
    label = dense_labels(torch.arange(6), plan, 6).double()  # row n: how much of each input
    for n in range(6):
        wanted = sum(label[n, m] * hidden[m] for m in range(6))
        torch.testing.assert_close(found[n], wanted, rtol=0, atol=1e-6)
    found.sum().backward()
    assert hidden.grad is not None


def test_two_mixes_in_a_row():
    hidden = torch.randn(6, 3)
    plan = plan_of(MixUp(), MixUp())
    label = dense_labels(torch.arange(6), plan, 6)
    torch.testing.assert_close(mix_features(hidden, plan), label @ hidden, rtol=0, atol=1e-5)


def test_half_precision_stays_and_an_empty_batch_works():
    assert mix_features(torch.ones(6, 2, dtype=torch.bfloat16), plan_of(MixUp())).dtype == (
        torch.bfloat16
    )
    assert mix_features(torch.zeros(0, 2), plan_of(MixUp(), count=0)).shape == (0, 2)


def test_a_manifold_mixup_model_is_two_lines():
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = torch.nn.Linear(4, 8), torch.nn.Linear(8, 6)

        def forward(self, x, plan=None):
            x = self.first(x)
            if plan is not None:
                x = mix_features(x, plan)
            return self.second(x)

    plan = plan_of(MixUp(alpha=2.0))
    loss = torch.nn.functional.cross_entropy(
        Net()(torch.randn(6, 4), plan), dense_labels(torch.arange(6), plan, 6)
    )
    loss.backward()
    assert torch.isfinite(loss)


@pytest.mark.parametrize(
    ("ops", "rule"),
    [
        ((CutMix(),), "is no sum of whole images"),
        ((Invert(), MixUp()), "edits images"),
        ((MixUp(), mw.HorizontalFlip(p=1.0)), "edits images"),
    ],
)
def test_plans_that_features_cannot_follow_are_refused(ops, rule):
    with pytest.raises(TargetError, match=rule):
        mix_features(torch.zeros(6, 2), plan_of(*ops))


def test_sums_of_parts_of_images_are_refused():
    mix = Mix.identity(np.full((2, 2), 8))
    mix.source[:, 1], mix.mode[:, 1], mix.weight[...] = [1, 0], MixMode.ADD, 0.5
    mix.rect_px[:, 1] = (0, 0, 8, 4)
    with pytest.raises(TargetError, match="is no sum of whole images"):
        mix_features(torch.zeros(2, 2), Plan(np.full((2, 2), 8), (mix,)))


def test_other_numbers_of_rows_are_refused():
    with pytest.raises(TargetError, match="each of the plan's 6 inputs, got 5"):
        mix_features(torch.zeros(5, 2), plan_of(MixUp()))
