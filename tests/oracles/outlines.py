"""Masks of outlines and runs, one pixel and one letter at a time."""

from __future__ import annotations


def inside(x, y, points):
    """Even-odd rule: how many edges a ray to the left crosses.

    An edge counts where its upper end is at or above y and its lower end below; a crossing exactly
    at x counts.
    """
    crossings = 0
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        if min(y0, y1) <= y < max(y0, y1):
            crossings += x0 + (y - y0) / (y1 - y0) * (x1 - x0) <= x
    return crossings % 2 == 1


def filled(points, height, width):
    """Rows of 0 and 1: the pixels whose centres lie inside."""
    return [[int(inside(x + 0.5, y + 0.5, points)) for x in range(width)] for y in range(height)]


def columns_of_counts(counts, height, width):
    """Rows of 0 and 1 from runs of zeros and ones in turn, down the columns."""
    flat, value = [], 0
    for count in counts:
        flat += [value] * count
        value = 1 - value
    assert len(flat) == height * width
    return [[flat[x * height + y] for x in range(width)] for y in range(height)]


def counts_of_letters(text):
    """COCO's compressed counts: five bits a letter, lowest first, "0" is no bit; the sixth bit
    says that more follow, the fifth of the last letter is the sign; from the fourth count on,
    differences to the count two before."""
    groups, group = [], []
    for letter in text:
        value = ord(letter) - ord("0")
        group.append(value % 32)
        if value < 32:
            groups.append(group)
            group = []
    counts = []
    for group in groups:
        number = sum(bits * 32**k for k, bits in enumerate(group))
        if group[-1] >= 16:
            number -= 32 ** len(group)
        if len(counts) >= 3:
            number += counts[-2]
        counts.append(number)
    return counts
