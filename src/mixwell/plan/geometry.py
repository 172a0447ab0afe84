"""Matrices over batches: float64 [N, 3, 3], mapping output points to input points (`dst_to_src`).

Points are (x, y) in the continuous frame, pixel (0, 0) covering [0, 1) x [0, 1); the centre of an
image of width W and height H is (W / 2, H / 2). Angles are degrees, positive = counter-clockwise
as seen on the screen (Pillow's and torchvision's `rotate`).
"""

from __future__ import annotations

import numpy as np


def matrix(rows: int, entries: dict[tuple[int, int], np.ndarray | float]) -> np.ndarray:
    """Identity matrices with some entries replaced."""
    out = np.broadcast_to(np.eye(3), (rows, 3, 3)).copy()
    for (i, j), value in entries.items():
        out[:, i, j] = value
    return out


def shift(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The content moves by (x, y) px: an output point shows the input point at minus that."""
    return matrix(len(x), {(0, 2): -x, (1, 2): -y})


def about_centre(m: np.ndarray, size_hw: np.ndarray) -> np.ndarray:
    """Apply the linear part about the image's centre instead of the corner."""
    x, y = size_hw[:, 1] / 2.0, size_hw[:, 0] / 2.0
    return shift(-x, -y) @ m @ shift(x, y)


def rotation(angle_deg: np.ndarray) -> np.ndarray:
    """Content turns counter-clockwise about the corner; see `about_centre`."""
    angle = np.deg2rad(angle_deg)
    c, s = np.cos(angle), np.sin(angle)
    return matrix(len(c), {(0, 0): c, (0, 1): -s, (1, 0): s, (1, 1): c})


def shear(level_x: np.ndarray, level_y: np.ndarray) -> np.ndarray:
    """Output (x, y) shows input (x + level_x * y, y + level_y * x)."""
    return matrix(len(level_x), {(0, 1): level_x, (1, 0): level_y})


def zoom(factor: np.ndarray) -> np.ndarray:
    """Content grows by `factor` about the corner."""
    return matrix(len(factor), {(0, 0): 1.0 / factor, (1, 1): 1.0 / factor})


def flip(size_hw: np.ndarray, *, horizontal: bool) -> np.ndarray:
    """x -> W - x, or y -> H - y."""
    axis = 0 if horizontal else 1
    return matrix(len(size_hw), {(axis, axis): -1.0, (axis, 2): size_hw[:, 1 - axis]})


def quad_to_quad(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Perspective whose content moves the four `start` points to the four `end` points.

    Args:
        start: float64 [N, 4, 2], points of the input.
        end: float64 [N, 4, 2], where they are in the output.

    Returns:
        `dst_to_src`, float64 [N, 3, 3].
    """
    n = len(start)
    lhs, rhs = np.zeros((n, 8, 8)), start.reshape(n, 8, 1)
    x, y = end[..., 0], end[..., 1]
    one = np.ones_like(x)
    for axis in (0, 1):
        target = start[..., axis]
        lhs[:, axis::2, 3 * axis : 3 * axis + 3] = np.stack([x, y, one], -1)
        lhs[:, axis::2, 6:] = -np.stack([x * target, y * target], -1)
    solved = np.linalg.solve(lhs, rhs)[..., 0]
    return np.concatenate([solved, np.ones((n, 1))], axis=1).reshape(n, 3, 3)


def apply(m: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map points: float64 [..., 3, 3] and [..., P, 2] to [..., P, 2]."""
    homogeneous = np.concatenate([points, np.ones_like(points[..., :1])], axis=-1)
    moved = homogeneous @ np.swapaxes(m, -1, -2)
    return moved[..., :2] / moved[..., 2:]


def is_affine(m: np.ndarray) -> np.ndarray:
    """bool [...]: the bottom row is exactly 0 0 1."""
    return (m[..., 2, 0] == 0) & (m[..., 2, 1] == 0) & (m[..., 2, 2] == 1)


def is_lattice(m: np.ndarray) -> np.ndarray:
    """bool [...]: pixel centres go exactly to pixel centres (flips, turns by 90°, whole shifts)."""
    linear = m[..., :2, :2]
    unit = np.isin(linear, (-1.0, 0.0, 1.0)).all((-1, -2))
    unit &= (np.abs(linear).sum(-1) == 1).all(-1) & (np.abs(linear).sum(-2) == 1).all(-1)
    whole = (m[..., :2, 2] == np.rint(m[..., :2, 2])).all(-1)
    return unit & whole & is_affine(m)


def centres_inside(m: np.ndarray, out_hw: np.ndarray, canvas_hw: np.ndarray) -> np.ndarray:
    """bool [N]: every output pixel's centre lies in the canvas, by a margin that no rounding eats.

    A map that keeps lines straight keeps a rectangle convex, so the four corner centres decide.
    Lattice maps have no rounding and need no margin.
    """
    w, h = out_hw[:, 1], out_hw[:, 0]
    x = np.stack([np.full(len(w), 0.5), w - 0.5, w - 0.5, np.full(len(w), 0.5)], axis=1)
    y = np.stack([np.full(len(h), 0.5), np.full(len(h), 0.5), h - 0.5, h - 0.5], axis=1)
    corners = apply(m, np.stack([x, y], axis=-1))
    room = np.minimum(corners, canvas_hw[:, None, ::-1] - corners).min((1, 2))
    return room > np.where(is_lattice(m), 0.0, 1e-4)
