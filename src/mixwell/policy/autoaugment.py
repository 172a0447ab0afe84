"""AutoAugment: searched sub-policies, one drawn for each image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from mixwell.plan.steps import Edit
from mixwell.policy.auto import INTERPS, Noise, need_bins, need_noise, strengths
from mixwell.policy.base import EditOp, Rows
from mixwell.policy.fields import Fill, need
from mixwell.policy.spaces import Look, space
from mixwell.policy.tables import TABLES, Table
from mixwell.policy.tables_timm import TIMM_TABLES

_KNOWN = TABLES | TIMM_TABLES


@final
@dataclass(frozen=True, repr=False)
class AutoAugment(EditOp):
    """Each image undergoes one of a table's sub-policies (Cubuk et al. 2018, arXiv 1805.09501).

    A sub-policy is a few ops in order, each with a chance and a magnitude. `AutoAugment()` has the
    paper's table for ImageNet; a table of your own, or one that a search found, is written out:
    `AutoAugment(((("Posterize", 0.4, 8), ("Rotate", 0.6, 9)), (("Invert", 1.0, 0),)))`.

    Args:
        table: "imagenet", "cifar10", "svhn"; with space "timm" also timm's "original",
            "originalr", "v0", "v0r", "3a"; or a table: sub-policies of (op, chance, magnitude);
            ops without levels have magnitude 0, for TOML has no None.
        num_magnitude_bins: number of bins that magnitudes count in.
        interp: of the geometric ops, see `RandAugment`.
        fill: of the geometric ops, level(s) in image units.
        magnitude_std: noise of the magnitudes, see `RandAugment`.
        magnitude_max: noisy magnitudes are cut off here, bins; None = the last bin.
        space: what strengths mean, see `mixwell.policy.spaces`.

    The name does not say what a magnitude means: the paper's implementation, torchvision and timm
    give the same tables opposite levels. The native space has torchvision's, in which larger is
    always stronger; "mixwell-nonincreasing" with 11 bins has those of the first implementation.
    """

    table: str | Table = "imagenet"
    num_magnitude_bins: int = 10
    interp: str = "bilinear"
    fill: Fill = 0.0
    magnitude_std: Noise = 0.0
    magnitude_max: float | None = None
    space: str = "mixwell"
    moves = True
    interps = INTERPS

    def validate(self) -> None:
        """Check the table and the numbers."""
        need_bins(self)
        need_noise(self)
        if isinstance(self.table, str):
            need(
                self, self.table in _KNOWN, f"table must be one of {', '.join(_KNOWN)}", self.table
            )
        known = space(self.space).names
        need(self, isinstance(self.sub_policies, tuple), "table must be a tuple", self.table)
        need(self, len(self.sub_policies) > 0, "table needs a sub-policy", self.table)
        for sub in self.sub_policies:
            need(self, isinstance(sub, tuple) and len(sub) > 0, "a sub-policy needs an op", sub)
            for part in sub:
                shape = isinstance(part, tuple) and len(part) == 3
                need(self, shape, "a table holds (op, chance, magnitude)", part)
                name, chance, magnitude = part
                need(self, name in known, f"ops must be among {', '.join(known)}", name)
                good = isinstance(chance, int | float) and 0 <= chance <= 1
                need(self, good, f"the chance of {name} must lie in 0 .. 1", chance)
                top = self.num_magnitude_bins - 1
                good = isinstance(magnitude, int | float) and 0 <= magnitude <= top
                rule = f"the magnitude of {name} must lie in 0 .. {top} (0 where it has no levels)"
                need(self, good, rule, magnitude)

    @property
    def sub_policies(self) -> Table:
        """The table itself."""
        return _KNOWN[self.table] if isinstance(self.table, str) else self.table

    def sample(self, rows: Rows) -> Edit:
        """As many slots as the longest sub-policy has ops."""
        table, names = self.sub_policies, space(self.space).names
        drawn = rows.draws.integers("sub-policy", 0, len(table))
        parts, which, strength = [], [], []
        for k in range(max(len(sub) for sub in table)):
            column = [sub[k] if k < len(sub) else (names[0], 0.0, 0.0) for sub in table]
            place = np.array([names.index(name) for name, _, _ in column])[drawn]
            chance = np.array([chance for _, chance, _ in column])[drawn]
            magnitude = np.array([float(magnitude) for _, _, magnitude in column])[drawn]
            part = rows.child(k)
            parts.append(part)
            which.append(np.where(part.draws.bernoulli("whether", chance), place, -1))
            strength.append(strengths(self, part, magnitude))
        look = Look(self.interp, self.fill)
        return space(self.space).slots(parts, names, which, strength, look)
