"""A prepared competition: its folder, and the images of its parts.

::

    competition.json       classes, columns, counts, and how it was prepared
    index.csv              id, file, label, part (train, valid or test); the split is here alone
    sample.csv             the sample submission as published, where there is one
    files/                 what was unpacked; images given as folders stay where they are
    images/                only with copies: train, valid, train_valid / CLASS, test/unknown
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mixwell import DataError
from mixwell.recipes.data import ArraySet, ImageSet
from mixwell.recipes.data.decode import decode_rgb
from mixwell.recipes.kaggle.submission import Form

VERSION = 1
INDEX, ABOUT, SAMPLE = "index.csv", "competition.json", "sample.csv"
COLUMNS = ("id", "file", "label", "part")
PARTS = ("train", "valid", "test")
IN_MEMORY = 2**30
"""Bytes of pixels up to which images of one size are kept in memory while training."""


class Row(NamedTuple):
    """One image: its id, its file relative to the folder (or absolute), its label, its part."""

    id: str
    file: str
    label: str
    part: str


@dataclass(frozen=True)
class Competition:
    """A prepared folder.

    Attributes:
        folder: the folder.
        form: classes, and what a submission looks like.
        size_hw: the size that all training images have, px, or None.
        counts: images in each part.
        digest: sixteen hexadecimal digits that stand for the index.
    """

    folder: Path
    form: Form
    size_hw: tuple[int, int] | None
    counts: dict[str, int]
    digest: str

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in label order."""
        return self.form.classes

    @property
    def sample(self) -> Path | None:
        """The sample submission, where there is one."""
        path = self.folder / SAMPLE
        return path if path.is_file() else None

    @property
    def in_memory(self) -> bool:
        """Whether the training images are of one size and fit."""
        if self.size_hw is None:
            return False
        count = self.counts["train"] + self.counts["valid"]
        return count * 3 * self.size_hw[0] * self.size_hw[1] <= IN_MEMORY

    def rows(self, *parts: str) -> Iterator[Row]:
        """The rows of some parts, in the order of the index.

        Raises:
            DataError: the index is damaged.
        """
        path = self.folder / INDEX
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            if tuple(next(reader, ())) != COLUMNS:
                raise _damaged(path, "other columns")
            for values in reader:
                if len(values) != len(COLUMNS) or values[3] not in PARTS:
                    raise _damaged(path, f"line {reader.line_num}")
                row = Row(*values)
                if row.part in parts:
                    yield row

    def path(self, row: Row) -> Path:
        """Where the image of a row is."""
        return self.folder / row.file

    def images(self, *parts: str) -> ImageSet:
        """The labelled images of some parts, in memory where they are of one size and fit.

        Raises:
            DataError: an image cannot be decoded, or the index is damaged.
        """
        rows = list(self.rows(*parts))
        numbers = {name: i for i, name in enumerate(self.classes)}
        try:
            labels = np.array([numbers[row.label] for row in rows], dtype=np.int64)
        except KeyError as error:
            raise _damaged(self.folder / INDEX, f"the label {error}") from None
        listed = ListedImages([self.path(row) for row in rows], labels, self.classes)
        return (
            listed.in_memory(self.size_hw) if self.in_memory and self.size_hw else None
        ) or listed


class ListedImages:
    """Labelled image files, decoded one at a time.

    Args:
        paths: N files.
        labels: int64 ``[N]``.
        classes: class names, in label order.
    """

    def __init__(self, paths: list[Path], labels: np.ndarray, classes: tuple[str, ...]) -> None:
        self.paths, self.labels, self.classes = paths, labels, classes

    def __len__(self) -> int:
        """Number of images."""
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Decode image ``index``: uint8 ``[3, H, W]``, and its label.

        Raises:
            DataError: the file cannot be decoded; the message names it.
        """
        pixels = decode_rgb(self.paths[index]).transpose(2, 0, 1)
        return torch.from_numpy(pixels.copy()), int(self.labels[index])

    def in_memory(self, size_hw: tuple[int, int]) -> ArraySet | None:
        """All of them decoded, or None where one has another size (turned by its EXIF block)."""
        images = np.empty((len(self), *size_hw, 3), np.uint8)
        for i, path in enumerate(self.paths):
            pixels = decode_rgb(path)
            if pixels.shape[:2] != size_hw:
                return None
            images[i] = pixels
        return ArraySet(images, self.labels, self.classes)

    def __repr__(self) -> str:
        """``ListedImages(244 images | 2 classes)``."""
        return f"ListedImages({len(self)} images | {len(self.classes)} classes)"


def read_competition(folder: Path) -> Competition:
    """Read a folder that `prepare` wrote.

    Raises:
        DataError: it holds no prepared competition, or a damaged one.
    """
    about, index = folder / ABOUT, folder / INDEX
    if not (about.is_file() and index.is_file()):
        raise DataError(
            f"A prepared competition needs {ABOUT} and {INDEX}, got neither or one of them in "
            f"{folder}. Run `mixwell kaggle prepare` first and give the folder it wrote."
        )
    try:
        values = json.loads(about.read_text())
        if values["version"] != VERSION:
            raise DataError(
                f"{about} must be of version {VERSION}, got {values['version']}. Prepare it again."
            )
        size = values["size_hw"]
        return Competition(
            folder,
            form_from_json(values["form"]),
            None if size is None else (int(size[0]), int(size[1])),
            {part: int(values["counts"][part]) for part in PARTS},
            hashlib.blake2b(index.read_bytes(), digest_size=8).hexdigest(),
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        if isinstance(error, DataError):
            raise
        raise _damaged(about, f"{type(error).__name__}: {error}") from None


def form_from_json(values: dict[str, Any]) -> Form:
    """A form from the values that `dataclasses.asdict` made of it."""
    columns, classes = tuple(values["columns"]), tuple(values["classes"])
    return Form(values["kind"], columns, classes, values["positive"])


def _damaged(path: Path, found: str) -> DataError:
    return DataError(f"{path} is damaged ({found}). Run `mixwell kaggle prepare` again.")
