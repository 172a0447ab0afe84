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

import numpy as np
import torch
from torch import Tensor

from mixwell._errors import RenderError
from mixwell.plan.steps import EraseUnits, EraseValue
from mixwell.render.tables import NORMAL_BITS, normal_quantiles

_LOW = 0xFFFFFFFF
_TOP = {"uint8": 255, "uint16": 65535}


def philox4x32(counter: tuple[Tensor, ...], key: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Ten rounds of Philox4x32, as `mixwell._rng.philox4x32`, on int64 tensors of 32-bit words.

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
    kind: str,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
) -> Tensor:
    """Writes a rectangle in each row, all channels, alpha too.

    In input units the values are the fill (rounded half to even on integers) or uniform over the
    range. In normalized units they are the fill or standard normals, times `std` plus `mean`, so
    that they come out as said once the image is normalised; they are not clipped.

    Raises:
        RenderError: a row in normalized units, but the images are not float or are not normalised;
            a coloured fill on images of more than 4 channels.
    """
    _check_units(params, kind, mean, std)
    rects = np.rint(params[:, :4]).astype(np.int64)
    out = images.clone()
    for row, (x0, y0, x1, y1) in enumerate(rects.tolist()):
        ys = torch.arange(y0, y1, device=images.device)
        xs = torch.arange(x0, x1, device=images.device)
        value, units = (int(p) for p in params[row, 4:6])
        if value == EraseValue.CHANNEL:
            ys, xs = ys[:1] * 0, xs[:1] * 0
        if value == EraseValue.CONSTANT:
            colour = _constant(fill[row], images.shape[1], kind).to(images.device)
        else:
            words = noise_words(key[row : row + 1], images.shape[1], ys, xs)[0]
            colour = _random(words, kind, units)
        if units == EraseUnits.NORMALIZED:
            colour = colour * _per_channel(std, images) + _per_channel(mean, images)
        out[row, :, y0:y1, x0:x1] = colour.to(images.dtype)
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


def _constant(fill: np.ndarray, channels: int, kind: str) -> Tensor:
    """The fill, [C, 1, 1]; images of more than 4 channels need the same number in all."""
    if channels > 4 and (fill != fill[0]).any():
        raise RenderError(
            f"ERASE has a fill of 4 channels and the image has {channels}; only a grey fill can "
            f"serve, got {fill.tolist()}. Use one number as fill."
        )
    colour = fill[np.arange(channels) % 4]
    if kind != "float":
        colour = np.clip(np.rint(colour), 0, _TOP[kind])
    return torch.from_numpy(colour)[:, None, None]


def _random(words: Tensor, kind: str, units: int) -> Tensor:
    if units == EraseUnits.NORMALIZED:
        return normals(words).to(torch.float32) * 2.0**-NORMAL_BITS
    if kind == "float":
        return words.to(torch.float32) * 2.0**-32
    return words >> (24 if kind == "uint8" else 16)


def _per_channel(values: tuple[float, ...] | None, images: Tensor) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=images.device)[:, None, None]
