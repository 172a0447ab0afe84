"""Where samples come from: files, arrays in memory, or any map-style data set."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Subset, TensorDataset

from mixwell._bytes import native
from mixwell._errors import DataError
from mixwell.collate import as_labels
from mixwell.decode import Header, read_header
from mixwell.render.images import Picked


class File:
    """A file that is in memory and not decoded.

    Attributes:
        index: in the data set.
        name: what errors call it.
        data: its bytes.
        header: what it says of its image.
        error: why it cannot serve, None if it can.
    """

    __slots__ = ("data", "error", "header", "index", "name")

    def __init__(self, index: int, name: str) -> None:
        """Remember who it is."""
        self.index, self.name = index, name
        self.data = b""
        self.header: Header | None = None
        self.error: DataError | None = None


@dataclass(frozen=True, eq=False)
class Files:
    """Samples that are image files with labels.

    Attributes:
        paths: of the files.
        labels: int64 [N], or any labels or targets that `Collate` takes.
    """

    paths: list[Any]
    labels: np.ndarray | list[Any]

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.paths)

    def read(self, index: int, max_pixels: int | None) -> File:
        """Bytes and header of a file; `error` says what is wrong with it."""
        path = self.paths[index]
        file = File(index, str(path))
        try:
            file.data = _contents(path)
            file.header = read_header(file.data, file.name, max_pixels=max_pixels)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            file.error = DataError(f"{path}: the file must be readable, got: {reason}.")
        except DataError as error:
            file.error = error
        return file

    def labels_of(self, rows: np.ndarray, *, numpy: bool, apart: bool = False) -> Any:
        """Labels of some samples, as a tensor or an array; `apart`: as a list."""
        return _labels(self.labels, rows, numpy, apart)

    def taken(self, rows: np.ndarray) -> Files:
        """Some of the samples."""
        labels = self.labels
        some = labels[rows] if isinstance(labels, np.ndarray) else [labels[i] for i in rows]
        return Files([self.paths[i] for i in rows], some)


@dataclass(frozen=True, eq=False)
class Arrays:
    """Images in memory.

    Attributes:
        images: a tensor [N, C, H, W], perhaps a view of other memory.
        labels: an array [N, ...], a list of dicts, or None.
        rows: int64 [M], which of them are the data set's samples; None: all.
        resident: whether the renderer reads them where they lie.
    """

    images: torch.Tensor
    labels: np.ndarray | list[Any] | None
    rows: np.ndarray | None = None
    resident: bool = False

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.images) if self.rows is None else len(self.rows)

    def on(self, device: torch.device | None, *, resident: bool = True) -> Arrays:
        """The same samples, all their images on a device, to be rendered from there."""
        images = self.images if device is None else self.images.to(device)
        return replace(self, images=images, resident=resident)

    def images_of(self, rows: np.ndarray) -> torch.Tensor | Picked:
        """Some images, [n, C, H, W], where all of them lie."""
        at = rows if self.rows is None else self.rows[rows]
        if self.resident:
            return Picked(self.images, at)
        which = torch.from_numpy(at).to(self.images.device)
        if self.images.is_contiguous():
            return self.images.index_select(0, which)
        last = self.images.movedim(1, -1)  # as it lies in memory, so that rows are copied whole
        return last.index_select(0, which).movedim(-1, 1)

    def labels_of(self, rows: np.ndarray, *, numpy: bool, apart: bool = False) -> Any:
        """Labels of some samples, as a tensor or an array; `apart`: dicts as a list; None if there
        are none."""
        if self.labels is None:
            return None
        return _labels(self.labels, rows if self.rows is None else self.rows[rows], numpy, apart)

    def taken(self, rows: np.ndarray) -> Arrays:
        """Some of the samples."""
        return replace(self, rows=rows if self.rows is None else self.rows[rows])


@dataclass(frozen=True, eq=False)
class Samples:
    """Any map-style data set; `dataset[index]` is called in threads."""

    dataset: Any

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.dataset)


Source = Files | Arrays | Samples


def source_of(dataset: Any) -> Source:
    """How a data set is best read.

    Raises:
        DataError: images and labels of different number.
    """
    if type(dataset) is Subset:
        inner = source_of(dataset.dataset)
        if not isinstance(inner, Samples):
            rows = np.asarray(dataset.indices, np.int64).reshape(-1)
            return inner.taken(np.where(rows < 0, rows + len(inner), rows))
        return Samples(dataset)
    if isinstance(dataset, Files | Arrays | Samples):
        return dataset
    if _is_pair_of_arrays(dataset):
        return _arrays(*dataset)
    kind = type(dataset)
    if kind is TensorDataset and _is_pair_of_arrays(dataset.tensors):
        return _arrays(*dataset.tensors)
    if _is_plain_folder(dataset):
        return _files(dataset.samples)
    if _is_plain_memory(dataset):
        return _arrays(dataset.data, dataset.targets)
    if isinstance(dataset, Sequence) and len(dataset) and _is_path_pair(dataset[0]):
        return _files(dataset)
    return Samples(dataset)


def _is_pair_of_arrays(dataset: Any) -> bool:
    pair = isinstance(dataset, tuple) and len(dataset) == 2
    return pair and isinstance(dataset[0], torch.Tensor | np.ndarray) and dataset[0].ndim in (3, 4)


def _is_path_pair(sample: Any) -> bool:
    pair = isinstance(sample, tuple | list) and len(sample) == 2
    return pair and isinstance(sample[0], str | Path)


def _untouched(dataset: Any) -> bool:
    """Whether nothing is done to samples while they are read."""
    names = ("transform", "target_transform", "transforms")
    return all(getattr(dataset, name, None) is None for name in names)


def _is_plain_folder(dataset: Any) -> bool:
    """Whether this is torchvision's DatasetFolder, read as it came."""
    folder = sys.modules.get("torchvision.datasets.folder")
    if folder is None or not isinstance(dataset, folder.DatasetFolder):
        return False
    usual = type(dataset).__getitem__ is folder.DatasetFolder.__getitem__
    return usual and dataset.loader is folder.default_loader and _untouched(dataset)


