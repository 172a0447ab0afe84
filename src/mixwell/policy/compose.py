"""Ops made of ops: one of several, sometimes, in sequence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, final

import numpy as np

from mixwell._errors import PolicyError
from mixwell._rng import Ask
from mixwell.plan.steps import Edit
from mixwell.policy.base import Op, OutSize, Rows, chained_size, sample_op, unsure_size
from mixwell.policy.fields import need
from mixwell.policy.program import Step, choose


def adopt(op: Op, parts: tuple[Op, ...]) -> None:
    """Check an op's parts and take over what they are."""
    good = len(parts) > 0 and all(isinstance(part, Op) for part in parts)
    need(op, good, "takes one or more ops as arguments", parts)
    single = all(part.outputs == 1 for part in parts)
    need(op, single, "an op that makes several views of a row stands in a Policy itself", parts)
    several = len({part.mixes for part in parts}) > 1 or any(part.compound for part in parts)
    object.__setattr__(op, "compound", several)
    for what in ("mixes", "moves"):
        object.__setattr__(op, what, any(getattr(part, what) for part in parts))


@final
@dataclass(frozen=True, repr=False, init=False)
class OneOf(Op):
    """One of several ops, drawn for each row: `OneOf(MixUp(0.8), CutMix(1.0))`.

    Args:
        ops: two or more, of any kinds.
        weights: chances in proportion to these; None = equal.
        per: "image" draws for each row; "batch" once for all, keyed by (epoch, step, rank), as
            timm switches between MixUp and CutMix.
    """

    ops: tuple[Op, ...]
    weights: tuple[float, ...] | None = None
    per: Literal["image", "batch"] = "image"

    def __init__(
        self,
        *ops: Op,
        weights: tuple[float, ...] | None = None,
        per: Literal["image", "batch"] = "image",
        p: float = 1.0,
    ) -> None:
        """Put ops side by side."""
        object.__setattr__(self, "ops", tuple(ops))
        object.__setattr__(self, "weights", weights if weights is None else tuple(weights))
        object.__setattr__(self, "per", per)
        object.__setattr__(self, "p", p)
        self.__post_init__()

    def validate(self) -> None:
        """Check ops and weights."""
        adopt(self, self.ops)
        need(self, self.per in ("image", "batch"), 'per: "image" or "batch"', self.per)
        if self.weights is not None:
            fits = len(self.weights) == len(self.ops) and min(self.weights) >= 0
            need(
                self, fits and sum(self.weights) > 0, "weights: one >= 0 for each op", self.weights
            )

    def asks(self, path: str) -> list[Ask]:
        """Also which part, and what the parts ask."""
        which = [(path, "which", 1)] if self.per == "image" else []
        parts = [ask for i, op in enumerate(self.ops) for ask in op.asks(f"{path}/{i}")]
        return super().asks(path) + which + parts

    def sample(self, rows: Rows) -> Step:
        """Every part's step, then each row's pick among them."""
        weights = self.weights or (1.0,) * len(self.ops)
        pick = rows.draws.choice("which", np.array(weights), per_batch=self.per == "batch")
        pick = np.broadcast_to(pick, len(rows))
        steps = [sample_op(op, rows.child(i)) for i, op in enumerate(self.ops)]
        return choose(steps, pick, rows.size_hw, rows.pool_hw)

    def out_size(self, size: OutSize) -> OutSize:
        """The parts' common size, if they have one."""
        sizes: set[OutSize] = {chained_size(op, size) for op in self.ops}
        known = sizes.pop()
        unsure = isinstance(known, str) and any(unsure_size(op, size) != size for op in self.ops)
        return "variable" if sizes or unsure else known


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
        adopt(self, (self.op,))
        need(self, self.min_batch >= 1, "min_batch must be at least 1", self.min_batch)

    def awake(self, rows: Rows) -> bool:
        """Not in a small batch."""
        return super().awake(rows) and len(rows) >= self.min_batch

    def gate(self, rows: Rows) -> np.ndarray:
        """Drawn for each row; for nobody in a small batch."""
        if len(rows) < self.min_batch:
            return np.zeros(len(rows), bool)
        return super().gate(rows)

    def asks(self, path: str) -> list[Ask]:
        """Also what the op asks."""
        return super().asks(path) + self.op.asks(f"{path}/op")

    def sample(self, rows: Rows) -> Step:
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
        ops: ops in order; each changes images one by one.
    """

    ops: tuple[Op, ...]

    def __init__(self, *ops: Op, p: float = 1.0) -> None:
        """Put ops in order."""
        object.__setattr__(self, "ops", tuple(ops))
        object.__setattr__(self, "p", p)
        self.__post_init__()

    def validate(self) -> None:
        """Check the ops."""
        adopt(self, self.ops)
        single = not (self.mixes or self.compound)
        rule = "ops must change images one by one; put others into the Policy"
        need(self, single, rule, self.ops)

    def sample(self, rows: Rows) -> Edit:
        """All parts' slots in one edit."""
        parts: list[Edit] = []
        for i, op in enumerate(self.ops):
            part = sample_op(op, rows.child(i))
            if not isinstance(part, Edit):
                raise PolicyError(f"Sequential: {op!r} does not change rows one by one.")
            rows = rows.behind(part)
            parts.append(part)
        return Edit.chain(parts)

    def out_size(self, size: OutSize) -> OutSize:
        """The last part's."""
        for op in self.ops:
            size = chained_size(op, size)
        return size
