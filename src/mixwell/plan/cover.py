"""What of a canvas each source of a mix covers, exactly.

The rectangles' edges cut a canvas into cells, in each of which a source counts or does not: it
counts where its rectangle covers the cell and no later PASTE does. Rows with fewer edges than
others end in empty cells.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

ROWS_AT_ONCE = 32
"""Masks are summed in int64 for so many rows at a time."""


class Cover(NamedTuple):
    """Where sources count.

    Attributes:
        seen: bool [B, S, F, E], whether a source counts in a cell.
        ys: int64 [B, F + 1], lines between cells, px.
        xs: int64 [B, E + 1].
    """

    seen: np.ndarray
    ys: np.ndarray
    xs: np.ndarray

    @property
    def areas(self) -> np.ndarray:
        """int64 [B, F, E]: the cells' areas, px."""
        return np.diff(self.ys, axis=1)[:, :, None] * np.diff(self.xs, axis=1)[:, None, :]


def cover(rect_px: np.ndarray, used: np.ndarray, paste: np.ndarray, canvas_hw: np.ndarray) -> Cover:
    """The cells of a mix.

    Args:
        rect_px: int32 [B, S, 4].
        used: bool [B, S], sources that are drawn at all.
        paste: bool [B, S], those that replace what is below them.
        canvas_hw: int32 [B, 2].
    """
    rect = np.where(used[..., None], rect_px, 0).astype(np.int64)
    xs, ys = (
        distinct(
            rect[..., axis::2].reshape(len(rect), 2 * rect.shape[1]), canvas_hw[:, 1 - axis, None]
        )
        for axis in (0, 1)
    )
    in_x, in_y = (
        (rect[..., axis, None] <= lines[:, None, :-1])
        & (lines[:, None, 1:] <= rect[..., axis + 2, None])
        for axis, lines in ((0, xs), (1, ys))
    )
    inside = in_y[:, :, :, None] & in_x[:, :, None, :]
    inside &= used[:, :, None, None]
    hidden = np.zeros_like(inside[:, 0])
    for s in reversed(range(inside.shape[1])):
        covers = inside[:, s] & paste[:, s, None, None]
        inside[:, s] &= ~hidden
        hidden |= covers
    return Cover(inside, ys, xs)


def pair_px(rect_px: np.ndarray, used: np.ndarray, paste: np.ndarray) -> np.ndarray:
    """int64 [B, 2]: pixels in which each of two sources counts, its rectangle lying on the canvas.

    What `cover` finds, without cells: the second may hide a rectangle of the first.

    Args:
        rect_px: int32 [B, 2, 4].
        used: bool [B, 2].
        paste: bool [B, 2].
    """
    rect = np.where(used[..., None], rect_px, 0).T.astype(np.int64)
    x0, y0, x1, y1 = rect
    seen = (x1 - x0) * (y1 - y0)
    width = np.minimum(x1[0], x1[1]) - np.maximum(x0[0], x0[1])
    height = np.minimum(y1[0], y1[1]) - np.maximum(y0[0], y0[1])
    hidden = np.maximum(width, 0) * np.maximum(height, 0)
    seen[0] -= np.where(paste[:, 1], hidden, 0)
    return seen.T


def distinct(lines: np.ndarray, end: np.ndarray) -> np.ndarray:
    """int64 [B, L]: each row's distinct lines with 0 and its end, sorted; filled up with its end.

    Args:
        lines: int64 [B, M], px; what lies outside is brought to the edge.
        end: int [B, 1], length of the axis.
    """
    end = end.astype(np.int64)
    lines = np.concatenate([np.zeros_like(end), np.clip(lines, 0, end), end], axis=1)
    lines = np.sort(lines, axis=1)
    double = lines[:, 1:] == lines[:, :-1]
    lines[:, 1:] = np.where(double, end, lines[:, 1:])
    most = 1 + int((~double).sum(axis=1).max(initial=1))
    return np.sort(lines, axis=1)[:, :most]


def cell_sums(mask: np.ndarray, ys: np.ndarray, xs: np.ndarray) -> np.ndarray:
    """int64 [B, F, E]: the sum of a mask uint16 [B, H, W] in each cell."""
    parts = [np.zeros((0, ys.shape[1] - 1, xs.shape[1] - 1), np.int64)]
    for first in range(0, len(mask), ROWS_AT_ONCE):
        some = slice(first, first + ROWS_AT_ONCE)
        bands = _between(mask[some], ys[some])
        parts.append(_between(bands.swapaxes(1, 2), xs[some]).swapaxes(1, 2))
    return np.concatenate(parts)


def _between(values: np.ndarray, lines: np.ndarray) -> np.ndarray:
    """int64 [B, L - 1, W]: sums of the rows of values [B, H, W] between lines [B, L]."""
    if lines.shape[1] == 2 and (lines == (0, values.shape[1])).all():
        return values.sum(axis=1, keepdims=True, dtype=np.int64)
    upto = np.zeros((len(values), values.shape[1] + 1, values.shape[2]), np.int64)
    np.cumsum(values, axis=1, dtype=np.int64, out=upto[:, 1:])
    return np.diff(np.take_along_axis(upto, lines[:, :, None], axis=1), axis=1)
