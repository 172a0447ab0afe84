"""Outlines through a mix: what is drawn over a thing hides it, what is faint weighs less.

A source's coefficient is constant in each cell between the rectangles' edges (`cover`), so visible
areas are sums over cells and exact; behind a dense mask they are sums over pixels. An outline's
weight is multiplied by the mean coefficient of its source over the area it had before; its extent
becomes the rectangle around what is visible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mixwell.plan import polygons
from mixwell.plan.cover import Cover
from mixwell.plan.outlines import Outlines
from mixwell.plan.steps import MASK_ONE, WEIGHT_ONE, Mix, MixMode

HALF = MASK_ONE // 2
"""Through a mask, pixels count as visible from here on."""
SLIVER_PX = 0.5
"""What is thinner is not seen in pixels, and no box reaches out for it."""
SAME_PX = 1e-6
"""Copies of a thing that lie so close to each other are one."""


def mixed(
    outlines: Outlines,
    mix: Mix,
    min_visibility: float,
    stencils: Sequence[np.ndarray] | None = None,
) -> Outlines:
    """Outlines on a mix's outputs, by output, then source, then as they were.

    Those of which less than `min_visibility` is left, or whose weight is 0, are dropped.

    Args:
        outlines: on the rows that the mix takes.
        mix: the step.
        min_visibility: 0 .. 1.
        stencils: [H, W] of each outline, not 0 in the pixels that belong to it, on its row: what is
            drawn through a mask is then counted in these pixels, not in those of its box.
    """
    b, s, item = _drawn(outlines, mix)
    drawn = outlines.take(item)
    shift = mix.offset_px[b, s].astype(np.float64)
    drawn = replace(
        drawn,
        row=b,
        points=drawn.points + shift[:, None],
        whole=drawn.whole + shift[:, None],
        marks=drawn.marks + shift[:, None],
        parent=item,
        via=s,
    )
    before = polygons.areas(drawn.points)
    rect = mix.rect_px[b, s].astype(np.float64)
    drawn = _inside(drawn, rect)
    area, uncovered = polygons.areas(drawn.points), drawn
    cells = mix.cover()
    part = mix.units()[b, s] / WEIGHT_ONE
    behind = _anything_over(mix, cells)[b, s]
    if behind.any():
        rows = np.flatnonzero(behind & (area > 0))
        found, area[rows] = _behind(drawn.take(rows), cells, b[rows], s[rows])
        drawn = drawn.put(rows, found)
    mean = area * part
    masked = mix.masked[b, s] & (area > 0)  # counted anew, in pixels
    if masked.any():
        rows = np.flatnonzero(masked)
        own = None if stencils is None else [stencils[i] for i in item[rows].tolist()]
        found, area[rows], mean[rows] = _through(uncovered.take(rows), mix, b[rows], s[rows], own)
        found = replace(found, seen=found.seen & drawn.seen[rows])
        drawn = drawn.put(rows, found)
    looks = None if stencils is None else _looks(stencils, item, behind | mix.masked[b, s])
    return _kept(drawn, area, mean, before, min_visibility, looks)


def _looks(stencils: Sequence[np.ndarray], item: np.ndarray, cut: np.ndarray) -> np.ndarray:
    """int64 [M]: equal where outlines have the same pixels and nothing (`cut`, bool [M]) of them
    may be hidden."""
    known: dict[tuple, int] = {}
    found = np.arange(len(item), dtype=np.int64) + len(stencils)
    for place, i in enumerate(item.tolist()):
        if not cut[place]:
            stencil = stencils[i]
            found[place] = known.setdefault((stencil.shape, stencil.tobytes()), i)
    return found


def _kept(
    drawn: Outlines,
    area: np.ndarray,
    mean: np.ndarray,
    before: np.ndarray,
    least: float,
    looks: np.ndarray | None,
) -> Outlines:
    """Weights are set, and what is hardly visible is dropped.

    Counted is what an image loses of its own things, not what of its partner's is never shown;
    what is dropped for being too little is counted whosever it is, since some of it is seen.
    """
    safe = np.where(before > 0, before, 1.0)
    share = area / safe
    drawn = replace(drawn, weight=drawn.weight * np.minimum(mean / safe, 1.0))
    own = drawn.via == 0
    lost = {
        "outside": int((own & (before == 0)).sum()),
        "covered": int((own & (before > 0) & (area == 0)).sum()),
        "weight 0": int((own & (area > 0) & (drawn.weight <= 0)).sum()),
        "min_visibility": int(((area > 0) & (drawn.weight > 0) & (share < least)).sum()),
    }
    stays = (area > 0) & (share >= least) & (drawn.weight > 0)
    kept = replace(drawn.take(stays), lost=drawn.lost + Counter(lost))
    return _merged(kept, np.zeros(len(kept)) if looks is None else looks[stays])


def _drawn(outlines: Outlines, mix: Mix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Output, source and outline, int64 [M] each, of all that a mix draws."""
    b, s = np.nonzero(mix.mode != MixMode.SKIP)
    order = np.argsort(outlines.row, kind="stable")
    rows = outlines.row[order]
    source = mix.source[b, s]
    start = np.searchsorted(rows, source, "left")
    count = np.searchsorted(rows, source, "right") - start
    pair = np.repeat(np.arange(len(b)), count)
    place = np.arange(len(pair)) - np.repeat(np.cumsum(count) - count, count)
    return b[pair], s[pair], order[np.repeat(start, count) + place]


