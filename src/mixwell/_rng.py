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
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from mixwell._beta import beta_ppf
from mixwell._errors import PolicyError
from mixwell._philox import SHIFT, in_order, keys_of, rounds, unit


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


Ask = tuple[str, str, int]
"""An op's path, the name of a draw, and how many uniform numbers of each row it takes, or
DERANGEMENT."""

DERANGEMENT = -1
"""Instead of a count: the draw is `batch_derangement`."""

_TRIES = 4  # of a derangement, drawn in one go


@dataclass(frozen=True, eq=False)
class Ahead:
    """Numbers that were drawn before an op asks for them: many questions in one go.

    Attributes:
        keys: whose numbers they are.
        units: (path, name) -> float64 [count, N], on [0, 1).
        words: (path, name) -> uint32 [1, count], of the batch as a whole.
    """

    keys: Keys | None = None
    units: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    words: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)


_NOTHING = Ahead()


@dataclass(frozen=True)
class Draws:
    """The random numbers of one op for all rows at once; `path` says which op it is.

    `ahead` saves time and changes no number: what it does not hold is drawn when it is asked for.
    """

    keys: Keys
    seed: int
    path: str = ""
    ahead: Ahead = field(default=_NOTHING, compare=False, repr=False)

    def child(self, step: int | str) -> Draws:
        """The draws of an op inside this one."""
        return Draws(self.keys, self.seed, f"{self.path}/{step}", self.ahead)

    def asked(self, asks: Sequence[Ask]) -> Draws:
        """The same draws, with the numbers of these questions drawn ahead.

        Seeds that cannot be are left to the op that draws first, whose name the error bears.
        """
        if not asks or not 0 <= self.seed < 2**64:
            return self
        own = [ask for ask in asks if ask[2] != DERANGEMENT]
        pairings = [(path, name) for path, name, count in asks if count == DERANGEMENT]
        tries = [(path, attempt) for path, name in pairings for attempt in _attempts(name, 0)]
        numbers = [q for path, name, n in own for q in _questions(path, name, -(-n // 2))]
        size = len(self.keys)
        blocks = -(-size // 2)
        rows, batch = self._counters(numbers), self._batch_counters(tries, blocks)
        even, odd = (np.concatenate(halves, axis=1) for halves in zip(rows, batch, strict=True))
        rounds(even, odd, keys_of(self.seed))
        split = len(numbers) * size
        units = self._in_units(even[:, :split], odd[:, :split], len(numbers))
        held, first = {}, 0
        for path, name, count in own:
            held[path, name] = units[first : first + count]
            first += count + count % 2
        words = in_order(even[:, split:], odd[:, split:]).reshape(len(tries), 1, 4 * blocks)
        known = dict(zip(tries, words[..., : 2 * size], strict=True))
        return replace(self, ahead=Ahead(self.keys, held, known))

    def take(self, rows: np.ndarray) -> Draws:
        """The same op's draws, for some of the rows."""
        return replace(self, keys=self.keys.take(rows))

    def views(self, count: int) -> Draws:
        """The same op's draws, for `count` views of each row."""
        return replace(self, keys=self.keys.views(count))

    def batch_asked(self, names: Sequence[str], count: int) -> Draws:
        """These draws, with so many words of the batch as a whole drawn ahead for each name."""
        words = self._batch_words(names, count)
        held = {(self.path, name): found for name, found in zip(names, words, strict=True)}
        return replace(self, ahead=Ahead(self.keys, words=held))

    def words(self, name: str, count: int = 4, *, per_batch: bool = False) -> np.ndarray:
        """uint32 [N, count]; with `per_batch` [1, count], keyed by (epoch, step, rank)."""
        blocks = -(-count // 4)
        if per_batch:
            held = self.held.words.get((self.path, name))
            if held is not None and held.shape[1] == count:
                return held
            return self._batch_words([name], count)[0]
        out = in_order(*self._blocks(_questions(self.path, name, blocks)))
        return (
            out.reshape(blocks, len(self.keys), 4)
            .swapaxes(0, 1)
            .reshape(len(self.keys), blocks * 4)[:, :count]
        )

    def _batch_words(self, names: Sequence[str], count: int) -> list[np.ndarray]:
        """For each name uint32 [1, count], keyed by (epoch, step, rank)."""
        blocks = -(-count // 4)
        even, odd = self._batch_counters([(self.path, name) for name in names], blocks)
        rounds(even, odd, keys_of(self.seed))
        return list(in_order(even, odd).reshape(len(names), 1, 4 * blocks)[..., :count])

    def _blocks(self, questions: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Words 0 and 2, words 1 and 3 of the rows' blocks: uint64 [2, Q * N]."""
        even, odd = self._counters(questions)
        rounds(even, odd, keys_of(self.seed))
        return even, odd

    def _counters(self, questions: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """What `rounds` makes the rows' blocks of: uint64 [2, Q * N] twice."""
        return _counters(questions, self.keys.index, self.keys.copy, self.keys.epoch)

    def _batch_counters(
        self, names: Sequence[tuple[str, str]], blocks: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same for the batch as a whole, of (path, name): uint64 [2, Q * blocks] twice."""
        asks = [question(path, f"batch {self.keys.step}:{name}") for path, name in names]
        return _counters(asks, np.arange(blocks), self.keys.rank, self.keys.epoch)

    def uniform(self, name: str, low: float = 0.0, high: float = 1.0, **scope: bool) -> np.ndarray:
        """float64 [N], uniform on [low, high), 53 bits; with `per_batch` [1]."""
        if scope.get("per_batch"):
            words = self.words(name, 2, per_batch=True).astype(np.uint64)
            return low + (high - low) * unit(words[:, 0], words[:, 1])
        return low + (high - low) * self._units(name, 1)[0]

    def uniforms(self, name: str, count: int, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        """float64 [N, count], uniform on [low, high)."""
        return low + (high - low) * self._units(name, count).T

    @property
    def held(self) -> Ahead:
        """What was drawn ahead for these very keys."""
        return self.ahead if self.ahead.keys is self.keys else _NOTHING

    def _units(self, name: str, count: int) -> np.ndarray:
        """float64 [count, N] on [0, 1), perhaps drawn ahead."""
        held = self.held.units.get((self.path, name))
        if held is not None and len(held) == count:
            return held
        return self._units_of(_questions(self.path, name, -(-count // 2)))[:count]

    def _units_of(self, asks: Sequence[int]) -> np.ndarray:
        """float64 [2 * Q, N] on [0, 1): two numbers from each question's block."""
        return self._in_units(*self._blocks(asks), len(asks))

    def _in_units(self, even: np.ndarray, odd: np.ndarray, asks: int) -> np.ndarray:
        """float64 [2 * Q, N] on [0, 1) from the rows' blocks, uint64 [2, Q * N] twice."""
        size = len(self.keys)
        units = unit(even, odd).reshape(2, asks, size)
        return units.swapaxes(0, 1).reshape(2 * asks, size)

    def integers(self, name: str, low: int | np.ndarray, high: int | np.ndarray) -> np.ndarray:
        """int64 [N], uniform on low .. high - 1 (arrays of N allowed); empty spans give low."""
        span = np.maximum(np.asarray(high, np.int64) - low, 1)
        return low + np.minimum((self.uniform(name) * span).astype(np.int64), span - 1)

    def bernoulli(self, name: str, p: float | np.ndarray, **scope: bool) -> np.ndarray:
        """bool [N], true with probability p."""
        if isinstance(p, int | float) and not 0 < p < 1:  # no number is below 0 or reaches 1
            return np.full(1 if scope.get("per_batch") else len(self.keys), p >= 1)
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
        u = self._units(name, 2)
        return np.sqrt(-2.0 * np.log1p(-u[0])) * np.cos(2.0 * np.pi * u[1])

    def beta(self, name: str, a: float, b: float, **scope: bool) -> np.ndarray:
        """float64 [N, 2]: x ~ Beta(a, b) and 1 - x, by inverse CDF: one uniform, one value."""
        return np.stack(beta_ppf(self.uniform(name, **scope), a, b), axis=1)

    def permutation(self, name: str, count: int) -> np.ndarray:
        """int64 [N, count]: an independent uniform permutation of 0 .. count - 1 for each row."""
        words = self.words(name, 2 * count).astype(np.uint64)
        order = (words[:, 0::2] << SHIFT) | words[:, 1::2]
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


def _questions(path: str, name: str, blocks: int) -> list[int]:
    """The questions for so many blocks of four words of each row."""
    return [question(path, f"row:{name}", i) for i in range(blocks)]


def _counters(
    questions: Sequence[int], index: np.ndarray, copy: np.ndarray | int, epoch: int
) -> tuple[np.ndarray, np.ndarray]:
    """Words 0 and 2, words 1 and 3 of each question's counter for each index."""
    asks = np.array(questions, np.int64)[:, None]
    even = np.empty((2, len(asks), len(index)), np.uint64)
    odd = np.empty_like(even)
    even[0], odd[0] = index, epoch
    even[1] = (np.asarray(copy) << 16) | (asks >> 32)
    odd[1] = asks & 0xFFFFFFFF
    return even.reshape(2, -1), odd.reshape(2, -1)


def batch_permutation(draws: Draws, name: str, size: int) -> np.ndarray:
    """int64 [size]: one uniform permutation, keyed by (epoch, step, rank)."""
    words = draws.words(name, 2 * size, per_batch=True)[0].astype(np.uint64)
    return np.argsort((words[0::2] << SHIFT) | words[1::2], kind="stable")


def _attempts(name: str, first: int) -> list[str]:
    """The names of some tries of a derangement."""
    return [f"{name}:{attempt}" for attempt in range(first, first + _TRIES)]


def batch_derangement(draws: Draws, name: str, size: int) -> np.ndarray:
    """int64 [size]: a uniform permutation without fixed points, keyed by (epoch, step, rank).

    Permutations are drawn until one has no fixed point (chance about 1/e each). After 64 tries
    (chance 2e-13) the last one's cycle order is used, which has none either.

    Raises:
        PolicyError: size is 1, where every permutation has a fixed point.
    """
    if size == 1:
        raise PolicyError("A derangement needs at least 2 rows, got 1.")
    own = order = np.arange(size)
    for first in range(0, 64, _TRIES):
        names = _attempts(name, first)
        known = draws.held.words.get((draws.path, names[0]))
        if known is None or known.shape[1] != 2 * size:
            draws = draws.batch_asked(names, 2 * size)
        for attempt in names:
            order = batch_permutation(draws, attempt, size)
            if not (order == own).any():
                return order
    cycle = np.empty(size, np.int64)
    cycle[order] = np.roll(order, 1)
    return cycle
