"""Levels of uint8 images: counting them, looking them up, and their grey."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mixwell.render import tables


def histogram(images: Tensor) -> np.ndarray:
    """Counts of each level in each channel: uint8 [n, C, H, W] to int64 NumPy [n, C, 256]."""
    levels = images.flatten(2).to(torch.int64)
    counts = torch.zeros((*levels.shape[:2], 256), dtype=torch.int64, device=images.device)
    return counts.scatter_add(2, levels, torch.ones_like(levels)).cpu().numpy()


def apply_table(images: Tensor, table: np.ndarray) -> Tensor:
    """Looks every level up: uint8 [n, C, H, W] and uint8 [n, C or 1, 256] to uint8 [n, C, H, W]."""
    lookup = torch.tensor(table, device=images.device).expand(-1, images.shape[1], -1)
    return lookup.gather(2, images.flatten(2).to(torch.int64)).view(images.shape)


def grey_level(images: Tensor) -> Tensor:
    """Pillow's L: uint8 [n, 3, H, W] to int32 [n, 1, H, W]."""
    red, green, blue = (w * images[:, i : i + 1].int() for i, w in enumerate(tables.GREY_WEIGHTS))
    return (red + green + blue + (1 << 15)) >> 16
