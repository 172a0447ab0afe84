"""Masks from outlines and from COCO's runs, and runs from masks.

A pixel belongs to an outline where its centre lies inside (even-odd rule; a centre on a left or
upper edge counts as inside, so outlines that share an edge share no pixel). Several outlines of one
object are united. COCO counts runs down the columns, beginning with zeros; compressed, each count
from the fourth on is stored as the difference to the count two before, in groups of five bits,
lowest first, as letters from "0".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mixwell import DataError

_BASE, _BITS, _MORE, _SIGN = 48, 5, 32, 16


class Outlines(NamedTuple):
    """One object's outlines: float64 [k, 2] each, x and y in px, closed by themselves."""

    parts: tuple[np.ndarray, ...]


class Runs(NamedTuple):
    """One object's runs, down the columns, beginning with zeros."""

    counts: Sequence[int] | str
    size_hw: tuple[int, int]


Segment = Outlines | Runs


def mask_of(segment: Segment, size_hw: tuple[int, int]) -> np.ndarray:
    """The mask of an object.

    Args:
        segment: its outlines or runs.
        size_hw: height and width of the image, px.

    Returns:
        uint8 [H, W] of 0 and 1.

    Raises:
        DataError: runs of another size, or that do not fill the image.
    """
    if isinstance(segment, Outlines):
        mask = np.zeros(size_hw, bool)
        for part in segment.parts:
            fill(mask, part)
        return mask.view(np.uint8)
    if tuple(segment.size_hw) != tuple(size_hw):
        raise DataError(
            f"Runs need the size of their image, {list(size_hw)}, got {list(segment.size_hw)}. "
            "Correct the annotation's size (height, width)."
        )
    counts = segment.counts
    return mask_of_runs(runs_of_text(counts) if isinstance(counts, str) else counts, size_hw)


def fill(mask: np.ndarray, outline: np.ndarray) -> None:
    """Set the pixels of a mask whose centres lie inside an outline.

    Args:
        mask: bool [H, W], changed in place.
        outline: float64 [k, 2], x and y in px.
    """
    height, width = mask.shape
    (x0, y0), (x1, y1) = outline.T, np.roll(outline, -1, axis=0).T
    # Rows whose centre lies at or below the upper end of an edge and above its lower end.
    first = np.clip(np.ceil(np.minimum(y0, y1) - 0.5), 0, height).astype(np.int64)
    last = np.clip(np.ceil(np.maximum(y0, y1) - 0.5), 0, height).astype(np.int64)
    length = last - first
    if not length.any():
        return
    edge = np.repeat(np.arange(len(length)), length)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(length) - length, length) + first[edge]
    along = (row + 0.5 - y0[edge]) / (y1[edge] - y0[edge])
    crossing = x0[edge] + along * (x1[edge] - x0[edge])
    column = np.clip(np.ceil(crossing - 0.5), 0, width).astype(np.int64)
    top, left = row.min(), column.min()
    rows, columns = row.max() - top + 1, column.max() - left + 1
    turns = np.bincount((row - top) * columns + column - left, minlength=rows * columns)
    inside = np.cumsum(turns.reshape(rows, columns), axis=1)[:, :-1] % 2 == 1
    mask[top : top + rows, left : left + columns - 1] |= inside


def mask_of_runs(counts: Sequence[int], size_hw: tuple[int, int]) -> np.ndarray:
    """The mask that COCO's counts describe.

    Args:
        counts: lengths of runs of zeros and ones in turn, down the columns.
        size_hw: height and width, px.

    Returns:
        uint8 [H, W] of 0 and 1.

    Raises:
        DataError: a count is negative, or they do not fill the image.
    """
    lengths = np.asarray(counts, np.int64)
    height, width = size_hw
    if lengths.ndim != 1 or (lengths < 0).any() or lengths.sum() != height * width:
        raise DataError(
            f"Runs of a {width} x {height} mask need counts from 0 that add up to "
            f"{height * width}, got a sum of {lengths.sum()} and a lowest count of "
            f"{lengths.min() if lengths.size else 'none'}. The annotation is damaged."
        )
    values = np.arange(len(lengths), dtype=np.uint8) % 2
    return np.ascontiguousarray(np.repeat(values, lengths).reshape(width, height).T)


def runs_of_mask(mask: np.ndarray) -> list[int]:
    """COCO's counts of a mask.

    Args:
        mask: [H, W], zero and non-zero.

    Returns:
        Lengths of runs of zeros and ones in turn, down the columns; the first may be 0.
    """
    flat = (np.asarray(mask) != 0).T.reshape(-1)
    if not flat.size:
        return []
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate([[0], ends, [flat.size]])).tolist()
    return [0, *lengths] if flat[0] else lengths


def runs_of_text(text: str) -> list[int]:
    """COCO's counts from their compressed form.

    Raises:
        DataError: a letter that cannot occur, or the text ends within a count.
    """
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - _BASE
        if not 0 <= bits < 2 * _MORE:
            raise DataError(
                f"Compressed runs consist of the letters '0' to 'o', got {letter!r}. The "
                "annotation is damaged."
            )
        value |= (bits & (_MORE - 1)) << shift
        shift += _BITS
        if bits & _MORE:
            continue
        if bits & _SIGN:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    if shift:
        raise DataError(
            f"Compressed runs end with a whole count, got {text[-8:]!r} at the end. The "
            "annotation is cut short."
        )
    return counts


def text_of_runs(counts: Sequence[int]) -> str:
    """The compressed form of COCO's counts."""
    letters = []
    for i, count in enumerate(counts):
        value = count - counts[i - 2] if i > 2 else count
        while True:
            bits = value & (_MORE - 1)
            value >>= _BITS
            done = value == (-1 if bits & _SIGN else 0)
            letters.append(chr(_BASE + (bits if done else bits | _MORE)))
            if done:
                break
    return "".join(letters)
