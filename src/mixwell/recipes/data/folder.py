"""Your own images: one subfolder per class, decoded one at a time."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from mixwell import DataError
from mixwell.recipes.data.arrays import TEST_EVERY, TrainTest, every_fifth_of_class
from mixwell.recipes.data.decode import decode_rgb, header_is_readable

SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
# The usual normalisation of photographs (mean and deviation over ImageNet's training set), used
# because measuring a folder's own would mean decoding all of it.
PHOTO_MEAN = (0.485, 0.456, 0.406)
PHOTO_STD = (0.229, 0.224, 0.225)

OnError = Literal["raise", "skip"]


class FolderSet:
    """Images in class subfolders, like torchvision's ``ImageFolder``.

    Labels number the subfolders in sorted order. Within a class the images are found at any depth
    and sorted by path. Hidden files and folders, and files without an image's suffix, are ignored.
    A decoded image is RGB, turned upright by its EXIF orientation; transparency is dropped, and of
    an animation the first frame is taken.

    Args:
        root: the folder of class folders.
        on_error: ``"skip"`` reads every header once and leaves out files that are no readable
            images, listing them in ``skipped``; ``"raise"`` reads nothing ahead. In both cases a
            file that fails to decode later raises.

    Attributes:
        classes: class names, in label order.
        paths: the N image files.
        labels: int64 ``[N]``.
        skipped: files left out by ``on_error="skip"``.

    Raises:
        DataError: the folder is missing, has fewer than two classes or no images, or a class has
            no (readable) image; or ``on_error`` is neither of the two.
    """

    def __init__(self, root: str | Path, on_error: OnError = "raise") -> None:
        if on_error not in ("raise", "skip"):
            raise DataError(
                f"FolderSet's on_error is 'raise' or 'skip', got {on_error!r}. Use one of them."
            )
        self.root = Path(root)
        self.skipped: list[Path] = []
        self.paths: list[Path] = []
        folders = _class_folders(self.root)
        counts = [self._index_class(folder, on_error) for folder in folders]
        self.classes = tuple(folder.name for folder in folders)
        self.labels = np.repeat(np.arange(len(folders), dtype=np.int64), counts)

    def _index_class(self, folder: Path, on_error: OnError) -> int:
        """Add the images of one class; returns how many."""
        found = _image_files(folder)
        good = [path for path in found if on_error == "raise" or header_is_readable(path)]
        self.skipped += sorted(set(found) - set(good))
        if not good:
            raise DataError(
                f"Every class folder needs at least one image, got none in {folder} "
                f"({len(found)} skipped as unreadable). Add images or remove the folder."
            )
        self.paths += good
        return len(good)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Decode image ``index``: uint8 ``[3, H, W]`` of its own size, and its label.

        Raises:
            DataError: the file cannot be decoded; the message names it.
        """
        pixels = decode_rgb(self.paths[index]).transpose(2, 0, 1)
        return torch.from_numpy(pixels.copy()), int(self.labels[index])

    def only(self, chosen: np.ndarray) -> FolderSet:
        """A set of some of the images with all the classes.

        Args:
            chosen: bool ``[N]``.
        """
        part = copy(self)
        part.paths = [path for path, taken in zip(self.paths, chosen, strict=True) if taken]
        part.labels = self.labels[chosen]
        return part

    def __repr__(self) -> str:
        """``FolderSet(244 images | 2 classes | 0 skipped)``."""
        counts = f"{len(self)} images | {len(self.classes)} classes | {len(self.skipped)} skipped"
        return f"FolderSet({counts})"


def _class_folders(root: Path) -> list[Path]:
    if not root.is_dir():
        raise DataError(
            f"FolderSet needs an existing folder, got {root}. Check the path; it must hold one "
            "subfolder per class."
        )
    inside = _visible(root)
    folders = [path for path in inside if path.is_dir()]
    if not folders:
        loose = sum(path.suffix.lower() in SUFFIXES for path in inside)
        raise DataError(
            f"FolderSet found no images in class subfolders of {root}, got {loose} loose images. "
            "Move the images of each class into a subfolder named like the class."
        )
    if len(folders) == 1:
        raise DataError(
            f"FolderSet needs at least 2 class subfolders in {root}, got 1 ({folders[0].name}). "
            "Give the folder one level higher or lower, or add the other classes."
        )
    return folders


def _visible(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if not path.name.startswith("."))


def _image_files(folder: Path) -> list[Path]:
    def is_image(path: Path) -> bool:
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in parts)
        return not hidden and path.suffix.lower() in SUFFIXES and path.is_file()

    return sorted(path for path in folder.rglob("*") if is_image(path))


def load_folders(data_dir: Path) -> TrainTest:
    """Load ``train/`` and ``val/`` of a folder; without ``val/``, ``valid/`` or else ``test/``.

    A folder with none of the three is taken for one of class folders: of each class every fifth
    file, in order of path, becomes the test part, as for the digits; the result's ``note`` says so.

    Args:
        data_dir: the folder that holds them.

    Returns:
        Two :class:`FolderSet` with equal classes, and the usual normalisation of photographs.

    Raises:
        DataError: as :class:`FolderSet`, or a split is missing, or their classes differ, or a class
            without a split has fewer than five images.
    """
    if is_unsplit(data_dir):
        return _split(data_dir)
    names = [name for name in ("val", "valid", "test") if (data_dir / name).is_dir()]
    if not (data_dir / "train").is_dir() or not names:
        found = sorted(path.name for path in data_dir.iterdir()) if data_dir.is_dir() else "nothing"
        raise DataError(
            f"The folder data set needs train/ and val/ (or test/) in {data_dir}, got "
            f"{_shorten(found)}. Make the two folders, each with one subfolder per class, or only "
            "one subfolder per class."
        )
    train, test = FolderSet(data_dir / "train"), FolderSet(data_dir / names[0])
    if train.classes != test.classes:
        differing = sorted(set(train.classes) ^ set(test.classes))
        raise DataError(
            f"train/ and {names[0]}/ need the same class subfolders, got a difference in "
            f"{_shorten(differing)}. Add the missing folders or remove the others."
        )
    return TrainTest(train, test, "folder", PHOTO_MEAN, PHOTO_STD)


def is_unsplit(data_dir: Path) -> bool:
    """Whether a folder has subfolders, and no train/, val/ or test/ among them."""
    if not data_dir.is_dir():
        return False
    names = {path.name for path in _visible(data_dir) if path.is_dir()}
    return bool(names) and names.isdisjoint(("train", "val", "test"))


def split_note(data_dir: Path) -> str:
    """How a folder without splits is divided, in one line."""
    return (
        f"{data_dir} has no train/ and val/: every fifth image of each class, in order of name, "
        "becomes the test part."
    )


def _split(data_dir: Path) -> TrainTest:
    whole = FolderSet(data_dir)
    counts = np.bincount(whole.labels)
    if counts.min() < TEST_EVERY:
        raise DataError(
            f"Splitting needs at least {TEST_EVERY} images of each class, got {counts.min()} in "
            f"{data_dir / whole.classes[int(counts.argmin())]}. Add images, or make train/ and "
            "val/, each with one subfolder per class."
        )
    test = every_fifth_of_class(whole.labels)
    parts = whole.only(~test), whole.only(test)
    return TrainTest(*parts, "folder", PHOTO_MEAN, PHOTO_STD, split_note(data_dir))


def _shorten(names: list[str] | str, most: int = 6) -> str:
    if isinstance(names, str):
        return names
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "an empty folder") + more
