"""A plan through the kernels: which rows go through which, with what memory.

Steps come in pairs of an edit and a mix. The last mix writes its outputs at once in their final
form, but for rows of which a later edit still changes pixels; everything before it is kept as
packed pixels.
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
from mixwell.render.numba_cpu import arguments, kernels
from mixwell.render.numba_cpu.finish import WORDS
from mixwell.render.numba_cpu.layout import (
    Words,
    empty_outputs,
    image_table,
    output_targets,
    targets_of,
)
from mixwell.render.numba_cpu.pool import share_out
from mixwell.render.numba_cpu.resize import room_for
from mixwell.render.numba_cpu.serve import erasing_kernels
from mixwell.render.reference.finish import Output
from mixwell.render.tables import blur_weights, normal_quantiles


def run(
    batch: Batch, plan: Plan, output: Output, out: Tensor | None = None
) -> Tensor | list[Tensor]:
    """All of a plan, as `reference.run.run`; into `out`, if it is given and not float64."""
    last = batch.numpy or output.memory_format == torch.channels_last
    channels = batch.images[0].shape[0]
    if out is not None and out.dtype != torch.float64:
        made, targets = out, output_targets(out, output)
    else:
        made, targets = empty_outputs(plan.out_hw, channels, output, last)
    work = _Work(channels, *arguments.normalising(output, channels, 255.0))
    pairs, tail = paired(plan)
    rows = _Rows(image_table(batch.images), packed=False)
    for edit, mix in pairs[:-1]:
        rows = work.mixed(mix, work.edited(edit, rows))
    if pairs:
        edit, mix = pairs[-1]
        loose = _first_loose(edit, len(rows.table))
        rows = work.edited(edit, rows, loose)
        direct = np.ones(mix.rows, bool)
        if tail is not None:
            direct = _only_erasing(tail) & output.dtype.is_floating_point
        work.finish_mix(mix, rows, edit, loose, np.flatnonzero(direct), targets)
        if tail is not None and direct.any():
            work.erase_outputs(tail, np.flatnonzero(direct), targets)
        some = np.flatnonzero(~direct)
        if len(some):
            assert tail is not None
            work.finish_edit(tail, work.mixed(mix, rows, some), some, targets)
    else:
        every = np.arange(len(plan))
        work.finish_edit(tail or Edit.nothing(plan.in_hw), rows, every, targets)
    if output.dtype == torch.float64:
        made = made.double() if isinstance(made, Tensor) else [m.double() for m in made]
    return made


def paired(plan: Plan) -> tuple[list[tuple[Edit | None, Mix]], Edit | None]:
    """Pairs of an edit and the mix behind it, and the edit behind the last mix."""
    pairs: list[tuple[Edit | None, Mix]] = []
    edit: Edit | None = None
    for step in plan.steps:
        if isinstance(step, Mix):
            pairs.append((edit, step))
            edit = None
        else:
            edit = step if edit is None else Edit.chain([edit, step])
    return pairs, edit


@dataclass
class _Rows:
    """Rows between two steps: int64 [N, 6], packed or as they came, and what holds them."""

    table: np.ndarray
    packed: bool
    words: Words | None = None


@dataclass
class _Work:
    """What all kernels of a call share."""

    channels: int
    scales: np.ndarray
    shifts: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    def _numbers(self) -> tuple[np.ndarray, ...]:
        return self.scales, self.shifts, self.mean, self.std, normal_quantiles()

    def edited(self, edit: Edit | None, rows: _Rows, slots: np.ndarray | None = None) -> _Rows:
        """Rows behind an edit, as words; of each row the first `slots` slots are done."""
        if edit is None:
            if rows.packed:
                return rows
            edit = Edit.nothing(rows.table[:, 4:])
        words = Words.empty(edit.out_hw(rows.table[:, 4:]))
        every = np.arange(edit.rows)
        self._edit(edit, rows, every, targets_of(words.table, WORDS), slots)
        return _Rows(words.table, True, words)

    def finish_edit(self, edit: Edit, rows: _Rows, todo: np.ndarray, targets: np.ndarray) -> None:
        """Some rows through an edit into their final form."""
        self._edit(edit, rows, todo, targets, _first_loose(edit, edit.rows))

    def _edit(
        self,
        edit: Edit,
        rows: _Rows,
        todo: np.ndarray,
        targets: np.ndarray,
        slots: np.ndarray | None,
    ) -> None:
        slots = np.full(edit.rows, edit.slots) if slots is None else slots
        area, room = _room(edit, rows.table[:, 4:])
        arrays = (*arguments.edit_arrays(edit), slots.astype(np.int64))
        numbers, blurs = self._numbers(), arguments.blurs(edit, blur_weights, np.int32)

        def work(first: int, last: int) -> None:
            scratch = lease(4 * (2 * area + room)).view(np.uint32)
            kernels.edit_rows(
                *(first, last, todo, rows.table, rows.packed),
                *(*arrays, blurs, self.channels),
                *(targets, *numbers, scratch, area),
            )

        share_out(work, len(todo))

    def mixed(self, mix: Mix, rows: _Rows, some: np.ndarray | None = None) -> _Rows:
        """Outputs of a mix, rounded to words; only some of them, if that is said."""
        words = Words.empty(mix.canvas_hw)
        todo = np.arange(mix.rows) if some is None else some
        self._mix(mix, rows, todo, targets_of(words.table, WORDS))
        return _Rows(words.table, True, words)

    def _mix(self, mix: Mix, rows: _Rows, todo: np.ndarray, targets: np.ndarray) -> None:
        area = int(mix.canvas_hw[todo].astype(np.int64).prod(axis=1).max(initial=1)) + 31 & ~15
        arrays, numbers = arguments.mix_arrays(mix), self._numbers()

        def work(first: int, last: int) -> None:
            scratch = lease(24 * area).view(np.uint32)
            kernels.mix_rows(
                *(first, last, todo, rows.table, *arrays, self.channels),
                *(targets, *numbers, scratch, area),
            )

        share_out(work, len(todo))

    def finish_mix(
        self,
        mix: Mix,
        rows: _Rows,
        edit: Edit | None,
        slots: np.ndarray,
        todo: np.ndarray,
        targets: np.ndarray,
    ) -> None:
        """Some outputs of the last mix in their final form; `slots`: see `_first_loose`."""
        if edit is None or (slots == edit.slots).all():
            self._mix(mix, rows, todo, targets)
            return
        loose = ((slots < edit.slots)[mix.source] & (mix.mode != MixMode.SKIP)).any(axis=1)
        self._mix(mix, rows, todo[~loose[todo]], targets)
        shown, area = todo[loose[todo]], _line(mix)
        if not len(shown):
            return
        arrays = (*arguments.mix_arrays(mix), *arguments.edit_arrays(edit), slots.astype(np.int64))
        numbers, kernel = self._numbers(), erasing_kernels().mix_loose_rows

        def work(first: int, last: int) -> None:
            scratch = lease(8 * area).view(np.uint32)
            kernel(
                *(first, last, shown, rows.table, *arrays, self.channels),
                *(targets, *numbers, scratch, area),
            )

        share_out(work, len(shown))

    def erase_outputs(self, edit: Edit, todo: np.ndarray, targets: np.ndarray) -> None:
        """Erasings behind the last mix."""
        busy = todo[(edit.code[todo] == Code.ERASE).any(axis=1)]
        if not len(busy):
            return
        arrays = (*arguments.edit_arrays(edit), np.zeros(edit.rows, np.int64))
        numbers, kernel = self._numbers(), erasing_kernels().erase_outputs

        def work(first: int, last: int) -> None:
            kernel(first, last, busy, *arrays, self.channels, targets, *numbers)

        share_out(work, len(busy))


def _first_loose(edit: Edit | None, rows: int) -> np.ndarray:
    """int64 [N]: the first slot that erases in normalised units, or the number of slots."""
    if edit is None:
        return np.zeros(rows, np.int64)
    found = normalized_erasing(edit)
    return np.where(found.any(axis=1), found.argmax(axis=1), edit.slots)


def normalized_erasing(edit: Edit) -> np.ndarray:
    """bool [N, K]: slots that erase in normalised units."""
    return (edit.code == Code.ERASE) & (edit.param[:, :, 5] == EraseUnits.NORMALIZED)


def _only_erasing(edit: Edit) -> np.ndarray:
    """bool [N]: rows in which nothing reads a pixel."""
    return ((edit.code == Code.NOTHING) | (edit.code == Code.ERASE)).all(axis=1)


def _line(mix: Mix) -> int:
    """Words of a line of scratch, a whole number of cache lines."""
    return int(mix.canvas_hw[:, 1].max(initial=1)) + 31 & ~15


def _room(edit: Edit, in_hw: np.ndarray) -> tuple[int, int]:
    """Words of a buffer and of further scratch that an edit needs."""
    sizes = edit.size_hw.astype(np.int64)
    area = max(int(sizes.prod(axis=2).max(initial=1)), arguments.entering_pixels(edit, in_hw))
    room = room_for(*arguments.resizes(edit))
    blurred, window = arguments.blurred(edit, in_hw)
    if len(blurred):
        height, width = blurred.T
        room = max(room, int((4 * (height + 2) * width + width).max()) + 8 * window + 16)
    return area + 79 & ~15, max(room, 3 * int(sizes[:, :, 1].max(initial=1))) + 64