def _inside(drawn: Outlines, rect: np.ndarray) -> Outlines:
    """Cut by the rectangles they are drawn in."""
    low, high = rect[:, None, :2], rect[:, None, 2:]
    inside = ((drawn.marks >= low) & (drawn.marks <= high)).all(axis=-1)
    points = polygons.within(drawn.points, rect, drawn.upright)
    return replace(drawn, points=points, seen=drawn.seen & inside)


def _anything_over(mix: Mix, cells: Cover) -> np.ndarray:
    """bool [B, S]: sources of which a later one hides something."""
    rect = mix.rect_px.astype(np.int64)
    drawn = (rect[..., 2] - rect[..., 0]) * (rect[..., 3] - rect[..., 1])
    return (cells.seen * cells.areas[:, None]).sum(axis=(2, 3)) < drawn


def _behind(
    drawn: Outlines, cells: Cover, b: np.ndarray, s: np.ndarray
) -> tuple[Outlines, np.ndarray]:
    """Outlines within the rectangle around what is visible of them, and their visible areas."""
    seen = cells.seen[b, s]
    xs, ys = (lines[b].astype(np.float64) for lines in (cells.xs, cells.ys))
    area, extent = np.zeros(len(drawn)), np.zeros((len(drawn), 4))
    upright = drawn.upright
    some = np.flatnonzero(upright)
    area[some], extent[some] = _upright_seen(drawn.xyxy()[some], seen[some], ys[some], xs[some])
    some = np.flatnonzero(~upright)
    area[some], extent[some] = _tilted_seen(drawn.points[some], seen[some], ys[some], xs[some])
    points = polygons.within(drawn.points, extent, upright)
    inside = [
        (lines[:, None, :-1] <= drawn.marks[..., axis, None])
        & (drawn.marks[..., axis, None] <= lines[:, None, 1:])
        for axis, lines in ((0, xs), (1, ys))
    ]
    shown = (inside[1][..., :, None] & inside[0][..., None, :] & seen[:, None]).any(axis=(2, 3))
    return replace(drawn, points=points, seen=drawn.seen & shown), area


