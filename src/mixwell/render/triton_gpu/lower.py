"""A plan as records and launches, without addresses: all that can be said before memory is there.

Each row becomes a chain of *passes*. A pass reads its place in one way (whole pixels, a warp, a
resize, a window), does the ops behind it pixel by pixel, and hands on. It must be written down only
in front of an op that looks at other pixels of it. The last pass of a row is not written at all:
whoever shows the row computes it, the mix and the final form in the same kernel; only costly passes
that several outputs show in full are written first. A statistic costs a pass that counts without
writing, unless what it counts is costly.

Places are numbered: the input rows, then the buffers that passes write.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixwell.plan.plan import Plan
from mixwell.plan.steps import Code, Edit, EraseUnits, Mix, MixMode
from mixwell.render.triton_gpu import records
from mixwell.render.triton_gpu.builder import Builder, Lowered, Shown
from mixwell.render.triton_gpu.ops import erasing_records


def lower(plan: Plan, channels: int, *, floating: bool) -> Lowered:
    """All launches of a plan.

    Args:
        plan: what to do, with at least one row and one output.
        channels: 1, 3 or 4.
        floating: whether outputs are.
    """
    made = Builder(channels, plan.in_hw)
    pairs, tail = paired(plan)
    rows, hw = np.arange(plan.rows), plan.in_hw.astype(np.int64)
    for edit, mix in pairs[:-1]:
        shown = _edited(made, edit, rows, hw)
        rows, hw = _to_words(made, mix, shown, np.arange(mix.rows)), _sizes(mix.canvas_hw)
    if not pairs:
        every = np.arange(len(plan))
        _finish_rows(made, tail or Edit.nothing(plan.in_hw), rows, hw, every)
        return made.done()
    edit, mix = pairs[-1]
    shown = _edited(made, edit, rows, hw)
    direct = np.ones(mix.rows, bool) if tail is None else _only_erasing(tail)
    some = np.flatnonzero(direct)
    if len(some):
        _finish_mix(made, mix.take(some), shown, some, tail, rounded=not floating)
    rest = np.flatnonzero(~direct)
    if len(rest):
        assert tail is not None
        rows = _to_words(made, mix.take(rest), shown, np.arange(len(rest)))
        _finish_rows(made, tail.take(rest), rows, _sizes(mix.canvas_hw[rest]), rest)
    return made.done()


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


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows that are shown next.

    Attributes:
        shown: their last passes.
        erasings: int64 [N, 2], erasings behind them in float32, from and to.
    """

    shown: Shown
    erasings: np.ndarray

    @property
    def loose(self) -> np.ndarray:
        """bool [N]: rows with such erasings."""
        return self.erasings[:, 1] > self.erasings[:, 0]


def _edited(made: Builder, edit: Edit | None, rows: np.ndarray, hw: np.ndarray) -> _Rows:
    """Rows behind an edit; from its first erasing in normalised units on, a row is loose."""
    edit = Edit.nothing(hw) if edit is None else edit
    stop = first_loose(edit)
    shown = made.edit(edit, rows, hw, stop)
    late = np.arange(edit.slots) >= stop[:, None]
    return _Rows(shown, made.erasings(*erasing_records(edit, late)))


def _to_words(made: Builder, mix: Mix, rows: _Rows, some: np.ndarray) -> np.ndarray:
    """Outputs of a mix as new places."""
    mix = mix.take(some)
    places = made.room(_sizes(mix.canvas_hw))
    outputs, reach = _output_records(made, mix, rows, rounded=True)
    first = made.outputs(outputs, places)
    made.finish(first + np.arange(mix.rows), mix.canvas_hw, reach, words=True)
    return places


def _finish_mix(
    made: Builder, mix: Mix, rows: _Rows, to: np.ndarray, tail: Edit | None, *, rounded: bool
) -> None:
    """Outputs of a mix in their final form, erasings behind it included."""
    outputs, reach = _output_records(made, mix, rows, rounded=rounded)
    if tail is not None:
        tail = tail.take(to)
        outputs[:, 8:10] = made.erasings(
            *erasing_records(tail, np.ones((tail.rows, tail.slots), bool))
        )
    first = made.outputs(outputs, -1 - to)
    shows_loose = (rows.loose[mix.source] & (mix.mode != MixMode.SKIP)).any(axis=1)
    for loose in (False, True):
        some = np.flatnonzero(shows_loose == loose)
        if len(some):
            made.finish(first + some, mix.canvas_hw[some], reach, loose=loose)


def _finish_rows(
    made: Builder, edit: Edit, rows: np.ndarray, hw: np.ndarray, to: np.ndarray
) -> None:
    """Rows through an edit into their final form."""
    behind = _edited(made, edit, rows, hw)
    mix = Mix.identity(edit.out_hw(hw), 1)
    plain = _Rows(behind.shown, np.zeros_like(behind.erasings))
    outputs, reach = _output_records(made, mix, plain, rounded=True)
    outputs[:, 8:10] = behind.erasings
    first = made.outputs(outputs, -1 - to)
    made.finish(first + np.arange(len(to)), mix.canvas_hw, reach)


def _output_records(
    made: Builder, mix: Mix, rows: _Rows, *, rounded: bool
) -> tuple[np.ndarray, int]:
    """int64 [B, OUTPUT]: outputs of a mix, where they go left open; and what kernels must do."""
    x0, y0, x1, y1 = np.moveaxis(mix.rect_px.astype(np.int64), 2, 0)
    used = (mix.mode != MixMode.SKIP) & (x1 > x0) & (y1 > y0)
    output, _ = np.nonzero(used)
    area = ((x1 - x0) * (y1 - y0))[used]
    row = mix.source[used]
    canvas = mix.canvas_hw.astype(np.int64).prod(axis=1)[output]
    weight = np.bincount(row, area / canvas, minlength=len(rows.erasings))
    passes, reach = made.settled(rows.shown, weight > 1.5)
    sources = np.zeros((len(row), records.SOURCE), np.int64)
    sources[:, 0], sources[:, 1] = passes[row], mix.mode[used]
    sources[:, 2] = mix.units()[used]
    sources[:, 3:7], sources[:, 7:9] = mix.rect_px[used], mix.offset_px[used]
    sources[:, 9:11] = rows.erasings[row]
    edges = made.sources(sources) + np.cumsum(np.append(0, used.sum(axis=1)))
    outputs = np.zeros((mix.rows, records.OUTPUT), np.int64)
    outputs[:, 4:6] = mix.canvas_hw
    outputs[:, 6], outputs[:, 7] = edges[:-1], edges[1:]
    outputs[:, 10] = records.fill_words(mix.fill, made.channels)
    outputs[:, 11] = rounded
    outputs[:, 14:18] = records.float_bits(mix.fill)
    if mix.mask is not None:
        height, width = mix.mask.shape[1:]
        outputs[:, 12] = made.mask(mix.mask) + 2 * height * width * np.arange(mix.rows)
        outputs[:, 13] = 2 * width
    return outputs, reach


def first_loose(edit: Edit) -> np.ndarray:
    """int64 [N]: the first slot that erases in normalised units, or the number of slots."""
    found = (edit.code == Code.ERASE) & (edit.param[:, :, 5] == EraseUnits.NORMALIZED)
    return np.where(found.any(axis=1), found.argmax(axis=1), edit.slots)


def _only_erasing(edit: Edit) -> np.ndarray:
    """bool [N]: rows in which nothing reads a pixel."""
    return ((edit.code == Code.NOTHING) | (edit.code == Code.ERASE)).all(axis=1)


def _sizes(hw: np.ndarray) -> np.ndarray:
    return hw.astype(np.int64)
