"""Residual networks for 32x32 images: the CIFAR family of He et al. and ResNet-18 with a 3x3 stem.

Parameter names follow the widely used PyTorch port of the CIFAR family (``conv1``, ``bn1``,
``layer1.0.conv1`` ... ``linear``), so its published checkpoints load strictly once the
``module.`` prefix left by ``DataParallel`` is removed.

References:
    Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun. Deep Residual Learning for Image
    Recognition. 2015. arXiv:1512.03385, section 4.2 and table 6.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shortcut = Literal["pad", "proj"]
STAGE_WIDTHS = (16, 32, 64)


class ShortcutPad(nn.Module):
    """Shortcut A of the paper: take every ``stride``-th pixel, pad new channels with zeros.

    Has no parameters. The new channels are split evenly: half before the old ones, half after;
    the paper does not say where they go, the published checkpoints need them there.

    Args:
        in_planes: channels of the input.
        planes: channels of the output, at least ``in_planes`` and of the same parity.
        stride: spatial step.

    Raises:
        ValueError: the channels cannot be split evenly.
    """

    def __init__(self, in_planes: int, planes: int, stride: int) -> None:
        super().__init__()
        extra = planes - in_planes
        if extra < 0 or extra % 2:
            raise ValueError(
                "ShortcutPad adds an even, non-negative number of channels, got "
                f"{in_planes} -> {planes}. Use the projection shortcut instead."
            )
        self.pad = extra // 2
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, in_planes, H, W]`` to ``[B, planes, ceil(H/stride), ceil(W/stride)]``."""
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, self.pad, self.pad))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, added to the shortcut, then ReLU.

    Args:
        in_planes: channels of the input.
        planes: channels of the output.
        stride: step of the first convolution and of the shortcut.
        shortcut: ``"pad"`` (A) or ``"proj"`` (B); the identity is used where the shape is kept.
    """

    def __init__(self, in_planes: int, planes: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = _shortcut(in_planes, planes, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, in_planes, H, W]`` to ``[B, planes, H/stride, W/stride]``."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.shortcut(x))


def _shortcut(in_planes: int, planes: int, stride: int, kind: Shortcut) -> nn.Module:
    if stride == 1 and in_planes == planes:
        return nn.Identity()
    if kind == "pad":
        return ShortcutPad(in_planes, planes, stride)
    conv = nn.Conv2d(in_planes, planes, 1, stride, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(planes))


class CifarResNet(nn.Module):
    """The CIFAR ResNet of depth ``6n + 2``: 3x3 stem, three stages of n blocks, mean pool, linear.

    Stages have 16, 32 and 64 channels; the second and third start with stride 2. Convolutions and
    the linear layer start from He's normal initialisation (arXiv:1502.01852).

    Args:
        depth: 20, 32, 44, 56, 110, ...: ``6n + 2`` with n >= 1.
        num_classes: number of logits.
        in_channels: channels of the input.
        shortcut: ``"pad"`` (A: no parameters) or ``"proj"`` (B: 1x1 convolution + batch norm where
            the shape changes).

    Raises:
        ValueError: ``depth`` is not ``6n + 2``, or ``shortcut`` is not one of the two.
    """

    def __init__(
        self,
        depth: int,
        num_classes: int = 10,
        in_channels: int = 3,
        shortcut: Shortcut = "pad",
    ) -> None:
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise ValueError(
                f"CifarResNet needs depth = 6n + 2, got {depth}. Use 20, 32, 44, 56 or 110."
            )
        if shortcut not in ("pad", "proj"):
            raise ValueError(
                f"CifarResNet's shortcut is 'pad' or 'proj', got {shortcut!r}. "
                "Use 'pad' for the paper's CIFAR networks."
            )
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(in_channels, STAGE_WIDTHS[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(STAGE_WIDTHS[0])
        self.layer1 = _stage(STAGE_WIDTHS[0], STAGE_WIDTHS[0], blocks, 1, shortcut)
        self.layer2 = _stage(STAGE_WIDTHS[0], STAGE_WIDTHS[1], blocks, 2, shortcut)
        self.layer3 = _stage(STAGE_WIDTHS[1], STAGE_WIDTHS[2], blocks, 2, shortcut)
        self.linear = nn.Linear(STAGE_WIDTHS[2], num_classes)
        self.apply(_he_normal)

    def forward(self, x: Tensor) -> Tensor:
        """Map float images ``[B, in_channels, H, W]`` to logits ``[B, num_classes]``."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        return self.linear(out.mean(dim=(2, 3)))


def _stage(in_planes: int, planes: int, blocks: int, stride: int, kind: Shortcut) -> nn.Sequential:
    first = BasicBlock(in_planes, planes, stride, kind)
    return nn.Sequential(first, *(BasicBlock(planes, planes, 1, kind) for _ in range(blocks - 1)))


def _he_normal(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        torch.nn.init.kaiming_normal_(module.weight)


def resnet18_cifar(num_classes: int = 10, in_channels: int = 3) -> nn.Module:
    """ResNet-18 for 32x32 images: a 3x3 stride-1 stem and no max-pool; torchvision's names.

    The change most CIFAR papers mean by "ResNet-18": the 7x7 stride-2 stem and the pool of the
    ImageNet network would leave 8x8 maps before the first block.

    Args:
        num_classes: number of logits.
        in_channels: channels of the input.

    Returns:
        A module from float ``[B, in_channels, H, W]`` to logits ``[B, num_classes]``.
    """
    from torchvision.models import resnet18

    model = resnet18(weights=None, num_classes=num_classes)
    model.conv1 = nn.Conv2d(in_channels, 64, 3, 1, 1, bias=False)
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    model.maxpool = nn.Identity()  # type: ignore[assignment]
    return model
