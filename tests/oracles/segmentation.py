"""Segmentation by scalar loops: losses and measures of class maps, transposed convolution."""

from __future__ import annotations

import math

import numpy as np


def pixel_loss(logits, layers, shares, ignore, weight=None) -> float:
    """Sum of share * weight * -log softmax over pixels and layers, by the sum of share * weight."""
    total = mass = 0.0
    batch, classes, height, width = logits.shape
    weight = [1.0] * classes if weight is None else weight
    for b in range(batch):
        for s, share in enumerate(shares[b]):
            for y in range(height):
                for x in range(width):
                    k = int(layers[b][s][y][x])
                    if k == ignore:
                        continue
                    scores = [float(v) for v in logits[b, :, y, x]]
                    top = max(scores)
                    norm = top + math.log(sum(math.exp(v - top) for v in scores))
                    total += share * weight[k] * (norm - scores[k])
                    mass += share * weight[k]
    return total / mass if mass else 0.0


def measures(predicted, truth, classes, ignore) -> tuple[float, float, list[float | None]]:
    """Pixel accuracy, mean IoU over classes that occur, and each IoU (None: occurs nowhere)."""
    pairs = [(int(p), int(t)) for p, t in zip(np.ravel(predicted), np.ravel(truth), strict=True)]
    pairs = [(p, t) for p, t in pairs if t != ignore]
    hits = sum(p == t for p, t in pairs)
    each: list[float | None] = []
    for k in range(classes):
        both = sum(p == k and t == k for p, t in pairs)
        either = sum(p == k or t == k for p, t in pairs)
        each.append(both / either if either else None)
    known = [iou for iou in each if iou is not None]
    accuracy = hits / len(pairs) if pairs else 0.0
    return accuracy, sum(known) / len(known) if known else 0.0, each


def scattered(image, kernel, stride=1, padding=0) -> np.ndarray:
    """Transposed convolution of one channel: each pixel lays down the kernel times its value."""
    height, width = image.shape
    side_y, side_x = kernel.shape
    out = np.zeros(((height - 1) * stride + side_y, (width - 1) * stride + side_x))
    for y in range(height):
        for x in range(width):
            for v in range(side_y):
                for u in range(side_x):
                    out[y * stride + v, x * stride + u] += image[y, x] * kernel[v, u]
    return out[padding : out.shape[0] - padding, padding : out.shape[1] - padding]


def bilinear(image, stride) -> np.ndarray:
    """Upsampling by a whole factor with pixel centres aligned, zeros outside the image."""
    height, width = image.shape
    out = np.zeros((height * stride, width * stride))
    for y in range(height * stride):
        for x in range(width * stride):
            at_y, at_x = (y + 0.5) / stride - 0.5, (x + 0.5) / stride - 0.5
            for v in (math.floor(at_y), math.floor(at_y) + 1):
                for u in (math.floor(at_x), math.floor(at_x) + 1):
                    if 0 <= v < height and 0 <= u < width:
                        out[y, x] += (1 - abs(at_y - v)) * (1 - abs(at_x - u)) * image[v, u]
    return out


def tiled(function, image, tile, starts_y, starts_x) -> np.ndarray:
    """The mean of what a function of a tile says of each pixel, over the tiles that hold it."""
    height, width = image.shape[-2:]
    found: dict[tuple[int, int], list[np.ndarray]] = {}
    for y in starts_y:
        for x in starts_x:
            answer = function(image[..., y : y + tile[0], x : x + tile[1]])
            for v in range(tile[0]):
                for u in range(tile[1]):
                    found.setdefault((y + v, x + u), []).append(answer[:, v, u])
    out = np.zeros((len(next(iter(found.values()))[0]), height, width))
    for (y, x), answers in found.items():
        out[:, y, x] = sum(answers) / len(answers)
    return out
