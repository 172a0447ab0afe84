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

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from numbers import Integral
from typing import Any, Generic, NamedTuple, TypeVar, final

import numpy as np
from torch.utils.data import Dataset, Sampler
from torch.utils.data.distributed import DistributedSampler

from mixwell._errors import KeyMissingError, PolicyError
from mixwell._rng import Draws, Keys, batch_permutation
from mixwell.policy.policy import Policy

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
        epochs: epochs of the whole training, None where unknown.
    """

    index: int
    copy: int
    epoch: int
    position: int
    progress: float
    rank: int
    epochs: int | None = None


class KeyedSample(NamedTuple):
    """A sample with its key, on its way from `keyed(dataset)` to `Collate`.

    Attributes:
        sample: what the data set holds.
        key: who it is.
        partners: further samples, for policies that mix with others of the data set.
        indices: their indices.
    """

    sample: Any
    key: Key
    partners: tuple[Any, ...] = ()
    indices: tuple[int, ...] = ()


class keyed(Dataset, Generic[T]):
    """A map-style data set that is read with keys and passes them on.

    Args:
        dataset: anything with `__getitem__(int)` and `__len__`.
        policy: a Policy, or an Augment that has one, which mixes with partners from the data set
            (`pairing="dataset"`): they are read here, in the worker.
        seed: of the choice of partners, 0 .. 2**64 - 1; None: the Augment's, or 0.

    Raises:
        PolicyError: policy is neither.
    """

    def __init__(self, dataset: Any, policy: Any = None, *, seed: int | None = None) -> None:
        """Wrap a data set."""
        self.dataset = dataset
        self.policy: Policy | None = getattr(policy, "policy", policy)
        if not isinstance(self.policy, Policy | None):
            raise PolicyError(
                f"keyed(dataset, policy) takes a Policy or an Augment, got {type(policy).__name__}."
            )
        self.seed: int = getattr(policy, "seed", 0) if seed is None else seed

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
        if self.policy is None or not self.policy.extra:
            return KeyedSample(self.dataset[key.index], key)
        found = self.policy.partner_indices(keys_of([key]), len(self.dataset), seed=self.seed)
        indices = tuple(found[0].tolist())
        partners = tuple(self.dataset[index] for index in indices)
        return KeyedSample(self.dataset[key.index], key, partners, indices)


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
        epochs=first.epochs,
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


def length_of(source: Any) -> int:
    """Length of a data set, or the number itself."""
    return int(source) if isinstance(source, Integral) else len(source)


def epoch_order(length: int, epoch: int, seed: int | None) -> np.ndarray:
    """int64 [length]: 0 .. length - 1, shuffled by (seed, epoch) unless seed is None."""
    if seed is None:
        return np.arange(length)
    draws = Draws(Keys(np.zeros(0, np.int64), epoch=epoch), seed, "order")
    return batch_permutation(draws, "shuffle", length)


def even_share(length: int, world_size: int, drop_last: bool) -> int:
    """Entries for each rank of an order that is cut, or filled up, to a multiple of the ranks."""
    return length // world_size if drop_last else -(-length // world_size)


def even_order(order: np.ndarray, world_size: int, drop_last: bool) -> np.ndarray:
    """An order that is cut, or filled up by its own beginning, to a multiple of the ranks."""
    if len(order) == 0:
        return order
    return np.resize(order, even_share(len(order), world_size, drop_last) * world_size)


class EpochSampler(Sampler[Key], ABC):
    """Yields keys; each iteration is the next epoch. Subclasses say which order an epoch has.

    Args:
        epochs: epochs of the whole training, for the progress that schedules read.
        rank: of this process; it takes every world_size-th entry of the global order.
        world_size: number of processes.

    Raises:
        PolicyError: numbers out of range.
    """

    def __init__(self, *, epochs: int, rank: int, world_size: int) -> None:
        """Check and remember."""
        if not (0 <= rank < world_size):
            raise self._wrong(f"rank must be 0 .. {world_size - 1}, got {rank}.")
        if epochs < 1:
            raise self._wrong(f"epochs must be at least 1, got {epochs}.")
        self.epochs, self.rank, self.world_size = epochs, rank, world_size
        self.epoch = 0
        self._skip = 0

    @abstractmethod
    def per_rank(self) -> int:
        """Keys of a whole epoch on each rank."""

    @abstractmethod
    def whole(self, epoch: int) -> np.ndarray:
        """int64 [L * world_size]: indices of an epoch in the global order, the same on all ranks;
        the ranks take turns."""

    def _wrong(self, text: str) -> PolicyError:
        return PolicyError(f"{type(self).__name__}: {text}")

    def __len__(self) -> int:
        """Keys that the next epoch yields on this rank."""
        return self.per_rank() - self._skip

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration this epoch."""
        self.resume(epoch)

    def resume(self, epoch: int, position: int = 0) -> None:
        """Make the next iteration this epoch, from this position of this rank's order on.

        Raises:
            PolicyError: there is no such epoch or position.
        """
        last = self.per_rank()
        if epoch < 0 or not 0 <= position <= last:
            raise self._wrong(
                f"epoch must be at least 0 and position in 0 .. {last} (samples of this rank that "
                f"were used), got {epoch} and {position}."
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
        whole = self.whole(epoch)
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
            time = epoch, position, float(progress[position])
            yield Key(*who, *time, self.rank, self.epochs)

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
            who = index[rows], copy[rows]
            yield Keys(*who, epoch, start, self.rank, progress[rows], self.epochs)

    def _progress(self, epoch: int, position: np.ndarray, length: int) -> np.ndarray:
        return np.minimum((epoch + position / length) / self.epochs, 1.0)


@final
class KeyedSampler(EpochSampler):
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
        super().__init__(epochs=epochs, rank=rank, world_size=world_size)
        self._sampler = source if isinstance(source, Sampler) else None
        if self._sampler is not None and shuffle:
            raise self._wrong("a sampler has its own order; leave shuffle off.")
        self._length = length_of(source)
        self.shuffle, self.seed, self.drop_last = shuffle, seed, drop_last

    def per_rank(self) -> int:
        """Keys of a whole epoch on each rank."""
        return even_share(self._length, self.world_size, self.drop_last)

    def whole(self, epoch: int) -> np.ndarray:
        """int64 [L * world_size]: indices of an epoch in the global order."""
        if self._sampler is not None:
            found = np.fromiter((int(i) for i in self._sampler), np.int64)
        else:
            found = epoch_order(self._length, epoch, self.seed if self.shuffle else None)
        return even_order(found, self.world_size, self.drop_last)
