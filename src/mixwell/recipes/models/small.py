"""A network small enough to train in seconds on one CPU core: for tests, tutorials and CI."""

from __future__ import annotations

from torch import Tensor, nn


def _conv_bn_relu(in_planes: int, planes: int) -> list[nn.Module]:
    return [
        nn.Conv2d(in_planes, planes, 3, padding=1, bias=False),
        nn.BatchNorm2d(planes),
        nn.ReLU(inplace=True),
    ]


class DigitsNet(nn.Module):
    """Three 3x3 convolutions (16, 32, 64 channels), one 2x2 max-pool, a 2x2 mean pool, linear.

    The last pool keeps a 2x2 grid, because *where* a stroke is tells 6 from 9.

    Args:
        num_classes: number of logits.
        in_channels: channels of the input, 1 or 3 usually.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_conv_bn_relu(in_channels, 16),
            *_conv_bn_relu(16, 32),
            nn.MaxPool2d(2),
            *_conv_bn_relu(32, 64),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
        )
        self.linear = nn.Linear(64 * 4, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map float images ``[B, in_channels, H, W]``, H and W >= 4, to ``[B, num_classes]``."""
        return self.linear(self.features(x))
