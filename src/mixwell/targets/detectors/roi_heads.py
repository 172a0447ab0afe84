"""The second stage of Faster, Mask and Keypoint R-CNN: weights of proposals.

The arithmetic follows torchvision's `models/detection/roi_heads.py` (BSD-3-Clause), with a factor
before each sum. A proposal has the weight of the box that it is matched to, also where it is that
box itself: torchvision adds the boxes of the targets to the proposals.

Where there are several sets, each takes its own sample of the same proposals, and the heads run on
each sample, over the same features.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection.roi_heads import (
    RoIHeads,
    keypoints_to_heatmap,
    project_masks_on_boxes,
)

from mixwell.targets.detectors.samples import (
    Mode,
    Target,
    added,
    each_weight,
    is_plain,
    target_sets,
)


class WeightedRoIHeads(RoIHeads):
    """torchvision's box, mask and keypoint heads with a weight in each loss term."""

    loss_mode: Mode

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[Target] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Detections in evaluation, losses in training."""
        if not self.training or targets is None:
            return super().forward(features, proposals, image_shapes, targets)
        sets = target_sets(targets, self.loss_mode)
        if len(sets) == 1 and is_plain(sets[0]):
            return super().forward(features, proposals, image_shapes, sets[0])
        losses = [self.set_losses(features, proposals, image_shapes, one) for one in sets]
        return [], added(losses)

    def set_losses(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[Target],
    ) -> dict[str, Tensor]:
        """The losses of the heads that the model has, against one set."""
        rois, matched, labels, wanted = self.select_training_samples(proposals, targets)
        weights = [
            each_weight(target, m, k > 0)
            for target, m, k in zip(targets, matched, labels, strict=True)
        ]
        box_head = (self.box_roi_pool, self.box_head, self.box_predictor)
        logits, deltas = _through(box_head, features, rois, image_shapes)
        losses = box_losses(
            logits, deltas, torch.cat(labels), torch.cat(wanted), torch.cat(weights)
        )
        if not (self.has_mask() or self.has_keypoint()):
            return losses
        kept = [torch.where(k > 0)[0] for k in labels]
        rois, matched, weights = (_taken(each, kept) for each in (rois, matched, weights))
        if self.has_mask():
            head = (self.mask_roi_pool, self.mask_head, self.mask_predictor)
            found = _through(head, features, rois, image_shapes)
            losses["loss_mask"] = mask_loss(found, rois, targets, matched, torch.cat(weights))
        if self.has_keypoint():
            head = (self.keypoint_roi_pool, self.keypoint_head, self.keypoint_predictor)
            found = _through(head, features, rois, image_shapes)
            losses["loss_keypoint"] = keypoint_loss(
                found, rois, targets, matched, torch.cat(weights)
            )
        return losses


def box_losses(
    logits: Tensor, deltas: Tensor, labels: Tensor, wanted: Tensor, weights: Tensor
) -> dict[str, Tensor]:
    """Class and position of R proposals, divided by R.

    Args:
        logits: float [R, K].
        deltas: float [R, 4 K], the predicted moves for each class.
        labels: int64 [R], 0 for background.
        wanted: float [R, 4].
        weights: float [R].
    """
    positive = torch.where(labels > 0)[0]
    own = deltas.reshape(len(logits), -1, 4)[positive, labels[positive]]
    moved = F.smooth_l1_loss(own, wanted[positive], beta=1 / 9, reduction="none")
    return {
        "loss_classifier": (weights * F.cross_entropy(logits, labels, reduction="none")).mean(),
        "loss_box_reg": (weights[positive, None] * moved).sum() / labels.numel(),
    }


def mask_loss(
    logits: Tensor,
    rois: list[Tensor],
    targets: list[Target],
    matched: list[Tensor],
    weights: Tensor,
) -> Tensor:
    """Masks of the positive proposals, divided by their number and the mask's pixels.

    Args:
        logits: float [P, K, M, M].
        rois: of each image, float [P_i, 4], its positive proposals.
        targets: a set, with masks [n, H, W].
        matched: of each image, int64 [P_i].
        weights: float [P].
    """
    pairs = list(zip(targets, rois, matched, strict=True))
    labels = torch.cat([target["labels"][m] for target, _, m in pairs])
    masks = torch.cat(
        [project_masks_on_boxes(t["masks"], r, m, logits.shape[-1]) for t, r, m in pairs]
    )
    if masks.numel() == 0:
        return logits.sum() * 0
    own = logits[torch.arange(len(labels), device=labels.device), labels]
    return F.binary_cross_entropy_with_logits(own, masks, weight=weights[:, None, None])


def keypoint_loss(
    logits: Tensor,
    rois: list[Tensor],
    targets: list[Target],
    matched: list[Tensor],
    weights: Tensor,
) -> Tensor:
    """Visible keypoints inside the positive proposals, divided by the number of such keypoints.

    Args:
        logits: float [P, K, M, M], a map for each of K keypoints.
        rois: of each image, float [P_i, 4], its positive proposals.
        targets: a set, with keypoints [n, K, 3].
        matched: of each image, int64 [P_i].
        weights: float [P].
    """
    pairs = zip(targets, rois, matched, strict=True)
    found = [keypoints_to_heatmap(t["keypoints"][m], r, logits.shape[-1]) for t, r, m in pairs]
    places, visible = (torch.cat(each) for each in zip(*found, strict=True))
    roi, keypoint = torch.where(visible > 0)
    if len(roi) == 0:
        return logits.sum() * 0
    each = F.cross_entropy(
        logits.flatten(2)[roi, keypoint], places[roi, keypoint], reduction="none"
    )
    return (weights[roi] * each).mean()


def _through(head: tuple[Any, Any, Any], features, rois, image_shapes) -> Any:
    """What a head says of regions: pooled features, through the head, through its predictor."""
    pool, body, predictor = head
    return predictor(body(pool(features, rois, image_shapes)))


def _taken(values: list[Tensor], indices: list[Tensor]) -> list[Tensor]:
    return [value[index] for value, index in zip(values, indices, strict=True)]
