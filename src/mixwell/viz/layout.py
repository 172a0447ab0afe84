"""Pictures side by side: images brought to a visible size, and grids of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from mixwell._errors import RenderError
from mixwell.viz import style

_SWATCH = 11
"""Side of a legend's square, px."""


def grid(
    images: Sequence[object],
    columns: int | None = None,
    pad: int = style.GAP,
    captions: Sequence[str] | None = None,
) -> Image.Image:
    """Images in rows and columns on white, each centred in its cell; captions underneath.

    Args:
        images: PIL images, NumPy arrays [H, W, C] or [H, W], or tensors [C, H, W]; uint8, or
            floats in 0 .. 1. Sizes may differ. None are resized; see `enlarged`.
        columns: images in a row; as near to a square as possible when None is given.
        pad: px between neighbours and around the whole.
        captions: one line for each image; cut short where it is wider than its column.

    Returns:
        An RGB image.

    Raises:
        RenderError: there is no image, something is not an image, `columns` is not positive, or
            the captions are not as many as the images.
    """
    pictures = [as_pil(image) for image in images]
    if not pictures:
        raise RenderError("grid needs at least one image, got none.")
    if captions is not None and len(captions) != len(pictures):
        raise RenderError(
            f"grid needs one caption for each of {len(pictures)} images, got {len(captions)}."
        )
    columns = columns or int(np.ceil(np.sqrt(len(pictures))))
    if columns < 1:
        raise RenderError(f"grid needs at least one column, got {columns}.")
    columns = min(columns, len(pictures))
    rows = [pictures[i : i + columns] for i in range(0, len(pictures), columns)]
    widths = [max(row[c].width for row in rows if c < len(row)) for c in range(columns)]
    note = style.line_height(style.SMALL) + 4 if captions is not None else 0
    heights = [max(p.height for p in row) + note for row in rows]
    page = Image.new(
        "RGB",
        (sum(widths) + pad * (columns + 1), sum(heights) + pad * (len(rows) + 1)),
        style.PAPER,
    )
    for i, picture in enumerate(pictures):
        row, column = divmod(i, columns)
        x = pad * (column + 1) + sum(widths[:column])
        y = pad * (row + 1) + sum(heights[:row])
        free = heights[row] - note - picture.height
        drop = free if note else free // 2
        page.paste(picture, (x + (widths[column] - picture.width) // 2, y + drop))
        if captions is not None:
            words = style.fitted(captions[i], style.SMALL, widths[column])
            middle, below = x + widths[column] // 2, y + heights[row] - note + 4
            style.write(page, middle, below, words, style.SMALL, style.FAINT, align="middle")
    return page


def as_pil(image: object) -> Image.Image:
    """An RGB picture of an image in any of the forms that `render` takes and returns.

    Args:
        image: a PIL image, a NumPy array [H, W, C] or [H, W], or a tensor [C, H, W]; uint8, uint16,
            or floats in 0 .. 1. One channel is shown as grey, of more than three the first three.

    Raises:
        RenderError: it is none of these.
    """
    if isinstance(image, Image.Image):
        return image.convert("RGB")
    array = _as_hwc(image)
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    elif array.dtype.kind == "f":
        array = np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise RenderError(f"A picture needs uint8, uint16 or float pixels, got {array.dtype}.")
    if array.shape[2] < 3:
        array = np.repeat(array[..., :1], 3, axis=2)
    return Image.fromarray(np.ascontiguousarray(array[..., :3]))


def _as_hwc(image: object) -> np.ndarray:
    is_array = isinstance(image, np.ndarray)
    if is_array:
        array = image
    elif hasattr(image, "detach"):  # a tensor, without importing torch
        array = image.detach().cpu().numpy()  # type: ignore[attr-defined]
    else:
        raise RenderError(f"A picture needs a PIL image, an array or a tensor, got {type(image)}.")
    if array.ndim == 2:
        return array[..., None]
    if array.ndim != 3:
        form = "[H, W, C]" if is_array else "[C, H, W]"
        raise RenderError(f"One picture has the shape {form}, got {list(array.shape)}.")
    return array if is_array else array.transpose(1, 2, 0)


def enlarged(image: Image.Image, side: int) -> Image.Image:
    """The image fitted to a box of `side` px.

    Small images grow by a whole factor, pixel by pixel, so that what one sees is what the model
    gets; large ones are averaged down; those in between stay as they are.
    """
    longest = max(image.size)
    factor = side // longest
    if factor > 1:
        return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    if longest <= side:
        return image
    scale = side / longest
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)


def joined(pictures: Sequence[Image.Image], gap: int = 0) -> Image.Image:
    """Pictures below one another, flush left on white."""
    width = max(p.width for p in pictures)
    height = sum(p.height for p in pictures) + gap * (len(pictures) - 1)
    page, y = Image.new("RGB", (width, height), style.PAPER), 0
    for picture in pictures:
        page.paste(picture, (0, y))
        y += picture.height + gap
    return page


def with_legend(sheet: Image.Image, entries: Sequence[tuple[int, str]]) -> Image.Image:
    """The sheet with a swatch and a name for each class below.

    Args:
        sheet: an RGB image.
        entries: number and name of each class.
    """
    lines: list[list[tuple[int, str]]] = [[]]
    used = style.MARGIN
    for number, name in entries:
        width = _SWATCH + 5 + style.text_width(name, style.SMALL) + style.GAP
        if lines[-1] and used + width > sheet.width - style.MARGIN:
            lines.append([])
            used = style.MARGIN
        lines[-1].append((number, name))
        used += width
    step = style.line_height(style.SMALL) + 5
    page = Image.new("RGB", (sheet.width, sheet.height + step * len(lines) + 8), style.PAPER)
    page.paste(sheet, (0, 0))
    brush = ImageDraw.Draw(page)
    for i, line in enumerate(lines):
        x, y = style.GAP, sheet.height + step * i
        for number, name in line:
            brush.rectangle((x, y + 2, x + _SWATCH, y + 2 + _SWATCH), style.class_color(number))
            style.write(page, x + _SWATCH + 5, y, name, style.SMALL)
            x += _SWATCH + 5 + style.text_width(name, style.SMALL) + style.GAP
    return page
