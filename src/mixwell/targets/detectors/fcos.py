"""FCOS: weights of anchor points, in classification, regression and centerness.

The arithmetic follows torchvision's `models/detection/fcos.py` (BSD-3-Clause), with a factor before
each sum. The three sums are divided by the number of matched points of the batch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection.fcos import FCOS, FCOSHead
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

from mixwell.targets.detectors.samples import Mode, Target, is_plain, over_sets, weighed


class WeightedFCOS(FCOS):
    """torchvision's FCOS, whose head is called once for each set of targets."""

    loss_mode: Mode

    def compute_loss(
        self,
        targets: list[Target],
        head_outputs: dict[str, Tensor],
        anchors: list[Tensor],
        num_anchors_per_level: list[int],
    ) -> dict[str, Tensor]:
        """The losses of a batch."""
        own = super().compute_loss
        rest = (head_outputs, anchors, num_anchors_per_level)
        return over_sets(targets, self.loss_mode, lambda one: own(one, *rest))


class WeightedFCOSHead(FCOSHead):
    """torchvision's head with a weight in each loss term."""

    def compute_loss(
        self,
        targets: list[Target],
        head_outputs: dict[str, Tensor],
        anchors: list[Tensor],
        matched_idxs: list[Tensor],
    ) -> dict[str, Tensor]:
        """The losses against one set; `matched_idxs`: of each image, int64 [A], -1 none."""
        if is_plain(targets):
            return super().compute_loss(targets, head_outputs, anchors, matched_idxs)
        weights, positive, count = weighed(targets, matched_idxs)
        pairs = list(zip(targets, matched_idxs, strict=True))

        logits = head_outputs["cls_logits"]
        wanted = torch.zeros_like(logits)
        wanted[positive, torch.cat([t["labels"][m[m >= 0]] for t, m in pairs])] = 1.0
        classes = weights[..., None] * sigmoid_focal_loss(logits, wanted, reduction="none")

        points = torch.stack(anchors)
        own = weights[positive]
        boxes = torch.cat([t["boxes"][m[m >= 0]] for t, m in pairs])
        predicted = self.box_coder.decode(head_outputs["bbox_regression"], points)[positive]
        overlap = own * generalized_box_iou_loss(predicted, boxes, reduction="none")

        central = F.binary_cross_entropy_with_logits(
            head_outputs["bbox_ctrness"].squeeze(dim=2)[positive],
            centerness(self.box_coder.encode(points[positive], boxes)),
            weight=own,
            reduction="sum",
        )
        return {
            "classification": classes.sum() / count,
            "bbox_regression": overlap.sum() / count,
            "bbox_ctrness": central / count,
        }


def centerness(sides: Tensor) -> Tensor:
    """How central points lie in their boxes, float [P], 0 .. 1, from their distances to the sides.

    Args:
        sides: float [P, 4]: left, top, right, bottom, all > 0.
    """
    across, down = sides[:, [0, 2]], sides[:, [1, 3]]
    return torch.sqrt(
        (across.amin(dim=1) / across.amax(dim=1)) * (down.amin(dim=1) / down.amax(dim=1))
    )
