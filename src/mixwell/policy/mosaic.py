"""Ops that lay several images side by side, or a jittered one over another, for detectors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, final

import numpy as np

from mixwell._rng import batch_permutation
from mixwell.plan.steps import WEIGHT_ONE, Code, Edit, Interp, Mix, MixMode
from mixwell.policy.base import CompoundOp, OutSize, Rows
from mixwell.policy.fields import Fill, Span, fill_levels, need, need_size, need_span, pair_of, span
from mixwell.policy.pairing import PairingName, partners
from mixwell.policy.program import Program, copies


@final
@dataclass(frozen=True, repr=False)
class Mosaic(CompoundOp):
    """Four images, or nine, around a drawn centre (YOLOv4, Bochkovskiy et al. 2020, arXiv
    2004.10934).

    The canvas is cut into 2 x 2 or 3 x 3 cells by lines that move with the centre. Every image is
    resized (antialiased, its aspect kept) to fit an even share of the canvas, times a drawn factor,
    laid into its cell against the centre, and cut by the cell; the own image comes first (left top,
    or the middle of nine). What no image covers is `fill`. Labels: the areas that are seen.

    Args:
        size: (height, width) of the canvas in px, or one number.
        tiles: 4 or 9.
        centre: range of the centre, as parts of the canvas's sides.
        scale: range of the factor.
        fill: level(s) where no image is, in image units.
        interp: of the resize, "bilinear" or "bicubic".
        pairing: "batch": the images that follow in a random order of the batch, again from its
            start where it is too small; "dataset": random other samples of the data set.
        p: chance, drawn for each image.
    """

    size: int | tuple[int, int]
    tiles: Literal[4, 9] = 4
    centre: tuple[float, float] = (0.25, 0.75)
    scale: Span = 1.0
    fill: Fill = 0.0
    interp: str = "bilinear"
    pairing: Literal["batch", "dataset"] = "batch"
    mixes = True
    moves = True
    interps = ("bilinear", "bicubic")

    def validate(self) -> None:
        """Check the fields."""
        need_size(self, "size", self.size)
        need(self, self.tiles in (4, 9), "tiles must be 4 or 9", self.tiles)
        need_span(self, "centre", self.centre, 0.05, 0.95)
        need_span(self, "scale", self.scale, 0.05, 20.0)
        need(
            self,
            self.pairing in ("batch", "dataset"),
            'pairing: "batch" or "dataset"',
            self.pairing,
        )

    @cached_property
    def extra(self) -> int:
        """Partners from the data set for each image."""
        return self.tiles - 1 if self.pairing == "dataset" else 0

    def sample(self, rows: Rows) -> Program:
        """Copies of all tiles, resized, then pasted."""
        n, side = len(rows), 2 if self.tiles == 4 else 3
        source = self._sources(rows)
        size = rows.pool[source]  # [n, T, 2]
        canvas = np.array(pair_of(self.size))
        fit = (canvas / side / size).min(axis=-1)
        low, high = span(self.scale)
        fit = fit * rows.draws.uniforms("scale", self.tiles, low, high)
        small = np.maximum(np.rint(size * fit[..., None]), 1).astype(np.int32)
        edit = Edit.nothing(small.reshape(-1, 2))
        edit.code[:] = Code.RESIZE
        edit.param[:, 0, 2:4] = size.reshape(-1, 2)[:, ::-1]
        edit.interp[:] = Interp[self.interp.upper()]
        cells, place = self._places(rows, small, side)
        gather = Mix.identity(np.tile(canvas, (n, 1)), sources=self.tiles)
        gather.source[:] = np.arange(n * self.tiles).reshape(n, self.tiles)
        gather.mode[:], gather.weight[:] = MixMode.PASTE, 1.0
        gather.offset_px[:] = place
        end = np.minimum(cells[..., 2:], place + small[..., ::-1])
        gather.rect_px[..., :2] = np.maximum(cells[..., :2], place)
        gather.rect_px[..., 2:] = np.maximum(end, gather.rect_px[..., :2])
        gather.fill[:] = fill_levels(self.fill)
        return Program(copies(rows.pool, source.reshape(-1)), edit, gather)

    def _sources(self, rows: Rows) -> np.ndarray:
        """int64 [n, T]: the rows that each output shows, its own first."""
        n = len(rows)
        if self.pairing == "dataset":
            return np.arange(n)[:, None] + n * np.arange(self.tiles)
        order = batch_permutation(rows.draws, "pairing", n)
        place = np.empty(n, np.int64)
        place[order] = np.arange(n)
        return order[(place[:, None] + np.arange(self.tiles)) % max(n, 1)]

    def _places(self, rows: Rows, small: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
        """Cells int64 [n, T, 4], and where the tiles' left top corners lie, int64 [n, T, 2]."""
        n, order = len(rows), _ORDER[side]
        low, high = span(self.centre)
        cells, place = np.zeros((n, side**2, 4), np.int64), np.zeros((n, side**2, 2), np.int64)
        for axis, name in ((0, "centre x"), (1, "centre y")):
            length = pair_of(self.size)[1 - axis]
            away = (rows.draws.uniform(name, low, high) - 0.5) * length * (2 / side)
            even = length * np.arange(side + 1) / side
            lines = np.rint(even + away[:, None]).astype(np.int64)
            lines[:, 0], lines[:, -1] = 0, length
            lines = np.clip(lines, 0, length)
            at = order[:, axis]
            start, end, span_px = lines[:, at], lines[:, at + 1], small[..., 1 - axis]
            middle = start + (end - start - span_px) // 2
            near = np.where(2 * at < side - 1, end - span_px, start)
            cells[..., axis], cells[..., axis + 2] = start, end
            place[..., axis] = np.where(2 * at == side - 1, middle, near)
        return cells, place

    def out_size(self, size: OutSize) -> OutSize:
        """Fixed."""
        return pair_of(self.size)


