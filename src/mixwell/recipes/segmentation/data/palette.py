"""Pascal VOC's colours: those of its masks, and of everybody else's pictures."""

from __future__ import annotations

import numpy as np


def class_colors(count: int = 256) -> np.ndarray:
    """uint8 [count, 3]: the colour of each class in Pascal VOC's colour map.

    The bits of a class number, three at a time from the lowest, become the bits of red, green and
    blue from the highest on.
    """
    colors = np.zeros((count, 3), np.uint8)
    number = np.arange(count)
    for bit in range(8):
        for channel in range(3):
            on = (number >> (3 * bit + channel)) & 1
            colors[:, channel] |= (on << (7 - bit)).astype(np.uint8)
    return colors
