"""A plan for float images through the kernels, as `mixwell.render.numba_cpu.run` for bytes.

Each step writes float32 planes for the next one, and the last one the outputs in their final form.
Rows that a step leaves alone stay where they are: a mix of images as they came reads those.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mixwell.plan.plan import Plan
from mixwell.plan.steps import Code, Edit, EraseUnits, Mix, MixMode
from mixwell.render.buffers import lease
from mixwell.render.images import Batch
from mixwell.render.numba_cpu import arguments
from mixwell.render.numba_cpu.floats import kernels
from mixwell.render.numba_cpu.floats.finish import FLOAT32
from mixwell.render.numba_cpu.floats.resize import room_for
from mixwell.render.numba_cpu.floats.tone import COLUMNS
from mixwell.render.numba_cpu.floats.warp import ROOM
from mixwell.render.numba_cpu.layout import (
    empty_outputs,
    image_table,
    output_targets,
    targets_of,
)
from mixwell.render.numba_cpu.pool import share_out
from mixwell.render.reference.finish import Output
from mixwell.render.tables import blur_kernel, normal_quantiles


def run(
    batch: Batch, plan: Plan, output: Output, out: Tensor | None = None
) -> Tensor | list[Tensor]:
    """All of a plan, as `reference.run.run`; into `out`, if it is given and not float64."""
    images = _single(batch.images)
    channels = images[0].shape[0]
    if out is not None and out.dtype != torch.float64:
        made, targets = out, output_targets(out, output)
    else:
        last = batch.numpy or output.memory_format == torch.channels_last
        made, targets = empty_outputs(plan.out_hw, channels, output, last)
    work = _Work(channels, *arguments.normalising(output, channels, 1.0))
    rows = _Rows(image_table(images), np.zeros(len(images), bool))
    steps = _steps(plan)
    for i, step in enumerate(steps[:-1]):
        following = steps[i + 1]
        final = None
        if isinstance(step, Mix) and isinstance(following, Edit) and i == len(steps) - 2:
            final = _idle(following)
        rows = work.between(step, rows, final, targets)
    work.finish(steps[-1], rows, targets)
    if output.dtype == torch.float64:
        made = made.double() if isinstance(made, Tensor) else [m.double() for m in made]
    return made


def _single(images: Tensor | list[Tensor]) -> Tensor | list[Tensor]:
    """The images in float32."""
    if isinstance(images, Tensor):
        return images.float()
    return [image.float() for image in images]


def _steps(plan: Plan) -> list[Edit | Mix]:
    """The plan's steps, neighbouring edits in one; at least one step."""
    steps: list[Edit | Mix] = []
    for step in plan.steps:
        before = steps[-1] if steps else None
        if isinstance(step, Edit) and isinstance(before, Edit):
            steps[-1] = Edit.chain([before, step])
        else:
            steps.append(step)
    return steps or [Edit.nothing(plan.in_hw)]


def _idle(step: Edit | Mix) -> np.ndarray:
    """bool [N]: rows that a step leaves alone."""
    if isinstance(step, Mix):
        return np.zeros(step.rows, bool)
    return (step.code == Code.NOTHING).all(axis=1)


@dataclass
class _Rows:
    """Rows between two steps.

    Attributes:
        table: int64 [N, 6], see `layout.image_table`.
        loose: bool [N], rows that may hold anything, behind an erasing in normalised units.
        done: bool [N], rows that are in their final form already, or None.
        memory: what holds them.
    """

    table: np.ndarray
    loose: np.ndarray
    done: np.ndarray | None = None
    memory: tuple[np.ndarray, ...] = ()


@dataclass
class _Work:
    """What all kernels of a call share."""

    channels: int
    scales: np.ndarray
    shifts: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    def between(
        self, step: Edit | Mix, rows: _Rows, final: np.ndarray | None, targets: np.ndarray
    ) -> _Rows:
        """Rows behind a step that is not the last one.

        Args:
            step: the step.
            rows: in front of it.
            final: bool [B], rows to be written to the outputs `targets` at once, or None.
            targets: int64 [B, 8].
        """
        size_hw = step.out_hw(rows.table[:, 4:])
        idle = _idle(step)
        table, memory = self._arena(size_hw, ~idle if final is None else ~final)
        table = np.where(idle[:, None], rows.table, table) if idle.any() else table
        places = targets_of(table, FLOAT32)
        if final is not None:
            places[final] = targets[final]
        loose = self._do(step, rows, np.flatnonzero(~idle), places)
        return _Rows(table, loose, final, (*rows.memory, memory))

    def finish(self, step: Edit | Mix, rows: _Rows, targets: np.ndarray) -> None:
        """The last step, into the outputs."""
        todo = np.arange(len(targets)) if rows.done is None else np.flatnonzero(~rows.done)
        self._do(step, rows, todo, targets)

    def _arena(self, size_hw: np.ndarray, used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A table of planes for some rows, and what holds them; for the others it is not to be
        used."""
        height, width = size_hw.astype(np.int64).T
        bytes_of = 4 * self.channels * height * width * used
        ends = np.cumsum(bytes_of)
        memory = lease(int(bytes_of.sum()) + 256)
        begin = memory.ctypes.data + ends - bytes_of
        columns = begin, 4 * height * width, 4 * width, np.full_like(width, 4), height, width
        return np.ascontiguousarray(np.column_stack(columns)), memory

    def _do(
        self, step: Edit | Mix, rows: _Rows, todo: np.ndarray, targets: np.ndarray
    ) -> np.ndarray:
        """Some rows of a step into their targets; which rows are loose behind it."""
        numbers = self.scales, self.shifts, self.mean, self.std, normal_quantiles()
        if isinstance(step, Mix):
            loose = (rows.loose[step.source] & (step.mode != MixMode.SKIP)).any(axis=1)
            area = 4 * int(step.canvas_hw.astype(np.int64).prod(axis=1).max(initial=1)) + 127 & ~63
            arrays, kernel, room = (*arguments.mix_arrays(step), loose), kernels.mix_rows, area
        else:
            units = step.param[:, :, 5] == EraseUnits.NORMALIZED
            loose = rows.loose | ((step.code == Code.ERASE) & units).any(axis=1)
            area, room = _room(step, rows.table[:, 4:], self.channels)
            blurs = arguments.blurs(step, blur_kernel, np.float32)
            arrays, kernel = (*arguments.edit_arrays(step), blurs), kernels.edit_rows

        def work(first: int, last: int) -> None:
            scratch = lease(2 * area + room + 64)
            address = scratch.ctypes.data + 63 & ~63
            kernel(
                *(first, last, todo, rows.table, *arrays, self.channels),
                *(targets, *numbers, address, area),
            )

        share_out(work, len(todo))
        return loose


def _room(edit: Edit, in_hw: np.ndarray, channels: int) -> tuple[int, int]:
    """Bytes of a buffer and of further scratch that an edit needs."""
    sizes = edit.size_hw.astype(np.int64)
    plane = max(int(sizes.prod(axis=2).max(initial=1)), arguments.entering_pixels(edit, in_hw))
    longest = int(max(sizes[:, :, 1].max(initial=1), in_hw[:, 1].max(initial=1)))
    room = room_for(*arguments.resizes(edit))
    words = max(room, 2 * plane, 1024, 2 * COLUMNS, ROOM * longest)
    blurred, window = arguments.blurred(edit, in_hw)
    if len(blurred):
        height, width = blurred.T
        words = max(words, int(((height + 1) * width).max()) + window)
    return 4 * channels * plane + 127 & ~63, 4 * words + 256
