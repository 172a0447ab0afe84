"""Albumentations' transforms with their ranges closed to one value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mixwell.bench.opponents.albumentations import albumentations, one_thread
from mixwell.bench.ops import table as t


def transforms(side: int) -> dict[str, Any]:
    """One transform for each op, always applied."""
    A = albumentations()
    size = (t.small(side), t.small(side))
    low = (side - t.small(side)) // 2
    angle = math.degrees(math.atan(t.SHEAR))
    none = {"brightness": (1, 1), "contrast": (1, 1), "saturation": (1, 1), "hue": (0, 0)}
    more = (t.FACTOR - 1, t.FACTOR - 1)
    hole = (math.sqrt(t.ERASED),) * 2

    def shift(x: float) -> dict[str, Any]:
        return {"x": (x, x), "y": (0, 0)}

    def jitter(**changes: Any) -> Any:
        return A.ColorJitter(**(none | changes), p=1.0)

    return {
        "shear": A.Affine(shear=shift(angle), p=1.0),
        "translate": A.Affine(translate_percent=shift(t.SHIFT), p=1.0),
        "rotate": A.Rotate((t.DEGREES, t.DEGREES), p=1.0),
        "brightness": jitter(brightness=(t.FACTOR, t.FACTOR)),
        "contrast": jitter(contrast=(t.FACTOR, t.FACTOR)),
        "saturation": jitter(saturation=(t.FACTOR, t.FACTOR)),
        "hue": jitter(hue=(t.HUE, t.HUE)),
        "sharpness": A.Sharpen(alpha=more, lightness=(1.0, 1.0), p=1.0),
        "posterize": A.Posterize(t.BITS, p=1.0),
        "solarize": A.Solarize((t.THRESHOLD / 255,) * 2, p=1.0),
        "invert": A.InvertImg(p=1.0),
        "autocontrast": A.AutoContrast(method="pil", p=1.0),
        "equalize": A.Equalize(mode="pil", p=1.0),
        "grayscale": A.ToGray(p=1.0),
        "blur": A.GaussianBlur((t.KERNEL, t.KERNEL), (t.SIGMA, t.SIGMA), p=1.0),
        "noise": A.GaussNoise((t.NOISE, t.NOISE), p=1.0),
        "erase": A.CoarseDropout((1, 1), hole, hole, p=1.0),
        "hflip": A.HorizontalFlip(p=1.0),
        "vflip": A.VerticalFlip(p=1.0),
        "crop": A.Crop(low, low, low + size[0], low + size[1], p=1.0),
        "resize": A.Resize(*size, area_for_downscale="image", p=1.0),
        "resized-crop": A.RandomResizedCrop(
            size, (t.BOX_AREA, t.BOX_AREA), (1.0, 1.0), area_for_downscale="image", p=1.0
        ),
    }


def make(op: str, images: list[np.ndarray]) -> list[t.Made]:
    """A loop over arrays, OpenCV with one thread."""
    one_thread()
    call = albumentations().Compose([transforms(images[0].shape[0])[op]])

    def run() -> list[np.ndarray]:
        return [np.ascontiguousarray(call(image=image)["image"]) for image in images]

    words = "Compose on arrays, cv2.setNumThreads(0)"
    return [t.Made(run, np.stack, words)]
