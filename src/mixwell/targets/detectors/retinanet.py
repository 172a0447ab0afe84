"""RetinaNet: weights of anchors.

The arithmetic follows torchvision's `models/detection/retinanet.py` (BSD-3-Clause), with a factor
before each sum: all classes of an anchor have the weight of its box. Anchors between the matcher's
thresholds count in no loss, and each image's loss is divided by its number of matched anchors.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection.retinanet import RetinaNet, RetinaNetHead
from torchvision.ops import (
    complete_box_iou_loss,
    distance_box_iou_loss,
    generalized_box_iou_loss,
    sigmoid_focal_loss,
)

from mixwell._errors import TargetError
from mixwell.targets.detectors.samples import (
    Mode,
    Target,
    each_weight,
    is_plain,
    matched_boxes,
    over_sets,
)

IOU_LOSSES = {
    "ciou": complete_box_iou_loss,
    "diou": distance_box_iou_loss,
    "giou": generalized_box_iou_loss,
}


class WeightedRetinaNet(RetinaNet):
    """torchvision's RetinaNet, whose head is called once for each set of targets."""

    loss_mode: Mode

    def compute_loss(
        self, targets: list[Target], head_outputs: dict[str, Tensor], anchors: list[Tensor]
    ) -> dict[str, Tensor]:
        """The losses of a batch."""
        own = super().compute_loss
        return over_sets(targets, self.loss_mode, lambda one: own(one, head_outputs, anchors))


class WeightedRetinaNetHead(RetinaNetHead):
    """torchvision's head with a weight in each loss term."""

    def compute_loss(
        self,
        targets: list[Target],
        head_outputs: dict[str, Tensor],
        anchors: list[Tensor],
        matched_idxs: list[Tensor],
    ) -> dict[str, Tensor]:
        """The losses against one set; `matched_idxs`: of each image, int64 [A], -1 and -2 none."""
        if is_plain(targets):
            return super().compute_loss(targets, head_outputs, anchors, matched_idxs)
        between = self.classification_head.BETWEEN_THRESHOLDS
        classes, boxes = [], []
        for i, (target, matched) in enumerate(zip(targets, matched_idxs, strict=True)):
            logits, moves = head_outputs["cls_logits"][i], head_outputs["bbox_regression"][i]
            count = max(1, int((matched >= 0).sum()))
            classes.append(class_loss(logits, target, matched, matched != between) / count)
            boxes.append(self.box_loss(moves, target, anchors[i], matched) / count)
        return {
            "classification": torch.stack(classes).sum() / len(targets),
            "bbox_regression": torch.stack(boxes).sum() / len(targets),
        }

    def box_loss(self, moves: Tensor, target: Target, anchors: Tensor, matched: Tensor) -> Tensor:
        """The sum over an image's matched anchors; `moves` float [A, 4]."""
        positive, boxes, weights = matched_boxes(target, matched)
        head = self.regression_head
        each = each_box_loss(
            head._loss_type, head.box_coder, anchors[positive], boxes, moves[positive]
        )
        return (weights * each).sum()


def class_loss(logits: Tensor, target: Target, matched: Tensor, valid: Tensor) -> Tensor:
    """The focal loss of an image, summed over valid anchors and classes; `logits` float [A, K]."""
    positive = matched >= 0
    wanted = torch.zeros_like(logits)
    wanted[positive, target["labels"][matched[positive]]] = 1.0
    weights = each_weight(target, matched, positive)
    each = sigmoid_focal_loss(logits[valid], wanted[valid], reduction="none")
    return (weights[valid, None] * each).sum()


def each_box_loss(kind: str, coder, anchors: Tensor, boxes: Tensor, moves: Tensor) -> Tensor:
    """The regression loss of each of P anchors, float [P], by torchvision's name of it."""
    if kind in IOU_LOSSES:
        predicted = coder.decode_single(moves, anchors)
        return IOU_LOSSES[kind](predicted, boxes, reduction="none", eps=1e-7)
    wanted = coder.encode_single(boxes, anchors)
    if kind == "l1":
        return F.l1_loss(moves, wanted, reduction="none").sum(dim=1)
    if kind == "smooth_l1":
        return F.smooth_l1_loss(moves, wanted, reduction="none").sum(dim=1)
    known = ", ".join(("l1", "smooth_l1", *IOU_LOSSES))
    raise TargetError(f"RetinaNet's regression loss must be one of {known}, got {kind!r}.")
