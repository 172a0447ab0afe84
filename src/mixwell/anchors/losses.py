"""The loss of a single-shot detector, with a weight for each box.

The terms are those of SSD (Liu et al., 2016, "SSD: Single Shot MultiBox Detector",
arXiv 1512.02325): cross-entropy over classes at positive anchors and at the hardest negatives,
smooth L1 over the offsets of positives, both divided by the number of positives.

A box's weight multiplies both of its terms; negatives count 1. The number of positives counts
anchors, not weights: halving a box's weight halves its pull on the network and leaves that of all
others as it was.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mixwell._errors import TargetError
from mixwell.anchors.boxes import floats
from mixwell.anchors.training import AnchorTargets


class SsdTerms(NamedTuple):
    """The two terms of a detector's loss, each divided by the number of positives.

    Attributes:
        classes: scalar, cross-entropy.
        offsets: scalar, smooth L1.
    """

    classes: Tensor
    offsets: Tensor


def ssd_loss(
    class_logits: Tensor,
    offsets: Tensor,
    targets: AnchorTargets,
    *,
    negative_ratio: float | None = 3.0,
    beta: float = 1.0,
    offset_weight: float = 1.0,
) -> Tensor:
    """The loss of a batch: classes + offset_weight * offsets, as `ssd_terms` gives them.

    Args:
        class_logits: float [B, A, K + 1], background first.
        offsets: float [B, A * 4] or [B, A, 4].
        targets: what `mixwell.anchors.targets` returns.
        negative_ratio: negatives that count, for each positive of an image; None counts all.
        beta: where smooth L1 turns from square to linear; 0 is L1.
        offset_weight: the factor of the offsets' term.

    Returns:
        scalar, in float32 for half-precision inputs.

    Raises:
        TargetError: shapes that do not go together.
    """
    terms = ssd_terms(class_logits, offsets, targets, negative_ratio=negative_ratio, beta=beta)
    return terms.classes + offset_weight * terms.offsets


def ssd_terms(
    class_logits: Tensor,
    offsets: Tensor,
    targets: AnchorTargets,
    *,
    negative_ratio: float | None = 3.0,
    beta: float = 1.0,
) -> SsdTerms:
    """The two terms of `ssd_loss` apart.

    A batch without positives has no hard negatives either: its loss and gradient are 0. With
    `negative_ratio=None` its negatives count, divided by 1.

    Args:
        class_logits: float [B, A, K + 1], background first.
        offsets: float [B, A * 4] or [B, A, 4].
        targets: what `mixwell.anchors.targets` returns.
        negative_ratio: negatives that count, for each positive of an image; None counts all.
        beta: where smooth L1 turns from square to linear; 0 is L1.

    Returns:
        `SsdTerms`.

    Raises:
        TargetError: shapes that do not go together.
    """
    class_logits, offsets = floats(class_logits), floats(offsets)
    _check(class_logits, offsets, targets)
    positive = targets.classes > 0
    number = positive.sum().clamp(min=1)
    each = F.cross_entropy(
        class_logits.flatten(0, 1), targets.classes.flatten(), reduction="none"
    ).view_as(positive)
    counted = torch.ones_like(positive)
    if negative_ratio is not None:
        counted = positive | hard_negatives(each, targets.classes, negative_ratio)
    # A box of weight 0 may have a class whose loss is infinite (a masked logit).
    counted &= targets.weights > 0
    weighted = torch.where(counted, targets.weights.to(each.dtype) * each, 0.0)
    wanted = targets.offsets.to(offsets.dtype)
    miss = F.smooth_l1_loss(offsets.reshape(wanted.shape), wanted, reduction="none", beta=beta)
    weight = targets.mask * targets.weights.repeat_interleave(4, dim=1)
    missed = torch.where(weight > 0, weight.to(miss.dtype) * miss, 0.0)
    return SsdTerms(weighted.sum() / number, missed.sum() / number)


def hard_negatives(losses: Tensor, classes: Tensor, ratio: float = 3.0) -> Tensor:
    """The negatives with the largest losses: in each image `ratio` of them for each positive.

    Args:
        losses: float [B, A], the class loss of each anchor.
        classes: int64 [B, A], 0 for background.
        ratio: at least 0; the number of negatives is rounded down.

    Returns:
        bool [B, A]; among equal losses the lowest anchor comes first.

    Raises:
        TargetError: shapes that differ, or a ratio below 0.
    """
    if losses.ndim != 2 or losses.shape != classes.shape:
        raise TargetError(
            f"hard_negatives needs losses and classes [B, A], got shapes {tuple(losses.shape)} "
            f"and {tuple(classes.shape)}."
        )
    if not ratio >= 0:
        raise TargetError(f"ratio must be at least 0, got {ratio}.")
    positive = classes > 0
    wanted = (positive.sum(dim=1, keepdim=True) * ratio).floor()
    losses = losses.detach().masked_fill(positive, -torch.inf)
    order = losses.argsort(dim=1, descending=True, stable=True)
    places = torch.arange(losses.shape[1], device=losses.device).expand_as(order)
    rank = torch.empty_like(order).scatter_(1, order, places)
    return (rank < wanted) & ~positive


def _check(class_logits: Tensor, offsets: Tensor, targets: AnchorTargets) -> None:
    count, number = targets.classes.shape
    fits = class_logits.ndim == 3 and class_logits.shape[:2] == (count, number)
    if not fits or offsets.shape not in ((count, number * 4), (count, number, 4)):
        raise TargetError(
            f"ssd_loss needs class_logits [B, A, K + 1] and offsets [B, A * 4] for targets of "
            f"B = {count} images and A = {number} anchors, got shapes "
            f"{tuple(class_logits.shape)} and {tuple(offsets.shape)}."
        )
