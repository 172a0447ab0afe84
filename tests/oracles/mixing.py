"""`Mix` for one output and one channel, pixel by pixel, in exact fractions."""

from __future__ import annotations

from fractions import Fraction

SKIP, PASTE, ADD = 0, 1, 2


def mix(images, entries, canvas_hw, fill):
    """One output, unrounded.

    Args:
        images: arrays [H][W], one for each source row.
        entries: (source, mode, weight, (x0, y0, x1, y1), (dx, dy)) in drawing order.
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
                part = Fraction(round(Fraction(weight) * 65536), 65536)
                if mode == PASTE:
                    out[y][x], shown = pixel, {k: Fraction(1)}
                else:
                    out[y][x] += part * pixel
                    shown[k] = part
            for k, part in shown.items():
                mass[k] += part
    return out, mass
