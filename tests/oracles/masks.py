"""Masks and cells of mixing ops, one pixel at a time, from the papers' words."""

from __future__ import annotations

import math


def low_frequency_image(coefficients, height, width, decay_power):
    """Harris et al. 2020: the real inverse Fourier transform of random coefficients, each divided
    by its frequency (in cycles per pixel, no less than one wave along the longer side) to a power.

    Args:
        coefficients: {(ky, kx): complex} for all ky of the transform and kx = 0 .. width // 2.
    """
    image = [[0.0] * width for _ in range(height)]
    for (ky, kx), value in coefficients.items():
        signed = ky - height if ky > height // 2 else ky
        waves = max(math.hypot(signed / height, kx / width), 1 / max(height, width))
        scaled = value * waves**-decay_power
        mirrored = 0 < kx < width / 2
        for y in range(height):
            for x in range(width):
                turn = 2 * math.pi * (ky * y / height + kx * x / width)
                part = scaled.real * math.cos(turn) - scaled.imag * math.sin(turn)
                image[y][x] += part * (2 if mirrored else 1)
    return image


def binarised(image, lam, max_soft=0.0):
    """The share lam of the pixels, largest first, is 1; around the border in rank, over at most
    max_soft of all pixels to either side, values fall evenly from 1 to 0."""
    ranked = sorted(
        ((value, -place) for place, value in enumerate(v for line in image for v in line)),
        reverse=True,
    )
    pixels, width = len(ranked), len(image[0])
    ones = round(lam * pixels)
    soft = min(int(max_soft * pixels), ones, pixels - ones)
    mask = [[0.0] * width for _ in image]
    for rank, (_, place) in enumerate(ranked):
        y, x = divmod(-place, width)
        if rank < ones - soft:
            mask[y][x] = 1.0
        elif rank < ones + soft:
            mask[y][x] = 1 - (rank - ones + soft) / (2 * soft - 1)
    return mask


def smooth(height, width, centre_y, centre_x, sigma, square):
    """Lee et al. 2020: the partner's weight at each pixel's centre."""
    out = []
    for y in range(height):
        line = []
        for x in range(width):
            dy, dx = abs(y + 0.5 - centre_y), abs(x + 0.5 - centre_x)
            d = max(dx, dy) if square else math.hypot(dx, dy)
            line.append(math.exp(-d * d / (2 * sigma * sigma)))
        out.append(line)
    return out


def cell_of(place, n, length):
    """Which of n cells along a side holds a pixel."""
    return next(k for k in range(n) if k * length // n <= place < (k + 1) * length // n)
