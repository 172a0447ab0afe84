"""Batches of images in every form: what is one, how large its images are, an empty one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

import numpy as np
import torch

from mixwell._errors import TargetError
from mixwell.render.images import Picked
from mixwell.samples import Fields, Several
from mixwell.targets import Weighted


def empty_of(images: Any, size: tuple[int, int]) -> Any:
    """No images, of the size the policy would give them: a plan without rows cannot say it."""
    if isinstance(images, torch.Tensor):
        return images.new_empty((0, images.shape[1], *size))
    if isinstance(images, np.ndarray):
        return np.empty((0, *size, images.shape[-1]), images.dtype)
    return images


def is_batch(images: Any, fields: Fields | None) -> bool:
    """Whether this is a structure with images in it, and not images alone."""
    if isinstance(images, torch.Tensor | np.ndarray | Several):
        return False
    if fields is not None or isinstance(images, Mapping) or is_dataclass(images):
        return True
    if not isinstance(images, tuple | list) or hasattr(images, "_fields"):
        return hasattr(images, "_fields")
    first = images[0] if images else None
    return getattr(first, "ndim", 0) == 4 or isinstance(first, list | tuple)


def is_image(image: Any) -> bool:
    """Whether this is one image, and not a sample with an image in it."""
    return isinstance(image, torch.Tensor | np.ndarray) or hasattr(image, "convert")


def class_numbers(labels: Any, count: int) -> np.ndarray | None:
    """int64 [count]: the first labels, where labels are class numbers; None where they are not."""
    labels = labels.label if isinstance(labels, Weighted) else labels
    if isinstance(labels, list | tuple) and labels and isinstance(labels[0], torch.Tensor):
        if labels[0].ndim:  # class maps, which may differ in size
            return None
        if all(isinstance(label, torch.Tensor) for label in labels):
            labels = torch.stack(list(labels))
    if isinstance(labels, torch.Tensor):
        labels = labels.detach().cpu().numpy()
    if not isinstance(labels, np.ndarray | list | tuple):
        return None
    if len(labels) and np.ndim(labels[0]):  # class maps, which may differ in size
        return None
    found = np.asarray(labels)
    whole = found.ndim == 1 and found.dtype.kind in "iu" and len(found) >= count
    return found[:count].astype(np.int64) if whole else None


def image_sizes(images: Any) -> np.ndarray:
    """int32 [N, 2]: height and width of each image, in any form `mixwell.render` takes.

    Raises:
        TargetError: something in the batch is no image.
    """
    if isinstance(images, Several):
        return _one_size([image_sizes(each) for each in images.items])
    if isinstance(images, torch.Tensor | Picked) and len(images.shape) == 4:
        return np.tile(np.array(images.shape[-2:], np.int32), (len(images), 1))
    if isinstance(images, np.ndarray) and images.ndim in (3, 4):
        return np.tile(np.array(images.shape[1:3], np.int32), (len(images), 1))
    if isinstance(images, list | tuple):
        return np.array([_size(image) for image in images], np.int32).reshape(-1, 2)
    shape = getattr(images, "shape", None)
    raise TargetError(
        f"Images must be [N, C, H, W], [N, H, W, C] or a list, got {type(images).__name__}"
        f"{'' if shape is None else f' of shape {tuple(shape)}'}."
    )


def _one_size(sizes: list[np.ndarray]) -> np.ndarray:
    """The sizes that all images of a sample share."""
    for other in sizes[1:]:
        if len(other) != len(sizes[0]):
            raise TargetError(
                f"A sample's images come together, got {len(sizes[0])} and {len(other)} of them."
            )
        if (other != sizes[0]).any():
            row = int(np.flatnonzero((other != sizes[0]).any(axis=1))[0])
            raise TargetError(
                "Images of one sample undergo one plan, so they need one size, got "
                f"{sizes[0][row].tolist()} and {other[row].tolist()} in sample {row}. Resize them "
                "while reading."
            )
    return sizes[0]


def _size(image: Any) -> tuple[int, int]:
    if isinstance(image, torch.Tensor) and image.ndim == 3:
        return int(image.shape[-2]), int(image.shape[-1])
    if isinstance(image, np.ndarray) and image.ndim in (2, 3):
        return image.shape[0], image.shape[1]
    if hasattr(image, "convert"):
        pil: Any = image
        return pil.size[1], pil.size[0]
    raise TargetError(
        f"An image must be a tensor [C, H, W], an array [H, W, C] or a PIL image, got "
        f"{type(image).__name__}."
    )
