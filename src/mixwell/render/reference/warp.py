"""WARP and CLIP: point sampling through a matrix, in fixed point.

Positions are int64 with 32 fraction bits. (x, y) is an output pixel, [[a b c] [d e f] [g h i]]
the matrix `dst_to_src`, W x H the source's size; `round` is half to even, `>>` floors.

| what             | rule                                                                      |
| ---------------- | ------------------------------------------------------------------------- |
| affine position  | X = A x + B y + C, A = round(a 2^32), C = round((c + a/2 + b/2) 2^32);    |
|                  | Y from d e f alike                                                        |
| perspective      | numerators and denominator alike, with 24 and 30 fraction bits; D >= 1;   |
|                  | N held within +-(D << 10), which is +-65536 px, beyond any image;         |
|                  | X = floor((N << 22) / D) << 16: 16 fraction bits count                    |
| - before         | divide the matrix by the power of two that brings the largest denominator |
|                  | at the output's corners below 1, unless it already is                     |
| inside           | 0 <= X < W 2^32 and 0 <= Y < H 2^32; elsewhere the pixel is the fill      |
| nearest          | pixel (X >> 32, Y >> 32)                                                  |
| between pixels   | U = X - 2^31, left pixel U >> 32, neighbours clamped to the edge          |
| integer bilinear | w = (U >> 24) & 255; t = (p (256 - w_x) + q w_x + 128) >> 8 in the upper  |
|                  | and the lower row, then (t (256 - w_y) + t' w_y + 128) >> 8               |
| integer bicubic  | weights `taps.bicubic_phases` at phase w;                                 |
|                  | clip((sum w_y sum w_x p + 2^21) >> 22, 0, top)                            |
| float bilinear   | w = float32(U & (2^32 - 1)) 2^-32; p + (q - p) w across, then down        |
| float bicubic    | Keys's weights of that w in float32, Horner's form; clipped to 0 .. 1     |
|                  | unless loose                                                              |
| CLIP             | where the pixel's centre lies on the canvas, by the rules above;          |
|                  | outside, the pixel becomes the fill, inside, it stays                     |

A lattice map (flips, quarter turns, whole shifts) gives exact pixels with every interpolation and
is read with nearest.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mixwell.plan.geometry import is_affine
from mixwell.plan.steps import Interp
from mixwell.render.reference.rows import Numbers, colours
from mixwell.render.taps import CUBIC_BITS, PHASE_BITS, bicubic_phases

ONE = 1 << 32
"""One pixel in fixed point."""
_HALF = 1 << 31


def warp(
    numbers: Numbers,
    images: Tensor,
    param: np.ndarray,
    out_hw: tuple[int, int],
    interp: int,
    fill: np.ndarray,
) -> Tensor:
    """Images [n, C, H, W] through their matrices: [n, C, *out_hw].

    Args:
        numbers: how the images' numbers are treated.
        images: tensor [n, C, H, W].
        param: float64 [n, 12], see `Code.WARP`; all affine or all perspective.
        out_hw: size of the output, px.
        interp: see `Interp`.
        fill: float32 [n, 4].
    """
    n, _, height, width = images.shape
    x, y = positions(param[:, :9].reshape(n, 3, 3), out_hw, images.device)
    inside = _inside(x, y, height, width)
    if interp == Interp.NEAREST:
        out = _gather(images, _clamped(x >> 32, width), _clamped(y >> 32, height), out_hw)
    elif interp == Interp.BILINEAR:
        out = _bilinear(numbers, images, x - _HALF, y - _HALF, out_hw)
    else:
        out = _bicubic(numbers, images, x - _HALF, y - _HALF, out_hw)
    return torch.where(inside[:, None], out, colours(fill, numbers, images))


def clip(numbers: Numbers, images: Tensor, param: np.ndarray, fill: np.ndarray) -> Tensor:
    """Images [n, C, H, W] with the fill where they look outside their canvas."""
    n, _, height, width = images.shape
    x, y = positions(param[:, :9].reshape(n, 3, 3), (height, width), images.device)
    canvas = torch.from_numpy(param[:, 9:11].astype(np.int64)).to(images.device)
    inside = _inside(x, y, canvas[:, 0, None, None], canvas[:, 1, None, None])
    return torch.where(inside[:, None], images, colours(fill, numbers, images))


def positions(
    m: np.ndarray, out_hw: tuple[int, int], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Where output pixels' centres lie in the source, in fixed point.

    Args:
        m: float64 [n, 3, 3] `dst_to_src`; all affine or all perspective.
        out_hw: size of the output, px.
        device: where the result is wanted.

    Returns:
        x and y, int64, broadcastable to [n, *out_hw].
    """
    if is_affine(m).all():
        return _plane(m[:, 0], 32, out_hw, device), _plane(m[:, 1], 32, out_hw, device)
    m = m / _denominator_unit(m, out_hw)[:, None, None]
    below = _plane(m[:, 2], 30, out_hw, device).clamp(min=1)
    across = _plane(m[:, 0], 24, out_hw, device), _plane(m[:, 1], 24, out_hw, device)
    limit = below << 10
    x, y = (
        torch.div(torch.clamp(n, -limit, limit) << 22, below, rounding_mode="floor") << 16
        for n in across
    )
    return x, y


