"""MobileNetV2 with TensorFlow's padding, as a classifier and as a backbone of four strides.

TensorFlow pads a convolution of stride 2 so that its output has ``ceil(n / 2)`` pixels, and puts
the odd pixel of padding *behind*: at even sizes (0, 1), at odd ones (1, 1). PyTorch pads (1, 1)
always. Weights trained under one padding see the image half a pixel off under the other, at every
stride: Keras' weights lose nine points of top-1 accuracy under PyTorch's padding.

Parameter names are torchvision's, whatever the padding, so one file of weights fits both styles.

Weights trained by Keras or by torchvision also expect differently normalised images: `MEAN` and
`STD` below, or ImageNet's.

References:
    Mark Sandler, Andrew Howard, Menglong Zhu, Andrey Zhmoginov, Liang-Chieh Chen. MobileNetV2:
    Inverted Residuals and Linear Bottlenecks. 2018. arXiv:1801.04381.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from mixwell import DataError
from mixwell.recipes.models.weights import State, read_weights

Style = Literal["tensorflow", "torchvision"]
MEAN = (0.5, 0.5, 0.5)
"""Of images in [0, 1], for weights trained by Keras: x / 127.5 - 1 of uint8."""
STD = (0.5, 0.5, 0.5)
STRIDES = (4, 8, 16, 32)
CHANNELS = (24, 32, 96, 1280)
"""Channels at the four strides."""
_LAST_LAYERS = (3, 6, 13, 18)  # in torchvision's `features`: the last one at each stride


class PadBehind(nn.Conv2d):
    """A 3x3 convolution of stride 2, padded as TensorFlow's ``SAME``; parameters as `nn.Conv2d`."""

    def forward(self, input: Tensor) -> Tensor:
        """Map ``[B, C, H, W]`` to ``[B, D, ceil(H / 2), ceil(W / 2)]``."""
        high, wide = input.shape[-2:]
        return super().forward(F.pad(input, (wide % 2, 1, high % 2, 1)))


def mobilenet_v2(num_classes: int = 1000, *, style: Style = "tensorflow") -> nn.Module:
    """MobileNetV2 1.0, freshly initialised.

    Args:
        num_classes: number of logits, >= 1.
        style: whose padding.

    Returns:
        torchvision's module, from float ``[B, 3, H, W]`` to logits ``[B, num_classes]``.

    Raises:
        ValueError: unknown style.
    """
    from torchvision.models import mobilenet_v2 as build

    if style not in get_args(Style):
        raise ValueError(
            f"MobileNetV2's style is tensorflow or torchvision, got {style!r}. Use one of them."
        )
    network = build(weights=None, num_classes=num_classes)
    if style == "tensorflow":
        for name, module in list(network.named_modules()):
            if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
                network.set_submodule(name, _padded_behind(module))
    return network


def _padded_behind(conv: nn.Conv2d) -> PadBehind:
    """The same convolution, holding the same parameters, with the other padding."""
    new = PadBehind(
        conv.in_channels, conv.out_channels, 3, 2, groups=conv.groups, bias=conv.bias is not None
    )
    new.weight, new.bias = conv.weight, conv.bias
    return new


class MobileNetFeatures(nn.Module):
    """The convolutions of MobileNetV2, giving a map at each of four strides.

    Attributes:
        features: the layers, named as in torchvision.
        strides: pixels of the image to one of a map: 4, 8, 16, 32.
        channels: of the four maps.
        mean: what images in [0, 1] are to be normalised with, for weights trained in this style.
        std: the same.
    """

    def __init__(self, style: Style = "tensorflow") -> None:
        super().__init__()
        self.features = cast("nn.Sequential", mobilenet_v2(1, style=style).features)
        self.strides, self.channels = STRIDES, CHANNELS
        tf = style == "tensorflow"
        self.mean = MEAN if tf else (0.485, 0.456, 0.406)
        self.std = STD if tf else (0.229, 0.224, 0.225)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Map normalised ``[B, 3, H, W]`` to ``[B, C, ceil(H / s), ceil(W / s)]`` for each s."""
        maps: list[Tensor] = []
        for index, layer in enumerate(self.features):
            images = layer(images)
            if index in _LAST_LAYERS:
                maps.append(images)
        return cast("tuple[Tensor, Tensor, Tensor, Tensor]", tuple(maps))


def mobilenet_v2_features(
    weights: str | Path | None = None, style: Style = "tensorflow"
) -> MobileNetFeatures:
    """MobileNetV2 as a backbone for detection and segmentation.

    Weights with folded batch norms (the 8-bit npz) must be used with frozen batch norms: call
    `norms.pause_norms` after each ``train()``, or the features are lost in the first step.

    Args:
        weights: a file that `read_weights` reads, of MobileNetV2 1.0 under torchvision's names; the
            classifier in it is not used. None: freshly initialised.
        style: whose padding; that under which the weights were trained.

    Raises:
        DataError: the file cannot be read or holds another network.
        ValueError: unknown style.
    """
    network = MobileNetFeatures(style)
    if weights is not None:
        load(network, weights)
    return network


def load(network: nn.Module, path: str | Path) -> None:
    """Load weights into a MobileNetV2, whole or without its classifier.

    Args:
        network: of `mobilenet_v2` or `mobilenet_v2_features`.
        path: a file that `read_weights` reads.

    Raises:
        DataError: the file cannot be read or holds another network.
    """
    own = network.state_dict()
    state: State = read_weights(path)
    if not any(name.startswith("classifier.") for name in own):
        state = {k: v for k, v in state.items() if not k.startswith("classifier.")}
    wrong = sorted(own.keys() ^ state.keys())
    wrong += [k for k in own if k in state and own[k].shape != state[k].shape]
    if wrong:
        raise DataError(
            f"MobileNetV2 needs weights of MobileNetV2 1.0 under torchvision's names, got "
            f"{len(wrong)} parameters missing, unknown or of another size in {path} "
            f"({', '.join(wrong[:3])}, ...). Give the file of that network."
        )
    network.load_state_dict(state)
