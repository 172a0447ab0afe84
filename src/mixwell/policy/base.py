"""What may be done: ops are frozen dataclasses that run nothing but their own sampling.

An `EditOp` samples an `Edit` for all rows at once, a `MixOp` a `Mix`, a `CompoundOp` a `Program` of
both. All see sizes and keys, never pixels. Every op takes `p=`, the chance that it happens; a
subclass says what it means for its rows by `gate`. Concrete ops are final: variation is composition
(`OneOf`, `Sometimes`, ...).
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from mixwell._rng import DERANGEMENT, Ask, Draws, Keys
from mixwell.plan.follow import Things, edited
from mixwell.plan.steps import Edit, Mix
from mixwell.policy.fields import InterpName, check_common, plain
from mixwell.policy.program import Program, Step, choose, gated
from mixwell.policy.ramp import Ramp, need_number, number

OutSize = tuple[int, int] | Literal["batch", "uniform", "variable"]
"""What a policy says of its output size: one size; one for each batch; equal for equal inputs; or
any."""


@dataclass(frozen=True)
class Rows:
    """What an op may look at while it samples: the rows' present sizes and its own draws.

    Attributes:
        size_hw: int32 [N, 2], px.
        draws: the op's random numbers for these rows.
        labels: int64 [N], class numbers, for pairings that heed them; None where not known.
        pool_hw: int32 [M, 2], sizes of all rows a mix may draw on: these N first, then partners
            from the data set; None: there are no others.
        things: where boxes are in these rows (in all rows of the pool, if there is one), for ops
            that look at them; None: nobody told.
    """

    size_hw: np.ndarray
    draws: Draws
    labels: np.ndarray | None = None
    pool_hw: np.ndarray | None = None
    things: Things | None = None

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.size_hw)

    @property
    def keys(self) -> Keys:
        """The rows' keys."""
        return self.draws.keys

    def number(self, value: float | Ramp) -> Any:
        """A plain number as it is, a ramp as float64 [N]."""
        return number(value, self.keys)

    def child(self, step: int | str) -> Rows:
        """The same rows for an op inside this one."""
        draws = self.draws.child(step)
        return Rows(self.size_hw, draws, self.labels, self.pool_hw, self.things)

    @property
    def pool(self) -> np.ndarray:
        """Sizes of all rows a mix may draw on, int32 [M, 2]."""
        return self.size_hw if self.pool_hw is None else self.pool_hw

    def take(self, rows: np.ndarray) -> Rows:
        """Some of the rows."""
        labels = None if self.labels is None else self.labels[rows]
        things = None if self.things is None else self.things.on_rows(rows)
        return Rows(self.size_hw[rows], self.draws.take(rows), labels, things=things)

    def after(self, size_hw: np.ndarray) -> Rows:
        """The rows as an earlier op left them: with new sizes, perhaps several views of each."""
        if len(size_hw) == len(self):
            return Rows(size_hw, self.draws, self.labels)
        count = len(size_hw) // max(len(self), 1)
        labels = None if self.labels is None else np.tile(self.labels, count)
        return Rows(size_hw, self.draws.views(count), labels)

    def behind(self, edit: Edit) -> Rows:
        """The rows as an edit left them, things too."""
        things = self.things
        if things is not None:
            things = Things(edited(things.outlines, edit), placed=things.placed)
        return replace(self.after(edit.out_hw(self.size_hw)), things=things)


