"""Pascal VOC's segmentation: ImageSets/Segmentation, and masks with its colours.

Masks are PNGs with a palette, whose indices are the classes, or RGB pictures in the same colours.
Index 255, drawn around objects in (224, 224, 192), does not count.

References:
    Everingham et al. The PASCAL Visual Object Classes (VOC) Challenge. 2010.
"""

from __future__ import annotations

from pathlib import Path

from mixwell import DataError
from mixwell.recipes.detection.data.files import image_files, shorten, text_of
from mixwell.recipes.segmentation.data.palette import class_colors
from mixwell.recipes.segmentation.data.sets import IGNORE, Color, Pair, PairSet, Parts, value_table

VOC_CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat"),
    *("chair", "cow", "dining table", "dog", "horse", "motorbike", "person", "potted plant"),
    *("sheep", "sofa", "train", "tv monitor"),
)
BORDER = (224, 224, 192)
SETS = "ImageSets/Segmentation"


def voc_root(root: Path) -> Path | None:
    """The folder with ImageSets/Segmentation, here or in VOC2012/ or VOCdevkit/VOC*/; else None."""
    places = [root, *sorted(root.glob("VOC*")), *sorted(root.glob("VOCdevkit/VOC*"))]
    return next((place for place in places if (place / SETS).is_dir()), None)


def load_voc(root: str | Path, *, train: str = "train", val: str = "val") -> Parts:
    """Pascal VOC 2012, or any year with segmentation.

    Args:
        root: the folder of JPEGImages/ and SegmentationClass/, or one above it.
        train: the list in ImageSets/Segmentation to learn from.
        val: the list to measure on.

    Raises:
        DataError: a folder, a list or a file is missing.
    """
    home = voc_root(Path(root))
    if home is None:
        raise DataError(
            f"Pascal VOC's segmentation needs {SETS}/, got none in {root}. Check the path: it is "
            "the folder VOC2012, or one above it."
        )
    return Parts(_part(home, train), _part(home, val), "voc")


def _part(home: Path, split: str) -> PairSet:
    file = home / SETS / f"{split}.txt"
    if not file.is_file():
        there = sorted(path.stem for path in (home / SETS).glob("*.txt"))
        raise DataError(
            f"The split {split!r} needs {SETS}/{split}.txt, got {shorten(there)} in {home}. Name "
            "one of these."
        )
    names = [line.split()[0] for line in text_of(file).splitlines() if line.strip()]
    images = {path.stem: path for path in image_files(_folder(home, "JPEGImages"))}
    masks = {path.stem: path for path in image_files(_folder(home, "SegmentationClass"))}
    for what, known in (("an image", images), ("a mask", masks)):
        missing = [name for name in names if name not in known]
        if missing:
            raise DataError(
                f"Every name in {file} needs {what}, got none for {shorten(missing, 3)}. Complete "
                "the folder, or remove the lines."
            )
    table, allowed = value_table(len(VOC_CLASSES))
    palette = class_colors(len(VOC_CLASSES)).tolist()
    colors: dict[Color, int] = {(r, g, b): k for k, (r, g, b) in enumerate(palette)}
    colors[BORDER] = IGNORE
    pairs = [Pair(images[name], masks[name]) for name in names]
    return PairSet(pairs, VOC_CLASSES, table, allowed, colors, {})


def _folder(home: Path, name: str) -> Path:
    if not (home / name).is_dir():
        raise DataError(f"Pascal VOC needs {name}/, got none in {home}. Unpack the whole archive.")
    return home / name
