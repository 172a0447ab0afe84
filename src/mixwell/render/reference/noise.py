"""Ops that write random numbers: pixel noise and erasing.

Nothing is stored: a slot carries a key, and each pixel's number is a function of (key, channel, y,
x), so any backend makes the same one, in any order and for any part of the image alone.

    counter   word 0: x | y << 16     word 1: channel // 4     words 2, 3: the slot's key 2, 3
    key       the slot's key 0, 1
    word      number channel % 4 of the four that Philox4x32-10 returns

Rounding, in whole numbers on uint8 (z: standard normal in 2**-12, `tables.normal_quantiles` at the
top 16 bits of the word):

    noise    p + (z * round(std * 255 * 2**12) + 2**23 >> 24), clipped to 0 .. 255
    erase    uniform: the top 8 bits of the word (16 on uint16)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mixwell._errors import RenderError
from mixwell.plan.steps import EraseUnits, EraseValue
from mixwell.render.images import Kind
from mixwell.render.reference.rows import Numbers, by_channel, colours, index, rectangles
from mixwell.render.tables import NORMAL_BITS, normal_quantiles

_LOW = 0xFFFFFFFF
_HANDFUL = 1 << 16  # pixels that get their random numbers in one go


def philox4x32(counter: tuple[Tensor, ...], key: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Ten rounds of Philox4x32, as `mixwell._philox.philox4x32`, on int64 tensors of 32-bit words.

    Args:
        counter: four int64 tensors with values 0 .. 2**32 - 1.
        key: two of them; all six broadcast.

    Returns:
        four int64 tensors with values 0 .. 2**32 - 1.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        high0, low0 = _product(0xD2511F53, c0)
        high1, low1 = _product(0xCD9E8D57, c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B9) & _LOW, (k1 + 0xBB67AE85) & _LOW
    return c0, c1, c2, c3


def noise_words(key: np.ndarray, channels: int, ys: Tensor, xs: Tensor) -> Tensor:
    """The pixels' random words.

    Args:
        key: uint32 [n, 4].
        channels: C.
        ys: int64 [H], rows of the image, 0 .. 65535.
        xs: int64 [W], columns, on the same device.

    Returns:
        int64 [n, C, H, W], values 0 .. 2**32 - 1.
    """
    keys = torch.from_numpy(key.astype(np.int64)).to(xs.device)[:, :, None, None, None]
    block = torch.arange(-(-channels // 4), device=xs.device)[:, None, None]
    place = xs | (ys[:, None] << 16)
    words = philox4x32((place, block, keys[:, 2], keys[:, 3]), (keys[:, 0], keys[:, 1]))
    stacked = torch.stack(torch.broadcast_tensors(*words), dim=2)
    return stacked.flatten(1, 2)[:, :channels]


def normals(words: Tensor) -> Tensor:
    """Standard normal numbers in units of 2**-12, int64, from words of any shape."""
    quantiles = torch.tensor(normal_quantiles(), dtype=torch.int64, device=words.device)
    return quantiles[words >> 16]


def noise(images: Tensor, params: np.ndarray, *, key: np.ndarray, kind: str, **_: object) -> Tensor:
    """Adds normal noise, a number of its own for each pixel and channel, and clips.

    Of four channels the fourth is alpha and stays.

    Raises:
        RenderError: uint16 images.
    """
    if kind == "uint16":
        raise RenderError("NOISE cannot take uint16; convert to uint8 or float32.")
    colours = 3 if images.shape[1] == 4 else images.shape[1]
    z = normals(noise_words(key, colours, *_grid(images)))
    std = params[:, 0]
    seen = images[:, :colours]
    if kind == "uint8":
        scale = _column(np.rint(std * (255 << NORMAL_BITS)).astype(np.int64), images)
        noisy = (seen + ((z * scale + (1 << 23)) >> 24)).clamp(0, 255).to(torch.uint8)
    else:
        strength = _column(std.astype(np.float32), images)
        noisy = (seen + z.to(torch.float32) * 2.0**-NORMAL_BITS * strength).clamp(0, 1)
    return torch.cat([noisy, images[:, colours:]], dim=1)


def erase(
    images: Tensor,
    params: np.ndarray,
    *,
    fill: np.ndarray,
    key: np.ndarray,
    kind: Kind,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
) -> Tensor:
    """Writes a rectangle in each row, all channels, alpha too.

    In input units the values are the fill (rounded half to even on integers) or uniform over the
    range. In normalized units they are the fill or standard normals, times `std` plus `mean`, so
    that they come out as said once the image is normalised; they are not clipped.

    Raises:
        RenderError: a row in normalized units, but the images are not float or are not normalised;
            a fill in input units outside their range; a coloured fill on images of more than 4
            channels.
    """
    _check_units(params, kind, mean, std)
    rects = np.rint(params[:, :4]).astype(np.int64)
    by_pixel, normalized = params[:, 4] == EraseValue.PIXEL, params[:, 5] == EraseUnits.NORMALIZED
    colour = _one_colour(images, params, fill=fill, key=key, kind=kind)
    colour = _unnormalized(colour, normalized, mean, std)[:, :, None, None].to(images.dtype)
    inside = rectangles(np.where(by_pixel[:, None], 0, rects), images)
    out = torch.where(inside, colour, images)
    for row, y, x in _places(rects, np.flatnonzero(by_pixel)):
        at_row, at_y, at_x = (index(places, images) for places in (row, y, x))
        words = _pixel_words(key[row], images.shape[1], at_y, at_x)
        drawn = _unnormalized(_random(words, normalized[row], kind), normalized[row], mean, std)
        out[at_row, :, at_y, at_x] = drawn.to(out.dtype)
    return out


def _product(constant: int, words: Tensor) -> tuple[Tensor, Tensor]:
    """High and low 32 bits of a 64-bit product, in halves because int64 has a sign."""
    low, high = (words & 0xFFFF) * constant, (words >> 16) * constant
    return (high + (low >> 16)) >> 16, (low + ((high & 0xFFFF) << 16)) & _LOW


def _grid(images: Tensor) -> tuple[Tensor, Tensor]:
    height, width = images.shape[2:]
    return torch.arange(height, device=images.device), torch.arange(width, device=images.device)


def _column(values: np.ndarray, images: Tensor) -> Tensor:
    """One number for each row, [n, 1, 1, 1], on the images' device."""
    return torch.from_numpy(values).to(images.device)[:, None, None, None]


