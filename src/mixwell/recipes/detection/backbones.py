"""Any classification network as maps of several sizes, for a feature pyramid or an SSD.

A network is cut where its maps shrink: the last map of each stride is handed out. That serves
torchvision's networks that are a chain of blocks (ResNet and its kin, MobileNet, EfficientNet,
ConvNeXt, VGG, DenseNet, RegNet, ShuffleNet, MNASNet), and timm's with `features_only`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.backbone_utils import LastLevelMaxPool
from torchvision.ops.feature_pyramid_network import (
    ExtraFPNBlock,
    FeaturePyramidNetwork,
    LastLevelP6P7,
)

from mixwell import DataError
from mixwell.recipes.detection.weights import NONE, Loaded, load_matching, weights_of
from mixwell.recipes.models import build_model
from mixwell.recipes.models.pretrained import converts_input

PYRAMID = 256
"""Channels of a feature pyramid, as in torchvision."""
_PROBE = 128
"""Side of the image that shows where maps shrink, px."""
_TIMM = "timm:"


class Converted(nn.Module):
    """Images normalised by ImageNet's mean and std as (x - 0.5) / 0.5, or as they are.

    torchvision's weights of GoogLeNet and Inception v3 read these. A checkpoint holds which it is.

    Args:
        on: whether anything is converted.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, on: bool) -> None:
        super().__init__()
        mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
        scale, shift = (std / 0.5, (mean - 0.5) / 0.5) if on else (std / std, mean * 0)
        self.register_buffer("scale", scale[:, None, None])
        self.register_buffer("shift", shift[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, 3, H, W]."""
        return x * self.scale + self.shift


class Stages(nn.Module):
    """A network as a chain of stages; the maps behind some of them are handed out.

    Args:
        stages: modules, one behind the other.
        strides: of the map behind each.
        channels: likewise.
        least: the smallest stride that is handed out.
        trainable_layers: how many stages learn, the last ones; None is all.
        first: what happens to images before the stages.
    """

    def __init__(
        self,
        stages: list[nn.Module],
        strides: list[int],
        channels: list[int],
        least: int,
        trainable_layers: int | None = None,
        first: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.first = first
        self.stages = nn.ModuleList(stages)
        self.given = [k for k, stride in enumerate(strides) if stride >= least]
        self.channels = [channels[k] for k in self.given]
        self.strides = [strides[k] for k in self.given]
        if trainable_layers is not None:
            for stage in stages[: max(len(stages) - trainable_layers, 0)]:
                stage.requires_grad_(False)

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        """The maps, by number, the largest first."""
        maps = []
        x = x if self.first is None else self.first(x)
        for k, stage in enumerate(self.stages):
            x = stage(x)
            if k in self.given:
                maps.append(x)
        return OrderedDict((str(k), found) for k, found in enumerate(maps))


class TimmStages(nn.Module):
    """timm's `features_only` network in the same form; its stages all learn or none."""

    def __init__(self, network: Any, least: int, trainable_layers: int | None = None) -> None:
        super().__init__()
        self.network = network.requires_grad_(trainable_layers != 0)
        about = list(zip(network.feature_info.reduction(), network.feature_info.channels()))  # noqa: B905
        self.given = [k for k, (stride, _) in enumerate(about) if stride >= least]
        self.channels = [about[k][1] for k in self.given]
        self.strides = [about[k][0] for k in self.given]

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        """The maps, by number, the largest first."""
        maps = self.network(x)
        return OrderedDict((str(n), maps[k]) for n, k in enumerate(self.given))


class Pyramid(nn.Module):
    """A feature pyramid on a network's maps, as torchvision's detectors take it.

    Args:
        body: `Stages` or `TimmStages`.
        extra: what comes on top: "pool" (R-CNN) or "p6p7" (RetinaNet, FCOS).
    """

    def __init__(self, body: Stages | TimmStages, extra: str) -> None:
        super().__init__()
        self.body = body
        top: ExtraFPNBlock = LastLevelMaxPool()
        last, more = body.strides[-1], 1
        if extra == "p6p7":
            top, more = LastLevelP6P7(PYRAMID, PYRAMID), 2
        self.fpn = FeaturePyramidNetwork(body.channels, PYRAMID, extra_blocks=top)
        self.out_channels = PYRAMID
        self.strides = [*body.strides, *(last * 2**k for k in range(1, more + 1))]

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """The maps, the largest first."""
        return self.fpn(self.body(x))


class Ladder(nn.Module):
    """A network's maps and further ones that halve the size, for an SSD.

    Args:
        body: `Stages` or `TimmStages`.
        halving: makes a block from the numbers of channels before and behind it.
        levels: maps in all.
    """

    def __init__(
        self, body: Stages | TimmStages, halving: Callable[[int, int], nn.Module], levels: int = 6
    ) -> None:
        super().__init__()
        self.body = body
        self.out_channels = list(body.channels)
        blocks = []
        for outputs in (512, 256, 256, 128)[: levels - len(body.channels)]:
            blocks.append(halving(self.out_channels[-1], outputs))
            self.out_channels.append(outputs)
        self.extra = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        """The maps, by number, the largest first."""
        maps = list(self.body(x).values())
        for block in self.extra:
            maps.append(block(maps[-1]))
        return OrderedDict((str(k), found) for k, found in enumerate(maps))


def backbone(
    name: str, weights: str = "none", *, least: int = 4, trainable_layers: int | None = None
) -> tuple[Stages | TimmStages, Loaded | None]:
    """A network's maps from its name.

    Args:
        name: of torchvision, or "timm:NAME".
        weights: none, DEFAULT (downloaded) or a file.
        least: the smallest stride that is handed out.
        trainable_layers: how many of the stages learn, the last ones; None is all.

    Returns:
        The maps, and what became of the weights; None without any.

    Raises:
        DataError: a network that is no chain of blocks, or weights that do not fit.
        ValueError: an unknown name.
        ImportError: timm is not installed.
    """
    if name.startswith(_TIMM):
        return _timm(name.removeprefix(_TIMM), weights, least, trainable_layers)
    network = build_model(name, 1000)
    loaded = None
    if weights != NONE:
        loaded = load_matching(network, weights_of(name, weights), f"Weights for {name}")
    stages, strides, channels = _cut(_chain(network), name)
    first = Converted(loaded is not None) if converts_input(name) else None
    return Stages(stages, strides, channels, least, trainable_layers, first), loaded


def _timm(
    name: str, weights: str, least: int, trainable_layers: int | None
) -> tuple[TimmStages, Loaded | None]:
    build_model(_TIMM + name, 1)  # refuses unknown names, with close ones
    import timm

    network = timm.create_model(name, features_only=True)
    loaded = None
    if weights != NONE:
        state = weights_of(_TIMM + name, weights)
        loaded = load_matching(network, state, f"Weights for timm:{name}")
    return TimmStages(network, least, trainable_layers), loaded


def _chain(network: Any) -> list[nn.Module]:
    """The network's blocks up to its last map, in order."""
    home = (
        network.features if isinstance(getattr(network, "features", None), nn.Module) else network
    )
    blocks = []
    for child in home.children():
        for block in child if type(child) is nn.Sequential else [child]:
            if isinstance(block, nn.Linear | nn.AdaptiveAvgPool2d | nn.Dropout):
                return blocks
            blocks.append(block)
    return blocks


def _cut(blocks: list[nn.Module], name: str) -> tuple[list[nn.Module], list[int], list[int]]:
    """Stages, each with all blocks of one stride, and the stride and channels behind them."""
    stages: list[list[nn.Module]] = []
    strides: list[int] = []
    channels: list[int] = []
    x = torch.zeros(1, 3, _PROBE, _PROBE)
    for block in blocks:
        was = block.training
        try:
            with torch.no_grad():
                x = block.eval()(x)
        except (AssertionError, RuntimeError, TypeError, ValueError):
            raise _no_chain(name) from None
        block.train(was)
        if not isinstance(x, Tensor) or x.ndim != 4 or x.shape[-1] < 1:
            raise _no_chain(name)
        stride = round(_PROBE / x.shape[-1])
        if strides and stride < strides[-1]:  # channels came last, as in a Swin transformer
            raise _no_chain(name)
        if not strides or stride > strides[-1]:
            stages.append([])
            strides.append(stride)
            channels.append(0)
        stages[-1].append(block)
        channels[-1] = x.shape[1]
    if not strides or strides[-1] < 16:
        raise _no_chain(name)
    return [nn.Sequential(*stage) for stage in stages], strides, channels


def _no_chain(name: str) -> DataError:
    return DataError(
        f"A backbone must be a chain of blocks whose maps shrink to 1/16 at least, got {name}. "
        "Take resnet18, mobilenet_v2, convnext_tiny, ..., or timm:NAME."
    )
