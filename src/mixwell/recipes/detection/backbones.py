"""Any classification network as maps of several sizes, for a feature pyramid or an SSD.

A network is cut where its maps shrink: the last map of each stride is handed out. That serves
torchvision's networks that are a chain of blocks (ResNet and its kin, MobileNet, EfficientNet,
ConvNeXt, VGG, DenseNet, RegNet, ShuffleNet, MNASNet, SqueezeNet), and timm's with `features_only`.
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
from mixwell.recipes.detection.weights import Loaded, load_matching, read_weights
from mixwell.recipes.models import build_model

PYRAMID = 256
"""Channels of a feature pyramid, as in torchvision."""
_PROBE = 128
"""Side of the image that shows where maps shrink, px."""
_TIMM = "timm:"


class Stages(nn.Module):
    """A network as a chain of stages; the maps behind some of them are handed out.

    Args:
        stages: modules, one behind the other.
        strides: of the map behind each.
        channels: likewise.
        least: the smallest stride that is handed out.
        trainable_layers: how many stages learn, the last ones; None is all.
    """

    def __init__(
        self,
        stages: list[nn.Module],
        strides: list[int],
        channels: list[int],
        least: int,
        trainable_layers: int | None = None,
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.given = [k for k, stride in enumerate(strides) if stride >= least]
        self.channels = [channels[k] for k in self.given]
        if trainable_layers is not None:
            for stage in stages[: max(len(stages) - trainable_layers, 0)]:
                stage.requires_grad_(False)

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        """The maps, by number, the largest first."""
        maps = []
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
        if extra == "p6p7":
            top = LastLevelP6P7(PYRAMID, PYRAMID)
        self.fpn = FeaturePyramidNetwork(body.channels, PYRAMID, extra_blocks=top)
        self.out_channels = PYRAMID
        self.levels = len(body.channels) + (2 if extra == "p6p7" else 1)

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
    if weights != "none":
        loaded = load_matching(network, named_weights(name, weights), f"Weights for {name}")
    stages, strides, channels = _cut(_chain(network, name), name)
    return Stages(stages, strides, channels, least, trainable_layers), loaded


def named_weights(name: str, weights: str) -> dict[str, Tensor]:
    """A file's weights, or torchvision's own for a name (DEFAULT; they are downloaded).

    Raises:
        DataError: there are none, or the file cannot be read.
    """
    if weights != "DEFAULT":
        return read_weights(weights)
    from torchvision.models import get_model_weights

    try:
        enum = get_model_weights(name.removeprefix("torchvision:"))
    except ValueError:
        raise DataError(
            f"DEFAULT weights are torchvision's, got the model {name}, which has none there. Give "
            "a file, or none."
        ) from None
    return dict(enum.DEFAULT.get_state_dict(progress=False))  # type: ignore[attr-defined]


def _timm(
    name: str, weights: str, least: int, trainable_layers: int | None
) -> tuple[TimmStages, Loaded | None]:
    build_model(_TIMM + name, 1)  # refuses unknown names, with close ones
    import timm

    network = timm.create_model(name, features_only=True, pretrained=weights == "DEFAULT")
    loaded = None
    if weights not in ("none", "DEFAULT"):
        loaded = load_matching(network, read_weights(weights), f"Weights for timm:{name}")
    return TimmStages(network, least, trainable_layers), loaded


def _chain(network: Any, name: str) -> list[nn.Module]:
    """The network's blocks up to its last map, in order."""
    home = network.features if isinstance(getattr(network, "features", None), nn.Module) else network
    blocks = []
    for child in home.children():
        if isinstance(child, nn.Linear | nn.AdaptiveAvgPool2d | nn.Dropout):
            break
        blocks.append(child)
    inside = [b for block in blocks for b in (block if type(block) is nn.Sequential else [block])]
    if home is network and not hasattr(network, "layer1") and not hasattr(network, "stem"):
        raise _no_chain(name)
    return inside


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
        except (RuntimeError, TypeError, ValueError):
            raise _no_chain(name) from None
        block.train(was)
        if not isinstance(x, Tensor) or x.ndim != 4 or x.shape[-1] < 1:
            raise _no_chain(name)
        stride = round(_PROBE / x.shape[-1])
        if not strides or stride > strides[-1]:
            stages.append([])
            strides.append(stride)
            channels.append(0)
        stages[-1].append(block)
        channels[-1] = x.shape[1]
    if strides[-1] < 16:
        raise _no_chain(name)
    return [nn.Sequential(*stage) for stage in stages], strides, channels


def _no_chain(name: str) -> DataError:
    return DataError(
        f"A backbone must be a chain of blocks whose maps shrink to 1/16 at least, got {name}. "
        "Take resnet18, mobilenet_v2, convnext_tiny, ..., or timm:NAME."
    )
