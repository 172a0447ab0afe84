"""The images once more, in the folders that other tools read.

::

    images/train/CLASS  images/valid/CLASS  images/train_valid/CLASS  images/test/unknown
"""

from __future__ import annotations

import shutil
from pathlib import Path

from mixwell import DataError
from mixwell.recipes.kaggle.competition import Row


def copy_images(rows: list[Row], out: Path) -> None:
    """Copy the images of the index.

    Args:
        rows: of the index.
        out: the prepared folder.

    Raises:
        DataError: a label cannot name a folder, or two ids would name one file.
    """
    for row in rows:
        if row.part == "test":
            places = ["test/unknown"]
        else:
            places = [f"{row.part}/{row.label}", f"train_valid/{row.label}"]
            if row.label in (".", "..") or set(row.label) & set("/\\\0") or row.label[:1] == ".":
                raise DataError(
                    f"Copies need labels that can name a folder, got {row.label!r}. Leave out "
                    "copies (--copies): the index takes any label."
                )
        source = out / row.file
        stem = row.id.removesuffix(source.suffix).replace("/", "_").replace("\\", "_")
        for home in places:
            target = out / "images" / home / (stem + source.suffix)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                raise DataError(f"Copies need different names, got {target} twice.")
            shutil.copyfile(source, target)
