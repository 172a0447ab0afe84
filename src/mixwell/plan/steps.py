"""The two kinds of plan step, as plain arrays, and the closed set of codes an `Edit` may hold.

Frame: coordinates are continuous, the pixel in column 0 and row 0 covers [0, 1) x [0, 1), and a
matrix maps a point of the output to the point of the input it shows (`dst_to_src`).

| code         | param                                                                  |
| ------------ | ---------------------------------------------------------------------- |
| WARP         | 0..8 `dst_to_src` row by row; sampled at points, outside is `fill`      |
| RESIZE       | 0..3 source box x0 y0 x1 y1, px; antialiased; x0 > x1 mirrors, y too    |
| CLIP         | 0..8 `dst_to_canvas`, 9..10 canvas height and width; outside is `fill`  |
| BRIGHTNESS, CONTRAST, SATURATION, SHARPNESS | 0 factor, 1 = unchanged         |
| HUE          | 0 shift in turns, -0.5 .. 0.5                                          |
| POSTERIZE    | 0 bits kept, 0 .. 8                                                    |
| SOLARIZE     | 0 threshold on the 8-bit scale; levels >= it are inverted               |
| NOTHING, INVERT, AUTOCONTRAST, EQUALIZE, GRAYSCALE | none                     |
| CHANNELS     | 0..2 the channel that red, green and blue show; a permutation of 0 1 2 |
| BLUR         | 0 sigma px, 1 kernel size px (odd)                                     |
| NOISE        | 0 standard deviation as a fraction of the full range                   |
| ERASE        | 0..3 rectangle x0 y0 x1 y1 px, 4 `EraseValue`, 5 `EraseUnits`           |

Codes of profiles do what one library does, to the last bit; they are never fused. `PIL_` is Pillow,
`TV_` torchvision's tensor path; where a library does what a native code does, it has no code.

| code         | param                                                                  |
| ------------ | ---------------------------------------------------------------------- |
| PIL_WARP     | 0..8 `dst_to_src`, affine                                              |
| TV_WARP      | 0..8 `dst_to_src`, affine; 9..10 its translation about the image's centre; |
|              | 11: 1 if no fill was given (zeros are then blended in at the border)   |
| PIL_CONTRAST, TV_BRIGHTNESS, TV_CONTRAST, TV_SATURATION, TV_SHARPNESS | 0 factor      |
| TV_AUTOCONTRAST | none                                                                |
| SOLARIZE_ADD | 0 levels added (8-bit scale) to those below 1, a threshold             |
| PIL_BLUR     | 0 radius px of Pillow's GaussianBlur                                   |

`CLIP` is left by fusing: what falls outside an intermediate canvas takes the fill of its warp.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import IntEnum
from itertools import pairwise
from typing import Any

import numpy as np

from mixwell.plan.cover import Cover, cell_sums, cover
from mixwell.plan.merge import merged

PARAMS = 12
"""Number of float64 parameters in each slot."""

WEIGHT_ONE = 1 << 16
"""Mixing weights are whole multiples of 1 / WEIGHT_ONE, for pixels and for labels alike."""

MASK_ONE = 1 << 15
"""Masks are whole multiples of 1 / MASK_ONE: half of WEIGHT_ONE, so that one fits in uint16."""


class Code(IntEnum):
    """What a slot of an `Edit` does to its row."""

    NOTHING = 0
    WARP = 1
    RESIZE = 2
    CLIP = 3
    PIL_WARP = 4
    TV_WARP = 5
    BRIGHTNESS = 10
    CONTRAST = 11
    SATURATION = 12
    HUE = 13
    SHARPNESS = 14
    POSTERIZE = 15
    SOLARIZE = 16
    INVERT = 17
    AUTOCONTRAST = 18
    EQUALIZE = 19
    GRAYSCALE = 20
    CHANNELS = 21
    BLUR = 30
    NOISE = 31
    ERASE = 32
    PIL_CONTRAST = 40
    SOLARIZE_ADD = 41
    PIL_BLUR = 42
    TV_BRIGHTNESS = 50
    TV_CONTRAST = 51
    TV_SATURATION = 52
    TV_SHARPNESS = 53
    TV_AUTOCONTRAST = 54


WARPS = (Code.WARP, Code.PIL_WARP, Code.TV_WARP)
"""Codes whose parameters 0..8 are `dst_to_src` and whose slot may have a new size."""

GEOMETRIC = (*WARPS, Code.RESIZE, Code.CLIP)
"""Codes that move pixels."""


class Interp(IntEnum):
    """How a WARP or a RESIZE reads between pixels."""

    NEAREST = 0
    BILINEAR = 1
    BICUBIC = 2


class EraseValue(IntEnum):
    """What an ERASE writes."""

    CONSTANT = 0  # the slot's fill
    CHANNEL = 1  # one random colour
    PIXEL = 2  # random pixels


class EraseUnits(IntEnum):
    """Where an ERASE's values live."""

    INPUT = 0  # the image's own units; random values are uniform over its range
    NORMALIZED = 1  # after (x - mean) / std; random values are standard normal


