"""The first stage of Faster R-CNN: weights of anchors.

The arithmetic follows torchvision's `models/detection/rpn.py` (BSD-3-Clause), with a factor before
each sum. Where there are several sets, the network and its proposals are the same for all of them:
proposals do not depend on targets.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork, concat_box_prediction_layers

from mixwell.targets.detectors.samples import (
    Mode,
    Target,
    added,
    each_weight,
    is_plain,
    target_sets,
)


class WeightedRPN(RegionProposalNetwork):
    """torchvision's region proposal network with a weight in each loss term."""

    loss_mode: Mode

    def forward(
        self,
        images: ImageList,
        features: dict[str, Tensor],
        targets: list[Target] | None = None,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Proposals of each image, float [P, 4], and in training the two losses."""
        if not self.training or targets is None:
            return super().forward(images, features, targets)
        sets = target_sets(targets, self.loss_mode)
        if len(sets) == 1 and is_plain(sets[0]):
            return super().forward(images, features, sets[0])
        maps = list(features.values())
        objectness, deltas = self.head(maps)
        anchors = self.anchor_generator(images, maps)
        per_level = [level[0].numel() for level in objectness]
        objectness, deltas = concat_box_prediction_layers(objectness, deltas)
        proposals = self.box_coder.decode(deltas.detach(), anchors).view(len(anchors), -1, 4)
        boxes, _ = self.filter_proposals(proposals, objectness, images.image_sizes, per_level)
        return boxes, added([self.set_losses(objectness, deltas, anchors, one) for one in sets])

    def set_losses(
        self, objectness: Tensor, deltas: Tensor, anchors: list[Tensor], targets: list[Target]
    ) -> dict[str, Tensor]:
        """The losses against one set.

        Args:
            objectness: float [A, 1], logits of the anchors of all images.
            deltas: float [A, 4], their predicted moves.
            anchors: of each image, float [A_i, 4].
            targets: a set.
        """
        pairs = zip(anchors, targets, strict=True)
        labels, weights, boxes = zip(*(self.assigned(*pair) for pair in pairs), strict=True)
        wanted = torch.cat(self.box_coder.encode(list(boxes), anchors))
        chosen = self.fg_bg_sampler(list(labels))
        positive, negative = (torch.where(torch.cat(masks))[0] for masks in chosen)
        sampled = torch.cat([positive, negative])
        label, weight = torch.cat(labels), torch.cat(weights)
        moved = F.smooth_l1_loss(deltas[positive], wanted[positive], beta=1 / 9, reduction="none")
        return {
            "loss_objectness": F.binary_cross_entropy_with_logits(
                objectness.flatten()[sampled], label[sampled], weight=weight[sampled]
            ),
            "loss_rpn_box_reg": (weight[positive, None] * moved).sum() / sampled.numel(),
        }

    def assigned(self, anchors: Tensor, target: Target) -> tuple[Tensor, Tensor, Tensor]:
        """Of each anchor of an image: 1, 0 or -1 (neither), the weight, the box [A, 4]."""
        boxes = target["boxes"]
        if boxes.numel() == 0:
            nothing = torch.zeros_like(anchors)
            return nothing[:, 0], each_weight(target, nothing[:, 0], nothing[:, 0]), nothing
        matched = self.proposal_matcher(self.box_similarity(boxes, anchors))
        labels = (matched >= 0).float()
        labels[matched == self.proposal_matcher.BETWEEN_THRESHOLDS] = -1.0
        return labels, each_weight(target, matched, matched >= 0), boxes[matched.clamp(min=0)]
