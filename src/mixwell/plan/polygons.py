"""Polygons in bulk, as arrays float64 [M, V, 2] of points (x, y) in px.

Polygons with fewer points repeat their last one, which changes neither area nor extent. A polygon
of which nothing is left is a single point, V times.
"""

from __future__ import annotations

import numpy as np

HORIZON = 1e-6
"""A perspective's denominator below which points count as beyond the horizon."""


def of_boxes(xyxy: np.ndarray) -> np.ndarray:
    """Boxes float64 [M, 4] as polygons [M, 4, 2]: the corners in the order of a clock's hand."""
    x0, y0, x1, y1 = np.asarray(xyxy, np.float64).reshape(-1, 4).T
    return np.stack([x0, y0, x1, y0, x1, y1, x0, y1], axis=1).reshape(-1, 4, 2)


def extents(points: np.ndarray) -> np.ndarray:
    """float64 [M, 4]: each polygon's enclosing xyxy."""
    low, high = points[:, 0].copy(), points[:, 0].copy()
    for k in range(1, points.shape[1]):  # many polygons of few points: faster than a reduction
        np.minimum(low, points[:, k], out=low)
        np.maximum(high, points[:, k], out=high)
    return np.concatenate([low, high], axis=1)


def areas(points: np.ndarray) -> np.ndarray:
    """float64 [M]: areas in px, whatever the direction; by the shoelace formula."""
    x, y = (points - points[:, :1]).T  # far from the origin, products would lose digits
    twice = np.zeros(len(points))
    for k in range(1, points.shape[1] - 1):  # edges at the first point, now the origin, add nothing
        twice += x[k] * y[k + 1] - x[k + 1] * y[k]
    return 0.5 * np.abs(twice)


def padded(points: np.ndarray, vertices: int) -> np.ndarray:
    """The same polygons with room for more points."""
    more = vertices - points.shape[1]
    return points if more <= 0 else np.pad(points, ((0, 0), (0, more), (0, 0)), mode="edge")


def mapped(points: np.ndarray, src_to_dst: np.ndarray) -> np.ndarray:
    """Points [M, V, 2] through matrices [M, 3, 3]; what lies beyond the horizon must be cut before
    (`before_horizon`)."""
    x, y = points[..., 0], points[..., 1]
    m = src_to_dst[:, None]
    u = m[..., 0, 0] * x + m[..., 0, 1] * y + m[..., 0, 2]
    v = m[..., 1, 0] * x + m[..., 1, 1] * y + m[..., 1, 2]
    if (src_to_dst[:, 2] == (0.0, 0.0, 1.0)).all():
        return np.stack([u, v], axis=-1)
    w = np.maximum(m[..., 2, 0] * x + m[..., 2, 1] * y + m[..., 2, 2], 0.5 * HORIZON)
    return np.stack([u / w, v / w], axis=-1)


def before_horizon(points: np.ndarray, src_to_dst: np.ndarray) -> np.ndarray:
    """The parts of polygons that a perspective shows."""
    rows = np.flatnonzero((src_to_dst[:, 2, :2] != 0).any(axis=1))
    if not len(rows):
        return points
    line = src_to_dst[rows, 2].copy()
    line[:, 2] -= HORIZON
    return _replaced(points, rows, cut(points[rows], line))


def cut(points: np.ndarray, line: np.ndarray) -> np.ndarray:
    """What of each polygon lies where a x + b y + c >= 0 (Sutherland and Hodgman 1974).

    Args:
        points: float64 [M, V, 2].
        line: float64 [M, 3], a b c of each.

    Returns:
        float64 [M, V', 2]; V' = V + 1 at most for convex polygons.
    """
    side = points[..., 0] * line[:, None, 0] + points[..., 1] * line[:, None, 1] + line[:, None, 2]
    inside = side >= 0
    crossed = np.flatnonzero(inside.any(axis=1) & ~inside.all(axis=1))
    gone = ~inside.any(axis=1)
    if gone.any():
        points = points.copy()
        points[gone] = points[gone, :1]
    if not len(crossed):
        return points
    return _replaced(points, crossed, _crossed(points[crossed], side[crossed]))


def _crossed(points: np.ndarray, side: np.ndarray) -> np.ndarray:
    """`cut` for polygons on both sides of their lines; `side` [M, V] is positive inside."""
    after, side_after = np.roll(points, -1, axis=1), np.roll(side, -1, axis=1)
    crosses = (side >= 0) != (side_after >= 0)
    at = side / np.where(crosses, side - side_after, 1.0)
    meets = points + at[..., None] * (after - points)
    both = np.stack([points, meets], axis=2).reshape(len(points), -1, 2)
    kept = np.stack([side >= 0, crosses], axis=2).reshape(len(points), -1)
    order = np.argsort(~kept, axis=1, kind="stable")
    count = kept.sum(axis=1)
    place = np.minimum(np.arange(count.max()), count[:, None] - 1)
    return np.take_along_axis(both, np.take_along_axis(order, place, axis=1)[..., None], axis=1)


def within(points: np.ndarray, xyxy: np.ndarray, upright: np.ndarray) -> np.ndarray:
    """What of each polygon lies in its rectangle.

    Args:
        points: float64 [M, V, 2].
        xyxy: float64 [M, 4].
        upright: bool [M], polygons that are rectangles along the axes (or a point).
    """
    low, high = xyxy[:, None, :2], xyxy[:, None, 2:]
    box = extents(points)
    beyond = np.concatenate([box[:, :2] < xyxy[:, :2], box[:, 2:] > xyxy[:, 2:]], axis=1)
    outside = beyond[:, 0] | beyond[:, 1] | beyond[:, 2] | beyond[:, 3]
    if not outside.any():
        return points
    held = np.where(upright[:, None, None], np.clip(points, low, high), points)
    rows = np.flatnonzero(outside & ~upright)
    if not len(rows):
        return held
    x0, y0, x1, y1 = xyxy[rows].T
    one, none = np.ones(len(rows)), np.zeros(len(rows))
    tilted = points[rows]
    for line in ((one, none, -x0), (-one, none, x1), (none, one, -y0), (none, -one, y1)):
        tilted = cut(tilted, np.stack(line, axis=1))
    return _replaced(held, rows, tilted)


def within_canvas(points: np.ndarray, m: np.ndarray, size_hw: np.ndarray) -> np.ndarray:
    """What of each polygon a canvas holds that is seen through a matrix.

    Args:
        points: float64 [M, V, 2].
        m: float64 [M, 3, 3], from the points' frame to the canvas.
        size_hw: float64 [M, 2], of the canvas.
    """
    right = size_hw[:, 1:] * m[:, 2] - m[:, 0]
    below = size_hw[:, :1] * m[:, 2] - m[:, 1]
    for line in (m[:, 0], right, m[:, 1], below):
        points = cut(points, line)
    return points


def _replaced(points: np.ndarray, rows: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Polygons with others in some rows."""
    most = max(points.shape[1], new.shape[1])
    out = padded(points, most).copy()
    out[rows] = padded(new, most)
    return out
