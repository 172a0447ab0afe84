"""Class maps in colours: beside their image, with a legend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from mixwell._errors import RenderError, TargetError
from mixwell.viz import style
from mixwell.viz.layout import as_pil, enlarged, grid, with_legend

IGNORE = 255
"""The class of pixels that do not count; drawn as paper."""
NEAREST = Image.Resampling.NEAREST
_CAPTIONS = ("image", "truth", "prediction")


def mask_sheet(
    rows: Sequence[Sequence[object]],
    classes: Sequence[str],
    *,
    captions: Sequence[str] = _CAPTIONS,
    side: int = 240,
    ignore_index: int = IGNORE,
) -> Image.Image:
    """Images and their class maps side by side, a row for each, and what the colours mean.

    Args:
        rows: the image (anything `grid` takes), then its class maps, integers [H, W], of any array
            type.
        classes: names; class k is `classes[k]`. Only those that are shown stand in the legend.
        captions: of the columns.
        side: px of the box that each picture is fitted to.
        ignore_index: the class of pixels that do not count.

    Returns:
        An RGB image.

    Raises:
        RenderError: no rows, or rows of different length.
        TargetError: a class without a name, or a map of another size than its image.
    """
    if not rows or len({len(row) for row in rows}) != 1:
        raise RenderError("mask_sheet needs rows of one length, at least one.")
    pictures: list[Image.Image] = []
    shown: set[int] = set()
    for image, *maps in rows:
        flat = as_pil(image)
        pictures.append(enlarged(flat, side))
        size = pictures[-1].size
        for one in maps:
            array = _checked(one, flat.size, len(classes), ignore_index)
            shown |= set(np.unique(array).tolist())
            pictures.append(_colored(array, ignore_index).resize(size, NEAREST))
    names = [captions[i] if i < len(captions) else "" for i in range(len(rows[0]))]
    sheet = grid(pictures, columns=len(rows[0]), captions=names * len(rows))
    return with_legend(sheet, [(k, classes[k]) for k in sorted(shown - {ignore_index})])


def _checked(one: object, size: tuple[int, int], classes: int, ignore_index: int) -> np.ndarray:
    """A class map as int64 [H, W]."""
    if hasattr(one, "detach"):  # a tensor, without importing torch
        one = one.detach().cpu().numpy()  # type: ignore[attr-defined]
    array = np.asarray(one)
    if array.dtype.kind not in "iu" or array.shape != size[::-1]:
        raise TargetError(
            f"A class map holds whole numbers of the shape [{size[1]}, {size[0]}] of its image, "
            f"got {array.dtype} {list(array.shape)}."
        )
    known = array[array != ignore_index]
    if known.size and not 0 <= known.min() <= known.max() < classes:
        raise TargetError(
            f"Classes need names: 0 .. {classes - 1}, got {known.min()} .. {known.max()}. Name all "
            "of them, or set ignore_index."
        )
    return array.astype(np.int64)


def _colored(array: np.ndarray, ignore_index: int) -> Image.Image:
    table = np.array([style.class_color(k) for k in range(max(int(array.max(initial=0)), 0) + 1)])
    pixels = table[np.where(array == ignore_index, 0, array)].astype(np.uint8)
    pixels[array == ignore_index] = style.PAPER
    return Image.fromarray(pixels)
