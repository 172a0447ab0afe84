"""Matrices over batches: float64 [N, 3, 3], mapping output points to input points (`dst_to_src`).

Points are (x, y) in the continuous frame, pixel (0, 0) covering [0, 1) x [0, 1); the centre of an
image of width W and height H is (W / 2, H / 2). Angles are degrees, positive = counter-clockwise
as seen on the screen (Pillow's and torchvision's `rotate`).
"""

from __future__ import annotations

import numpy as np


def matrix(rows: int, entries: dict[tuple[int, int], np.ndarray | float]) -> np.ndarray:
    """Identity matrices with some entries replaced."""
    out = np.zeros((rows, 3, 3))
    out.reshape(rows, 9)[:, ::4] = 1.0
    for (i, j), value in entries.items():
        out[:, i, j] = value
    return out


def shift(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The content moves by (x, y) px: an output point shows the input point at minus that."""
    return matrix(len(x), {(0, 2): -x, (1, 2): -y})


def about_centre(m: np.ndarray, size_hw: np.ndarray) -> np.ndarray:
    """Apply the linear part about the image's centre instead of the corner."""
    x, y = size_hw[:, 1] / 2.0, size_hw[:, 0] / 2.0
    out = m.copy()
    for axis, middle in enumerate((x, y)):
        out[:, axis, 2] += middle - (m[:, axis, 0] * x + m[:, axis, 1] * y)
    return out


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
    homogeneous = np.ones((*points.shape[:-1], 3))
    homogeneous[..., :2] = points
    moved = homogeneous @ np.swapaxes(m, -1, -2)
    return moved[..., :2] / moved[..., 2:]


def is_affine(m: np.ndarray) -> np.ndarray:
    """bool [...]: the bottom row is exactly 0 0 1."""
    return (m[..., 2, 0] == 0) & (m[..., 2, 1] == 0) & (m[..., 2, 2] == 1)


def is_lattice(m: np.ndarray) -> np.ndarray:
    """bool [...]: pixel centres go exactly to pixel centres (flips, turns by 90°, whole shifts)."""
    columns = np.ascontiguousarray(m.reshape(-1, 9).T).reshape(9, *m.shape[:-2])
    one, none, whole = np.abs(columns) == 1, columns == 0, columns == np.rint(columns)
    upright = one[0] & one[4] & none[1] & none[3]
    turned = none[0] & none[4] & one[1] & one[3]
    affine = none[6] & none[7] & (columns[8] == 1)
    return (upright | turned) & whole[2] & whole[5] & affine


def centres_inside(
    m: np.ndarray, out_hw: np.ndarray, canvas_hw: np.ndarray, lattice: np.ndarray | None = None
) -> np.ndarray:
    """bool [N]: every output pixel's centre lies in the canvas, by a margin that no rounding eats.

    A map that keeps lines straight keeps a rectangle convex, so the four corner centres decide.
    Lattice maps (`lattice`, where that is known) have no rounding and need no margin.
    """
    margin = np.where(is_lattice(m) if lattice is None else lattice, 0.0, 1e-4)
    low, high = _reach(m, (out_hw[:, ::-1] - 0.5).T)
    room = np.minimum(low, canvas_hw[:, ::-1].T - high)
    return (room[0] > margin) & (room[1] > margin)


def _reach(m: np.ndarray, far: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest x and y, float64 [2, N], to which rectangles from (0.5, 0.5) to the points
    `far` [2, N] are mapped."""
    if not is_affine(m).all():
        points = np.full((len(m), 4, 2), 0.5)
        points[:, 1:3, 0], points[:, 2:, 1] = far[0, :, None], far[1, :, None]
        corners = apply(m, points)
        return corners.min(axis=1).T, corners.max(axis=1).T
    rows = np.ascontiguousarray(m[:, :2].transpose(2, 1, 0))  # of x, of y, of 1
    ends = rows[:2] * 0.5, rows[:2] * far[:, None]
    least, most = np.minimum(*ends), np.maximum(*ends)
    return least[0] + least[1] + rows[2], most[0] + most[1] + rows[2]
