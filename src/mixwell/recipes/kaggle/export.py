"""Write a data set out as a competition would publish it, to practise on.

::

    OUT/trainLabels.csv         id, label
    OUT/sampleSubmission.csv    id, label: every test id, always with the first class
    OUT/train/ID.png            or train.zip, train.tar, train.7z
    OUT/test/ID.png             likewise
    OUT/answers.csv             id, label: what a real competition keeps to itself
"""

from __future__ import annotations

import csv
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from PIL import Image

from mixwell import DataError
from mixwell.recipes.config import subset
from mixwell.recipes.data import ArraySet, TrainTest, load_dataset
from mixwell.recipes.place import place
from mixwell.recipes.progress import waiting

Add = Callable[[str, bytes], None]


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """What is written.

    Args:
        data_dir: where the images are; not needed for digits.
        download: fetch CIFAR when it is not there.
        train_fraction: share of the training images of each class, above 0 .. 1.
        test_fraction: share of the test images of each class, above 0 .. 1.
        pack: folder, zip, tar or 7z.
        out: the folder; when left out runs/NAME-competition, or with a number where that holds one.
        overwrite: write over the competition that is in the folder.
        quiet: show nothing.
    """

    data_dir: Path | None = None
    download: bool = False
    train_fraction: float = 1.0
    test_fraction: float = 1.0
    pack: Literal["folder", "zip", "tar", "7z"] = "folder"
    out: Path | None = None
    overwrite: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        """Refuse values that cannot mean anything.

        Raises:
            ValueError: a share is out of range.
        """
        for name in ("train_fraction", "test_fraction"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie above 0 .. 1, got {getattr(self, name)}.")


MARKS = ("trainLabels.csv", "answers.csv")


def export(data: str, config: ExportConfig) -> tuple[Path, dict[str, int]]:
    """Write a data set as a competition.

    Args:
        data: digits, cifar10 or cifar100.
        config: how much of it, and where to.

    Returns:
        The folder, and the number of images by part.

    Raises:
        DataError: no such data set, one of files and not of arrays, or the folder holds a
            competition and `overwrite` is not set.
        ImportError: `pack="7z"`, and py7zr is not installed.
    """
    with waiting(f"loading {data}", quiet=config.quiet):
        loaded = load_dataset(data, config.data_dir, config.download)
    swapped = replace(loaded, train=loaded.test, test=loaded.train)
    parts = {
        "train": _taken(loaded, config.train_fraction),
        "test": _taken(swapped, config.test_fraction),
    }
    name = f"{data}-competition"
    out = place(config.out, name, MARKS, resume=False, overwrite=config.overwrite)
    out.mkdir(parents=True, exist_ok=True)
    with waiting("writing images", quiet=config.quiet):
        for part, images in parts.items():
            with _PACKS[config.pack](out, part) as add:
                for i, pixels in enumerate(images.images):
                    add(f"{part}/{i + 1}.png", _png(pixels))
    train, test = (_labels(images) for images in parts.values())
    _table(out / "trainLabels.csv", train)
    _table(out / "answers.csv", test)
    _table(out / "sampleSubmission.csv", [loaded.classes[0]] * len(test))
    return out, {part: len(images) for part, images in parts.items()}


def _taken(data: TrainTest, fraction: float) -> ArraySet:
    """A share of the training images of each class."""
    taken = subset(data, fraction).train
    if not isinstance(taken, ArraySet):
        raise DataError(
            f"Exporting needs images in memory, got {taken!r}. Use the files as they are."
        )
    return taken


def _labels(images: ArraySet) -> list[str]:
    return [images.classes[label] for label in images.labels]


def _table(path: Path, labels: list[str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("id", "label"))
        writer.writerows((i + 1, label) for i, label in enumerate(labels))


def _png(pixels) -> bytes:
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


# ------------------------------------------------------------------ where the files go


@contextmanager
def _folder(out: Path, part: str) -> Iterator[Add]:
    def add(name: str, content: bytes) -> None:
        path = out / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)

    yield add


@contextmanager
def _zip(out: Path, part: str) -> Iterator[Add]:
    with zipfile.ZipFile(out / f"{part}.zip", "w") as packed:
        yield packed.writestr


@contextmanager
def _tar(out: Path, part: str) -> Iterator[Add]:
    with tarfile.open(out / f"{part}.tar", "w") as packed:

        def add(name: str, content: bytes) -> None:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))

        yield add


@contextmanager
def _7z(out: Path, part: str) -> Iterator[Add]:
    try:
        import py7zr
    except ImportError:
        raise ImportError(
            "Packing 7z files needs the py7zr package, which is not installed. Run "
            "`pip install 'mixwell[kaggle]'`, or pack zip or tar files."
        ) from None
    with py7zr.SevenZipFile(out / f"{part}.7z", "w") as packed:
        yield lambda name, content: packed.writestr(content, name)


_PACKS = {"folder": _folder, "zip": _zip, "tar": _tar, "7z": _7z}
