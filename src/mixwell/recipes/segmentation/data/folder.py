"""Folders of images and masks: CamVid's layouts, and anybody's.

=======================================  ==========================================================
``train/images/*  train/masks/*``        and the same in ``val/`` (or ``test/``)
``images/train/*  masks/train/*``        likewise
``train/*  trainannot/*``                as the SegNet tutorial keeps CamVid
``images/*  masks/*``                    of these every fifth, by name, becomes the validation part
=======================================  ==========================================================

A mask has its image's name, or that name and ``_mask``, ``_label``, ``_labels`` or ``_L``. It
holds class numbers (grey or palette; 255 does not count), or the colours of ``class_dict.csv``, as
RGB or in a palette.
``classes.txt`` names the classes in order; one called unlabelled, unlabeled, void or ignore does
not count. Without it classes are numbers, as many as the masks hold, two at least.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mixwell import DataError
from mixwell.recipes.data.arrays import TEST_EVERY
from mixwell.recipes.detection.data.files import image_files, shorten, text_of
from mixwell.recipes.segmentation.data.sets import (
    IGNORE,
    Color,
    Pair,
    PairSet,
    Parts,
    mask_values,
    value_table,
)

IMAGES = ("images", "image", "img", "imgs", "JPEGImages")
MASKS = ("masks", "mask", "labels", "label", "annotations", "SegmentationClass")
VAL = ("val", "valid", "validation", "test")
ENDINGS = ("", "_mask", "_label", "_labels", "_L")
LISTS = ("classes.txt", "labels.txt", "codes.txt")
UNKNOWN = ("unlabelled", "unlabeled", "void", "ignore", "ignored")
NO_MASK, NO_IMAGE = "no mask", "no image"


class Names(NamedTuple):
    """Attributes: classes, in the order of mask values; colors, of RGB masks."""

    classes: tuple[str, ...]
    colors: dict[Color, int] | None


def load_folder(root: str | Path) -> Parts:
    """Images and masks in folders; see the module.

    Raises:
        DataError: no such folders, no pair in one, or a list of classes that cannot be read.
    """
    root = Path(root)
    folders = _folders(root, "train")
    if folders is not None:
        others = ((name, _folders(root, name)) for name in VAL)
        found = next(((name, pair) for name, pair in others if pair is not None), None)
        if found is None:
            raise DataError(
                f"{root} has a training part and needs another, got none of {', '.join(VAL)}. Make "
                "one in the same layout."
            )
        train, val, note = _pairs(*folders), _pairs(*found[1]), ""
    else:
        whole = _two(root)
        if whole is None:
            there = sorted(p.name for p in root.iterdir()) if root.is_dir() else ["nothing"]
            raise DataError(
                f"A folder for segmentation needs images/ and masks/, there or in train/ and val/, "
                f"got {shorten(there)} in {root}. Name them so."
            )
        train, val, note = _split(root, *_pairs(*whole))
    pairs = [*train[0], *val[0]]
    names = _names(root) or _counted(pairs)
    return Parts(_set(*train, names), _set(*val, names), "folder", note)


def _folders(root: Path, part: str) -> tuple[Path, Path] | None:
    """The folders of a part's images and masks, in one of three layouts."""
    inside = _two(root / part)
    if inside is not None:
        return inside
    above = _two(root)
    if above is not None and all((folder / part).is_dir() for folder in above):
        return above[0] / part, above[1] / part
    beside = root / part, root / f"{part}annot"
    return beside if all(folder.is_dir() for folder in beside) else None


def _two(root: Path) -> tuple[Path, Path] | None:
    """A folder of images and one of masks in a folder."""
    found = [
        next((root / n for n in names if (root / n).is_dir()), None) for names in (IMAGES, MASKS)
    ]
    return (found[0], found[1]) if found[0] and found[1] else None


Found = tuple[list[Pair], dict[str, list[str]]]