_ORDER = {
    2: np.array([(0, 0), (1, 0), (0, 1), (1, 1)]),
    3: np.array([(1, 1), (0, 0), (1, 0), (2, 0), (0, 1), (2, 1), (0, 2), (1, 2), (2, 2)]),
}
"""Column and row of each tile's cell."""


@final
@dataclass(frozen=True, repr=False)
class JitterMixUp(CompoundOp):
    """MixUp with a partner of jittered scale (YOLOX, Ge et al. 2021, arXiv 2107.08430).

    The partner is resized to fit the own image (its aspect kept, antialiased), times a drawn
    factor, perhaps mirrored, and added at a drawn place of the own canvas: cut where it is larger,
    and black around it where it is smaller, which leaves the own image fainter there, as in the
    paper's code.

    Args:
        scale: range of the factor.
        own: part of the own image, 0 .. 1; the rest is the partner's.
        flip: chance that the partner is mirrored.
        interp: of the resize, "bilinear" or "bicubic".
        pairing: see `MixUp`.
        p: chance, drawn for each image.
    """

    scale: Span = (0.5, 1.5)
    own: float = 0.5
    flip: float = 0.5
    interp: str = "bilinear"
    pairing: PairingName = "derangement"
    mixes = True
    moves = True
    interps = ("bilinear", "bicubic")

    def validate(self) -> None:
        """Check the fields."""
        need_span(self, "scale", self.scale, 0.05, 20.0)
        need(self, 0 <= self.own <= 1, "own must lie in 0 .. 1", self.own)
        need(self, 0 <= self.flip <= 1, "flip must lie in 0 .. 1", self.flip)

    def sample(self, rows: Rows) -> Program:
        """Every row twice; the second copies are resized, and added."""
        n, other = len(rows), partners(self, rows, equal=False)
        size = rows.pool[other]
        low, high = span(self.scale)
        fit = (rows.size_hw / size).min(axis=1) * rows.draws.uniform("scale", low, high)
        new = np.maximum(np.rint(size * fit[:, None]), 1).astype(np.int32)
        edit = Edit.nothing(np.concatenate([rows.size_hw, new]))
        edit.code[n:] = Code.RESIZE
        mirrored = rows.draws.bernoulli("flip", self.flip)
        width = size[:, 1]
        edit.param[n:, 0, 0] = np.where(mirrored, width, 0)
        edit.param[n:, 0, 2] = np.where(mirrored, 0, width)
        edit.param[n:, 0, 3] = size[:, 0]
        edit.interp[n:] = Interp[self.interp.upper()]
        room = rows.size_hw[:, ::-1].astype(np.int64) - new[:, ::-1]
        unit = np.stack([rows.draws.uniform("place x"), rows.draws.uniform("place y")], axis=1)
        place = np.floor(np.minimum(room, 0) + unit * (np.abs(room) + 1)).astype(np.int64)
        gather = Mix.identity(rows.size_hw)
        gather.source[:, 1] = np.arange(n, 2 * n)
        gather.mode[:, 1] = MixMode.ADD
        own = round(self.own * WEIGHT_ONE)
        gather.weight[:, 0], gather.weight[:, 1] = own / WEIGHT_ONE, 1 - own / WEIGHT_ONE
        gather.offset_px[:, 1] = place
        gather.rect_px[:, 1, :2] = np.maximum(place, 0)
        gather.rect_px[:, 1, 2:] = np.minimum(place + new[:, ::-1], rows.size_hw[:, ::-1])
        return Program(copies(rows.pool, np.concatenate([np.arange(n), other])), edit, gather)
