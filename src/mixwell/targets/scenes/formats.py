"""Boxes as arrays, from the formats they are written in and back."""

from __future__ import annotations

import numpy as np

from mixwell.plan import polygons
from mixwell.targets.scenes.options import BoxFormat

WIDTH = {"xyxyxyxy": 8, "cxcywhr": 5, "xywhr": 5}
"""Numbers in a box, where there are not four."""


def to_xyxy(boxes: np.ndarray, form: BoxFormat) -> np.ndarray:
    """float64 [n, 4] from upright boxes."""
    a, b, c, d = boxes.T
    if form == "xywh":
        return np.stack([a, b, a + c, b + d], axis=1)
    if form == "cxcywh":
        return np.stack([a - c / 2, b - d / 2, a + c / 2, b + d / 2], axis=1)
    return boxes


def from_xyxy(boxes: np.ndarray, form: BoxFormat) -> np.ndarray:
    """Upright boxes as they were written, from float64 [n, 4]."""
    x0, y0, x1, y1 = boxes.T
    if form == "xywh":
        return np.stack([x0, y0, x1 - x0, y1 - y0], axis=1)
    if form == "cxcywh":
        return np.stack([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0], axis=1)
    return boxes


def to_corners(boxes: np.ndarray, form: BoxFormat) -> np.ndarray:
    """Corners float64 [n, 4, 2] of boxes in any format."""
    if form == "xyxyxyxy":
        return boxes.reshape(-1, 4, 2)
    if form not in ("cxcywhr", "xywhr"):
        return polygons.of_boxes(to_xyxy(boxes, form))
    x, y, width, height, angle = boxes.T
    along, down = _sides(np.deg2rad(angle))
    first = np.stack([x, y], axis=1)
    if form == "cxcywhr":
        first = first - along * width[:, None] / 2 - down * height[:, None] / 2
    second = first + along * width[:, None]
    lower = down * height[:, None]
    return np.stack([first, second, second + lower, first + lower], axis=1)


def from_corners(corners: np.ndarray, form: BoxFormat) -> np.ndarray:
    """Oriented boxes from corners float64 [n, 4, 2].

    A box that is no rectangle any more (after a shear) gives the rectangle around it that has the
    direction of its first side; as corners it stays what it is.
    """
    if form == "xyxyxyxy":
        return corners.reshape(-1, 8)
    side = corners[:, 1] - corners[:, 0]
    angle = np.arctan2(-side[:, 1], side[:, 0])
    along, down = _sides(angle)
    x = (corners * along[:, None]).sum(axis=-1)
    y = (corners * down[:, None]).sum(axis=-1)
    width, height = np.ptp(x, axis=1), np.ptp(y, axis=1)
    place = along * x.min(axis=1)[:, None] + down * y.min(axis=1)[:, None]
    if form == "cxcywhr":
        place = place + along * width[:, None] / 2 + down * height[:, None] / 2
    return np.column_stack([place, width, height, np.rad2deg(angle)])


def _sides(angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions [n, 2] of a turned box's upper and left side; y points down, angles turn left."""
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([c, -s], axis=1), np.stack([s, c], axis=1)


def scale_of(form: BoxFormat, hw: tuple[float, float]) -> np.ndarray:
    """What normalised boxes are multiplied by to be px."""
    height, width = hw
    if form in ("cxcywhr", "xywhr"):
        return np.array([width, height, width, height, 1.0])
    return np.tile([width, height], WIDTH.get(form, 4) // 2).astype(np.float64)
