"""From a detector's outputs to the boxes it found."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision import ops

from mixwell._errors import TargetError
from mixwell.anchors.boxes import check_boxes, check_classes, floats
from mixwell.anchors.offsets import VARIANCES, Variances, decode


def nms(
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: float = 0.5,
    *,
    classes: Tensor | None = None,
) -> Tensor:
    """Non-maximum suppression: the boxes that no better box covers.

    Boxes are taken by falling score; a box is dropped when its IoU with one that was kept is above
    the threshold. It is `torchvision.ops.nms`, or `batched_nms` where classes are given, on
    coordinates in float64: `batched_nms` keeps classes apart by moving them away from each other,
    which in float32 would change their overlaps. Replaces `nms` of "Dive into Deep Learning".

    Args:
        boxes: xyxy [N, 4] of one image.
        scores: float [N].
        iou_threshold: 0 .. 1.
        classes: integers [N]: only boxes of the same class suppress each other; None: all do.

    Returns:
        int64: positions of the boxes kept, by falling score; among equal ones the lowest first.

    Raises:
        TargetError: shapes that do not go together, or a threshold outside 0 .. 1.
    """
    boxes, scores = check_boxes(boxes, "boxes"), floats(scores)
    parts = (scores,) if classes is None else (scores, classes)
    if boxes.ndim != 2 or any(part.shape != boxes.shape[:1] for part in parts):
        shapes = ", ".join(str(tuple(part.shape)) for part in (boxes, *parts))
        raise TargetError(
            f"nms needs boxes [N, 4], scores [N] and classes [N], got shapes {shapes}. "
            "Batches go through mixwell.anchors.detect."
        )
    if not 0.0 <= iou_threshold <= 1.0:
        raise TargetError(f"iou_threshold must be an IoU in 0 .. 1, got {iou_threshold}.")
    if len(boxes) == 0:
        return torch.zeros(0, dtype=torch.int64, device=boxes.device)
    wide = boxes.double()
    if classes is None:
        return ops.nms(wide, scores.double(), iou_threshold)
    check_classes(classes, "classes")
    # batched_nms takes coordinates for positive; below -1 its classes would meet.
    kept = ops.batched_nms(wide - wide.amin(), scores.double(), classes.long(), iou_threshold)
    kept = kept.sort().values
    return kept[scores[kept].argsort(descending=True, stable=True)]


def detect(
    class_probs: Tensor,
    offsets: Tensor,
    anchors: Tensor,
    *,
    iou_threshold: float = 0.5,
    min_confidence: float = 0.01,
    per_class: bool = False,
    variances: Variances = VARIANCES,
) -> Tensor:
    """Decode a batch of predictions and suppress what is found twice.

    An anchor's class is its most probable one other than background, and that probability its
    confidence. Below `min_confidence` it is background. Replaces `multibox_detection` of "Dive
    into Deep Learning", which takes probabilities as [B, K + 1, A].

    Args:
        class_probs: float [B, A, K + 1], background first: softmax of the logits.
        offsets: float [B, A * 4] or [B, A, 4].
        anchors: xyxy [A, 4] for all images, or [B, A, 4].
        iou_threshold: 0 .. 1, above which the less confident of two boxes is dropped.
        min_confidence: the least confidence of a detection.
        per_class: boxes of different classes do not suppress each other.
        variances: those of `encode`.

    Returns:
        float32 or float64 [B, A, 6]: class, confidence, x0, y0, x1, y1. Detections first, by
        falling confidence; then the others, by anchor, with class -1: what was suppressed keeps
        its confidence, background has 1 - confidence.

    Raises:
        TargetError: shapes that do not go together, or a threshold outside 0 .. 1.
    """
    class_probs, offsets, anchors = _checked(class_probs, offsets, anchors)
    boxes = decode(anchors, offsets, variances=variances)
    confidence, number = class_probs[:, :, 1:].max(dim=2)
    candidate = confidence >= min_confidence
    found = torch.zeros_like(candidate)
    for i in range(len(boxes)):  # a call for each image: its cost grows with the square of boxes
        (some,) = candidate[i].nonzero(as_tuple=True)
        kinds = number[i, some] if per_class else None
        kept = nms(boxes[i, some], confidence[i, some], iou_threshold, classes=kinds)
        found[i, some[kept]] = True
    ranked = confidence.masked_fill(~found, -torch.inf)
    order = ranked.argsort(dim=1, descending=True, stable=True)
    label = number.masked_fill(~found, -1).to(boxes.dtype)
    confidence = torch.where(candidate, confidence, 1 - confidence).to(boxes.dtype)
    rows = torch.cat((label[:, :, None], confidence[:, :, None], boxes), dim=2)
    return rows.gather(1, order[:, :, None].expand_as(rows))


def _checked(class_probs: Tensor, offsets: Tensor, anchors: Tensor) -> tuple[Tensor, ...]:
    anchors = check_boxes(anchors, "anchors")
    number = anchors.shape[-2]
    if class_probs.ndim != 3 or class_probs.shape[1] != number or class_probs.shape[2] < 2:
        raise TargetError(
            f"class_probs must be [B, A, K + 1] for A = {number} anchors and K >= 1 classes, got "
            f"shape {tuple(class_probs.shape)}. Probabilities [B, K + 1, A] need .mT."
        )
    count = len(class_probs)
    if offsets.shape not in ((count, number * 4), (count, number, 4)):
        raise TargetError(
            f"offsets must be [B, A * 4] or [B, A, 4] for B = {count} and A = {number}, got shape "
            f"{tuple(offsets.shape)}."
        )
    return floats(class_probs), floats(offsets).reshape(count, number, 4), anchors
