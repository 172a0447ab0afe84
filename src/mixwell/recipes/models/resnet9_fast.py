"""ResNet-9 as the fast CIFAR-10 entries came to train it: for few epochs at high rates.

Beside `resnet9`: norms over groups of 32 images with a fixed scale, CELU, and pooling in front of
the norm. `whiten`, smoothed labels, averaged weights, flipped views and a higher rate for norms'
biases go with it; `benchmarks/gpu` has settings.

References:
    David Page. How to Train Your ResNet 8: Bag of Tricks. 2019 (an article; no arXiv number).
    Jonathan Barron. Continuously Differentiable Exponential Linear Units. 2017. arXiv:1704.07483.
    Elad Hoffer, Itay Hubara, Daniel Soudry. Train longer, generalize better. 2017.
    arXiv:1705.08741 (ghost batch normalisation).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mixwell.recipes.models.resnet9 import LOGIT_SCALE

WIDTHS = (64, 128, 256, 512)
GHOST = 32
CELU_ALPHA = 0.3


class GhostNorm(nn.Module):
    """Batch normalisation over groups of a batch's images, with a learned bias alone.

    In training each group of about `images` images has its own mean and variance; in evaluation
    their running means are used, as in `torch.nn.BatchNorm2d`.

    Args:
        planes: channels.
        images: in a group, about; batches are split into groups that differ by one at most.
        momentum: share of a batch in the running statistics.
        eps: added to variances.
    """

    def __init__(
        self, planes: int, images: int = GHOST, momentum: float = 0.1, eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.images, self.momentum, self.eps = images, momentum, eps
        self.bias = nn.Parameter(torch.zeros(planes))
        # A buffer: kernels for norms with a bias want a scale too.
        self.register_buffer("scale", torch.ones(planes))
        self.register_buffer("running_mean", torch.zeros(planes))
        self.register_buffer("running_var", torch.ones(planes))
        self.scale: Tensor
        self.running_mean: Tensor
        self.running_var: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Normalise float ``[B, planes, H, W]``."""
        if not self.training:
            return self._norm(x, False, 0.0)
        groups = max(1, len(x) // self.images)
        share = 1 - (1 - self.momentum) ** (1 / groups)
        parts = torch.tensor_split(x, groups)
        return torch.cat([self._norm(part, True, share) for part in parts])

    def _norm(self, x: Tensor, training: bool, share: float) -> Tensor:
        mean, var = self.running_mean, self.running_var
        return F.batch_norm(x, mean, var, self.scale, self.bias, training, share, self.eps)


def _layer(in_planes: int, planes: int, pool: bool = False) -> nn.Sequential:
    conv = nn.Conv2d(in_planes, planes, 3, 1, 1, bias=False)
    pooled = [nn.MaxPool2d(2)] if pool else []
    return nn.Sequential(conv, *pooled, GhostNorm(planes), nn.CELU(CELU_ALPHA))


class _Residual(nn.Module):
    def __init__(self, planes: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(_layer(planes, planes), _layer(planes, planes))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


class FastResNet9(nn.Module):
    """Nine weighted layers with ghost norms and CELU.

    Args:
        num_classes: number of logits.
        in_channels: channels of the input.
        width: of the layers, in units of 64-128-256-512 channels.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        first, second, third, last = (round(width * planes) for planes in WIDTHS)
        self.features = nn.Sequential(
            _layer(in_channels, first),
            _layer(first, second, pool=True),
            _Residual(second),
            _layer(second, third, pool=True),
            _layer(third, last, pool=True),
            _Residual(last),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        )
        self.linear = nn.Linear(last, num_classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map float images ``[B, in_channels, H, W]``, H and W >= 8, to ``[B, num_classes]``."""
        return self.linear(self.features(x)) * LOGIT_SCALE