def _is_plain_memory(dataset: Any) -> bool:
    """Whether this is one of torchvision's data sets that hold all images, read as it came."""
    found = [
        getattr(sys.modules.get(f"torchvision.datasets.{module}"), name, None)
        for module, name in (("cifar", "CIFAR10"), ("mnist", "MNIST"))
    ]
    read = type(dataset).__getitem__ if hasattr(type(dataset), "__getitem__") else None
    usual = any(kind is not None and read is kind.__getitem__ for kind in found)
    return usual and _untouched(dataset)


def _contents(path: Any) -> bytes:
    """All bytes of a file."""
    try:
        with FileIO(path) as stream:
            return stream.readall()
    except ValueError as error:  # such as a NUL byte, which no file's name holds
        raise DataError(
            f"{str(path)!r}: a path must be one that the system can open, got: {error}. Correct "
            "it in the data set."
        ) from None


def _files(samples: Sequence[Any]) -> Files:
    """Files from pairs (path, label)."""
    labels: Any = [label for _, label in samples]
    whole = [isinstance(label, int | np.integer) for label in labels]
    kept = np.array(labels, np.int64) if all(whole) else labels
    return Files([path for path, _ in samples], kept)


def _arrays(images: Any, labels: Any) -> Arrays:
    """Arrays from torch [N, C, H, W] or [N, H, W], or NumPy [N, H, W, C] or [N, H, W]."""
    if images.ndim == 3:
        images = images[:, None] if isinstance(images, torch.Tensor) else images[..., None]
    if isinstance(images, np.ndarray):
        shared = images if images.flags.writeable else images.copy()
        images = torch.from_numpy(np.ascontiguousarray(shared)).movedim(-1, 1)
    if isinstance(labels, list | tuple) and labels and isinstance(labels[0], Mapping):
        labels = list(labels)
    elif labels is not None:
        found = labels.numpy(force=True) if isinstance(labels, torch.Tensor) else labels
        labels = np.asarray(found)
    if labels is not None and len(labels) != len(images):
        raise DataError(
            f"Every image needs a label, got {len(images)} images and {len(labels)} labels."
        )
    return Arrays(images, labels)


def _tensor(labels: np.ndarray) -> torch.Tensor:
    try:
        return torch.from_numpy(native(labels))
    except TypeError:
        raise DataError(
            f"Labels in an array must be numbers, got {labels.dtype}. Number the classes: "
            "names, labels = np.unique(labels, return_inverse=True)."
        ) from None


def _labels(labels: Any, rows: np.ndarray, numpy: bool, apart: bool) -> Any:
    if isinstance(labels, np.ndarray):
        found = labels[rows]
        return found if numpy else _tensor(found)
    some = [labels[row] for row in rows.tolist()]
    return some if apart else as_labels(some, numpy=numpy)
