"""Counter-based random numbers: the same question gets the same answer, whoever asks and when.

Philox4x32-10 maps a 128-bit counter and a 64-bit key to four 32-bit words. Here the key is the seed
and the counter is *(sample index, epoch, copy, question)*, so a number belongs to a sample and a
question ("does the crop of this image start at ...?"), never to the order of calls.

    counter word 0   sample index            (0 .. 2**32 - 1); for draws about a batch as a whole,
                     the number of the block of four words, the batch being part of the question
    counter word 1   epoch                   (0 .. 2**32 - 1)
    counter word 2   copy << 16 | question bits 47..32
    counter word 3   question bits 31..0

A *question* is the BLAKE2b hash (48 bits) of an op's path in the policy, the draw's name and its
sub-number. Hashing names instead of counting calls keeps old draws as they are when an op gains a
new draw, and makes "one draw answers one question" a property of names that a reader can check.

References:
    Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import hashlib
import operator
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from mixwell._beta import beta_ppf
from mixwell._errors import PolicyError

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


def philox4x32(counter: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Ten rounds of Philox4x32 on each row.

    Args:
        counter: uint32 [..., 4].
        key: uint32 [..., 2], broadcast against `counter` without its last axis.

    Returns:
        uint32 [..., 4].
    """
    c0, c1, c2, c3 = (counter[..., i].astype(np.uint64) for i in range(4))
    k0, k1 = key[..., 0].astype(np.uint64), key[..., 1].astype(np.uint64)
    for _ in range(10):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (p1 >> _SHIFT) ^ c1 ^ k0, p1 & _LOW, (p0 >> _SHIFT) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + np.uint64(_W0)) & _LOW, (k1 + np.uint64(_W1)) & _LOW
    return np.stack(np.broadcast_arrays(c0, c1, c2, c3), axis=-1).astype(np.uint32)


def seed_words(seed: int) -> np.ndarray:
    """Split a seed (0 .. 2**64 - 1) into the two key words, uint32 [2]."""
    if not 0 <= seed < 2**64:
        raise PolicyError(f"seed must lie in 0 .. 2**64 - 1, got {seed}.")
    return np.array([seed & 0xFFFFFFFF, seed >> 32], dtype=np.uint32)


@lru_cache(maxsize=65536)
def question(path: str, name: str, sub: int = 0) -> int:
    """The 48-bit number of one question."""
    text = f"{path}|{name}|{sub}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=6).digest(), "little")


