"""What the fields of ops may hold, and the errors that say so."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any, Literal

import numpy as np

from mixwell._errors import PolicyError

Fill = float | tuple[float, ...]
"""A level for all channels, or one for each, in the units of the image it meets."""

Span = float | tuple[float, float]
"""A range (low, high), or one number."""

InterpName = Literal["nearest", "bilinear", "bicubic"]


def need(op: object, holds: bool, rule: str, found: object) -> None:
    """Raise PolicyError(subject, rule, found value) unless the rule holds."""
    if not holds:
        raise PolicyError(f"{type(op).__name__}: {rule}, got {found!r}.")


def plain(value: Any) -> Any:
    """Lists as tuples and NumPy's numbers as Python's, so that ops hash, compare and print."""
    if isinstance(value, tuple | list):
        return tuple(plain(v) for v in value)
    return value.item() if isinstance(value, np.generic) else value


def check_common(op: Any) -> None:
    """Check the fields that mean the same in every op that has them."""
    for f in fields(op):
        value = getattr(op, f.name)
        if f.name == "interp":
            names = op.interps
            need(op, value in names, f"interp must be one of {', '.join(names)}", value)
        if f.name == "fill":
            need(
                op,
                is_fill(value),
                "fill must be a level, or one for each of 3 or 4 channels",
                value,
            )


def is_fill(value: object) -> bool:
    """Whether a value is a `Fill`."""
    levels = value if isinstance(value, tuple) else (value,)
    finite = (isinstance(v, int | float) and math.isfinite(v) for v in levels)
    return len(levels) in (1, 3, 4) and all(finite)


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


def fill_levels(fill: Fill) -> np.ndarray:
    """float32 [4] from one level or one for each channel."""
    levels = np.atleast_1d(np.asarray(fill, np.float32))
    return np.broadcast_to(levels, (4,)) if len(levels) == 1 else np.resize(levels, 4)
