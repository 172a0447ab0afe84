"""Ops that look at neighbouring pixels: sharpness and Gaussian blur.

Rounding on uint8:

    smooth      (2 * S + 13) // 26, S = 5 * centre + its 8 neighbours; equals Pillow's SMOOTH, whose
                quotient S / 13 is never halfway; pixels on the border stay
    sharpness   smooth + factor * (p - smooth), each step rounded to float32, clipped, truncated
    blur        weights in 2**-14; along x: h = sum + 2**7 >> 8 (2**-6 of a level); along y:
                sum + 2**19 >> 20; the border reflects without repeating the edge pixel

Sharpness leaves the fourth of four channels, alpha, as it is; blur spreads it like the others.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mixwell._errors import RenderError
from mixwell.render.tables import blur_kernel, blur_weights


def blend(base: Tensor, images: Tensor, factor: np.ndarray) -> Tensor:
    """base + factor * (images - base), row by row, as Pillow's Image.blend.

    Two float32 steps, rounded apart: no fused multiply-add, which would move some results.

    Args:
        base: integer tensor, broadcasts against `images`.
        images: uint8 [n, C, H, W].
        factor: float64 [n].

    Returns:
        uint8 [n, C, H, W], clipped and truncated.
    """
    ratio = per_row(factor, images)
    base = base.to(torch.float32)
    step = ratio * (images.to(torch.float32) - base)
    return (base + step).clamp(0, 255).to(torch.uint8)


def blend_float(base: Tensor, images: Tensor, factor: np.ndarray) -> Tensor:
    """images * factor + base * (1 - factor), row by row, clipped to [0, 1]; float32."""
    weight, rest = per_row(factor, images), per_row(1.0 - factor, images)
    return (images * weight + base * rest).clamp(0, 1)


def per_row(values: np.ndarray, images: Tensor) -> Tensor:
    """One float32 number for each row, [n, 1, 1, 1], on the images' device."""
    return torch.from_numpy(values.astype(np.float32)).to(images.device)[:, None, None, None]


def sharpness(images: Tensor, params: np.ndarray, *, kind: str, **_: object) -> Tensor:
    """Blends the smoothed image (factor 0) and the image (factor 1); more sharpens.

    Images of less than 3 px on a side stay: all their pixels are border.

    Raises:
        RenderError: uint16 images.
    """
    if kind == "uint16":
        raise RenderError("SHARPNESS cannot take uint16; convert to uint8 or float32.")
    if min(images.shape[2:]) < 3:
        return images
    colours = 3 if images.shape[1] == 4 else images.shape[1]
    centre = images[:, :colours, 1:-1, 1:-1]
    sums = _neighbourhood(images[:, :colours].to(torch.int32 if kind == "uint8" else images.dtype))
    if kind == "uint8":
        inner = blend((2 * sums + 13) // 26, centre, params[:, 0])
    else:
        inner = blend_float(sums * (1.0 / 13.0), centre, params[:, 0])
    out = images.clone()
    out[:, :colours, 1:-1, 1:-1] = inner
    return out


def blur(images: Tensor, params: np.ndarray, *, kind: str, **_: object) -> Tensor:
    """Gaussian blur: a sampled kernel along x, then along y; the border reflects.

    Where an image is smaller than the kernel reaches, the reflection repeats, back and forth.

    Raises:
        RenderError: uint16 images.
    """
    if kind == "uint16":
        raise RenderError("BLUR cannot take uint16; convert to uint8 or float32.")
    if kind == "uint8":
        weights = torch.from_numpy(_padded_taps(params, blur_weights)).to(images.device)
        # Sums stay below 2^28: levels in 1/64, weights that sum to 2^14.
        along_x = (_correlate(images.int(), weights.int(), dim=3) + (1 << 7)) >> 8
        return ((_correlate(along_x, weights.int(), dim=2) + (1 << 19)) >> 20).to(torch.uint8)
    taps = _padded_taps(params, blur_kernel).astype(np.float32)
    weights = torch.from_numpy(taps).to(images.device)
    return _correlate(_correlate(images, weights, dim=3), weights, dim=2).clamp(0, 1)


def mirrored(index: Tensor, length: int) -> Tensor:
    """Positions outside 0 .. length - 1 reflected at the edge pixels until they are inside."""
    period = max(2 * (length - 1), 1)
    index = torch.remainder(index, period)
    return torch.minimum(index, period - index) if length > 1 else torch.zeros_like(index)


def _neighbourhood(images: Tensor) -> Tensor:
    """5 * centre + the 8 neighbours of each inner pixel, [n, C, H - 2, W - 2]."""
    height, width = images.shape[2] - 2, images.shape[3] - 2
    total = 4 * images[..., 1:-1, 1:-1]
    for y in range(3):
        for x in range(3):
            total = total + images[..., y : y + height, x : x + width]
    return total


def _padded_taps(params: np.ndarray, kernel: Callable[[float, int], np.ndarray]) -> np.ndarray:
    """Each row's kernel, zeros on both sides up to the longest one: [n, K]."""
    sizes = params[:, 1].astype(np.int64)
    longest = int(sizes.max(initial=1))
    padded = np.zeros((len(sizes), longest), kernel(1.0, 1).dtype)
    for row, size in enumerate(sizes.tolist()):
        start = (longest - size) // 2
        padded[row, start : start + size] = kernel(params[row, 0], size)
    return padded


def _correlate(images: Tensor, weights: Tensor, dim: int) -> Tensor:
    """Each row with its own symmetrical kernel [n, K], along one axis, reflecting."""
    length, taps = images.shape[dim], weights.shape[1]
    places = torch.arange(length + taps - 1, device=images.device) - taps // 2
    wide = images.index_select(dim, mirrored(places, length))
    total = torch.zeros_like(images)
    for tap in range(taps):
        total += weights[:, tap, None, None, None] * wide.narrow(dim, tap, length)
    return total
