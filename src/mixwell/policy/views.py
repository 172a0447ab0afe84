"""Several views of each image in one batch, each with ops of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from mixwell.plan.steps import Edit, Mix
from mixwell.policy.base import CompoundOp, Op, OutSize, Rows, chained_size, sample_op
from mixwell.policy.compose import adopt
from mixwell.policy.fields import need
from mixwell.policy.program import Program, Step, copies


@final
@dataclass(frozen=True, repr=False, init=False)
class Views(CompoundOp):
    """`len(ops)` views of each image: a batch of N becomes len(ops) * N, view by view.

    `Views(Identity(), AugMix(), AugMix())` gives the clean images of the batch, then two augmented
    versions of all of them, as AugMix's consistency loss needs them (`jsd_loss`); so
    `images.chunk(3)` takes them apart. Labels are repeated likewise. Ops behind it treat each view
    as an image of its own; `OnViews` limits them to some of the views.

    Args:
        ops: one for each view; they change images one by one.

    Stands in a Policy itself, not inside another op.
    """

    ops: tuple[Op, ...]

    def __init__(self, *ops: Op) -> None:
        """Put views side by side."""
        object.__setattr__(self, "ops", tuple(ops))
        object.__setattr__(self, "p", 1.0)
        self.__post_init__()

    def validate(self) -> None:
        """Check the ops."""
        adopt(self, self.ops)
        need(self, not self.mixes, "ops must not mix images; put a mixer behind it", self.ops)
        object.__setattr__(self, "compound", True)
        object.__setattr__(self, "outputs", len(self.ops))

    def sample(self, rows: Rows) -> Program:
        """Every view's program, side by side."""
        parts = [sample_op(op, rows.child(f"view {i}")) for i, op in enumerate(self.ops)]
        programs = [Program.of(part, rows.size_hw) for part in parts]
        gathers, offset = [], 0
        for program in programs:
            moved = (program.gather.source + offset).astype(np.int32)
            gathers.append(replace(program.gather, source=moved))
            offset += program.expand.rows
        if all(isinstance(part, Edit) for part in parts):
            expand = copies(rows.size_hw, np.tile(np.arange(len(rows)), self.outputs))
        else:
            expand = Mix.stack([program.expand for program in programs])
        edit = Edit.stack([program.edit for program in programs])
        return Program(expand, edit, Mix.stack(gathers))

    def out_size(self, size: OutSize) -> OutSize:
        """The views' common size, if they have one."""
        sizes: set[OutSize] = {chained_size(op, size) for op in self.ops}
        return sizes.pop() if len(sizes) == 1 else "variable"


@final
@dataclass(frozen=True, repr=False)
class OnViews(Op):
    """An op for some of the views that `Views` made: `OnViews(RandomErasing(), views=(1, 2), of=3)`
    leaves the clean view alone.

    Args:
        op: the op.
        views: which views it is for, 0 .. of - 1.
        of: how many views there are.
    """

    op: Op
    views: tuple[int, ...]
    of: int

    def validate(self) -> None:
        """Check op and views."""
        adopt(self, (self.op,))
        need(self, self.of >= 2, "of must be at least 2, the number of views", self.of)
        good = len(self.views) > 0 and all(0 <= v < self.of for v in self.views)
        need(self, good, f"views must name some of 0 .. {self.of - 1}", self.views)

    def gate(self, rows: Rows) -> np.ndarray:
        """Rows of these views, with chance `p`."""
        return self._among(rows) & super().gate(rows)

    def awake(self, rows: Rows) -> bool:
        """Where there are rows of these views."""
        return super().awake(rows) and bool(self._among(rows).any())

    def sample(self, rows: Rows) -> Step:
        """The op's step."""
        return sample_op(self.op, rows.child("op"))

    def _among(self, rows: Rows) -> np.ndarray:
        """bool [N]: rows of these views."""
        return np.isin(rows.keys.copy % self.of, self.views)
