"""Trained weights by the names that torchvision and timm give them, and their normalisation."""

from __future__ import annotations

from typing import Any

import torch

from mixwell import DataError
from mixwell.recipes.models.byname import MOBILENET_TF, model_names
from mixwell.recipes.models.mobilenet import MEAN, STD
from mixwell.recipes.models.weights import State

Stats = tuple[tuple[float, ...], tuple[float, ...]]
DEFAULT = "DEFAULT"
"""The weights that a library recommends."""


def is_builtin(model: str) -> bool:
    """Whether a model is mixwell's own, so that its weights have no names."""
    return model in model_names()


def named_weights(model: str, name: str) -> State:
    """Weights from a library, fetched where it does not have them yet.

    Args:
        model: a model of torchvision or timm.
        name: ``"DEFAULT"``, or a name that the library gives: of torchvision's enum (with or
            without the enum's own name before a dot), or a tag of timm.

    Raises:
        DataError: the model has no such weights, or they could not be fetched.
        ImportError: timm is not installed.
    """
    if is_builtin(model):
        raise DataError(
            f"Weights of {model} have no names, got {name!r}. Give a file (--weights weights.pth), "
            "or none to train from scratch."
        )
    if model.startswith("timm:"):
        return _timm_weights(model.removeprefix("timm:"), name)
    return _torchvision_weights(model.removeprefix("torchvision:"), name)


def input_stats(model: str) -> Stats | None:
    """Mean and deviation that a model's published weights expect of pixels in [0, 1].

    Args:
        model: a name that `build_model` knows.

    Returns:
        Both, or None where the data set's own are to be used: with mixwell's models but MobileNetV2
        for TensorFlow's weights.
    """
    if model == MOBILENET_TF:
        return MEAN, STD
    if is_builtin(model):
        return None
    if model.startswith("timm:"):
        cfg = _timm_cfg(model.removeprefix("timm:"))
        return tuple(cfg.mean), tuple(cfg.std)
    entries = _torchvision_entries(model.removeprefix("torchvision:"))
    if DEFAULT not in entries:
        return None
    made = entries[DEFAULT].transforms()
    return tuple(made.mean), tuple(made.std)


def _torchvision_entries(name: str) -> dict[str, Any]:
    from torchvision.models import get_model_weights

    return dict(get_model_weights(name).__members__)


def _torchvision_weights(model: str, name: str) -> State:
    entries = _torchvision_entries(model)
    entry = entries.get(name.rpartition(".")[2])
    if entry is None:
        raise _unknown(f"torchvision:{model}", name, list(entries))
    try:
        return dict(entry.get_state_dict(progress=False))
    except (OSError, RuntimeError) as error:
        code = f"torchvision.models.{model}(weights='{entry.name}')"
        raise _unreachable(f"torchvision:{model}", name, error, "torchvision", code) from None


def _timm_cfg(model: str) -> Any:
    from timm.models import get_pretrained_cfg

    cfg = get_pretrained_cfg(model)
    if cfg is None:
        raise DataError(f"timm says nothing of weights for {model}. Name another model.")
    return cfg


def _timm_weights(model: str, name: str) -> State:
    import timm

    tagged = [full.partition(".")[2] for full in timm.list_pretrained(f"{model}.*")]
    arch, _, own_tag = model.partition(".")
    tags = [tag for tag in tagged if tag] or [own_tag] * bool(own_tag)
    if name != DEFAULT and name not in tags:
        raise _unknown(f"timm:{model}", name, [DEFAULT, *tags])
    full = model if name == DEFAULT else f"{arch}.{name}"
    try:
        with torch.random.fork_rng(devices=[]):
            return timm.create_model(full, pretrained=True).state_dict()
    except (OSError, RuntimeError) as error:
        code = f"timm.create_model('{full}', pretrained=True)"
        raise _unreachable(f"timm:{model}", name, error, "timm", code) from None


def _unknown(model: str, name: str, known: list[str]) -> DataError:
    return DataError(
        f"{model} has the weights {', '.join(known) or 'none'}, got {name!r}. Use one of them, a "
        "file (--weights weights.pth), or none to train from scratch."
    )


def _unreachable(model: str, name: str, error: Exception, library: str, code: str) -> DataError:
    """What to do without internet."""
    why = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return DataError(
        f"The weights {name} of {model} are not on this machine and could not be fetched ({why}). "
        f'Where there is internet, run `python -c "import torch, {library}; '
        f"torch.save({code}.state_dict(), 'weights.pth')\"`, bring the file here and give "
        "--weights weights.pth; or train from scratch with --weights none."
    )
