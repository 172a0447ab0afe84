"""Anchor boxes: for each pixel of a feature map, boxes of several sizes and aspect ratios."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import torch
from torch import Tensor

from mixwell._errors import TargetError


def anchors(
    size_hw: tuple[int, int],
    sizes: Sequence[float],
    ratios: Sequence[float] = (1.0,),
    *,
    image_hw: tuple[int, int] | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """Boxes around the centre of every pixel of a map, as fractions of the image.

    A pixel gets n + m - 1 boxes for n sizes and m ratios: each size with the first ratio, then the
    first size with each other ratio. A box of size s and ratio r is s * sqrt(r) * H wide and
    s / sqrt(r) * H high, in pixels of a map of height H, so r is width over height; its centre is
    at ((column + 0.5) / W, (row + 0.5) / H). Boxes at the border reach beyond [0, 1].

    Replaces `multibox_prior` of "Dive into Deep Learning" (d2l.ai, section 14.4), without its
    leading dimension of 1. The anchors of several maps are joined with `torch.cat`.

    Args:
        size_hw: (height, width) of the feature map, or of an image for one box set a pixel.
        sizes: fractions of the image's height, above 0.
        ratios: width / height, above 0.
        image_hw: (height, width) that the aspect of the boxes is taken from, where that of the map
            is rounded; None takes the map's.
        dtype: float32 or float64; smaller ones cannot tell neighbouring anchors apart.
        device: where the result lies; None is torch's default.

    Returns:
        xyxy [H * W * (n + m - 1), 4]: by row, then column, then box, which is the order of a
        convolution's output permuted to [B, H, W, C].

    Raises:
        TargetError: a size or ratio that is not above 0, none at all, or a dtype below float32.
    """
    for name, values in (("sizes", sizes), ("ratios", ratios)):
        if len(values) == 0 or not all(v > 0 and isfinite(v) for v in values):
            raise TargetError(f"{name} must be numbers above 0, at least one, got {list(values)}.")
    if dtype not in (torch.float32, torch.float64):
        raise TargetError(
            f"anchors are float32 or float64, got {dtype}: its spacing near 1 is wider than that "
            "of the anchors. Convert features, not anchors, to half precision."
        )
    for name, size in (("size_hw", size_hw), ("image_hw", image_hw or (1, 1))):
        if len(size) != 2 or min(size) < (1 if name == "image_hw" else 0):
            raise TargetError(f"{name} must be (height, width), got {tuple(size)}.")
    height, width = size_hw
    rows, columns = image_hw or (max(height, 1), max(width, 1))
    half = _shapes(sizes, ratios, rows / columns).to(device, dtype) / 2
    y = (torch.arange(height, device=device, dtype=dtype) + 0.5) / max(height, 1)
    x = (torch.arange(width, device=device, dtype=dtype) + 0.5) / max(width, 1)
    centres = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)[:, :, None]
    return torch.cat((centres - half, centres + half), dim=-1).reshape(-1, 4)


def _shapes(sizes: Sequence[float], ratios: Sequence[float], aspect: float) -> Tensor:
    """float64 [n + m - 1, 2]: (width, height) as fractions; aspect: image height / width."""
    pairs = [(s, ratios[0]) for s in sizes] + [(sizes[0], r) for r in ratios[1:]]
    return torch.tensor(
        [(s * r**0.5 * aspect, s / r**0.5) for s, r in pairs], dtype=torch.float64, device="cpu"
    )
