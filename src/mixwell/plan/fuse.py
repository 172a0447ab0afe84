"""Composing adjacent warps, so that pixels are resampled once.

Two warps are composed when nothing but NOTHING stands between them and their interpolation is the
same, or one of them only moves whole pixels. The canvas between them is not forgotten: where the
second warp looked outside it, the output shows the second warp's fill. That becomes a CLIP behind
the composed warp, unless the second warp never looks outside. Later CLIPs win, so going back from
the output the first canvas that was left supplies its own fill, exactly as without fusing.

An antialiased RESIZE absorbs a flip behind it, and flips and crops (inside the canvas) before it;
never a rotation, which would change what is averaged.

Tone ops, filters and erasing end a run of warps: order is meaning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixwell.plan import geometry
from mixwell.plan.check import COORDINATE_LIMIT
from mixwell.plan.steps import Code, Edit


def fuse_edit(edit: Edit, in_hw: np.ndarray) -> Edit:
    """The same edit with adjacent warps composed (see the module)."""
    if edit.slots < 2 or not np.isin(edit.code, (Code.WARP, Code.RESIZE)).any():
        return edit
    run = _Run(edit.copy(), np.asarray(in_hw, np.int32), np.full(edit.rows, -1))
    for slot in range(edit.slots):
        run.visit(slot)
    return _without_idle_slots(run.edit, in_hw)


@dataclass
class _Run:
    """The edit being rewritten; `open` is the slot each row's next warp may join (-1: none)."""

    edit: Edit
    in_hw: np.ndarray
    open: np.ndarray

    def visit(self, slot: int) -> None:
        code = self.edit.code[:, slot].copy()
        has_open = self.open >= 0
        open_code = np.where(has_open, self.edit.code[np.arange(len(code)), self.open], 0)
        joined = np.zeros(len(code), bool)
        for mask, join in (
            ((code == Code.WARP) & (open_code == Code.WARP), self._join_warps),
            ((code == Code.RESIZE) & (open_code == Code.WARP), self._resize_takes_crop),
            ((code == Code.WARP) & (open_code == Code.RESIZE), self._resize_takes_flip),
        ):
            rows = np.flatnonzero(mask & has_open)
            if len(rows):
                joined[rows] = join(rows, slot)
        opens = np.isin(code, (Code.WARP, Code.RESIZE)) & ~joined
        closes = ~np.isin(code, (Code.NOTHING, Code.WARP, Code.RESIZE))
        self.open = np.where(opens, slot, np.where(closes, -1, self.open))

    def _join_warps(self, rows: np.ndarray, slot: int) -> np.ndarray:
        e, first = self.edit, self.open[rows]
        a, b = self._matrix(rows, first), self._matrix(rows, slot)
        a_lattice, b_lattice = geometry.is_lattice(a), geometry.is_lattice(b)
        both = a @ b
        fits = (e.interp[rows, first] == e.interp[rows, slot]) | a_lattice | b_lattice
        fits &= _representable(both, e.size_hw[rows, slot])
        for between in range(slot):
            clips = (between > first) & (e.code[rows, between] == Code.CLIP)
            moved = self._matrix(rows, between) @ b
            fits &= ~clips | _representable(moved, e.size_hw[rows, slot])
        rows, first, a_lattice, b, both = (v[fits] for v in (rows, first, a_lattice, b, both))
        middle_hw = e.size_hw[rows, slot - 1].copy()
        out_hw = e.size_hw[rows, slot].copy()
        e.param[rows, first, :9] = both.reshape(-1, 9)
        e.interp[rows, first] = np.where(a_lattice, e.interp[rows, slot], e.interp[rows, first])
        for between in range(slot):
            clips = (between > first) & (e.code[rows, between] == Code.CLIP)
            moved = self._matrix(rows, between) @ b
            e.param[rows[clips], between, :9] = moved[clips].reshape(-1, 9)
        self._resize_span(rows, first, slot, out_hw)
        covered = geometry.centres_inside(b, out_hw, middle_hw)
        e.code[rows, slot] = np.where(covered, Code.NOTHING, Code.CLIP)
        e.param[rows, slot, 9:11] = middle_hw
        e.param[rows[covered], slot] = 0.0
        return fits

    def _resize_takes_crop(self, rows: np.ndarray, slot: int) -> np.ndarray:
        e, first = self.edit, self.open[rows]
        crop = self._matrix(rows, first)
        canvas_hw = self._before(rows, first)
        middle_hw = e.size_hw[rows, slot - 1]
        fits = geometry.is_lattice(crop) & (crop[:, 0, 1] == 0)
        fits &= geometry.centres_inside(crop, middle_hw, canvas_hw)
        # CLIPs behind the open warp mean that some of what the resize averages is fill.
        span = np.arange(e.slots)
        clips = (e.code[rows] == Code.CLIP) & (span > first[:, None]) & (span < slot)
        fits &= ~clips.any(axis=1)
        rows, first, crop = rows[fits], first[fits], crop[fits]
        box = e.param[rows, slot, :4].reshape(-1, 2, 2)
        e.param[rows, first] = 0.0
        e.param[rows, first, :4] = geometry.apply(crop, box).reshape(-1, 4)
        e.interp[rows, first] = e.interp[rows, slot]
        e.code[rows, first], e.code[rows, slot] = Code.RESIZE, Code.NOTHING
        self._resize_span(rows, first, slot, e.size_hw[rows, slot].copy())
        return fits

    def _resize_takes_flip(self, rows: np.ndarray, slot: int) -> np.ndarray:
        e, first = self.edit, self.open[rows]
        m = self._matrix(rows, slot)
        h, w = np.moveaxis(e.size_hw[rows, slot], -1, 0)
        same = (e.size_hw[rows, slot] == e.size_hw[rows, slot - 1]).all(axis=1)
        mirror_x = (m[:, 0, 0] == -1) & (m[:, 0, 2] == w)
        mirror_y = (m[:, 1, 1] == -1) & (m[:, 1, 2] == h)
        keep_x = (m[:, 0, 0] == 1) & (m[:, 0, 2] == 0)
        keep_y = (m[:, 1, 1] == 1) & (m[:, 1, 2] == 0)
        fits = same & geometry.is_lattice(m) & (mirror_x | keep_x) & (mirror_y | keep_y)
        for axis, mirror in ((0, mirror_x), (1, mirror_y)):
            at, where = first[fits & mirror], rows[fits & mirror]
            low, high = e.param[where, at, axis].copy(), e.param[where, at, axis + 2].copy()
            e.param[where, at, axis], e.param[where, at, axis + 2] = high, low
        e.code[rows[fits], slot] = Code.NOTHING
        e.param[rows[fits], slot] = 0.0
        return fits

    def _resize_span(
        self, rows: np.ndarray, first: np.ndarray, last: int, out_hw: np.ndarray
    ) -> None:
        """From its first slot on, the joined warp has the size of its last."""
        for slot in range(last + 1):
            inside = slot >= first
            self.edit.size_hw[rows[inside], slot] = out_hw[inside]

    def _matrix(self, rows: np.ndarray, slot: np.ndarray | int) -> np.ndarray:
        return self.edit.param[rows, slot, :9].reshape(-1, 3, 3)

    def _before(self, rows: np.ndarray, slot: np.ndarray) -> np.ndarray:
        """Canvas before a slot."""
        earlier = self.edit.size_hw[rows, np.maximum(slot - 1, 0)]
        return np.where((slot == 0)[:, None], self.in_hw[rows], earlier)


