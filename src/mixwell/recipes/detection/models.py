"""From a model's name to a detector: torchvision's interface, whatever the model.

In training mode a detector takes float images 0 .. 1 and targets and returns its loss terms by
name; in evaluation it takes images and returns boxes, scores and labels, in px of what it was
given. Weights of mixed boxes reach every loss term (`mixwell.targets.weighted_losses`).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from torch import nn
from torchvision.models.detection import FCOS, FasterRCNN, MaskRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD, SSDHead
from torchvision.models.detection.ssdlite import SSDLiteHead
from torchvision.ops import MultiScaleRoIAlign

from mixwell import DataError
from mixwell.recipes.detection import mobilenet
from mixwell.recipes.detection.backbones import Ladder, Pyramid, backbone
from mixwell.recipes.detection.config import DetectConfig
from mixwell.recipes.detection.data.files import shorten
from mixwell.recipes.detection.tiny import TinyDetector
from mixwell.recipes.detection.weights import NONE, Loaded, load_matching, weights_of
from mixwell.recipes.models.mobilenet import mobilenet_v2
from mixwell.recipes.models.named import DEFAULT
from mixwell.recipes.models.norms import freeze_norms
from mixwell.recipes.models.weights import norm_is_folded
from mixwell.targets import weighted_losses

TORCHVISION = (
    "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
    "fcos_resnet50_fpn",
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "maskrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn_v2",
)
OWN = ("tiny-ssd", "ssdlite320_mobilenet_v2")
_ASPECT = 1333 / 800
"""Longest side that a model may make of an image, in shorter sides, as in torchvision."""
_RATIOS = (0.5, 1.0, 2.0)


class Built(NamedTuple):
    """A detector, and what became of the weights it was to start from.

    Attributes:
        model: in torchvision's interface.
        notes: one line for each file of weights, and for what was frozen.
        needs_masks: whether targets need instance masks.
    """

    model: nn.Module
    notes: list[str]
    needs_masks: bool


def detector_names() -> tuple[str, ...]:
    """Names that `build_detector` knows beside KIND:BACKBONE."""
    return (*OWN, *TORCHVISION)


def build_detector(config: DetectConfig, num_classes: int) -> Built:
    """The detector that a config means, with its weights.

    Args:
        config: `resolved`.
        num_classes: without the background.

    Raises:
        DataError: an unknown model or backbone, weights that do not fit, or an option that the
            model does not have.
    """
    name, notes = config.model, []
    _check_style(config)
    model, loaded = _builder(name)(config, num_classes)
    if loaded is not None:
        notes.append(f"backbone weights: {loaded}")
    if config.weights != NONE:
        state = weights_of(name, config.weights)
        home = model.network if isinstance(model, TinyDetector) else model
        if next(iter(state)).startswith("network."):
            home = model  # a checkpoint of ours
        notes.append(f"weights: {load_matching(home, state, f'Weights for {name}')}")
    if config.freeze_norm:
        count = sum(map(freeze_norms, _loaded_parts(model, config.weights != NONE)))
        notes.append(f"{count} batch norms of the backbone are held")
    if not isinstance(model, TinyDetector):
        weighted_losses(model, config.mixing_loss)
    return Built(model, notes, isinstance(model, MaskRCNN))


Builder = Callable[[DetectConfig, int], tuple[nn.Module, Loaded | None]]


def _builder(name: str) -> Builder:
    kind, _, body = name.partition(":")
    if body and kind in _KINDS:
        return partial(_KINDS[kind], body)
    if name in TORCHVISION:
        return _torchvision
    if name in OWN:
        return {"tiny-ssd": _tiny, "ssdlite320_mobilenet_v2": _mobilenet}[name]
    close = difflib.get_close_matches(name, detector_names(), n=4, cutoff=0.4)
    raise DataError(
        f"A detector is one of {shorten(close or detector_names(), 13)}, or KIND:BACKBONE with one "
        f"of {', '.join(_KINDS)}, got {name!r}. Name one of these."
    )


def _check_style(config: DetectConfig) -> None:
    if config.backbone_style != "torchvision" and config.model != "ssdlite320_mobilenet_v2":
        raise DataError(
            "backbone_style tensorflow is for ssdlite320_mobilenet_v2, got the model "
            f"{config.model}. Leave it out."
        )


def _loaded_parts(model: Any, whole: bool) -> list[nn.Module]:
    """The parts of a detector that come with weights: its backbone, or that without what is new."""
    home = getattr(model, "backbone", model)
    if not whole and isinstance(home, mobilenet.Maps):
        return [home.low, home.high]
    names = () if whole else ("body", "features")
    return [next((getattr(home, name) for name in names if hasattr(home, name)), home)]


def _size(config: DetectConfig) -> int:
    assert config.image_size is not None  # a resolved config
    return config.image_size


def _tiny(config: DetectConfig, num_classes: int) -> tuple[nn.Module, Loaded | None]:
    if config.backbone_weights != NONE or config.trainable_layers is not None:
        raise DataError(
            "tiny-ssd has no backbone of its own, got backbone_weights or trainable_layers. Leave "
            "them out, or give weights for the whole model."
        )
    return TinyDetector(num_classes, config.mixing_loss), None


def _mobilenet(config: DetectConfig, num_classes: int) -> tuple[nn.Module, Loaded | None]:
    network = mobilenet_v2(style=config.backbone_style)
    loaded = None
    if config.backbone_weights != NONE:
        state = weights_of("mobilenet_v2", config.backbone_weights)
        if norm_is_folded(state) and not config.freeze_norm:
            raise DataError(
                "Weights whose batch norms are folded in need freeze_norm, got it off for "
                f"{config.backbone_weights}. Leave it out."
            )
        loaded = load_matching(network, state, "Weights for mobilenet_v2")
    layers = mobilenet.STAGES if config.trainable_layers is None else config.trainable_layers
    maps = mobilenet.Maps(network, layers)
    style = config.backbone_style
    return mobilenet.ssdlite(maps, num_classes, _size(config), style), loaded


def _torchvision(config: DetectConfig, num_classes: int) -> tuple[nn.Module, Loaded | None]:
    """One of torchvision's detectors by name, which knows its own backbone."""
    from torchvision.models import get_model

    options: dict[str, Any] = {"num_classes": num_classes + 1, "weights": None}
    options["weights_backbone"] = DEFAULT if config.backbone_weights == DEFAULT else None
    if config.trainable_layers is not None and config.backbone_weights != DEFAULT:
        raise DataError(
            f"trainable_layers of {config.model} needs backbone_weights DEFAULT, got "
            f"{config.backbone_weights}. Leave it out, or take KIND:BACKBONE."
        )
    options["trainable_backbone_layers"] = config.trainable_layers
    if not config.model.startswith("ssd"):
        side = _size(config)
        options |= {"min_size": side, "max_size": round(side * _ASPECT)}
    model = get_model(config.model, **options)
    loaded = None
    if config.backbone_weights not in (NONE, DEFAULT):
        loaded = _into_body(model, config)
    return model, loaded