def _upright_seen(
    box: np.ndarray, seen: np.ndarray, ys: np.ndarray, xs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Visible area [M] of boxes [M, 4], and the boxes around it."""
    low_x, high_x = np.maximum(box[:, :1], xs[:, :-1]), np.minimum(box[:, 2:3], xs[:, 1:])
    low_y, high_y = np.maximum(box[:, 1:2], ys[:, :-1]), np.minimum(box[:, 3:], ys[:, 1:])
    width, height = np.maximum(high_x - low_x, 0), np.maximum(high_y - low_y, 0)
    visible = seen & (height > 0)[:, :, None] & (width > 0)[:, None, :]
    area = (visible * height[:, :, None] * width[:, None, :]).sum(axis=(1, 2))
    visible = _without_slivers(visible, height, width)
    columns, lines = visible.any(axis=1), visible.any(axis=2)
    extent = [
        np.where(columns, low_x, np.inf).min(axis=1),
        np.where(lines, low_y, np.inf).min(axis=1),
        np.where(columns, high_x, -np.inf).max(axis=1),
        np.where(lines, high_y, -np.inf).max(axis=1),
    ]
    return area, np.where(area[:, None] > 0, np.stack(extent, axis=1), 0.0)


def _without_slivers(visible: np.ndarray, height: np.ndarray, width: np.ndarray) -> np.ndarray:
    """bool [M, F, E]: visible cells without those that are thinner than half a pixel and stand
    alone, which no pixel shows; all of them, if there are no others."""
    thin = height[:, :, None] < SLIVER_PX, width[:, None, :] < SLIVER_PX
    kept = visible.copy()
    for axis, narrow in enumerate(thin, start=1):
        room = np.pad(visible, [(0, 0)] + [(int(a == axis),) * 2 for a in (1, 2)])
        count = visible.shape[axis]
        beside = room.take(np.arange(count), axis) | room.take(np.arange(2, count + 2), axis)
        kept &= ~narrow | beside
    return np.where(kept.any(axis=(1, 2), keepdims=True), kept, visible)


def _tilted_seen(
    points: np.ndarray, seen: np.ndarray, ys: np.ndarray, xs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Visible area [M] of polygons [M, V, 2], and the boxes around it: in parts, one a cell."""
    box = polygons.extents(points)
    meets = seen & ((xs[:, :-1] < box[:, 2:3]) & (xs[:, 1:] > box[:, :1]))[:, None, :]
    meets &= ((ys[:, :-1] < box[:, 3:]) & (ys[:, 1:] > box[:, 1:2]))[:, :, None]
    row, f, e = np.nonzero(meets)
    cell = np.stack([xs[row, e], ys[row, f], xs[row, e + 1], ys[row, f + 1]], axis=1)
    parts = polygons.within(points[row], cell, np.zeros(len(row), bool))
    found = polygons.areas(parts)
    row, parts, found = row[found > 0], parts[found > 0], found[found > 0]
    area = np.bincount(row, found, minlength=len(points))
    extent = np.tile([np.inf, np.inf, -np.inf, -np.inf], (len(points), 1))
    around = polygons.extents(parts)
    np.minimum.at(extent[:, :2], row, around[:, :2])
    np.maximum.at(extent[:, 2:], row, around[:, 2:])
    return area, np.where(area[:, None] > 0, extent, 0.0)


def _through(
    drawn: Outlines,
    mix: Mix,
    b: np.ndarray,
    s: np.ndarray,
    stencils: Sequence[np.ndarray] | None,
) -> tuple[Outlines, np.ndarray, np.ndarray]:
    """Outlines drawn through a mask: cut, their visible areas, and the sums of coefficients.

    Counted in pixels whose centres lie in the outline, or in those of its stencil, then scaled to
    its area.
    """
    assert mix.mask is not None
    area, mean, extent = np.zeros(len(drawn)), np.zeros(len(drawn)), np.zeros((len(drawn), 4))
    seen = drawn.seen.copy()
    for row in range(len(drawn)):
        mask = mix.mask[b[row]].astype(np.int64)
        mask = mask if mix.mode[b[row], s[row]] == MixMode.MASK else MASK_ONE - mask
        if stencils is None:
            inside, (x, y) = pixels_in(drawn.points[row], mask.shape)
        else:
            inside, (x, y) = _on_canvas(stencils[row], mix, int(b[row]), int(s[row])), (0, 0)
        some = slice(y, y + inside.shape[0]), slice(x, x + inside.shape[1])
        window = np.where(_pasted_over(mix, int(b[row]), int(s[row]))[some], 0, mask[some])
        shown = inside & (window >= HALF)
        if shown.any():
            total = float(polygons.areas(drawn.points[row][None])[0])
            area[row] = total * shown.sum() / inside.sum()
            mean[row] = total * window[inside].sum() / (MASK_ONE * inside.sum())
            lines, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
            extent[row] = x + columns[0], y + lines[0], x + columns[-1] + 1, y + lines[-1] + 1
        at = np.clip(drawn.marks[row].astype(np.int64), 0, np.array(mask.shape)[::-1] - 1)
        seen[row] &= mask[at[:, 1], at[:, 0]] >= HALF
    points = polygons.within(drawn.points, extent, drawn.upright)
    return replace(drawn, points=points, seen=seen), area, mean


def _pasted_over(mix: Mix, b: int, s: int) -> np.ndarray:
    """bool [H, W]: pixels of the masks' canvas that a later PASTE covers."""
    assert mix.mask is not None
    hidden = np.zeros(mix.mask.shape[1:], bool)
    for later in range(s + 1, mix.source.shape[1]):
        if mix.mode[b, later] == MixMode.PASTE:
            x0, y0, x1, y1 = mix.rect_px[b, later].tolist()
            hidden[y0:y1, x0:x1] = True
    return hidden


def _on_canvas(stencil: np.ndarray, mix: Mix, b: int, s: int) -> np.ndarray:
    """bool [H, W]: a stencil where a source is drawn."""
    canvas = np.zeros(mix.mask.shape[1:] if mix.mask is not None else mix.canvas_hw[b], bool)
    x0, y0, x1, y1 = mix.rect_px[b, s].tolist()
    dx, dy = mix.offset_px[b, s].tolist()
    canvas[y0:y1, x0:x1] = stencil[y0 - dy : y1 - dy, x0 - dx : x1 - dx] != 0
    return canvas


def pixels_in(points: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, tuple[int, int]]:
    """Pixels whose centres lie in a convex polygon [V, 2]: a bool window, and its corner x y."""
    height, width = shape
    x0, y0 = np.clip(np.floor(points.min(axis=0)), 0, (width, height)).astype(int)
    x1, y1 = np.clip(np.ceil(points.max(axis=0)), 0, (width, height)).astype(int)
    x, y = np.arange(x0, x1) + 0.5, np.arange(y0, y1)[:, None] + 0.5
    left, right = np.ones((y1 - y0, x1 - x0), bool), np.ones((y1 - y0, x1 - x0), bool)
    for (ax, ay), (bx, by) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if (ax, ay) != (bx, by):
            side = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
            left &= side >= 0
            right &= side <= 0
    return left | right, (int(x0), int(y0))


def _merged(drawn: Outlines, looks: np.ndarray) -> Outlines:
    """Copies of one thing in one place, seen marks and the corners of oriented boxes included,
    which look alike, are one; their weights add up (AugMix shows an image several times)."""
    pair = np.stack([drawn.row, drawn.origin], axis=1)
    if len(np.unique(pair, axis=0)) == len(pair):
        return drawn
    marks = np.where(drawn.seen[..., None], drawn.marks, -1.0 / SAME_PX).reshape(len(pair), -1)
    corners = np.where(drawn.slanted[:, None, None], drawn.whole, 0.0).reshape(len(pair), -1)
    place = np.rint(np.column_stack([drawn.xyxy(), marks, corners]) / SAME_PX)
    _, first, group = np.unique(
        np.column_stack([pair, place, looks]), axis=0, return_index=True, return_inverse=True
    )
    weight = np.bincount(group.reshape(-1), drawn.weight)
    order = np.argsort(first)
    kept = drawn.take(first[order])
    return replace(kept, weight=np.minimum(weight[order], 1.0))
