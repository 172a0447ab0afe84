"""Logits of images of any size, in overlapping tiles, averaged where tiles overlap."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from mixwell import DataError

MULTIPLE = 32
"""Sides of tiles are multiples of this, the stride of the usual backbones, px."""
TILE = (512, 512)


@torch.no_grad()
def predict_tiled(
    network: Callable[[Tensor], Tensor],
    images: Tensor,
    *,
    tile: tuple[int, int] = TILE,
    overlap: float = 0.25,
    batch_size: int = 8,
) -> Tensor:
    """Logits of images, whatever their size.

    An image smaller than a tile gets one of the smallest multiple of 32 px that holds it, its edge
    repeated. Tiles begin at even distances, the first at one edge and the last at the other.

    Args:
        network: float [N, C, h, w] to logits [N, K, h, w], in evaluation mode.
        images: float [B, C, H, W], normalised.
        tile: largest height and width, multiples of 32 px.
        overlap: least part of a tile that its neighbour covers too, 0 .. 1 (without 1).
        batch_size: tiles at once.

    Returns:
        float [B, K, H, W], on the device of the images.

    Raises:
        DataError: a tile of another size, an overlap out of range, or no images.
    """
    _check(images, tile, overlap)
    height, width = images.shape[-2:]
    size = [min(t, _raised(n)) for t, n in zip(tile, (height, width), strict=True)]
    padding = (0, max(0, size[1] - width), 0, max(0, size[0] - height))
    whole = F.pad(images, padding, mode="replicate") if any(padding) else images
    each = zip(whole.shape[-2:], size, strict=True)
    tops, lefts = (_starts(length, side, overlap) for length, side in each)
    windows = [(slice(y, y + size[0]), slice(x, x + size[1])) for y in tops for x in lefts]
    count = whole.new_zeros(whole.shape[-2:])
    for window in windows:
        count[window] += 1
    places = [(b, *window) for b in range(len(images)) for window in windows]
    total = whole.new_zeros(0)
    for start in range(0, len(places), batch_size):
        some = places[start : start + batch_size]
        logits = network(torch.stack([whole[b, :, y, x] for b, y, x in some])).float()
        if not len(total):
            total = logits.new_zeros(len(images), logits.shape[1], *count.shape)
        for (b, y, x), found in zip(some, logits, strict=True):
            total[b, :, y, x] += found
    return (total / count)[..., :height, :width]


def _check(images: Tensor, tile: tuple[int, int], overlap: float) -> None:
    if min(tile) < MULTIPLE or any(side % MULTIPLE for side in tile):
        raise DataError(
            f"A tile's sides are multiples of {MULTIPLE} px, got {tile[0]} x {tile[1]}."
        )
    if not 0 <= overlap < 1:
        raise DataError(f"overlap must lie in 0 .. 1, 1 left out, got {overlap}.")
    if not images.numel():
        raise DataError(f"predict_tiled needs images with pixels, got {list(images.shape)}.")


def _raised(side: int) -> int:
    return -(-side // MULTIPLE) * MULTIPLE


def _starts(length: int, side: int, overlap: float) -> list[int]:
    """Where tiles begin along a side of the image: evenly, from edge to edge."""
    room = length - side
    steps = -(-room // max(1, int(side * (1 - overlap))))
    return [round(i * room / steps) for i in range(steps + 1)] if steps else [0]
