"""Boxes, masks, keypoints and anchors drawn on their image, and sheets of such images.

Outlines lie inside their box: of [x0, x1) x [y0, y1) the outermost pixels that belong to it take
the colour. Only names stand outside, above the box where there is room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from mixwell._errors import RenderError, TargetError
from mixwell.viz import style
from mixwell.viz.layout import as_pil, enlarged, grid, with_legend

MASK_OPACITY = 0.45
"""Share of the colour where a mask is drawn."""
_DASH = (4, 3)
"""Pixels drawn and left out along the edges of crowds, difficult objects and anchors."""
_DOT = 2
"""Radius of a keypoint, px."""


class _Sketch(NamedTuple):
    """A picture to draw on, and what px of the image are on it."""

    picture: Image.Image
    scale_x: float
    scale_y: float


def draw_boxes(
    image: object,
    target: Mapping[str, Any],
    classes: Sequence[str] | None = None,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    anchors: object = None,
    skeleton: Sequence[tuple[int, int]] = (),
    color_by: Literal["class", "source"] = "class",
    names: bool = True,
    width: int = 2,
    side: int | None = None,
) -> Image.Image:
    """An image with what is known of it drawn on top.

    A name says the class, the score ("0.91"), the weight where it is not 1 ("w0.63"), the source
    where there are several ("#2"), and "crowd" or "difficult", whose boxes are dashed; one that
    would cover the name of an object before it stands below its box or is left out. Of
    keypoints, visible ones are filled, hidden ones are rings, unlabelled ones are not drawn.

    Args:
        image: anything `grid` takes: a PIL image, [H, W, C] array or [C, H, W] tensor.
        target: in torchvision's names, each optional and of any array type: boxes ([n, 4], xyxy
            px), labels ([n]; with `classes` 1 .. K), scores, weights, source, iscrowd, difficult
            ([n] each), masks ([n, H, W], > 0.5 counts), keypoints ([n, K, 2] or [n, K, 3] with
            visibility 0, 1, 2). Masks alone are drawn without boxes.
        classes: names without the background; label k is `classes[k - 1]`. Numbers where None.
        mean: of each channel, where the image was normalised; floats only.
        std: likewise.
        anchors: [m, 4], xyxy px; drawn thin and dashed below everything else.
        skeleton: pairs of keypoints to join where both are labelled.
        color_by: what gives an object its colour.
        names: False draws no text.
        width: of outlines, px of the picture.
        side: the picture is fitted to a box of this side, px, before anything is drawn: small
            images grow by a whole factor. None keeps the image's size.

    Returns:
        An RGB image; with nothing to draw, the image itself.

    Raises:
        TargetError: entries of different length or the wrong shape, boxes turned inside out or not
            finite, a label without a name.
        RenderError: it is no image, or only one of mean and std is given.
    """
    flat = as_pil(_levels(image, mean, std))
    known = _checked(target, flat.size, classes)
    large = enlarged(flat, side) if side else flat.copy()
    sketch = _Sketch(large, large.width / flat.width, large.height / flat.height)
    count = len(next(iter(known.values()))) if known else 0
    colors = [_color(known, i, color_by) for i in range(count)]
    if "masks" in known:
        _draw_masks(sketch, known["masks"], colors)
    for box in _boxes_of(anchors, "anchors") if anchors is not None else ():
        _outline(sketch, box, style.FAINT, 1, dashed=True)
    if "boxes" in known:
        words = [_name(known, i, classes) if names else "" for i in range(count)]
        for i, box in enumerate(known["boxes"]):
            dashed = _is(known, "iscrowd", i) or _is(known, "difficult", i)
            _outline(sketch, box, colors[i], width, dashed=dashed)
        taken: list[_Spot] = []
        for i, box in enumerate(known["boxes"]):
            _label(sketch, box, words[i], colors[i], taken)
    for points, color in zip(known.get("keypoints", ()), colors, strict=False):
        _draw_points(sketch, points, color, skeleton)
    return sketch.picture


def box_sheet(
    samples: Sequence[tuple[object, Mapping[str, Any]]],
    classes: Sequence[str] | None = None,
    *,
    columns: int | None = None,
    side: int = 240,
    captions: Sequence[str] | None = None,
    **options: Any,
) -> Image.Image:
    """A contact sheet of images with their boxes, and what the colours mean.

    Args:
        samples: pairs of image and target, as detection sets return them.
        classes: names without the background; those that are shown stand in the legend, unless
            colours say the source or `names` is False.
        columns: images in a row; as near to a square as possible when None is given.
        side: px of the box that each image is fitted to.
        captions: one line for each image.
        **options: see `draw_boxes`.

    Returns:
        An RGB image.

    Raises:
        RenderError: there are no samples, or captions are not as many.
        TargetError: see `draw_boxes`.
    """
    pictures = [draw_boxes(x, target, classes, side=side, **options) for x, target in samples]
    sheet = grid(pictures, columns=columns, captions=captions)
    if (
        classes is None
        or options.get("color_by", "class") != "class"
        or not options.get("names", 1)
    ):
        return sheet
    shown = {int(label) for _, t in samples for label in _array(t.get("labels", ())).reshape(-1)}
    return with_legend(sheet, [(k - 1, classes[k - 1]) for k in sorted(shown)]) if shown else sheet


# ------------------------------------------------------------------ what is given


def _levels(image: object, mean: Sequence[float] | None, std: Sequence[float] | None) -> object:
    """The image before it was normalised."""
    if mean is None and std is None:
        return image
    if mean is None or std is None:
        raise RenderError("draw_boxes needs mean and std together, got one. Give both.")
    is_array = isinstance(image, np.ndarray)
    array = _array(image)
    if array.dtype.kind != "f":
        raise RenderError(
            f"Only float images are normalised, got {array.dtype} with a mean. Leave mean and std "
            "out."
        )
    shape = (-1,) if is_array else (-1, 1, 1)
    values = array * np.reshape(std, shape) + np.reshape(mean, shape)
    return values if is_array else values.transpose(1, 2, 0)


def _array(values: object) -> np.ndarray:
    if hasattr(values, "detach"):  # a tensor, without importing torch
        values = values.detach().cpu().numpy()  # type: ignore[attr-defined]
    return np.asarray(values)


_PER_OBJECT = ("labels", "scores", "weights", "source", "iscrowd", "difficult")


def _checked(
    target: Mapping[str, Any], size: tuple[int, int], classes: Sequence[str] | None
) -> dict[str, np.ndarray]:
    """The entries that are drawn, as arrays with one row for each object."""
    known: dict[str, np.ndarray] = {}
    if "boxes" in target:
        known["boxes"] = _boxes_of(target["boxes"], "boxes")
    if "masks" in target:
        known["masks"] = _array(target["masks"])
        if known["masks"].ndim == 4 and known["masks"].shape[1] == 1:  # as Mask R-CNN returns them
            known["masks"] = known["masks"][:, 0]
        if known["masks"].shape[1:] != size[::-1]:
            raise TargetError(
                f"Masks need the shape [n, {size[1]}, {size[0]}] of their image, got "
                f"{list(known['masks'].shape)}. Draw them on the image they belong to."
            )
    if "keypoints" in target:
        known["keypoints"] = _array(target["keypoints"]).astype(np.float64)
        if known["keypoints"].ndim != 3 or known["keypoints"].shape[2] not in (2, 3):
            raise TargetError(
                "Keypoints need the shape [n, K, 2] or [n, K, 3], got "
                f"{list(known['keypoints'].shape)}."
            )
    known |= {key: _array(target[key]).reshape(-1) for key in _PER_OBJECT if key in target}
    lengths = {key: len(values) for key, values in known.items()}
    if len(set(lengths.values())) > 1:
        raise TargetError(
            f"All entries of a target need one row for each object, got {lengths}. Filter them "
            "alike."
        )
    labels = known.get("labels", np.zeros(0))
    if (
        classes is not None
        and len(labels)
        and not 1 <= labels.min() <= labels.max() <= len(classes)
    ):
        raise TargetError(
            f"Labels need names: 1 .. {len(classes)} (0 is the background), got {labels.min()} .. "
            f"{labels.max()}. Add 1 to labels that count from 0, or give all classes."
        )
    return known


def _boxes_of(values: object, subject: str) -> np.ndarray:
    boxes = _array(values).astype(np.float64)
    if boxes.size == 0:
        boxes = boxes.reshape(0, 4)
    good = boxes.ndim == 2 and boxes.shape[1] == 4
    if not good or not np.isfinite(boxes).all() or (boxes[:, 2:] < boxes[:, :2]).any():
        found = f"shape {list(boxes.shape)}" if not good else "x1 < x0, y1 < y0 or a number missing"
        raise TargetError(
            f"draw_boxes needs {subject} as [n, 4] of finite x0, y0, x1, y1 in px, got {found}. "
            "Convert them to xyxy."
        )
    return boxes


# ------------------------------------------------------------------ what is drawn


def _color(known: dict[str, np.ndarray], i: int, color_by: str) -> style.Color:
    if color_by == "source":
        return style.class_color(int(known["source"][i]) if "source" in known else 0)
    return style.class_color(max(int(known["labels"][i]) - 1, 0) if "labels" in known else 0)


def _is(known: dict[str, np.ndarray], key: str, i: int) -> bool:
    return key in known and bool(known[key][i])


def _name(known: dict[str, np.ndarray], i: int, classes: Sequence[str] | None) -> str:
    words = []
    if "labels" in known:
        label = int(known["labels"][i])
        words.append(str(classes[label - 1]) if classes is not None else str(label))
    if "scores" in known:
        words.append(f"{known['scores'][i]:.2f}")
    if "weights" in known and abs(known["weights"][i] - 1) >= 0.005:
        words.append(f"w{known['weights'][i]:.2f}")
    if "source" in known and len(set(known["source"].tolist())) > 1:
        words.append(f"#{int(known['source'][i])}")
    words += [
        word
        for key, word in (("iscrowd", "crowd"), ("difficult", "difficult"))
        if _is(known, key, i)
    ]
    return " ".join(words)


def _pixels(sketch: _Sketch, box: np.ndarray) -> tuple[int, int, int, int]:
    """The first and last columns and rows of a box, at least one each."""
    x0, x1 = (round(float(x) * sketch.scale_x) for x in (box[0], box[2]))
    y0, y1 = (round(float(y) * sketch.scale_y) for y in (box[1], box[3]))
    return x0, y0, max(x1 - 1, x0), max(y1 - 1, y0)


def _outline(
    sketch: _Sketch, box: np.ndarray, color: style.Color, width: int, *, dashed: bool
) -> None:
    x0, y0, x1, y1 = _pixels(sketch, box)
    draw = ImageDraw.Draw(sketch.picture)
    width = max(1, min(width, (x1 - x0) // 2 + 1, (y1 - y0) // 2 + 1))
    if not dashed:  # in four parts: Pillow's own outline of a box one pixel high is two high
        draw.rectangle((x0, y0, x1, y0 + width - 1), fill=color)
        draw.rectangle((x0, y1 - width + 1, x1, y1), fill=color)
        draw.rectangle((x0, y0, x0 + width - 1, y1), fill=color)
        draw.rectangle((x1 - width + 1, y0, x1, y1), fill=color)
        return
    drawn, free = _DASH
    left, top = max(x0, -1), max(y0, -1)  # dashes far outside the picture are not worth drawing
    right, bottom = min(x1, sketch.picture.width), min(y1, sketch.picture.height)
    for x in range(left, right + 1, drawn + free):
        end = min(x + drawn - 1, x1)
        draw.rectangle((x, y0, end, y0 + width - 1), fill=color)
        draw.rectangle((x, y1 - width + 1, end, y1), fill=color)
    for y in range(top, bottom + 1, drawn + free):
        end = min(y + drawn - 1, y1)
        draw.rectangle((x0, y, x0 + width - 1, end), fill=color)
        draw.rectangle((x1 - width + 1, y, x1, end), fill=color)


_Spot = tuple[int, int, int, int]


def _label(
    sketch: _Sketch, box: np.ndarray, text: str, color: style.Color, taken: list[_Spot]
) -> None:
    """The name on a ground of the box's colour: above the box, or inside where there is no room;
    below where that would cover one of those that `taken` holds; none where that would too."""
    text = style.fitted(text, style.SMALL, sketch.picture.width - 6) if text else ""
    if not text:
        return
    x0, y0, _, y1 = _pixels(sketch, box)
    wide, high = style.text_width(text, style.SMALL) + 6, style.line_height(style.SMALL)
    x = min(max(x0, 0), sketch.picture.width - wide)
    tops = [y0 - high if y0 >= high else max(y0, 0)]
    tops += [y1 + 1] if y1 + 1 + high <= sketch.picture.height else []
    spots = ((x, top, x + wide, top + high) for top in tops)
    spot = next((s for s in spots if not any(_overlap(s, other) for other in taken)), None)
    if spot is None:
        return
    taken.append(spot)
    y = spot[1]
    ImageDraw.Draw(sketch.picture).rectangle((x, y, x + wide - 1, y + high - 1), fill=color)
    light = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] > 150
    ink = style.INK if light else style.PAPER
    style.write(sketch.picture, x + 3, y + 1, text, style.SMALL, ink)


def _overlap(one: _Spot, other: _Spot) -> bool:
    across = one[0] < other[2] and other[0] < one[2]
    return across and one[1] < other[3] and other[1] < one[3]


def _draw_masks(sketch: _Sketch, masks: np.ndarray, colors: Sequence[style.Color]) -> None:
    """Each mask over those before it, translucent."""
    for mask, color in zip(masks, colors, strict=True):
        cover = Image.fromarray(np.where(mask > 0.5, round(255 * MASK_OPACITY), 0).astype(np.uint8))
        cover = cover.resize(sketch.picture.size, Image.Resampling.NEAREST)
        sketch.picture.paste(color, (0, 0), cover)


def _draw_points(
    sketch: _Sketch, points: np.ndarray, color: style.Color, skeleton: Sequence[tuple[int, int]]
) -> None:
    draw = ImageDraw.Draw(sketch.picture)
    seen = points[:, 2] if points.shape[1] == 3 else np.full(len(points), 2)
    places = [(float(x) * sketch.scale_x, float(y) * sketch.scale_y) for x, y in points[:, :2]]
    for one, other in skeleton:
        if seen[one] > 0 and seen[other] > 0:
            draw.line((*places[one], *places[other]), fill=color)
    for (x, y), how in zip(places, seen, strict=True):
        if how <= 0 or not np.isfinite([x, y]).all():
            continue
        # Pixel (0, 0) covers [0, 1): the pixel of a point is its floor.
        column, row = int(np.floor(x)), int(np.floor(y))
        dot = (column - _DOT, row - _DOT, column + _DOT, row + _DOT)
        draw.ellipse(dot, fill=color if how > 1 else None, outline=color)
