"""Ops that change a pixel's colour and look at no other pixel but through a statistic of the image.

On uint8 most of them are 256-entry tables (`mixwell.render.tables`); the rest:

    grey level     (19595 R + 38470 G + 7471 B + 2**15) >> 16, as Pillow
    saturation     grey + factor * (p - grey), each step rounded to float32, clipped, truncated
    hue            float32 HSV step by step as torchvision's tensor path; p / 255 on the way in
                   (times float32 1/255), times 255.999 and truncated on the way out
    channels       levels as they are, of the channels that red, green and blue show

Floats are in [0, 1] and stay there; ops work continuously, but posterize (2**bits levels) and
equalize (256 levels), as torchvision does. Grey weights sum to exactly one, so that grey pixels are
fixed points; torchvision's sum to 0.9999.

Channels: 3 are red, green, blue; 1 is grey, on which saturation, hue, grayscale and channels do
nothing; of 4 the first 3 are colour and the fourth is alpha, which stays. Other counts are taken by
ops that look at each channel alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mixwell._errors import RenderError
from mixwell.plan.steps import Code
from mixwell.render import tables
from mixwell.render.reference.filters import blend, blend_float, blur, per_row, sharpness
from mixwell.render.reference.levels import apply_table, grey_level, histogram
from mixwell.render.reference.library import LIBRARY_TONES
from mixwell.render.reference.noise import erase, noise
from mixwell.render.reference.rows import doubled

ToneFn = Callable[[Tensor, np.ndarray], Tensor]

# Which of (value, p, q, t) the red channel takes in each sixth of the hue circle; green and blue
# take what red takes two sixths earlier and later.
_RED_SECTORS = (0, 2, 1, 1, 3, 0)


def grey_float(images: Tensor) -> Tensor:
    """Grey of float32 [n, 3, H, W] as [n, 1, H, W]; one channel is grey already."""
    if images.shape[1] == 1:
        return images
    weights = [w / 65536 for w in tables.GREY_WEIGHTS]
    red, green, blue = (images[:, i : i + 1] * w for i, w in enumerate(weights))
    return red + green + blue


def _looked_up(code: Code) -> ToneFn:
    def on_bytes(images: Tensor, params: np.ndarray) -> Tensor:
        unseen = np.zeros((len(images), images.shape[1], 256), np.int64)
        hist = histogram(images) if code in tables.USES_HISTOGRAM else unseen
        return apply_table(images, tables.table(code, params, hist))

    return on_bytes


def _saturation(images: Tensor, params: np.ndarray) -> Tensor:
    return blend(grey_level(images), images, params[:, 0])


def _grayscale(images: Tensor, params: np.ndarray) -> Tensor:
    return grey_level(images).to(torch.uint8).expand(-1, 3, -1, -1)


def _hue(images: Tensor, params: np.ndarray) -> Tensor:
    turned = _hue_float(images.to(torch.float32) * (1.0 / 255), params)
    return (turned * (255 + 1.0 - 1e-3)).to(torch.uint8)


def _hue_float(images: Tensor, params: np.ndarray) -> Tensor:
    hue, saturation, value = _rgb_to_hsv(images)
    turned = torch.remainder(hue + per_row(params[:, 0], images), 1.0)
    return _hsv_to_rgb(turned, saturation, value)


def _rgb_to_hsv(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue in turns, saturation, value, float32 [n, 1, H, W]; the first two are 0 where grey."""
    low, high = images.aminmax(dim=1, keepdim=True)
    grey = low == high
    saturation = (high - low) / torch.where(grey, 1.0, high)
    red, green, blue = ((high - images) / torch.where(grey, 1.0, high - low)).split(1, dim=1)
    sixths = torch.where(
        high == images[:, 0:1],
        blue - green,
        torch.where(high == images[:, 1:2], red + 2.0 - blue, green + 4.0 - red),
    )
    return torch.fmod(sixths * (1.0 / 6.0) + 1.0, 1.0), saturation, high


def _hsv_to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    sixths = hue * 6
    sector = torch.floor(sixths)
    part = saturation * (sixths - sector)
    q = ((1.0 - part) * value).clamp(0, 1)
    t = ((part + (1.0 - saturation)) * value).clamp(0, 1)
    p = ((1.0 - saturation) * value).clamp(0, 1)
    choices = torch.cat([value, p, q, t], dim=1)
    pattern = torch.tensor(_RED_SECTORS, device=hue.device)
    red = sector.to(torch.int64)
    pick = torch.cat([pattern[(red + ahead) % 6] for ahead in (0, 4, 2)], dim=1)
    return choices.gather(1, pick)


def _brightness_float(images: Tensor, params: np.ndarray) -> Tensor:
    return (images * per_row(params[:, 0], images)).clamp(0, 1)


