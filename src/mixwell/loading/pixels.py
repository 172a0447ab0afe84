"""From files to a rendered batch, in groups of rows, so that few decoded images exist at once.

A plan falls into a *head*, in which rows stay rows, and a *tail* that begins at the first Mix. The
head is rendered group by group, right after decoding, to uint8; the tail for the whole batch. A
plan without a Mix has no tail, and groups go straight into the batch. An erasing in normalised
units belongs to the tail, with all that follows it: from there on rows are no longer uint8.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch

from mixwell._errors import DataError
from mixwell.augment import Augment
from mixwell.decode import CHANNELS, Mode, decode
from mixwell.loading.sources import File
from mixwell.plan.plan import Plan
from mixwell.plan.reduced import checked_part, reduced, reduction
from mixwell.plan.steps import Code, Edit, EraseUnits, Mix
from mixwell.render import render
from mixwell.render.buffers import empty
from mixwell.render.images import torch_dtype

GROUP_BYTES = 12 * 2**20
"""Decoded bytes that one group of rows may need, about; a single image may need more."""
GROUP_ROWS = 16


def render_rows(
    images: Any, plan: Plan, augment: Augment, *, final: bool, stack: bool, out: Any = None
) -> Any:
    """Every rendering of the Loader's files: rows to uint8 (`final` false) or to what they become.

    Args:
        images: a list of tensors [C, H, W] or one tensor [N, C, H, W], uint8, which may lie in
            memory with the channels last.
        plan: a part of the batch's plan.
        augment: whose options hold.
        final: whether to normalise and convert.
        stack: one tensor, or a list.
        out: tensor [n, C, H, W] that takes the result; None: a new one.

    Returns:
        `out`, or the rows.
    """
    options: dict[str, Any] = {}
    if final:
        options = {"mean": augment.mean, "std": augment.std, "dtype": augment.dtype}
        options["memory_format"] = augment.memory_format
    if out is None:
        return render(images, plan, backend=augment.backend, stack=stack, **options)
    options = {**options, "memory_format": None, "dtype": out.dtype}  # said by `out`
    return render(images, plan, backend=augment.backend, out=out, **options)


@dataclass(frozen=True, eq=False)
class Work:
    """What is to be done to a batch of files.

    Attributes:
        files: N files that the plan reads.
        factor: int64 [N], by which each is decoded smaller.
        plan: for the images as they are decoded.
        head: the steps before rows meet, or all steps if they never do.
        tail: the other steps.
        mode: channels to decode.
        stack: whether the batch is one tensor.
        rows: where heads go: a tensor [N, C, H, W], or None where their sizes differ.
    """

    files: list[File]
    factor: np.ndarray
    plan: Plan
    head: tuple[Edit, ...]
    tail: tuple[Edit | Mix, ...]
    mode: Mode
    stack: bool
    rows: torch.Tensor | None

    def groups(self) -> list[np.ndarray]:
        """Rows that are decoded and rendered together, int64 each, in order."""
        need = self.plan.in_hw.astype(np.int64).prod(axis=1) * CHANNELS[self.mode]
        out, start, sum_bytes = [], 0, 0
        for row, size in enumerate(need.tolist()):
            if row > start and (sum_bytes + size > GROUP_BYTES or row - start == GROUP_ROWS):
                out.append(np.arange(start, row))
                start, sum_bytes = row, 0
            sum_bytes += size
        return [*out, np.arange(start, len(need))]

    def run(self, group: np.ndarray, augment: Augment) -> list[torch.Tensor] | None:
        """Decode and render a group; what `rows` cannot take is returned.

        A file that cannot be decoded says so in its `error`, and its group is not rendered.
        """
        known: dict[tuple[int, int], torch.Tensor | None] = {}
        images = [self._decoded(row, known) for row in group.tolist()]
        if any(image is None for image in images):
            return None
        if not self.head:
            if self.rows is None:
                return images  # type: ignore[return-value]
            for row, image in zip(group.tolist(), images, strict=True):
                self.rows[row].copy_(image)  # type: ignore[arg-type]
            return None
        part = checked_part(self.plan.in_hw[group], tuple(edit.take(group) for edit in self.head))
        out = None if self.rows is None else self.rows[int(group[0]) : int(group[-1]) + 1]
        made = render_rows(
            images, part, augment, final=not self.tail, stack=out is not None, out=out
        )
        return made if out is None else None

    def _decoded(self, row: int, known: dict) -> torch.Tensor | None:
        """An image [C, H, W]; copies of a sample (`RepeatedAugmentation`) share one."""
        file, denom = self.files[row], int(self.factor[row])
        who = file.index, denom
        if who not in known:
            known[who] = self._pixels(file, denom)
        return known[who]

    def _pixels(self, file: File, denom: int) -> torch.Tensor | None:
        try:
            pixels = decode(
                file.data, file.name, scale_denom=denom, mode=self.mode, header=file.header
            )
        except DataError as error:
            file.error = error
            return None
        if not pixels.flags.writeable:
            pixels = pixels.copy()
        return torch.from_numpy(pixels).movedim(-1, 0)

    def finished(self, parts: list[list[torch.Tensor] | None], augment: Augment) -> Any:
        """The batch, from what `run` returned for each group."""
        rows: Any = self.rows
        if rows is None:
            rows = [row for part in parts for row in part or ()]
        if not self.tail and self.head:
            return rows if self.stack else list(rows)
        sizes = self.head[-1].out_hw(self.plan.in_hw) if self.head else self.plan.in_hw
        rest = checked_part(sizes, self.tail)
        return render_rows(rows, rest, augment, final=True, stack=self.stack)


def work_for(
    files: list[File], plan: Plan, augment: Augment, *, mode: Mode, stack: bool, scaled: bool
) -> Work:
    """Decide how a planned batch of files is decoded and rendered.

    Args:
        files: N files with headers.
        plan: for whole images.
        augment: whose options hold.
        mode: channels to decode.
        stack: whether the batch becomes one tensor.
        scaled: whether files may be decoded smaller.
    """
    factor = np.ones(len(files), np.int64)
    if scaled:
        can = np.array([file.header is not None and file.header.scalable for file in files])
        factor = np.where(can, reduction(plan), factor)
        far = np.array([file.header.far_hw for file in files if file.header is not None])
        plan = reduced(plan, factor, far)
    head, tail = halves(plan)
    same = bool((plan.out_hw == plan.out_hw[:1]).all())
    if stack and not same:  # the renderer says what is wrong with that
        head, tail = (), plan.steps
    sizes = head[-1].out_hw(plan.in_hw) if head else plan.in_hw
    wanted = stack or tail
    rows = None
    if wanted and (sizes == sizes[:1]).all():
        rows = _room(len(files), CHANNELS[mode], sizes[0], augment, final=not tail and bool(head))
    return Work(files, factor, plan, head, tail, mode, stack, rows)


def _room(
    count: int, channels: int, size_hw: np.ndarray, augment: Augment, *, final: bool
) -> torch.Tensor:
    """An empty tensor for the heads of a batch; uint8 with the channels last, if not final."""
    height, width = size_hw.tolist()
    if not final:
        return empty(count, channels, height, width, torch.uint8, last=True)
    dtype = torch_dtype(augment.dtype)
    if dtype is None:
        dtype = torch.uint8 if augment.mean is None else torch.float32
    last = augment.memory_format == torch.channels_last
    return empty(count, channels, height, width, dtype, last=last)


def halves(plan: Plan) -> tuple[tuple[Edit, ...], tuple[Edit | Mix, ...]]:
    """Head and tail of a plan, see the module; a plan without a Mix is all head."""
    if not any(isinstance(step, Mix) for step in plan.steps):
        return plan.steps or (Edit.nothing(plan.in_hw),), ()  # type: ignore[return-value]
    head: list[Edit] = []
    for i, step in enumerate(plan.steps):
        if isinstance(step, Mix):
            return tuple(head), plan.steps[i:]
        units = step.param[..., 5] == EraseUnits.NORMALIZED
        columns = ((step.code == Code.ERASE) & units).any(axis=0)
        if columns.any():
            at = int(columns.argmax())
            head += [_slots(step, slice(0, at))] if at else []
            return tuple(head), (_slots(step, slice(at, None)), *plan.steps[i + 1 :])
        head.append(step)
    raise AssertionError("a plan with a Mix reaches it")


def _slots(edit: Edit, which: slice) -> Edit:
    """Some slots of an edit."""
    return replace(edit, **{f.name: getattr(edit, f.name)[:, which] for f in fields(Edit)})