def _representable(m: np.ndarray, out_hw: np.ndarray) -> np.ndarray:
    """bool [N]: the composed map still obeys the plan's limits over the whole output."""
    h, w = out_hw[:, 0], out_hw[:, 1]
    far = np.abs(m) @ np.stack([w, h, np.ones_like(w)], axis=-1).astype(np.float64)[..., None]
    scale = [m[:, 2, 0] * x + m[:, 2, 1] * y + m[:, 2, 2] for x in (0, w) for y in (0, h)]
    return (far[:, :2, 0] < COORDINATE_LIMIT).all(-1) & (np.min(scale, axis=0) > 1e-3)


def _without_idle_slots(edit: Edit, in_hw: np.ndarray) -> Edit:
    """Move each row's work to the front and drop the slots that no row uses."""
    idle = edit.code == Code.NOTHING
    order = np.argsort(idle, axis=1, kind="stable")
    slots = max(int((~idle).sum(axis=1).max(initial=0)), 1)
    rows = np.arange(edit.rows)[:, None]
    packed = edit.take((rows, order[:, :slots]))  # type: ignore[arg-type]
    sizes = packed.size_hw.copy()
    last = np.asarray(in_hw, np.int32)
    for slot in range(slots):
        resting = packed.code[:, slot] == Code.NOTHING
        sizes[resting, slot] = last[resting]
        last = sizes[:, slot]
    packed.size_hw[...] = sizes
    return packed
