"""kornia's functions on a float batch, made from uint8 and brought back to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from mixwell.bench.base import library
from mixwell.bench.ops import table as t
from mixwell.bench.pools import chw


def functions(side: int) -> dict[str, Callable[[torch.Tensor], torch.Tensor]]:
    """float32 [N, 3, H, W] in 0 .. 1 -> the same."""
    K = library("kornia.augmentation")
    E = library("kornia.enhance")
    G = library("kornia.geometry.transform")
    grey = library("kornia.color").rgb_to_grayscale
    blur = library("kornia.filters").gaussian_blur2d
    size = (t.small(side), t.small(side))
    angle = torch.tensor([t.DEGREES])
    tilt = torch.tensor([[t.SHEAR, 0.0]])
    shift = torch.tensor([[side * t.SHIFT, 0.0]])
    box = (t.BOX_AREA, t.BOX_AREA)
    many: dict[str, Callable[[Any], Any]] = {
        "shear": lambda x: G.shear(x, tilt.expand(len(x), 2)),
        "translate": lambda x: G.translate(x, shift.expand(len(x), 2)),
        "rotate": lambda x: G.rotate(x, angle.expand(len(x))),
        "brightness": lambda x: E.adjust_brightness_accumulative(x, t.FACTOR),
        "contrast": lambda x: E.adjust_contrast_with_mean_subtraction(x, t.FACTOR),
        "saturation": lambda x: E.adjust_saturation_with_gray_subtraction(x, t.FACTOR),
        "hue": lambda x: E.adjust_hue(x, t.HUE * 2 * torch.pi),
        "sharpness": lambda x: E.sharpness(x, t.FACTOR),
        "posterize": lambda x: E.posterize(x, t.BITS),
        "solarize": lambda x: E.solarize(x, t.THRESHOLD / 255),
        "invert": lambda x: E.invert(x),
        "autocontrast": lambda x: E.normalize_min_max(x),
        "equalize": lambda x: E.equalize(x),
        "grayscale": lambda x: grey(x).expand(-1, 3, -1, -1),
        "blur": lambda x: blur(x, t.KERNEL, (t.SIGMA, t.SIGMA)),
        "noise": K.RandomGaussianNoise(std=t.NOISE, p=1.0),
        "erase": K.RandomErasing((t.ERASED, t.ERASED), (1.0, 1.0), p=1.0),
        "hflip": G.hflip,
        "vflip": G.vflip,
        "crop": lambda x: G.center_crop(x, size),
        "resize": lambda x: G.resize(x, size, antialias=True),
        "resized-crop": K.RandomResizedCrop(size, box, (1.0, 1.0)),
    }
    return many


def make(op: str, images: list[np.ndarray]) -> list[t.Made]:
    """The whole batch at once, conversions inside the clock."""
    call = functions(images[0].shape[0])[op]
    batch = torch.stack([chw(image) for image in images])

    def run() -> torch.Tensor:
        with torch.no_grad():
            made = call(batch.float().div_(255))
            return made.mul(255).add_(0.5).clamp_(0, 255).to(torch.uint8)

    return [t.Made(run, _look, "float32 batch, from and to uint8")]


def _look(x: torch.Tensor) -> np.ndarray:
    return x.permute(0, 2, 3, 1).numpy()