def _contrast_float(images: Tensor, params: np.ndarray) -> Tensor:
    # In float64, so that the mean does not depend on how the device splits the sum.
    pivot = doubled(grey_float(images)).mean(dim=(1, 2, 3), keepdim=True).float()
    return blend_float(pivot.to(images.device), images, params[:, 0])


def _saturation_float(images: Tensor, params: np.ndarray) -> Tensor:
    return blend_float(grey_float(images), images, params[:, 0])


def _posterize_float(images: Tensor, params: np.ndarray) -> Tensor:
    levels = per_row(2.0 ** np.floor(params[:, 0]), images)
    return torch.minimum((images * levels).floor(), levels - 1) / levels


def _solarize_float(images: Tensor, params: np.ndarray) -> Tensor:
    return torch.where(images >= per_row(params[:, 0] / 255, images), 1.0 - images, images)


def _invert_float(images: Tensor, params: np.ndarray) -> Tensor:
    return 1.0 - images


def _autocontrast_float(images: Tensor, params: np.ndarray) -> Tensor:
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    flat = low == high
    stretched = (images - low) / torch.where(flat, 1.0, high - low)
    return torch.where(flat, images, stretched.clamp(0, 1))


def _equalize_float(images: Tensor, params: np.ndarray) -> Tensor:
    levels = (images * (255 + 1.0 - 1e-3)).to(torch.uint8)
    equal = _looked_up(Code.EQUALIZE)(levels, params)
    return equal.to(torch.float32) * (1.0 / 255)


def _grayscale_float(images: Tensor, params: np.ndarray) -> Tensor:
    return grey_float(images).expand(-1, 3, -1, -1)


def _channels(images: Tensor, params: np.ndarray) -> Tensor:
    shown = torch.from_numpy(params[:, :3].astype(np.int64)).to(images.device)
    return images[torch.arange(len(images), device=images.device)[:, None], shown]


_FLOAT_OPS: dict[Code, ToneFn] = {
    Code.BRIGHTNESS: _brightness_float,
    Code.CONTRAST: _contrast_float,
    Code.SATURATION: _saturation_float,
    Code.HUE: _hue_float,
    Code.POSTERIZE: _posterize_float,
    Code.SOLARIZE: _solarize_float,
    Code.INVERT: _invert_float,
    Code.AUTOCONTRAST: _autocontrast_float,
    Code.EQUALIZE: _equalize_float,
    Code.GRAYSCALE: _grayscale_float,
    Code.CHANNELS: _channels,
}
_BYTE_OPS: dict[Code, ToneFn] = {
    **{code: _looked_up(code) for code in tables.TABLES},
    Code.SATURATION: _saturation,
    Code.HUE: _hue,
    Code.GRAYSCALE: _grayscale,
    Code.CHANNELS: _channels,
}
_IDLE_ON_GREY = (Code.SATURATION, Code.HUE, Code.GRAYSCALE, Code.CHANNELS)
_ACROSS_CHANNELS = (Code.CONTRAST, *_IDLE_ON_GREY)


def _tone(code: Code) -> Callable[..., Tensor]:
    """The op of a code on any kind of image: checks, then the colour channels alone."""

    def op(images: Tensor, params: np.ndarray, *, kind: str, **_: object) -> Tensor:
        channels = images.shape[1]
        if kind == "uint16":
            raise RenderError(f"{code.name} cannot take uint16; convert to uint8 or float32.")
        if code in _ACROSS_CHANNELS and channels not in (1, 3, 4):
            raise RenderError(
                f"{code.name} needs 1, 3 or 4 channels (grey, colour, colour and alpha), "
                f"got {channels}; leave it out of the policy for such images."
            )
        if channels == 1 and code in _IDLE_ON_GREY:
            return images
        colours = 3 if channels == 4 else channels
        toned = (_BYTE_OPS if kind == "uint8" else _FLOAT_OPS)[code](images[:, :colours], params)
        return torch.cat([toned, images[:, colours:]], dim=1)

    op.__name__ = code.name.lower()
    return op


TONE_OPS: dict[Code, Callable[..., Tensor]] = {
    **{code: _tone(code) for code in _FLOAT_OPS},
    Code.SHARPNESS: sharpness,
    Code.BLUR: blur,
    Code.NOISE: noise,
    Code.ERASE: erase,
    **LIBRARY_TONES,
}
"""Every code that moves no pixels: fn(images, params, *, fill, key, kind, mean, std) -> images.

images are [n, C, H, W] on any device: uint8, int32 with values 0 .. 65535 when `kind` is "uint16",
or float32 in [0, 1]; params float64 [n, 12], fill float32 [n, 4], key uint32 [n, 4]. The result is
never written into `images`; it may be `images` itself where nothing changes.
"""