def _check_units(params: np.ndarray, kind: str, mean: object, std: object) -> None:
    normalized = params[:, 5] == EraseUnits.NORMALIZED
    if normalized.any() and (kind != "float" or mean is None or std is None):
        raise RenderError(
            f"ERASE in normalized units needs float images with mean and std, got {kind} images, "
            f"mean {mean}, std {std}; give mean and std to render, or erase in input units."
        )


def _one_colour(
    images: Tensor, params: np.ndarray, *, fill: np.ndarray, key: np.ndarray, kind: Kind
) -> Tensor:
    """What CONSTANT and CHANNEL rows write, before normalised units are undone: float32 [n, C]."""
    constant = params[:, 4] == EraseValue.CONSTANT
    normalized = params[:, 5] == EraseUnits.NORMALIZED
    channels, plain = images.shape[1], constant & ~normalized
    colour = torch.from_numpy(by_channel(np.where(constant[:, None], fill, 0), channels))
    colour = colour.to(images.device)
    like = colour[:, :, None, None]
    colour[index(np.flatnonzero(plain), images)] = colours(
        fill[plain], Numbers(kind), like
    ).flatten(1)
    some = np.flatnonzero(params[:, 4] == EraseValue.CHANNEL)
    if len(some):
        corner = torch.zeros(len(some), dtype=torch.int64, device=images.device)
        words = _pixel_words(key[some], channels, corner, corner)
        colour[index(some, images)] = _random(words, normalized[some], kind).float()
    return colour


def _places(rects: np.ndarray, rows: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Row, y and x of all pixels in some rows' rectangles, in handfuls that fit the cache."""
    x0, y0, x1, y1 = rects[rows].T
    sizes = (x1 - x0) * (y1 - y0)
    row = np.repeat(np.arange(len(rows)), sizes)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    y, x = np.divmod(nth, np.maximum(x1 - x0, 1)[row])
    for start in range(0, len(row), _HANDFUL):
        some = slice(start, start + _HANDFUL)
        of = row[some]
        yield rows[of], y[some] + y0[of], x[some] + x0[of]


def _pixel_words(key: np.ndarray, channels: int, ys: Tensor, xs: Tensor) -> Tensor:
    """`noise_words` of single pixels, each with a key of its own: int64 [P, C]."""
    keys = index(key, xs)[:, :, None]
    block = torch.arange(-(-channels // 4), device=xs.device)
    counter = ((ys << 16) | xs)[:, None], block, keys[:, 2], keys[:, 3]
    words = torch.broadcast_tensors(*philox4x32(counter, (keys[:, 0], keys[:, 1])))
    return torch.stack(words, dim=2).flatten(1)[:, :channels]


def _random(words: Tensor, normalized: np.ndarray, kind: Kind) -> Tensor:
    """Values from words [n, C]: uniform over the range, or standard normal in rows that say so."""
    if kind != "float":
        return words >> (24 if kind == "uint8" else 16)
    uniform = words.to(torch.float32) * 2.0**-32
    if not normalized.any():
        return uniform
    normal = normals(words).to(torch.float32) * 2.0**-NORMAL_BITS
    return torch.where(index(normalized, words).bool()[:, None], normal, uniform)


def _unnormalized(
    colour: Tensor,
    normalized: np.ndarray,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
) -> Tensor:
    """Colours [n, C] times `std` plus `mean` in the rows that are in normalised units."""
    if not normalized.any():
        return colour
    by, plus = (
        torch.tensor(values, dtype=torch.float32, device=colour.device) for values in (std, mean)
    )
    return torch.where(index(normalized, colour).bool()[:, None], colour * by + plus, colour)
