"""timm: its PIL transforms, uint8 batches, normalised as its loaders do."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image

from mixwell.bench.base import Case, Way, library
from mixwell.bench.opponents.torchvision import FromFile, FromPIL, samples
from mixwell.bench.pools import per_image_ways

name = package = "timm"
CONFIG = "rand-m9-n2-p1"


def ways(case: Case) -> list[Way]:
    """The PIL pipeline; timm's magnitude 9 is stronger than torchvision's, at the same cost."""
    edit = transform(case)
    words = "PIL transforms, bilinear" + (f", {CONFIG}" if case.randaug else "")
    if case.kind == "folder":
        paths, labels = samples(case)
        return per_image_ways(case, FromFile(edit, "pil"), words, images=paths, labels=labels)
    return per_image_ways(case, FromPIL(edit), words)


def transform(case: Case) -> Any:
    """timm's own classes where it has them; its flip and pad-crop are torchvision's."""
    from torchvision import transforms

    timm = library("timm.data")
    ops: list = []
    if case.crop == "resized":
        ops.append(
            timm.transforms.RandomResizedCropAndInterpolation(case.side, interpolation="bilinear")
        )
    elif case.crop == "padded":
        ops.append(transforms.RandomCrop(case.side, padding=4))
    ops.append(transforms.RandomHorizontalFlip())
    if case.randaug:
        look = {"img_mean": (0, 0, 0), "interpolation": Image.Resampling.BILINEAR}
        ops.append(timm.rand_augment_transform(CONFIG, look))
    return transforms.Compose([*ops, to_uint8])


def to_uint8(image: Image.Image) -> torch.Tensor:
    """uint8 [3, H, W], as timm's ToNumpy."""
    return torch.from_numpy(np.array(image).transpose(2, 0, 1).copy())
