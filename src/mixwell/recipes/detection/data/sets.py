"""The contract of detection sets, and the set of annotated image files that all readers return.

A reader turns its format into `Thing`s, one for each annotated object, in pixels of the continuous
frame: pixel (0, 0) covers [0, 1) x [0, 1), a box is [x0, x1) x [y0, y1). What happens then is the
same for all formats: boxes are clipped to their image, those without area are left out, and both
are written down.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from mixwell import DataError
from mixwell.recipes.data.decode import decode_rgb
from mixwell.recipes.detection.data.segments import Segment, mask_of

Target = dict[str, Any]
"""What is known of one image, in torchvision's names; see `DetectionSet`."""

NO_AREA = "box without area"
OUTSIDE = "box outside its image"
MISSING = "image missing"
UNANNOTATED = "image without annotation file"
EMPTY = "image without objects"
CLIPPED = "box clipped to its image"
NO_SEGMENT = "object without outline: the set has no masks"

_ROUNDING_PX = 0.01
"""Boxes stick out by this much from rounded numbers alone; they are clipped without a note."""


@runtime_checkable
class DetectionSet(Protocol):
    """What a detection recipe needs of a data set.

    ``set[i]`` is a uint8 image ``[3, H, W]`` and a dict of ``boxes`` (float32 ``[n, 4]``, xyxy px),
    ``labels`` (int64 ``[n]``, from 1: 0 is the background), ``image_id`` (int), ``iscrowd`` (int64
    ``[n]``), ``area`` (float32 ``[n]``, px²) and, where the set knows them, ``masks`` (uint8
    ``[n, H, W]``), ``difficult`` (bool ``[n]``) and ``keypoints`` (float32 ``[n, K, 3]``: x, y and
    0 not labelled, 1 hidden, 2 visible). All images of a set have the same entries.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names without the background: label k is ``classes[k - 1]``."""
        ...

    @property
    def category_ids(self) -> tuple[int, ...]:
        """The number of each class in the set's files, for writing results back."""
        ...

    @property
    def skipped(self) -> dict[str, list[str]]:
        """What was left out: reason -> names."""
        ...

    @property
    def notes(self) -> dict[str, list[str]]:
        """What was kept but changed or assumed: reason -> names."""
        ...

    def __len__(self) -> int:
        """Number of images."""
        ...

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        """The uint8 image ``[3, H, W]`` and its target."""
        ...

    def target(self, index: int) -> Target:
        """The target alone."""
        ...


@dataclass
class Ledger:
    """What a reader leaves out, and what it changes or assumes.

    Attributes:
        skipped: reason -> names of what was left out.
        notes: reason -> names of what was kept, but not as the file has it.
    """

    skipped: dict[str, list[str]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def skip(self, reason: str, name: str) -> None:
        """Write down what is left out."""
        self.skipped.setdefault(reason, []).append(name)

    def note(self, reason: str, name: str) -> None:
        """Write down what is changed or assumed."""
        self.notes.setdefault(reason, []).append(name)


@dataclass(frozen=True, eq=False, slots=True)
class Thing:
    """One annotated object.

    Attributes:
        label: from 1.
        box: x0, y0, x1, y1, px.
        name: what the ledger calls it.
        crowd: whether it stands for many.
        area: px², as the file says it; None where it does not.
        difficult: as in Pascal VOC; None where the format does not know this.
        segment: its outline or runs, None where the file has none.
        keypoints: float32 [K, 3], None where the file has none.
    """

    label: int
    box: tuple[float, float, float, float]
    name: str
    crowd: bool = False
    area: float | None = None
    difficult: bool | None = None
    segment: Segment | None = None
    keypoints: np.ndarray | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Record:
    """One image file and what is on it.

    Attributes:
        path: the image.
        image_id: its number.
        size_hw: height and width as annotated, or as the image's header has it, px.
        things: its objects; boxes lie inside the image and have an area.
    """

    path: Path
    image_id: int
    size_hw: tuple[int, int]
    things: tuple[Thing, ...]


def make_record(
    path: Path, image_id: int, size_hw: tuple[int, int], things: Sequence[Thing], ledger: Ledger
) -> Record:
    """A record whose boxes are clipped to the image; boxes without area are left out.

    Args:
        path: the image file.
        image_id: its number.
        size_hw: its height and width, px.
        things: its objects as the file has them.
        ledger: where it is written down.
    """
    height, width = size_hw
    kept = []
    for thing in things:
        x0, y0, x1, y1 = thing.box
        if x1 <= x0 or y1 <= y0:
            ledger.skip(NO_AREA, thing.name)
            continue
        inside = (max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height)))
        if inside[2] <= inside[0] or inside[3] <= inside[1]:
            ledger.skip(OUTSIDE, thing.name)
            continue
        if inside != thing.box:
            if max(abs(a - b) for a, b in zip(inside, thing.box, strict=True)) > _ROUNDING_PX:
                ledger.note(CLIPPED, thing.name)
            thing = replace(thing, box=inside)
        kept.append(thing)
    return Record(path, image_id, size_hw, tuple(kept))


