"""Pixel accuracy and mean intersection over union, from counts over all pixels of a set.

Pixels whose class is unknown count nowhere. A class that is neither there nor predicted in any
image has no IoU, and the mean is over the others.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from mixwell import DataError
from mixwell.recipes.segmentation.data import IGNORE


@dataclass(frozen=True)
class Measured:
    """How well class maps are predicted.

    Attributes:
        pixel_accuracy: part of the known pixels that are right, 0 .. 1.
        mean_iou: mean over classes of right / (right or wrongly so or missed), 0 .. 1.
        per_class: that of each class by name; None: the class occurs nowhere.
        images: how many were looked at.
        pixels: known ones.
    """

    pixel_accuracy: float
    mean_iou: float
    per_class: dict[str, float | None]
    images: int
    pixels: int

    def as_json(self) -> dict[str, Any]:
        """The figures as values that JSON can hold."""
        return asdict(self)


class Confusion:
    """Counts of pixels by true and predicted class.

    Args:
        classes: names.
    """

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes, self.images = classes, 0
        self.counts = torch.zeros(len(classes), len(classes), dtype=torch.int64)

    def add(self, predicted: Tensor, truth: Tensor) -> None:
        """Count the pixels of some images.

        Args:
            predicted: integers [B, H, W], 0 .. K - 1.
            truth: integers [B, H, W], 0 .. K - 1 or 255.

        Raises:
            DataError: sizes differ.
        """
        if predicted.shape != truth.shape:
            raise DataError(
                f"Predicted and true class maps need one size, got {list(predicted.shape)} and "
                f"{list(truth.shape)}."
            )
        known = truth != IGNORE
        pairs = truth[known].long() * len(self.classes) + predicted[known].long()
        found = torch.bincount(pairs, minlength=len(self.classes) ** 2)
        self.counts += found.reshape(self.counts.shape).cpu()
        self.images += len(truth)

    def measured(self) -> Measured:
        """The figures."""
        right = self.counts.diagonal().double()
        either = self.counts.sum(0).double() + self.counts.sum(1).double() - right
        there = either > 0
        iou = right / either.clamp(min=1)
        pixels = int(self.counts.sum())
        values = zip(self.classes, iou.tolist(), there.tolist(), strict=True)
        return Measured(
            pixel_accuracy=float(right.sum()) / max(pixels, 1),
            mean_iou=float(iou[there].mean()) if bool(there.any()) else 0.0,
            per_class={name: value if seen else None for name, value, seen in values},
            images=self.images,
            pixels=pixels,
        )
