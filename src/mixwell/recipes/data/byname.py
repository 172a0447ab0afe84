"""From a data set's name to its training and test images."""

from __future__ import annotations

import difflib
from pathlib import Path

from mixwell import DataError
from mixwell.recipes.data.arrays import TrainTest
from mixwell.recipes.data.cifar import load_cifar
from mixwell.recipes.data.digits import load_digits
from mixwell.recipes.data.folder import load_folders

DOWNLOADS = Path("data")
"""Where a download goes when no folder is named; the repository's git ignores it."""

_NAMES = ("cifar10", "cifar100", "digits", "folder")


def dataset_names() -> list[str]:
    """Names that :func:`load_dataset` accepts, sorted."""
    return list(_NAMES)


def load_dataset(
    name: str, data_dir: str | Path | None = None, download: bool = False
) -> TrainTest:
    """Load a data set's training and test images.

    ========  ==================================================================================
    digits    1,797 handwritten digits from scikit-learn; needs no ``data_dir``
    cifar10   the published Python or binary batches, lossless sprites, or PNGs in class folders
    cifar100  the same (without sprites), with the 100 fine labels
    folder    your own images: ``train/CLASS/*`` and ``val/CLASS/*`` (or ``test/CLASS/*``);
              or only ``CLASS/*``, of which every fifth file becomes the test part
    ========  ==================================================================================

    Args:
        name: one of the names above.
        data_dir: where the files are: the data set's own folder or its parent.
        download: fetch CIFAR into ``data_dir`` if it is not there yet; the folder is made where
            it is missing, and is ``data/`` in the working directory where none is given.

    Returns:
        Both sets with their normalisation.

    Raises:
        DataError: unknown name, no ``data_dir`` where one is needed, files missing or damaged, a
            download that failed, or ``download=True`` for your own images.
        ImportError: ``digits`` without scikit-learn.
    """
    if name not in _NAMES:
        close = difflib.get_close_matches(name, _NAMES, cutoff=0.5)
        hint = f"Did you mean {' or '.join(close)}?" if close else "Use one of these."
        raise DataError(f"load_dataset knows {', '.join(_NAMES)}, got {name!r}. {hint}")
    if name == "digits":
        return load_digits()
    if name == "folder":
        return load_folders(_own_folder(data_dir, download))
    if data_dir is None and not download:
        raise DataError(
            f"The {name} data set needs data_dir (--data-dir), got none. Give the folder that "
            f"holds its files, or let download=True (--download) fetch them into {DOWNLOADS}/."
        )
    return load_cifar(name, Path(data_dir or DOWNLOADS), download)


def _own_folder(data_dir: str | Path | None, download: bool) -> Path:
    if download:
        raise DataError(
            "The folder data set is your own images and cannot be downloaded, got download=True "
            "(--download). Leave it out."
        )
    if data_dir is None:
        raise DataError(
            "The folder data set needs data_dir (--data-dir), got none. Give the folder that holds "
            "one subfolder of images per class."
        )
    return Path(data_dir)
