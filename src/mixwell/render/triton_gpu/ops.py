"""An `Edit` as records: which ops a row keeps, and their numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixwell.plan.geometry import is_affine, is_lattice
from mixwell.plan.steps import Code, Edit, EraseUnits, EraseValue, Interp
from mixwell.render.tables import NORMAL_BITS, TABLES, USES_HISTOGRAM
from mixwell.render.triton_gpu import records
from mixwell.render.triton_gpu.records import Gather


def _among(*codes: Code) -> np.ndarray:
    """bool [256]: which codes are among these."""
    made = np.zeros(256, bool)
    made[list(codes)] = True
    return made


_IS_TABLE, _NEEDS_COUNTS = _among(*TABLES), _among(*USES_HISTOGRAM)
_GATHERS = _among(Code.WARP, Code.RESIZE, Code.SHARPNESS, Code.BLUR)
_FACTORS = _among(Code.SATURATION, Code.HUE, Code.SHARPNESS)
_ON_COLOUR = _among(Code.SATURATION, Code.HUE, Code.GRAYSCALE, Code.CHANNELS)
_COSTLY = _among(Code.RESIZE, Code.SHARPNESS, Code.BLUR, Code.HUE, Code.NOISE)
_FAR = _among(Code.SHARPNESS, Code.BLUR, Code.NOISE) | _ON_COLOUR


@dataclass(frozen=True, eq=False)
class Ops:
    """The ops of all rows, row by row; a run of tables is one op.

    Attributes:
        row: int64 [M].
        slot: int64 [M].
        code: uint8 [M]; of a run its first table's.
        kind: int64 [M], the `Gather` of an op that gathers, else LOAD.
        costly: bool [M], not to be done twice if that can be helped.
        run: int64 [M], which run it is, or -1.
        statistics: bool [M], runs that need a histogram.
        before_hw: int64 [M, 2], canvas in front of the op.
        steps: float64 [T, 2], codes and first parameters of all runs' tables.
        spans: int64 [R, 2], steps of each run, from and to.
        reach: what kernels must be able to do, see `kernels.gather`.
    """

    row: np.ndarray
    slot: np.ndarray
    code: np.ndarray
    kind: np.ndarray
    costly: np.ndarray
    run: np.ndarray
    statistics: np.ndarray
    before_hw: np.ndarray
    steps: np.ndarray
    spans: np.ndarray
    reach: int


def ops_of(edit: Edit, in_hw: np.ndarray, channels: int, stop: np.ndarray) -> Ops:
    """The ops of an edit that change something.

    Args:
        edit: what rows undergo.
        in_hw: int [N, 2], px.
        channels: 1, 3 or 4.
        stop: int64 [N], the slot at which each row ends.
    """
    before = np.concatenate([in_hw[:, None], edit.size_hw[:, :-1]], axis=1).astype(np.int64)
    live = (edit.code != Code.NOTHING) & (np.arange(edit.slots) < stop[:, None])
    live &= (edit.code != Code.SHARPNESS) | (before.min(axis=2) >= 3)
    if channels == 1:
        live &= ~_ON_COLOUR[edit.code]
    row, slot = np.nonzero(live)
    code = edit.code[row, slot]
    table = _IS_TABLE[code]
    joins = np.zeros(len(row), bool)
    joins[1:] = table[1:] & table[:-1] & (row[1:] == row[:-1])
    starts = table & ~joins
    run = np.cumsum(starts) - 1
    steps = np.column_stack([code, edit.param[row, slot, 0]])[table].astype(np.float64)
    first = (np.cumsum(table) - 1)[starts]
    spans = np.column_stack([first, np.append(first, len(steps))[1:]]).astype(np.int64)
    needs = np.bincount(run[_NEEDS_COUNTS[code]], minlength=len(first)) > 0
    keep = ~joins
    row, slot, code, table = row[keep], slot[keep], code[keep], table[keep]
    kind = _kinds(edit, row, slot, code)
    run = np.where(table, run[keep], -1)
    return Ops(
        row=row,
        slot=slot,
        code=code,
        kind=kind,
        costly=_COSTLY[code] | (kind == Gather.BICUBIC),
        run=run,
        statistics=table & (needs[run] if len(needs) else False),
        before_hw=before[row, slot],
        steps=steps,
        spans=spans,
        reach=_reach(edit, row, slot, kind),
    )


def _kinds(edit: Edit, row: np.ndarray, slot: np.ndarray, code: np.ndarray) -> np.ndarray:
    kind = np.zeros(len(row), np.int64)
    warps = np.flatnonzero(code == Code.WARP)
    at = row[warps], slot[warps]
    exact = is_lattice(edit.param[at][:, :9].reshape(-1, 3, 3))
    interp = np.where(exact, Interp.NEAREST, edit.interp[at])
    kind[warps] = Gather.NEAREST + interp
    for one, other in (
        (Code.RESIZE, Gather.RESIZE),
        (Code.SHARPNESS, Gather.SHARPNESS),
        (Code.BLUR, Gather.BLUR),
    ):
        kind[code == one] = other
    return kind


def _reach(edit: Edit, row: np.ndarray, slot: np.ndarray, kind: np.ndarray) -> int:
    code, param = edit.code[row, slot], edit.param[row, slot]
    if _FAR[code].any() or (kind == Gather.BICUBIC).any():
        return 3
    if (kind == Gather.RESIZE).any():
        return 2
    tilted = (code == Code.WARP) & ~is_affine(param[:, :9].reshape(-1, 3, 3))
    draws = (code == Code.ERASE) & (param[:, 4] != EraseValue.CONSTANT)
    between = kind == Gather.BILINEAR
    return int((tilted | draws | between | (code == Code.CLIP)).any())


def op_records(
    edit: Edit, ops: Ops, channels: int, tables: np.ndarray, taps: np.ndarray, blurs: np.ndarray
) -> np.ndarray:
    """int64 [M, OP]: see `records`.

    Args:
        edit: where the ops come from.
        ops: which they are.
        channels: 1, 3 or 4.
        tables: int64 [R], the table of each run.
        taps: int64 [Z, 4], of each RESIZE in order: see the record.
        blurs: int64 [Y, 2], of each BLUR.
    """
    made = np.zeros((len(ops.row), records.OP), np.int64)
    made[:, 0] = ops.code
    param, fill = edit.param[ops.row, ops.slot], edit.fill[ops.row, ops.slot]
    key, after = edit.key[ops.row, ops.slot], edit.size_hw[ops.row, ops.slot]
    moves = (ops.code == Code.WARP) | (ops.code == Code.CLIP)
    made[moves, 2], made[moves, 3:12] = records.fixed(
        param[moves, :9].reshape(-1, 3, 3), after[moves]
    )
    made[moves, 12] = records.fill_words(fill[moves], channels)
    made[moves, 13:15] = param[moves, 9:11]
    erases = ops.code == Code.ERASE
    made[erases, 2:6] = np.rint(param[erases, :4])
    made[erases, 6] = param[erases, 4]
    made[erases, 7] = records.fill_words(fill[erases], channels)
    noises = ops.code == Code.NOISE
    made[noises, 2] = np.rint(param[noises, 0] * (255 << NORMAL_BITS))
    made[erases | noises, 8:12] = key[erases | noises]
    made[ops.code == Code.RESIZE, 2:6] = taps
    made[ops.code == Code.BLUR, 2:4] = blurs
    in_runs = ops.run >= 0
    made[in_runs, 2] = tables[ops.run[in_runs]]
    exchanges = ops.code == Code.CHANNELS
    made[exchanges, 2:5] = param[exchanges, :3]
    factors = _FACTORS[ops.code]
    made[factors, 2] = records.float_bits(param[factors, 0])
    return made


def erasing_records(edit: Edit, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Erasings in float32 of some slots.

    Args:
        edit: what rows undergo.
        wanted: bool [N, K], slots that erase.

    Returns:
        int64 [E, ERASING], row by row, and int64 [N, 2], those of each row, from and to.
    """
    row, slot = np.nonzero(wanted & (edit.code == Code.ERASE))
    made = np.zeros((len(row), records.ERASING), np.int64)
    param, fill = edit.param[row, slot], edit.fill[row, slot]
    made[:, :4] = np.rint(param[:, :4])
    made[:, 4:6] = param[:, 4:6]
    made[:, 6:10] = edit.key[row, slot]
    whole = param[:, 5] != EraseUnits.NORMALIZED
    made[:, 10:14] = records.float_bits(np.where(whole[:, None], np.rint(fill), fill))
    edges = np.cumsum(np.append(0, np.bincount(row, minlength=edit.rows)))
    return made, np.column_stack([edges[:-1], edges[1:]])
