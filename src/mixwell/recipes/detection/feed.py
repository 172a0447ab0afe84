"""Augmented batches of images and boxes, and what augmentation dropped on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

import mixwell as mw
from mixwell.recipes.detection.data import DetectionSet
from mixwell.recipes.feed import LoaderFeed

Images = Tensor | list[Tensor]


class TrainView:
    """A detection set as training sees it: boxes and labels, and masks where they are needed.

    Crowds are left out: a box around many is no example of one.

    Args:
        data: any detection set.
        masks: whether targets hold instance masks.

    Raises:
        DataError: masks are needed and the set has none.
    """

    def __init__(self, data: DetectionSet, masks: bool) -> None:
        self.data, self.names = data, ("boxes", "labels", "masks") if masks else ("boxes", "labels")
        if masks and "masks" not in data.target(0):
            raise mw.DataError(
                f"This model or policy needs instance masks, got {data!r} without. Take another, "
                "or a data set whose objects all have outlines."
            )

    def __len__(self) -> int:
        """Number of images."""
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        """The image, uint8 [3, H, W], and its target."""
        image, target = self.data[index]
        single = target["iscrowd"] == 0
        return image, {name: target[name][single] for name in self.names}


class DetectionFeed(LoaderFeed):
    """`LoaderFeed` whose labels are a target for each image.

    Args:
        data: the training set.
        policy: augmentation.
        masks: whether targets hold instance masks.
        sampler: who comes when.
        batch_size: images in a batch; an incomplete last batch is left out.
        num_workers: processes that read and augment; 0 does it in this one.
        device: where batches go.
        seed: of the augmentation.
    """

    def __init__(
        self,
        data: DetectionSet,
        policy: mw.Policy,
        *,
        masks: bool,
        sampler: mw.KeyedSampler,
        batch_size: int,
        num_workers: int,
        device: torch.device,
        seed: int,
    ) -> None:
        view = TrainView(data, masks)
        kind: Any = "instance" if masks else None
        collate = mw.Collate(policy, boxes="xyxy", masks=kind, dtype=torch.float32, seed=seed)
        self.collate, self.dropped = collate, Counter[str]()
        super().__init__(view, collate, sampler, batch_size, num_workers, device)  # type: ignore[arg-type]

    def epoch(self, epoch: int) -> Iterator[tuple[Any, Any]]:
        """The batches of one epoch; `dropped` then says how many boxes were left out of it."""
        self.sampler.set_epoch(epoch)
        before = self.collate.lost
        for images, targets in self.loader:
            yield to_device(images, self.device), to_device(targets, self.device)
        self.dropped = self.collate.lost - before


def to_device(values: Any, device: torch.device) -> Any:
    """Tensors of nested lists and dicts on a device."""
    if isinstance(values, Tensor):
        return values.to(device, non_blocking=True)
    if isinstance(values, dict):
        return {name: to_device(value, device) for name, value in values.items()}
    return [to_device(value, device) for value in values] if isinstance(values, list) else values
