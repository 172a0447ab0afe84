"""What may be done: ops are frozen dataclasses that run nothing but their own sampling.

An `EditOp` samples an `Edit` for all rows at once, a `MixOp` a `Mix`. Both see sizes and keys,
never pixels. Every op takes `p=`, the chance that it happens; a subclass says what it means for its
rows by `gate`. Concrete ops are final: variation is composition (`OneOf`, `Sometimes`, ...).
"""

from __future__ import annotations

import hashlib
import math
import operator
from abc import ABC, abstractmethod
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from mixwell._errors import PolicyError
from mixwell._rng import Draws, Keys
from mixwell.plan.check import SIDE_LIMIT
from mixwell.plan.plan import Plan
from mixwell.plan.steps import PARAMS, Code, Edit, Interp, Mix, select

OutSize = tuple[int, int] | Literal["uniform", "variable"]
"""What a policy says of its output size: one size; equal for equal inputs; or any."""

Fill = float | tuple[float, ...]
"""A level for all channels, or one for each, in the units of the image it meets."""

Span = float | tuple[float, float]
"""A range (low, high), or one number."""

InterpName = Literal["nearest", "bilinear", "bicubic"]


@dataclass(frozen=True)
class Rows:
    """What an op may look at while it samples: the rows' present sizes and its own draws."""

    size_hw: np.ndarray
    draws: Draws

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.size_hw)

    @property
    def keys(self) -> Keys:
        """The rows' keys."""
        return self.draws.keys

    def child(self, step: int | str) -> Rows:
        """The same rows for an op inside this one."""
        return Rows(self.size_hw, self.draws.child(step))

    def take(self, rows: np.ndarray) -> Rows:
        """Some of the rows."""
        return Rows(self.size_hw[rows], self.draws.take(rows))

    def resized(self, size_hw: np.ndarray) -> Rows:
        """The same rows with the sizes an earlier op gave them."""
        return Rows(size_hw, self.draws)


@dataclass(frozen=True, repr=False)
class Op(ABC):
    """Base of all ops.

    Attributes:
        p: chance that the op happens, 0 .. 1, drawn for each row.
    """

    p: float = field(default=1.0, kw_only=True)

    mixes: ClassVar[bool] = False
    """Whether the op combines rows (a `Mix`) instead of changing them one by one (an `Edit`)."""
    moves: ClassVar[bool] = False
    """Whether it can move pixels, so that labels of images mixed before may no longer match."""

    def __post_init__(self) -> None:
        """Make the fields plain and check them; called by dataclass after construction."""
        for f in fields(self):
            object.__setattr__(self, f.name, _plain(getattr(self, f.name)))
        good = isinstance(self.p, int | float) and 0.0 <= self.p <= 1.0
        need(self, good, "p must lie in 0 .. 1", self.p)
        _check_common(self)
        self.validate()

    def validate(self) -> None:  # noqa: B027  (optional hook)
        """Raise PolicyError when a field cannot mean anything."""

    @abstractmethod
    def sample(self, rows: Rows) -> Edit | Mix:
        """What the op does to every row when it happens."""

    def idle(self, rows: Rows) -> Edit | Mix:
        """What stands in the plan for rows to which it does not happen."""
        return Mix.identity(rows.size_hw) if self.mixes else Edit.nothing(rows.size_hw)

    def gate(self, rows: Rows) -> np.ndarray:
        """bool [N]: the rows to which it happens."""
        return rows.draws.bernoulli("whether", self.p)

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


class MixOp(Op):
    """An op that combines rows of the batch."""

    mixes = True

    @abstractmethod
    def sample(self, rows: Rows) -> Mix:
        """The mix of every row."""


def sample_op(op: Op, rows: Rows) -> Edit | Mix:
    """The op's step for all rows, with `p` taken into account."""
    if op.p == 0.0:
        return op.idle(rows)
    happens = op.gate(rows)
    if happens.all():
        return op.sample(rows)
    if not happens.any():
        return op.idle(rows)
    return select([op.idle(rows), op.sample(rows)], happens.astype(np.int64))


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
    """Whether an op keeps the size: of "uniform", only what it does to a known size can tell."""
    return after == size and (size != "uniform" or probed == _PROBE)


