"""torchvision's tensor path, step by step, for the codes of its profiles; uint8 and float32.

fma(a, b, c) is a b + c rounded once to float32, as torch's vectorised CPU kernels do it; all other
steps round each product and each sum to float32. On CUDA torchvision itself gives other last bits.

| what         | rule                                                                           |
| ------------ | ------------------------------------------------------------------------------ |
| matrix       | [a b c] [d e f] in float32, c and f about the centre; divided by W/2, H/2      |
| grid         | g = fma(y, b, x a) + c; x, y from the output's centre; up to 66 px: x a + y b  |
| position     | fma(g + 1, W/2, -1/2): pixel 0 lies at 0                                       |
| nearest      | half to even; a pixel outside is 0, or the fill                                |
| bilinear     | fma over the four pixels, left to right and down; pixels outside count as 0    |
| fill         | (v - fill) mask + fill, mask being what the same steps make of ones; without a |
|              | fill the zeros stay blended in                                                 |
| uint8        | warps round half to even; tones are clipped and cut off                        |
| grey         | fma(B, .114, fma(G, .587, .2989 R)); on uint8 cut off to whole levels          |
| blend        | fma(base, 1 - factor, factor v)                                                |
| contrast     | base: mean of greys; their sum is exact here, float32 there                    |
| sharpness    | base: fma over the 3 x 3 pixels, 1/13 and 5/13, on uint8 rounded;              |
|              | fma(base - v, 1 - factor, v); border pixels stay                               |
| autocontrast | (v - low) / ((high - low) (1 / top))                                           |

References:
    torchvision.transforms.v2.functional and torch's grid_sample (BSD-3-Clause).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mixwell._errors import RenderError
from mixwell.plan.steps import Code, Interp
from mixwell.render.reference.filters import per_row

_GREY = (0.2989, 0.587, 0.114)


def warp(
    images: Tensor, param: np.ndarray, out_hw: tuple[int, int], interp: int, colour: Tensor
) -> Tensor:
    """`affine_image` or `rotate_image` on each row.

    Args:
        images: uint8 or float32 [n, C, H, W].
        param: float64 [n, 12], see `Code.TV_WARP`.
        out_hw: size of the output, px.
        interp: nearest or bilinear.
        colour: float32 [n, C, 1, 1], the fill.

    Returns:
        [n, C, *out_hw], dtype of the images.

    Raises:
        RenderError: bicubic.
    """
    if interp == Interp.BICUBIC:
        raise RenderError(
            "TV_WARP is nearest or bilinear, as torchvision's tensors are, got bicubic. Choose one "
            'of the two, or backend="pil".'
        )
    x, y = _positions(param, tuple(images.shape[-2:]), out_hw, images.device)
    filled = torch.from_numpy(param[:, 11] == 0).to(images.device)[:, None, None, None]
    if interp == Interp.NEAREST:
        shown, mask = _read(images, x.round(), y.round())
        empty = torch.where(filled, colour, 0.0)
        out = torch.where(mask > 0, shown, empty)
    else:
        blended, mask = _bilinear(images, x, y)
        out = torch.where(filled, (blended - colour) * mask + colour, blended)
    return out if images.is_floating_point() else out.round().to(images.dtype)


def _fma(a: Tensor, b: Tensor | float, c: Tensor | float) -> Tensor:
    """a b + c, rounded once: the product of two float32 is exact in float64."""
    b, c = (v.double() if isinstance(v, Tensor) else float(np.float32(v)) for v in (b, c))
    return (a.double() * b + c).float()


def _positions(
    param: np.ndarray, in_hw: tuple[int, ...], out_hw: tuple[int, int], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Where output pixels look, float32 [n, *out_hw] each; whole numbers are pixels."""
    x, y = (torch.arange(size, device=device) - (size - 1) * 0.5 for size in out_hw[::-1])
    found = []
    for line, size in (([0, 1, 9], in_hw[1]), ([3, 4, 10], in_hw[0])):
        theta = param[:, line].astype(np.float32) / np.float32(0.5 * size)
        a, b, c = torch.from_numpy(theta).to(device).T[:, :, None, None]
        across, down = a * x.float(), y[:, None].float()
        # torch multiplies small matrices (below 400 products) in a loop that rounds each product.
        small = 6 * out_hw[0] * out_hw[1] < 400
        grid = (across + down * b if small else _fma(down, b, across)) + c
        found.append(_fma(grid + 1, 0.5 * size, -0.5))
    return found[0], found[1]


