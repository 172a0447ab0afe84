"""The digits on photographs as class maps: exact masks, without a download."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from mixwell.recipes.detection.data import EmbeddedDigits
from mixwell.recipes.segmentation.data.sets import Parts

CLASSES = ("background", *"0123456789")


class EmbeddedMasks:
    """Digits on photographs; see `SegmentationSet` and `EmbeddedDigits`.

    Class 0 is the photograph, class d + 1 the digit d where it shows.

    Args:
        images: how many images there are.
        part: "train" or "test": other digits.
        **options: of `EmbeddedDigits`.
    """

    classes = CLASSES

    def __init__(self, images: int, part: Literal["train", "test"], **options: Any) -> None:
        self.digits = EmbeddedDigits(images, part, **options)
        self.skipped: dict[str, list[str]] = {}

    def __len__(self) -> int:
        """Number of images."""
        return len(self.digits)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """The image uint8 ``[3, H, W]``, and its class map uint8 ``[H, W]``."""
        image, target = self.digits[index]
        classes = torch.zeros(image.shape[1:], dtype=torch.uint8)
        for label, mask in zip(target["labels"].tolist(), target["masks"], strict=True):
            classes[mask != 0] = label  # 1 for the digit 0
        return image, classes

    def without_small(self, size_hw: tuple[int, int]) -> EmbeddedMasks:
        """The set as it is: its images have one size."""
        return self

    def __repr__(self) -> str:
        """``EmbeddedMasks(EmbeddedDigits(...))``."""
        return f"EmbeddedMasks({self.digits!r})"


def load_embedded(images: int, seed: int, size_hw: tuple[int, int]) -> Parts:
    """Training images, and a fifth as many of other digits to measure on.

    Args:
        images: training images.
        seed: another set of images.
        size_hw: px.
    """
    train = EmbeddedMasks(images, "train", seed=seed, size_hw=size_hw)
    val = EmbeddedMasks(max(1, images // 5), "test", seed=seed, size_hw=size_hw)
    return Parts(train, val, "embedded")
