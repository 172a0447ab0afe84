"""Class maps of blended images: a layer for each image that shows, and its share.

MixUp leaves two classes at a pixel. No map holds both, so an output has layers: class maps that
each have one share, with `ignore_index` wherever their image does not show. An image that is drawn
over others takes their pixels away; layers of one share that do not touch are one layer, so a
CutMix of unmixed images stays one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mixwell.plan.steps import WEIGHT_ONE, Edit, Mix
from mixwell.targets.scenes.masks import moved_classes, through
from mixwell.targets.visible import moves


class Layer(NamedTuple):
    """Attributes: share, 0 .. 1; classes, integers [H, W]."""

    share: float
    classes: Tensor


def follow_layers(
    masks: list[Tensor], steps: Sequence[Edit | Mix], ignore_index: int
) -> list[list[Layer]]:
    """Layers of the outputs, in the order in which their images are drawn; at least one each.

    Args:
        masks: integers [H, W] of each input row.
        steps: of a plan.
        ignore_index: the class of what an image does not cover.
    """
    rows = [[Layer(1.0, mask)] for mask in masks]
    for step in steps:
        if isinstance(step, Mix):
            rows = [_canvas(step, b, rows, ignore_index) for b in range(step.rows)]
        elif moves(step):
            rows = _moved(step, rows, ignore_index)
    return rows


def _moved(edit: Edit, rows: list[list[Layer]], ignore_index: int) -> list[list[Layer]]:
    """Layers after an edit, each with the edit of its row."""
    row = np.repeat(np.arange(len(rows)), [len(layers) for layers in rows])
    flat = [layer.classes for layers in rows for layer in layers]
    made = iter(moved_classes(edit.take(row), flat, ignore_index))
    return [[Layer(layer.share, next(made)) for layer in layers] for layers in rows]


def _canvas(mix: Mix, b: int, rows: list[list[Layer]], ignore_index: int) -> list[Layer]:
    """Layers of one output of a mix."""
    units, size = mix.units()[b], mix.canvas_hw[b].tolist()
    layers: list[Layer] = []
    for s in np.flatnonzero(units).tolist():
        x0, y0, x1, y1 = mix.rect_px[b, s].tolist()
        dx, dy = mix.offset_px[b, s].tolist()
        here = torch.zeros(size, dtype=torch.bool)
        here[y0:y1, x0:x1] = True
        if mix.masked[b, s]:
            here &= through(mix, b, s)
        share = float(units[s]) / WEIGHT_ONE
        if share == 1.0:
            for layer in layers:
                layer.classes[here] = ignore_index
        for layer in rows[int(mix.source[b, s])]:
            shown = torch.full(size, ignore_index, dtype=layer.classes.dtype)
            shown[y0:y1, x0:x1] = layer.classes[y0 - dy : y1 - dy, x0 - dx : x1 - dx]
            shown[~here] = ignore_index
            _add(layers, Layer(layer.share * share, shown), ignore_index)
    if not layers:
        layers = [Layer(1.0, torch.full(size, ignore_index, dtype=rows[0][0].classes.dtype))]
    return layers


def _add(layers: list[Layer], new: Layer, ignore_index: int) -> None:
    """Add a layer, or write it into one of its share that is empty where the new one is not."""
    known = new.classes != ignore_index
    for layer in layers:
        if layer.share == new.share and bool((layer.classes[known] == ignore_index).all()):
            layer.classes[known] = new.classes[known]
            return
    layers.append(new)
