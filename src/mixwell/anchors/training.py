"""What a detector is to learn at each anchor."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mixwell._errors import TargetError
from mixwell.anchors.assignment import assign
from mixwell.anchors.boxes import check_boxes, check_classes, floats
from mixwell.anchors.offsets import VARIANCES, Variances, encode


class AnchorTargets(NamedTuple):
    """Targets of every anchor of a batch.

    Attributes:
        offsets: float [B, A * 4], as `encode` makes them; 0 at negatives.
        mask: float [B, A * 4], 1 where an anchor has a box, 0 at negatives.
        classes: int64 [B, A], 0 for background, otherwise the box's class + 1.
        weights: float [B, A], that of the anchor's box; 1 at negatives.
    """

    offsets: Tensor
    mask: Tensor
    classes: Tensor
    weights: Tensor

    def to(self, device: torch.device | str) -> AnchorTargets:
        """The same targets on another device."""
        return AnchorTargets(*(part.to(device) for part in self))


def targets(
    anchors: Tensor,
    boxes: Tensor,
    classes: Tensor,
    weights: Tensor | None = None,
    *,
    threshold: float = 0.5,
    variances: Variances = VARIANCES,
) -> AnchorTargets:
    """Assign the boxes of a batch to anchors and encode them.

    Replaces `multibox_target` of "Dive into Deep Learning", with boxes and classes apart.

    Args:
        anchors: xyxy [A, 4] for all images, or [B, A, 4].
        boxes: xyxy [B, M, 4], in the unit of the anchors; `pad` makes them of ragged lists.
        classes: integers [B, M]; a negative number marks padding, whose box is not read.
        weights: float [B, M], finite and at least 0, as mixing gives them; None is 1.
        threshold: the least IoU at which an anchor takes a box (see `assign`).
        variances: see `encode`.

    Returns:
        `AnchorTargets`, in float32, or float64 where anchors or boxes are.

    Raises:
        TargetError: shapes or dtypes that do not go together; and, where the boxes lie on the CPU,
            coordinates or weights that are not finite, a box whose right (bottom) is below its
            left (top), a weight below 0. On other devices that would wait for the device.
    """
    anchors, boxes = check_boxes(anchors, "anchors"), check_boxes(boxes, "boxes")
    _check(boxes, classes, weights)
    valid = classes >= 0
    owner = assign(anchors, boxes, valid=valid, threshold=threshold)
    image, anchor = (owner >= 0).nonzero(as_tuple=True)
    box = owner[image, anchor]
    chosen = anchors.expand(len(boxes), -1, 4)[image, anchor]
    coded = encode(chosen, boxes[image, box], variances=variances)
    offsets = coded.new_zeros((*owner.shape, 4))
    offsets[image, anchor] = coded
    numbers = torch.zeros_like(owner)
    numbers[image, anchor] = classes[image, box].long() + 1
    mask = (owner >= 0).to(coded.dtype)
    each = coded.new_ones(owner.shape)
    if weights is not None:
        each[image, anchor] = weights[image, box].to(coded.dtype)
    return AnchorTargets(offsets.flatten(1), mask.repeat_interleave(4, dim=1), numbers, each)


def _check(boxes: Tensor, classes: Tensor, weights: Tensor | None) -> None:
    check_classes(classes, "classes")
    given = [classes] if weights is None else [classes, weights]
    if boxes.ndim != 3 or any(part.shape != boxes.shape[:2] for part in given):
        shapes = ", ".join(str(tuple(part.shape)) for part in (boxes, *given))
        raise TargetError(
            f"targets needs boxes [B, M, 4], classes [B, M] and weights [B, M], got shapes "
            f"{shapes}. Ragged lists go through mixwell.anchors.pad."
        )
    if boxes.device.type != "cpu":
        return
    real = boxes[classes >= 0]
    if not bool(real.isfinite().all()):
        raise TargetError("boxes must be finite, got NaN or infinity.")
    if bool((real[:, 2:] < real[:, :2]).any()):
        wrong = real[(real[:, 2:] < real[:, :2]).any(dim=1)][0].tolist()
        raise TargetError(
            f"boxes must be xyxy with x0 <= x1 and y0 <= y1, got {wrong}. Convert other encodings "
            'with mixwell.anchors.convert(boxes, "xywh", "xyxy").'
        )
    if weights is not None:
        known = floats(weights)[classes >= 0]
        if not bool((known.isfinite() & (known >= 0)).all()):
            raise TargetError(f"weights must be finite and at least 0, got {known.tolist()}.")
