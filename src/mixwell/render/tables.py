"""Numbers that every backend shares: 256-entry tables, statistics, filter weights, noise quantiles.

On uint8 the tone ops that look at one level at a time are tables. Each table here is made for each
row, and for each channel where a statistic of the pixels decides, in NumPy and in the arithmetic of
Pillow, so a backend that applies them by look-up cannot disagree with another one.

A run of consecutive tables is one table (`compose`), and statistics inside the run need no second
look at the pixels: the histogram after a table is the histogram before it, moved (`push_forward`).

Shapes: tables are uint8 [n, C, 256], or [n, 1, 256] where all channels agree; histograms are
int64 [n, C, 256] over the colour channels (never alpha); parameters are float64 [n].

References:
    Pillow's ImageEnhance, ImageOps and Blend.c, whose results these tables repeat bit for bit,
    but for the pivot of contrast (see `contrast_pivot`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from mixwell.plan.steps import Code

LEVELS = np.arange(256)
LEVELS.setflags(write=False)
"""All levels of a uint8 channel."""

GREY_WEIGHTS = (19595, 38470, 7471)
"""Weights of red, green and blue in a grey level, in 1/65536 (ITU-R 601-2; Pillow's integers)."""

BLUR_BITS = 14
"""Blur weights are whole multiples of 2**-14 and sum to exactly one."""

NORMAL_BITS = 12
"""Standard normal numbers are whole multiples of 2**-12."""

USES_HISTOGRAM = frozenset({Code.CONTRAST, Code.AUTOCONTRAST, Code.EQUALIZE})
"""Codes whose tables depend on the pixels; they do so through the histogram alone."""


def table(code: Code, params: np.ndarray, hist: np.ndarray) -> np.ndarray:
    """The tables of one code, one for each row.

    Args:
        code: a key of `TABLES`.
        params: float64 [n, 12], the slots' parameters.
        hist: int64 [n, C, 256]; codes not in `USES_HISTOGRAM` do not look at
            it, zeros will do.

    Returns:
        uint8 [n, C, 256] or [n, 1, 256].
    """
    return TABLES[code](params[:, 0], hist)


def brightness(factor: np.ndarray) -> np.ndarray:
    """Blend of black and the level: uint8 [n, 1, 256]."""
    return _blend(np.zeros(len(factor)), factor)


def contrast(factor: np.ndarray, hist: np.ndarray) -> np.ndarray:
    """Blend of the image's mean grey and the level: uint8 [n, 1, 256]."""
    return _blend(contrast_pivot(hist), factor)


def contrast_pivot(hist: np.ndarray) -> np.ndarray:
    """Mean grey level, int64 [n], from whole sums, rounded once, half up.

    Pillow rounds each pixel's grey first, so its pivot differs, by one level at most; but such a
    pivot is no function of the channels' histograms, and every table before it would force a new
    pass over the pixels.

    Args:
        hist: int64 [n, 3, 256] or [n, 1, 256]. Sums fit in int64 up to 65535 x 65535 px.
    """
    pixels = hist[:, 0].sum(axis=1)
    sums = hist @ LEVELS
    weights = np.array(GREY_WEIGHTS if hist.shape[1] == 3 else (1 << 16,))
    whole = np.maximum(pixels << 16, 1)
    return (sums @ weights + (whole >> 1)) // whole


def posterize(bits: np.ndarray) -> np.ndarray:
    """The top bits of the level, 0 (black) .. 8 of them: uint8 [n, 1, 256]."""
    mask = -(1 << (8 - bits.astype(np.int64)))
    return (LEVELS & mask[:, None, None]).astype(np.uint8)


def solarize(threshold: np.ndarray) -> np.ndarray:
    """Levels at or above the threshold (0 .. 256) turned over: uint8 [n, 1, 256]."""
    return np.where(LEVELS < threshold[:, None, None], LEVELS, 255 - LEVELS).astype(np.uint8)


def invert(rows: int) -> np.ndarray:
    """Every level turned over: uint8 [n, 1, 256]."""
    return np.broadcast_to((255 - LEVELS).astype(np.uint8), (rows, 1, 256))


def autocontrast(hist: np.ndarray) -> np.ndarray:
    """Each channel stretched to 0 .. 255; a channel of one level stays: uint8 [n, C, 256]."""
    there = hist > 0
    low = there.argmax(axis=2).astype(np.float64)[..., None]
    high = 255.0 - there[..., ::-1].argmax(axis=2)[..., None]
    flat = ~(high > low) | ~there.any(axis=2, keepdims=True)
    scale = 255.0 / np.where(flat, 1.0, high - low)
    stretched = np.clip(LEVELS * scale + -low * scale, 0, 255)
    return np.where(flat, LEVELS, stretched).astype(np.uint8)


def equalize(hist: np.ndarray) -> np.ndarray:
    """Each channel's histogram flattened as Pillow does: uint8 [n, C, 256].

    The step is the number of pixels below the channel's highest level, over 255. Where it is zero
    (few pixels, or nearly all at the highest level) the channel stays.
    """
    top = 255 - (hist[..., ::-1] > 0).argmax(axis=2)[..., None]
    step = (hist.sum(axis=2, keepdims=True) - np.take_along_axis(hist, top, axis=2)) // 255
    before = hist.cumsum(axis=2) - hist
    spread = np.minimum((before + step // 2) // np.maximum(step, 1), 255)
    return np.where(step > 0, spread, LEVELS).astype(np.uint8)


def compose(first: np.ndarray, then: np.ndarray) -> np.ndarray:
    """The one table that does what two tables do in order.

    Args:
        first: uint8 [n, C, 256] or [n, 1, 256].
        then: likewise; channels broadcast.

    Returns:
        uint8 [n, C, 256], C the larger of both.
    """
    first, then = np.broadcast_arrays(first, then)
    return np.take_along_axis(then, first.astype(np.intp), axis=2)


def push_forward(hist: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The histogram, int64 [n, C, 256], of pixels with histogram `hist` after a table.

    Args:
        hist: int64 [n, C, 256].
        table: uint8 [n, C, 256] or [n, 1, 256].
    """
    table = np.broadcast_to(table, hist.shape)
    n, channels, _ = hist.shape
    moved = np.zeros_like(hist)
    row, channel = np.ogrid[:n, :channels]
    np.add.at(moved, (row[..., None], channel[..., None], table), hist)
    return moved


def blur_kernel(sigma_px: float, size_px: int) -> np.ndarray:
    """A sampled Gaussian, float64 [size], summing to one."""
    x = np.arange(size_px) - size_px // 2
    weights = np.exp(-0.5 * (x / sigma_px) ** 2)
    return weights / weights.sum()


def blur_weights(sigma_px: float, size_px: int) -> np.ndarray:
    """`blur_kernel` in units of 2**-14, int64 [size], summing to exactly 2**14.

    Each weight is rounded half to even, then the centre takes what is missing: at most half a unit
    for each tap. A constant image therefore stays what it is.
    """
    weights = np.rint(blur_kernel(sigma_px, size_px) * (1 << BLUR_BITS)).astype(np.int64)
    weights[size_px // 2] += (1 << BLUR_BITS) - weights.sum()
    return weights


@lru_cache(maxsize=1)
def normal_quantiles() -> np.ndarray:
    """Standard normal quantiles at the middles of 65536 equal bins, int32 [65536], read-only.

    In units of 2**-12, symmetrical about zero, within +-4.32. Indexed by 16 uniform bits this makes
    a normal number without a transcendental function, hence alike on every machine.
    """
    quantile = NormalDist().inv_cdf
    upper = [round(quantile((i + 0.5) / 65536) * (1 << NORMAL_BITS)) for i in range(32768, 65536)]
    values = np.array([-z for z in reversed(upper)] + upper, np.int32)
    values.setflags(write=False)
    return values


def _blend(base: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """base + factor * (level - base) in float32, clipped and truncated: uint8 [n, 1, 256].

    As Pillow's Image.blend: the product and the sum are rounded apart (never one fused step).
    """
    base = base.astype(np.float32)[:, None, None]
    factor = factor.astype(np.float32)[:, None, None]
    mixed = base + factor * (LEVELS.astype(np.float32) - base)
    return np.clip(mixed, 0, 255).astype(np.uint8)


TABLES: dict[Code, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    Code.BRIGHTNESS: lambda factor, hist: brightness(factor),
    Code.CONTRAST: contrast,
    Code.POSTERIZE: lambda bits, hist: posterize(bits),
    Code.SOLARIZE: lambda threshold, hist: solarize(threshold),
    Code.INVERT: lambda unused, hist: invert(len(unused)),
    Code.AUTOCONTRAST: lambda unused, hist: autocontrast(hist),
    Code.EQUALIZE: lambda unused, hist: equalize(hist),
}
"""Every code that is a table on uint8: (first parameter float64 [n], histogram) to tables."""
