"""Fully convolutional networks: a backbone, a 1x1 head, and learned upsampling.

The upsampling is a transposed convolution that begins as bilinear interpolation: kernel 2s, stride
s, padding s / 2, each class on its own. See docs/concepts/transposed-convolution.md.

References:
    Long, Shelhamer, Darrell. Fully Convolutional Networks for Semantic Segmentation. 2015.
    arXiv:1411.4038.
    Glorot, Bengio. Understanding the difficulty of training deep feedforward neural networks. 2010
    (the head's initial weights; no arXiv number).
"""

from __future__ import annotations

import operator
import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx.proxy import TraceError

from mixwell import DataError

_PROBE_HW = (128, 192)
"""Unlike sides, so that a map's rows and columns cannot be confused."""


def bilinear_kernel(channels: int, stride: int) -> Tensor:
    """Weights of a transposed convolution that interpolates, float [channels, channels, 2s, 2s].

    Args:
        channels: each is upsampled on its own.
        stride: s, even, or 1.
    """
    side = 2 * stride
    along = 1 - (torch.arange(side) + 0.5 - stride).abs() / stride
    weight = torch.zeros(channels, channels, side, side)
    own = torch.arange(channels)
    weight[own, own] = along[:, None] * along
    return weight


class FCN(nn.Module):
    """A backbone's map, a 1x1 convolution to the classes, and upsampling by its stride.

    Images of any size: they are padded with zeros, on the right and below, to a multiple of the
    stride, and the logits are cut back.

    Args:
        backbone: float [B, 3, H, W] to a map [B, C, H / s, W / s].
        channels: C.
        stride: s, even.
        num_classes: number of logits of each pixel.
    """

    def __init__(self, backbone: nn.Module, channels: int, stride: int, num_classes: int) -> None:
        super().__init__()
        self.stride = stride
        self.backbone = backbone
        self.head = nn.Conv2d(channels, num_classes, 1)
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]
        self.upsample = nn.ConvTranspose2d(
            num_classes, num_classes, 2 * stride, stride, stride // 2, bias=False
        )
        with torch.no_grad():
            self.upsample.weight.copy_(bilinear_kernel(num_classes, stride))

    def forward(self, images: Tensor) -> Tensor:
        """Logits float [B, K, H, W]."""
        height, width = images.shape[-2:]
        padded = F.pad(images, (0, -width % self.stride, 0, -height % self.stride))
        return self.upsample(self.head(self.backbone(padded)))[..., :height, :width]


def trunk_of(
    network: nn.Module, name: str, stride: int | None = None
) -> tuple[nn.Module, int, int]:
    """The part of a classifier that gives a map, and that map's channels and stride.

    Args:
        network: a classifier of torchvision or timm.
        name: for messages.
        stride: of the map: the last one of that stride; the classifier's last map when left out.

    Raises:
        DataError: no map of this stride, or a network that cannot be taken apart.
    """
    maps = _maps(network, name)
    found = [node for node, (_, own) in maps.items() if stride in (None, own)]
    if not found:
        there = sorted({own for _, own in maps.values()})
        raise DataError(
            f"{name} has maps of the strides {', '.join(map(str, there)) or 'none'}, got {stride}. "
            "Choose one of these (--stride), or another backbone."
        )
    channels, own = maps[found[-1]]
    return _extractor(network, found[-1]), channels, own


class _Last(nn.Module):
    """A feature extractor without its dict."""

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.layers = extractor

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)["map"]


def _extractor(network: nn.Module, node: str) -> nn.Module:
    from torchvision.models.feature_extraction import create_feature_extractor

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # training and evaluation differ: dropout
        return _Last(create_feature_extractor(network, {node: "map"}))


def _maps(network: nn.Module, name: str) -> dict[str, tuple[int, int]]:
    """Nodes of the forward pass that are maps of the image: channels and stride of each."""
    from torchvision.models.feature_extraction import get_graph_node_names

    before = network.training
    network.eval()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            nodes = get_graph_node_names(network)
        both = [node for node in nodes[1] if node in set(nodes[0])]
        with torch.no_grad():
            found = _shapes(_all_of(network, both))
    except (RuntimeError, TypeError, ValueError, AssertionError, TraceError) as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise DataError(
            f"A backbone must give a map of {_PROBE_HW[0]} x {_PROBE_HW[1]} px, got an error from "
            f"{name}: {why}. Choose a convolutional network, such as resnet18."
        ) from None
    finally:
        network.train(before)
    return {node: (shape[1], stride) for node, shape in found.items() if (stride := _stride(shape))}


def _all_of(network: nn.Module, nodes: list[str]) -> nn.Module:
    from torchvision.models.feature_extraction import create_feature_extractor

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return create_feature_extractor(network, {node: node for node in nodes})


def _shapes(extractor: nn.Module) -> dict[str, tuple[int, ...]]:
    found = extractor(torch.zeros(1, 3, *_PROBE_HW))
    return {node: tuple(v.shape) for node, v in found.items() if isinstance(v, Tensor)}


def _stride(shape: tuple[int, ...]) -> int:
    """The even whole factor from a map to the image on both sides; 0 where there is none."""
    if len(shape) != 4 or min(shape[2:]) < 1:
        return 0
    factors = {operator.floordiv(*pair) for pair in zip(_PROBE_HW, shape[2:], strict=True)}
    exact = all(n % own == 0 for n, own in zip(_PROBE_HW, shape[2:], strict=True))
    factor = factors.pop()
    return factor if exact and not factors and factor % 2 == 0 else 0
