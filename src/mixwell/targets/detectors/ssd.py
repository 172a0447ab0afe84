"""SSD and SSDlite: weights of default boxes.

The arithmetic follows torchvision's `models/detection/ssd.py` (BSD-3-Clause), with a factor before
each sum. Hard negatives are chosen by their unweighted losses, three (or as configured) for each
matched box, whatever its weight; both sums are divided by the number of matches of the batch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection.ssd import SSD
from torchvision.ops import box_iou

from mixwell.targets.detectors.samples import (
    Mode,
    Target,
    is_plain,
    matched_boxes,
    over_sets,
    weighed,
)


class WeightedSSD(SSD):
    """torchvision's SSD with a weight in each loss term."""

    loss_mode: Mode

    def compute_loss(
        self,
        targets: list[Target],
        head_outputs: dict[str, Tensor],
        anchors: list[Tensor],
        matched_idxs: list[Tensor],
    ) -> dict[str, Tensor]:
        """The losses of a batch; `matched_idxs`: of each image, int64 [A], -1 none."""

        def losses(one: list[Target]) -> dict[str, Tensor]:
            whole = self.loss_mode != "sources"  # the set is of all boxes, as the matches are
            found = matched_idxs if whole else list(map(self.matched, one, anchors))
            return self.set_losses(one, head_outputs, anchors, found)

        return over_sets(targets, self.loss_mode, losses)

    def set_losses(
        self,
        targets: list[Target],
        head_outputs: dict[str, Tensor],
        anchors: list[Tensor],
        matched_idxs: list[Tensor],
    ) -> dict[str, Tensor]:
        """The losses against one set."""
        if is_plain(targets):
            return super().compute_loss(targets, head_outputs, anchors, matched_idxs)
        weights, _, count = weighed(targets, matched_idxs)
        pairs = list(zip(targets, matched_idxs, strict=True))
        boxes = [
            self.box_loss(target, moves, own, matched)
            for (target, matched), moves, own in zip(
                pairs, head_outputs["bbox_regression"], anchors, strict=True
            )
        ]
        wanted = torch.stack([_classes(target, matched) for target, matched in pairs])
        logits = head_outputs["cls_logits"]
        each = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
        each = each.view_as(wanted)
        hard = self.hard_negatives(each.detach(), wanted > 0)
        each = weights * each
        return {
            "bbox_regression": torch.stack(boxes).sum() / count,
            "classification": (each[wanted > 0].sum() + each[hard].sum()) / count,
        }

    def box_loss(self, target: Target, moves: Tensor, anchors: Tensor, matched: Tensor) -> Tensor:
        """The sum over an image's matched anchors; `moves` float [A, 4]."""
        positive, boxes, weights = matched_boxes(target, matched)
        wanted = self.box_coder.encode_single(boxes, anchors[positive])
        each = F.smooth_l1_loss(moves[positive], wanted, reduction="none")
        return (weights[:, None] * each).sum()

    def hard_negatives(self, losses: Tensor, positive: Tensor) -> Tensor:
        """The negatives of each image with the largest losses, bool [B, A].

        Where an image has too few negatives, positives follow, as in torchvision: they count twice.
        """
        wanted = self.neg_to_pos_ratio * positive.sum(dim=1, keepdim=True)
        order = losses.masked_fill(positive, -torch.inf).sort(dim=1, descending=True).indices
        return order.argsort(dim=1) < wanted

    def matched(self, target: Target, anchors: Tensor) -> Tensor:
        """Of each anchor the box, int64 [A], -1 none, as torchvision's forward matches them."""
        if target["boxes"].numel() == 0:
            return torch.full((len(anchors),), -1, device=anchors.device)
        return self.proposal_matcher(box_iou(target["boxes"], anchors))


def _classes(target: Target, matched: Tensor) -> Tensor:
    """Of each anchor the class, int64 [A], 0 for background."""
    if len(target["labels"]) == 0:
        return torch.zeros_like(matched)
    return torch.where(matched >= 0, target["labels"][matched.clamp(min=0)], 0)
