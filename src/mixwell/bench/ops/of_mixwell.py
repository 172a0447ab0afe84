"""Ops as plans, made beforehand as the others' settings are, and rendered."""

from __future__ import annotations

from typing import Any

import numpy as np

import mixwell as mw
from mixwell.bench.ops import table as t


def ops(side: int) -> dict[str, Any]:
    """Policy ops with the table's settings."""
    size = (t.small(side), t.small(side))
    shift = (t.SHIFT, t.SHIFT)
    return {
        "shear": mw.ShearX((t.SHEAR, t.SHEAR)),
        "translate": mw.TranslateX(shift),
        "rotate": mw.Rotate((t.DEGREES, t.DEGREES)),
        "brightness": mw.Brightness(t.FACTOR),
        "contrast": mw.Contrast(t.FACTOR),
        "saturation": mw.Saturation(t.FACTOR),
        "hue": mw.Hue((t.HUE, t.HUE)),
        "sharpness": mw.Sharpness(t.FACTOR),
        "posterize": mw.Posterize(t.BITS),
        "solarize": mw.Solarize(t.THRESHOLD),
        "invert": mw.Invert(),
        "autocontrast": mw.AutoContrast(),
        "equalize": mw.Equalize(),
        "grayscale": mw.Grayscale(),
        "blur": mw.GaussianBlur(t.SIGMA, kernel_size=t.KERNEL),
        "noise": mw.GaussianNoise(t.NOISE),
        "erase": mw.RandomErasing((t.ERASED, t.ERASED), (1.0, 1.0), p=1.0),
        "hflip": mw.HorizontalFlip(p=1.0),
        "vflip": mw.VerticalFlip(p=1.0),
        "crop": mw.CenterCrop(size),
        "resize": mw.Resize(size),
        "resized-crop": mw.RandomResizedCrop(size, (t.BOX_AREA, t.BOX_AREA), (1.0, 1.0)),
    }


def make(op: str, images: list[np.ndarray]) -> list[t.Made]:
    """`mixwell.render` of a batch [N, H, W, 3]."""
    batch = np.stack(images)
    policy = mw.Policy(ops(batch.shape[1])[op])
    sizes = np.tile(batch.shape[1:3], (len(batch), 1))
    plan = policy.sample(sizes, keys=mw.Keys(np.arange(len(batch))), seed=0)
    return [t.Made(lambda: mw.render(batch, plan), np.asarray, "mixwell.render(batch, plan)")]
