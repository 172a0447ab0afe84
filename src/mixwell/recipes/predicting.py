"""What predicting shares, whatever is predicted: the images, and the folder that is written to."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from mixwell import DataError
from mixwell.recipes.data.decode import decode_rgb
from mixwell.recipes.detection.data.files import image_files

MARK = "predictions.json"
"""The file that a folder of predictions holds."""


def image_paths(images: Sequence[str | Path]) -> list[Path]:
    """The files of images, in order, each once; folders are searched to any depth.

    Args:
        images: image files, and folders of such.

    Raises:
        DataError: a path leads nowhere, or there is no image.
    """
    files: list[Path] = []
    for path in map(Path, images):
        if not path.exists():
            raise DataError(f"predict takes images and folders, got no {path}. Check the path.")
        files += image_files(path, deep=True) if path.is_dir() else [path]
    if not files:
        where = f" in {', '.join(map(str, images))}" if images else ""
        raise DataError(f"predict needs at least one image, got none{where}. Name some.")
    once: dict[Path, Path] = {}
    for path in files:
        once.setdefault(_whole(path), path)
    return list(once.values())


def from_home(files: Sequence[Path]) -> dict[Path, Path]:
    """For each file its path from the folder that all of them are in."""
    home = os.path.commonpath([_whole(path).parent for path in files])
    return {path: _whole(path).relative_to(home) for path in files}


def readable(files: Sequence[Path], skipped: dict[str, str]) -> Iterator[tuple[Path, Tensor]]:
    """The images that can be decoded.

    Args:
        files: where they are.
        skipped: gets the others, and why.

    Yields:
        The file, and uint8 [3, H, W].
    """
    for path in files:
        try:
            with warnings.catch_warnings():  # such a block counts as none
                warnings.filterwarnings("ignore", "Corrupt EXIF data", UserWarning)
                pixels = decode_rgb(path)
        except DataError as error:
            skipped[str(path)] = str(error)
            continue
        yield path, torch.from_numpy(pixels.transpose(2, 0, 1).copy())


def check_free(out: Path, *, overwrite: bool) -> None:
    """Refuse a folder that holds predictions, unless they may be written over.

    Raises:
        DataError: it holds some.
    """
    if (out / MARK).exists() and not overwrite:
        raise DataError(
            f"Predictions need a folder without, got {out}, which holds {MARK}. Name another "
            "--out, or give them up with --overwrite."
        )


def _whole(path: Path) -> Path:
    """From the root, without steps back; links stay links."""
    return Path(os.path.abspath(path))  # noqa: PTH100