class FileSet:
    """Annotated image files, decoded one at a time; see `DetectionSet`.

    Images are turned upright by their EXIF orientation, and their size is compared with the
    annotation. Masks are given where every object of the set has an outline.

    Args:
        kind: the format's name.
        classes: class names, without the background.
        records: the images, in order.
        ledger: what the reader left out or changed.
        category_ids: the number of each class in the files; 1 .. K where None.
        masks: False leaves masks out.

    Raises:
        DataError: there are no classes or no images.
    """

    def __init__(
        self,
        kind: str,
        classes: Sequence[str],
        records: Sequence[Record],
        ledger: Ledger,
        *,
        category_ids: Sequence[int] | None = None,
        masks: bool = True,
    ) -> None:
        self.kind = kind
        self.classes = tuple(classes)
        self.records = tuple(records)
        self.skipped, self.notes = ledger.skipped, ledger.notes
        self.category_ids = tuple(category_ids or range(1, len(self.classes) + 1))
        if not self.classes or not self.records:
            raise DataError(
                f"A {kind} set needs at least one class and one image, got {len(self.classes)} "
                f"and {len(self.records)} ({_counts(self.skipped) or 'nothing skipped'}). Check "
                "that images and annotations belong together."
            )
        things = [thing for record in self.records for thing in record.things]
        bare = [thing.name for thing in things if thing.segment is None]
        self.has_masks = masks and bool(things) and not bare
        if masks and bare and len(bare) < len(things):
            self.notes[NO_SEGMENT] = bare
        points = [len(thing.keypoints) for thing in things if thing.keypoints is not None]
        self.num_keypoints = max(points, default=0)
        self.has_difficult = any(thing.difficult is not None for thing in things)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.records)

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        """Decode image ``index``: uint8 ``[3, H, W]`` of its own size, and its target.

        Raises:
            DataError: the file cannot be decoded or is not of the annotated size.
        """
        record = self.records[index]
        pixels = decode_rgb(record.path)
        if pixels.shape[:2] != record.size_hw:
            (height, width), (h, w) = record.size_hw, pixels.shape[:2]
            raise DataError(
                f"An image needs the size of its annotation, {width} x {height}, got {w} x {h} "
                f"(upright by EXIF) for {record.path}. Correct the annotation, or save the image "
                "as it was annotated."
            )
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy()), self.target(index)

    def target(self, index: int) -> Target:
        """What is known of image ``index``, without decoding it."""
        record = self.records[index]
        things = record.things
        boxes = np.array([thing.box for thing in things], np.float32).reshape(-1, 4)
        extent = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        area = [e if t.area is None else t.area for t, e in zip(things, extent, strict=True)]
        target: Target = {
            "boxes": torch.from_numpy(boxes),
            "labels": torch.tensor([thing.label for thing in things], dtype=torch.int64),
            "image_id": record.image_id,
            "iscrowd": torch.tensor([int(t.crowd) for t in things], dtype=torch.int64),
            "area": torch.tensor(area, dtype=torch.float32),
        }
        if self.has_difficult:
            target["difficult"] = torch.tensor([bool(t.difficult) for t in things]).bool()
        if self.num_keypoints:
            target["keypoints"] = torch.from_numpy(_keypoints(things, self.num_keypoints))
        if self.has_masks:
            target["masks"] = torch.from_numpy(_masks(record))
        return target

    def only(self, indices: Sequence[int]) -> FileSet:
        """A set of some of the images with all the classes and all that was written down."""
        part = copy(self)
        part.records = tuple(self.records[i] for i in indices)
        return part

    def __repr__(self) -> str:
        """``FileSet(voc | 200 images | 217 objects | 1 class | 3 x image missing)``."""
        objects = sum(len(record.things) for record in self.records)
        plural = "" if len(self.classes) == 1 else "es"
        parts = [
            self.kind,
            f"{len(self)} images",
            f"{objects} objects",
            f"{len(self.classes)} class{plural}",
        ]
        return f"FileSet({' | '.join([*parts, *filter(None, [_counts(self.skipped)])])})"


def _keypoints(things: Sequence[Thing], count: int) -> np.ndarray:
    out = np.zeros((len(things), count, 3), np.float32)
    for row, thing in zip(out, things, strict=True):
        if thing.keypoints is not None:
            row[: len(thing.keypoints)] = thing.keypoints
    return out


def _masks(record: Record) -> np.ndarray:
    out = np.zeros((len(record.things), *record.size_hw), np.uint8)
    for mask, thing in zip(out, record.things, strict=True):
        assert thing.segment is not None
        try:
            mask[:] = mask_of(thing.segment, record.size_hw)
        except DataError as error:
            raise DataError(f"{thing.name} of {record.path}: {error}") from None
    return out


def _counts(skipped: dict[str, list[str]]) -> str:
    return ", ".join(f"{len(names)} x {reason}" for reason, names in skipped.items())
