"""Keys for `torch.utils.data.DataLoader`: they travel with the indices, into every worker.

The queue of indices is the only channel that reaches a worker that is already running. So the
sampler sends, in place of each index, a `Key` that also says epoch, copy and progress;
`keyed(dataset)` reads the sample and hands the key on to `mixwell.Collate`. There is no flag to
share and nothing to switch: schedules hold with persistent workers, on every rank, after a resume.

    loader = DataLoader(
        keyed(dataset), sampler=KeyedSampler(dataset, epochs=15, shuffle=True),
        batch_size=128, num_workers=4, persistent_workers=True,
        collate_fn=Collate(policy, num_classes=10))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from numbers import Integral
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from torch.utils.data import Dataset, Sampler
from torch.utils.data.distributed import DistributedSampler

from mixwell._errors import KeyMissingError, PolicyError
from mixwell._rng import Draws, Keys, batch_permutation

T = TypeVar("T")


class Key(NamedTuple):
    """What a worker must know about one sample beyond its index.

    Attributes:
        index: in the data set.
        copy: which occurrence of that index this epoch, over all ranks.
        epoch: from 0.
        position: place in this rank's order, from 0.
        progress: share of the whole training done, 0 .. 1.
        rank: the process's rank.
    """

    index: int
    copy: int
    epoch: int
    position: int
    progress: float
    rank: int


class KeyedSample(NamedTuple):
    """A sample with its key, on its way from `keyed(dataset)` to `Collate`."""

    sample: Any
    key: Key


class keyed(Dataset, Generic[T]):
    """A map-style data set that is read with keys and passes them on.

    Args:
        dataset: anything with `__getitem__(int)` and `__len__`.
    """

    def __init__(self, dataset: Any) -> None:
        """Wrap a data set."""
        self.dataset = dataset

    def __len__(self) -> int:
        """Length of the data set."""
        return len(self.dataset)

    def __getitem__(self, key: Key) -> KeyedSample:
        """Read one sample.

        Raises:
            KeyMissingError: read with a bare index.
        """
        if not isinstance(key, Key):
            raise KeyMissingError(
                f"keyed(dataset) is read with keys, got {key!r}. Give the DataLoader "
                "sampler=KeyedSampler(dataset, epochs=...)."
            )
        return KeyedSample(self.dataset[key.index], key)


def keys_of(keys: Sequence[Key]) -> Keys:
    """The keys of one batch, as arrays.

    Raises:
        KeyMissingError: keys of two epochs in one batch.
    """
    if not keys:
        return Keys(np.zeros(0, np.int64))
    if len({key.epoch for key in keys}) > 1:
        raise KeyMissingError("A batch must not hold samples of two epochs.")
    first = keys[0]
    return Keys(
        index=np.array([key.index for key in keys], np.int64),
        copy=np.array([key.copy for key in keys], np.int64),
        epoch=first.epoch,
        step=first.position,
        rank=first.rank,
        progress=np.array([key.progress for key in keys]),
    )


def count_copies(order: np.ndarray) -> np.ndarray:
    """int64 [L]: how often each entry's index occurred before it.

    Args:
        order: int64 [L], sample indices.
    """
    by_index = np.argsort(order, kind="stable")
    grouped = order[by_index]
    starts = np.flatnonzero(np.r_[True, grouped[1:] != grouped[:-1]]) if len(order) else by_index
    lengths = np.diff(np.r_[starts, len(order)])
    copies = np.empty(len(order), np.int64)
    copies[by_index] = np.arange(len(order)) - np.repeat(starts, lengths)
    return copies


class KeyedSampler(Sampler[Key]):
    """Yields keys; each iteration is the next epoch.

    Args:
        source: a data set or its length (then `shuffle` decides the order), or a sampler that
            yields indices in the global order, the same on every rank.
        epochs: epochs of the whole training, for the progress that schedules read.
        shuffle: a new order each epoch, from (seed, epoch); not for samplers.
        seed: of the order.
        rank: of this process; it takes every world_size-th entry of the global order.
        world_size: number of processes. The order is filled up by its own beginning to a multiple
            of it; such repeated samples get other copies and so other draws.
        drop_last: cut the order to a multiple of world_size instead of filling up.

    Raises:
        PolicyError: a DistributedSampler (its order is one rank's, copies could not be counted),
            or numbers out of range.
    """

    def __init__(
        self,
        source: Any,
        *,
        epochs: int,
        shuffle: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
    ) -> None:
        """Check and remember."""
        if isinstance(source, DistributedSampler):
            raise PolicyError(
                "KeyedSampler counts copies over the global order, but a DistributedSampler only "
                "knows its rank's. Pass the data set with rank= and world_size= instead."
            )
        if not (0 <= rank < world_size):
            raise PolicyError(f"KeyedSampler: rank must be 0 .. {world_size - 1}, got {rank}.")
        if epochs < 1:
            raise PolicyError(f"KeyedSampler: epochs must be at least 1, got {epochs}.")
        self._sampler = source if isinstance(source, Sampler) else None
        if self._sampler is not None and shuffle:
            raise PolicyError("KeyedSampler: a sampler has its own order; leave shuffle off.")
        sized: Any = source
        self._length = int(sized) if isinstance(source, Integral) else len(sized)
        self.epochs, self.shuffle, self.seed = epochs, shuffle, seed
        self.rank, self.world_size, self.drop_last = rank, world_size, drop_last
        self.epoch = 0
        self._skip = 0

    def __len__(self) -> int:
        """Keys that the next epoch yields on this rank."""
        return self._per_rank(self._length) - self._skip

    def _per_rank(self, length: int) -> int:
        return length // self.world_size if self.drop_last else -(-length // self.world_size)

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration this epoch."""
        self.resume(epoch)

    def resume(self, epoch: int, position: int = 0) -> None:
        """Make the next iteration this epoch, from this position of this rank's order on.

        Raises:
            PolicyError: there is no such epoch or position.
        """
        last = self._per_rank(self._length)
        if epoch < 0 or not 0 <= position <= last:
            raise PolicyError(
                f"KeyedSampler: epoch must be at least 0 and position in 0 .. {last} (samples of "
                f"this rank that were used), got {epoch} and {position}."
            )
        self.epoch, self._skip = epoch, position

    def state_dict(self) -> dict[str, int]:
        """The epoch that the next iteration will be. Within an epoch, note how many samples were
        used and call `resume(epoch, position)`: a DataLoader reads ahead of what was used."""
        return {"epoch": self.epoch, "position": self._skip}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from `state_dict`."""
        self.resume(state["epoch"], state["position"])

    def order(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """This rank's indices and copies in an epoch, int64 [L] each."""
        if self._sampler is not None:
            whole = np.fromiter((int(i) for i in self._sampler), np.int64)
        elif self.shuffle:
            draws = Draws(Keys(np.zeros(0, np.int64), epoch=epoch), self.seed, "order")
            whole = batch_permutation(draws, "shuffle", self._length)
        else:
            whole = np.arange(self._length)
        wanted = self._per_rank(len(whole)) * self.world_size
        whole = np.resize(whole, wanted) if len(whole) else whole
        copies = count_copies(whole)
        return whole[self.rank :: self.world_size], copies[self.rank :: self.world_size]

    def __iter__(self) -> Iterator[Key]:
        """One epoch of keys."""
        epoch, skip = self.epoch, self._skip
        self.resume(epoch + 1)
        index, copy = self.order(epoch)
        progress = self._progress(epoch, np.arange(len(index)), len(index))
        for position in range(skip, len(index)):
            who = int(index[position]), int(copy[position])
            yield Key(*who, epoch, position, float(progress[position]), self.rank)

    def batches(self, batch_size: int, *, drop_last: bool = False) -> Iterator[Keys]:
        """One epoch in batches of keys, for data that is already in memory."""
        epoch, skip = self.epoch, self._skip
        self.resume(epoch + 1)
        index, copy = self.order(epoch)
        progress = self._progress(epoch, np.arange(len(index)), len(index))
        for start in range(skip, len(index), batch_size):
            rows = slice(start, min(start + batch_size, len(index)))
            if drop_last and rows.stop - start < batch_size:
                return
            yield Keys(index[rows], copy[rows], epoch, start, self.rank, progress[rows])

    def _progress(self, epoch: int, position: np.ndarray, length: int) -> np.ndarray:
        return np.minimum((epoch + position / length) / self.epochs, 1.0)
