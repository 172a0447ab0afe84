"""`KeyedSampler`, `keyed` and what keys promise, without any worker."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import (
    DataLoader,
    DistributedSampler,
    RandomSampler,
    SequentialSampler,
    WeightedRandomSampler,
)

import mixwell as mw
from mixwell.keyed import KeyedSample, count_copies, keys_of

torch.set_num_threads(1)

ALONE = mw.Policy(mw.RandomCrop((13, 9), padding=2), mw.HorizontalFlip(), mw.Brightness((0.5, 1.5)))
IMAGES = torch.from_numpy(np.random.default_rng(2).integers(0, 256, (10, 3, 17, 11), np.uint8))
DATA = [(image, i % 3) for i, image in enumerate(IMAGES)]


def epochs(sampler: mw.KeyedSampler, count: int) -> list[list[mw.Key]]:
    return [list(sampler) for _ in range(count)]


def order(keys: list[mw.Key]) -> list[int]:
    return [key.index for key in keys]


# The order


def test_sequential_keys_by_hand():
    sampler = mw.KeyedSampler(3, epochs=2)
    assert epochs(sampler, 2) == [
        [mw.Key(i, 0, e, i, (e + i / 3) / 2, 0, 2) for i in range(3)] for e in range(2)
    ]
    assert len(sampler) == 3


def test_length_from_a_data_set():
    assert order(list(mw.KeyedSampler(DATA, epochs=1))) == list(range(10))


def test_shuffling_is_a_function_of_seed_and_epoch():
    first, second = epochs(mw.KeyedSampler(50, epochs=2, shuffle=True), 2)
    assert sorted(order(first)) == sorted(order(second)) == list(range(50))
    assert order(first) != order(second) and order(first) != list(range(50))
    again = mw.KeyedSampler(50, epochs=2, shuffle=True)
    again.set_epoch(1)
    assert list(again) == second
    assert order(list(mw.KeyedSampler(50, epochs=2, shuffle=True, seed=1))) != order(first)


def test_progress_never_leaves_the_training():
    keys = [k for epoch in epochs(mw.KeyedSampler(4, epochs=2), 3) for k in epoch]
    progress = [key.progress for key in keys]
    assert progress == sorted(progress) and progress[0] == 0 and progress[-1] == 1
    assert progress[4] == 0.5


@pytest.mark.parametrize("position", [0, 1, 4, 9, 10])
def test_resume_gives_exactly_the_remaining_keys(position):
    whole = epochs(mw.KeyedSampler(10, epochs=3, shuffle=True), 3)
    sampler = mw.KeyedSampler(10, epochs=3, shuffle=True)
    sampler.resume(1, position)
    assert len(sampler) == 10 - position
    assert epochs(sampler, 2) == [whole[1][position:], whole[2]]


def test_state_of_a_sampler():
    sampler = mw.KeyedSampler(10, epochs=3, shuffle=True)
    next(iter(sampler))
    assert sampler.state_dict() == {"epoch": 1, "position": 0}
    again = mw.KeyedSampler(10, epochs=3, shuffle=True)
    again.load_state_dict(sampler.state_dict())
    assert list(again) == list(sampler)


@pytest.mark.parametrize(("epoch", "position"), [(-1, 0), (0, -1), (0, 11)])
def test_resume_outside_the_training_is_refused(epoch, position):
    with pytest.raises(mw.PolicyError, match=rf"0 \.\. 10 .*got {epoch} and {position}\."):
        mw.KeyedSampler(10, epochs=3).resume(epoch, position)


def test_batches_are_the_same_keys():
    keys = list(mw.KeyedSampler(10, epochs=2, shuffle=True))
    sampler = mw.KeyedSampler(10, epochs=2, shuffle=True)
    batches = list(sampler.batches(4))
    assert [len(b) for b in batches] == [4, 4, 2]
    for start, batch in zip((0, 4, 8), batches, strict=True):
        wanted = keys_of(keys[start : start + 4])
        np.testing.assert_array_equal(batch.index, wanted.index)
        np.testing.assert_array_equal(batch.copy, wanted.copy)
        np.testing.assert_array_equal(batch.progress, wanted.progress)
        for name in ("epoch", "step", "rank"):
            assert getattr(batch, name) == getattr(wanted, name)
    assert [len(b) for b in sampler.batches(4, drop_last=True)] == [4, 4]
    assert [b.epoch for b in sampler.batches(4)] == [2, 2, 2]
    sampler.resume(0, 4)
    assert [b.step for b in sampler.batches(4)] == [4, 8]


# Copies


def test_copies_are_counted_by_occurrence():
    order = np.array([5, 2, 5, 5, 2, 9])
    assert count_copies(order).tolist() == [0, 0, 1, 2, 1, 0]
    assert count_copies(order[:0]).tolist() == []


def oversampled() -> WeightedRandomSampler:
    weights = [1.0] * 9 + [9.0]
    made = torch.Generator().manual_seed(0)
    return WeightedRandomSampler(weights, num_samples=12, generator=made)


def test_copies_of_an_oversampling_sampler_get_draws_of_their_own():
    keys = list(mw.KeyedSampler(oversampled(), epochs=1))
    assert order(keys) == list(oversampled())
    assert [key.copy for key in keys] == count_copies(np.array(order(keys))).tolist()
    copies = [key for key in keys if key.index == 9]
    assert len(copies) > 2
    found = [mw.Augment(ALONE).one(IMAGES[9], key=key) for key in copies]
    assert len({image.numpy().tobytes() for image in found}) == len(copies)


def test_a_sampler_keeps_its_own_order():
    made = torch.Generator().manual_seed(4)
    found = epochs(mw.KeyedSampler(RandomSampler(DATA, generator=made), epochs=2), 2)
    made = torch.Generator().manual_seed(4)
    theirs = RandomSampler(DATA, generator=made)
    assert [order(keys) for keys in found] == [list(theirs), list(theirs)]
    with pytest.raises(mw.PolicyError, match="a sampler has its own order; leave shuffle off"):
        mw.KeyedSampler(theirs, epochs=1, shuffle=True)


# Ranks


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("world_size", [2, 3, 4])
@pytest.mark.parametrize("length", [1, 10, 12])
def test_all_ranks_together_are_the_one_process_order(length, world_size, drop_last, shuffle):
    options = {"epochs": 1, "shuffle": shuffle}
    alone = list(mw.KeyedSampler(length, **options))
    ranks = [
        list(mw.KeyedSampler(length, rank=r, world_size=world_size, drop_last=drop_last, **options))
        for r in range(world_size)
    ]
    assert len({len(keys) for keys in ranks}) == 1
    union = [key for step in zip(*ranks, strict=True) for key in step]
    full = min(len(union), length)
    assert [k[:3] for k in union[:full]] == [k[:3] for k in alone[:full]]
    if drop_last:
        assert len(union) == length - length % world_size
        return
    assert len(union) == -(-length // world_size) * world_size
    padded = union[length:]
    assert order(padded) == [order(alone)[i % length] for i in range(len(padded))]
    assert [k.copy for k in padded] == [1 + i // length for i in range(len(padded))]


def test_keys_know_rank_position_and_length():
    sampler = mw.KeyedSampler(5, epochs=1, rank=1, world_size=2)
    assert (
        len(sampler) == 3 and len(mw.KeyedSampler(5, epochs=1, world_size=2, drop_last=True)) == 2
    )
    assert [(k.index, k.copy, k.position, k.rank) for k in sampler] == [
        (1, 0, 0, 1),
        (3, 0, 1, 1),
        (0, 1, 2, 1),
    ]


def test_padded_duplicates_get_draws_of_their_own():
    """Index 0 fills up rank 1's share; it must not be augmented as on rank 0."""
    options = {"epochs": 1, "world_size": 2}
    first = next(iter(mw.KeyedSampler(5, rank=0, **options)))
    last = list(mw.KeyedSampler(5, rank=1, **options))[-1]
    assert (first.index, last.index) == (0, 0)
    augment = mw.Augment(ALONE)
    assert not torch.equal(augment.one(IMAGES[0], key=first), augment.one(IMAGES[0], key=last))


