"""What goes in: uint8 images that lie on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from mixwell.bench.base import MEAN, STD, Batch, Batches, Case, Way
from mixwell.bench.pools import chw
from mixwell.render.images import Picked


class Given:
    """A case's images on a device; labels are their positions in the case, modulo its
    classes.

    Args:
        case: gives the images, and how many copies of them the data set on the device has.
        device: where they lie.
    """

    def __init__(self, case: Case, device: torch.device) -> None:
        self.batch, self.copies, self.device = case.batch, case.resident, device
        images = torch.stack([chw(image) for image in case.images]).to(device)
        self.images = images.repeat(case.resident, 1, 1, 1)
        self.classes = case.classes
        self.numbers = np.random.default_rng(0)
        self.labels = torch.arange(case.batch, device=device) % case.classes

    def draw(self) -> tuple[Tensor, Tensor]:
        """A batch uint8 [B, 3, H, W] and its labels int64 [B]: as it lies there, or picked from
        the whole data set, each label once, from any copy, in any order."""
        if self.copies == 1:
            return self.images, self.labels
        order = torch.randperm(self.batch, device=self.device)
        copy = torch.randint(self.copies, (self.batch,), device=self.device)
        return self.images[copy * self.batch + order], order % self.classes

    def pick(self) -> tuple[Tensor | Picked, Tensor]:
        """The same for a renderer that reads rows of the data set where they lie."""
        if self.copies == 1:
            return self.images, self.labels
        order = self.numbers.permutation(self.batch)
        rows = self.numbers.integers(self.copies, size=self.batch) * self.batch + order
        labels = torch.from_numpy(order % self.classes)
        if self.device.type == "cuda":
            labels = labels.pin_memory().to(self.device, non_blocking=True)
        return Picked(self.images, rows), labels


def normaliser(device: torch.device) -> Callable[[Tensor], Tensor]:
    """uint8 [B, 3, H, W] -> normalised float32, in place where it can be."""
    scale = torch.tensor(STD, device=device).mul(255).view(1, 3, 1, 1)
    shift = torch.tensor(MEAN, device=device).mul(255).view(1, 3, 1, 1)
    return lambda x: x.float().sub_(shift).div_(scale)


def device_way(
    make: Callable[[bool], Callable[[], Batch]],
    settings: str,
    *,
    label: str = "",
    mixes: bool = False,
    per_image: bool = True,
) -> Way:
    """A way that makes one batch after the other.

    Args:
        make: from whether to mix to what makes a batch.
        settings: see `Way`.
        label: see `Way`.
        mixes: see `Way`.
        per_image: see `Way`.
    """

    @contextmanager
    def opened(threads: int, mixing: bool) -> Iterator[Batches]:
        one = make(mixing)
        yield lambda count: (one() for _ in range(count))

    return Way(settings, opened, label, mixes=mixes, per_image=per_image)
