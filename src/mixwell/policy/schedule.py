"""Ops that depend on how far the training is; see `ramp` for what time means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from mixwell._rng import Keys
from mixwell.plan.steps import Edit
from mixwell.policy.base import EditOp, Op, OutSize, Rows, sample_op, unsure_size
from mixwell.policy.compose import adopt
from mixwell.policy.fields import InterpName, need, need_size, pair_of
from mixwell.policy.geometry import constant_hw, resize, whole
from mixwell.policy.program import Step
from mixwell.policy.ramp import ClockName, Ramp, need_times, now, time_of


@final
@dataclass(frozen=True, repr=False)
class Scheduled(Op):
    """An op that happens only in a part of the training.

    The time travels with the keys, so the schedule holds in persistent workers, on every rank and
    after a resume; there is no flag to flip. `Scheduled(CutMix(), stop=-15, by="epoch")` is off for
    the last fifteen epochs; a `Ramp` as `p` fades an op in or out.

    Args:
        op: the op.
        start: first time at which it happens; None = from the beginning.
        stop: first time at which it no longer happens; None = to the end.
        by: "progress" (0 .. 1 over the whole training) or "epoch" (0, 1, 2, ...); negative epochs
            count from the end.

    Raises:
        PolicyError: at sampling, keys that do not know the time (`KeyedSampler(epochs=)` makes
            keys that do).
    """

    op: Op
    start: float | None = None
    stop: float | None = None
    by: ClockName = "progress"

    def validate(self) -> None:
        """Check op and times."""
        adopt(self, (self.op,))
        need_times(self, self.start, self.stop, self.by)

    def active(self, rows: Rows) -> np.ndarray:
        """bool [N]: whether each row's time lies within the schedule."""
        if (self.start, self.stop) == (None, None):
            return np.ones(len(rows), bool)
        time = now(rows.keys, self.by, "Scheduled")
        start = time_of(self.start, rows.keys, self.by, "Scheduled")
        stop = time_of(self.stop, rows.keys, self.by, "Scheduled")
        begun = time >= (-np.inf if start is None else start)
        return begun & (time < (np.inf if stop is None else stop))

    def awake(self, rows: Rows) -> bool:
        """At the right time."""
        return super().awake(rows) and bool(self.active(rows).any())

    def gate(self, rows: Rows) -> np.ndarray:
        """Everybody, at the right time, with chance `p`."""
        return self.active(rows) & super().gate(rows)

    def sample(self, rows: Rows) -> Step:
        """The op's step."""
        return sample_op(self.op, rows.child("op"))

    def out_size(self, size: OutSize) -> OutSize:
        """The op's, if being off leaves the size the same."""
        return unsure_size(self.op, size)


@final
@dataclass(frozen=True, repr=False)
class ProgressiveResize(EditOp):
    """Resize the whole image to a size that grows from epoch to epoch (Howard 2018, the fast.ai
    entry to DAWNBench; Tan & Le 2021, arXiv 2104.00298).

    All images of an epoch get one size, so every batch is one tensor. The size moves from `first`
    to `last` in equal steps of `multiple` px.

    Args:
        first: px, or (height, width), in the epochs up to `start`.
        last: px, or (height, width), from epoch `stop` on.
        start: epoch; None = the first. Negative epochs count from the end.
        stop: epoch; None = the last.
        multiple: sides between `first` and `last` are rounded to multiples of this, px.
        interp: "bilinear" or "bicubic", antialiased.
    """

    first: int | tuple[int, int]
    last: int | tuple[int, int]
    start: float | None = None
    stop: float | None = None
    multiple: int = 32
    interp: InterpName = "bilinear"
    moves = True

    def validate(self) -> None:
        """Check sizes and times."""
        need_size(self, "first", self.first)
        need_size(self, "last", self.last)
        need_times(self, self.start, self.stop, "epoch")
        need(self, self.multiple >= 1, "multiple must be at least 1 px", self.multiple)
        good = self.interp in ("bilinear", "bicubic")
        need(self, good, 'interp must be "bilinear" or "bicubic"', self.interp)

    def size_at(self, rows: Rows) -> tuple[int, int]:
        """(height, width) in the rows' epoch."""
        ends = zip(pair_of(self.first), pair_of(self.last), strict=True)
        return tuple(self._side(a, b, rows) for a, b in ends)  # type: ignore[return-value]

    def _side(self, first: int, last: int, rows: Rows) -> int:
        ramp = Ramp(first, last, self.start, self.stop, "epoch")
        when = {"epoch": rows.keys.epoch, "epochs": rows.keys.epochs}
        exact = float(ramp.at(Keys(np.zeros(1, np.int64), **when))[0])
        if exact in (first, last):
            return int(exact)
        low, high = min(first, last), max(first, last)
        return int(np.clip(round(exact / self.multiple) * self.multiple, low, high))

    def sample(self, rows: Rows) -> Edit:
        """A RESIZE of the whole image."""
        return resize(rows, whole(rows), constant_hw(rows, self.size_at(rows)), self.interp)

    def out_size(self, size: OutSize) -> OutSize:
        """One size for each batch, unless it never changes."""
        fixed = pair_of(self.first)
        return fixed if fixed == pair_of(self.last) else "batch"
