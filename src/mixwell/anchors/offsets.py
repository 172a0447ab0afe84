"""From boxes to what a network predicts for them, and back."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor

from mixwell._errors import TargetError
from mixwell.anchors.boxes import check_boxes, same_floats

Variances = tuple[float, float]

VARIANCES: Variances = (0.1, 0.2)
"""What offsets of centre and of size are divided by, as in SSD and Faster R-CNN's code."""

LEAST = 1e-6
"""Added to a ratio of sizes before its logarithm, so that a box without width stays finite."""

LARGEST = 1e6
"""The largest ratio of sizes that is decoded, so that no prediction becomes infinite."""


def encode(anchors: Tensor, boxes: Tensor, *, variances: Variances = VARIANCES) -> Tensor:
    """Offsets that turn anchors into boxes: of the centres and of the sizes' logarithms.

    ::

        (cx - cx_a) / w_a / 0.1     (cy - cy_a) / h_a / 0.1
        log(1e-6 + w / w_a) / 0.2   log(1e-6 + h / h_a) / 0.2

    Replaces `offset_boxes` of "Dive into Deep Learning".

    Args:
        anchors: xyxy [..., A, 4], with an area.
        boxes: xyxy [..., A, 4], one for each anchor, in the unit of the anchors.
        variances: the divisors of centres and of sizes, above 0.

    Returns:
        float32 or float64 [..., A, 4]: x, y, width, height.

    Raises:
        TargetError: not four numbers a box, shapes that do not go together, variances not above 0.
    """
    anchors, boxes = _pairs(anchors, boxes, "boxes")
    centre, size = _check_variances(variances)
    low, high = anchors.split(2, dim=-1)
    box_low, box_high = boxes.split(2, dim=-1)
    extent = high - low
    shift = (box_low + box_high - low - high) / 2
    scale = (LEAST + (box_high - box_low) / extent).log()
    return torch.cat((shift / extent / centre, scale / size), dim=-1)


def decode(anchors: Tensor, offsets: Tensor, *, variances: Variances = VARIANCES) -> Tensor:
    """The boxes that offsets make of anchors; the inverse of `encode`.

    The 1e-6 is not taken off again, so a box comes back larger by that fraction of its anchor. No
    box gets wider or higher than a million times its anchor.
    Replaces `offset_inverse` of "Dive into Deep Learning".

    Args:
        anchors: xyxy [..., A, 4].
        offsets: [..., A, 4].
        variances: those of `encode`.

    Returns:
        xyxy, float32 or float64 [..., A, 4]; nothing is clipped to the image.

    Raises:
        TargetError: shapes that do not go together, variances not above 0.
    """
    anchors, offsets = _pairs(anchors, offsets, "offsets")
    centre, size = _check_variances(variances)
    low, high = anchors.split(2, dim=-1)
    shift, scale = offsets.split(2, dim=-1)
    extent = high - low
    middle = (low + high) / 2 + shift * extent * centre
    half = (scale * size).clamp(max=log(LARGEST)).exp() * extent / 2
    return torch.cat((middle - half, middle + half), dim=-1)


def _pairs(anchors: Tensor, values: Tensor, name: str) -> tuple[Tensor, Tensor]:
    anchors, values = check_boxes(anchors, "anchors"), check_boxes(values, name)
    if anchors.shape[-2:] != values.shape[-2:]:
        raise TargetError(
            f"{name} must be one for each anchor, got shape {tuple(values.shape)} for anchors of "
            f"shape {tuple(anchors.shape)}."
        )
    anchors, values = same_floats(anchors, values)
    return anchors, values


def _check_variances(variances: Variances) -> Variances:
    if len(variances) != 2 or not all(v > 0 for v in variances):
        raise TargetError(f"variances must be two numbers above 0, got {variances}.")
    return variances
