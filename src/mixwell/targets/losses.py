"""Losses for soft, sparse, multi-label and multi-head targets.

A mean is over what is known: the sum of the losses divided by the label mass of the batch
(`mixwell.targets.labels`). Rows of mass 1 make it the mean over images; ignored labels count in
neither sum; weights of samples make it their weighted mean. A batch of which nothing is known, or
that is empty, has loss 0 and gradient 0. Half-precision logits are computed on in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mixwell._errors import TargetError
from mixwell.targets.kinds import MultiLabels, SparseLabels

Reduction = Literal["mean", "sum", "none"]
"""Over images; a loss is never left unsummed over classes."""

IGNORE = -100
"""The class number that torch's losses ignore unless told otherwise."""


def soft_cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    smoothing: float = 0.0,
    ignore_index: int = IGNORE,
    reduction: Reduction = "mean",
) -> Tensor:
    """Cross-entropy against probabilities.

    For rows that sum to 1 it is `torch.nn.functional.cross_entropy`.

    Args:
        logits: float [B, K].
        target: float [B, K] (`dense_labels`); or int64 [B], plain classes.
        smoothing: s in 0 .. 1: (1 - s) * target + s * mass / K, as `dense_labels` does it.
        ignore_index: of plain classes: rows that do not count.
        reduction: "mean" over the label mass, "sum", or "none": float [B].

    Returns:
        float scalar, or [B].
    """
    logits = _wide(logits)
    if target.is_floating_point():
        target = target.to(logits.dtype)
        mass = target.sum(dim=1)
        each = F.cross_entropy(logits, target, reduction="none")
    else:
        mass = (target != ignore_index).to(logits.dtype)
        each = F.cross_entropy(logits, target, reduction="none", ignore_index=ignore_index)
    if smoothing:
        evenly = -F.log_softmax(logits, dim=1).mean(dim=1)
        each = (1.0 - smoothing) * each + smoothing * mass * evenly
    return reduced(each, mass, reduction)


def bce(
    logits: Tensor,
    target: Tensor | MultiLabels,
    *,
    threshold: float | None = None,
    sum_classes: bool = False,
    weight: Tensor | None = None,
) -> Tensor:
    """Binary cross-entropy of every class, as in "ResNet strikes back" (arXiv 2110.00476).

    Rows are read as yes/no labels, so rows of `dense_labels` must have mass 1 here: where samples
    are ignored or weighted, use multi-label targets, or `weight`.

    Args:
        logits: float [B, K].
        target: float [B, K], 0 .. 1; or `MultiLabels`, which bring their weights along.
        threshold: targets become 1 where they exceed it and 0 elsewhere; None leaves them soft.
        sum_classes: K times the mean; without weights, the mean over the batch of sums over
            classes.
        weight: float [B] or [B, K]: the mean becomes the weighted mean.

    Returns:
        float scalar.
    """
    logits = _wide(logits)
    values = target.values if isinstance(target, MultiLabels) else target
    if threshold is not None:
        values = values.gt(threshold)
    each = F.binary_cross_entropy_with_logits(logits, values.to(logits.dtype), reduction="none")
    if weight is not None:
        weight = weight[:, None] if weight.ndim == 1 else weight
    if isinstance(target, MultiLabels):
        weight = target.weights if weight is None else target.weights * weight
    if weight is None:
        weight = torch.ones_like(each)
    weight = weight.to(each.dtype).expand_as(each)
    mean = reduced(weight * each, weight, "mean")
    return mean * each.shape[1] if sum_classes else mean


def sparse_loss(
    criterion: Callable[[Tensor, Tensor], Tensor],
    logits: Tensor,
    target: SparseLabels,
    *,
    reduction: Reduction = "mean",
) -> Tensor:
    """Any loss over class numbers, made to take mixed labels: the shares weigh its values.

    Args:
        criterion: (logits [B, K], classes int64 [B]) -> float [B], so with reduction="none".
        logits: float [B, K].
        target: `sparse_labels`.
        reduction: "mean" over the label mass, "sum", or "none": float [B].

    Returns:
        float scalar, or [B]: sum over s of share[s] * loss(class[s]).

    Raises:
        TargetError: the criterion averages by itself, which would mix the images' losses.
    """
    logits = _wide(logits)
    total = logits.new_zeros(len(target))
    for s in range(target.classes.shape[1]):
        each = criterion(logits, target.classes[:, s])
        if each.shape != total.shape:
            raise TargetError(
                f"sparse_loss needs a loss for each of {len(total)} images, got shape "
                f"{tuple(each.shape)}. Give the criterion reduction='none'."
            )
        share = target.shares[:, s].to(each.dtype)
        # A place that is not used may name a class whose loss is infinite (a masked logit).
        total = total + torch.where(share > 0, share * each, 0.0)
    return reduced(total, target.shares.sum(dim=1).to(total.dtype), reduction)


def sparse_cross_entropy(
    logits: Tensor,
    target: SparseLabels,
    *,
    smoothing: float = 0.0,
    reduction: Reduction = "mean",
) -> Tensor:
    """`soft_cross_entropy` of sparse labels, without their dense rows.

    Args:
        logits: float [B, K].
        target: `sparse_labels`.
        smoothing: s in 0 .. 1, as `dense_labels` smooths.
        reduction: "mean" over the label mass, "sum", or "none": float [B].

    Returns:
        float scalar, or [B].
    """
    logs = F.log_softmax(_wide(logits), dim=1)
    shares = target.shares.to(logs.dtype)
    mass = shares.sum(dim=1)
    picked = torch.where(shares > 0, shares * logs.gather(1, target.classes), 0.0)
    each = -picked.sum(dim=1)
    if smoothing:
        each = (1.0 - smoothing) * each - smoothing * mass * logs.mean(dim=1)
    return reduced(each, mass, reduction)


def reduced(each: Tensor, mass: Tensor, reduction: Reduction) -> Tensor:
    """Losses of any shape, summed, or divided by their mass; 0 where there is none."""
    if reduction == "none":
        return each
    if reduction == "sum":
        return each.sum()
    if reduction != "mean":
        raise TargetError(f'reduction must be "mean", "sum" or "none", got {reduction!r}.')
    whole = mass.sum()
    return each.sum() / torch.where(whole > 0, whole, 1.0)


def _wide(logits: Tensor) -> Tensor:
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
