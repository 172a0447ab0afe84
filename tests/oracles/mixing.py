"""`Mix` for one output and one channel, pixel by pixel, in exact fractions."""

from __future__ import annotations

from fractions import Fraction

SKIP, PASTE, ADD, MASK, UNMASK = range(5)


def _part(mode, weight, x, y):
    """With what a pixel is added; for MASK and UNMASK, `weight` is the mask [H][W] in 1/32768."""
    if mode == MASK:
        return Fraction(int(weight[y][x]), 32768)
    if mode == UNMASK:
        return 1 - Fraction(int(weight[y][x]), 32768)
    return Fraction(1) if mode == PASTE else Fraction(round(Fraction(weight) * 65536), 65536)


def mix(images, entries, canvas_hw, fill):
    """One output, unrounded.

    Args:
        images: arrays [H][W], one for each source row.
        entries: (source, mode, weight, (x0, y0, x1, y1), (dx, dy)) in drawing order; the weight
            of a MASK or UNMASK is the mask [H][W], in 1/32768.
        canvas_hw: height and width.
        fill: what the canvas starts with.

    Returns:
        the pixels as fractions, and for each entry the summed coefficients it has in the result.
    """
    height, width = canvas_hw
    out = [[Fraction(fill)] * width for _ in range(height)]
    mass = [Fraction(0)] * len(entries)
    for y in range(height):
        for x in range(width):
            shown: dict[int, Fraction] = {}
            for k, (source, mode, weight, (x0, y0, x1, y1), (dx, dy)) in enumerate(entries):
                if mode == SKIP or not (x0 <= x < x1 and y0 <= y < y1):
                    continue
                pixel = Fraction(images[source][y - dy][x - dx].item())
                part = _part(mode, weight, x, y)
                if mode == PASTE:
                    out[y][x], shown = pixel, {k: Fraction(1)}
                else:
                    out[y][x] += part * pixel
                    shown[k] = part
            for k, part in shown.items():
                mass[k] += part
    return out, mass
