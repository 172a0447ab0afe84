"""Small networks and pictures for the tests of style transfer."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from mixwell.recipes.stylize import Features, Taps

TAPS = Taps(content=("3",), style=("0", "3"))


def small_network(seed: int = 0) -> nn.Sequential:
    """Two convolutions with what VGG has between them, in-place activation included."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, padding=1),
            nn.ReLU(inplace=True),
            Fails(),
        )


class Fails(nn.Module):
    """Must never run."""

    def forward(self, x: Tensor) -> Tensor:
        raise AssertionError("ran behind the last layer")


def small_features(seed: int = 0) -> Features:
    return Features(small_network(seed), ("0", "3"))


def identity_features() -> Features:
    """Features that are the normalised pixels themselves."""
    network = nn.Sequential(nn.Identity())
    return Features(network, ("0",))


def picture(seed: int, height: int = 12, width: int = 16) -> Tensor:
    """Pixels in 0 .. 1, float32 [1, 3, H, W], smooth enough to have a style."""
    rng = np.random.default_rng(seed)
    waves = rng.normal(size=(3, 4, 3))
    y, x = np.mgrid[0:height, 0:width] / 8.0
    values = sum(
        np.sin(
            a[:, None, None]
            + np.outer(b, y).reshape(3, *y.shape)
            + np.outer(c, x).reshape(3, *x.shape)
        )
        for a, b, c in zip(waves[:, :, 0].T, waves[:, :, 1].T, waves[:, :, 2].T, strict=True)
    )
    return torch.from_numpy((0.5 + values / 10).clip(0, 1)).float()[None]
