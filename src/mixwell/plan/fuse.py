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

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from mixwell.plan import geometry
from mixwell.plan.check import COORDINATE_LIMIT, SIDE_LIMIT
from mixwell.plan.steps import PARAMS, Code, Edit

_NOTHING, _WARP, _RESIZE, _CLIP = (
    int(c) for c in (Code.NOTHING, Code.WARP, Code.RESIZE, Code.CLIP)
)
_OPENS = np.isin(np.arange(256), (_WARP, _RESIZE))
_CLOSES = ~np.isin(np.arange(256), (_NOTHING, _WARP, _RESIZE))


def fuse_edit(edit: Edit, in_hw: np.ndarray) -> Edit:
    """The same edit with adjacent warps composed (see the module)."""
    if edit.slots < 2 or not _OPENS[edit.code].any():
        return edit
    resizes = bool((edit.size_hw != np.asarray(in_hw)[:, None]).any())
    opened = np.where(_OPENS[edit.code[:, 0]], 0, -1)
    run = _Run(edit.copy(), np.asarray(in_hw, np.int32), opened, resizes)
    for slot in range(1, edit.slots):
        run.visit(slot)
    return _without_idle_slots(run.edit, run.in_hw, resizes)


@dataclass
class _Run:
    """The edit being rewritten; `open` is the slot each row's next warp may join (-1: none), and
    `resizes` is false where no slot of any row changes the size."""

    edit: Edit
    in_hw: np.ndarray
    open: np.ndarray
    resizes: bool

    def visit(self, slot: int) -> None:
        code = self.edit.code[:, slot].copy()
        opens, closes = _OPENS[code], _CLOSES[code]
        meets = np.flatnonzero(opens & (self.open >= 0))
        pairs = 256 * code[meets].astype(np.int64) + self.edit.code[meets, self.open[meets]]
        for own, earlier, join in (
            (_WARP, _WARP, self._join_warps),
            (_RESIZE, _WARP, self._resize_takes_crop),
            (_WARP, _RESIZE, self._resize_takes_flip),
        ):
            rows = meets[pairs == 256 * own + earlier] if len(meets) else meets
            if len(rows):
                opens[rows[join(rows, slot)]] = False
        self.open[opens] = slot
        self.open[closes] = -1

    def _join_warps(self, rows: np.ndarray, slot: int) -> np.ndarray:
        e, first = self.edit, self.open[rows]
        at_a, at_b = rows * e.slots + first, rows * e.slots + slot
        a, b, out_hw = self._maps(at_a), self._maps(at_b), self._sizes(at_b)
        b_lattice = geometry.is_lattice(b)
        both = a @ b
        interp = e.interp.reshape(-1)
        fits = interp[at_a] == interp[at_b]
        a_lattice = fits if fits.all() else geometry.is_lattice(a)  # equal: either may be kept
        fits = (fits | a_lattice | b_lattice) & _representable(both, out_hw)
        for clips, between in self._clips(rows, first, slot):
            moved = self._matrix(rows[clips], between) @ b[clips]
            fits[clips] &= _representable(moved, out_hw[clips])
        if not fits.all():
            whole = (rows, first, at_a, at_b, a_lattice, b_lattice, b, both, out_hw)
            rows, first, at_a, at_b, a_lattice, b_lattice, b, both, out_hw = (
                array[fits] for array in whole
            )
        interp[at_a] = np.where(a_lattice, interp[at_b], interp[at_a])
        for clips, between in self._clips(rows, first, slot):
            moved = self._matrix(rows[clips], between) @ b[clips]
            e.param[rows[clips], between, :9] = moved.reshape(-1, 9)
        middle_hw = self._sizes(at_b - 1)
        self._resize_span(rows, first, slot, out_hw)
        covered = geometry.centres_inside(b, out_hw, middle_hw, b_lattice)
        param = e.param.reshape(-1, PARAMS)
        param[at_a, :9] = both.reshape(-1, 9)
        param[at_b, 9:11] = middle_hw
        param[at_b[covered]] = 0.0
        e.code.reshape(-1)[at_b] = np.where(covered, _NOTHING, _CLIP)
        return fits

    def _clips(
        self, rows: np.ndarray, first: np.ndarray, slot: int
    ) -> Iterator[tuple[np.ndarray, int]]:
        """The CLIPs between open warps and a slot: places in `rows`, and the slot they are in."""
        for between in range(1, slot):
            clips = (self.edit.code[:, between] == _CLIP)[rows] & (between > first)
            if clips.any():
                yield np.flatnonzero(clips), between

    def _resize_takes_crop(self, rows: np.ndarray, slot: int) -> np.ndarray:
        e, first = self.edit, self.open[rows]
        crop = self._matrix(rows, first)
        canvas_hw = self._before(rows, first)
        middle_hw = e.size_hw[rows, slot - 1]
        fits = geometry.is_lattice(crop) & (crop[:, 0, 1] == 0)
        fits &= geometry.centres_inside(crop, middle_hw, canvas_hw)
        # CLIPs behind the open warp mean that some of what the resize averages is fill.
        span = np.arange(e.slots)
        clips = (e.code[rows] == _CLIP) & (span > first[:, None]) & (span < slot)
        fits &= ~clips.any(axis=1)
        rows, first, crop = rows[fits], first[fits], crop[fits]
        box = e.param[rows, slot, :4].reshape(-1, 2, 2)
        e.param[rows, first] = 0.0
        e.param[rows, first, :4] = geometry.apply(crop, box).reshape(-1, 4)
        e.interp[rows, first] = e.interp[rows, slot]
        e.code[rows, first], e.code[rows, slot] = _RESIZE, _NOTHING
        self._resize_span(rows, first, slot, e.size_hw[rows, slot].copy())
        return fits

    def _resize_takes_flip(self, rows: np.ndarray, slot: int) -> np.ndarray:
        e = self.edit
        at = rows * e.slots + slot
        m = self._maps(at)
        fits = geometry.is_lattice(m)
        if not fits.any():
            return fits
        size_hw = self._sizes(at)
        fits &= (size_hw == self._sizes(at - 1)).all(axis=1)
        boxes = rows * e.slots + self.open[rows]
        param = e.param.reshape(-1, PARAMS)
        mirrors = []
        for axis in (0, 1):
            scale, start = m[:, axis, axis], m[:, axis, 2]
            mirrors.append((scale == -1) & (start == size_hw[:, 1 - axis]))
            fits &= mirrors[axis] | ((scale == 1) & (start == 0))
        for axis, mirror in enumerate(mirrors):
            where = boxes[fits & mirror]
            param[where, axis], param[where, axis + 2] = (
                param[where, axis + 2],
                param[where, axis],
            )
        e.code.reshape(-1)[at[fits]] = _NOTHING
        param[at[fits]] = 0.0
        return fits

    def _resize_span(
        self, rows: np.ndarray, first: np.ndarray, last: int, out_hw: np.ndarray
    ) -> None:
        """From its first slot on, the joined warp has the size of its last."""
        sizes = self.edit.size_hw
        for slot in range(int(first.min(initial=last)), last) if self.resizes else ():
            inside = np.flatnonzero(first <= slot)
            sizes[rows[inside], slot] = out_hw[inside]

    def _maps(self, at: np.ndarray) -> np.ndarray:
        """Matrices of slots counted through all rows."""
        return self.edit.param.reshape(-1, PARAMS).take(at, axis=0)[:, :9].reshape(-1, 3, 3)

    def _sizes(self, at: np.ndarray) -> np.ndarray:
        """Sizes after slots counted through all rows."""
        return self.edit.size_hw.reshape(-1, 2).take(at, axis=0)

    def _matrix(self, rows: np.ndarray, slot: np.ndarray | int) -> np.ndarray:
        return self.edit.param[rows, slot, :9].reshape(-1, 3, 3)

    def _before(self, rows: np.ndarray, slot: np.ndarray) -> np.ndarray:
        """Canvas before a slot."""
        earlier = self.edit.size_hw[rows, np.maximum(slot - 1, 0)]
        return np.where((slot == 0)[:, None], self.in_hw[rows], earlier)


