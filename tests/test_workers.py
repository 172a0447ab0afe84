"""A DataLoader's workers change nothing: not their number, nor how they start, nor how long they
live. Everything here is tiny, because every worker is a process."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import mixwell as mw
from mixwell.augment import Planned

torch.set_num_threads(1)

pytestmark = [
    # More workers than cores is what some of these tests are about.
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    # From Python 3.12 on, fork warns in a process with threads; DataLoader forks by default.
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]

COUNT, EPOCHS, BATCH = 12, 3, 4
MIXED = mw.Policy(
    mw.RandomCrop((13, 9), padding=2),
    mw.HorizontalFlip(),
    mw.GaussianNoise(0.1),
    mw.Sometimes(mw.OneOf(mw.MixUp(), mw.CutMix()), min_batch=2, p=0.9),
)


class Images(Dataset):
    """Pictures of noise; at module level, so that spawned workers can unpickle it."""

    def __init__(self) -> None:
        made = np.random.default_rng(3).integers(0, 256, (COUNT, 3, 17, 11), np.uint8)
        self.images = torch.from_numpy(made)

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.images[index], index % 3


def loader(workers: int, policy: mw.Policy = MIXED, **options) -> DataLoader:
    data, collate = Images(), {"render": options.pop("render", "now")}
    return DataLoader(
        mw.keyed(data),
        sampler=mw.KeyedSampler(data, epochs=EPOCHS, shuffle=True),
        batch_size=BATCH,
        num_workers=workers,
        collate_fn=mw.Collate(policy, num_classes=3, **collate),
        **options,
    )


@lru_cache(maxsize=1)
def alone() -> list[list]:
    """Two epochs of batches, made in this process."""
    batches = loader(0)
    return [list(batches) for _ in range(2)]


def assert_same(found: list, wanted: list) -> None:
    assert len(found) == len(wanted)
    for pair, expected in zip(found, wanted, strict=True):
        for a, b in zip(pair, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0)


@pytest.mark.parametrize("workers", [1, 3])
def test_the_number_of_workers_does_not_matter(workers):
    batches = loader(workers)
    for wanted in alone():
        assert_same(list(batches), wanted)


def test_a_schedule_reaches_persistent_workers():
    """Turned off in the middle of the second epoch, by workers that live since the first; a flag
    on the collate function, as elsewhere, would never reach them."""
    policy = mw.Policy(mw.Scheduled(mw.CutMix(), stop=0.5))
    batches = loader(2, policy, persistent_workers=True, prefetch_factor=2)
    mixed = [[bool((y.amax(dim=1) < 1).any()) for _, y in batches] for _ in range(EPOCHS)]
    assert mixed == [[True] * 3, [True, True, False], [False] * 3]


def test_spawned_workers_and_rendering_later():
    """Keys, policies and plans go through pickle both ways."""
    augment = mw.Augment(MIXED, num_classes=3)
    batches = loader(1, multiprocessing_context="spawn", render="later")
    found = list(batches)
    assert all(isinstance(planned, Planned) for planned in found)
    assert_same([augment.render(planned) for planned in found], alone()[0])


def test_resuming_with_workers():
    batches = loader(1)
    batches.sampler.resume(1, BATCH)
    assert_same(list(batches), alone()[1][1:])


def test_single_images_in_workers_differ_between_workers_and_epochs():
    """`Augment.one` without keys: no worker repeats another's numbers, nor an epoch another's."""
    augment = mw.Augment(mw.Policy(mw.RandomCrop((13, 9), padding=2), mw.GaussianNoise(0.1)))
    data = Same(augment)
    made = torch.Generator().manual_seed(0)
    batches = DataLoader(data, batch_size=2, num_workers=2, generator=made)
    seen = [image.numpy().tobytes() for _ in range(2) for batch in batches for image in batch]
    assert len(seen) == len(set(seen)) == 2 * COUNT


class Same(Dataset):
    """The same image every time, augmented by a transform."""

    def __init__(self, augment: mw.Augment) -> None:
        self.augment, self.image = augment, Images()[0][0]

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.augment.one(self.image)


def test_missing_keys_are_told_from_inside_a_worker():
    batches = DataLoader(
        Images(), batch_size=2, num_workers=1, collate_fn=mw.Collate(MIXED, num_classes=3)
    )
    with pytest.raises(mw.KeyMissingError, match=r"Two lines give it keys(.|\n)*KeyedSampler"):
        next(iter(batches))
