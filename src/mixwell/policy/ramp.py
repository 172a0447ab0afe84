"""Time as policies see it, and numbers that change with it.

The time travels with the keys, so whatever depends on it holds in persistent workers, on every rank
and after a resume. There are two clocks: "progress" (0 .. 1 over the whole training, moving with
every sample) and "epoch" (0, 1, 2, ..., standing still within an epoch).
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, final

import numpy as np

from mixwell._errors import PolicyError
from mixwell._rng import Keys
from mixwell.policy.fields import need, plain

ClockName = Literal["progress", "epoch"]


def need_times(op: object, start: float | None, stop: float | None, by: str) -> None:
    """Check a clock's name and two times on it; negative epochs count from the end."""
    need(op, by in ("progress", "epoch"), 'by must be "progress" or "epoch"', by)
    given = [v for v in (start, stop) if v is not None]
    if by == "epoch" and any(v < 0 for v in given):
        return
    top = 1.0 if by == "progress" else float("inf")
    low, high = start or 0.0, top if stop is None else stop
    rule = f"start and stop must be ordered within 0 .. {top:g} ({by})"
    need(op, 0 <= low <= high <= top, rule, (start, stop))


def now(keys: Keys, by: ClockName, subject: str) -> np.ndarray:
    """float64 [N]: what the clock shows for each row.

    Raises:
        PolicyError: the keys do not say how far the training is.
    """
    if by == "epoch":
        return np.full(len(keys), float(keys.epoch))
    if keys.progress is None:
        raise PolicyError(
            f'{subject}(by="progress") needs keys that know the progress of the training, got '
            "none. Take keys from a KeyedSampler(..., epochs=E), give Keys(progress=...), or "
            'schedule by="epoch".'
        )
    return np.asarray(keys.progress)


def time_of(value: float | None, keys: Keys, by: ClockName, subject: str) -> float | None:
    """A time on the clock; negative epochs are counted from the end of the training.

    Raises:
        PolicyError: a negative epoch, and the keys do not say how many there are.
    """
    if value is None or value >= 0 or by == "progress":
        return value
    return value + _epochs(keys, subject)


def _epochs(keys: Keys, subject: str) -> int:
    if keys.epochs is None:
        raise PolicyError(
            f"{subject} counts epochs from the end, and the keys do not say how many there are. "
            "Take keys from a KeyedSampler(..., epochs=E), or give Keys(epochs=...)."
        )
    return keys.epochs


@final
@dataclass(frozen=True, repr=False)
class Ramp:
    """A number that moves from `first` to `last` during training.

    `MixUp(p=Ramp(0.0, 1.0, stop=0.3))`, `RandAugment(magnitude=Ramp(5, 15))`. Before `start` it is
    `first`, from `stop` on it is `last`; where both are equal it jumps. Any op's `p` takes one, and
    `RandAugment`'s magnitude.

    Args:
        first: value up to `start`.
        last: value from `stop` on.
        start: time; None = the beginning.
        stop: time; None = the end (by epoch: the last epoch has `last`).
        by: clock, "progress" or "epoch"; negative epochs count from the end.
        shape: "linear", or "cosine" for a smooth start and end.

    Raises:
        PolicyError: times out of order; at sampling, keys that do not know the time.
    """

    first: float
    last: float
    start: float | None = None
    stop: float | None = None
    by: ClockName = "progress"
    shape: Literal["linear", "cosine"] = "linear"

    def __post_init__(self) -> None:
        """Make the fields plain and check them."""
        for f in fields(self):
            object.__setattr__(self, f.name, plain(getattr(self, f.name)))
        numbers = (self.first, self.last)
        need(self, all(isinstance(v, int | float) for v in numbers), "needs two numbers", numbers)
        need_times(self, self.start, self.stop, self.by)
        good = self.shape in ("linear", "cosine")
        need(self, good, 'shape must be "linear" or "cosine"', self.shape)

    def at(self, keys: Keys) -> np.ndarray:
        """float64 [N]: the value for each row."""
        time = now(keys, self.by, "Ramp")
        start = time_of(self.start, keys, self.by, "Ramp") or 0.0
        stop = time_of(self.stop, keys, self.by, "Ramp")
        if stop is None:
            stop = 1.0 if self.by == "progress" else max(_epochs(keys, "Ramp") - 1.0, 0.0)
        if start >= stop:
            part = (time >= start).astype(np.float64)
        else:
            part = np.clip((time - start) / (stop - start), 0.0, 1.0)
        if self.shape == "cosine":
            part = 0.5 - 0.5 * np.cos(np.pi * part)
        return self.first + part * (self.last - self.first)

    def __repr__(self) -> str:
        """The code that builds it."""
        parts = [repr(self.first), repr(self.last)]
        for f in fields(self)[2:]:
            if f.default is MISSING or getattr(self, f.name) != f.default:
                parts.append(f"{f.name}={getattr(self, f.name)!r}")
        return f"Ramp({', '.join(parts)})"


def number(value: float | Ramp, keys: Keys) -> Any:
    """A plain number as it is, a ramp as float64 [N]."""
    return value.at(keys) if isinstance(value, Ramp) else value


def need_number(op: object, name: str, value: Any, low: float, high: float) -> None:
    """Check that a number, or both ends of a ramp, lie within limits."""
    ends = (value.first, value.last) if isinstance(value, Ramp) else (value,)
    good = all(isinstance(v, int | float) and low <= v <= high for v in ends)
    need(op, good, f"{name} must lie in {low:g} .. {high:g}", value)