@dataclass(frozen=True, repr=False)
class Op(ABC):
    """Base of all ops.

    Attributes:
        p: chance that the op happens, 0 .. 1, drawn for each row; a `Ramp` changes it with time.
    """

    p: float | Ramp = field(default=1.0, kw_only=True)

    mixes: ClassVar[bool] = False
    """Whether the op combines images, so that labels are mixed."""
    compound: ClassVar[bool] = False
    """Whether it samples a `Program` instead of a single `Edit` or `Mix`."""
    moves: ClassVar[bool] = False
    """Whether it can move pixels, so that labels of images mixed before may no longer match."""
    interps: ClassVar[tuple[str, ...]] = get_args(InterpName)
    """What its field `interp` may be, if it has one."""
    outputs: ClassVar[int] = 1
    """How many outputs it makes of each row."""
    looks: ClassVar[bool] = False
    """Whether it looks at boxes while it samples."""
    asked: ClassVar[tuple[tuple[str, int], ...]] = ()
    """Draws that it makes for every row, and how many uniform numbers each takes."""

    @cached_property
    def parts(self) -> tuple[Op, ...]:
        """The ops that it is made of."""
        found = (*(getattr(self, "ops", None) or ()), getattr(self, "op", None))
        return tuple(part for part in found if isinstance(part, Op))

    @cached_property
    def sees_things(self) -> bool:
        """Whether it, or a part of it, looks at boxes."""
        return self.looks or any(part.sees_things for part in self.parts)

    @cached_property
    def extra(self) -> int:
        """How many partners from the data set it needs for each row."""
        inner = max((part.extra for part in self.parts), default=0)
        return max(inner, int(getattr(self, "pairing", "") == "dataset"))

    def asks(self, path: str) -> list[Ask]:
        """Numbers that it will ask for at this path, so that a policy draws them in one go.

        Saves time alone: what is missing here is drawn when it is asked for.
        """
        gate = [] if self.p == 1.0 else [(path, "whether", 1)]
        drawn = [(path, name, count) for name, count in self.asked]
        return gate + drawn + self.pairing_asks(path)

    def pairing_asks(self, path: str) -> list[Ask]:
        """What finding random partners asks, of an op that does."""
        deranged = getattr(self, "pairing", "") == "derangement"
        return [(path, "pairing", DERANGEMENT)] if deranged else []

    def awake(self, rows: Rows) -> bool:
        """Whether it might happen to any of these rows, whatever is drawn."""
        return self.p != 0.0

    def __post_init__(self) -> None:
        """Make the fields plain and check them; called by dataclass after construction."""
        for f in fields(self):
            object.__setattr__(self, f.name, plain(getattr(self, f.name)))
        need_number(self, "p", self.p, 0, 1)
        check_common(self)
        self.validate()

    def validate(self) -> None:  # noqa: B027  (optional hook)
        """Raise PolicyError when a field cannot mean anything."""

    @abstractmethod
    def sample(self, rows: Rows) -> Step:
        """What the op does to every row when it happens."""

    def idle(self, rows: Rows) -> Step:
        """What stands in the plan for rows to which it does not happen."""
        step = Mix.identity(rows.size_hw) if self.mixes else Edit.nothing(rows.size_hw)
        return Program.of(step, rows.size_hw, rows.pool_hw) if self.compound else step

    def gate(self, rows: Rows) -> np.ndarray:
        """bool [N]: the rows to which it happens."""
        return rows.draws.bernoulli("whether", rows.number(self.p))

    def out_size(self, size: OutSize) -> OutSize:
        """Output size when the op always happens."""
        return size

    def __repr__(self) -> str:
        """The code that builds the op."""
        return f"{type(self).__name__}({', '.join(_arguments(self))})"


class EditOp(Op):
    """An op that changes rows one by one."""

    @abstractmethod
    def sample(self, rows: Rows) -> Edit:
        """The edit of every row."""


class CompoundOp(Op):
    """An op that multiplies rows, edits the copies and gathers them."""

    compound = True

    @abstractmethod
    def sample(self, rows: Rows) -> Program:
        """The program of every row."""


class MixOp(Op):
    """An op that combines rows of the batch."""

    mixes = True

    @abstractmethod
    def sample(self, rows: Rows) -> Mix:
        """The mix of every row."""


def sample_op(op: Op, rows: Rows) -> Step:
    """The op's step for all rows, with `p` taken into account."""
    if op.p == 0.0:
        return op.idle(rows)
    happens = op.gate(rows)
    if happens.all():
        return op.sample(rows)
    if not happens.any():
        return op.idle(rows)
    step = op.sample(rows)
    if isinstance(step, Edit):
        return gated(step, happens, rows.size_hw)
    return choose([op.idle(rows), step], happens.astype(np.int64), rows.size_hw, rows.pool_hw)


def chained_size(op: Op, size: OutSize) -> OutSize:
    """Output size of an op that happens with chance `p`."""
    after = op.out_size(size)
    return after if op.p == 1.0 or _kept(size, after, op.out_size(_PROBE)) else "variable"


def unsure_size(op: Op, size: OutSize) -> OutSize:
    """Output size when it is open whether an op, `p` included, takes part at all."""
    after = chained_size(op, size)
    return after if _kept(size, after, chained_size(op, _PROBE)) else "variable"


_PROBE = (12345, 54321)


def _kept(size: OutSize, after: OutSize, probed: OutSize) -> bool:
    """Whether an op keeps the size: if none is known, what it does to a known size can tell."""
    return after == size and (isinstance(size, tuple) or probed == _PROBE)


def arguments(op: Any) -> dict[str, Any]:
    """Fields of an op that differ from their defaults, or have none; `p` last."""
    out: dict[str, Any] = {}
    for f in sorted(fields(op), key=lambda f: f.name == "p"):
        value = getattr(op, f.name)
        if f.default is MISSING or value != f.default or type(value) is not type(f.default):
            out[f.name] = value
    return out


def takes_ops(kind: type[Op]) -> bool:
    """Whether an op is built from other ops as plain arguments."""
    given = inspect.signature(kind).parameters.values()
    return any(parameter.kind is parameter.VAR_POSITIONAL for parameter in given)


def _arguments(op: Op) -> list[str]:
    required = {f.name for f in fields(op) if f.default is MISSING and f.name != "ops"}
    parts = []
    for name, value in arguments(op).items():
        if name == "ops" and takes_ops(type(op)):
            parts += [repr(v) for v in value]
        else:
            parts.append(repr(value) if name in required else f"{name}={value!r}")
    return parts
