"""Which ground truth each anchor is to find."""

from __future__ import annotations

import torch
from torch import Tensor

from mixwell._errors import TargetError
from mixwell.anchors.boxes import box_iou, check_boxes


def assign(
    anchors: Tensor,
    boxes: Tensor,
    *,
    valid: Tensor | None = None,
    threshold: float = 0.5,
) -> Tensor:
    """Give every anchor a ground truth or none.

    First each ground truth gets an anchor: the pair with the largest overlap of all is taken, its
    anchor and its box are set aside, and so on until every box has one or no anchor is left. Then
    each other anchor gets the box that it overlaps most, if that is at least `threshold`. Among
    equal overlaps the lowest anchor counts first, then the lowest box.

    The first part happens whatever the overlap is, so a box that overlaps no anchor gets the
    lowest free one. Replaces `assign_anchor_to_bbox` of "Dive into Deep Learning", where with more
    boxes than anchors the first anchor is overwritten.

    Args:
        anchors: xyxy [A, 4] for all images, or [B, A, 4].
        boxes: xyxy [B, M, 4], or [M, 4] for one image.
        valid: bool [B, M] or [M]: which boxes there are; None is all.
        threshold: 0 .. 1, the least IoU at which an anchor takes a box that is not given to it.

    Returns:
        int64 [B, A] or [A]: the box's position in its image, -1 for none.

    Raises:
        TargetError: shapes that do not go together, or a threshold outside 0 .. 1.
    """
    anchors, boxes = check_boxes(anchors, "anchors"), check_boxes(boxes, "boxes")
    if boxes.ndim == 2:
        many = None if valid is None else valid[None]
        return assign(anchors, boxes[None], valid=many, threshold=threshold)[0]
    _check(anchors, boxes, valid, threshold)
    count, number = boxes.shape[:2]
    if number == 0 or anchors.shape[-2] == 0:
        return torch.full((count, anchors.shape[-2]), -1, device=boxes.device)
    with torch.no_grad():
        overlap = box_iou(boxes, anchors)
        if valid is not None:
            overlap.masked_fill_(~valid[:, :, None], -1.0)
        most, owner = overlap.max(dim=1)
        owner.masked_fill_(most < threshold, -1)
        anchor_of = _greedy(overlap)
        image, box = (anchor_of >= 0).nonzero(as_tuple=True)
        owner[image, anchor_of[image, box]] = box
    return owner


def _greedy(overlap: Tensor) -> Tensor:
    """The anchor given to each box, -1 for none: int64 [B, M].

    A pair is taken as soon as it is the best both of its box and of its anchor: nothing that comes
    before it in the order of overlaps can take either away. So a round settles many boxes, and only
    those whose anchor went to another look for their next one.

    Args:
        overlap: [B, M, A]; rows of boxes that do not exist hold -1.
    """
    count, number, width = overlap.shape
    itself = torch.arange(number, device=overlap.device)
    given = torch.full((count, number), -1, device=overlap.device)
    taken = torch.zeros((count, width), dtype=torch.bool, device=overlap.device)
    best, place = overlap.max(dim=2)
    left = best >= 0
    for _ in range(number):  # each round settles at least the best pair of every image
        if not bool(left.any()):
            break
        rivals = overlap.gather(2, place[:, None].expand(-1, number, -1))  # [B, rival, box]
        first = rivals.masked_fill_(~left[:, :, None], -1.0).argmax(dim=1)
        wins = left & (first == itself)
        given = torch.where(wins, place, given)
        image, box = wins.nonzero(as_tuple=True)
        taken[image, place[image, box]] = True
        left &= ~wins
        image, box = (left & taken.gather(1, place)).nonzero(as_tuple=True)
        free = overlap[image, box].masked_fill_(taken[image], -1.0)
        best[image, box], place[image, box] = free.max(dim=1)
        left &= best >= 0
    return given


def _check(anchors: Tensor, boxes: Tensor, valid: Tensor | None, threshold: float) -> None:
    shared = anchors.ndim == 2 or (anchors.ndim == 3 and len(anchors) in (1, len(boxes)))
    if boxes.ndim != 3 or not shared:
        raise TargetError(
            f"assign needs boxes [B, M, 4] and anchors [A, 4] or [B, A, 4], got shapes "
            f"{tuple(boxes.shape)} and {tuple(anchors.shape)}."
        )
    if valid is not None and (valid.shape != boxes.shape[:2] or valid.dtype != torch.bool):
        raise TargetError(
            f"valid must be bool {tuple(boxes.shape[:2])}, got {valid.dtype} {tuple(valid.shape)}."
        )
    if not 0.0 <= threshold <= 1.0:
        raise TargetError(f"threshold must be an IoU in 0 .. 1, got {threshold}.")
