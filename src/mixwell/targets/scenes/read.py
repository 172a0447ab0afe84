"""Targets of a batch as arrays: `Scene`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from mixwell._errors import TargetError
from mixwell.plan import polygons
from mixwell.plan.outlines import Outlines
from mixwell.targets.scenes import formats
from mixwell.targets.scenes.options import Boxes, Keypoints, MaskKind
from mixwell.targets.scenes.rings import Rings, read_rings, ring_boxes

Target = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Scene:
    """M things in N images.

    Attributes:
        targets: the images' own entries, N mappings.
        row: int64 [M], the image each thing is in.
        place: int64 [M], its place among that image's things.
        corners: float64 [M, 4, 2], px.
        rings: polygons of each thing, px; empty where there are none.
        upright: whether all corners are those of boxes along the axes.
        marks: float64 [M, K, 2], keypoints, px.
        level: float64 [M, K], their visibility 0, 1 or 2.
        size_hw: int [N, 2], px.
        lost: things left out at once, by reason.
    """

    targets: Sequence[Target]
    row: np.ndarray
    place: np.ndarray
    corners: np.ndarray
    rings: list[Rings]
    upright: bool
    marks: np.ndarray
    level: np.ndarray
    size_hw: np.ndarray
    lost: Counter[str]

    def outlines(self) -> Outlines:
        """Where the things are, cut by their images."""
        shape = polygons.extents(self.corners) if self.upright else self.corners
        return Outlines.start(self.row, shape, self.size_hw, marks=self.marks, seen=self.level > 0)


@dataclass(frozen=True)
class Reader:
    """Reads targets as they are declared.

    Attributes:
        boxes: None: targets have none.
        masks: None, or what "masks" are.
        keypoints: None: targets have none.
    """

    boxes: Boxes | None
    masks: MaskKind | None
    keypoints: Keypoints | None

    def read(self, targets: Any, size_hw: np.ndarray) -> Scene:
        """The scene of a batch.

        Args:
            targets: a mapping for each image.
            size_hw: int [N, 2], px.

        Raises:
            TargetError: an entry is missing, or its shape or values break a rule; the message
                names the image and the entry.
        """
        targets = _listed(targets, len(size_hw))
        parts = [
            self._one(t, hw, i) for i, (t, hw) in enumerate(zip(targets, size_hw, strict=True))
        ]
        counts = [len(corners) for corners, _, _ in parts]
        row = np.repeat(np.arange(len(parts)), counts)
        place = np.concatenate([np.zeros(0, np.int64), *(np.arange(c) for c in counts)])
        corners = np.concatenate([np.zeros((0, 4, 2)), *(corners for corners, _, _ in parts)])
        points = [points for _, points, _ in parts]
        lengths = {p.shape[1] for p in points if len(p)} or {0}
        if len(lengths) > 1:
            raise TargetError(
                f"All things need the same number of keypoints, got {sorted(lengths)}. Fill up "
                "with points of visibility 0."
            )
        marks = np.concatenate([np.zeros((0, max(lengths), 3)), *(p for p in points if len(p))])
        scene = Scene(
            targets=targets,
            row=row.astype(np.int64),
            place=place.astype(np.int64),
            corners=corners,
            rings=[rings for _, _, some in parts for rings in some],
            upright=self.boxes is None or not self.boxes.oriented,
            marks=marks[..., :2],
            level=marks[..., 2],
            size_hw=size_hw,
            lost=Counter(),
        )
        return self._valid(scene)

    def _one(
        self, target: Target, hw: np.ndarray, image: int
    ) -> tuple[np.ndarray, np.ndarray, list[Rings]]:
        """Corners [n, 4, 2], keypoints [n, K, 3] and polygons of one image."""
        height, width = (float(v) for v in hw)
        points = self._points(target, (height, width), image)
        count = None if points is None else len(points)
        rings: list[Rings] = []
        if self.masks == "polygons":
            parts = self.boxes is not None and self.boxes.normalized
            scale = np.array([width, height] if parts else [1.0, 1.0])
            rings = read_rings(_entry(target, "polygons", image), scale, image)
        if self.boxes is not None:
            corners = _corners(self.boxes, target, (height, width), image)
        elif self.masks == "instance":
            corners = polygons.of_boxes(mask_boxes(_masks(target, image)))
        elif self.masks == "polygons":
            corners = polygons.of_boxes(ring_boxes(rings))
        else:
            corners = np.tile(
                polygons.of_boxes(np.array([[0, 0, width, height]])), (count or 0, 1, 1)
            )
        if self.masks == "instance" and len(_masks(target, image)) != len(corners):
            raise TargetError(
                f"Image {image}: every box needs a mask, got {len(corners)} boxes and "
                f"{len(_masks(target, image))} masks."
            )
        if self.masks == "polygons" and len(rings) != len(corners):
            raise TargetError(
                f"Image {image}: every box needs polygons, got {len(corners)} boxes and "
                f"{len(rings)} lists of rings."
            )
        if count is not None and count != len(corners):
            raise TargetError(
                f"Image {image}: keypoints come in one row for each box, got {len(corners)} boxes "
                f"and {count} rows of keypoints."
            )
        points = np.zeros((len(corners), 0, 3)) if points is None else points
        return corners, points, rings

    def _points(self, target: Target, hw: tuple[float, float], image: int) -> np.ndarray | None:
        """float64 [n, K, 3], px and visibility."""
        if self.keypoints is None:
            return None
        given = numbers(_entry(target, "keypoints", image), f"image {image}: keypoints")
        if given.size == 0 and given.ndim < 3:
            return np.zeros((0, 0, 3))
        if given.ndim != 3 or given.shape[-1] not in (2, 3):
            raise TargetError(
                f"Image {image}: keypoints must be [n, K, 2] or [n, K, 3], got {given.shape}."
            )
        if given.shape[-1] == 2:
            given = np.concatenate([given, np.full((*given.shape[:2], 1), 2.0)], axis=-1)
        if self.keypoints.normalized:
            given = given * (hw[1], hw[0], 1.0)
        return given

    def _valid(self, scene: Scene) -> Scene:
        """The scene without boxes that cannot mean anything."""
        if self.boxes is None:
            return scene
        finite = np.isfinite(scene.corners)
        good = np.ones(len(finite), bool) if finite.all() else finite.all(axis=(1, 2))
        with np.errstate(invalid="ignore"):
            if scene.upright:
                good &= (scene.corners[:, 2] > scene.corners[:, 0]).all(axis=1)
            else:
                good &= polygons.areas(scene.corners) > 0
        if good.all():
            return scene
        if self.boxes.invalid == "raise":
            bad = int(np.flatnonzero(~good)[0])
            ends = scene.corners[bad, [0, 2]] if scene.upright else scene.corners[bad]
            raise TargetError(
                f"Boxes need x0 < x1, y0 < y1 and finite numbers, got {ends.ravel().tolist()} px "
                f"as box {scene.place[bad]} of image {scene.row[bad]}. Correct it, check the "
                f'format (now {self.boxes.format!r}), or set Boxes(invalid="drop").'
            )
        arrays = {n: getattr(scene, n)[good] for n in ("row", "place", "corners", "marks", "level")}
        rings = [r for r, keep in zip(scene.rings, np.atleast_1d(good), strict=False) if keep]
        lost = Counter({"invalid": int((~good).sum())})
        return replace(scene, rings=rings, lost=lost, **arrays)


def _corners(boxes: Boxes, target: Target, hw: tuple[float, float], image: int) -> np.ndarray:
    """float64 [n, 4, 2], px; upright boxes keep x0 y0 first and x1 y1 third, even inverted ones."""
    given = _entry(target, "boxes", image)
    _check_tv(given, boxes, hw, image)
    found = numbers(given, f"image {image}: boxes")
    width = formats.WIDTH.get(boxes.format, 4)
    if boxes.format == "xyxyxyxy" and found.ndim == 3:
        found = found.reshape(len(found), -1)
    if found.size == 0:
        return np.zeros((0, 4, 2))
    if found.ndim != 2 or found.shape[1] != width:
        raise TargetError(
            f'Image {image}: boxes as "{boxes.format}" must be [n, {width}], got {found.shape}.'
        )
    if boxes.normalized:
        found = found * formats.scale_of(boxes.format, hw)
    return formats.to_corners(found, boxes.format)


def _check_tv(given: Any, boxes: Boxes, hw: tuple[float, float], image: int) -> None:
    """A torchvision `BoundingBoxes` says its format itself, and must not say another one."""
    form = getattr(given, "format", None)
    if form is None or not hasattr(given, "canvas_size"):
        return
    name = str(getattr(form, "value", form)).lower()
    if name != boxes.format:
        raise TargetError(
            f"Image {image}: boxes are declared as {boxes.format!r}, got BoundingBoxes in {name!r}."
            f' Declare boxes="{name}".'
        )
    if tuple(given.canvas_size) != tuple(int(v) for v in hw):
        raise TargetError(
            f"Image {image}: BoundingBoxes' canvas_size must be the image's size "
            f"{tuple(int(v) for v in hw)}, got {tuple(given.canvas_size)}."
        )


def _listed(targets: Any, count: int) -> Sequence[Target]:
    """A mapping for each image."""
    if not isinstance(targets, list | tuple) or not all(isinstance(t, Mapping) for t in targets):
        kind = type(targets).__name__
        if isinstance(targets, list | tuple) and targets:
            kind = f"a {kind} of {type(targets[0]).__name__}"
        raise TargetError(
            "Targets with boxes, instance masks or keypoints are a list with a dict for each "
            f'image, such as {{"boxes": ..., "labels": ...}}, got {kind}.'
        )
    if len(targets) != count:
        raise TargetError(
            f"Every image needs a target, got {count} images, {len(targets)} targets."
        )
    return targets


def _entry(target: Target, name: str, image: int) -> Any:
    if name not in target:
        raise TargetError(
            f'Image {image}: "{name}" are declared, got a target with {sorted(map(str, target))}. '
            "Images without any need an empty entry."
        )
    return target[name]


def _masks(target: Target, image: int) -> Any:
    masks = _entry(target, "masks", image)
    if getattr(masks, "ndim", 0) != 3:
        raise TargetError(
            f"Image {image}: instance masks must be [n, H, W], got "
            f"{tuple(getattr(masks, 'shape', ()))}."
        )
    return masks


def numbers(value: Any, what: str) -> np.ndarray:
    """float64 from a tensor, an array or nested lists.

    Raises:
        TargetError: something else.
    """
    try:
        if isinstance(value, torch.Tensor):
            return value.detach().cpu().double().numpy()
        return np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise TargetError(f"{what} must be numbers, got {type(value).__name__}: {error}.") from None


def mask_boxes(masks: Any) -> np.ndarray:
    """float64 [n, 4]: the boxes around masks [n, H, W]; zeros for empty ones."""
    found = torch.as_tensor(np.asarray(masks) if not isinstance(masks, torch.Tensor) else masks)
    found = found.as_subclass(torch.Tensor) != 0
    boxes = np.zeros((len(found), 4))
    if not found.numel():
        return boxes
    for axis in (0, 1):
        along = found.any(dim=1 + axis).cpu().numpy()  # [n, W] or [n, H]
        some = along.any(axis=1)
        boxes[some, axis] = along[some].argmax(axis=1)
        boxes[some, axis + 2] = along.shape[1] - along[some, ::-1].argmax(axis=1)
    return boxes
