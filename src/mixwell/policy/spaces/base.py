"""A space: the named ops that an automatic policy draws from, and what a strength means for each.

"Magnitude 9" means different things in different libraries. Here a policy knows strengths t alone,
0 .. 1 for each image, and the space turns a strength into a physical level (degrees, px, factors)
and the level into a plan step. So one `RandAugment` serves all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mixwell.plan.steps import GEOMETRIC, Code, Edit, Interp
from mixwell.policy.base import Rows
from mixwell.policy.fields import Fill, fill_levels

LevelOf = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(t float64 [n], sign float64 [n] of -1 and 1, size_hw int32 [n, 2]) -> level float64 [n]."""

Build = Callable[[Rows, np.ndarray], Edit]
"""(rows, level float64 [n]) -> an edit of one slot; interpolation and fill are set later."""


@dataclass(frozen=True)
class Entry:
    """One op of a space.

    Attributes:
        level: what a strength means; unsigned ops do not look at the sign.
        build: the slot for a level.
        signed: whether the level takes its sign at random.
        unit: of the level, for tables that people read: "degrees", "px", "factor", "bits", ...
    """

    level: LevelOf
    build: Build
    signed: bool = False
    unit: str = ""


@dataclass(frozen=True)
class Space:
    """Named ops with their levels.

    Attributes:
        name: by which a policy refers to it.
        summary: whose it is and what is special about it.
        entries: the ops in the library's order.
        bins: how many magnitudes people count in this space, for tables that they read. What
            counts in a policy is its own number of bins.
        beyond: whether strengths above 1 have levels too.
    """

    name: str
    summary: str
    entries: dict[str, Entry]
    bins: int = 31
    beyond: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the ops, in order."""
        return tuple(self.entries)

    def slot(
        self, rows: Rows, names: tuple[str, ...], which: np.ndarray, t: np.ndarray, look: Look
    ) -> Edit:
        """One slot in which every row has its own op.

        Args:
            rows: the rows; "sign" and "interp" are drawn from them.
            names: ops to choose from.
            which: int64 [N], each row's place in `names`; -1 = nothing happens.
            t: float64 [N], strengths 0 .. 1.
            look: interpolation and fill of geometric ops.
        """
        sign = rows.draws.sign("sign")
        edit = Edit.nothing(rows.size_hw)
        for i, name in enumerate(names):
            chosen = np.flatnonzero(which == i)
            if not len(chosen):
                continue
            some, entry = rows.take(chosen), self.entries[name]
            level = entry.level(t[chosen], sign[chosen], some.size_hw)
            part = entry.build(some, level)
            edit.code[chosen], edit.param[chosen] = part.code, part.param
        look.apply(rows, edit)
        return edit


@dataclass(frozen=True)
class Look:
    """How geometric ops read between pixels and what they show outside the image.

    Attributes:
        interp: an interpolation, or "random": bilinear or bicubic, drawn for each op.
        fill: level(s), in the image's units.
    """

    interp: str
    fill: Fill

    def apply(self, rows: Rows, edit: Edit) -> None:
        """Set both where an edit of one slot moves pixels, and the fill where it erases."""
        moving = np.isin(edit.code[:, 0], GEOMETRIC)
        edit.fill[moving | (edit.code[:, 0] == Code.ERASE)] = fill_levels(self.fill)
        unfilled = (edit.code[:, 0] == Code.TV_WARP) & (not np.any(fill_levels(self.fill)))
        edit.param[unfilled, 0, 11] = 1.0  # torchvision's fill=None
        if self.interp == "random":
            cubic = rows.draws.bernoulli("interp", 0.5)
            chosen = np.where(cubic, Interp.BICUBIC, Interp.BILINEAR).astype(np.uint8)
            edit.interp[moving, 0] = chosen[moving]
        else:
            edit.interp[moving] = Interp[self.interp.upper()]
