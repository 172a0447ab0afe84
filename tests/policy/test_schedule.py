"""Ramps, schedules and sizes that follow the training, against scalar arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import mixwell as mw
from mixwell._errors import PolicyError
from mixwell._rng import Keys
from mixwell.plan.steps import Code
from mixwell.policy import Invert, MixUp, Policy, ProgressiveResize, Ramp, RandAugment, Scheduled

MANY = 40_000


def keys(count: int = 1, epoch: int = 0, epochs: int | None = 10, progress=None) -> Keys:
    return Keys(np.arange(count), epoch=epoch, epochs=epochs, progress=progress)


def by_hand(first, last, start, stop, time, shape="linear") -> float:
    if time < start:
        return first
    if time >= stop:
        return last
    part = (time - start) / (stop - start)
    if shape == "cosine":
        part = (1 - math.cos(math.pi * part)) / 2
    return first + part * (last - first)


@pytest.mark.parametrize("shape", ["linear", "cosine"])
@pytest.mark.parametrize(("start", "stop"), [(None, None), (0.25, 0.75), (0.5, 0.5), (0.0, 0.1)])
def test_a_ramp_by_progress(shape, start, stop):
    times = np.linspace(0, 1, 41)
    found = Ramp(2, 7, start, stop, shape=shape).at(keys(41, progress=times))
    low, high = start or 0.0, 1.0 if stop is None else stop
    wanted = [by_hand(2, 7, low, high, t, shape) for t in times]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("start", "stop", "low", "high"),
    [(None, None, 0, 9), (2, 6, 2, 6), (-4, None, 6, 9), (0, -5, 0, 5), (-3, -1, 7, 9)],
)
def test_a_ramp_by_epoch_and_epochs_from_the_end(start, stop, low, high):
    ramp = Ramp(0.0, 1.0, start, stop, by="epoch")
    for epoch in range(10):
        wanted = by_hand(0, 1, low, high, epoch)
        assert ramp.at(keys(2, epoch)).tolist() == pytest.approx([wanted] * 2, abs=1e-12)


def test_a_chance_follows_its_ramp():
    policy = Policy(Invert(p=Ramp(0.0, 1.0)))
    for progress, wanted in ((0.0, 0.0), (0.3, 0.3), (1.0, 1.0)):
        plan = policy.sample(np.full((MANY, 2), 4), keys=keys(MANY, progress=progress))
        share = (plan.steps[0].code == Code.INVERT).mean()
        assert abs(share - wanted) < 5 * math.sqrt(0.25 / MANY)


@pytest.mark.parametrize("lam", ["image", "pair", "batch"])
def test_mixing_fades_in_for_every_scope_of_lambda(lam):
    policy = Policy(MixUp(lam=lam, p=Ramp(0.0, 1.0)))
    plan = policy.sample(np.full((8, 2), 4), keys=keys(8, progress=0.0))
    assert (plan.sources()[1].max(axis=1) == 1).all()
    plan = policy.sample(np.full((8, 2), 4), keys=keys(8, progress=1.0))
    assert (plan.sources()[1].max(axis=1) < 1).all()


def test_a_magnitude_follows_its_ramp():
    policy = Policy(RandAugment(1, Ramp(0, 30)))
    for progress in (0.0, 0.5, 1.0):
        plan = policy.sample(np.full((2000, 2), 64), keys=keys(2000, progress=progress))
        edit = plan.steps[0]
        factors = edit.param[edit.code == Code.BRIGHTNESS][:, 0]
        assert len(factors) > 50
        np.testing.assert_allclose(np.abs(factors - 1), 0.9 * progress, atol=1e-9)


def test_off_for_the_last_epochs():
    policy = Policy(Scheduled(Invert(), stop=-3, by="epoch"))
    on = []
    for epoch in range(10):
        plan = policy.sample(np.full((2, 2), 4), keys=keys(2, epoch))
        on.append(bool((plan.steps[0].code == Code.INVERT).all()))
    assert on == [True] * 7 + [False] * 3


def test_keys_that_do_not_know_the_end_are_refused():
    policy = Policy(Scheduled(Invert(), stop=-3, by="epoch"))
    with pytest.raises(PolicyError, match="keys do not say how many there are"):
        policy.sample(np.full((2, 2), 4), keys=keys(2, epochs=None))
    with pytest.raises(PolicyError, match="needs keys that know the progress"):
        Ramp(0, 1).at(keys(1))
    with pytest.raises(PolicyError, match=r"Keys\.epochs must be at least 1"):
        keys(1, epochs=0)


def test_sizes_grow_by_epoch_in_steps():
    policy = Policy(ProgressiveResize(128, 224, stop=6))
    sizes = []
    for epoch in range(10):
        plan = policy.sample(np.array([[300, 200], [50, 70]]), keys=keys(2, epoch))
        assert (plan.out_hw == plan.out_hw[0]).all()
        sizes.append(int(plan.out_hw[0, 0]))
    assert sizes == [128, 128, 160, 192, 192, 192, 224, 224, 224, 224]
    assert policy.out_size == "batch"
    assert Policy(ProgressiveResize(64, 64)).out_size == (64, 64)
    assert len(policy.sample(np.zeros((0, 2), int), keys=keys(0))) == 0


def test_growing_sizes_make_one_tensor_of_ragged_images():
    images = [torch.zeros(3, 30, 20, dtype=torch.uint8), torch.zeros(3, 8, 9, dtype=torch.uint8)]
    policy = Policy(ProgressiveResize((8, 12), (16, 20), multiple=4))
    augment = mw.Augment(policy, num_classes=2, eval_policy=Policy())
    for epoch, size in ((0, (8, 12)), (9, (16, 20))):
        out, _ = augment(images, torch.arange(2), keys=keys(2, epoch))
        assert out.shape == (2, 3, *size)


def test_ramps_print_as_code_and_round_trip():
    policy = Policy(
        RandAugment(magnitude=Ramp(5, 15, stop=0.5, shape="cosine"), p=Ramp(0.5, 1)),
        ProgressiveResize(96, (128, 160), start=1, stop=-2),
        Scheduled(MixUp(p=Ramp(0.0, 1.0, by="epoch")), stop=-5, by="epoch"),
    )
    assert Policy.from_toml(policy.to_toml()) == policy
    assert mw.policy.text.from_code(repr(policy)) == policy


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: Ramp("a", 1), "Ramp: needs two numbers"),
        (lambda: Ramp(0, 1, 0.5, 0.2), "start and stop must be ordered within 0 .. 1"),
        (lambda: Ramp(0, 1, shape="step"), 'Ramp: shape must be "linear" or "cosine"'),
        (lambda: Ramp(0, 1, by="step"), 'Ramp: by must be "progress" or "epoch"'),
        (lambda: Invert(p=Ramp(0, 2)), "Invert: p must lie in 0 .. 1"),
        (lambda: ProgressiveResize(0, 8), "ProgressiveResize: first must be px >= 1"),
        (lambda: ProgressiveResize(8, 8, interp="nearest"), "ProgressiveResize: interp must be"),
        (lambda: ProgressiveResize(8, 8, multiple=0), "multiple must be at least 1 px"),
    ],
)
def test_wrong_ramps_are_refused(make, rule):
    with pytest.raises(PolicyError) as error:
        make()
    assert rule in str(error.value)


class Numbered(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 12

    def __getitem__(self, i: int):
        return torch.full((3, 8, 8), 20 * i, dtype=torch.uint8), i % 3


def epochs_of(workers: int, rank: int = 0, world: int = 1, begin: tuple[int, int] = (0, 0)):
    """For each epoch and batch, the size of the images and how many labels are mixed."""
    policy = Policy(
        ProgressiveResize(8, 16, multiple=4),
        Scheduled(MixUp(p=Ramp(0.5, 1.0)), stop=-1, by="epoch"),
    )
    sampler = mw.KeyedSampler(Numbered(), epochs=4, shuffle=True, rank=rank, world_size=world)
    sampler.resume(*begin)
    loader = DataLoader(
        mw.keyed(Numbered()),
        sampler=sampler,
        batch_size=3,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=mw.Collate(policy, num_classes=3),
    )
    return [[(x, y) for x, y in loader] for _ in range(begin[0], 4)]


def same(a, b) -> bool:
    return all(
        torch.equal(p, q) for x, y in zip(a, b, strict=True) for p, q in zip(x, y, strict=True)
    )


def test_schedules_hold_with_persistent_workers_on_each_rank_and_after_a_resume():
    alone = epochs_of(0)
    assert [x.shape[-1] for epoch in alone for x, _ in epoch[:1]] == [8, 12, 12, 16]
    assert all((y.max(dim=1).values == 1).all() for _, y in alone[-1])
    assert any((y.max(dim=1).values < 1).any() for _, y in alone[0])
    for epoch, wanted in zip(epochs_of(2), alone, strict=True):
        assert same(epoch, wanted)
    resumed = epochs_of(0, begin=(2, 3))
    assert same(resumed[0], alone[2][1:]) and same(resumed[1], alone[3])
    for rank in range(2):
        ours = epochs_of(0, rank, 2)
        assert [x.shape[-1] for epoch in ours for x, _ in epoch[:1]] == [8, 12, 12, 16]
        assert all((y.max(dim=1).values == 1).all() for _, y in ours[-1])
