"""What labels look like on their way in and out: weighted, sparse, multi-label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Weighted(NamedTuple):
    """Labels with a weight for each sample.

    `Augment` scales every sample's label mass by its weight, so that the loss of a mixed image is
    the sum over its sources of share * weight * loss(label).

    Attributes:
        label: labels in any form.
        weight: float [N], finite, at least 0.
    """

    label: Any
    weight: Any


@dataclass(frozen=True)
class SparseLabels:
    """Labels of mixed images without a dense row for each, for data sets with many classes.

    Attributes:
        classes: int64 [B, S].
        shares: float32 [B, S]; places with share 0 are unused. A row sums to its label mass: 1,
            less where a source's label is ignored, times the weights of the samples.
    """

    classes: Tensor
    shares: Tensor

    def __len__(self) -> int:
        """Number of outputs, B."""
        return len(self.classes)

    def to(self, device: torch.device | str) -> SparseLabels:
        """The same labels on another device."""
        return SparseLabels(self.classes.to(device), self.shares.to(device))

    def pin_memory(self) -> SparseLabels:
        """The same labels in page-locked memory; DataLoader calls this."""
        return SparseLabels(self.classes.pin_memory(), self.shares.pin_memory())

    def dense(self, num_classes: int) -> Tensor:
        """float32 [B, num_classes]."""
        out = self.shares.new_zeros((len(self.classes), num_classes))
        return out.scatter_add_(1, self.classes, self.shares)


@dataclass(frozen=True)
class LayeredMasks:
    """Class maps of blended images: the sum over layers of share * loss(classes) is their loss.

    Of a MixUp, `classes[:, 0]` is the map of the image itself, `classes[:, 1]` its partner's.

    Attributes:
        classes: integers [B, S, H, W], with the ignored class where a layer shows nothing.
        shares: float32 [B, S]; layers with share 0 are unused.
    """

    classes: Tensor
    shares: Tensor

    def __len__(self) -> int:
        """Number of outputs, B."""
        return len(self.classes)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> LayeredMasks:
        """The same masks on another device."""
        classes = self.classes.to(device, non_blocking=non_blocking)
        return LayeredMasks(classes, self.shares.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> LayeredMasks:
        """The same masks in page-locked memory; DataLoader calls this."""
        return LayeredMasks(self.classes.pin_memory(), self.shares.pin_memory())


@dataclass(frozen=True)
class MultiLabels:
    """Independent yes/no labels, of which some may be unknown.

    Attributes:
        values: float32 [B, K], 0 .. 1: the mean label of the sources that have one.
        weights: float32 [B, K], how much of it counts in the loss: the shares of those sources,
            times the weights of the samples. 0: nothing is known.
    """

    values: Tensor
    weights: Tensor

    def __len__(self) -> int:
        """Number of outputs, B."""
        return len(self.values)

    def to(self, device: torch.device | str) -> MultiLabels:
        """The same labels on another device."""
        return MultiLabels(self.values.to(device), self.weights.to(device))

    def pin_memory(self) -> MultiLabels:
        """The same labels in page-locked memory; DataLoader calls this."""
        return MultiLabels(self.values.pin_memory(), self.weights.pin_memory())
