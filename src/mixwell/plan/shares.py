"""Exact shares through chained mixes, by cells.

A rectangle that is cut out of a mixed image does not hold the mean of that image, so the shares of
chained mixes do not simply multiply. Every row is kept as a grid of cells, in each of which the
coefficient of every input row is constant: the grid's lines are the edges of all rectangles drawn
so far. A mix lays its sources' grids over each other and draws on the cells as a renderer draws on
pixels. Where it draws through a mask, every pixel is a cell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mixwell.plan.cover import distinct, pair_px
from mixwell.plan.steps import GEOMETRIC, WEIGHT_ONE, Edit, Mix, MixMode

OUTPUTS_AT_ONCE = 16
"""Masks in chained mixes make a cell of every pixel; so many outputs are followed at a time."""

Sources = tuple[np.ndarray, np.ndarray]
"""Input rows int64 [B, S] and shares float64 [B, S]."""


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

    def evened(self, rows: np.ndarray, size_hw: np.ndarray) -> Cells:
        """The same, but some rows (bool [N]), now of these sizes, show their sources evenly."""
        if rows.all():
            return Cells.whole(self.rows, self.shares(), size_hw)
        even = self.shares()[:, :, None, None]
        part = np.where(rows[:, None, None, None], even, self.part)
        lines = []
        for axis, old in ((0, self.ys), (1, self.xs)):
            new = np.repeat(size_hw[:, axis, None].astype(np.int64), old.shape[1], axis=1)
            new[:, 0] = 0
            lines.append(np.where(rows[:, None], new, old))
        return Cells(self.rows, part, *lines)

    def mixed(self, step: Mix) -> Cells:
        """What the outputs of a mix show."""
        xs, ys = (self._lines(step, axis) for axis in (0, 1))
        drawn: list[np.ndarray] = []
        for s in range(step.source.shape[1]):
            part, inside = self._seen(step, s, ys, xs)
            paste = inside & (step.mode[:, s] == MixMode.PASTE)[:, None, None, None]
            drawn = [np.where(paste, 0.0, below) for below in drawn]
            drawn.append(np.where(inside, part * _coefficients(step, s, ys, xs), 0.0))
        width = step.source.shape[1] * self.rows.shape[1]
        rows = self.rows[step.source].reshape(step.rows, width)
        return self._labelled(step, Cells(rows, np.concatenate(drawn, axis=1), ys, xs))

    def _labelled(self, step: Mix, cells: Cells) -> Cells:
        """Rows whose labels the mix sets count as showing evenly what the labels say."""
        if step.label is None:
            return cells
        said = step.label[:, :, None] * self.shares()[step.source]
        said = said.reshape(cells.rows.shape)[:, :, None, None]
        told = step.label[:, 0, None, None, None] >= 0
        return Cells(cells.rows, np.where(told, said, cells.part), cells.ys, cells.xs)

    def shown_by(self, step: Mix) -> Sources:
        """What `mixed(step)` shows by shares, for rows of one cell: cheap, even through masks."""
        mass = step.mass()[:, :, None] * self.part[step.source, :, 0, 0]
        width = step.source.shape[1] * self.rows.shape[1]
        rows = self.rows[step.source].reshape(step.rows, width)
        area = np.ones((step.rows, 2), np.int64)
        cells = Cells.whole(rows, mass.reshape(rows.shape), area)
        return rows, self._labelled(step, cells).shares()

    def _lines(self, step: Mix, axis: int) -> np.ndarray:
        """int64 [B, M]: all lines along an axis (0: x) on the canvas, sorted; rows with fewer end
        in empty cells."""
        own = (self.xs, self.ys)[axis][step.source] + step.offset_px[..., axis, None]
        drawn = step.rect_px[..., [axis, axis + 2]]
        lines = np.concatenate([own, drawn], axis=2)
        lines = lines.reshape(step.rows, step.source.shape[1] * lines.shape[2])
        masked = np.asarray(step.masked.any(axis=1, keepdims=True))
        if masked.any():
            pixels = np.arange(step.canvas_hw[masked[:, 0], 1 - axis].max() + 1)
            lines = np.concatenate([lines, np.where(masked, pixels, 0)], axis=1)
        return distinct(lines, step.canvas_hw[:, 1 - axis, None])

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


def _coefficients(step: Mix, s: int, ys: np.ndarray, xs: np.ndarray) -> np.ndarray:
    """float64 [B, 1, F or 1, E or 1]: the coefficient with which source s is drawn in each cell."""
    units = step.units()[:, s, None, None]
    if step.mask is None or not step.masked[:, s].any():
        return units[:, None] / WEIGHT_ONE
    height, width = step.mask.shape[1:]
    y, x = np.minimum(ys[:, :-1], height - 1), np.minimum(xs[:, :-1], width - 1)
    through = step.mask[np.arange(step.rows)[:, None, None], y[:, :, None], x[:, None, :]]
    through = 2 * through.astype(np.int64)
    mode = step.mode[:, s, None, None]
    units = np.where(mode == MixMode.MASK, through, units)
    units = np.where(mode == MixMode.UNMASK, WEIGHT_ONE - through, units)
    return units[:, None] / WEIGHT_ONE


def sources(in_hw: np.ndarray, steps: tuple[Edit | Mix, ...]) -> Sources:
    """Which input rows each output shows, and by which share; see `Plan.sources`.

    A geometric edit between two mixes blurs where things are: a row that it moves counts from
    there on as showing its sources evenly. So does a row whose labels a mix sets.
    """
    mixes = [step for step in steps if isinstance(step, Mix)]
    if len(mixes) == 1:
        return mixes[0].source.astype(np.int64), _labelled(mixes[0])
    outputs = len(mixes[-1].source) if mixes else 0
    through = any(m.mask is not None for m in mixes)
    copies = all(m.mask is None and m.source.shape[1] == 1 for m in mixes[:-1])
    if outputs <= OUTPUTS_AT_ONCE or not through or copies:
        return _chained(in_hw, steps)
    parts = []
    for first in range(0, outputs, OUTPUTS_AT_ONCE):
        some = np.arange(outputs)[first : first + OUTPUTS_AT_ONCE]
        needed, taken = part_of(steps, some)
        rows, shares = _chained(in_hw[needed], taken)
        parts.append((needed[rows], shares))
    return np.concatenate([r for r, _ in parts]), np.concatenate([s for _, s in parts])


def _labelled(mix: Mix) -> np.ndarray:
    """`Mix.labelled`, by a shorter way where two rectangles are all there is."""
    if mix.source.shape[1] != 2 or mix.mask is not None or mix.label is not None:
        return mix.labelled()
    used, paste = mix.mode != MixMode.SKIP, mix.mode == MixMode.PASTE
    mass = pair_px(mix.rect_px, used, paste) * mix.units()
    return mass / np.maximum(mass[:, :1] + mass[:, 1:], 1)


def part_of(
    steps: tuple[Edit | Mix, ...], outputs: np.ndarray
) -> tuple[np.ndarray, tuple[Edit | Mix, ...]]:
    """The input rows that some outputs need, and the steps from those rows to those outputs."""
    needed, taken = outputs, []
    for step in reversed(steps):
        step = step.take(needed)
        if isinstance(step, Mix):
            needed, place = np.unique(step.source, return_inverse=True)
            step = replace(step, source=place.reshape(step.source.shape).astype(np.int32))
        taken.append(step)
    return needed, tuple(reversed(taken))


def _chained(in_hw: np.ndarray, steps: tuple[Edit | Mix, ...]) -> Sources:
    """Cells through all steps."""
    own = np.arange(len(in_hw), dtype=np.int64)[:, None]
    cells, size_hw = Cells.whole(own, np.ones(own.shape), in_hw), in_hw
    last = max((i for i, step in enumerate(steps) if isinstance(step, Mix)), default=-1)
    for i, step in enumerate(steps):
        size_hw = step.out_hw(size_hw)
        if isinstance(step, Edit):
            moved = np.asarray(np.isin(step.code, GEOMETRIC).any(axis=1))
            cells = cells.evened(moved, size_hw) if moved.any() else cells
        elif i == last and cells.part.shape[2:] == (1, 1):
            return cells.shown_by(step)
        else:
            cells = cells.mixed(step)
    return cells.rows, cells.shares()
