"""`--data` takes a data set's name or a folder; a folder is looked at to see what it holds."""

from __future__ import annotations

import difflib
from pathlib import Path

from mixwell._errors import DataError
from mixwell.cli import console
from mixwell.recipes.data import dataset_names
from mixwell.recipes.data.cifar_names import CIFAR10_CLASSES, CIFAR100_CLASSES
from mixwell.recipes.data.folder import is_unsplit, split_note
from mixwell.recipes.progress import first_process

_MARKS = {
    "cifar10": ("data_batch_1", "data_batch_1.bin", "data_batch_1.webp"),
    "cifar100": ("cifar-100-python", "cifar-100-binary", "train.bin"),
}
_HOMES = {
    "cifar10": ("cifar-10-batches-py", "cifar-10-batches-bin", "cifar10"),
    "cifar100": ("cifar100",),
}


def resolve_data(
    data: str | None, data_dir: Path | None, download: bool = False
) -> tuple[str, Path | None]:
    """The data set's name and folder from what was given on the command line.

    Args:
        data: a name, a folder, or None.
        data_dir: a folder, or None.
        download: whether `data_dir` may still have to be made and filled.

    Returns:
        The name and the folder. Without any, the digits.

    Raises:
        DataError: a folder is missing, holds no known layout or is given twice; no data set has
            that name; or a download is asked for without one.
    """
    if data_dir is not None and data_dir.exists() and not data_dir.is_dir():
        raise DataError(f"--data-dir must be a folder, got the file {data_dir}.")
    if data in dataset_names():
        return data, data_dir
    folder = Path(data) if data is not None else data_dir
    if folder is None:
        return "digits", None
    if download and _is_void(folder) and not _close(data):
        place = data_dir or folder
        raise DataError(
            f"--download needs the name of what to fetch, got the folder {folder} alone. Say "
            f"--data cifar10 --data-dir {place} --download, or cifar100."
        )
    if data is not None and not folder.is_dir():
        raise DataError(_unknown(data))
    if data is not None and data_dir is not None:
        raise DataError(f"Give the folder once, got --data {data} and --data-dir {data_dir}.")
    return detect(folder), folder


def tell_split(data: str, data_dir: Path | None) -> None:
    """Say in one line that a folder is divided into training and test images, where it is."""
    if data == "folder" and data_dir is not None and is_unsplit(data_dir) and first_process():
        console.standard().print(split_note(data_dir), markup=False, soft_wrap=True)


def detect(folder: Path) -> str:
    """Which data set a folder holds: "cifar10", "cifar100" or "folder".

    Raises:
        DataError: the folder is missing or holds none of them.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}. Check the path.")
    for name, marks in _MARKS.items():
        homes = (folder, *(folder / home for home in _HOMES[name]))
        if any((home / mark).exists() for home in homes for mark in marks):
            return name
    if (folder / "train").is_file() and (folder / "test").is_file():
        return "cifar100"  # the Python batches without the folder they come in
    if (folder / "train").is_dir():
        return _by_classes(folder)
    if is_unsplit(folder):
        return "folder"
    found = sorted(path.name for path in folder.iterdir())[:6]
    raise DataError(
        f"{folder} holds neither CIFAR nor a subfolder of images for each class, there or in "
        f"train/ and val/ (or test/), got {', '.join(found) or 'an empty folder'}."
    )


def _by_classes(folder: Path) -> str:
    """CIFAR kept as PNGs in class folders, or any other images."""
    classes = {path.name for path in (folder / "train").iterdir() if path.is_dir()}
    if (folder / "test").is_dir() and not (folder / "val").is_dir():
        for name, known in (("cifar10", CIFAR10_CLASSES), ("cifar100", CIFAR100_CLASSES)):
            if classes == set(known):
                return name
    return "folder"


def _is_void(folder: Path) -> bool:
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def _close(data: str | None) -> list[str]:
    return difflib.get_close_matches(data or "", dataset_names(), n=1)


def _unknown(data: str) -> str:
    names = ", ".join(dataset_names())
    if Path(data).is_file():
        return f"--data must be a folder or one of {names}; got the file {data}."
    close = _close(data)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"--data must be an existing folder or one of {names}; got {data}.{hint}"
