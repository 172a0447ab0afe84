"""A space's levels as a table that people read: what "magnitude 9" means, op by op."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixwell._errors import PolicyError
from mixwell.policy.spaces.base import Entry, Space

STRENGTHS = (0.0, 0.5, 1.0)
"""Strengths of the low, middle and high column."""


class Levels(NamedTuple):
    """The table: a line for each op with its name, its unit and a level for each magnitude."""

    title: str
    headings: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def levels(
    space: Space,
    magnitude: float | None = None,
    bins: int | None = None,
    size_hw: tuple[int, int] = (224, 224),
) -> Levels:
    """The levels of every op at low, middle and high strength, and at a magnitude if one is given.

    Args:
        space: where the ops and levels are from.
        magnitude: in bins, 0 .. bins - 1; beyond it where the space goes on.
        bins: number of bins that magnitudes count in; None = as is usual in the space.
        size_hw: height and width of the image, px; some translations go by it.

    Raises:
        PolicyError: a magnitude that the space does not have, fewer than 2 bins, sides below 1 px.
    """
    bins = space.bins if bins is None else bins
    height, width = size_hw
    for name, value, low in (("bins", bins, 2), ("height", height, 1), ("width", width, 1)):
        if value < low:
            raise PolicyError(f"Levels: {name} must be at least {low}, got {value}.")
    limit = 1e6 if space.beyond else bins - 1
    if magnitude is not None and not 0 <= magnitude <= limit:
        raise PolicyError(f"Levels: magnitude must lie in 0 .. {limit:g}, got {magnitude}.")
    shown = [v * (bins - 1) for v in STRENGTHS] + ([] if magnitude is None else [magnitude])
    t, headings = [v / (bins - 1) for v in shown], [f"m={v:g}" for v in shown]
    title = f"{space.name}: {space.summary}"
    counted = f"magnitudes of {bins} bins, images of {height} x {width} px"
    lines = tuple((name, e.unit, *_cells(e, t, size_hw)) for name, e in space.entries.items())
    return Levels(f"{title}\n{counted}", ("op", "unit", *headings), lines)


def as_text(table: Levels) -> str:
    """The table as plain text, a line for each op."""
    rows = (table.headings, *table.lines)
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.headings))]
    cells = (zip(row, widths, strict=True) for row in rows)
    lines = ("  ".join(f"{c:<{w}}" for c, w in row).rstrip() for row in cells)
    return "\n".join((table.title, "", *lines))


def _cells(entry: Entry, strengths: list[float], size_hw: tuple[int, int]) -> list[str]:
    if not entry.unit:
        return ["-"] * len(strengths)
    t, sizes = np.array(strengths), np.tile(np.array(size_hw, np.int32), (len(strengths), 1))
    low, high = (entry.level(t, np.full(len(t), sign), sizes).tolist() for sign in (-1.0, 1.0))
    return [_cell(a, b) for a, b in zip(low, high, strict=True)]


def _cell(low: float, high: float) -> str:
    """The level with either sign: one number, +-number, or both."""
    if low == high:
        return f"{high:.4g}"
    return f"+-{abs(high):.4g}" if low == -high else f"{low:.4g} or {high:.4g}"
