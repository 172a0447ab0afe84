"""kornia: float tensors of a whole batch; its RandAugment draws one set of ops for all images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from mixwell.bench.base import MEAN, STD, Batch, Case, Way, library
from mixwell.bench.pools import chw, whole_batch_way

name = package = "kornia"


def ways(case: Case) -> list[Way]:
    """Crop and flip have draws for each image; RandAugment has not."""
    if case.kind == "folder":
        return []
    label = "one RandAugment draw per batch, its own magnitudes" if case.randaug else ""
    words = "float32 batch, torch threads"
    return [
        whole_batch_way(
            case, lambda threads: _maker(case), words, label=label, per_image=not case.randaug
        )
    ]


def transform(case: Case) -> Any:
    """kornia's containers for the case."""
    K = library("kornia.augmentation")
    ops: list = []
    size = (case.side, case.side)
    if case.crop == "resized":
        ops.append(K.RandomResizedCrop(size))
    elif case.crop == "padded":
        ops.append(K.RandomCrop(size, padding=4))
    ops.append(K.RandomHorizontalFlip(p=0.5))
    if case.randaug:
        ops.append(library("kornia.augmentation.auto").RandAugment(n=2, m=9))
    ops.append(K.Normalize(torch.tensor(MEAN), torch.tensor(STD)))
    return torch.nn.Sequential(*ops)


def _maker(case: Case) -> Callable[[], Batch]:
    edit = transform(case)
    images = torch.stack([chw(image) for image in case.images])

    def make() -> Batch:
        with torch.no_grad():
            return Batch(edit(images.float().div_(255)).contiguous(), torch.arange(len(images)))

    return make
