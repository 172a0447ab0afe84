"""Erasing as a library does it; `mixwell.compat` builds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np

from mixwell.plan.steps import Edit, select
from mixwell.policy.base import EditOp, Rows
from mixwell.policy.erase import EraseWith, RandomErasing, UnitsName
from mixwell.policy.fields import need


@final
@dataclass(frozen=True, repr=False)
class TimmErasing(EditOp):
    """timm's RandomErasing with several rectangles (checked with 1.0.31; Zhong et al. 2017,
    arXiv 1708.04896).

    A number c of rectangles is drawn; each has 1 / c of the area it would have alone, and its own
    ten attempts. They may overlap. `RandomErasing` is the same with one rectangle.

    Args:
        count: fewest and most rectangles, 1 .. 64.
        scale: share of the area of all together, (low, high).
        ratio: height / width, (low, high), log-uniform.
        value: see `RandomErasing`.
        units: see `RandomErasing`; in timm "normalized".
        p: chance, 0.5 as in timm.
    """

    count: tuple[int, int] = (1, 1)
    scale: tuple[float, float] = (0.02, 1 / 3)
    ratio: tuple[float, float] = (0.3, 1 / 0.3)
    value: EraseWith = 0.0
    units: UnitsName = "normalized"
    p: float = field(default=0.5, kw_only=True)

    def validate(self) -> None:
        """Check the fields."""
        good = isinstance(self.count, tuple) and len(self.count) == 2
        good = good and all(isinstance(c, int) for c in self.count)
        good = good and 1 <= self.count[0] <= self.count[1] <= 64
        need(self, good, "count must be (fewest, most), whole within 1 .. 64", self.count)
        self._one(self.count[0])

    def sample(self, rows: Rows) -> Edit:
        """As many ERASE slots as there can be rectangles."""
        fewest, most = self.count
        count = rows.draws.integers("count", fewest, most + 1)
        slots = []
        for k in range(most):
            part = rows.child(k)
            ways = [self._one(c).sample(part) for c in range(fewest, most + 1)]
            pick = np.where(k < count, 1 + count - fewest, 0)
            slots.append(select([Edit.nothing(rows.size_hw), *ways], pick))
        return Edit.chain(slots)

    def _one(self, count: int) -> RandomErasing:
        """One of `count` rectangles."""
        low, high = self.scale
        scale = (low / count, high / count)
        return RandomErasing(scale, self.ratio, self.value, self.units, p=1.0)
