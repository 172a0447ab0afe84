"""Images for the tests of the pixel ops, and a short way to call an op."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from sklearn.datasets import load_sample_images
from torch import Tensor

from mixwell.plan.steps import Code
from mixwell.render.reference.tone import TONE_OPS

torch.set_num_threads(1)


@lru_cache(maxsize=1)
def photos() -> Tensor:
    """Two photos that come with scikit-learn, uint8 [2, 3, 427, 640]."""
    pictures = np.stack(load_sample_images().images)
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()


def random_levels(n: int, channels: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Independent uniform levels, uint8 [n, C, H, W]."""
    made = np.random.default_rng(seed).integers(0, 256, (n, channels, height, width), np.uint8)
    return torch.from_numpy(made)


def constant(level: int, channels: int = 3, height: int = 17, width: int = 11) -> Tensor:
    return torch.full((1, channels, height, width), level, dtype=torch.uint8)


def two_levels(low: int, high: int, height: int = 17, width: int = 31) -> Tensor:
    return torch.where(random_levels(1, 3, height, width) < 128, low, high).to(torch.uint8)


SMALL = {
    "odd": random_levels(1, 3, 17, 11),
    "one pixel": random_levels(1, 3, 1, 1),
    "thin": random_levels(1, 3, 2, 5),
    "line": random_levels(1, 3, 1, 9),
    "column": random_levels(1, 3, 9, 1),
    "square": random_levels(1, 3, 3, 3),
    "black": constant(0),
    "grey": constant(77),
    "white": constant(255),
    "two levels": two_levels(40, 41),
    "extremes": two_levels(0, 255),
    "narrow": random_levels(1, 3, 40, 40) // 8 + 100,
}
"""Small, odd and degenerate uint8 images, [1, 3, H, W] each."""


def apply(code: Code, images: Tensor, *params, kind: str = "", **named) -> Tensor:
    """One op with the same parameters in every row; or give `param` float64 [n, 12] yourself."""
    n = len(images)
    table = np.zeros((n, 12))
    table[:, : len(params)] = params
    table = named.pop("param", table)
    kinds = {torch.uint8: "uint8", torch.int32: "uint16", torch.float32: "float"}
    given = {"fill": np.zeros((n, 4), np.float32), "key": keys(n), "mean": None, "std": None}
    return TONE_OPS[code](images, table, kind=kind or kinds[images.dtype], **(given | named))


def keys(n: int) -> np.ndarray:
    """Fixed keys, uint32 [n, 4], all different."""
    return np.random.default_rng(5).integers(0, 2**32, (n, 4), np.uint32)


def distance(a: Tensor, b: Tensor) -> float:
    """The largest absolute difference."""
    assert a.shape == b.shape and a.dtype == b.dtype
    return (a.double() - b.double()).abs().max().item()


def assert_same(a: Tensor, b: Tensor) -> None:
    """Equal in shape, type and every bit."""
    torch.testing.assert_close(a, b, rtol=0, atol=0)
