"""Batches for the loop: augmented where the images are, in memory or in workers.

Both feeds say which images a batch holds, so that the loop can record the order it trained on.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

import mixwell as mw
from mixwell.recipes.data import ArraySet, ImageSet

Batch = tuple[Tensor, Tensor]  # float images [B, C, H, W] and soft labels [B, K], on the device


def ignore_interrupt(worker: int) -> None:
    """Leave Ctrl-C to the main process.

    A terminal sends it to the workers too; one that dies of it ends the training in an error before
    the main process has written what is finished.

    Args:
        worker: its number.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.excepthook = _without_lost_connections


def _without_lost_connections(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """A main process that Ctrl-C stops in the middle of taking a batch is no news in its worker."""
    if not issubclass(kind, EOFError | ConnectionError):
        sys.__excepthook__(kind, error, trace)


class Feed(Protocol):
    """Augmented training batches."""

    steps: int
    """Batches in an epoch."""

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch, a function of the seed and the epoch alone."""
        ...

    def order(self, epoch: int) -> np.ndarray:
        """int64: the images of one epoch, in the order of the batches."""
        ...


class MemoryFeed:
    """The whole set as uint8 on the device; each batch is picked and augmented there.

    Args:
        images: the training set.
        augment: a `mixwell.Augment`, in training mode.
        sampler: who comes when.
        batch_size: images in a batch on this process; an incomplete last batch is left out.
        device: where the images live.
    """

    def __init__(
        self,
        images: ArraySet,
        augment: mw.Augment,
        sampler: mw.KeyedSampler,
        batch_size: int,
        device: torch.device,
    ) -> None:
        self.images = images.tensor().to(device)
        self.labels = torch.from_numpy(images.labels).to(device)
        self.augment, self.sampler, self.batch_size = augment, sampler, batch_size
        self.steps = len(sampler) // batch_size

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch."""
        self.sampler.set_epoch(epoch)
        for keys in self.sampler.batches(self.batch_size, drop_last=True):
            policy, seed = self.augment.policy, self.augment.seed
            partners = policy.partner_indices(keys, len(self.images), seed=seed)
            read = np.concatenate([keys.index, partners.T.reshape(-1)])
            rows = torch.from_numpy(read)
            rows = rows.pin_memory() if self.images.is_cuda else rows  # so that nobody waits
            rows = rows.to(self.images.device, non_blocking=self.images.is_cuda)
            images, labels = self.images[rows], self.labels[rows]
            yield self.augment(images, labels, keys=keys, partners=partners)

    def order(self, epoch: int) -> np.ndarray:
        """int64: the images of one epoch, in the order of the batches."""
        return self.sampler.order(epoch)[0][: self.steps * self.batch_size]


class LoaderFeed:
    """Images decoded and augmented by worker processes.

    Args:
        images: the training set; images may differ in size.
        collate: a `mixwell.Collate` whose policy ends in one size.
        sampler: who comes when.
        batch_size: images in a batch on this process; an incomplete last batch is left out.
        num_workers: processes that decode and augment; 0 does it in this one.
        device: where batches go.
    """

    def __init__(
        self,
        images: ImageSet,
        collate: mw.Collate,
        sampler: mw.KeyedSampler,
        batch_size: int,
        num_workers: int,
        device: torch.device,
    ) -> None:
        self.sampler, self.batch_size, self.device = sampler, batch_size, device
        self.steps = len(sampler) // batch_size
        self.loader = DataLoader(
            mw.keyed(images, collate.augment),
            sampler=sampler,
            batch_size=batch_size,
            collate_fn=collate,
            drop_last=True,
            num_workers=num_workers,
            worker_init_fn=ignore_interrupt,
            persistent_workers=num_workers > 0,
            pin_memory=device.type == "cuda",
        )

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch."""
        self.sampler.set_epoch(epoch)
        for images, labels in self.loader:
            yield _moved(images, self.device), _moved(labels, self.device)

    def order(self, epoch: int) -> np.ndarray:
        """int64: the images of one epoch, in the order of the batches."""
        return self.sampler.order(epoch)[0][: self.steps * self.batch_size]


def plain_batches(
    images: ImageSet,
    policy: mw.Policy,
    options: dict[str, Any],
    *,
    batch_size: int,
    num_workers: int,
    device: torch.device,
    rank: int = 0,
    world_size: int = 1,
) -> Iterator[Batch]:
    """This process's share of a set, in stored order, under the evaluation policy.

    Args:
        images: the set to measure on.
        policy: without randomness: nothing, or resize and centre crop.
        options: `mean`, `std`, `num_classes`, `memory_format` of `mixwell.Augment`.
        batch_size: images in a batch.
        num_workers: processes that decode, for sets that are not in memory.
        device: where batches go.
        rank: this process.
        world_size: number of processes; each image is seen by one of them.

    Yields:
        Float images and their labels as int64 [B].
    """
    mine = np.arange(rank, len(images), world_size)
    if isinstance(images, ArraySet):
        augment = mw.Augment(policy, **options)
        for start in range(0, len(mine), batch_size):
            rows = mine[start : start + batch_size]
            pixels = torch.from_numpy(images.images[rows].transpose(0, 3, 1, 2).copy())
            labels = torch.from_numpy(images.labels[rows]).to(device)
            yield augment(pixels.to(device), labels, keys=mw.Keys(index=rows))[0], labels
        return
    share = Subset(images, mine.tolist())  # type: ignore[arg-type]
    loader = DataLoader(
        mw.keyed(share),
        sampler=mw.KeyedSampler(share, epochs=1, shuffle=False),
        batch_size=batch_size,
        collate_fn=mw.Collate(policy, **options),
        num_workers=num_workers,
        worker_init_fn=ignore_interrupt,
    )
    for pixels, shares in loader:
        yield _moved(pixels, device), _moved(shares, device).argmax(1)


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    return tensor.to(device, non_blocking=True)