def _denominator_unit(m: np.ndarray, out_hw: tuple[int, int]) -> np.ndarray:
    """float64 [n]: the power of two to divide by, 1 or more (dividing by it is exact)."""
    h, w = out_hw
    corners = [m[:, 2, 0] * x + m[:, 2, 1] * y + m[:, 2, 2] for x in (0, w) for y in (0, h)]
    largest = np.max(corners, axis=0)
    return np.ldexp(1.0, np.maximum(np.frexp(largest)[1], 0))


def _plane(line: np.ndarray, bits: int, out_hw: tuple[int, int], device: torch.device) -> Tensor:
    """a x + b y + c at pixel centres, int64 with the given fraction bits.

    Axes along which no row changes have length 1.
    """
    one = float(1 << bits)
    a, b, c = line.T
    steps = [np.rint(v * one).astype(np.int64) for v in (a, b, c + a / 2 + b / 2)]
    a, b, c = (torch.from_numpy(v).to(device)[:, None, None] for v in steps)
    out = c
    if steps[0].any():
        out = out + a * torch.arange(out_hw[1], device=device)
    if steps[1].any():
        out = out + b * torch.arange(out_hw[0], device=device)[:, None]
    return out


def _inside(x: Tensor, y: Tensor, height: int | Tensor, width: int | Tensor) -> Tensor:
    return ((x >= 0) & (x < width * ONE)) & ((y >= 0) & (y < height * ONE))


def _clamped(pixel: Tensor, size: int) -> Tensor:
    return pixel.clamp(0, size - 1)


def _gather(images: Tensor, ix: Tensor, iy: Tensor, out_hw: tuple[int, int]) -> Tensor:
    """The pixels at (ix, iy), which must lie inside: [n, C, *out_hw]."""
    n, channels, _, width = images.shape
    at = (iy * width + ix).expand(n, *out_hw).reshape(n, 1, -1).expand(n, channels, -1)
    return images.reshape(n, channels, -1).gather(2, at).reshape(n, channels, *out_hw)


def _bilinear(
    numbers: Numbers, images: Tensor, u: Tensor, v: Tensor, out_hw: tuple[int, int]
) -> Tensor:
    height, width = images.shape[-2:]
    xs = [_clamped((u >> 32) + k, width) for k in (0, 1)]
    ys = [_clamped((v >> 32) + k, height) for k in (0, 1)]
    wx, wy = (_fraction(numbers, p)[:, None] for p in (u, v))

    def between(p: Tensor, q: Tensor, w: Tensor) -> Tensor:
        if numbers.integer:
            return (p * (256 - w) + q * w + 128) >> 8
        return p + (q - p) * w

    lines = []
    for iy in ys:
        p, q = (_gather(images, ix, iy, out_hw).to(wx.dtype) for ix in xs)
        lines.append(between(p, q, wx))
    return between(lines[0], lines[1], wy).to(images.dtype)


def _bicubic(
    numbers: Numbers, images: Tensor, u: Tensor, v: Tensor, out_hw: tuple[int, int]
) -> Tensor:
    height, width = images.shape[-2:]
    wx, wy = (_cubic_weights(numbers, p) for p in (u, v))
    total = torch.zeros((), dtype=wx[0].dtype, device=images.device)
    for j in range(4):
        iy = _clamped((v >> 32) + (j - 1), height)
        line = torch.zeros((), dtype=wx[0].dtype, device=images.device)
        for i in range(4):
            ix = _clamped((u >> 32) + (i - 1), width)
            line = line + _gather(images, ix, iy, out_hw) * wx[i]
        total = total + line * wy[j]
    if numbers.integer:
        total = (total + (1 << (2 * CUBIC_BITS - 1))) >> (2 * CUBIC_BITS)
    if numbers.limit is not None:
        total = total.clamp(0, numbers.limit)
    return total.to(images.dtype)


def _fraction(numbers: Numbers, position: Tensor) -> Tensor:
    """How far between two pixels: 0 .. 255 in int32, or 0 .. 1 in float32."""
    if numbers.integer:
        return ((position >> (32 - PHASE_BITS)) & ((1 << PHASE_BITS) - 1)).int()
    return (position & (ONE - 1)).float() * 2.0**-32


def _cubic_weights(numbers: Numbers, position: Tensor) -> tuple[Tensor, ...]:
    """Weights of the pixels -1 .. 2, each with a channel axis."""
    f = _fraction(numbers, position)[:, None]
    if numbers.integer:
        # 16-bit sums need 64 bits; 8-bit sums stay below 2^31 with both passes' overshoot.
        dtype = torch.int32 if numbers.kind == "uint8" else torch.int64
        table = torch.from_numpy(bicubic_phases().copy()).to(position.device, dtype)
        return table[f.long()].unbind(-1)
    return (
        ((-0.5 * f + 1.0) * f - 0.5) * f,
        (1.5 * f - 2.5) * f * f + 1.0,
        ((-1.5 * f + 2.0) * f + 0.5) * f,
        (0.5 * f - 0.5) * f * f,
    )
