"""Targets of a plan's outputs, in the kind they came in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mixwell._errors import TargetError
from mixwell.plan import polygons
from mixwell.plan.outlines import Outlines
from mixwell.plan.plan import Plan
from mixwell.plan.steps import Mix
from mixwell.targets.scenes import formats
from mixwell.targets.scenes.options import Boxes, Keypoints
from mixwell.targets.scenes.read import Scene, Target, numbers
from mixwell.targets.scenes.rings import Rings, write_rings


def owners(plan: Plan) -> np.ndarray:
    """int64 [B]: the input row that each output is a version of: the first source of every mix."""
    rows = np.arange(plan.rows)
    for step in plan.steps:
        if isinstance(step, Mix):
            rows = rows[step.source[:, 0]]
    return rows


class Writer:
    """Writes one output's target after another.

    Args:
        scene: what came in.
        items: what is left, by output.
        plan: what the images underwent.
    """

    def __init__(self, scene: Scene, items: Outlines, plan: Plan) -> None:
        """Find each output's items."""
        self.scene, self.items, self.out_hw = scene, items, plan.out_hw
        self.owner = owners(plan).tolist()
        edges = np.searchsorted(items.row, np.arange(len(self.out_hw) + 1))
        self.spans = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))

    def some(self, output: int) -> np.ndarray:
        """Items of an output, int64 [n]."""
        return np.arange(*self.spans[output])

    def boxes(self, output: int, form: Boxes, like: Any) -> Any:
        """An output's boxes in their format."""
        some, (height, width) = self.some(output), self.out_hw[output].tolist()
        if form.oriented:
            found = formats.from_corners(self.items.whole[some, :4], form.format)
        else:
            found = formats.from_xyxy(self.items.xyxy()[some], form.format)
        if form.normalized:
            found = found / formats.scale_of(form.format, (height, width))
        return as_like(found, like, (height, width))

    def keypoints(self, output: int, form: Keypoints, like: Any) -> Any:
        """An output's keypoints, swapped where they are mirrored."""
        some, (height, width) = self.some(output), self.out_hw[output].tolist()
        origin = self.items.origin[some]
        level = np.where(self.items.seen[some], self.scene.level[origin], 0.0)
        found = np.concatenate([self.items.marks[some], level[..., None]], axis=-1)
        order = form.swapped(found.shape[1]) if found.shape[1] else []
        mirrored = self.items.mirrored[some]
        found[mirrored] = found[mirrored][:, order]
        shape = np.shape(like)
        columns = shape[2] if len(shape) == 3 else 3
        if form.normalized:
            found = found / (width, height, 1.0)
        if not found.shape[1] and len(shape) == 3:  # nobody has any
            found = np.zeros((0, shape[1], 3))
        return as_like(found[..., :columns], like, (height, width))

    def field(self, output: int, name: str) -> Any:
        """An output's values of an entry that holds one for each box."""
        some = self.some(output)
        row, place = self._from(some)
        if not len(some):
            return _taken(self._value(self.owner[output], name), np.zeros(0, np.int64))
        parts, start = [], 0
        while start < len(row):  # runs of one image; their order is that of the items
            stop = start + int((row[start:] == row[start]).cumprod().sum())
            parts.append(_taken(self._value(int(row[start]), name), place[start:stop]))
            start = stop
        return _joined(parts, name)

    def polygons(self, output: int, things: Sequence[Rings], normalized: bool) -> list[Any]:
        """An output's polygons, each in the kind it came in; `things` are those of all items."""
        some, (height, width) = self.some(output), self.out_hw[output].tolist()
        scale = (width, height) if normalized else (1.0, 1.0)
        made = []
        for i, row, place in zip(some.tolist(), *self._from(some), strict=True):
            like = self.scene.targets[row]["polygons"][place]
            made.append(write_rings([ring / scale for ring in things[i]], like))
        return made

    def area(self, output: int, like: Any) -> Any:
        """Areas, scaled as the boxes' visible areas are."""
        some = self.some(output)
        old = polygons.areas(self.scene.corners[self.items.origin[some]])
        ratio = polygons.areas(self.items.points[some]) / np.where(old > 0, old, 1.0)
        rows, places = self._from(some)
        given = {r: numbers(self._value(r, "area"), f"image {r}: area") for r in set(rows.tolist())}
        values = [given[r][p] for r, p in zip(rows.tolist(), places.tolist(), strict=True)]
        return as_like(np.array(values, float) * ratio, like, (0, 0))

    def _from(self, some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Image and place of each item."""
        origin = self.items.origin[some]
        return self.scene.row[origin], self.scene.place[origin]

    def _value(self, image: int, name: str) -> Any:
        target = self.scene.targets[image]
        if name not in target:
            raise TargetError(
                f'All images of a mix need the same entries, got no "{name}" in image {image}.'
            )
        value = target[name]
        need_one_each(value, name, target, image)
        return value


def _is_class_map(value: Any) -> bool:
    """Whether this is one map of the whole image, which says nothing of the number of boxes."""
    return hasattr(value, "convert") or getattr(value, "ndim", 0) == 2


def need_one_each(value: Any, name: str, target: Target, image: int) -> None:
    """An entry with one value for each box has as many as there are boxes.

    Raises:
        TargetError: it has not.
    """
    for what in ("boxes", "masks", "polygons", "keypoints"):
        if what not in target or name == what or (what == "masks" and _is_class_map(target[what])):
            continue
        if len(target[what]) != len(value):
            raise TargetError(
                f'Image {image}: "{name}" needs a value for each of the {len(target[what])} '
                f"{what}, got {len(value)}. If it speaks of the whole image, declare "
                f'Boxes(per_image=("{name}",)).'
            )


def _taken(value: Any, place: np.ndarray) -> Any:
    if isinstance(value, Tensor):
        return value[torch.from_numpy(place)]
    if isinstance(value, np.ndarray):
        return value[place]
    return type(value)(value[i] for i in place.tolist())


def _joined(parts: list[Any], name: str) -> Any:
    if len(parts) == 1:
        return parts[0]
    kinds = {type(part) for part in parts}
    if len(kinds) > 1:
        raise TargetError(
            f'"{name}" must be of one kind in all images, got {sorted(k.__name__ for k in kinds)}.'
        )
    if isinstance(parts[0], Tensor):
        return torch.cat(parts)
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    return type(parts[0])(value for part in parts for value in part)


def as_like(values: np.ndarray, like: Any, hw: tuple[int, int]) -> Any:
    """Numbers as a tensor, torchvision's `tv_tensors`, an array or lists, as something else is.

    Whole numbers become float32: boxes do not stay on the pixel grid.
    """
    if isinstance(like, Tensor):
        dtype = like.dtype if like.dtype.is_floating_point else torch.float32
        made = torch.from_numpy(np.ascontiguousarray(values)).to(like.device, dtype)
        return wrapped(made, like, hw)
    if isinstance(like, np.ndarray):
        return values.astype(like.dtype if like.dtype.kind == "f" else np.float32)
    return values.tolist()


def wrapped(made: Tensor, like: Tensor, hw: tuple[int, int]) -> Tensor:
    """A plain tensor as the `tv_tensors` class that `like` has."""
    if type(like) is Tensor:
        return made
    from torchvision import tv_tensors

    if isinstance(like, tv_tensors.BoundingBoxes):
        kind: Any = tv_tensors.BoundingBoxes  # newer overloads ask for `clamping_mode`
        boxes = kind(made, format=like.format, canvas_size=hw)
        if hasattr(like, "clamping_mode"):  # newer torchvision
            boxes.clamping_mode = like.clamping_mode
        return boxes
    if isinstance(like, tv_tensors.Mask):
        return tv_tensors.Mask(made)
    points = getattr(tv_tensors, "KeyPoints", None)
    if points is not None and isinstance(like, points):
        return points(made, canvas_size=hw)
    return made


def stacked(masks: Sequence[Tensor], like: Any, hw: tuple[int, int]) -> Any:
    """Instance masks [n, H, W] in the kind and dtype of `like`."""
    numpy = isinstance(like, np.ndarray)
    dtype = torch.from_numpy(like[:0]).dtype if numpy else like.dtype
    made = torch.stack(list(masks)) if masks else torch.zeros(0, *hw, dtype=torch.uint8)
    made = made.to(dtype)
    return made.numpy() if numpy else wrapped(made.to(like.device), like, hw)
