"""CIFAR-10 and CIFAR-100 from any of the forms in which people keep them.

==========  ======================================================================================
python      ``cifar-10-batches-py/data_batch_1`` ... ``test_batch``; ``cifar-100-python/train``
binary      ``cifar-10-batches-bin/data_batch_1.bin`` ...; ``cifar-100-binary/train.bin``
sprite      ``data_batch_1.webp`` ... ``test_batch.webp`` (lossless; 32x32 tiles row by row) with
            ``train_labels.u8`` and ``test_labels.u8`` (one byte per image); CIFAR-10 only
png         ``train/CLASS/*.png`` and ``test/CLASS/*.png``, named by the official classes
==========  ======================================================================================

The first form found, in this order, is read; the first three keep the published image order.

References:
    Alex Krizhevsky. Learning Multiple Layers of Features from Tiny Images. 2009.
"""

from __future__ import annotations

import http.client
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from mixwell import DataError
from mixwell.recipes.data.arrays import ArraySet, TrainTest, channel_stats, check_labels
from mixwell.recipes.data.cifar_names import CIFAR10_CLASSES, CIFAR100_CLASSES
from mixwell.recipes.data.decode import decode_rgb
from mixwell.recipes.data.folder import FolderSet
from mixwell.recipes.data.pickles import read_pickled_dict

SIDE = 32
IMAGE_BYTES = 3 * SIDE * SIDE
Batch = tuple[np.ndarray, np.ndarray]  # uint8 [n, 32, 32, 3], int64 [n]


@dataclass(frozen=True)
class _Kind:
    """What differs between the two data sets."""

    name: str
    classes: tuple[str, ...]
    python_dir: str
    binary_dir: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    label_key: str
    label_bytes: int  # per record of a binary file; the last one is the class

    def stems(self, split: str) -> tuple[str, ...]:
        return self.train if split == "train" else self.test


_KINDS = {
    "cifar10": _Kind(
        name="cifar10",
        classes=CIFAR10_CLASSES,
        python_dir="cifar-10-batches-py",
        binary_dir="cifar-10-batches-bin",
        train=tuple(f"data_batch_{i}" for i in range(1, 6)),
        test=("test_batch",),
        label_key="labels",
        label_bytes=1,
    ),
    "cifar100": _Kind(
        name="cifar100",
        classes=CIFAR100_CLASSES,
        python_dir="cifar-100-python",
        binary_dir="cifar-100-binary",
        train=("train",),
        test=("test",),
        label_key="fine_labels",
        label_bytes=2,
    ),
}


def load_cifar(name: str, data_dir: Path, download: bool = False) -> TrainTest:
    """Load CIFAR-10 or CIFAR-100.

    Args:
        name: ``"cifar10"`` or ``"cifar100"``.
        data_dir: the folder with the files, or its parent.
        download: fetch the published Python batches into ``data_dir``, made where it is missing,
            if nothing is there yet.

    Returns:
        Both sets as :class:`ArraySet` of 32x32 RGB; mean and std of the training images.

    Raises:
        DataError: nothing found, a file missing or damaged, or the download failed.
    """
    kind = _KINDS[name]
    if download:
        _fetch(kind, data_dir)
    found = _find(kind, data_dir)
    if found is None:
        raise DataError(
            f"{name} needs {kind.python_dir}, {kind.binary_dir} or class folders under train/ and "
            f"test/, got none of them in {data_dir}. Check data_dir (--data-dir), or "
            "fetch it with download=True (--download)."
        )
    read, folder = found
    train, test = read(kind, folder, "train"), read(kind, folder, "test")
    mean, std = channel_stats(train.images)
    return TrainTest(train, test, name, mean, std)


Reader = Callable[[_Kind, Path, str], ArraySet]


def _find(kind: _Kind, data_dir: Path) -> tuple[Reader, Path] | None:
    """The first layout present, with its folder."""
    stems = kind.train + kind.test
    tries: list[tuple[Reader, str, list[str]]] = [
        (_read_python, kind.python_dir, list(stems)),
        (_read_binary, kind.binary_dir, [f"{stem}.bin" for stem in stems]),
    ]
    if kind.name == "cifar10":
        tries.append((_read_sprites, kind.name, [f"{stem}.webp" for stem in stems]))
    for reader, own_name, files in tries:
        for folder in (data_dir, data_dir / own_name):
            if any((folder / file).is_file() for file in files):
                return reader, folder
    for folder in (data_dir, data_dir / kind.name):
        if (folder / "train").is_dir() and (folder / "test").is_dir():
            return _read_png, folder
    return None


