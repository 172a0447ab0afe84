"""Where in a competition's folder the labels, the images and the sample submission are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mixwell import DataError
from mixwell.recipes.data.folder import SUFFIXES
from mixwell.recipes.kaggle.archives import is_archive
from mixwell.recipes.kaggle.config import PrepareConfig
from mixwell.recipes.kaggle.tables import few

IMAGES = SUFFIXES
_PACKED = frozenset({".zip", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz"})
_NAMES = {
    "train": ("train", "training", "train_images", "train-images"),
    "test": ("test", "testing", "test_images", "test-images"),
}


@dataclass(frozen=True)
class Source:
    """The files of a competition.

    Attributes:
        labels: CSV of ids and labels.
        train: folder or archive of training images.
        test: folder or archive of the images to predict.
        sample: sample submission, or None.
    """

    SUFFIXES: ClassVar[frozenset[str]] = IMAGES | _PACKED | {".csv"}
    """Files that a competition is made of."""

    labels: Path
    train: Path
    test: Path
    sample: Path | None


def find_source(folder: Path, given: PrepareConfig) -> Source:
    """Look for what was not named.

    Labels are a CSV file with "label" in its name, or train.csv; the sample has "sample" in its
    name; images are a folder or an archive called train, training or train_images, and likewise
    for test.

    Args:
        folder: the competition's; one that holds nothing but another folder stands for that.
        given: what was named.

    Raises:
        DataError: nothing fits, or several files do.
    """
    inside = _inside(folder)
    while len(inside) == 1 and inside[0].is_dir() and not _is("train")(inside[0]):
        folder, inside = inside[0], _inside(inside[0])
    labels = given.labels or _one(folder, inside, "labels", _is_labels, _is_train_table)
    train = given.train or _one(folder, inside, "train", _is("train"))
    test = given.test or _one(folder, inside, "test", _is("test"))
    sample = given.sample or _at_most_one(folder, inside, "sample", _is_sample)
    return Source(labels, train, test, sample)


def _inside(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


Test = Callable[[Path], bool]


def _is_table(path: Path) -> bool:
    return path.suffix.lower() == ".csv" and path.is_file()


def _is_sample(path: Path) -> bool:
    return _is_table(path) and "sample" in path.name.lower()


def _is_labels(path: Path) -> bool:
    return _is_table(path) and "label" in path.name.lower() and not _is_sample(path)


def _is_train_table(path: Path) -> bool:
    return _is_table(path) and path.stem.lower() == "train"


def _is(part: str) -> Test:
    """Whether something is called like the part's images."""

    def test(path: Path) -> bool:
        name = path.name.lower()
        stem = name if path.is_dir() else name.split(".")[0]
        return stem in _NAMES[part] and (path.is_dir() or is_archive(path))

    return test


def _one(folder: Path, inside: list[Path], what: str, *tests: Test) -> Path:
    found = _at_most_one(folder, inside, what, *tests)
    if found is None:
        raise DataError(
            f"A competition needs its {what}, got none by that name in {folder} "
            f"({few([path.name for path in inside]) or 'an empty folder'}). Name it: {what} "
            f"(--{what})."
        )
    return found


def _at_most_one(folder: Path, inside: list[Path], what: str, *tests: Test) -> Path | None:
    """What the first test that fits anything fits; a folder goes before its own archive."""
    for test in tests:
        found = [path for path in inside if test(path)]
        folders = [path for path in found if path.is_dir()]
        found = folders or found
        if len(found) > 1:
            raise DataError(
                f"A competition needs one file for its {what}, got "
                f"{few([path.name for path in found])} in {folder}. Say which: {what} (--{what})."
            )
        if found:
            return found[0]
    return None
