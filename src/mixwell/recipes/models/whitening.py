"""A fixed first layer that whitens patches of the training images.

A convolution whose filters are the principal directions of the images' patches, each divided by the
root of its variance, and a learned 1x1 convolution behind it, take the place of a network's first
convolution: what follows begins with uncorrelated inputs of equal size.

References:
    David Page. How to Train Your ResNet 8: Bag of Tricks. 2019 (an article; no arXiv number).
    Keller Jordan. 94% on CIFAR-10 in 3.29 Seconds on a Single GPU. 2024. arXiv:2404.00498.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mixwell import DataError

EPSILON = 1e-2
"""Added to variances, of normalised pixels; keeps directions without signal small."""

MOST_IMAGES = 5000
_AT_ONCE = 250


class Whitening(nn.Module):
    """A convolution with fixed filters: they are a buffer, so no optimizer sees them.

    Args:
        filters: float ``[C * k * k, C, k, k]``.
        stride: as of `torch.nn.Conv2d`.
        padding: the same.
    """

    def __init__(self, filters: Tensor, stride: tuple[int, ...], padding: tuple[int, ...]) -> None:
        super().__init__()
        self.stride, self.padding = stride, padding
        self.register_buffer("filters", filters)
        self.filters: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Map float images ``[B, C, H, W]`` to ``[B, C * k * k, H', W']``."""
        return F.conv2d(x, self.filters, None, self.stride, self.padding)


def whitening_filters(
    images: np.ndarray, mean: tuple[float, ...], std: tuple[float, ...], size: int = 3
) -> Tensor:
    """Filters under which the images' patches are white, but for `EPSILON`.

    Second moments are taken about zero, of at most `MOST_IMAGES` images, evenly spread; each
    direction points where its largest number is positive, so that machines agree.

    Args:
        images: uint8 ``[N, H, W, C]``, H and W >= size.
        mean: per channel, of pixels in 0 .. 1.
        std: the same.
        size: k, px of a patch's side.

    Returns:
        float32 ``[C * k * k, C, k, k]``, by falling variance.

    Raises:
        DataError: the images are smaller than a patch, or there are none.
    """
    if not len(images) or min(images.shape[1:3]) < size:
        raise DataError(
            f"Whitening needs images of at least {size} x {size} px, got "
            f"{list(images.shape)}. Leave out whiten (--whiten)."
        )
    count = min(len(images), MOST_IMAGES)
    rows = np.arange(count) * len(images) // count
    channels = images.shape[3]
    shift, scale = (torch.tensor(v, dtype=torch.float64).view(-1, 1, 1) for v in (mean, std))
    moments, seen = torch.zeros(channels * size**2, channels * size**2, dtype=torch.float64), 0
    for start in range(0, count, _AT_ONCE):
        part = torch.from_numpy(images[rows[start : start + _AT_ONCE]].transpose(0, 3, 1, 2) / 255)
        patches = F.unfold((part - shift) / scale, size)  # [n, C * k * k, places]
        flat = patches.transpose(0, 1).flatten(1)
        moments += flat @ flat.T
        seen += flat.shape[1]
    variances, directions = torch.linalg.eigh(moments / seen)
    chosen = directions.flip(1).T  # rows, by falling variance
    largest = chosen.gather(1, chosen.abs().argmax(1, keepdim=True))
    filters = chosen * largest.sign() / (variances.flip(0).clamp(min=0) + EPSILON).sqrt()[:, None]
    return filters.float().reshape(-1, channels, size, size)


def whiten(
    network: nn.Module, images: np.ndarray, mean: tuple[float, ...], std: tuple[float, ...]
) -> nn.Module:
    """Put a fixed whitening and a learned 1x1 convolution in place of a network's first one.

    Args:
        network: changed in place; the new 1x1 convolution is drawn from PyTorch's generator.
        images: uint8 ``[N, H, W, C]``, to train on.
        mean: how they are normalised.
        std: the same.

    Returns:
        The network.

    Raises:
        DataError: its first convolution is none that can be replaced.
    """
    found = ((n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d))
    name, old = next(found, ("", None))
    fits = old is not None and old.in_channels == images.shape[3] and old.groups == 1
    plain = fits and old is not None and set(old.dilation) == {1} and len({*old.kernel_size}) == 1
    if old is None or not plain or isinstance(old.padding, str):
        raise DataError(
            f"Whitening replaces a plain first convolution over {images.shape[3]} channels, got "
            f"{old!r} in {type(network).__name__}. Leave out whiten (--whiten)."
        )
    filters = whitening_filters(images, mean, std, old.kernel_size[0])
    mixing = nn.Conv2d(len(filters), old.out_channels, 1, bias=old.bias is not None)
    network.set_submodule(name, nn.Sequential(Whitening(filters, old.stride, old.padding), mixing))
    return network
