"""What a segmentation set is, and sets of image files with mask files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mixwell import DataError
from mixwell.recipes.data.decode import decode_rgb
from mixwell.recipes.detection.data.files import upright_size

IGNORE = 255
"""The class of pixels that do not count."""
SMALL = "smaller than the crop"
Color = tuple[int, int, int]


class SegmentationSet(Protocol):
    """What the recipe needs of a data set."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; class k is ``classes[k]``."""
        ...

    @property
    def skipped(self) -> dict[str, list[str]]:
        """Files left out, by reason."""
        ...

    def __len__(self) -> int:
        """Number of images."""
        ...

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """The image uint8 ``[3, H, W]``, and its class map uint8 ``[H, W]``; `IGNORE`: unknown."""
        ...

    def without_small(self, size_hw: tuple[int, int]) -> SegmentationSet:
        """The set without images smaller than a crop, which `skipped` then names."""
        ...


@dataclass(frozen=True)
class Parts:
    """A training set and its validation set.

    Args:
        train: what to learn from.
        val: what to measure on; same classes.
        name: the data set's name.
        note: one line about how the parts came about, "" where the files say it themselves.

    Raises:
        DataError: the parts have different classes, or one is empty.
    """

    train: SegmentationSet
    val: SegmentationSet
    name: str
    note: str = ""

    def __post_init__(self) -> None:
        """Compare the classes."""
        if self.train.classes != self.val.classes:
            raise DataError(
                f"Both parts of {self.name} need the same classes, got {len(self.train.classes)} "
                f"and {len(self.val.classes)}. Write them into classes.txt."
            )
        for part, images in (("training", self.train), ("validation", self.val)):
            if not len(images):
                raise DataError(f"{self.name} needs {part} images, got none. Add some.")

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; class k is ``classes[k]``."""
        return self.train.classes


class Pair(NamedTuple):
    """An image file and its mask file."""

    image: Path
    mask: Path


@dataclass(frozen=True, eq=False)
class PairSet:
    """Images and masks in files; see `SegmentationSet`.

    Args:
        pairs: the files.
        classes: names of the classes.
        table: uint8 [256], from a value in a mask to a class; `IGNORE` for values that do not
            count, and for values that are not allowed.
        allowed: bool [256], values that may be there.
        colors: from a colour in RGB masks to a value; None: masks hold values.
        skipped: files left out, by reason.

    Raises:
        DataError: when an image is read: a file is damaged, sizes differ, or a mask holds a value
            or colour that is no class.
    """

    pairs: Sequence[Pair]
    classes: tuple[str, ...]
    table: np.ndarray
    allowed: np.ndarray
    colors: Mapping[Color, int] | None
    skipped: dict[str, list[str]]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """The image uint8 ``[3, H, W]``, and its class map uint8 ``[H, W]``."""
        pair = self.pairs[index]
        pixels = decode_rgb(pair.image)
        values = mask_values(pair.mask, self.colors)
        if values.shape != pixels.shape[:2]:
            raise DataError(
                f"A mask needs the size of its image, {list(pixels.shape[:2])}, got "
                f"{list(values.shape)} in {pair.mask}. Replace it, or remove both files."
            )
        unknown = np.unique(values[~self.allowed[values]])
        if len(unknown):
            raise DataError(
                f"A mask holds classes 0 .. {len(self.classes) - 1} and {IGNORE} (ignored), got "
                f"{unknown[:5].tolist()} in {pair.mask}. Complete classes.txt, or mend the mask."
            )
        image = torch.from_numpy(pixels.transpose(2, 0, 1).copy())
        return image, torch.from_numpy(self.table[values])

    def __repr__(self) -> str:
        """``PairSet(46 images | 11 classes | 0 skipped)``."""
        skipped = sum(map(len, self.skipped.values()))
        return f"PairSet({len(self)} images | {len(self.classes)} classes | {skipped} skipped)"

    def without_small(self, size_hw: tuple[int, int]) -> PairSet:
        """The set without images smaller than a crop, which `skipped` then names."""
        sizes = [upright_size(pair.image) for pair in self.pairs]
        fits = [height >= size_hw[0] and width >= size_hw[1] for height, width in sizes]
        each = list(zip(self.pairs, fits, strict=True))
        small = [pair.image.name for pair, fit in each if not fit]
        skipped = self.skipped | ({SMALL: small} if small else {})
        return replace(self, pairs=[pair for pair, fit in each if fit], skipped=skipped)


def value_table(
    classes: int, ignored: Sequence[int] = (), *, others: Sequence[int] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """`table` and `allowed` of a `PairSet` whose values count the classes.

    Args:
        classes: number of values that count, or do not count because they are in `ignored`.
        ignored: values below `classes` whose pixels do not count; later classes move up.
        others: further values whose pixels do not count, beside 255.
    """
    table, allowed = np.full(256, IGNORE, np.uint8), np.zeros(256, bool)
    kept = [value for value in range(classes) if value not in ignored]
    table[kept] = np.arange(len(kept))
    allowed[[*range(classes), *others, IGNORE]] = True
    return table, allowed


def mask_values(path: Path, colors: Mapping[Color, int] | None) -> np.ndarray:
    """The values of a mask file, uint8 [H, W]: its indices, its grey levels, or its colours'.

    Where `colors` name all that a palette shows, they count and not the indices: tools that make
    files smaller number colours as they like.

    Raises:
        DataError: it cannot be read, is in colour without `colors`, or has a colour that is none
            of them.
    """
    if path.suffix.lower() in (".jpg", ".jpeg"):
        raise DataError(f"A mask needs a lossless format, got {path}. Save it as PNG.")
    try:
        with Image.open(path) as image:
            image.load()
            if image.mode in ("P", "L", "1"):
                values = np.asarray(image).astype(np.uint8)
                return values if colors is None else _by_palette(values, image, colors)
            if image.mode in ("RGB", "RGBA") and colors is not None:
                return _by_color(np.asarray(image)[..., :3], colors, path)
            mode = image.mode
            wide = np.asarray(image) if mode.startswith("I") else None
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(
            f"Every mask must decode, got {type(error).__name__} for {path}: {error}. Replace it."
        ) from None
    if wide is not None and wide.min(initial=0) >= 0 and wide.max(initial=0) <= IGNORE:
        return wide.astype(np.uint8)
    raise DataError(
        f"A mask holds a class number, 0 .. {IGNORE}, in each pixel, got the mode {mode} in "
        f"{path}. Save it as 8-bit grey or with a palette, or name the colours in class_dict.csv."
    )


def _by_palette(values: np.ndarray, image: Image.Image, colors: Mapping[Color, int]) -> np.ndarray:
    """Indices, or what the colours behind them stand for, if each of them stands for something."""
    palette, used = image.getpalette("RGB") or [], np.unique(values)
    if used.max(initial=0) >= len(palette) // 3:
        return values
    rgb = np.reshape(palette, (-1, 3)).tolist()
    shown: list[Color] = [(rgb[k][0], rgb[k][1], rgb[k][2]) for k in used.tolist()]
    if any(color not in colors for color in shown):
        return values
    table = np.zeros(256, np.uint8)
    table[used] = [colors[color] for color in shown]
    return table[values]


def _by_color(pixels: np.ndarray, colors: Mapping[Color, int], path: Path) -> np.ndarray:
    """uint8 [H, W] from uint8 [H, W, 3]."""
    weights = np.array([65536, 256, 1])
    keys = np.array([np.dot(color, weights) for color in colors])
    order = np.argsort(keys)
    code = pixels.astype(np.int64) @ weights
    place = np.minimum(np.searchsorted(keys[order], code), len(keys) - 1)
    strange = keys[order][place] != code
    if strange.any():
        y, x = np.argwhere(strange)[0].tolist()
        raise DataError(
            f"Every colour of a mask must stand for a class, got {pixels[y, x].tolist()} at row "
            f"{y}, column {x} of {path}. Save masks without smoothing, or name the colour."
        )
    return np.array(list(colors.values()), np.uint8)[order][place]
