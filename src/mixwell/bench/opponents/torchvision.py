"""torchvision v2: on PIL images, on single tensors, and on whole batches with shared draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image

from mixwell.bench.base import Batch, Case, Way
from mixwell.bench.pools import chw, finished, per_image_ways, whole_batch_way

name = package = "torchvision"
SHARED = "one draw per batch"


def ways(case: Case) -> list[Way]:
    """PIL and tensor, each image by itself; tensor batches, labelled."""
    if case.kind == "folder":
        return _folder_ways(case)
    words = "v2 on {}" + (", RandAugment(2, 9), nearest warps" if case.randaug else "")
    edit = transform(case)
    tensors = [chw(image) for image in case.images]
    return [
        *per_image_ways(case, FromPIL(edit), words.format("PIL images")),
        *per_image_ways(case, edit, words.format("uint8 tensors"), images=tensors),
        whole_batch_way(
            case,
            lambda threads: _whole(edit, torch.stack(tensors)),
            words.format("a uint8 tensor of the whole batch"),
            label=SHARED,
            per_image=False,
        ),
    ]


def transform(case: Case) -> Callable[[Any], torch.Tensor]:
    """Crop, flip, RandAugment as documented; a uint8 tensor comes out, normalised by batch."""
    from torchvision.transforms import v2

    ops: list = []
    if case.crop == "resized":
        ops.append(v2.RandomResizedCrop(case.side, antialias=True))
    elif case.crop == "padded":
        ops.append(v2.RandomCrop(case.side, padding=4))
    ops.append(v2.RandomHorizontalFlip())
    if case.randaug:
        ops.append(v2.RandAugment(2, 9))
    return v2.Compose([*ops, v2.PILToTensor()])


class FromPIL:
    """A transform on PIL images, given arrays."""

    def __init__(self, edit: Callable[[Any], torch.Tensor]) -> None:
        """Keep the transform."""
        self.edit = edit

    def __call__(self, image: np.ndarray) -> torch.Tensor:
        """Wrap (no copy is made for RGB beyond Pillow's own) and transform."""
        return self.edit(Image.fromarray(image))


def _whole(edit: Callable[[Any], torch.Tensor], images: torch.Tensor) -> Callable[[], Batch]:
    return lambda: finished(edit(images), torch.arange(len(images)))


class FromFile:
    """A transform on image files, decoded by Pillow or by torchvision."""

    def __init__(self, edit: Callable[[Any], torch.Tensor], decoder: str) -> None:
        """Keep transform and decoder."""
        self.edit, self.decoder = edit, decoder

    def __call__(self, path: str) -> torch.Tensor:
        """Read, decode, transform."""
        if self.decoder == "pil":
            with Image.open(path) as image:
                return self.edit(image.convert("RGB"))
        from torchvision.io import ImageReadMode, decode_image

        return self.edit(decode_image(path, mode=ImageReadMode.RGB))


def _folder_ways(case: Case) -> list[Way]:
    paths, labels = samples(case)
    found = []
    for decoder, words in (("pil", "PIL images"), ("tensor", "uint8 tensors")):
        edit = FromFile(transform(case), decoder)
        said = f"ImageFolder's files, v2 on {words}"
        found += per_image_ways(case, edit, said, images=paths, labels=labels)
    return found


def samples(case: Case) -> tuple[list[str], list[int]]:
    """Paths and labels of a folder, shuffled once."""
    from torchvision.datasets import ImageFolder

    found = ImageFolder(str(case.folder)).samples
    order = np.random.default_rng(0).permutation(len(found))
    return [found[i][0] for i in order], [found[i][1] for i in order]