def _into_body(model: Any, config: DetectConfig) -> Loaded:
    """Load a classification network's file into the body of a feature pyramid."""
    body = getattr(model.backbone, "body", None)
    if body is None:
        raise DataError(
            f"backbone_weights of {config.model} are none or DEFAULT, got a file. Take "
            "KIND:BACKBONE, such as ssdlite:mobilenet_v3_large, whose backbone takes files."
        )
    state = weights_of(config.model, config.backbone_weights)
    state = {name.removeprefix("features."): value for name, value in state.items()}
    return load_matching(body, state, f"Backbone weights for {config.model}")


# ------------------------------------------------------------------ KIND:BACKBONE


def _body(name: str, config: DetectConfig, least: int) -> tuple[Any, Loaded | None]:
    return backbone(
        name, config.backbone_weights, least=least, trainable_layers=config.trainable_layers
    )


def _limits(config: DetectConfig) -> dict[str, Any]:
    return {"min_size": _size(config), "max_size": round(_size(config) * _ASPECT)}


def _ssd(
    lite: bool, name: str, config: DetectConfig, num_classes: int
) -> tuple[nn.Module, Loaded | None]:
    body, loaded = _body(name, config, 16)
    ladder = Ladder(body, mobilenet.halving)
    scales = list(mobilenet.SCALES)
    boxes = DefaultBoxGenerator([[2, 3]] * (len(scales) - 1), scales=scales)
    count, channels = boxes.num_anchors_per_location(), ladder.out_channels
    head: nn.Module = SSDHead(channels, count, num_classes + 1)
    if lite:
        head = SSDLiteHead(channels, count, num_classes + 1, mobilenet.norm)
    mean, std = (list(values) for values in mobilenet.NORMALISATION["torchvision"])
    size = (_size(config), _size(config))
    model = SSD(ladder, boxes, size, num_classes + 1, head=head, image_mean=mean, image_std=std)
    return model, loaded


def _rcnn(
    kind: Callable[..., nn.Module], name: str, config: DetectConfig, num_classes: int
) -> tuple[nn.Module, Loaded | None]:
    body, loaded = _body(name, config, 4)
    pyramid = Pyramid(body, "pool")
    sizes = tuple((8 * stride,) for stride in pyramid.strides)
    anchors = AnchorGenerator(sizes, (_RATIOS,) * len(sizes))
    maps = [str(k) for k in range(len(sizes) - 1)]
    options: dict[str, Any] = {
        "rpn_anchor_generator": anchors,
        "box_roi_pool": MultiScaleRoIAlign(maps, 7, 2),
    }
    if kind is MaskRCNN:
        options["mask_roi_pool"] = MultiScaleRoIAlign(maps, 14, 2)
    return kind(pyramid, num_classes + 1, **(options | _limits(config))), loaded


def _retinanet(
    name: str, config: DetectConfig, num_classes: int
) -> tuple[nn.Module, Loaded | None]:
    body, loaded = _body(name, config, 8)
    pyramid = Pyramid(body, "p6p7")
    sizes = tuple(tuple(4 * s * 2 ** (k / 3) for k in range(3)) for s in pyramid.strides)
    anchors = AnchorGenerator(sizes, (_RATIOS,) * len(sizes))  # type: ignore[arg-type]
    limits = _limits(config)
    return RetinaNet(pyramid, num_classes + 1, anchor_generator=anchors, **limits), loaded


def _fcos(name: str, config: DetectConfig, num_classes: int) -> tuple[nn.Module, Loaded | None]:
    body, loaded = _body(name, config, 8)
    pyramid = Pyramid(body, "p6p7")
    points = AnchorGenerator(tuple((s,) for s in pyramid.strides), ((1.0,),) * len(pyramid.strides))
    return FCOS(pyramid, num_classes + 1, anchor_generator=points, **_limits(config)), loaded


_KINDS: dict[str, Callable[..., tuple[nn.Module, Loaded | None]]] = {
    "ssd": partial(_ssd, False),
    "ssdlite": partial(_ssd, True),
    "retinanet": _retinanet,
    "fcos": _fcos,
    "fasterrcnn": partial(_rcnn, FasterRCNN),
    "maskrcnn": partial(_rcnn, MaskRCNN),
}
