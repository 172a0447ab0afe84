"""Image sets held in memory, and the train/test pair that every loader returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from mixwell import DataError

TEST_EVERY = 5


@runtime_checkable
class ImageSet(Protocol):
    """What a recipe needs of a data set: a map-style set of uint8 images with labels."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in label order."""
        ...

    @property
    def labels(self) -> np.ndarray:
        """Int64 ``[N]``: the class index of each image."""
        ...

    def __len__(self) -> int:
        """Number of images."""
        ...

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """The uint8 image ``[C, H, W]`` and its label."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class ArraySet:
    """Images of one size in one array.

    Args:
        images: uint8 ``[N, H, W, C]``.
        labels: int64 ``[N]``, each in ``0 .. len(classes) - 1``.
        classes: class names, in label order.

    Raises:
        DataError: a dtype, a shape or a label is not as above.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check dtypes, shapes and label range."""
        images, labels = self.images, self.labels
        if images.dtype != np.uint8 or images.ndim != 4:
            raise DataError(
                "ArraySet needs uint8 images [N, H, W, C], got "
                f"{images.dtype} {list(images.shape)}. Scale to 0..255 and convert first."
            )
        if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
            raise DataError(
                f"ArraySet needs int64 labels [{len(images)}], one per image, got "
                f"{labels.dtype} {list(labels.shape)}. Use labels.astype('int64')."
            )
        check_labels(labels, len(self.classes), "ArraySet")

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """A copy of image ``index`` as uint8 ``[C, H, W]``, and its label."""
        image = self.images[index].transpose(2, 0, 1).copy()
        return torch.from_numpy(image), int(self.labels[index])

    def __repr__(self) -> str:
        """``ArraySet(50000 images 32x32x3 | 10 classes)``."""
        n, height, width, channels = self.images.shape
        return f"ArraySet({n} images {height}x{width}x{channels} | {len(self.classes)} classes)"

    def tensor(self) -> Tensor:
        """A contiguous copy of all images as a uint8 tensor ``[N, C, H, W]``."""
        return torch.from_numpy(self.images.transpose(0, 3, 1, 2).copy())


@dataclass(frozen=True, eq=False)
class TrainTest:
    """A training set, its test set and how to normalise both.

    Args:
        train: the images to learn from.
        test: the images to measure on; same classes.
        name: the data set's name.
        mean: per-channel mean to subtract, for pixels scaled to 0..1.
        std: per-channel standard deviation to divide by, same unit.
        note: one line about how the two parts came about, "" where the files say it themselves.
    """

    train: ImageSet
    test: ImageSet
    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    note: str = ""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in label order."""
        return self.train.classes


def every_fifth_of_class(labels: np.ndarray) -> np.ndarray:
    """The images that become the test part where a data set comes without one.

    No random stream is involved, and each class is split alike.

    Args:
        labels: int64 ``[N]``, in stored order.

    Returns:
        Bool ``[N]``: True at the 5th, 10th, ... image of each class.
    """
    chosen = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        chosen[np.flatnonzero(labels == label)[TEST_EVERY - 1 :: TEST_EVERY]] = True
    return chosen


def check_labels(labels: np.ndarray, num_classes: int, subject: str) -> None:
    """Refuse labels outside ``0 .. num_classes - 1``.

    Args:
        labels: integers ``[N]``; may be empty.
        num_classes: number of classes.
        subject: what the labels belong to, for the message.

    Raises:
        DataError: a label is out of range.
    """
    if not len(labels):
        return
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise DataError(
            f"{subject} needs labels in 0..{num_classes - 1}, got {low}..{high}. "
            "Check that the labels belong to these classes."
        )


def channel_stats(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, for pixels scaled to 0..1.

    Exact: counts the 256 values instead of summing floats. The standard deviation is that of the
    population (divides by N).

    Args:
        images: uint8 ``[N, H, W, C]`` with at least one pixel.

    Returns:
        Two tuples of C floats.
    """
    means, stds = [], []
    values = np.arange(256) / 255.0
    for channel in range(images.shape[3]):
        share = np.bincount(images[..., channel].ravel(), minlength=256) / images[..., 0].size
        mean = float(share @ values)
        means.append(mean)
        stds.append(float(np.sqrt(share @ (values - mean) ** 2)))
    return tuple(means), tuple(stds)
