"""From a name or a folder to a training and a validation set."""

from __future__ import annotations

from pathlib import Path

from mixwell import DataError
from mixwell.recipes.segmentation.data.embedded import load_embedded
from mixwell.recipes.segmentation.data.folder import load_folder
from mixwell.recipes.segmentation.data.sets import Parts
from mixwell.recipes.segmentation.data.voc import load_voc, voc_root

EMBEDDED = "embedded"


def load_segmentation(
    data: str, *, images: int = 400, seed: int = 0, size_hw: tuple[int, int] = (128, 128)
) -> Parts:
    """Load a data set for segmentation, whatever its layout.

    Args:
        data: "embedded" (digits on photographs, made on the fly), or a folder: Pascal VOC where it
            has ImageSets/Segmentation, else images and masks, see `load_folder`.
        images: training images made for embedded.
        seed: of the images of embedded.
        size_hw: of the images of embedded, px.

    Raises:
        DataError: no such folder, or a layout that is none of these.
    """
    if data == EMBEDDED:
        return load_embedded(images, seed, size_hw)
    root = Path(data)
    if not root.is_dir():
        raise DataError(f"--data is embedded or a folder, got {data}. Check the path.")
    return load_voc(root) if voc_root(root) is not None else load_folder(root)
