"""From a recipe's config to command-line options: one option for each field.

A recipe's dataclass says names, types, defaults and, in its docstring, what each field means; the
command line only adds in which group of the help a field stands. So a new field is an option at
once, with its help.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Collection, Mapping
from typing import Annotated, Any, get_type_hints

from cyclopts import Group, Parameter
from docstring_parser import parse

GROUPS: dict[str, tuple[str, ...]] = {
    "Data": (
        *("data", "data_dir", "download", "train_fraction", "val_fraction", "images"),
        *("image_size", "resize", "crop", "small"),
        *("labels", "train", "test", "sample", "id_column", "label_column", "positive", "valid"),
        *("test_fraction", "competition", "unreadable", "allow_missing", "check"),
        *("max_files", "max_gib", "max_ratio"),
    ),
    "Policy": ("policy", "policies", "grid", "baseline", "mixing_loss", "mixing_off"),
    "Picture": ("size", "scales", "style_scale", "start", "steps"),
    "Losses": ("content_weight", "style_weight", "tv_weight"),
    "Model": (
        *("network", "content_layers", "style_layers"),
        *("model", "weights", "backbone_weights", "backbone_style", "trainable_layers"),
        *("stride", "freeze_norm", "whiten", "ema", "tta"),
    ),
    "Fine-tuning": ("head_lr", "stage_decay", "unfreeze", "norms", "freeze_norms"),
    "Training": (
        "epochs",
        "search_epochs",
        "batch_size",
        "optimizer",
        "schedule",
        "lr",
        "momentum",
        "weight_decay",
        "bias_lr",
        "clip_norm",
        "decay",
        "decay_all",
        "loss",
        "smoothing",
        "seed",
        "seeds",
    ),
    "Machine": (
        "device",
        "precision",
        "channels_last",
        "devices",
        "num_nodes",
        "num_workers",
        "threads",
        "memory_gib",
        "tile",
    ),
}
REST = "Output"


@dataclasses.dataclass(frozen=True)
class Special:
    """How the command line takes a field that it takes in its own form."""

    kind: Any
    default: Any
    help: str


DATA = Special(
    str | None, None, "digits (the default), cifar10, cifar100, or a folder that holds images."
)


def options_of(
    config: type,
    special: Mapping[str, Special] = types.MappingProxyType({}),
    *,
    omit: Collection[str] = (),
) -> Any:
    """A dataclass with the config's fields, annotated for the command line.

    Args:
        config: a dataclass with an "Args:" section in its docstring, or its bases'.
        special: fields that the command line takes in another form.
        omit: fields that it does not take.

    Returns:
        A keyword-only frozen dataclass.
    """
    hints, helps = get_type_hints(config), _helps(config)
    made = []
    for field in dataclasses.fields(config):
        if field.name in omit:
            continue
        usual = Special(hints[field.name], _default(field), helps.get(field.name, ""))
        kind, default, text = dataclasses.astuple(special.get(field.name, usual))
        about = Parameter(
            help=text,
            group=_group(field.name),
            show_default=_words(default),
            consume_multiple=kind == list[str],
            negative=None if default is True or kind == bool | None else "",
        )
        made.append((field.name, Annotated[kind, about], dataclasses.field(default=default)))
    # cyclopts takes a class for one of Python's own by its module, which else were "types".
    home = {"__module__": __name__}
    name = f"{config.__name__}Options"
    return dataclasses.make_dataclass(name, made, frozen=True, kw_only=True, namespace=home)


def config_of(config: type, options: Any, **changes: Any) -> Any:
    """The config that the options say, with some fields replaced."""
    values = {f.name: getattr(options, f.name) for f in dataclasses.fields(options)}
    return config(**(values | changes))


def _default(field: dataclasses.Field) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _helps(config: type) -> dict[str, str]:
    """What each field means, from the docstrings of the class and its bases."""
    found: dict[str, str] = {}
    for base in reversed(config.__mro__):
        for entry in parse(base.__doc__ or "").params if base is not object else ():
            found[entry.arg_name] = " ".join((entry.description or "").replace("``", "").split())
    return found


def _words(default: Any) -> Any:
    """How the help shows a default: not at all where it says nothing, a list as its words."""
    if default is None or default is False or default == ():
        return False
    return (lambda _: " ".join(map(str, default))) if isinstance(default, tuple) else True


def _group(name: str) -> Group:
    order = [*GROUPS, REST]
    title = next((title for title, names in GROUPS.items() if name in names), REST)
    return Group(title, sort_key=order.index(title))
