"""What plans and ops must come to, one row and one pixel at a time, from their definitions."""

from __future__ import annotations

import math
import random
from fractions import Fraction

SKIP, PASTE, ADD, MASK, UNMASK = range(5)


# -------------------------------------------------------------------------------------- plans


def painted_shares(
    entries: list[tuple[int, float, tuple[int, int, int, int]]], canvas_hw: tuple[int, int]
) -> list[Fraction]:
    """Each source's part of a canvas: coefficients are painted pixel by pixel and counted.

    Args:
        entries: (mode, weight, (x0, y0, x1, y1)) in drawing order; the weight of a MASK or UNMASK
            is the mask [H][W], in 1/32768.
        canvas_hw: height and width.
    """
    mass = [Fraction(0)] * len(entries)
    for y in range(canvas_hw[0]):
        for x in range(canvas_hw[1]):
            pixel = [Fraction(0)] * len(entries)
            for k, (mode, weight, (x0, y0, x1, y1)) in enumerate(entries):
                if mode == SKIP or not (x0 <= x < x1 and y0 <= y < y1):
                    continue
                if mode == PASTE:
                    pixel = [Fraction(0)] * len(entries)
                    pixel[k] = Fraction(1)
                elif mode in (MASK, UNMASK):
                    part = Fraction(int(weight[y][x]), 32768)
                    pixel[k] = part if mode == MASK else 1 - part
                else:
                    pixel[k] = Fraction(round(Fraction(weight) * 65536), 65536)
            mass = [a + b for a, b in zip(mass, pixel, strict=True)]
    total = sum(mass)
    return [m / total if total else Fraction(0) for m in mass]


# ------------------------------------------------------------------- moving points of a picture
# The frame: x to the right, y down, pixel (0, 0) covers [0, 1) x [0, 1).


def flipped(p, size_hw):
    """Left and right change places."""
    return size_hw[1] - p[0], p[1]


def flipped_vertically(p, size_hw):
    return p[0], size_hw[0] - p[1]


def turned(p, size_hw, degrees):
    """Counter-clockwise on the screen about the picture's centre."""
    cx, cy = size_hw[1] / 2, size_hw[0] / 2
    x, up = p[0] - cx, cy - p[1]
    angle = math.radians(degrees)
    turned_x = x * math.cos(angle) - up * math.sin(angle)
    turned_up = x * math.sin(angle) + up * math.cos(angle)
    return cx + turned_x, cy - turned_up


def zoomed(p, size_hw, factor):
    cx, cy = size_hw[1] / 2, size_hw[0] / 2
    return cx + factor * (p[0] - cx), cy + factor * (p[1] - cy)


def sheared_x(p, size_hw, level):
    """The output's row y shows the input's row y, read from x + level * (distance below centre)."""
    return p[0] - level * (p[1] - size_hw[0] / 2), p[1]


def sheared_y(p, size_hw, level):
    return p[0], p[1] - level * (p[0] - size_hw[1] / 2)


def shown_from(m, p):
    """Where an output point comes from, by a row-major `dst_to_src` matrix of nine numbers."""
    z = m[6] * p[0] + m[7] * p[1] + m[8]
    return (m[0] * p[0] + m[1] * p[1] + m[2]) / z, (m[3] * p[0] + m[4] * p[1] + m[5]) / z


# ------------------------------------------------------------------------------ sizes and boxes


def shorter_side_resized(size_hw, short):
    """torchvision's `Resize(int)`: the longer side is truncated."""
    h, w = size_hw
    if h <= w:
        return short, int(short * w / h)
    return int(short * h / w), short


def resized_crop(rng: random.Random, size_hw, scale, ratio):
    """torchvision's `RandomResizedCrop.get_params`: left, top, width, height."""
    height, width = size_hw
    for _ in range(10):
        area = height * width * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            return rng.randint(0, width - w), rng.randint(0, height - h), w, h
    return central_crop(size_hw, ratio)


def central_crop(size_hw, ratio):
    """Its way out: the largest central window of an allowed aspect."""
    height, width = size_hw
    w, h = width, height
    if width / height < min(ratio):
        h = round(width / min(ratio))
    elif width / height > max(ratio):
        w = round(height * max(ratio))
    return (width - w) // 2, (height - h) // 2, w, h


def erased(rng: random.Random, size_hw, scale, ratio):
    """torchvision's `RandomErasing.get_params`: left, top, width, height, or None."""
    height, width = size_hw
    for _ in range(10):
        area = height * width * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if h < height and w < width:
            return rng.randint(0, width - w), rng.randint(0, height - h), w, h
    return None


def cut_out(size_hw, length, x, y):
    """The paper's code: length // 2 on each side of the pixel, clipped; x0 y0 x1 y1."""
    height, width = size_hw
    half = length // 2
    return (
        min(max(x - half, 0), width),
        min(max(y - half, 0), height),
        min(max(x + half, 0), width),
        min(max(y + half, 0), height),
    )


def cut_mixed(size_hw, lam, centre_x, centre_y):
    """A box of the picture's aspect and 1 - lam of its area about a point, rounded, cut off."""
    height, width = size_hw
    side = math.sqrt(1 - lam)
    return (
        max(round(centre_x - side * width / 2), 0),
        max(round(centre_y - side * height / 2), 0),
        min(round(centre_x + side * width / 2), width),
        min(round(centre_y + side * height / 2), height),
    )