@dataclass(frozen=True, repr=False, init=False)
class Policy:
    """Ops in order: `Policy(RandomCrop(32, padding=4), HorizontalFlip(), CutMix())`.

    A policy draws nothing until `sample`; it prints as the code that builds it and round-trips
    through TOML (`to_toml`, `from_toml`).
    """

    ops: tuple[Op, ...]

    def __init__(self, *ops: Op) -> None:
        """Put ops in order."""
        for op in ops:
            if not isinstance(op, Op):
                raise PolicyError(
                    f"Policy takes ops as arguments, got {type(op).__name__}: {op!r}. "
                    "Write Policy(A(), B()), without a list."
                )
        object.__setattr__(self, "ops", tuple(ops))

    @property
    def has_mix(self) -> bool:
        """Whether any op combines rows."""
        return any(op.mixes for op in self.ops)

    @property
    def moves_after_mix(self) -> bool:
        """Whether a geometric op follows a mix, so that label shares no longer fit the pixels."""
        mixed = False
        for op in self.ops:
            if mixed and op.moves:
                return True
            mixed = mixed or op.mixes
        return False

    @property
    def out_size(self) -> OutSize:
        """What is known of the output size without any data."""
        size: OutSize = "uniform"
        for op in self.ops:
            size = chained_size(op, size)
        return size

    def sample(self, sizes_hw: np.ndarray, *, keys: Keys, seed: int = 0) -> Plan:
        """Decide what happens to each row of a batch.

        Args:
            sizes_hw: int [N, 2], height and width of each image, px.
            keys: who the rows are, see `Keys`.
            seed: 0 .. 2**64 - 1.

        Returns:
            The plan, not fused (see `Plan.fused`).

        Raises:
            PolicyError: sizes and keys differ in number, or an op cannot serve these rows; the
                message names the op.
        """
        sizes = _checked_sizes(sizes_hw)
        if len(sizes) != len(keys):
            raise PolicyError(
                f"Policy.sample needs a key for each image, got {len(sizes)} sizes "
                f"and {len(keys)} keys."
            )
        seed = operator.index(seed)
        rows = Rows(sizes, Draws(keys, seed))
        steps: list[Edit | Mix] = []
        for i, op in enumerate(self.ops):
            step = _sample_named(op, rows.child(i))
            if isinstance(step, Edit) and steps and isinstance(steps[-1], Edit):
                steps[-1] = Edit.chain([steps[-1], step])
            else:
                steps.append(step)
            rows = rows.resized(step.out_hw(rows.size_hw))
        return Plan(
            in_hw=sizes,
            steps=tuple(steps),
            inputs=keys.index,
            seed=seed,
            keys=keys,
            policy_digest=self.digest(),
        )

    def digest(self) -> str:
        """A fingerprint of the policy, the same wherever it is written the same."""
        return hashlib.blake2b(repr(self).encode(), digest_size=16).hexdigest()

    def to_toml(self) -> str:
        """The policy as TOML text."""
        from mixwell.policy.text import to_toml

        return to_toml(self)

    @classmethod
    def from_toml(cls, text: str) -> Policy:
        """Read what `to_toml` wrote: literal values only, nothing is evaluated."""
        from mixwell.policy.text import from_toml

        return from_toml(text)

    def __repr__(self) -> str:
        """The code that builds the policy."""
        return f"Policy({', '.join(map(repr, self.ops))})"


def _checked_sizes(sizes_hw: Any) -> np.ndarray:
    """int32 [N, 2] from whole numbers of px, 1 .. 65535."""
    sizes = np.array(sizes_hw).reshape(-1, 2)
    if sizes.size and sizes.dtype.kind not in "iu":
        raise PolicyError(f"Policy.sample needs sizes in whole px, got {sizes.dtype}.")
    if sizes.size and not (sizes.min() >= 1 and sizes.max() <= SIDE_LIMIT):
        span = f"{sizes.min()} .. {sizes.max()}"
        raise PolicyError(f"Policy.sample needs sides of 1 .. {SIDE_LIMIT} px, got {span}.")
    return sizes.astype(np.int32)


def _sample_named(op: Op, rows: Rows) -> Edit | Mix:
    try:
        return sample_op(op, rows)
    except PolicyError as error:
        if str(error).startswith(type(op).__name__):
            raise
        raise PolicyError(f"{type(op).__name__}: {error}") from None


def need(op: object, holds: bool, rule: str, found: object) -> None:
    """Raise PolicyError(subject, rule, found value) unless the rule holds."""
    if not holds:
        raise PolicyError(f"{type(op).__name__}: {rule}, got {found!r}.")