def _representable(m: np.ndarray, out_hw: np.ndarray) -> np.ndarray:
    """bool [N]: the composed map still obeys the plan's limits over the whole output."""
    if _surely_near(m) and geometry.is_affine(m).all():
        return np.ones(len(m), bool)
    h, w = out_hw[:, 0], out_hw[:, 1]
    far = np.abs(m) @ np.stack([w, h, np.ones_like(w)], axis=-1).astype(np.float64)[..., None]
    scale = [m[:, 2, 0] * x + m[:, 2, 1] * y + m[:, 2, 2] for x in (0, w) for y in (0, h)]
    return (far[:, :2, 0] < COORDINATE_LIMIT).all(-1) & (np.min(scale, axis=0) > 1e-3)


def _surely_near(m: np.ndarray) -> bool:
    """Whether no side could be long enough to take these maps to the limit."""
    return bool(np.abs(m).max(initial=0.0) * 4 * SIDE_LIMIT < COORDINATE_LIMIT)


def _without_idle_slots(edit: Edit, in_hw: np.ndarray, resizes: bool) -> Edit:
    """Move each row's work to the front and drop the slots that no row uses."""
    busy = edit.code != _NOTHING
    count = busy.sum(axis=1)
    slots = max(int(count.max(initial=0)), 1)
    rank = 2 * np.arange(edit.rows)[:, None] + ~busy
    places = np.argsort(rank.reshape(-1), kind="stable").reshape(busy.shape)
    places = places[:, :slots].reshape(-1)
    arrays = {f.name: getattr(edit, f.name) for f in fields(edit)}
    packed = {
        name: array.reshape(-1, *array.shape[2:])
        .take(places, axis=0)
        .reshape(-1, slots, *array.shape[2:])
        for name, array in arrays.items()
    }
    last = in_hw
    for slot in range(slots if resizes else 0):
        resting = count <= slot
        last = np.where(resting[:, None], last, packed["size_hw"][:, slot])
        packed["size_hw"][:, slot] = last
    return Edit(**packed)
