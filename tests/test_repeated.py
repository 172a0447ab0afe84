"""`RepeatedAugmentation`: every image several times, on one process and on many."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, SequentialSampler

import mixwell as mw
from mixwell.keyed import keys_of
from mixwell.plan import Mix
from tests.oracles import sampler as oracle

torch.set_num_threads(1)

ALONE = mw.Policy(mw.RandomCrop((13, 9), padding=2), mw.HorizontalFlip(), mw.Brightness((0.5, 1.5)))
IMAGES = torch.from_numpy(np.random.default_rng(2).integers(0, 256, (10, 3, 17, 11), np.uint8))
DATA = [(image, i % 3) for i, image in enumerate(IMAGES)]


def order(keys: list[mw.Key]) -> list[int]:
    return [key.index for key in keys]


def one_epoch(epoch: int = 0, **options) -> list[mw.Key]:
    sampler = mw.RepeatedAugmentation(epochs=9, **options)
    sampler.set_epoch(epoch)
    expected, keys = len(sampler), list(sampler)
    assert expected == len(keys)
    return keys


# The native order


def test_keys_by_hand():
    keys = one_epoch(source=2, shuffle=False)
    assert [k[:4] for k in keys] == [(i // 3, i % 3, 0, i) for i in range(6)]
    assert [k.progress for k in keys] == pytest.approx([i / 6 / 9 for i in range(6)])


@pytest.mark.parametrize("repeats", [1, 2, 3, 5])
def test_the_shuffled_epoch_with_every_sample_repeated(repeats):
    """The order is `KeyedSampler`'s, so switching repeats on changes nothing else."""
    alone = mw.KeyedSampler(DATA, epochs=9, shuffle=True, seed=4)
    alone.set_epoch(2)
    keys = one_epoch(2, source=DATA, repeats=repeats, seed=4)
    assert order(keys) == [i for i in order(list(alone)) for _ in range(repeats)]
    assert [k.copy for k in keys] == list(range(repeats)) * 10
    assert order(keys) != order(one_epoch(3, source=DATA, repeats=repeats, seed=4))


def test_copies_get_draws_of_their_own():
    augment = mw.Augment(ALONE)
    copies = [k for k in one_epoch(source=DATA, repeats=4) if k.index == 7]
    assert len({augment.one(IMAGES[7], key=k).numpy().tobytes() for k in copies}) == 4


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("world_size", [2, 3, 4, 7])
def test_all_ranks_together_are_the_one_process_order(world_size, drop_last):
    options = {"source": 10, "world_size": world_size, "drop_last": drop_last}
    ranks = [one_epoch(1, rank=r, **options) for r in range(world_size)]
    assert len({len(keys) for keys in ranks}) == 1
    union = [key[:3] for step in zip(*ranks, strict=True) for key in step]
    alone = [key[:3] for key in one_epoch(1, source=10)]
    full = 30 // world_size * world_size if drop_last else 30
    assert union[:full] == alone[:full]
    padded = union[full:]
    assert len(padded) == (0 if drop_last else -30 % world_size)
    assert padded == [(index, 3 + copy, 1) for index, copy, _ in alone[: len(padded)]]


def test_three_ranks_share_the_three_copies_out():
    ranks = [one_epoch(source=10, rank=r, world_size=3) for r in range(3)]
    assert order(ranks[0]) == order(ranks[1]) == order(ranks[2])
    assert [{k.copy for k in keys} for keys in ranks] == [{0}, {1}, {2}]


@pytest.mark.parametrize("layout", ["adjacent", "torchvision", "timm"])
@pytest.mark.parametrize("position", [0, 1, 100, 127, 128])
def test_resume_gives_exactly_the_remaining_keys(position, layout):
    options = {"epochs": 3, "layout": layout, "rank": 1, "world_size": 2}
    whole = mw.RepeatedAugmentation(300, **options)
    first, second, third = (list(whole) for _ in range(3))
    sampler = mw.RepeatedAugmentation(300, **options)
    sampler.resume(1, position)
    assert len(sampler) == len(second) - position
    again = mw.RepeatedAugmentation(300, **options)
    again.load_state_dict(sampler.state_dict())
    assert list(sampler) == list(again) == second[position:]
    assert list(sampler) == third and first != second


def test_batches_are_the_same_keys():
    keys = one_epoch(source=10)
    batches = list(mw.RepeatedAugmentation(10, epochs=9).batches(8))
    assert [len(b) for b in batches] == [8, 8, 8, 6]
    for start, batch in zip((0, 8, 16, 24), batches, strict=True):
        wanted = keys_of(keys[start : start + 8])
        np.testing.assert_array_equal(batch.index, wanted.index)
        np.testing.assert_array_equal(batch.copy, wanted.copy)
        assert (batch.epoch, batch.step) == (wanted.epoch, wanted.step)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_reads_each_image_three_times(workers):
    loader = DataLoader(
        mw.keyed(DATA),
        sampler=mw.RepeatedAugmentation(DATA, epochs=1),
        batch_size=10,
        num_workers=workers,
        collate_fn=mw.Collate(ALONE, num_classes=10),
    )
    batches = list(loader)
    assert [len(images) for images, _ in batches] == [10, 10, 10]
    seen = torch.cat([images for images, _ in batches])
    assert len({image.numpy().tobytes() for image in seen}) == 30
    expected = order(one_epoch(source=DATA))
    labels = torch.cat([labels for _, labels in batches]).argmax(dim=1)
    assert labels.tolist() == [i % 3 for i in expected]