def _plain(value: Any) -> Any:
    """Lists as tuples and NumPy's numbers as Python's, so that ops hash, compare and print."""
    if isinstance(value, tuple | list):
        return tuple(_plain(v) for v in value)
    return value.item() if isinstance(value, np.generic) else value


def _check_common(op: Op) -> None:
    """Check the fields that mean the same in every op that has them."""
    for f in fields(op):
        value = getattr(op, f.name)
        if f.name == "interp":
            names = get_args(InterpName)
            need(op, value in names, f"interp must be one of {', '.join(names)}", value)
        if f.name == "fill":
            need(op, is_fill(value), "fill must be a level, or up to four of them", value)


def is_fill(value: object) -> bool:
    """Whether a value is a `Fill`."""
    levels = value if isinstance(value, tuple) else (value,)
    finite = (isinstance(v, int | float) and math.isfinite(v) for v in levels)
    return 1 <= len(levels) <= 4 and all(finite)


def span(value: Span, *, symmetric: bool = False) -> tuple[float, float]:
    """A range as (low, high); one number v means (v, v), or (-v, v) when symmetric."""
    if isinstance(value, tuple | list):
        low, high = value
        return float(low), float(high)
    return (-float(value) if symmetric else float(value)), float(value)


def need_span(op: object, name: str, value: Span, low: float, high: float) -> None:
    """Check that a `Span` field is ordered and inside the limits."""
    ends = value if isinstance(value, tuple) else (value, value)
    good = len(ends) == 2 and all(isinstance(v, int | float) for v in ends)
    need(op, good, f"{name} must be a number or (low, high)", value)
    a, b = span(value)
    need(op, low <= a <= b <= high, f"{name} must be ordered within {low} .. {high}", value)


def pair_of(size: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width); one number means a square."""
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def need_size(op: object, name: str, size: Any) -> None:
    """Check that a field is a side or (height, width) in px."""
    sides = size if isinstance(size, tuple) else (size,)
    whole = all(isinstance(v, int) and v >= 1 for v in sides) and len(sides) in (1, 2)
    need(op, whole, f"{name} must be px >= 1, or (height, width)", size)


def slot(
    rows: Rows,
    code: Code | np.ndarray,
    *params: np.ndarray | float,
    out_hw: np.ndarray | None = None,
    interp: InterpName = "nearest",
    fill: Fill = 0.0,
    key: np.ndarray | None = None,
) -> Edit:
    """An edit of one slot, the same code for all rows, a parameter an array [N] or a number."""
    edit = Edit.nothing(rows.size_hw if out_hw is None else out_hw)
    edit.code[:, 0] = code
    for i, value in enumerate(params):
        edit.param[:, 0, i] = value
    edit.interp[:, 0] = Interp[interp.upper()]
    edit.fill[:, 0] = fill_levels(fill)
    if key is not None:
        edit.key[:, 0] = key
    return edit


def warp(
    rows: Rows,
    dst_to_src: np.ndarray,
    *,
    out_hw: np.ndarray | None = None,
    interp: InterpName = "nearest",
    fill: Fill = 0.0,
) -> Edit:
    """A WARP slot from matrices float64 [N, 3, 3]."""
    columns = np.moveaxis(dst_to_src.reshape(-1, 9), 0, 1)
    return slot(rows, Code.WARP, *columns, out_hw=out_hw, interp=interp, fill=fill)


def fill_levels(fill: Fill) -> np.ndarray:
    """float32 [4] from one level or one for each channel."""
    levels = np.atleast_1d(np.asarray(fill, np.float32))
    return np.broadcast_to(levels, (4,)) if len(levels) == 1 else np.resize(levels, 4)


def arguments(op: Op) -> dict[str, Any]:
    """Fields of an op that differ from their defaults, or have none; `p` last."""
    out: dict[str, Any] = {}
    for f in sorted(fields(op), key=lambda f: f.name == "p"):
        value = getattr(op, f.name)
        if f.default is MISSING or value != f.default or type(value) is not type(f.default):
            out[f.name] = value
    return out


def _arguments(op: Op) -> list[str]:
    required = {f.name for f in fields(op) if f.default is MISSING and f.name != "ops"}
    parts = []
    for name, value in arguments(op).items():
        if name == "ops":
            parts += [repr(v) for v in value]
        else:
            parts.append(repr(value) if name in required else f"{name}={value!r}")
    return parts


assert PARAMS >= 11  # WARP and CLIP need nine entries and a canvas