@dataclass(frozen=True)
class Keys:
    """Who the rows of a batch are; with the seed, all that a draw may depend on.

    Attributes:
        index: int64 [N], the sample's index in its data set, 0 .. 2**32 - 1.
        copy: int64 [N], which occurrence of that index within the epoch over all ranks,
            0 .. 65535; all zero when None is given.
        epoch: the epoch, from 0.
        step: what numbers this batch within the epoch on this rank (a counter, or the position of
            the batch's first sample); only draws about the batch as a whole use it.
        rank: the process's rank; only draws about the batch as a whole use it.
        progress: float64 [N], share of the training done, 0 .. 1, for schedules; one number serves
            all rows; None where it is not known.
        epochs: epochs of the whole training, for times that are counted from its end; None where
            it is not known.
    """

    index: np.ndarray
    copy: np.ndarray = field(default=None)  # type: ignore[assignment]
    epoch: int = 0
    step: int = 0
    rank: int = 0
    progress: np.ndarray | float | None = None
    epochs: int | None = None

    def __post_init__(self) -> None:
        """Take over the arrays (the caller's may change later) and check their ranges."""
        index = _whole("index", self.index)
        copy = np.zeros_like(index) if self.copy is None else _whole("copy", self.copy)
        copy = np.broadcast_to(copy, index.shape)
        if index.ndim != 1:
            raise PolicyError(f"Keys.index must be one-dimensional, got shape {index.shape}.")
        for name, array, top in (("index", index, 2**32), ("copy", copy, 2**16)):
            if array.size and not (array.min() >= 0 and array.max() < top):
                span = f"{array.min()} .. {array.max()}"
                raise PolicyError(f"Keys.{name} must lie in 0 .. {top - 1}, got {span}.")
        for name, bits in (("epoch", 32), ("step", 32), ("rank", 16)):
            value = operator.index(getattr(self, name))
            if not 0 <= value < 2**bits:
                raise PolicyError(f"Keys.{name} must lie in 0 .. 2**{bits} - 1, got {value}.")
            object.__setattr__(self, name, value)
        if self.epochs is not None and operator.index(self.epochs) < 1:
            raise PolicyError(f"Keys.epochs must be at least 1, got {self.epochs}.")
        object.__setattr__(self, "index", index)
        object.__setattr__(self, "copy", copy)
        if self.progress is not None:
            progress = np.broadcast_to(np.array(self.progress, np.float64), index.shape)
            if not ((progress >= 0) & (progress <= 1)).all():
                raise PolicyError(f"Keys.progress must lie in 0 .. 1, got {self.progress}.")
            object.__setattr__(self, "progress", progress)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.index)

    def take(self, rows: np.ndarray | slice) -> Keys:
        """The keys of some rows."""
        progress = self.progress[rows] if isinstance(self.progress, np.ndarray) else None
        return replace(self, index=self.index[rows], copy=self.copy[rows], progress=progress)

    def views(self, count: int) -> Keys:
        """The keys of `count` views of each row, view by view: a b c a b c ...

        View v of copy c is copy c * count + v, so that views differ from each other and from the
        views of other copies.
        """
        index, copy = np.tile(self.index, count), np.tile(self.copy * count, count)
        copy += np.repeat(np.arange(count), len(self))
        progress = self.progress if self.progress is None else np.tile(self.progress, count)
        return replace(self, index=index, copy=copy, progress=progress)


