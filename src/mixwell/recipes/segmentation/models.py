"""From a model's name to a network that gives logits for each pixel.

====================  =========================================================================
``fcn:BACKBONE``      `FCN` on a classifier of torchvision or timm, or on ``mobilenet_v2-tf`` (for
                      Keras' weights)
``fcn_resnet50`` ...  torchvision's FCN, DeepLabV3 and LR-ASPP by their names
====================  =========================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from mixwell import DataError
from mixwell.recipes.data.folder import PHOTO_MEAN, PHOTO_STD
from mixwell.recipes.models.norms import pause_norms
from mixwell.recipes.models.pretrained import SCRATCH, load_start
from mixwell.recipes.models.weights import read_weights
from mixwell.recipes.segmentation.fcn import FCN, trunk_of

PREFIX = "fcn:"
DEFAULT = "DEFAULT"
LIBRARY = (
    "deeplabv3_mobilenet_v3_large",
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
    "fcn_resnet50",
    "fcn_resnet101",
    "lraspp_mobilenet_v3_large",
)
"""Torchvision's models."""


@dataclass(frozen=True)
class Built:
    """A network and what goes with it.

    Attributes:
        model: float [B, 3, H, W], normalised, to logits [B, K, H, W].
        mean: of images in [0, 1].
        std: likewise.
        loaded: whether the backbone's weights were loaded.
        folded: whether its batch norms know no statistics, so that they must not learn.
    """

    model: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    loaded: bool
    folded: bool = False

    def is_backbone(self, name: str) -> bool:
        """Whether a parameter of the model is the backbone's."""
        return name.removeprefix("network.").startswith("backbone.")

    def normalised(self, pixels: Tensor) -> Tensor:
        """Float [B, 3, H, W] as the network expects it, of uint8, on the same device."""
        mean, std = (torch.tensor(v, device=pixels.device) for v in (self.mean, self.std))
        return (pixels.float() / 255 - mean[:, None, None]) / std[:, None, None]

    def hold_norms(self) -> None:
        """Batch norms of the backbone in evaluation mode; to be called after each ``train()``."""
        home: Any = getattr(self.model, "network", self.model)
        pause_norms(cast("nn.Module", home.backbone))


class _Logits(nn.Module):
    """One of torchvision's models without its dict."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)["out"]


def build_segmenter(
    name: str,
    num_classes: int,
    *,
    weights: str = SCRATCH,
    stride: int | None = None,
    as_loaded: bool = False,
) -> Built:
    """A network with freshly drawn layers, but for a backbone whose weights are given.

    Args:
        name: see the module.
        num_classes: number of logits of each pixel, >= 2.
        weights: of the backbone: none, a name such as DEFAULT (downloaded), or a file.
        stride: of the map that an `FCN` reads; the backbone's last one when left out.
        as_loaded: build a network without weights as with them, for those of a run that had some.

    Raises:
        DataError: no such model, weights of another network, or a stride that is not there.
        ValueError: no such backbone.
    """
    if name in LIBRARY:
        if stride is not None:
            raise DataError(f"stride is for fcn:BACKBONE, got {stride} for {name}. Leave it out.")
        return _library(name, num_classes, weights)
    if not name.startswith(PREFIX):
        raise DataError(
            f"A model is fcn:BACKBONE (such as fcn:resnet18) or one of {', '.join(LIBRARY)}, got "
            f"{name!r}."
        )
    start = load_start(name.removeprefix(PREFIX), 2, weights)
    backbone, channels, found = trunk_of(start.network(as_loaded=as_loaded), start.model, stride)
    return Built(
        FCN(backbone, channels, found, num_classes).train(),
        start.mean or PHOTO_MEAN,
        start.std or PHOTO_STD,
        loaded=not start.scratch,
        folded=start.folded,
    )


def _library(name: str, num_classes: int, weights: str) -> Built:
    from torchvision.models import get_model

    by_name = DEFAULT if weights == DEFAULT else None
    network = get_model(name, weights=None, weights_backbone=by_name, num_classes=num_classes)
    if weights not in (SCRATCH, DEFAULT):
        _load_backbone(cast("nn.Module", network.backbone), weights, name)
    model = _Logits(network).train()
    return Built(model, PHOTO_MEAN, PHOTO_STD, loaded=weights != SCRATCH)


def _load_backbone(backbone: nn.Module, weights: str, name: str) -> None:
    """A classifier's weights; its own head is not used."""
    state = {k.removeprefix("features."): v for k, v in read_weights(weights).items()}
    own = backbone.state_dict()
    wrong = [k for k in own if k not in state or state[k].shape != own[k].shape]
    if wrong:
        raise DataError(
            f"{name} needs weights of its backbone, got {len(wrong)} of {len(own)} parameters "
            f"missing or of another size in {weights} ({', '.join(wrong[:3])}). Give the "
            "classifier's file."
        )
    backbone.load_state_dict({k: state[k] for k in own})
