"""Ops made of ops: one of several, sometimes, in sequence, at certain times of the training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, final

import numpy as np

from mixwell._errors import PolicyError
from mixwell.plan.steps import Edit, Mix, select
from mixwell.policy.base import Op, OutSize, Rows, chained_size, need, sample_op, unsure_size


def _adopt(op: Op, parts: tuple[Op, ...]) -> None:
    """Check an op's parts and take over whether they mix and move."""
    good = len(parts) > 0 and all(isinstance(part, Op) for part in parts)
    need(op, good, "takes one or more ops as arguments", parts)
    mixes = {part.mixes for part in parts}
    need(op, len(mixes) == 1, "either all ops mix images or none does", parts)
    object.__setattr__(op, "mixes", mixes.pop())
    object.__setattr__(op, "moves", any(part.moves for part in parts))


@final
@dataclass(frozen=True, repr=False, init=False)
class OneOf(Op):
    """One of several ops, drawn for each row: `OneOf(MixUp(0.8), CutMix(1.0))`.

    Args:
        ops: ops that all mix images, or none of which does.
        weights: chances in proportion to these; None = equal.
    """

    ops: tuple[Op, ...]
    weights: tuple[float, ...] | None = None

    def __init__(self, *ops: Op, weights: tuple[float, ...] | None = None, p: float = 1.0) -> None:
        """Put ops side by side."""
        object.__setattr__(self, "ops", tuple(ops))
        object.__setattr__(self, "weights", weights if weights is None else tuple(weights))
        object.__setattr__(self, "p", p)
        self.__post_init__()

    def validate(self) -> None:
        """Check ops and weights."""
        _adopt(self, self.ops)
        if self.weights is not None:
            fits = len(self.weights) == len(self.ops) and min(self.weights) >= 0
            need(
                self, fits and sum(self.weights) > 0, "weights: one >= 0 for each op", self.weights
            )

    def sample(self, rows: Rows) -> Edit | Mix:
        """Every part's step, then each row's pick among them."""
        weights = self.weights or (1.0,) * len(self.ops)
        pick = rows.draws.choice("which", np.array(weights))
        steps = [sample_op(op, rows.child(i)) for i, op in enumerate(self.ops)]
        return select(steps, pick)

    def out_size(self, size: OutSize) -> OutSize:
        """The parts' common size, if they have one."""
        sizes: set[OutSize] = {chained_size(op, size) for op in self.ops}
        if len(sizes) > 1:
            return "variable"
        if sizes == {"uniform"} and any(unsure_size(op, size) != size for op in self.ops):
            return "variable"
        return sizes.pop()


@final
@dataclass(frozen=True, repr=False)
class Sometimes(Op):
    """An op that happens with chance `p`, if the batch is large enough.

    Args:
        op: the op.
        min_batch: in smaller batches nothing happens, instead of an error (the last batch of an
            epoch may hold one image, which has no partner).
        p: chance, 0.5 unless given.
    """

    op: Op
    min_batch: int = 1
    p: float = field(default=0.5, kw_only=True)

    def validate(self) -> None:
        """Check the op."""
        _adopt(self, (self.op,))
        need(self, self.min_batch >= 1, "min_batch must be at least 1", self.min_batch)

    def gate(self, rows: Rows) -> np.ndarray:
        """Drawn for each row; for nobody in a small batch."""
        if len(rows) < self.min_batch:
            return np.zeros(len(rows), bool)
        return super().gate(rows)

    def sample(self, rows: Rows) -> Edit | Mix:
        """The op's step."""
        return sample_op(self.op, rows.child("op"))

    def out_size(self, size: OutSize) -> OutSize:
        """The op's, if small batches, which it leaves alone, have the same."""
        return chained_size(self.op, size) if self.min_batch == 1 else unsure_size(self.op, size)


@final
@dataclass(frozen=True, repr=False, init=False)
class Sequential(Op):
    """Ops in order as one op, e.g. inside `OneOf` or `Sometimes`.

    Args:
        ops: ops in order; none of them may mix images.
    """

    ops: tuple[Op, ...]

    def __init__(self, *ops: Op, p: float = 1.0) -> None:
        """Put ops in order."""
        object.__setattr__(self, "ops", tuple(ops))
        object.__setattr__(self, "p", p)
        self.__post_init__()

    def validate(self) -> None:
        """Check the ops."""
        _adopt(self, self.ops)
        need(self, not self.mixes, "ops must not mix images; put them into the Policy", self.ops)

    def sample(self, rows: Rows) -> Edit:
        """All parts' slots in one edit."""
        parts: list[Edit] = []
        for i, op in enumerate(self.ops):
            part = sample_op(op, rows.child(i))
            if not isinstance(part, Edit):
                raise PolicyError(f"Sequential: {op!r} does not change rows one by one.")
            rows = rows.resized(part.out_hw(rows.size_hw))
            parts.append(part)
        return Edit.chain(parts)

    def out_size(self, size: OutSize) -> OutSize:
        """The last part's."""
        for op in self.ops:
            size = chained_size(op, size)
        return size


@final
@dataclass(frozen=True, repr=False)
class Scheduled(Op):
    """An op that happens only in a part of the training.

    The time travels with the keys, so the schedule holds in persistent workers, on every rank and
    after a resume; there is no flag to flip.

    Args:
        op: the op.
        start: first time at which it happens; None = from the beginning.
        stop: first time at which it no longer happens; None = to the end. `stop=-5` with
            `by="epoch"` is refused: the number of epochs is not known to a policy; say
            `stop=0.75` of the progress.
        by: "progress" (0 .. 1 over the whole training) or "epoch" (0, 1, 2, ...).
    """

    op: Op
    start: float | None = None
    stop: float | None = None
    by: Literal["progress", "epoch"] = "progress"

    def validate(self) -> None:
        """Check op and times."""
        _adopt(self, (self.op,))
        need(self, self.by in ("progress", "epoch"), 'by must be "progress" or "epoch"', self.by)
        top = 1.0 if self.by == "progress" else float("inf")
        low = 0.0 if self.start is None else self.start
        high = top if self.stop is None else self.stop
        rule = f"start and stop must be ordered within 0 .. {top:g} ({self.by})"
        need(self, 0 <= low <= high <= top, rule, (self.start, self.stop))

    def active(self, rows: Rows) -> np.ndarray:
        """bool [N]: whether each row's time lies within the schedule.

        Raises:
            PolicyError: the keys do not say how far the training is.
        """
        keys = rows.keys
        if (self.start, self.stop) == (None, None):
            return np.ones(len(rows), bool)
        if self.by == "progress" and keys.progress is None:
            raise PolicyError(
                'Scheduled(by="progress") needs keys that know the progress of the training, got '
                "none. Take keys from a KeyedSampler(..., epochs=E), give Keys(progress=...), or "
                'schedule by="epoch".'
            )
        now = np.asarray(keys.progress) if self.by == "progress" else np.full(len(rows), keys.epoch)
        begun = now >= (-np.inf if self.start is None else self.start)
        return begun & (now < (np.inf if self.stop is None else self.stop))

    def gate(self, rows: Rows) -> np.ndarray:
        """Everybody, at the right time, with chance `p`."""
        return self.active(rows) & super().gate(rows)

    def sample(self, rows: Rows) -> Edit | Mix:
        """The op's step."""
        return sample_op(self.op, rows.child("op"))

    def out_size(self, size: OutSize) -> OutSize:
        """The op's, if being off leaves the size the same."""
        return unsure_size(self.op, size)