def _fetch(kind: _Kind, data_dir: Path) -> None:
    """Download unless it is there; one process at a time, so that ranks wait for the first one and
    none reads what another is still unpacking."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(data_dir / ".download.lock"):
            if _find(kind, data_dir) is None:
                _download(kind, data_dir)
    except OSError as error:
        raise DataError(
            f"{kind.name} could not be downloaded into {data_dir}: {error}. Name another folder."
        ) from None


def _download(kind: _Kind, data_dir: Path) -> None:
    """Fetch and unpack the published archive, checked by MD5; reads none of it."""
    from torchvision.datasets import CIFAR10, CIFAR100, utils

    source = CIFAR10 if kind.name == "cifar10" else CIFAR100
    try:
        utils.download_and_extract_archive(
            source.url, str(data_dir), filename=source.filename, md5=source.tgz_md5
        )
    except (OSError, RuntimeError, EOFError, tarfile.TarError, http.client.HTTPException) as error:
        raise DataError(
            f"{kind.name} could not be downloaded into {data_dir}: {error}. Check the connection, "
            f"or unpack {source.filename} there by hand."
        ) from None


def _need(kind: _Kind, path: Path) -> Path:
    if not path.is_file():
        raise DataError(
            f"{kind.name} needs every batch, got no {path.name} in {path.parent}. "
            "Copy or download the missing file."
        )
    return path


def _joined(kind: _Kind, batches: list[Batch]) -> ArraySet:
    images = np.concatenate([images for images, _ in batches])
    labels = np.concatenate([labels for _, labels in batches])
    return ArraySet(images, labels, kind.classes)


def _planes_to_pixels(planes: np.ndarray) -> np.ndarray:
    """Uint8 ``[n, 3072]`` (red plane, green plane, blue plane) to ``[n, 32, 32, 3]``."""
    return planes.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)


def _read_python(kind: _Kind, folder: Path, split: str) -> ArraySet:
    return _joined(kind, [_python_batch(kind, folder / stem) for stem in kind.stems(split)])


def _python_batch(kind: _Kind, path: Path) -> Batch:
    batch = read_pickled_dict(_need(kind, path))
    data, raw_labels = batch.get("data"), batch.get(kind.label_key)
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != IMAGE_BYTES:
        raise DataError(
            f"{path} needs uint8 'data' [n, {IMAGE_BYTES}], got "
            f"{getattr(data, 'shape', 'none')}. Check that the file is a {kind.name} batch."
        )
    if not isinstance(raw_labels, list) or not all(type(label) is int for label in raw_labels):
        raise DataError(
            f"{path} needs a list of whole numbers '{kind.label_key}', got "
            f"{type(raw_labels).__name__}. Check that the file is a {kind.name} batch."
        )
    if len(raw_labels) != len(data):
        raise DataError(
            f"{path} needs one label per image, got {len(raw_labels)} labels for {len(data)} "
            "images. Copy or download the file again."
        )
    labels = np.array(raw_labels, dtype=np.int64)
    check_labels(labels, len(kind.classes), str(path))
    return _planes_to_pixels(data), labels


def _read_binary(kind: _Kind, folder: Path, split: str) -> ArraySet:
    paths = [_need(kind, folder / f"{stem}.bin") for stem in kind.stems(split)]
    return _joined(kind, [_binary_batch(kind, path) for path in paths])


def _binary_batch(kind: _Kind, path: Path) -> Batch:
    record = kind.label_bytes + IMAGE_BYTES
    raw = np.fromfile(path, dtype=np.uint8)
    if not raw.size or raw.size % record:
        raise DataError(
            f"{path} needs a whole number of records of {record} bytes, got {raw.size} bytes. "
            "Copy or download the file again."
        )
    records = raw.reshape(-1, record)
    labels = records[:, kind.label_bytes - 1].astype(np.int64)
    check_labels(labels, len(kind.classes), str(path))
    return _planes_to_pixels(records[:, kind.label_bytes :]), labels


def _read_sprites(kind: _Kind, folder: Path, split: str) -> ArraySet:
    paths = [_need(kind, folder / f"{stem}.webp") for stem in kind.stems(split)]
    images = np.concatenate([_tiles(path) for path in paths])
    label_path = _need(kind, folder / f"{split}_labels.u8")
    labels = np.fromfile(label_path, dtype=np.uint8).astype(np.int64)
    if len(labels) != len(images):
        raise DataError(
            f"{label_path} needs one byte per image, got {len(labels)} bytes for {len(images)} "
            "images. Copy the files again."
        )
    check_labels(labels, len(kind.classes), str(label_path))
    return ArraySet(images, labels, kind.classes)


def _tiles(path: Path) -> np.ndarray:
    """Cut a sprite into uint8 ``[n, 32, 32, 3]``, row by row."""
    sprite = decode_rgb(path)
    height, width = sprite.shape[:2]
    if height % SIDE or width % SIDE:
        raise DataError(
            f"{path} needs sides that are multiples of {SIDE}, got {height}x{width}. "
            "Copy the file again."
        )
    tiles = sprite.reshape(height // SIDE, SIDE, width // SIDE, SIDE, 3)
    return tiles.swapaxes(1, 2).reshape(-1, SIDE, SIDE, 3)


def _read_png(kind: _Kind, folder: Path, split: str) -> ArraySet:
    found = FolderSet(folder / split)
    if found.classes != kind.classes:
        odd = sorted(set(found.classes) ^ set(kind.classes))
        raise DataError(
            f"{kind.name} needs its {len(kind.classes)} class folders in {folder / split}, got "
            f"{len(found.classes)} folders, differing in {', '.join(odd[:6])}. Rename them, or "
            "load them with the name 'folder'."
        )
    return ArraySet(np.stack([_one_png(path) for path in found.paths]), found.labels, kind.classes)


def _one_png(path: Path) -> np.ndarray:
    image = decode_rgb(path)
    if image.shape != (SIDE, SIDE, 3):
        raise DataError(
            f"CIFAR images are {SIDE}x{SIDE}, got {image.shape[0]}x{image.shape[1]} in {path}. "
            "Replace the file, or load the images with the name 'folder'."
        )
    return image
