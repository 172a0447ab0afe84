"""Pillow's own arithmetic, for the codes of its profiles; uint8 alone.

| what          | rule                                                                          |
| ------------- | ----------------------------------------------------------------------------- |
| position      | x' = a (x + 1/2) + b (y + 1/2) + c in float64, y' from d e f alike            |
| nearest, a    | b = d = 0: x' begins at c + a/2 and a is added again and again, y' alike;     |
| nearest, b    | all corners within 32768 px: 16 fraction bits, A = floor(a 2^16 + 1/2),       |
|               | C = floor((c + a/2 + b/2) 2^16 + 1/2), X = C + A x + B y, pixel X >> 16;      |
| nearest, c    | else sums as in the first case, down the column, then along the row           |
| bilinear      | p + (q - p) w across, then down, in float64; cut off                          |
| bicubic       | Keys, a = -1/2, by Horner's rule in float64; clipped, cut off                 |
| neighbours    | clamped to the edge; outside 0 <= x' < W the fill                             |
| alpha         | of 4 channels: colours times alpha before, divided after, but for nearest     |
| contrast      | blend with floor(mean of rounded greys + 1/2)                                 |
| blur          | three box blurs along x, then three along y, each rounded to levels; the box  |
|               | of Gwosdek et al. (2011) for the radius in float32, weights in 2^-24          |

References:
    Geometry.c, BoxBlur.c, Convert.c and ImageEnhance.py of Pillow (HPND).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mixwell.plan.steps import Code, Interp
from mixwell.render import tables
from mixwell.render.reference.filters import blend, per_row
from mixwell.render.reference.levels import apply_table, grey_level

_FIXED_LIMIT_PX = 32768.0
_BLUR_PASSES = 3


def warp(
    images: Tensor, param: np.ndarray, out_hw: tuple[int, int], interp: int, colour: Tensor
) -> Tensor:
    """`Image.transform(size, AFFINE, data, resample, fillcolor)` on each row.

    Args:
        images: uint8 [n, C, H, W].
        param: float64 [n, 12]; 0..5 are `data`.
        out_hw: size of the output, px.
        interp: see `Interp`.
        colour: [n, C, 1, 1], the fill, whole levels.

    Returns:
        uint8 [n, C, *out_hw].
    """
    a = param[:, :6]
    if interp == Interp.NEAREST:
        return _nearest(images, a, out_hw, colour.to(images.dtype))
    with_alpha = images.shape[1] == 4
    source = _times_alpha(images) if with_alpha else images
    x, y = _positions(a, out_hw, images.device)
    height, width = images.shape[-2:]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    between = _bilinear if interp == Interp.BILINEAR else _bicubic
    read = between(source, x - 0.5, y - 0.5)
    out = torch.where(inside[:, None], read, colour.to(images.dtype))
    return _without_alpha(out) if with_alpha else out


def _nearest(images: Tensor, a: np.ndarray, out_hw: tuple[int, int], colour: Tensor) -> Tensor:
    n, _, height, width = images.shape
    straight = (a[:, 1] == 0) & (a[:, 3] == 0)
    corners = [(x, y) for x in (0, out_hw[1]) for y in (0, out_hw[0])]
    far = [np.abs(x * a[:, [0, 3]] + y * a[:, [1, 4]] + a[:, [2, 5]]) for x, y in corners]
    fixed = ~straight & (np.max(far, axis=(0, 2)) < _FIXED_LIMIT_PX)
    at = np.empty((2, n, *out_hw), np.int64)
    for rows, places in (
        (straight, _by_tables),
        (fixed, _in_fixed_point),
        (~straight & ~fixed, _by_sums),
    ):
        if rows.any():
            at[:, rows] = places(a[rows], out_hw)
    inside = (at >= 0).all(0) & (at[0] < width) & (at[1] < height)
    at = np.where(inside, at, 0)
    ix, iy, shown = (torch.from_numpy(v).to(images.device) for v in (at[0], at[1], inside))
    return torch.where(shown[:, None], _gather(images, ix, iy), colour)


def _by_tables(a: np.ndarray, out_hw: tuple[int, int]) -> np.ndarray:
    """Columns and rows of the source, int64 [2, n, H, W], for maps that only scale and shift."""
    x = _added_up(a[:, 2] + a[:, 0] * 0.5, a[:, 0], out_hw[1])
    y = _added_up(a[:, 5] + a[:, 4] * 0.5, a[:, 4], out_hw[0])
    shape = (len(a), *out_hw)
    both = (np.broadcast_to(v, shape) for v in (x[:, None, :], y[:, :, None]))
    return np.stack([_floored(v) for v in both])


def _in_fixed_point(a: np.ndarray, out_hw: tuple[int, int]) -> np.ndarray:
    x, y = np.arange(out_hw[1]), np.arange(out_hw[0])[:, None]

    def line(step_x: np.ndarray, step_y: np.ndarray, start: np.ndarray) -> np.ndarray:
        shifted = start + step_x * 0.5 + step_y * 0.5
        whole = [np.floor(v * 65536.0 + 0.5).astype(np.int64) for v in (step_x, step_y, shifted)]
        sx, sy, s = (v[:, None, None] for v in whole)
        return (s + sx * x + sy * y) >> 16

    return np.stack([line(*a[:, :3].T), line(*a[:, 3:6].T)])


def _by_sums(a: np.ndarray, out_hw: tuple[int, int]) -> np.ndarray:
    lines = []
    for step_x, step_y, start in (a[:, :3].T, a[:, 3:6].T):
        down = _added_up(start + step_y * 0.5 + step_x * 0.5, step_y, out_hw[0])
        lines.append(
            _floored(_added_up(down, np.broadcast_to(step_x[:, None], down.shape), out_hw[1]))
        )
    return np.stack(lines)


def _added_up(start: np.ndarray, step: np.ndarray, count: int) -> np.ndarray:
    """start, start + step, ... rounded after each sum: float64 [..., count]."""
    terms = np.repeat(step[..., None], count, axis=-1)
    terms[..., 0] = start
    return np.add.accumulate(terms, axis=-1)


def _floored(position: np.ndarray) -> np.ndarray:
    return np.floor(np.clip(position, -1.0, 2.0**31)).astype(np.int64)


def _positions(
    a: np.ndarray, out_hw: tuple[int, int], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Where pixels' centres lie in the source, float64 [n, *out_hw] each."""
    x = torch.arange(out_hw[1], dtype=torch.float64, device=device) + 0.5
    y = torch.arange(out_hw[0], dtype=torch.float64, device=device)[:, None] + 0.5
    v = torch.from_numpy(np.ascontiguousarray(a.T)).to(device)[:, :, None, None]
    return v[0] * x + v[1] * y + v[2], v[3] * x + v[4] * y + v[5]


