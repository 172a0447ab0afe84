"""ResNet-9: the shallow, wide network of the fast CIFAR-10 entries to DAWNBench.

References:
    David Page. How to Train Your ResNet. 2018 (a series of articles; no arXiv number).
"""

from __future__ import annotations

from torch import Tensor, nn

# Page multiplies the logits by 1/8: it tames the softmax of a network without a warm final layer,
# and the published learning rates assume it.
LOGIT_SCALE = 0.125


def _conv_bn_relu(in_planes: int, planes: int, pool: bool = False) -> nn.Sequential:
    layers = [nn.Conv2d(in_planes, planes, 3, 1, 1, bias=False), nn.BatchNorm2d(planes), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(2)) if pool else nn.Sequential(*layers)


class _Residual(nn.Module):
    def __init__(self, planes: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(_conv_bn_relu(planes, planes), _conv_bn_relu(planes, planes))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


class ResNet9(nn.Module):
    """Nine weighted layers, 6.57 million parameters: 64-128-256-512 channels, two residual pairs.

    Differs from the article: the last max-pool takes the maximum over the whole map instead of a
    4x4 window, so that any input of at least 8x8 pixels works (the same thing for 32x32).

    Args:
        num_classes: number of logits.
        in_channels: channels of the input.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _conv_bn_relu(in_channels, 64),
            _conv_bn_relu(64, 128, pool=True),
            _Residual(128),
            _conv_bn_relu(128, 256, pool=True),
            _conv_bn_relu(256, 512, pool=True),
            _Residual(512),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        )
        self.linear = nn.Linear(512, num_classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map float images ``[B, in_channels, H, W]``, H and W >= 8, to ``[B, num_classes]``."""
        return self.linear(self.features(x)) * LOGIT_SCALE