def _pairs(images: Path, masks: Path) -> Found:
    """Images with their masks in order of name, and files without a partner."""
    known: dict[str, Path] = {}
    for path in image_files(masks):
        other = known.setdefault(path.stem, path)
        if other is not path:
            raise DataError(
                f"Every image has one mask, got {other.name} and {path.name} in {masks}. Remove "
                "one of them."
            )
    pairs, lonely, used = [], [], set()
    for path in image_files(images):
        stem = next((path.stem + end for end in ENDINGS if path.stem + end in known), None)
        if stem is None:
            lonely.append(path.name)
            continue
        used.add(stem)
        pairs.append(Pair(path, known[stem]))
    if not pairs:
        raise DataError(
            f"Every image needs a mask of its name, got none for {len(lonely)} images of {images} "
            f"in {masks}. Name a.jpg's mask a.png."
        )
    rest = [path.name for stem, path in known.items() if stem not in used]
    skipped = {NO_MASK: lonely, NO_IMAGE: rest}
    return pairs, {why: names for why, names in skipped.items() if names}


def _split(
    root: Path, pairs: list[Pair], skipped: dict[str, list[str]]
) -> tuple[Found, Found, str]:
    if len(pairs) < TEST_EVERY:
        raise DataError(
            f"Splitting needs at least {TEST_EVERY} images, got {len(pairs)} in {root}. Add some, "
            "or make train/ and val/."
        )
    note = (
        f"{root} has no train/ and val/: every fifth image, in order of name, becomes the "
        "validation part."
    )
    val = pairs[TEST_EVERY - 1 :: TEST_EVERY]
    train = [pair for i, pair in enumerate(pairs) if i % TEST_EVERY != TEST_EVERY - 1]
    return (train, skipped), (val, {}), note


def _set(pairs: list[Pair], skipped: dict[str, list[str]], names: Names) -> PairSet:
    ignored = [k for k, name in enumerate(names.classes) if name.lower() in UNKNOWN]
    table, allowed = value_table(len(names.classes), ignored)
    classes = tuple(name for k, name in enumerate(names.classes) if k not in ignored)
    return PairSet(pairs, classes, table, allowed, names.colors, skipped)


def _names(root: Path) -> Names | None:
    """Classes as a file says them."""
    colored = root / "class_dict.csv"
    if colored.is_file():
        return _colored(colored)
    for name in LISTS:
        if (root / name).is_file():
            lines = [line.strip() for line in text_of(root / name).splitlines()]
            return Names(_checked(tuple(line for line in lines if line), root / name), None)
    return None


def _colored(path: Path) -> Names:
    """name, r, g, b in each line behind the first."""
    rows = [row for row in csv.reader(io.StringIO(text_of(path))) if row][1:]
    try:
        colors = {(int(r), int(g), int(b)): k for k, (_, r, g, b) in enumerate(rows)}
    except ValueError:
        raise DataError(
            f"Lines of class_dict.csv are name,r,g,b, got something else in {path}. Correct it."
        ) from None
    return Names(_checked(tuple(row[0].strip() for row in rows), path), colors)


def _checked(names: tuple[str, ...], path: Path) -> tuple[str, ...]:
    if not 2 <= len(names) <= IGNORE or len(set(names)) < len(names):
        raise DataError(
            f"Classes need 2 .. {IGNORE} different names, got {len(names)} lines, "
            f"{len(set(names))} different, in {path}. Correct it."
        )
    return names


def _counted(pairs: list[Pair]) -> Names:
    """As many classes as the masks hold; all of them are read."""
    most = 0
    for pair in pairs:
        values = mask_values(pair.mask, None)
        most = max(most, int(np.where(values == IGNORE, 0, values).max(initial=0)))
    if most == 0:
        raise DataError(
            f"Masks hold two classes at least, got no value but 0, and {IGNORE}, which does not "
            f"count, in {pairs[0].mask.parent}. Save class numbers: 1, not {IGNORE}, where a thing "
            "is. Or name the classes in classes.txt."
        )
    return Names(tuple(str(k) for k in range(most + 1)), None)
