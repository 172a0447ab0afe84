"""What some ops need besides a single step: rows multiplied, edited, and brought together again.

AugMix edits several copies of an image and adds them up; ResizeMix pastes a shrunken partner. Both
are a `Program`: a `Mix` that copies rows, an `Edit` of the copies, a `Mix` that gathers them. Every
other op is a program too, with two of the three doing nothing, so that programs can be chosen row
by row (`choose`) whatever they are made of.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mixwell.plan.steps import Edit, Mix, MixMode, select


@dataclass(frozen=True, eq=False)
class Program:
    """N rows become M copies, are edited, and become B outputs.

    Attributes:
        expand: N -> M, each output a copy of one row.
        edit: of the M copies.
        gather: M -> B.
    """

    expand: Mix
    edit: Edit
    gather: Mix

    @property
    def steps(self) -> tuple[Mix, Edit, Mix]:
        """The steps in order."""
        return self.expand, self.edit, self.gather

    def out_hw(self, in_hw: np.ndarray) -> np.ndarray:
        """Sizes of the outputs, int32 [B, 2]."""
        return self.gather.canvas_hw

    @classmethod
    def of(cls, step: Step, size_hw: np.ndarray, pool_hw: np.ndarray | None = None) -> Program:
        """A single step on rows of the given sizes as a program; `pool_hw`: see `Rows`."""
        if isinstance(step, Program):
            return step
        if isinstance(step, Edit):
            own = Mix.identity(size_hw, sources=1)
            return cls(own, step, Mix.identity(step.out_hw(size_hw)))
        pool_hw = size_hw if pool_hw is None else pool_hw
        return cls(Mix.identity(pool_hw, sources=1), Edit.nothing(pool_hw), step)

    def pruned(self) -> Program:
        """The same program without copies that no output shows."""
        used = self.gather.mode != MixMode.SKIP
        first = np.take_along_axis(self.gather.source, used.argmax(axis=1)[:, None], axis=1)
        shown = np.where(used, self.gather.source, first)
        needed, place = np.unique(shown, return_inverse=True)
        place = place.reshape(shown.shape).astype(np.int32)
        gather = replace(self.gather, source=place)
        return Program(self.expand.take(needed), self.edit.take(needed), gather)


Step = Edit | Mix | Program

_NO_CODE, _NO_FILL, _NO_KEY = np.uint8(0), np.float32(0), np.uint32(0)


def copies(size_hw: np.ndarray, rows: np.ndarray) -> Mix:
    """A mix whose outputs are copies of the given rows (int64 [M]) of sizes int32 [N, 2]."""
    mix = Mix.identity(size_hw[rows], sources=1)
    return replace(mix, source=np.asarray(rows, np.int32)[:, None])


def gated(edit: Edit, rows: np.ndarray, size_hw: np.ndarray) -> Edit:
    """An edit on the rows that are true (bool [N]), and nothing on the others, of these sizes."""
    one, wide = rows[:, None], rows[:, None, None]
    return Edit(
        code=np.where(one, edit.code, _NO_CODE),
        param=np.where(wide, edit.param, 0.0),
        size_hw=np.where(wide, edit.size_hw, size_hw[:, None]),
        interp=np.where(one, edit.interp, _NO_CODE),
        fill=np.where(wide, edit.fill, _NO_FILL),
        key=np.where(wide, edit.key, _NO_KEY),
    )


def choose(
    steps: list[Step], pick: np.ndarray, size_hw: np.ndarray, pool_hw: np.ndarray | None = None
) -> Step:
    """Row by row from one of several steps: row n undergoes steps[pick[n]].

    Args:
        steps: all for the same rows, one output for each row.
        pick: int64 [N].
        size_hw: int32 [N, 2], the rows' sizes.
        pool_hw: int32 [M, 2], sizes of all rows that mixes draw on, see `Rows`.

    Returns:
        A single step if all are of one kind, else a program.
    """
    kinds = {type(step) for step in steps}
    if len(kinds) == 1 and kinds != {Program}:
        return select(steps, pick)
    programs = [Program.of(step, size_hw, pool_hw) for step in steps]
    gathers, offset = [], 0
    for program in programs:
        source = (program.gather.source + offset).astype(np.int32)
        gathers.append(replace(program.gather, source=source))
        offset += program.expand.rows
    return Program(
        expand=Mix.stack([program.expand for program in programs]),
        edit=Edit.stack([program.edit for program in programs]),
        gather=select(gathers, pick),
    ).pruned()
