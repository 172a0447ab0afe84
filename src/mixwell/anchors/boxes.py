"""Box encodings, units and overlap, for any number of leading dimensions.

Boxes are rectangles `[..., 4]` in one of three encodings, in pixels or as fractions of the image:

* ``"xyxy"``: left, top, right, bottom; what every other function of `mixwell.anchors` takes;
* ``"xywh"``: left, top, width, height;
* ``"cxcywh"``: centre x, centre y, width, height.

Coordinates are continuous, pixel (0, 0) covers [0, 1)², so a width is right - left without a
"+ 1". All arithmetic is in float32, or in float64 where one of the inputs is float64; integers and
half precision become float32, because the spacing of float16 near 1 is wider than a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torchvision import ops

from mixwell._errors import TargetError

Encoding = Literal["xyxy", "xywh", "cxcywh"]
ENCODINGS = ("xyxy", "xywh", "cxcywh")


def convert(boxes: Tensor, source: Encoding, to: Encoding) -> Tensor:
    """The same boxes in another encoding (`torchvision.ops.box_convert`).

    Args:
        boxes: [..., 4], in pixels or as fractions.
        source: the encoding they are in: "xyxy", "xywh" or "cxcywh".
        to: the encoding wanted.

    Returns:
        float32 or float64 [..., 4], in the unit of the input.

    Raises:
        TargetError: an unknown encoding, or not four numbers a box.
    """
    for name in (source, to):
        if name not in ENCODINGS:
            raise TargetError(
                f"A box encoding must be one of {', '.join(ENCODINGS)}, got {name!r}."
            )
    return ops.box_convert(check_boxes(boxes, "boxes"), source, to)


def to_unit(boxes: Tensor, size_hw: tuple[int, int] | Tensor) -> Tensor:
    """Boxes in pixels as fractions of the image's width and height, in any of the encodings.

    Args:
        boxes: [..., 4] in pixels.
        size_hw: (height, width) of the image in pixels, or a tensor [B, 2] for boxes [B, n, 4].

    Returns:
        float32 or float64 [..., 4].

    Raises:
        TargetError: sizes that are no (height, width) above 0, or do not fit the boxes.
    """
    boxes = check_boxes(boxes, "boxes")
    return boxes / _whwh(size_hw, boxes)


def to_pixels(boxes: Tensor, size_hw: tuple[int, int] | Tensor) -> Tensor:
    """Boxes given as fractions of the image, in pixels; the inverse of `to_unit`.

    Args:
        boxes: [..., 4] as fractions, in any of the encodings.
        size_hw: (height, width) of the image in pixels, or a tensor [B, 2] for boxes [B, n, 4].

    Returns:
        float32 or float64 [..., 4].

    Raises:
        TargetError: sizes that are no (height, width) above 0, or do not fit the boxes.
    """
    boxes = check_boxes(boxes, "boxes")
    return boxes * _whwh(size_hw, boxes)


def box_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of every box with every other box.

    Equal to `torchvision.ops.box_iou`, which takes no batches in all versions that mixwell
    supports. Two boxes without area have overlap 0, where that function says NaN.

    Args:
        boxes: xyxy [..., n, 4].
        others: xyxy [..., m, 4], in the same unit; leading dimensions are broadcast.

    Returns:
        float32 or float64 [..., n, m], 0 .. 1.

    Raises:
        TargetError: not four numbers a box.
    """
    boxes, others = same_floats(check_boxes(boxes, "boxes"), check_boxes(others, "others"))
    left, top, right, bottom = boxes.movedim(-1, 0).unsqueeze(-1).contiguous()
    left2, top2, right2, bottom2 = others.movedim(-1, 0).unsqueeze(-2).contiguous()
    # In place where it can be: [B, n, m] is large, and fresh memory costs more than the sums.
    width = torch.minimum(right, right2).sub_(torch.maximum(left, left2)).relu_()
    height = torch.minimum(bottom, bottom2).sub_(torch.maximum(top, top2)).relu_()
    shared = width * height
    areas = (right - left) * (bottom - top) + (right2 - left2) * (bottom2 - top2)
    # Where there is no area at all, `shared` is 0 as well.
    return shared / areas.sub_(shared).clamp_(min=torch.finfo(shared.dtype).tiny)


