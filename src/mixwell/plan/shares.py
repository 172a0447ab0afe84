"""Exact shares through chained mixes, by cells.

A rectangle that is cut out of a mixed image does not hold the mean of that image, so the shares of
chained mixes do not simply multiply. Every row is kept as a grid of cells, in each of which the
coefficient of every input row is constant: the grid's lines are the edges of all rectangles drawn
so far. A mix lays its sources' grids over each other and draws on the cells as a renderer draws on
pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixwell.plan.steps import GEOMETRIC, Edit, Mix, MixMode


@dataclass(frozen=True)
class Cells:
    """What every row shows.

    Attributes:
        rows: int64 [N, S], input rows.
        part: float64 [N, S, F, E], coefficient of each of them in each cell.
        ys: int64 [N, F + 1], lines between cells, px.
        xs: int64 [N, E + 1].
    """

    rows: np.ndarray
    part: np.ndarray
    ys: np.ndarray
    xs: np.ndarray

    @classmethod
    def whole(cls, rows: np.ndarray, shares: np.ndarray, size_hw: np.ndarray) -> Cells:
        """Rows that show the same everywhere, from rows and shares [N, S]."""
        lines = np.stack([np.zeros_like(size_hw), size_hw], axis=-1).astype(np.int64)
        return cls(rows, shares[:, :, None, None], lines[:, 0], lines[:, 1])

    def shares(self) -> np.ndarray:
        """float64 [N, S]: each input row's part of all that is shown."""
        areas = np.diff(self.ys, axis=1)[:, :, None] * np.diff(self.xs, axis=1)[:, None, :]
        mass = (self.part * areas[:, None]).sum(axis=(2, 3))
        total = mass.sum(axis=1, keepdims=True)
        return mass / np.where(total > 0, total, 1.0)

    def mixed(self, step: Mix) -> Cells:
        """What the outputs of a mix show."""
        xs, ys = (self._lines(step, axis) for axis in (0, 1))
        units = step.units() / 65536.0
        drawn: list[np.ndarray] = []
        for s in range(step.source.shape[1]):
            part, inside = self._seen(step, s, ys, xs)
            paste = inside & (step.mode[:, s] == MixMode.PASTE)[:, None, None, None]
            drawn = [np.where(paste, 0.0, below) for below in drawn]
            drawn.append(np.where(inside, part * units[:, s, None, None, None], 0.0))
        width = step.source.shape[1] * self.rows.shape[1]
        rows = self.rows[step.source].reshape(step.rows, width)
        return Cells(rows, np.concatenate(drawn, axis=1), ys, xs)

    def _lines(self, step: Mix, axis: int) -> np.ndarray:
        """int64 [B, M]: all lines along an axis (0: x) on the canvas, sorted; rows with fewer end
        in empty cells."""
        own = (self.xs, self.ys)[axis][step.source] + step.offset_px[..., axis, None]
        drawn = step.rect_px[..., [axis, axis + 2]]
        lines = np.concatenate([own, drawn], axis=2)
        lines = lines.reshape(step.rows, step.source.shape[1] * lines.shape[2])
        end = step.canvas_hw[:, 1 - axis, None].astype(np.int64)
        lines = np.concatenate([np.zeros_like(end), np.clip(lines, 0, end), end], axis=1)
        lines = np.sort(lines, axis=1)
        double = lines[:, 1:] == lines[:, :-1]
        lines[:, 1:] = np.where(double, end, lines[:, 1:])
        most = 1 + int((~double).sum(axis=1).max(initial=1))
        return np.sort(lines, axis=1)[:, :most]

    def _seen(
        self, step: Mix, s: int, ys: np.ndarray, xs: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Source s on the outputs' cells: coefficients [B, S, ...] and whether it is drawn there
        [B, 1, ...]."""
        source = step.source[:, s]
        used = step.mode[:, s] != MixMode.SKIP
        (ix, in_x), (iy, in_y) = (
            _place(out, own[source], step.offset_px[:, s, axis], step.rect_px[:, s, axis::2])
            for axis, out, own in ((0, xs, self.xs), (1, ys, self.ys))
        )
        rows = source[:, None, None, None]
        each = np.arange(self.rows.shape[1])[None, :, None, None]
        part = self.part[rows, each, iy[:, None, :, None], ix[:, None, None, :]]
        inside = (used[:, None, None] & in_y[:, :, None] & in_x[:, None, :])[:, None]
        return part, inside


def _place(
    out: np.ndarray, own: np.ndarray, offset: np.ndarray, rect: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each cell of the output's lines [B, M]: the source's cell, and whether it is drawn."""
    low, high = out[:, :-1], out[:, 1:]
    at = low - offset[:, None]
    cell = (own[:, None, :] <= at[:, :, None]).sum(axis=2) - 1
    drawn = (rect[:, :1] <= low) & (high <= rect[:, 1:])
    return np.clip(cell, 0, own.shape[1] - 2), drawn


def sources(in_hw: np.ndarray, steps: tuple[Edit | Mix, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Which input rows each output shows, and by which share; see `Plan.sources`.

    A geometric edit between two mixes blurs where things are: from there on each row counts as
    showing its sources evenly.
    """
    rows, shares = np.arange(len(in_hw), dtype=np.int64)[:, None], np.ones((len(in_hw), 1))
    mixes = [step for step in steps if isinstance(step, Mix)]
    if len(mixes) == 1:
        return mixes[0].source.astype(np.int64), mixes[0].shares()
    cells, size_hw = Cells.whole(rows, shares, in_hw), in_hw
    for step in steps:
        size_hw = step.out_hw(size_hw)
        if isinstance(step, Mix):
            cells = cells.mixed(step)
        elif np.isin(step.code, GEOMETRIC).any():
            cells = Cells.whole(cells.rows, cells.shares(), size_hw)
    return cells.rows, cells.shares()