# The arithmetic of others

SIZES = [256, 300, 511, 512, 1000, 1281]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("repeats", [1, 2, 3, 4])
@pytest.mark.parametrize("world_size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("length", SIZES)
def test_torchvisions_indices(length, world_size, repeats, shuffle):
    options = {"repeats": repeats, "world_size": world_size, "shuffle": shuffle}
    for rank in range(world_size):
        for epoch, seed in ((0, 0), (2, 5)):
            found = one_epoch(
                epoch, source=length, layout="torchvision", rank=rank, seed=seed, **options
            )
            assert order(found) == oracle.torchvision_repeats(
                length, world_size, rank, epoch, seed, repeats, shuffle
            )


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("repeats", [1, 2, 3, 3.0, 1.5, 2.7])
@pytest.mark.parametrize("world_size", [1, 2, 3, 5, 64])
@pytest.mark.parametrize("length", [5, 255, *SIZES])
def test_timms_indices(length, world_size, repeats, shuffle):
    timm = pytest.importorskip(
        "timm.data.distributed_sampler",
        reason="timm is not installed; unproven here: equality with its RepeatAugSampler",
    )
    for rank in {0, world_size // 2, world_size - 1}:
        theirs = timm.RepeatAugSampler(
            range(length), world_size, rank, shuffle=shuffle, num_repeats=repeats
        )
        for epoch in (0, 3):
            theirs.set_epoch(epoch)
            found = one_epoch(
                epoch,
                source=length,
                layout="timm",
                repeats=repeats,
                rank=rank,
                world_size=world_size,
                shuffle=shuffle,
            )
            assert order(found) == [int(i) for i in theirs] and len(found) == len(theirs)


def test_both_give_a_third_of_the_images_in_an_epoch():
    """ImageNet's numbers: 1,280,768 keys of 427,008 or so distinct images, for 1 and 8 ranks."""
    for ranks in (1, 8):
        sampler = mw.RepeatedAugmentation(
            1_281_167, epochs=1, layout="torchvision", world_size=ranks
        )
        assert len(sampler) * ranks == 1_281_024
        assert len(np.unique(sampler.whole(0))) == 427_008


@pytest.mark.parametrize("layout", ["torchvision", "timm"])
def test_their_copies_are_counted_over_all_ranks(layout):
    ranks = [one_epoch(source=600, layout=layout, rank=r, world_size=2) for r in range(2)]
    union = [key[:2] for step in zip(*ranks, strict=True) for key in step]
    assert len(set(union)) == len(union) == 512
    assert [copy for _, copy in union] == [i % 3 for i in range(512)]


# Who meets whom


def self_pairs(pairing: str, world_size: int, rank: int) -> float:
    """Share of rows that MixUp mixes with a copy of the same image."""
    policy = mw.Policy(mw.MixUp(pairing=pairing))
    sampler = mw.RepeatedAugmentation(1024, epochs=1, rank=rank, world_size=world_size)
    same = []
    for keys in sampler.batches(256, drop_last=True):
        (step,) = policy.sample(np.full((256, 2), 8), keys=keys).steps
        assert isinstance(step, Mix)
        same.append(keys.index[step.source[:, 1]] == keys.index)
    return float(np.mean(same))


@pytest.mark.parametrize(("world_size", "rate"), [(1, 0.664), (2, 0.332), (3, 0.0)])
def test_roll_mixes_images_with_their_own_copies_and_distinct_never_does(world_size, rate):
    for rank in range(world_size):
        exact = oracle.self_pairs_of_roll(1024, 3, world_size, rank, 256)
        assert Fraction(self_pairs("roll", world_size, rank)) == exact
        assert float(exact) == pytest.approx(rate, abs=2e-3)
        assert self_pairs("distinct", world_size, rank) == 0


def test_other_pairings_do_so_now_and_then():
    assert 0 < self_pairs("derangement", 1, 0) < 0.03


# What is refused


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"repeats": 0}, r"repeats must lie in 1 \.\. 65535, got 0\."),
        ({"repeats": 1.5}, r'a whole number, got 1\.5\. Only layout="timm" takes fractions'),
        ({"layout": "random"}, r"layout must be one of \('adjacent', .*got 'random'"),
        ({"layout": "timm", "seed": 3}, r"by the epoch alone, got seed 3\. Leave it 0"),
        ({"layout": "timm", "drop_last": True}, r"ragged ends; leave drop_last off"),
        ({"layout": "torchvision"}, r'10 samples on 1 ranks give an empty epoch\. Use layout="adj'),
        ({"rank": 1}, r"rank must be 0 \.\. 0, got 1"),
        ({"source": SequentialSampler(DATA)}, r"got a SequentialSampler\. Pass the data set or"),
    ],
)
def test_options_are_checked(options, match):
    with pytest.raises(mw.PolicyError, match=f"^RepeatedAugmentation: .*{match}"):
        mw.RepeatedAugmentation(**({"source": 10, "epochs": 1} | options))


@pytest.mark.parametrize(("epoch", "position"), [(-1, 0), (0, -1), (0, 31)])
def test_resume_outside_the_training_is_refused(epoch, position):
    with pytest.raises(mw.PolicyError, match=rf"^RepeatedAug.* 0 \.\. 30 .*got {epoch} and"):
        mw.RepeatedAugmentation(10, epochs=3).resume(epoch, position)