class PaddedBoxes(NamedTuple):
    """The boxes of a batch, filled up to the same number for each image.

    Attributes:
        boxes: [B, M, 4]; 0 where there is none.
        classes: int64 [B, M]; -1 where there is none.
        weights: float32 [B, M]; 1 where there is none.
    """

    boxes: Tensor
    classes: Tensor
    weights: Tensor


def pad(
    boxes: Sequence[Tensor],
    classes: Sequence[Tensor],
    weights: Sequence[Tensor] | None = None,
) -> PaddedBoxes:
    """Fill the images' boxes up to the largest number among them, with class -1.

    Args:
        boxes: for each image [n_i, 4]; n_i may be 0.
        classes: for each image integers [n_i], 0 for the first class that is not background.
        weights: for each image [n_i], as mixing gives them; None means 1.

    Returns:
        what `targets` takes: `targets(anchors, *pad(boxes, classes, weights))`.

    Raises:
        TargetError: numbers of images, or of boxes of an image, that differ.
    """
    weights = [torch.ones(len(b), device=b.device) for b in boxes] if weights is None else weights
    if not len(boxes) == len(classes) == len(weights):
        raise TargetError(
            f"pad needs boxes, classes and weights of the same images, got {len(boxes)}, "
            f"{len(classes)} and {len(weights)}."
        )
    if len(boxes) == 0:
        return PaddedBoxes(
            torch.zeros((0, 0, 4)), torch.zeros((0, 0), dtype=torch.int64), torch.zeros((0, 0))
        )
    for i, each in enumerate(zip(boxes, classes, weights, strict=True)):
        check_boxes(each[0], f"boxes of image {i}")
        check_classes(each[1], f"classes of image {i}")
        numbers = [len(part) for part in each]
        if each[0].ndim != 2 or any(part.ndim != 1 for part in each[1:]) or len(set(numbers)) > 1:
            raise TargetError(
                f"Image {i} needs boxes [n, 4], classes [n] and weights [n], got shapes "
                f"{', '.join(str(tuple(part.shape)) for part in each)}."
            )
    return PaddedBoxes(
        _stacked([floats(part) for part in boxes], 0.0),
        _stacked([part.long() for part in classes], -1),
        _stacked([floats(part) for part in weights], 1.0),
    )


def _stacked(parts: Sequence[Tensor], fill: float) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(parts), batch_first=True, padding_value=fill)


def check_boxes(boxes: Tensor, name: str) -> Tensor:
    """The boxes in the dtype that is computed in, or an error that says what they must be."""
    if boxes.ndim < 1 or boxes.shape[-1] != 4:
        raise TargetError(
            f"{name} must have four numbers each, shape [..., 4], got {tuple(boxes.shape)}."
        )
    if boxes.dtype == torch.bool or boxes.is_complex():
        raise TargetError(f"{name} must be real numbers, got {boxes.dtype}.")
    return floats(boxes)


def check_classes(classes: Tensor, name: str) -> None:
    """Refuse class numbers that are no integers."""
    if classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool:
        raise TargetError(
            f"{name} must be integers, got {classes.dtype}. Convert them with .long()."
        )


def floats(values: Tensor) -> Tensor:
    """float64 as it is, everything else as float32."""
    return values if values.dtype == torch.float64 else values.float()


def same_floats(*values: Tensor) -> tuple[Tensor, ...]:
    """The tensors in the widest of their dtypes, float32 or float64."""
    wide = any(v.dtype == torch.float64 for v in values)
    return tuple(v.to(torch.float64 if wide else torch.float32) for v in values)


def _whwh(size_hw: tuple[int, int] | Tensor, boxes: Tensor) -> Tensor:
    """(width, height, width, height), shaped to go with the boxes."""
    size = torch.as_tensor(size_hw, dtype=boxes.dtype, device=boxes.device)
    fits = size.shape == (2,) or (boxes.ndim == 3 and size.shape == (len(boxes), 2))
    if not fits:
        raise TargetError(
            f"size_hw must be (height, width), or [B, 2] for boxes [B, n, 4], got shape "
            f"{tuple(size.shape)} for boxes of shape {tuple(boxes.shape)}."
        )
    if size.device.type == "cpu" and not bool((size > 0).all()):
        raise TargetError(f"size_hw must be above 0, got {size.tolist()}.")
    whwh = size.flip(-1).repeat((1,) * (size.ndim - 1) + (2,))
    return whwh if whwh.ndim == 1 else whwh[:, None]