def test_draws_about_a_batch_differ_between_ranks_steps_and_epochs():
    """A pairing belongs to (epoch, step, rank): no two batches of a training share one."""
    augment = mw.Augment(mw.Policy(mw.MixUp(lam="batch", pairing="random")))
    plans = set()
    for epoch, step, rank in [(0, 0, 0), (0, 8, 0), (0, 0, 1), (1, 0, 0), (1, 8, 1)]:
        keys = mw.Keys(np.arange(8), epoch=epoch, step=step, rank=rank)
        mix = augment.plan([(4, 4)] * 8, keys).steps[0]
        assert len(set(mix.weight[:, 0].tolist())) == 1
        plans.add((mix.weight[0, 0], tuple(mix.source[:, 1])))
    assert len({w for w, _ in plans}) == len({s for _, s in plans}) == 5


def test_samplers_of_one_rank_are_refused():
    theirs = DistributedSampler(DATA, num_replicas=2, rank=0)
    with pytest.raises(mw.PolicyError, match=r"DistributedSampler only knows its rank's\. Pass"):
        mw.KeyedSampler(theirs, epochs=1)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"epochs": 0}, r"epochs must be at least 1, got 0"),
        ({"epochs": 1, "rank": 2, "world_size": 2}, r"rank must be 0 \.\. 1, got 2"),
        ({"epochs": 1, "rank": -1}, r"rank must be 0 \.\. 0, got -1"),
    ],
)
def test_numbers_are_checked(options, match):
    with pytest.raises(mw.PolicyError, match=match):
        mw.KeyedSampler(10, **options)


# keyed


def test_keyed_passes_the_key_on():
    data = mw.keyed(DATA)
    key = mw.Key(4, 1, 2, 3, 0.5, 0)
    assert len(data) == 10 and data[key] == KeyedSample(DATA[4], key)
    with pytest.raises(mw.KeyMissingError, match=r"got 4\. Give the DataLoader sampler=KeyedSampl"):
        data[4]


def test_a_plain_sampler_is_noticed():
    loader = DataLoader(mw.keyed(DATA), sampler=SequentialSampler(DATA))
    with pytest.raises(mw.KeyMissingError, match="sampler=KeyedSampler"):
        next(iter(loader))


def test_two_epochs_do_not_share_a_batch():
    keys = [mw.Key(0, 0, 0, 9, 0.9, 0), mw.Key(1, 0, 1, 0, 1.0, 0)]
    with pytest.raises(mw.KeyMissingError, match="samples of two epochs"):
        keys_of(keys)
    assert len(keys_of([])) == 0


def test_an_epoch_is_ordered_once(monkeypatch):
    """Shuffling a large data set takes a second."""
    asked = []
    whole = mw.KeyedSampler.whole
    monkeypatch.setattr(
        mw.KeyedSampler, "whole", lambda self, epoch: asked.append(epoch) or whole(self, epoch)
    )
    sampler = mw.KeyedSampler(20, epochs=3, shuffle=True, rank=1, world_size=2)
    list(sampler), list(sampler.batches(4)), len(sampler)
    assert asked == [0, 1]