class MixMode(IntEnum):
    """How a source of a `Mix` enters the canvas."""

    SKIP = 0
    PASTE = 1
    ADD = 2
    MASK = 3  # ADD with the row's mask as weight
    UNMASK = 4  # ADD with one minus the mask


@dataclass(frozen=True, eq=False)
class Edit:
    """Rows stay rows: what each row undergoes, slot by slot.

    Attributes:
        code: uint8 [N, K], see `Code`.
        param: float64 [N, K, 12], see the module's table.
        size_hw: int32 [N, K, 2], the canvas after each slot, px.
        interp: uint8 [N, K], see `Interp`.
        fill: float32 [N, K, 4], per channel, in the units of the image it meets
            (0..255 for uint8, 0..1 for floats, 0..65535 for uint16).
        key: uint32 [N, K, 4], the key of pixel noise.
    """

    code: np.ndarray
    param: np.ndarray
    size_hw: np.ndarray
    interp: np.ndarray
    fill: np.ndarray
    key: np.ndarray

    @classmethod
    def nothing(cls, size_hw: np.ndarray, slots: int = 1) -> Edit:
        """An edit that leaves rows of the given sizes (int32 [N, 2]) alone."""
        n = len(size_hw)
        return cls(
            code=np.zeros((n, slots), np.uint8),
            param=np.zeros((n, slots, PARAMS)),
            size_hw=np.repeat(np.asarray(size_hw, np.int32)[:, None], slots, axis=1),
            interp=np.zeros((n, slots), np.uint8),
            fill=np.zeros((n, slots, 4), np.float32),
            key=np.zeros((n, slots, 4), np.uint32),
        )

    @property
    def rows(self) -> int:
        """Number of rows, N."""
        return self.code.shape[0]

    @property
    def slots(self) -> int:
        """Number of slots, K."""
        return self.code.shape[1]

    def out_hw(self, in_hw: np.ndarray) -> np.ndarray:
        """Sizes after the last slot, int32 [N, 2]."""
        return self.size_hw[:, -1]

    def take(self, rows: np.ndarray) -> Edit:
        """The same edit for some of the rows."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def copy(self) -> Edit:
        """An edit with arrays of its own, for building new edits."""
        return replace(self, **{f.name: getattr(self, f.name).copy() for f in fields(self)})

    @staticmethod
    def chain(edits: list[Edit]) -> Edit:
        """One edit that does the given ones in order (same rows)."""
        return _joined(edits, axis=1)

    @staticmethod
    def stack(edits: list[Edit]) -> Edit:
        """One edit whose rows are those of the given ones, slots padded with NOTHING."""
        slots = max(e.slots for e in edits)
        return _joined([e.padded(slots) for e in edits], axis=0)

    def padded(self, slots: int) -> Edit:
        """The same edit with NOTHING slots appended."""
        if slots == self.slots:
            return self
        last = self.size_hw[:, -1]
        return Edit.chain([self, Edit.nothing(last, slots - self.slots)])

    def where(self, rows: np.ndarray, in_hw: np.ndarray) -> Edit:
        """The same edit on the rows that are true (bool [N]) and nothing on the others."""
        idle = Edit.nothing(in_hw, self.slots)
        return select([idle, self], rows.astype(np.int64))


@dataclass(frozen=True, eq=False)
class Mix:
    """N rows become B: how rows combine on a canvas.

    The canvas starts at `fill`; sources are drawn in order. PASTE replaces what is inside its
    rectangle; ADD adds weight times pixel inside its rectangle; MASK and UNMASK add pixels weighted
    by the row's mask m, or by 1 - m. The source pixel shown at canvas point (x, y) is
    (x, y) - offset. Nothing is resampled.

    Attributes:
        source: int32 [B, S], rows of the step's input.
        mode: uint8 [B, S], see `MixMode`.
        weight: float32 [B, S], 0 .. 1; used rounded to 1/65536; 1 for MASK and UNMASK.
        rect_px: int32 [B, S, 4], x0 y0 x1 y1 on the canvas.
        offset_px: int32 [B, S, 2], x and y.
        canvas_hw: int32 [B, 2].
        fill: float32 [B, 4], in the image's units.
        mask: uint16 [B, H, W] in 1/32768, H x W the largest canvas of the rows that have a MASK or
            UNMASK, 0 in other rows and outside the canvas; None where no row has one.
        label: float32 [B, S], what labels say instead of what is seen, a row summing to 1, or -1
            in a row whose labels are true; None where all are. Wrong on purpose: it serves to copy
            what other libraries do, and `preview --check` reports it.
    """

    source: np.ndarray
    mode: np.ndarray
    weight: np.ndarray
    rect_px: np.ndarray
    offset_px: np.ndarray
    canvas_hw: np.ndarray
    fill: np.ndarray
    mask: np.ndarray | None = None
    label: np.ndarray | None = None

    @classmethod
    def identity(cls, size_hw: np.ndarray, sources: int = 2) -> Mix:
        """A mix in which each row stays as it is, with room for more sources."""
        n = len(size_hw)
        size_hw = np.asarray(size_hw, np.int32)
        source = np.repeat(np.arange(n, dtype=np.int32)[:, None], sources, axis=1)
        mode = np.zeros((n, sources), np.uint8)
        weight = np.zeros((n, sources), np.float32)
        rect = np.zeros((n, sources, 4), np.int32)
        mode[:, 0], weight[:, 0] = MixMode.ADD, 1.0
        rect[:, 0, 2], rect[:, 0, 3] = size_hw[:, 1], size_hw[:, 0]
        offset = np.zeros((n, sources, 2), np.int32)
        return cls(source, mode, weight, rect, offset, size_hw, np.zeros((n, 4), np.float32))

    @property
    def rows(self) -> int:
        """Number of outputs, B."""
        return self.source.shape[0]

    def out_hw(self, in_hw: np.ndarray) -> np.ndarray:
        """Sizes of the outputs, int32 [B, 2]."""
        return self.canvas_hw

    @property
    def masked(self) -> np.ndarray:
        """bool [B, S]: sources that are drawn through the mask."""
        return (self.mode == MixMode.MASK) | (self.mode == MixMode.UNMASK)

    def take(self, rows: np.ndarray) -> Mix:
        """The same mix for some of the outputs; `source` still counts in all input rows."""
        arrays: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        taken: dict[str, Any] = {k: v if v is None else v[rows] for k, v in arrays.items()}
        return Mix(**taken).tidy()

    def tidy(self) -> Mix:
        """The same mix with mask and label as small as can be, so that equal work looks equal."""
        mask, label = self.mask, self.label
        if mask is None and label is None:
            return self
        if mask is not None:
            need = self.masked.any(axis=1)
            h, w = self.canvas_hw[need].max(axis=0, initial=0)
            mask = np.ascontiguousarray(mask[:, :h, :w]) if need.any() else None
        if label is not None and not (label >= 0).any():
            label = None
        return replace(self, mask=mask, label=label)

    @staticmethod
    def stack(mixes: list[Mix]) -> Mix:
        """One mix whose outputs are those of the given ones, sources padded with SKIP."""
        most = max(m.source.shape[1] for m in mixes)
        mixes = [m.padded(most) for m in mixes]
        edges = np.cumsum([0] + [m.rows for m in mixes]).tolist()
        places = [np.arange(a, b) for a, b in pairwise(edges)]
        parts = [(m, np.arange(m.rows), at) for m, at in zip(mixes, places, strict=True)]
        return merged(parts, edges[-1])

    def padded(self, sources: int) -> Mix:
        """The same mix with SKIP sources appended."""
        more = sources - self.source.shape[1]
        if more == 0:
            return self

        def grow(array: np.ndarray) -> np.ndarray:
            return np.pad(array, [(0, 0), (0, more)] + [(0, 0)] * (array.ndim - 2))

        wide = ("source", "mode", "weight", "rect_px", "offset_px")
        label = self.label
        if label is not None:
            label = np.where(label[:, :1] < 0, np.float32(-1), grow(label))
        return replace(self, **{name: grow(getattr(self, name)) for name in wide}, label=label)

    def units(self) -> np.ndarray:
        """int64 [B, S]: the whole weights in 1/65536 that both pixels and labels use; a mask,
        where there is one, multiplies them."""
        units = np.rint(self.weight.astype(np.float64) * WEIGHT_ONE).astype(np.int64)
        units = np.where(self.mode == MixMode.PASTE, WEIGHT_ONE, units)
        return np.where(self.mode == MixMode.SKIP, 0, units)

    def cover(self) -> Cover:
        """Where each source counts, in cells."""
        used, paste = self.mode != MixMode.SKIP, self.mode == MixMode.PASTE
        return cover(self.rect_px, used, paste, self.canvas_hw)

    def visible_px(self) -> np.ndarray:
        """int64 [B, S]: pixels in which each source counts, later pastes taken away."""
        cells = self.cover()
        return (cells.seen * cells.areas[:, None]).sum(axis=(2, 3))

    def mass(self) -> np.ndarray:
        """int64 [B, S]: the sum of each source's final coefficients in 1/65536."""
        cells = self.cover()
        areas = cells.areas
        mass = (cells.seen * areas[:, None]).sum(axis=(2, 3)) * self.units()
        rows = np.flatnonzero(self.masked.any(axis=1))
        if self.mask is None or not len(rows):
            return mass
        through = 2 * cell_sums(self.mask[rows], cells.ys[rows], cells.xs[rows])
        past = WEIGHT_ONE * areas[rows] - through
        for mode, cell in ((MixMode.MASK, through), (MixMode.UNMASK, past)):
            found = (cells.seen[rows] * cell[:, None]).sum(axis=(2, 3))
            mass[rows] = np.where(self.mode[rows] == mode, found, mass[rows])
        return mass

    def shares(self) -> np.ndarray:
        """float64 [B, S]: the part of the canvas's content that comes from each source.

        The mean over the canvas of each source's final coefficient, divided by the sum over the
        sources: what a true label says. A canvas of fill alone gives zeros.
        """
        mass = self.mass()
        total = mass.sum(axis=1, keepdims=True)
        return mass / np.maximum(total, 1)

    def labelled(self) -> np.ndarray:
        """float64 [B, S]: what labels say: `label` where it is given, else `shares`."""
        shares = self.shares()
        if self.label is None:
            return shares
        return np.where(self.label < 0, shares, self.label.astype(np.float64))


def select(choices: list, pick: np.ndarray) -> Any:
    """Row by row from one of several steps of a kind: row n from choices[pick[n]].

    Args:
        choices: edits, or mixes, with equally many rows.
        pick: int64 [N].
    """
    kind = type(choices[0])
    width = max(_width(c) for c in choices)
    padded = [c.padded(width) for c in choices]
    rows = np.arange(len(pick))
    if kind is Mix:
        chosen = [rows[pick == i] for i in range(len(choices))]
        return merged([(c, at, at) for c, at in zip(padded, chosen, strict=True)], len(pick))
    picked = {
        f.name: np.stack([getattr(c, f.name) for c in padded])[pick, rows] for f in fields(kind)
    }
    return kind(**picked)


def _width(step: Edit | Mix) -> int:
    return step.slots if isinstance(step, Edit) else step.source.shape[1]


def _joined(steps: list[Edit], axis: int) -> Edit:
    return Edit(
        **{
            f.name: np.concatenate([getattr(s, f.name) for s in steps], axis=axis)
            for f in fields(Edit)
        }
    )
