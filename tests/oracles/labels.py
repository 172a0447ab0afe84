"""Labels, losses and accuracy of mixed images, one number at a time."""

from __future__ import annotations

from fractions import Fraction
from math import exp, log

SKIP, PASTE, ADD, MASK, UNMASK = range(5)


def trace(sizes, mixes):
    """Which input rows each output shows, pixel by pixel through all mixes.

    Args:
        sizes: (height, width) of each input row.
        mixes: for each mix a list of outputs (entries, height, width); an entry is
            (source, mode, weight, (x0, y0, x1, y1), (dx, dy)), in drawing order; the weight of a
            MASK or UNMASK is the mask [H][W], in 1/32768.

    Returns:
        for every output a dict {input row: share}; fractions that sum to 1, or none at all for an
        output that shows nothing.
    """
    state = [_canvas(h, w, {row: Fraction(1)}) for row, (h, w) in enumerate(sizes)]
    for mix in mixes:
        state = [_drawn(state, *output) for output in mix]
    return [_shares(canvas) for canvas in state]


def _canvas(height, width, content):
    """A canvas [H][W] of dicts {input row: coefficient}."""
    return [[dict(content) for _ in range(width)] for _ in range(height)]


def _part(mode, weight, x, y):
    """With what a pixel is added; for MASK and UNMASK, `weight` is the mask [H][W] in 1/32768."""
    if mode == MASK:
        return Fraction(int(weight[y][x]), 32768)
    if mode == UNMASK:
        return 1 - Fraction(int(weight[y][x]), 32768)
    return Fraction(1) if mode == PASTE else Fraction(round(Fraction(weight) * 65536), 65536)


def _drawn(state, entries, height, width):
    canvas = _canvas(height, width, {})
    for source, mode, weight, (x0, y0, x1, y1), (dx, dy) in entries:
        if mode == SKIP:
            continue
        for y in range(y0, y1):
            for x in range(x0, x1):
                if mode == PASTE:
                    canvas[y][x] = {}
                part = _part(mode, weight, x, y)
                for row, amount in state[source][y - dy][x - dx].items():
                    canvas[y][x][row] = canvas[y][x].get(row, Fraction(0)) + part * amount
    return canvas


def coverage(sizes, mixes):
    """Like `trace`, but fractions of the whole canvas: what is missing to 1 is fill. Where sources
    add up to more than the canvas, they are scaled to 1."""
    state = [_canvas(h, w, {row: Fraction(1)}) for row, (h, w) in enumerate(sizes)]
    for mix in mixes:
        state = [_drawn(state, *output) for output in mix]
    found = []
    for canvas in state:
        mass = {}
        for line in canvas:
            for pixel in line:
                for row, amount in pixel.items():
                    mass[row] = mass.get(row, Fraction(0)) + amount
        whole = max(sum(mass.values()), len(canvas) * len(canvas[0]))
        found.append({row: m / whole for row, m in mass.items()})
    return found


def _shares(canvas):
    mass = {}
    for line in canvas:
        for pixel in line:
            for row, amount in pixel.items():
                mass[row] = mass.get(row, Fraction(0)) + amount
    total = sum(mass.values())
    return {row: m / total for row, m in mass.items()} if total else {}


def dense(labels, shown, classes, smoothing=0.0):
    """A probability for each class; labels are class numbers or rows of probabilities."""
    out = []
    for sources in shown:
        row = [0.0] * classes
        for source, share in sources.items():
            for k in range(classes):
                row[k] += float(share) * _probability(labels[source], k)
        mass = sum(row)
        out.append([(1 - smoothing) * p + smoothing * mass / classes for p in row])
    return out


def _probability(label, k):
    return float(label[k]) if isinstance(label, list | tuple) else float(label == k)


def multilabel(labels, shown, classes, smoothing=0.0):
    """Each class on its own: y (1 - s) + s / 2."""
    blended = dense(labels, shown, classes)
    return [[y * (1 - smoothing) + smoothing / 2 for y in row] for row in blended]


def cross_entropy(logits, target):
    """Mean over the batch of -sum p log softmax."""
    total = 0.0
    for row, wanted in zip(logits, target, strict=True):
        norm = log(sum(exp(v) for v in row))
        total += sum(-p * (v - norm) for v, p in zip(row, wanted, strict=True))
    return total / len(logits)


def bce(logits, target, threshold=None, sum_classes=False):
    """Mean (or sum) over classes, mean over the batch, of the two-class cross-entropy."""
    total = 0.0
    for row, wanted in zip(logits, target, strict=True):
        for v, y in zip(row, wanted, strict=True):
            y = y if threshold is None else float(y > threshold)
            q = 1 / (1 + exp(-v))
            total += -(y * log(q) + (1 - y) * log(1 - q))
    return total / len(logits) / (1 if sum_classes else len(logits[0]))
