"""torchvision's functionals, on PIL images and on a uint8 batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from mixwell.bench.ops import table as t
from mixwell.bench.pools import chw

_BILINEAR = v2.InterpolationMode.BILINEAR


def functions(side: int) -> dict[str, Callable[[Any], Any]]:
    """One call for each op, for PIL images and tensors alike."""
    size = [t.small(side)] * 2
    corner = (side - side // 2) // 2
    cropped = v2.RandomResizedCrop(size, (t.BOX_AREA, t.BOX_AREA), (1.0, 1.0), antialias=True)
    angle = math.degrees(math.atan(t.SHEAR))
    nothing: dict[str, Any] = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}

    def affine(**changes: Any) -> Callable[[Any], Any]:
        return lambda x: F.affine(x, **(nothing | changes), interpolation=_BILINEAR)

    return {
        "shear": affine(shear=[angle, 0.0]),
        "translate": affine(translate=[int(side * t.SHIFT), 0]),
        "rotate": lambda x: F.rotate(x, t.DEGREES, interpolation=_BILINEAR),
        "brightness": lambda x: F.adjust_brightness(x, t.FACTOR),
        "contrast": lambda x: F.adjust_contrast(x, t.FACTOR),
        "saturation": lambda x: F.adjust_saturation(x, t.FACTOR),
        "hue": lambda x: F.adjust_hue(x, t.HUE),
        "sharpness": lambda x: F.adjust_sharpness(x, t.FACTOR),
        "posterize": lambda x: F.posterize(x, t.BITS),
        "solarize": lambda x: F.solarize(x, t.THRESHOLD),
        "invert": F.invert,
        "autocontrast": F.autocontrast,
        "equalize": F.equalize,
        "grayscale": lambda x: F.to_grayscale(x, num_output_channels=3),
        "blur": lambda x: F.gaussian_blur(x, [t.KERNEL] * 2, [t.SIGMA] * 2),
        "noise": lambda x: F.gaussian_noise(x, sigma=t.NOISE),
        "erase": lambda x: F.erase(
            x, corner, corner, side // 2, side // 2, torch.zeros(3, 1, 1, dtype=torch.uint8)
        ),
        "hflip": F.horizontal_flip,
        "vflip": F.vertical_flip,
        "crop": lambda x: F.center_crop(x, size),
        "resize": lambda x: F.resize(x, size, antialias=True),
        "resized-crop": cropped,
    }


NOT_PIL = {"noise", "erase"}


def make(op: str, images: list[np.ndarray]) -> list[t.Made]:
    """Both forms; the faster counts."""
    call = functions(images[0].shape[0])[op]
    found = []
    if op not in NOT_PIL:
        pictures = [Image.fromarray(image) for image in images]
        found.append(
            t.Made(lambda: [call(p) for p in pictures], _from_pil, "v2 functional, PIL images")
        )
    batch = torch.stack([chw(image) for image in images])
    whole = op == "resized-crop"  # its draws are shared by a batch

    def run() -> torch.Tensor:
        made = torch.stack([call(x) for x in batch]) if whole else call(batch)
        return made.contiguous()  # a crop is a view, and a grey image one channel shown three times

    words = "v2, uint8 tensors" if whole else "v2 functional, uint8 batch"
    return [*found, t.Made(run, _from_tensor, words)]


def _from_pil(pictures: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(p) for p in pictures])


def _from_tensor(x: torch.Tensor) -> np.ndarray:
    return x.permute(0, 2, 3, 1).numpy()
