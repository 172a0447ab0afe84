"""From a model's name to a model: the built-in ones, torchvision's and timm's.

A plain name is looked up here first, then in torchvision; ``torchvision:NAME`` and ``timm:NAME``
say which library is meant. No weights are ever downloaded.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import nn

from mixwell.recipes.models.cifar_resnet import CifarResNet, resnet18_cifar
from mixwell.recipes.models.mobilenet import PadBehind, mobilenet_v2
from mixwell.recipes.models.resnet9 import ResNet9
from mixwell.recipes.models.resnet9_fast import FastResNet9
from mixwell.recipes.models.small import DigitsNet

Builder = Callable[[int, int], nn.Module]
MOBILENET_TF = "mobilenet_v2-tf"
"""torchvision's MobileNetV2 with the padding that weights from Keras or TFLite expect."""
DEPTHS = (20, 32, 44, 56, 110)

# Both would return a tuple in training mode, and warn that their slow initialiser may change.
_TORCHVISION_OPTIONS: dict[str, dict[str, Any]] = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}


def _cifar_resnet(depth: int, shortcut: Any) -> Builder:
    return partial(_build_cifar_resnet, depth, shortcut)


def _build_cifar_resnet(depth: int, shortcut: Any, num_classes: int, in_channels: int) -> nn.Module:
    return CifarResNet(depth, num_classes, in_channels, shortcut)


def _build_mobilenet_tf(num_classes: int, in_channels: int) -> nn.Module:
    network = mobilenet_v2(num_classes)
    if in_channels != 3:
        _replace_stem(network, in_channels)
    return network


_BUILTIN: dict[str, Builder] = {
    **{f"resnet{depth}": _cifar_resnet(depth, "pad") for depth in DEPTHS},
    **{f"resnet{depth}-proj": _cifar_resnet(depth, "proj") for depth in DEPTHS},
    "resnet18-cifar": resnet18_cifar,
    "resnet9": ResNet9,
    "resnet9-fast": FastResNet9,
    "resnet9-fast-wide": partial(FastResNet9, width=1.5),
    "digits-net": DigitsNet,
    MOBILENET_TF: _build_mobilenet_tf,
}


def model_names(source: str = "mixwell") -> list[str]:
    """Names that :func:`build_model` accepts.

    Args:
        source: ``"mixwell"`` (the built-in ones), ``"torchvision"`` or ``"timm"``.

    Returns:
        Sorted names; those of the two libraries carry their ``torchvision:`` or ``timm:`` prefix.

    Raises:
        ValueError: unknown source.
        ImportError: ``source="timm"`` and timm is not installed.
    """
    if source == "mixwell":
        return sorted(_BUILTIN)
    if source == "torchvision":
        return [f"torchvision:{name}" for name in _torchvision_names()]
    if source == "timm":
        return [f"timm:{name}" for name in sorted(_timm().list_models())]
    raise ValueError(
        f"model_names knows the sources mixwell, torchvision and timm, got {source!r}. "
        "Use one of them."
    )


def build_model(name: str, num_classes: int, in_channels: int = 3) -> nn.Module:
    """A freshly initialised model, without pretrained weights.

    Args:
        name: a built-in name (``"resnet20"``, ``"resnet20-proj"``, ``"resnet18-cifar"``,
            ``"resnet9"``, ``"digits-net"``, ...), a torchvision classification model
            (``"mobilenet_v2"`` or ``"torchvision:mobilenet_v2"``) or ``"timm:NAME"``.
        num_classes: number of logits, >= 1.
        in_channels: channels of the input images, >= 1. Where a torchvision model is given another
            number than 3, its first convolution is replaced and drawn anew.

    Returns:
        A module in training mode, from float ``[B, in_channels, H, W]`` to logits
        ``[B, num_classes]``. Smallest H and W depend on the model.

    Raises:
        ValueError: unknown name (the message lists close ones), or a count below 1.
        ImportError: a ``timm:`` name and timm is not installed.
    """
    _check_count("num_classes", num_classes)
    _check_count("in_channels", in_channels)
    if name.startswith("timm:"):
        return _build_timm(name.removeprefix("timm:"), num_classes, in_channels)
    if name in _BUILTIN:
        return _BUILTIN[name](num_classes, in_channels)
    return _build_torchvision(name, num_classes, in_channels)


def _check_count(what: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(
            f"build_model needs {what} to be a whole number >= 1, got {value!r}. Set {what}."
        )


def _unknown(name: str, known: Iterable[str], where: str) -> ValueError:
    close = difflib.get_close_matches(name, list(known), n=5, cutoff=0.5)
    listed = "mixwell.recipes.models.model_names() lists them."
    hint = f"Close names: {', '.join(close)}." if close else listed
    return ValueError(f"build_model needs a name known to {where}, got {name!r}. {hint}")


def _torchvision_names() -> list[str]:
    import torchvision

    return torchvision.models.list_models(module=torchvision.models)


def _build_torchvision(name: str, num_classes: int, in_channels: int) -> nn.Module:
    from torchvision.models import get_model

    known = _torchvision_names()
    prefixed = name.startswith("torchvision:")
    plain = name.removeprefix("torchvision:")
    if plain not in known:
        where = "torchvision" if prefixed else "mixwell or torchvision (timm's begin with 'timm:')"
        raise _unknown(plain, known if prefixed else [*_BUILTIN, *known], where)
    options = _TORCHVISION_OPTIONS.get(plain, {})
    model = get_model(plain, weights=None, num_classes=num_classes, **options)
    if in_channels != 3:
        _replace_stem(model, in_channels)
    return model


def _replace_stem(model: nn.Module, in_channels: int) -> None:
    """Give the first convolution ``in_channels`` inputs, drawn as wide as the model drew it."""
    path, old = next(
        (path, module)
        for path, module in model.named_modules()
        if isinstance(module, nn.Conv2d) and module.in_channels == 3
    )
    new = (PadBehind if isinstance(old, PadBehind) else nn.Conv2d)(
        in_channels,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]
        old.stride,  # type: ignore[arg-type]
        old.padding,  # type: ignore[arg-type]
        bias=old.bias is not None,
    )
    with torch.no_grad():
        new.weight.normal_().mul_(old.weight.std())
        if old.bias is not None and new.bias is not None:
            new.bias.copy_(old.bias)
    model.set_submodule(path, new)


def _timm() -> Any:
    try:
        import timm
    except ImportError:
        raise ImportError(
            "Models named 'timm:...' need the timm package, which is not installed. "
            "Run `pip install timm`."
        ) from None
    return timm


def _build_timm(name: str, num_classes: int, in_channels: int) -> nn.Module:
    timm = _timm()
    if not timm.is_model(name):
        raise _unknown(name, timm.list_models(), "timm")
    return timm.create_model(name, pretrained=False, num_classes=num_classes, in_chans=in_channels)
