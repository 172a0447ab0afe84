"""Finding image files and reading their sizes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from mixwell import DataError
from mixwell.recipes.data.folder import SUFFIXES

_ORIENTATION, _TURNED = 0x0112, range(5, 9)


def is_image(path: Path) -> bool:
    """Whether a path is a visible file with an image's suffix."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def image_files(folder: Path, *, deep: bool = False) -> list[Path]:
    """The image files of a folder, sorted by path.

    Args:
        folder: where to look.
        deep: in its subfolders too.
    """
    found = folder.rglob("*") if deep else folder.iterdir()
    return sorted(path for path in found if is_image(path))


def upright_size(path: Path) -> tuple[int, int]:
    """Height and width of an image turned upright by its EXIF orientation, from the header alone.

    Raises:
        DataError: the file is missing or no image.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION) in _TURNED
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"Every image needs a readable header, got {type(error).__name__} for {path}: "
            f"{str(error).rstrip('.')}. Replace the file or remove it and its annotation."
        ) from None
    return (width, height) if turned else (height, width)


def text_of(path: Path) -> str:
    """A text file's content.

    Raises:
        DataError: the file is missing or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"An annotation file must be readable UTF-8 text, got {type(error).__name__} for "
            f"{path}. Check the path, or save the file as UTF-8."
        ) from None


def shorten(names: Iterable[object], most: int = 6) -> str:
    """Some names in a line."""
    listed = [str(name) for name in names]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return (", ".join(listed[:most]) or "nothing") + more
