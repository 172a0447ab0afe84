"""Losses of style transfer as scalar loops, from Gatys et al. (arXiv:1508.06576)."""

from __future__ import annotations

import numpy as np


def gram(features: np.ndarray) -> np.ndarray:
    """[C, C] of one map [C, H, W]: sums of products over positions, over C * H * W."""
    channels, height, width = features.shape
    out = np.zeros((channels, channels))
    for a in range(channels):
        for b in range(channels):
            total = 0.0
            for y in range(height):
                for x in range(width):
                    total += float(features[a, y, x]) * float(features[b, y, x])
            out[a, b] = total / (channels * height * width)
    return out


def mean_square(a: np.ndarray, b: np.ndarray) -> float:
    """Mean of squared differences."""
    total, count = 0.0, 0
    for one, other in zip(a.reshape(-1), b.reshape(-1), strict=True):
        total += (float(one) - float(other)) ** 2
        count += 1
    return total / count


def total_variation(image: np.ndarray) -> float:
    """Half the mean step down plus half the mean step right, of one image [C, H, W]."""
    channels, height, width = image.shape
    down, right = [], []
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                here = float(image[c, y, x])
                if y + 1 < height:
                    down.append(abs(float(image[c, y + 1, x]) - here))
                if x + 1 < width:
                    right.append(abs(float(image[c, y, x + 1]) - here))
    means = [sum(steps) / len(steps) for steps in (down, right) if steps]
    return sum(means) / 2
