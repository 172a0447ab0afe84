"""SSDlite on the maps of a MobileNetV2.

References:
    Sandler et al., "MobileNetV2", 2018, arXiv:1801.04381 (section 6.2: SSDlite).
    Liu et al., "SSD: Single Shot MultiBox Detector", 2016, arXiv:1512.02325.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import Any

from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import SSDLiteHead
from torchvision.ops import Conv2dNormActivation

from mixwell.recipes.models.mobilenet import MEAN, STD, Style

NORMALISATION = {
    "torchvision": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "tensorflow": (MEAN, STD),
}
"""Mean and std of inputs in 0 .. 1: ImageNet's, or x / 127.5 - 1 in levels."""
SCALES = (0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)
"""Of the default boxes on the six maps, as shares of the image's side, and the last one's next."""
_STAGES = ((0, 2), (2, 4), (4, 7), (7, 14))
"""Blocks of `features` of strides 2, 4, 8 and 16; the last expands into block 14."""
STAGES = len(_STAGES) + 1
norm = partial(nn.BatchNorm2d, eps=1e-3)
"""Batch norms of the parts that start from nothing."""


class Maps(nn.Module):
    """A MobileNetV2 as six maps: strides 16 and 32, then four that halve the size each.

    Args:
        network: torchvision's MobileNetV2, with the weights it shall start from.
        trainable_layers: how many of its 5 stages learn, the last ones; the others are held.
    """

    def __init__(self, network: Any, trainable_layers: int = STAGES) -> None:
        super().__init__()
        blocks = list(network.features)
        expand, *rest = blocks[14].conv
        stages = [blocks[a:b] for a, b in _STAGES]
        stages[-1].append(expand)
        self.low = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.high = nn.Sequential(*rest, *blocks[15:])
        held = [*self.low, self.high][: STAGES - trainable_layers]
        for stage in held:
            stage.requires_grad_(False)
        self.extra = nn.ModuleList(
            [halving(1280, 512), halving(512, 256), halving(256, 256), halving(256, 128)]
        )
        self.out_channels = [576, 1280, 512, 256, 256, 128]

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        """The maps of float images [B, 3, H, W], by number."""
        low = self.low(x)
        maps = [low, self.high(low)]
        for block in self.extra:
            maps.append(block(maps[-1]))
        return OrderedDict((str(k), found) for k, found in enumerate(maps))


def ssdlite(backbone: Maps, num_classes: int, side: int, style: Style = "torchvision") -> SSD:
    """torchvision's SSD with SSDlite's separable heads on a MobileNetV2.

    Its default boxes start smaller than those of torchvision's SSDlite (a tenth of the side).

    Args:
        backbone: see `Maps`.
        num_classes: without the background.
        side: px of the square that images are brought to.
        style: how inputs are normalised.
    """
    boxes = DefaultBoxGenerator([[2, 3]] * len(backbone.out_channels), scales=list(SCALES))
    mean, std = NORMALISATION[style]
    head = SSDLiteHead(
        backbone.out_channels, boxes.num_anchors_per_location(), num_classes + 1, norm
    )
    return SSD(
        backbone,
        boxes,
        (side, side),
        num_classes + 1,
        head=head,
        image_mean=list(mean),
        image_std=list(std),
        score_thresh=0.01,
        nms_thresh=0.55,
        detections_per_img=100,
        topk_candidates=300,
    )


def halving(inputs: int, outputs: int) -> nn.Sequential:
    """Down to half the channels, down to half the size, up to the outputs."""
    layer = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.ReLU6)
    inner = outputs // 2
    block = nn.Sequential(
        layer(inputs, inner, kernel_size=1),
        layer(inner, inner, kernel_size=3, stride=2, groups=inner),
        layer(inner, outputs, kernel_size=1),
    )
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.03)
    return block
