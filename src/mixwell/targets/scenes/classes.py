"""Class maps of images: read from samples, followed through a plan, written like what came in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from itertools import starmap
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mixwell._bytes import native
from mixwell._errors import TargetError
from mixwell.plan.plan import Plan
from mixwell.plan.steps import Edit, Mix
from mixwell.targets.kinds import LayeredMasks
from mixwell.targets.scenes.layers import Layer, follow_layers
from mixwell.targets.scenes.masks import follow_semantic
from mixwell.targets.scenes.write import owners, wrapped

FEWEST = 2
"""Layers of every batch, so that one without a blend looks like the others."""


class Layered(NamedTuple):
    """The layers of one output: integers [S, H, W] and float32 [S]."""

    classes: Any
    shares: Any


def class_maps(targets: Iterable[Any], in_hw: np.ndarray, ignore_index: int) -> list[Tensor]:
    """Class maps [H, W] of the rows of a plan, which stand in place of a dict or in it; where
    their dtypes differ, in one that holds all of them.

    Raises:
        TargetError: something is no class map of its image.
    """
    if isinstance(targets, Tensor):
        targets = targets.detach().cpu()  # from a GPU all at once
    given = [target["masks"] if isinstance(target, Mapping) else target for target in targets]
    each = zip(given, in_hw, range(len(given)), strict=True)
    maps = [_class_map(one, hw, i, ignore_index) for one, hw, i in each]
    dtype = reduce(torch.promote_types, (one.dtype for one in maps), torch.uint8)
    return [one.to(dtype) for one in maps] if len({one.dtype for one in maps}) > 1 else maps


def semantic(targets: Any, plan: Plan, ignore_index: int) -> list[Any]:
    """A class map of each output.

    Raises:
        TargetError: a mix blends images.
    """
    made = follow_semantic(class_maps(targets, plan.in_hw, ignore_index), plan, ignore_index)
    return [_as_map(one, like) for one, like in zip(made, _owned(targets, plan), strict=True)]


def layered(targets: Any, plan: Plan, ignore_index: int) -> list[Layered]:
    """The layers of each output, in equal number, at least two."""
    made = follow_layers(class_maps(targets, plan.in_hw, ignore_index), plan.steps, ignore_index)
    count = max([FEWEST, *map(len, made)])
    each = zip(made, _owned(targets, plan), strict=True)
    return [_filled(layers, count, like, ignore_index) for layers, like in each]


def together(made: Sequence[Any]) -> Any:
    """Maps of one size as one tensor or array, layers as `LayeredMasks`; else a list."""
    if not made:
        return list(made)
    if isinstance(made[0], Layered):
        if len({tuple(one.classes.shape[1:]) for one in made}) > 1:
            return [LayeredMasks(one.classes[None], one.shares[None]) for one in made]
        return LayeredMasks(*starmap(_stacked, zip(*made, strict=True)))
    same = len({tuple(np.shape(one)) for one in made}) == 1
    return _stacked(*made) if same else list(made)


def nothing(empty: Any, *, layers: bool) -> Any:
    """The maps of no images, from an empty tensor or array [0, H, W]."""
    if not layers:
        return empty
    shares = torch.zeros(0, FEWEST)
    if isinstance(empty, np.ndarray):
        return LayeredMasks(np.stack([empty] * FEWEST, axis=1), shares.numpy())  # type: ignore[arg-type]
    return LayeredMasks(torch.stack([empty] * FEWEST, dim=1), shares.to(empty.device))


def heaviest(
    maps: list[Tensor], steps: Sequence[Edit | Mix], ignore_index: int
) -> list[np.ndarray]:
    """int64 [H, W] behind some steps: at each pixel the class with the largest share, -1: none."""
    rows = follow_layers(maps, steps, ignore_index)
    return [_main(layers, ignore_index) for layers in rows]


def _main(layers: list[Layer], ignore_index: int) -> np.ndarray:
    found = np.full(tuple(layers[0].classes.shape), -1, np.int64)
    for layer in sorted(layers, key=lambda one: one.share):
        classes = layer.classes.numpy()
        found = np.where(classes == ignore_index, found, classes)
    return found


def _filled(layers: list[Layer], count: int, like: Any, ignore_index: int) -> Layered:
    """Layers with empty ones behind them."""
    empty = torch.full_like(layers[0].classes, ignore_index)
    missing = count - len(layers)
    classes = torch.stack([layer.classes for layer in layers] + [empty] * missing)
    shares = torch.tensor([layer.share for layer in layers] + [0.0] * missing)
    if isinstance(like, np.ndarray):
        return Layered(classes.numpy(), shares.numpy())
    device = like.device if isinstance(like, Tensor) else classes.device
    return Layered(classes.to(device), shares.to(device))


def _owned(targets: Any, plan: Plan) -> list[Any]:
    """What each output's map is to be written like."""
    own = [targets[b] for b in owners(plan).tolist()]
    return [target["masks"] if isinstance(target, Mapping) else target for target in own]


def _stacked(*made: Any) -> Any:
    return np.stack(made) if isinstance(made[0], np.ndarray) else torch.stack(made)


def _as_map(made: Tensor, like: Any) -> Any:
    if isinstance(like, np.ndarray):
        return made.numpy()
    return wrapped(made.to(like.device), like, (0, 0)) if isinstance(like, Tensor) else made


def _class_map(value: Any, hw: np.ndarray, image: int, ignore_index: int) -> Tensor:
    """A class map as a plain tensor [H, W]."""
    if hasattr(value, "convert"):
        value = np.array(value)
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(np.ascontiguousarray(native(value)))
    found = value
    shape = tuple(getattr(found, "shape", ()))
    if not isinstance(found, Tensor) or shape != tuple(hw.tolist()) or found.is_floating_point():
        raise TargetError(
            f"Image {image}: a semantic mask must hold whole numbers [H, W] of its image's size "
            f"{tuple(hw.tolist())}, got {getattr(found, 'dtype', type(value).__name__)} of shape "
            f"{shape}."
        )
    room = None if found.dtype == torch.bool else torch.iinfo(found.dtype)
    if room is None or not room.min <= ignore_index <= room.max:
        raise TargetError(
            f"Image {image}: a semantic mask must be able to hold ignore_index {ignore_index}, got "
            f"{found.dtype}. Convert it to uint8 or int64, or set ignore_index=."
        )
    return found.detach().cpu().as_subclass(Tensor)
