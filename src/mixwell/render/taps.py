"""Tables of resampling weights, shared by all backends (NumPy only).

| table            | weights                                                               |
| ---------------- | --------------------------------------------------------------------- |
| `resample_taps`  | Pillow's antialiasing filters: float64, normalised, and in 1 / 2^22     |
| `bicubic_phases` | Keys's cubic (a = -0.5) at 256 fractions, in 1 / 2^11, each summing to 1 |

A triangle (support 1) stands behind BILINEAR, Keys's cubic with a = -0.5 (support 2) behind
BICUBIC; when shrinking, the filter is stretched by the scale, which is what antialiasing is.
Pixels outside the box, rounded out to whole pixels, never take part.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mixwell.plan.steps import Interp

RESIZE_BITS = 22
"""Fraction bits of a resize's integer weights (Pillow's 8-bit path)."""
CUBIC_BITS = 11
"""Fraction bits of a warp's cubic weights."""
PHASE_BITS = 8
"""Fraction bits of a warp's position between pixels, on integer images."""


def resample_taps(
    in0: float, in1: float, out_size: int, interp: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which pixels of an axis an antialiased resize averages, and how.

    Args:
        in0: start of the box, px.
        in1: end of the box, px; less than `in0` mirrors the result.
        out_size: number of output pixels.
        interp: `Interp.BILINEAR` or `Interp.BICUBIC`.

    Returns:
        first int32 [out], the first pixel read; weights float64 [out, T], normalised;
        weights_int int32 [out, T], in 1 / 2^22. Unused taps weigh 0 (their pixel may lie outside).
    """
    low, high = min(in0, in1), max(in0, in1)
    start = int(np.floor(low))
    inside = int(np.ceil(high)) - start
    first, weights, whole = _taps(low - start, high - start, inside, out_size, int(interp))
    first = first + np.int32(start)
    if in0 > in1:
        return first[::-1], weights[::-1], whole[::-1]
    return first, weights, whole


@lru_cache(maxsize=4096)
def _taps(
    low: float, high: float, inside: int, out_size: int, interp: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pillow's `precompute_coeffs`, with the same order of float64 operations."""
    kernel, support = (_triangle, 1.0) if interp == Interp.BILINEAR else (_cubic, 2.0)
    scale = (high - low) / out_size
    stretch = max(scale, 1.0)
    support *= stretch
    centre = low + (np.arange(out_size) + 0.5) * scale
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + support + 0.5).astype(np.int64), inside)
    tap = np.arange(max(int((last - first).max()), 1))
    at = (tap + first[:, None]) - centre[:, None] + 0.5
    weights = np.where(tap < (last - first)[:, None], kernel(at * (1.0 / stretch)), 0.0)
    # Pillow sums from left to right; NumPy's own sum may not.
    weights /= np.add.accumulate(weights, axis=1)[:, -1:]
    whole = np.trunc(weights * (1 << RESIZE_BITS) + np.copysign(0.5, weights)).astype(np.int32)
    tables = first.astype(np.int32), weights, whole
    for table in tables:
        table.setflags(write=False)
    return tables


def _triangle(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    return np.where(x < 1.0, 1.0 - x, 0.0)


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys, "Cubic convolution interpolation for digital image processing" (1981), a = -0.5."""
    x, a = np.abs(x), -0.5
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


@lru_cache(maxsize=1)
def bicubic_phases() -> np.ndarray:
    """int32 [256, 4]: weights in 1 / 2048 of the pixels -1 .. 2 at each fraction k / 256.

    Each weight is rounded; the largest (the first of them) takes what the sum lacks of 2048.
    """
    fraction = np.arange(1 << PHASE_BITS) / (1 << PHASE_BITS)
    exact = _cubic(fraction[:, None] - np.arange(-1, 3))
    phases = np.rint(exact * (1 << CUBIC_BITS)).astype(np.int32)
    largest = phases.argmax(axis=1)
    phases[np.arange(len(phases)), largest] += (1 << CUBIC_BITS) - phases.sum(axis=1)
    phases.setflags(write=False)
    return phases