def _read(images: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels at whole positions, float32 [n, C, h, w], 0 outside, and 1 inside, 0 outside."""
    n, channels, height, width = images.shape
    inside = ((x >= 0) & (x < width) & (y >= 0) & (y < height))[:, None]
    ix, iy = x.clamp(0, width - 1).long(), y.clamp(0, height - 1).long()
    at = (iy * width + ix).reshape(n, 1, -1).expand(n, channels, -1)
    found = images.reshape(n, channels, -1).gather(2, at).view(n, channels, *x.shape[1:])
    return found.float() * inside, inside.float()


def _bilinear(images: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Blended pixels and their mask, outside 0 in both."""
    left, top = x.floor(), y.floor()
    right_part, lower_part = x - left, y - top
    left_part, upper_part = 1 - right_part, 1 - lower_part
    blended = mask = torch.zeros((), device=images.device)
    for dy, across in ((0, upper_part), (1, lower_part)):
        for dx, along in ((0, left_part), (1, right_part)):
            pixel, inside = _read(images, left + dx, top + dy)
            weight = (along * across)[:, None]
            blended = _fma(pixel, weight, blended)
            mask = inside * weight + mask
    return blended, mask


# Tones: fn([n, C, H, W], float64 [n, 12]) -> [n, C, H, W], uint8 or float32.


def _top(images: Tensor) -> float:
    return 1.0 if images.is_floating_point() else 255.0


def _cut(values: Tensor, images: Tensor) -> Tensor:
    return values.clamp(0, _top(images)).to(images.dtype)


def _blend(base: Tensor, images: Tensor, factor: np.ndarray) -> Tensor:
    own = images.float() * per_row(factor, images)
    return _cut(_fma(base, per_row(1.0 - factor, images), own), images)


def _grey(images: Tensor) -> Tensor:
    """float32 [n, 1, H, W]; whole levels for uint8."""
    if images.shape[1] == 1:
        return images.float()
    red, green, blue = images.float().split(1, dim=1)
    grey = _fma(blue, _GREY[2], _fma(green, _GREY[1], red * _GREY[0]))
    return grey if images.is_floating_point() else grey.floor()


def _brightness(images: Tensor, params: np.ndarray) -> Tensor:
    return _cut(images.float() * per_row(params[:, 0], images), images)


def _contrast(images: Tensor, params: np.ndarray) -> Tensor:
    # In float64, so that the mean does not depend on how a device or its threads split the sum.
    mean = _grey(images).double().mean(dim=(1, 2, 3), keepdim=True).float()
    return _blend(mean, images, params[:, 0])


def _saturation(images: Tensor, params: np.ndarray) -> Tensor:
    if images.shape[1] == 1:
        return images
    return _blend(_grey(images), images, params[:, 0])


def _sharpness(images: Tensor, params: np.ndarray) -> Tensor:
    height, width = images.shape[2] - 2, images.shape[3] - 2
    if min(height, width) < 1:
        return images
    values = images.float()
    smooth = torch.zeros((), device=images.device)
    for y in range(3):
        for x in range(3):
            part = values[..., y : y + height, x : x + width]
            smooth = _fma(part, (5.0 if x == y == 1 else 1.0) / 13.0, smooth)
    if not images.is_floating_point():
        smooth = smooth.round()
    inner = values[..., 1:-1, 1:-1]
    out = values.clone()
    out[..., 1:-1, 1:-1] = _fma(smooth - inner, per_row(1.0 - params[:, 0], images), inner)
    return _cut(out, images)


def _autocontrast(images: Tensor, params: np.ndarray) -> Tensor:
    values = images.float()
    low, high = values.amin(dim=(2, 3), keepdim=True), values.amax(dim=(2, 3), keepdim=True)
    flat = low == high
    scale = torch.where(flat, 1.0, (high - low) * (1.0 / _top(images)))
    return _cut((values - torch.where(flat, 0.0, low)) / scale, images)


TONES: dict[Code, Callable[[Tensor, np.ndarray], Tensor]] = {
    Code.TV_BRIGHTNESS: _brightness,
    Code.TV_CONTRAST: _contrast,
    Code.TV_SATURATION: _saturation,
    Code.TV_SHARPNESS: _sharpness,
    Code.TV_AUTOCONTRAST: _autocontrast,
}
"""torchvision's ops that move no pixels."""
