"""Find image files, and the file that belongs to each id."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from PIL import Image

from mixwell import DataError
from mixwell.recipes.data.decode import header_is_readable
from mixwell.recipes.data.folder import SUFFIXES
from mixwell.recipes.kaggle.tables import few

# How an id may name its file, in the order in which the ways are tried.
_WAYS: dict[str, Callable[[PurePosixPath], str]] = {
    "path": lambda path: path.as_posix(),
    "path without suffix": lambda path: path.with_suffix("").as_posix(),
    "name": lambda path: path.name,
    "name without suffix": lambda path: path.stem,
}


def image_files(folder: Path) -> tuple[list[str], int]:
    """The images of a folder, at any depth, and how many other files there are.

    Links to folders are not followed; hidden files and folders are counted as others.

    Returns:
        Paths relative to the folder with forward slashes, sorted, and the count.

    Raises:
        DataError: no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"Images need a folder or an archive, got {folder}. Check the path.")
    found, others = [], 0
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        home = Path(where).relative_to(folder)
        for name in names:
            if name.startswith(".") or Path(name).suffix.lower() not in SUFFIXES:
                others += 1
            else:
                found.append((home / name).as_posix())
    return sorted(found), others


def matched(ids: Iterable[str], files: list[str], what: str) -> tuple[dict[str, str], list[str]]:
    """The file of each id, by name.

    An id is a file's path in its folder, that without its suffix, its name, or its name without
    suffix: the first way in which every id has a file, or else the one in which most have.

    Args:
        ids: each once.
        files: relative paths, each once.
        what: the images, for messages.

    Returns:
        File by id in the order of the ids, and the ids without a file.

    Raises:
        DataError: two files have the name of one id, or no id has a file.
    """
    wanted = list(ids)
    best: dict[str, str] = {}
    clash: tuple[str, str, str] | None = None
    for way in _WAYS.values():
        named, twice = _by_name(files, way, set(wanted))
        if len(named) > len(best):
            best, clash = named, twice
        if len(best) == len(wanted):
            break
    if clash:
        raise DataError(
            f"Each id needs one image among the {what} images, got {clash[1]} and {clash[2]} for "
            f"{clash[0]!r}. Remove one, or write the ids with the suffix."
        )
    if not best:
        raise DataError(
            f"Ids must be the names of the {what} images, got no image for any of "
            f"{len(wanted):,} ids ({few(wanted)}) among {len(files):,} images "
            f"({few(files) or 'none'}). Check that they belong together."
        )
    return {key: best[key] for key in wanted if key in best}, [k for k in wanted if k not in best]


def _by_name(
    files: list[str], way: Callable[[PurePosixPath], str], wanted: set[str]
) -> tuple[dict[str, str], tuple[str, str, str] | None]:
    """File by id, one way, and the first id with two files."""
    named: dict[str, str] = {}
    twice = None
    for file in files:
        key = way(PurePosixPath(file))
        if key not in wanted:
            continue
        if key in named:
            twice = twice or (key, named[key], file)
        named[key] = file
    return named, twice


def own_ids(files: list[str]) -> dict[str, str]:
    """Files by their names without suffix, where nothing says what the ids are.

    Raises:
        DataError: two files have the same name.
    """
    named: dict[str, str] = {}
    for file in files:
        key = PurePosixPath(file).stem
        if key in named:
            raise DataError(
                f"Test images need different names, got {named[key]} and {file}. Give a sample "
                "submission whose ids say which is which: sample (--sample)."
            )
        named[key] = file
    return named


def image_size(path: Path) -> tuple[int, int] | None:
    """Height and width that an image's header states, px; None where it is damaged."""
    if not header_is_readable(path):
        return None
    with Image.open(path) as image:
        return image.height, image.width