def _gather(images: Tensor, ix: Tensor, iy: Tensor) -> Tensor:
    """The pixels at (ix, iy), int64 [n, h, w] inside the image: [n, C, h, w]."""
    n, channels, _, width = images.shape
    at = (iy * width + ix).reshape(n, 1, -1).expand(n, channels, -1)
    return images.reshape(n, channels, -1).gather(2, at).view(n, channels, *ix.shape[1:])


def _neighbours(u: Tensor, first: int, count: int, size: int) -> tuple[list[Tensor], Tensor]:
    """Pixels beside a position, clamped to the edge, and the fraction, with a channel axis."""
    low = u.clamp(-2.0, size + 2.0).floor()  # a position far outside is not shown
    whole = low.long()
    pixels = [(whole + first + k).clamp(0, size - 1) for k in range(count)]
    return pixels, (u - low)[:, None]


def _bilinear(images: Tensor, u: Tensor, v: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    xs, wx = _neighbours(u, 0, 2, width)
    ys, wy = _neighbours(v, 0, 2, height)
    lines = []
    for iy in ys:
        p, q = (_gather(images, ix, iy).double() for ix in xs)
        lines.append(p + (q - p) * wx)
    return _cut(lines[0] + (lines[1] - lines[0]) * wy)


def _bicubic(images: Tensor, u: Tensor, v: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    xs, wx = _neighbours(u, -1, 4, width)
    ys, wy = _neighbours(v, -1, 4, height)
    lines = [_cubic([_gather(images, ix, iy).double() for ix in xs], wx) for iy in ys]
    return _cut(_cubic(lines, wy))


def _cubic(p: list[Tensor], w: Tensor) -> Tensor:
    slope = p[2] - p[0]
    square = 2 * (p[0] - p[1]) + p[2] - p[3]
    cube = p[1] - p[0] - p[2] + p[3]
    return p[1] + w * (slope + w * (square + w * cube))


def _cut(levels: Tensor) -> Tensor:
    return levels.clamp(0, 255).to(torch.uint8)


def _times_alpha(images: Tensor) -> Tensor:
    """Colours of RGBA times alpha / 255, to the nearest level."""
    alpha = images[:, 3:].int()
    product = images[:, :3].int() * alpha + 128
    return torch.cat([(((product >> 8) + product) >> 8).to(torch.uint8), images[:, 3:]], dim=1)


def _without_alpha(images: Tensor) -> Tensor:
    """The way back, cut off; opaque and invisible pixels stay as they are."""
    alpha = images[:, 3:].int()
    divided = torch.div(255 * images[:, :3].int(), alpha.clamp(min=1), rounding_mode="floor")
    plain = (alpha == 0) | (alpha == 255)
    colour = torch.where(plain, images[:, :3], divided.clamp(0, 255).to(torch.uint8))
    return torch.cat([colour, images[:, 3:]], dim=1)


# Tones: fn(uint8 [n, C, H, W], float64 [n, 12]) -> uint8 [n, C, H, W].


def _contrast(images: Tensor, params: np.ndarray) -> Tensor:
    """ImageEnhance.Contrast: the pivot is the rounded mean of rounded greys."""
    grey = grey_level(images) if images.shape[1] == 3 else images
    sums = grey.sum(dim=(1, 2, 3), dtype=torch.int64).cpu().numpy()
    pivot = np.floor(sums / max(grey[:1].numel(), 1) + 0.5)
    return blend(per_row(pivot, images), images, params[:, 0])


def _solarize_add(images: Tensor, params: np.ndarray) -> Tensor:
    add, threshold = (np.trunc(params[:, 0])[:, None, None], params[:, 1, None, None])
    levels = tables.LEVELS
    table = np.where(levels < threshold, np.minimum(levels + add, 255), levels)
    return apply_table(images, table.astype(np.uint8))


def _blur(images: Tensor, params: np.ndarray) -> Tensor:
    """ImageFilter.GaussianBlur."""
    radius, weight, rest = (
        torch.from_numpy(v).to(images.device)[:, None, None, None]
        for v in _box(params[:, 0].astype(np.float32))
    )
    levels = images.long()
    for _ in range(_BLUR_PASSES):
        levels = _box_blur(levels, radius, weight, rest)
    levels = levels.transpose(2, 3)
    for _ in range(_BLUR_PASSES):
        levels = _box_blur(levels, radius, weight, rest)
    return levels.transpose(2, 3).to(torch.uint8)


def _box(sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Box for a sigma: whole radius px, weights of the inside and of the two ends, in 2^-24.

    float32 where Pillow's C has floats; all int64 [n].
    """
    one, two = np.float32(1), np.float32(2)
    variance = sigma * sigma / np.float32(_BLUR_PASSES)
    length = np.sqrt(12.0 * variance.astype(np.float64) + 1.0).astype(np.float32)
    low = np.floor((length.astype(np.float64) - 1.0) / 2.0).astype(np.float32)
    above = (low + one) * (low + one)
    part = (two * low + one) * (low * (low + one) - np.float32(3) * variance)
    radius = low + part / (np.float32(6) * (variance - above))
    whole = radius.astype(np.int64)
    weight = (np.float32(1 << 24) / (radius * two + one)).astype(np.int64)
    return whole, weight, ((1 << 24) - (2 * whole + 1) * weight) // 2


def _box_blur(levels: Tensor, radius: Tensor, weight: Tensor, rest: Tensor) -> Tensor:
    """One pass along the last axis, edge pixels repeated: int64 [n, C, H, W]."""
    last = levels.shape[3] - 1
    x = torch.arange(last + 1, device=levels.device)
    below = torch.nn.functional.pad(levels.cumsum(3), (1, 0))

    def at(source: Tensor, index: Tensor) -> Tensor:
        return source.gather(3, index.expand(levels.shape))

    low, high = (x - radius).clamp(min=0), (x + radius).clamp(max=last)
    total = at(below, high + 1) - at(below, low)
    total = total + levels[..., :1] * (radius - x).clamp(min=0)
    total = total + levels[..., -1:] * (x + radius - last).clamp(min=0)
    ends = at(levels, (x - radius - 1).clamp(min=0)) + at(levels, (x + radius + 1).clamp(max=last))
    return ((total * weight + ends * rest + (1 << 23)) >> 24) & 255


TONES: dict[Code, Callable[[Tensor, np.ndarray], Tensor]] = {
    Code.PIL_CONTRAST: _contrast,
    Code.SOLARIZE_ADD: _solarize_add,
    Code.PIL_BLUR: _blur,
}
"""Pillow's ops that move no pixels; `SOLARIZE_ADD` is timm's table, looked up by Pillow."""
