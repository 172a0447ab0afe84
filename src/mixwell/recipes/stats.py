"""Small-sample statistics: a mean or a paired difference with its Student t interval.

Seeds are few, so the normal distribution's 1.96 would be far too sure of itself: with three seeds
the factor is 4.30. The t distribution's integral is a finite sum where the degrees of freedom are
whole, so no tables and no SciPy are needed.

References:
    Student, "The Probable Error of a Mean", 1908.
    Abramowitz, Stegun, "Handbook of Mathematical Functions", 1964, formulas 26.7.3 and 26.7.4.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A mean and where the true one lies with the given confidence.

    Attributes:
        mean: of the sample.
        low: lower end; None with fewer than two values.
        high: upper end; None with fewer than two values.
        n: number of values.
        spread: sample standard deviation (divides by n - 1); None with fewer than two values.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    spread: float | None

    @property
    def half(self) -> float | None:
        """Half of the interval's width."""
        return None if self.high is None else self.high - self.mean


def interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """The mean with its Student t interval, for independent values.

    Args:
        values: at least one.
        level: confidence, 0 .. 1, both open.

    Raises:
        ValueError: no values, or an impossible level.
    """
    if not values:
        raise ValueError("interval needs at least one value, got none.")
    n, mean = len(values), statistics.fmean(values)
    if n == 1:
        return Interval(mean, None, None, 1, None)
    spread = statistics.stdev(values)
    half = t_quantile((1 + level) / 2, n - 1) * spread / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n, spread)


def paired(ours: Sequence[float], theirs: Sequence[float], level: float = 0.95) -> Interval:
    """How much `ours` exceed `theirs`, value by value: what both of a pair share cancels.

    Args:
        ours: one value for each seed.
        theirs: the baseline's, in the same order of seeds.
        level: confidence, 0 .. 1, both open.

    Raises:
        ValueError: the two differ in number, or are empty.
    """
    return interval([a - b for a, b in zip(ours, theirs, strict=True)], level)


def verdict(difference: Interval) -> str:
    """What a difference allows one to say.

    Returns:
        "better", "worse", "undecided" (the interval holds zero), "single" (one value, so no
        interval) or "constant" (the same in every seed, so there is no spread to judge by).
    """
    if difference.low is None or difference.high is None:
        return "single"
    if difference.spread == 0 and difference.mean != 0:
        return "constant"
    if difference.low <= 0 <= difference.high:
        return "undecided"
    return "better" if difference.mean > 0 else "worse"


def t_quantile(probability: float, freedom: int) -> float:
    """The value that a t-distributed number stays below with the given probability.

    Args:
        probability: 0.5 .. 1, the latter open.
        freedom: degrees of freedom, >= 1.

    Raises:
        ValueError: out of range.
    """
    if not 0.5 <= probability < 1 or freedom < 1:
        raise ValueError(
            "t_quantile needs a probability in 0.5 .. 1 and freedom >= 1, got "
            f"{probability} and {freedom}."
        )
    central = 2 * probability - 1
    low, high = 0.0, math.pi / 2
    for _ in range(80):  # bisection on the angle, down to the last bit
        middle = (low + high) / 2
        low, high = (middle, high) if _central(middle, freedom) < central else (low, middle)
    return math.sqrt(freedom) * math.tan((low + high) / 2)


def _central(angle: float, freedom: int) -> float:
    """P(-t < T < t) for t = sqrt(freedom) tan(angle)."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for k in range(1 + odd, freedom, 2):
        total += term
        term *= cosine * cosine * k / (k + 1)
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