@dataclass(frozen=True)
class Draws:
    """The random numbers of one op for all rows at once; `path` says which op it is."""

    keys: Keys
    seed: int
    path: str = ""

    def child(self, step: int | str) -> Draws:
        """The draws of an op inside this one."""
        return replace(self, path=f"{self.path}/{step}")

    def take(self, rows: np.ndarray) -> Draws:
        """The same op's draws, for some of the rows."""
        return replace(self, keys=self.keys.take(rows))

    def views(self, count: int) -> Draws:
        """The same op's draws, for `count` views of each row."""
        return replace(self, keys=self.keys.views(count))

    def words(self, name: str, count: int = 4, *, per_batch: bool = False) -> np.ndarray:
        """uint32 [N, count]; with `per_batch` [1, count], keyed by (epoch, step, rank)."""
        keys = self.keys
        rows = 1 if per_batch else len(keys)
        blocks = -(-count // 4)
        if per_batch:
            asks = np.array([question(self.path, f"batch {keys.step}:{name}")], np.int64)
        else:
            asks = np.array(
                [question(self.path, f"row:{name}", i) for i in range(blocks)], np.int64
            )
        counter = np.empty((rows, blocks, 4), np.uint32)
        counter[..., 0] = np.arange(blocks) if per_batch else keys.index[:, None]
        counter[..., 1] = keys.epoch
        copy = keys.rank if per_batch else keys.copy[:, None]
        counter[..., 2] = (np.asarray(copy) << 16) | (asks >> 32)
        counter[..., 3] = asks & 0xFFFFFFFF
        out = philox4x32(counter, seed_words(self.seed))
        return out.reshape(rows, blocks * 4)[:, :count]

    def uniform(self, name: str, low: float = 0.0, high: float = 1.0, **scope: bool) -> np.ndarray:
        """float64 [N], uniform on [low, high), 53 bits."""
        return low + (high - low) * _unit(self.words(name, 2, **scope))[:, 0]

    def uniforms(self, name: str, count: int, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        """float64 [N, count], uniform on [low, high)."""
        return low + (high - low) * _unit(self.words(name, 2 * count))

    def integers(self, name: str, low: int | np.ndarray, high: int | np.ndarray) -> np.ndarray:
        """int64 [N], uniform on low .. high - 1 (arrays of N allowed); empty spans give low."""
        span = np.maximum(np.asarray(high, np.int64) - low, 1)
        return low + np.minimum((self.uniform(name) * span).astype(np.int64), span - 1)

    def bernoulli(self, name: str, p: float | np.ndarray, **scope: bool) -> np.ndarray:
        """bool [N], true with probability p."""
        return self.uniform(name, **scope) < p

    def sign(self, name: str) -> np.ndarray:
        """float64 [N] of -1.0 and 1.0 with equal chances."""
        return np.where(self.bernoulli(name, 0.5), -1.0, 1.0)

    def choice(self, name: str, weights: np.ndarray, **scope: bool) -> np.ndarray:
        """int64 [N], item i with probability weights[i] / sum(weights)."""
        edges = np.cumsum(np.asarray(weights, np.float64))
        picked = np.searchsorted(edges, self.uniform(name, **scope) * edges[-1], side="right")
        return np.minimum(picked, len(edges) - 1)

    def normal(self, name: str) -> np.ndarray:
        """float64 [N], standard normal (Box-Muller on two 53-bit uniforms)."""
        u = _unit(self.words(name, 4))
        return np.sqrt(-2.0 * np.log1p(-u[:, 0])) * np.cos(2.0 * np.pi * u[:, 1])

    def beta(self, name: str, a: float, b: float, **scope: bool) -> np.ndarray:
        """float64 [N, 2]: x ~ Beta(a, b) and 1 - x, by inverse CDF: one uniform, one value."""
        return np.stack(beta_ppf(self.uniform(name, **scope), a, b), axis=1)

    def permutation(self, name: str, count: int) -> np.ndarray:
        """int64 [N, count]: an independent uniform permutation of 0 .. count - 1 for each row."""
        words = self.words(name, 2 * count).astype(np.uint64)
        order = (words[:, 0::2] << _SHIFT) | words[:, 1::2]
        return np.argsort(order, axis=1, kind="stable")

    def pixel_key(self, name: str) -> np.ndarray:
        """uint32 [N, 4]: the key from which a backend makes this row's pixel noise."""
        return self.words(name, 4)


def _whole(name: str, values: object) -> np.ndarray:
    """A new int64 array, at least one-dimensional, from whole numbers."""
    array = np.atleast_1d(np.array(values))
    if array.size and array.dtype.kind not in "iu":
        raise PolicyError(f"Keys.{name} must be whole numbers, got {array.dtype}.")
    return array.astype(np.int64)


def _unit(words: np.ndarray) -> np.ndarray:
    """uint32 [N, 2k] to float64 [N, k] on [0, 1) with 53 bits."""
    high, low = words[:, 0::2].astype(np.uint64), words[:, 1::2].astype(np.uint64)
    return (((high << _SHIFT) | low) >> np.uint64(11)) * 2.0**-53


def batch_permutation(draws: Draws, name: str, size: int) -> np.ndarray:
    """int64 [size]: one uniform permutation, keyed by (epoch, step, rank)."""
    words = draws.words(name, 2 * size, per_batch=True).astype(np.uint64)[0]
    return np.argsort((words[0::2] << _SHIFT) | words[1::2], kind="stable").astype(np.int64)


def batch_derangement(draws: Draws, name: str, size: int) -> np.ndarray:
    """int64 [size]: a uniform permutation without fixed points, keyed by (epoch, step, rank).

    Permutations are drawn until one has no fixed point (chance about 1/e each). After 64 tries
    (chance 2e-13) the last one's cycle order is used, which has none either.

    Raises:
        PolicyError: size is 1, where every permutation has a fixed point.
    """
    if size == 1:
        raise PolicyError("A derangement needs at least 2 rows, got 1.")
    order = np.arange(size)
    for attempt in range(64):
        order = batch_permutation(draws, f"{name}:{attempt}", size)
        if not (order == np.arange(size)).any():
            return order
    cycle = np.empty(size, np.int64)
    cycle[order] = np.roll(order, 1)
    return cycle
