"""Ops in any company: random policies of mixers, combinators, views and partners hold together.

On images of one level each, the mean pixel is the label, whatever was mixed with what.
"""

from __future__ import annotations

import pickle
from random import Random

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mixwell as mw
from mixwell.plan import Plan
from mixwell.policy.text import from_code

SAMPLES = 12
PAIRINGS = ("derangement", "random", "roll", "flip", "same_class")
MIXERS = (
    lambda **k: mw.MixUp(**k),
    lambda **k: mw.CutMix(**k),
    lambda **k: mw.CutMix(minmax=(0.2, 0.8), **k),
    lambda **k: mw.FMix(**k),
    lambda **k: mw.SmoothMix(**k),
    lambda **k: mw.GridMix(**k),
    lambda **k: mw.PatchMix(grid=3, shuffle=True, **k),
    lambda **k: mw.ResizeMix(**k),
)
EDITS = (
    lambda: mw.HorizontalFlip(),
    lambda: mw.Sometimes(mw.VerticalFlip()),
    lambda: mw.Scheduled(mw.HorizontalFlip(), start=0.5),
)


def company(rng: Random, depth: int, dataset: bool) -> mw.policy.Op:
    """A mixer, or several of them in combinators."""
    if depth == 0 or rng.random() < 0.4:
        pairing = "dataset" if dataset else rng.choice(PAIRINGS)
        lam = "image" if dataset else rng.choice(["image", "pair", "batch"])
        return rng.choice(MIXERS)(pairing=pairing, lam=lam, p=rng.choice([1.0, 0.5]))
    parts = [company(rng, depth - 1, dataset) for _ in range(2)]
    kind = rng.randrange(4)
    if kind == 0:
        return mw.OneOf(*parts, mw.Identity())
    if kind == 1:
        return mw.OneOf(*parts, per="batch")
    wrap = mw.Scheduled(parts[0], stop=0.9) if kind == 2 else parts[0]
    return mw.Sometimes(wrap, min_batch=2, p=0.7)


def policy_of(rng: Random, dataset: bool) -> mw.Policy:
    ops = [make() for make in rng.sample(EDITS, rng.randrange(3))]
    if not dataset and rng.random() < 0.3:
        ops.append(mw.Views(mw.Identity(), mw.HorizontalFlip()))
    ops.append(company(rng, 2, dataset))
    if not dataset and rng.random() < 0.3:
        ops.append(company(rng, 1, dataset=False))
    return mw.Policy(*ops)


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(st.randoms(use_true_random=False), st.booleans(), st.booleans())
def test_random_policies(rng, dataset, floats):
    policy = policy_of(rng, dataset)
    assert from_code(repr(policy)) == policy == through_toml(policy)
    assert pickle.loads(pickle.dumps(policy)) == policy
    count, size = rng.choice([0, 2, 3, 8]), rng.choice([(12, 12), (13, 17)])
    index = np.array(rng.sample(range(SAMPLES), count), np.int64)
    keys = mw.Keys(index, epoch=rng.randrange(5), progress=rng.random(), epochs=5)
    partners = policy.partner_indices(keys, SAMPLES)
    rows = np.concatenate([index, partners.T.reshape(-1)])
    plan = policy.sample(
        np.tile(size, (len(rows), 1)), keys=keys, labels=index % 3, partners=partners
    )
    levels = 10 + 20 * torch.arange(SAMPLES)
    images = levels[rows][:, None, None, None].expand(-1, 3, *size).to(torch.uint8)
    out = mw.render(images / 255 if floats else images, plan)
    assert len(out) == len(plan) == len(plan.keys)
    if count:
        check_labels(policy, plan, rows, out * 255 if floats else out, floats)


def through_toml(policy: mw.Policy) -> mw.Policy:
    return mw.Policy.from_toml(policy.to_toml())


def check_labels(policy, plan: Plan, rows: np.ndarray, out: torch.Tensor, floats: bool) -> None:
    label = mw.dense_labels(torch.from_numpy(rows), plan, SAMPLES)
    assert (label.sum(dim=1) - 1).abs().max() < 1e-5
    wanted = label.double() @ (10.0 + 20 * torch.arange(SAMPLES)).double()
    apart = (out.double().mean(dim=(1, 2, 3)) - wanted).abs().max()
    mixes = repr(policy).count("Mix")
    # Half a level of rounding for each mix. A mixed image that is shrunken and pasted counts as
    # showing its sources evenly; antialiasing weighs its border a little less.
    shrunken = 1.0 if "ResizeMix" in repr(policy) and mixes > 1 else 0.02
    assert apart < (shrunken if floats else 0.51 * mixes + shrunken)
    half = len(plan) // 2
    if half:
        joined = Plan.concat([plan[:half], plan[half:]])
        again = mw.dense_labels(torch.from_numpy(joined.inputs), joined, SAMPLES)
        assert torch.allclose(again, label, atol=1e-6)
    fused = mw.dense_labels(torch.from_numpy(rows), plan.fused(), SAMPLES)
    assert torch.allclose(fused, label)
    assert plan.describe(0) and repr(plan)
