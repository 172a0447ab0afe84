"""AugMix and views of images: distributions against the paper's, pixels against plain sums."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

import mixwell as mw
from mixwell._errors import PolicyError
from mixwell._rng import Draws, Keys
from mixwell.plan import Plan
from mixwell.plan.steps import Code, Edit, Mix
from mixwell.policy import (
    AugMix,
    HorizontalFlip,
    Identity,
    Invert,
    MixUp,
    OneOf,
    OnViews,
    Policy,
    RandomErasing,
    Sequential,
    Sometimes,
    Views,
)
from mixwell.policy.augmix import dirichlet
from mixwell.policy.base import Rows
from mixwell.render import render

MANY = 60_000
CHANCE = 1e-6


def planned(*ops, count: int = MANY, size=(24, 20), epoch: int = 0) -> Plan:
    return Policy(*ops).sample(np.full((count, 2), size), keys=Keys(np.arange(count), epoch=epoch))


def parts(plan: Plan) -> tuple[Mix, Edit, Mix]:
    expand, edit, gather = plan.steps
    assert isinstance(expand, Mix) and isinstance(edit, Edit) and isinstance(gather, Mix)
    return expand, edit, gather


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_weights_are_beta_and_dirichlet(alpha):
    _, _, gather = parts(planned(AugMix(alpha=alpha, mixture_width=3)))
    weight = gather.weight.astype(np.float64)
    assert (gather.units().sum(axis=1) == 65536).all()
    # weights are rounded to 1/65536: spread over the cell, except where the density has a pole
    jitter = np.random.default_rng(0).uniform(-0.5, 0.5, MANY) / 65536
    own = np.clip(weight[:, 0] + jitter, 0, 1)
    law = stats.beta(alpha, alpha)
    if alpha >= 1:
        assert stats.kstest(own, law.cdf).pvalue > CHANCE
    for level in (0.1, 0.3, 0.5, 0.8):
        assert abs(np.mean(own < level) - law.cdf(level)) < 6 * 0.5 / np.sqrt(MANY)
    rest = 1 - weight[:, 0]
    some = rest > 0.05
    for i in (1, 2, 3):
        share = weight[some, i] / rest[some]
        wanted = stats.beta(alpha, 2 * alpha)
        error = 6 * wanted.std() / np.sqrt(some.sum())
        assert abs(share.mean() - wanted.mean()) < error
        assert abs(np.mean(share < 0.2) - wanted.cdf(0.2)) < 6 * 0.5 / np.sqrt(some.sum())


def test_sticks_are_dirichlet():
    rows = Rows(np.full((MANY, 2), 4, np.int32), Draws(Keys(np.arange(MANY)), 0))
    for alpha, count in ((0.5, 4), (1.0, 2), (2.0, 3), (1.0, 1)):
        found = dirichlet(rows, alpha, count)
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
        for i in range(count):
            if count > 1:
                law = stats.beta(alpha, alpha * (count - 1))
                assert stats.kstest(found[:, i], law.cdf).pvalue > CHANCE
    # the covariance of two parts tells a Dirichlet from independent parts that were normalised
    found = dirichlet(rows, 1.0, 3)
    assert np.cov(found[:, 0], found[:, 2])[0, 1] == pytest.approx(-1 / 36, abs=1e-3)


def test_depths_ops_and_strengths():
    op = AugMix(severity=4, mixture_width=2)
    _, edit, _ = parts(planned(op))
    assert edit.slots == 3 and edit.rows == 3 * MANY
    assert (edit.code[:MANY] == Code.NOTHING).all()
    chains = edit.take(np.arange(MANY, 3 * MANY))
    # every op of AugMix's space writes a code, so a chain's depth can be counted
    depth = (chains.code != Code.NOTHING).sum(axis=1)
    counts = np.bincount(depth, minlength=4)
    assert counts[0] == 0 and stats.chisquare(counts[1:]).pvalue > CHANCE
    first = chains.code[:, 0]
    tone = [Code.BRIGHTNESS, Code.SATURATION, Code.CONTRAST, Code.SHARPNESS, Code.POSTERIZE]
    tone += [Code.SOLARIZE, Code.AUTOCONTRAST, Code.EQUALIZE]
    counts = [(first == code).sum() for code in tone] + [(first == Code.WARP).sum()]
    wanted = np.array([1] * 8 + [5]) / 13 * len(first)
    assert stats.chisquare(counts, wanted).pvalue > CHANCE
    factor = chains.param[first == Code.BRIGHTNESS, 0, 0]
    levels, counts = np.unique(np.round(factor, 6), return_counts=True)
    np.testing.assert_allclose(levels, [0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3], atol=1e-6)
    assert (
        stats.chisquare(counts, np.array([1, 1, 1, 2, 1, 1, 1]) / 8 * len(factor)).pvalue > CHANCE
    )
    bits = np.unique(chains.param[first == Code.POSTERIZE, 0, 0])
    assert bits.tolist() == [3, 4]
    two = chains.code[:MANY, 0] == chains.code[MANY:, 0]
    assert two.mean() < 0.35  # chains draw their own ops: 8/169 + (5/13)^2 = 0.195 agree


def test_fixed_depth_and_fewer_ops():
    _, edit, _ = parts(planned(AugMix(chain_depth=2, mixture_width=1, all_ops=False), count=3000))
    assert edit.slots == 2
    assert (edit.code[3000:] != Code.NOTHING).all()
    absent = [Code.BRIGHTNESS, Code.SATURATION, Code.CONTRAST, Code.SHARPNESS]
    assert not np.isin(edit.code, absent).any()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_pixels_are_the_weighted_sum_of_the_chains(dtype):
    images = torch.randint(0, 256, (5, 3, 24, 20), generator=torch.Generator().manual_seed(1))
    images = images.to(torch.uint8) if dtype == torch.uint8 else images / 255.0
    plan = planned(AugMix(), count=5)
    expand, edit, gather = parts(plan)
    chains = render(images, Plan(plan.in_hw, (expand, edit)))
    out = render(images, plan)
    for n in range(5):
        total = np.zeros((3, 24, 20))
        for s in range(4):
            weight = round(float(gather.weight[n, s]) * 65536) / 65536
            total += weight * chains[n + 5 * s].numpy().astype(np.float64)
        if dtype == torch.uint8:
            assert (out[n].numpy() == np.rint(total)).all()
        else:
            np.testing.assert_allclose(out[n].numpy(), total, rtol=0, atol=1e-6)
    assert torch.equal(chains[:5], images)


def test_labels_stay_and_single_images_work():
    augment = mw.Augment(Policy(AugMix(p=0.5)), num_classes=3)
    images = torch.randint(0, 256, (6, 3, 9, 7), dtype=torch.uint8)
    _, target = augment(images, torch.arange(6) % 3)
    assert torch.equal(target, torch.eye(3)[torch.arange(6) % 3])
    assert augment.one(images[0]).shape == (3, 9, 7)
    empty, _ = augment(images[:0], torch.arange(0))
    assert empty.shape == (0, 3, 9, 7)


def test_chance_and_company():
    plan = planned(AugMix(p=0.3), count=20_000)
    mixed = (plan.steps[2].units().max(axis=1) < 65536).mean()
    assert abs(mixed - 0.3) < 6 * 0.5 / np.sqrt(20_000)
    policy = Policy(OneOf(AugMix(), Invert(), MixUp()), Sometimes(AugMix()))
    assert Policy.from_toml(policy.to_toml()) == policy
    whole = policy.sample(np.full((8, 2), 16), keys=Keys(np.arange(8)))
    assert len(whole) == 8


def test_views_come_view_by_view():
    images = torch.arange(4, dtype=torch.uint8)[:, None, None, None].repeat(1, 3, 8, 8) * 10
    images[..., :4] += 100
    augment = mw.Augment(Policy(Views(Identity(), Invert(), HorizontalFlip(p=1.0))), num_classes=4)
    out, target = augment(images, torch.arange(4))
    clean, inverted, flipped = out.chunk(3)
    assert torch.equal(clean, images)
    assert torch.equal(inverted, 255 - images)
    assert torch.equal(flipped, images.flip(-1))
    assert torch.equal(target, torch.eye(4).repeat(3, 1))


def test_views_draw_apart_and_later_ops_see_them_as_images():
    policy = Policy(Views(AugMix(), AugMix()), HorizontalFlip(), MixUp(pairing="distinct"))
    plan = policy.sample(np.full((64, 2), 16), keys=Keys(np.arange(64)))
    assert len(plan) == 128 and len(plan.keys) == 128
    pairs = set(zip(plan.keys.index.tolist(), plan.keys.copy.tolist(), strict=True))
    assert len(pairs) == 128
    one, two = plan.steps[2].weight[:64], plan.steps[2].weight[64:]
    assert (one != two).any(axis=1).all()
    flips = plan.steps[3].code[:, 0] == Code.WARP
    assert (flips[:64] != flips[64:]).any()
    rows, shares = plan.sources()
    assert np.allclose(shares.sum(axis=1), 1)
    for n in range(128):  # partners show another image
        used = {int(r) for r, s in zip(rows[n], shares[n], strict=True) if s > 0}
        assert len(used) == 2


def test_ops_for_some_views():
    policy = Policy(
        Views(Identity(), Identity(), Identity()),
        OnViews(RandomErasing(p=1.0), views=(1, 2), of=3),
    )
    plan = policy.sample(np.full((50, 2), 32), keys=Keys(np.arange(50), copy=np.arange(50) % 3))
    erased = (plan.steps[-1].code == Code.ERASE).any(axis=1).reshape(3, 50)
    assert not erased[0].any() and erased[1:].mean() > 0.9
    assert Policy.from_toml(policy.to_toml()) == policy


def test_views_of_other_sizes_make_a_list():
    assert Policy(Views(Identity(), mw.CenterCrop(8))).out_size == "variable"
    assert Policy(mw.CenterCrop(8), Views(Identity(), Invert())).out_size == (8, 8)
    assert len(planned(Views(Identity(), Invert()), count=0)) == 0


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: AugMix(severity=0), "AugMix: severity must lie in 1 .. 10, got 0"),
        (lambda: AugMix(mixture_width=0), "mixture_width must lie in 1 .. 16"),
        (lambda: AugMix(chain_depth=0), "chain_depth must lie in 1 .. 16, or be -1"),
        (lambda: AugMix(alpha=0), "alpha must lie in 0.05 .. 32"),
        (lambda: AugMix(space="augmix"), "No space is called 'augmix'"),
        (lambda: Views(MixUp()), "Views: ops must not mix images"),
        (lambda: Views(), "Views: takes one or more ops"),
        (lambda: OneOf(Views(Identity(), Invert())), "stands in a Policy itself"),
        (lambda: Sequential(AugMix()), "ops must change images one by one"),
        (lambda: OnViews(Invert(), (3,), 3), "views must name some of 0 .. 2"),
        (lambda: OnViews(Invert(), (0,), 1), "of must be at least 2"),
    ],
)
def test_wrong_fields_are_refused(make, rule):
    with pytest.raises(PolicyError) as error:
        make()
    assert rule in str(error.value)
