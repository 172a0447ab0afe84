"""Albumentations 2.0.8 (MIT, its last release): OpenCV on arrays, `SomeOf` as RandAugment."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch

from mixwell.bench.base import MEAN, STD, Case, Way, library
from mixwell.bench.opponents.torchvision import samples
from mixwell.bench.pools import chw, per_image_ways

name = package = "albumentations"

# Magnitude 9 of 31 bins in torchvision's table.
SHEAR_DEG = 5.14
SHIFT = 150 / 331 * 0.3
ROTATE_DEG = 9.0
FACTOR = 0.27


def albumentations() -> Any:
    """The module, without its look for newer versions on the network."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    return library("albumentations")


def one_thread() -> None:
    """OpenCV's own threads off: the pools give the threads."""
    library("cv2").setNumThreads(0)


def ways(case: Case) -> list[Way]:
    """Images one by one, normalised by Albumentations or as uint8 by batch: the faster counts."""
    words = "OpenCV, cv2.setNumThreads(0)"
    if case.randaug:
        words += ", SomeOf(14 transforms of equal ranges, n=2), nearest warps"
    found = []
    for normalise, said in ((False, "batch normalised by torch"), (True, "A.Normalize")):
        edit: Any = Edit(transform(case, normalise))
        given: dict[str, Any] = {}
        if case.kind == "folder":
            edit = FromFile(edit)
            given["images"], given["labels"] = samples(case)
        found += per_image_ways(case, edit, f"{words}; {said}", setup=one_thread, **given)
    return found


def transform(case: Case, normalise: bool) -> Any:
    """The case as a Compose."""
    A = albumentations()
    ops: list = []
    if case.crop == "resized":
        ops.append(A.RandomResizedCrop((case.side, case.side)))
    elif case.crop == "padded":
        ops += [A.Pad(4), A.RandomCrop(case.side, case.side)]
    ops.append(A.HorizontalFlip(p=0.5))
    if case.randaug:
        ops.append(A.SomeOf(fourteen(), n=2, replace=True))
    if normalise:
        ops.append(A.Normalize(MEAN, STD))
    return A.Compose(ops)


def fourteen() -> list[Any]:
    """torchvision's RandAugment space at magnitude 9, as its nearest relatives here.

    Ranges are drawn from evenly instead of being either end of them, and AutoContrast and Equalize
    take the faster of the two methods that Albumentations has.
    """
    A = albumentations()
    warp = {"interpolation": 0, "fill": 0, "p": 1.0}
    span = (-SHIFT, SHIFT)
    shear = (-SHEAR_DEG, SHEAR_DEG)
    none = {"brightness": (1, 1), "contrast": (1, 1), "saturation": (1, 1), "hue": (0, 0)}
    return [
        A.NoOp(p=1.0),
        A.Affine(shear={"x": shear, "y": (0, 0)}, **warp),
        A.Affine(shear={"x": (0, 0), "y": shear}, **warp),
        A.Affine(translate_percent={"x": span, "y": (0, 0)}, **warp),
        A.Affine(translate_percent={"x": (0, 0), "y": span}, **warp),
        A.Rotate(limit=(-ROTATE_DEG, ROTATE_DEG), **warp),
        A.RandomBrightnessContrast((-FACTOR, FACTOR), (0, 0), p=1.0),
        A.ColorJitter(**(none | {"saturation": (1 - FACTOR, 1 + FACTOR)}), p=1.0),
        A.RandomBrightnessContrast((0, 0), (-FACTOR, FACTOR), p=1.0),
        A.Sharpen(alpha=(0.0, FACTOR), lightness=(1.0, 1.0), p=1.0),
        A.Posterize(num_bits=7, p=1.0),
        A.Solarize(threshold_range=(0.7, 0.7), p=1.0),
        A.AutoContrast(p=1.0),
        A.Equalize(mode="cv", p=1.0),
    ]


class Edit:
    """A Compose on arrays; a contiguous tensor comes out."""

    def __init__(self, compose: Any) -> None:
        """Keep the Compose."""
        self.compose = compose

    def __call__(self, image: np.ndarray) -> torch.Tensor:
        """[H, W, 3] -> [3, side, side]."""
        return chw(self.compose(image=image)["image"])


class FromFile:
    """Decode with OpenCV first."""

    def __init__(self, edit: Edit) -> None:
        """Keep the edit."""
        self.edit = edit

    def __call__(self, path: str) -> torch.Tensor:
        """Read, decode, transform."""
        cv2 = library("cv2")
        image = cv2.imread(path, cv2.IMREAD_COLOR_RGB)
        assert image is not None, path
        return self.edit(image)
