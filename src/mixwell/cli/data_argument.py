"""`--data` takes a data set's name or a folder; a folder is looked at to see what it holds."""

from __future__ import annotations

import difflib
from pathlib import Path

from mixwell._errors import DataError
from mixwell.recipes.data import dataset_names
from mixwell.recipes.data.cifar_names import CIFAR10_CLASSES, CIFAR100_CLASSES

_MARKS = {
    "cifar10": ("data_batch_1", "data_batch_1.bin", "data_batch_1.webp"),
    "cifar100": ("cifar-100-python", "cifar-100-binary", "train.bin"),
}
_HOMES = {
    "cifar10": ("cifar-10-batches-py", "cifar-10-batches-bin", "cifar10"),
    "cifar100": ("cifar100",),
}


def resolve_data(data: str | None, data_dir: Path | None) -> tuple[str, Path | None]:
    """The data set's name and folder from what was given on the command line.

    Args:
        data: a name, a folder, or None.
        data_dir: a folder, or None.

    Returns:
        The name and the folder. Without any, the digits.

    Raises:
        DataError: a folder is missing, holds no known layout or is given twice; or no data set has
            that name.
    """
    if data_dir is not None and data_dir.exists() and not data_dir.is_dir():
        raise DataError(f"--data-dir must be a folder, got the file {data_dir}.")
    if data in dataset_names():
        return data, data_dir
    if data is None:
        return (detect(data_dir), data_dir) if data_dir is not None else ("digits", None)
    if not Path(data).is_dir():
        raise DataError(_unknown(data))
    if data_dir is not None:
        raise DataError(f"Give the folder once, got --data {data} and --data-dir {data_dir}.")
    return detect(Path(data)), Path(data)


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
    found = sorted(path.name for path in folder.iterdir())[:6]
    raise DataError(
        f"{folder} holds neither CIFAR nor train/ and val/ (or test/) with a subfolder for each "
        f"class, got {', '.join(found) or 'an empty folder'}."
    )


def _by_classes(folder: Path) -> str:
    """CIFAR kept as PNGs in class folders, or any other images."""
    classes = {path.name for path in (folder / "train").iterdir() if path.is_dir()}
    if (folder / "test").is_dir() and not (folder / "val").is_dir():
        for name, known in (("cifar10", CIFAR10_CLASSES), ("cifar100", CIFAR100_CLASSES)):
            if classes == set(known):
                return name
    return "folder"


def _unknown(data: str) -> str:
    names = ", ".join(dataset_names())
    if Path(data).is_file():
        return f"--data must be a folder or one of {names}; got the file {data}."
    close = difflib.get_close_matches(data, dataset_names(), n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"--data must be an existing folder or one of {names}; got {data}.{hint}"
