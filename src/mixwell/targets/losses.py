"""Losses and accuracies for soft, sparse and multi-label targets."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from mixwell.targets.labels import SparseLabels


def soft_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy against probabilities.

    Args:
        logits: float [B, K].
        target: float [B, K], rows summing to 1 (`dense_labels`); or int64 [B], plain classes.

    Returns:
        float scalar.
    """
    return F.cross_entropy(logits, target)


def bce(
    logits: Tensor, target: Tensor, *, threshold: float | None = None, sum_classes: bool = False
) -> Tensor:
    """Binary cross-entropy of every class, as in "ResNet strikes back" (arXiv 2110.00476).

    Args:
        logits: float [B, K].
        target: float [B, K], 0 .. 1.
        threshold: targets become 1 where they exceed it and 0 elsewhere; None leaves them soft.
        sum_classes: sum over classes instead of averaging; the batch is averaged either way.

    Returns:
        float scalar.
    """
    if threshold is not None:
        target = target.gt(threshold).to(logits.dtype)
    loss = F.binary_cross_entropy_with_logits(logits, target.to(logits.dtype), reduction="none")
    return loss.sum(dim=-1).mean() if sum_classes else loss.mean()


def sparse_loss(
    criterion: Callable[[Tensor, Tensor], Tensor], logits: Tensor, target: SparseLabels
) -> Tensor:
    """Any loss over class numbers, made to take mixed labels: the shares weigh its values.

    Args:
        criterion: (logits [B, K], classes int64 [B]) -> float [B], so with reduction="none".
        logits: float [B, K].
        target: `sparse_labels`.

    Returns:
        float scalar: the mean over the batch of sum over s of share[s] * loss(class[s]).
    """
    total = logits.new_zeros(len(target))
    for s in range(target.classes.shape[1]):
        total = total + target.shares[:, s] * criterion(logits, target.classes[:, s])
    return total.mean()


@torch.no_grad()
def mixed_accuracy(logits: Tensor, target: Tensor | SparseLabels) -> Tensor:
    """How much of each image's label mass lies on the predicted class, averaged over the batch.

    This is no accuracy in the usual sense: on mixed images a perfect model reaches the mean of the
    largest share, not 1. Report it under its own name.

    Args:
        logits: float [B, K].
        target: float [B, K], or sparse labels.

    Returns:
        float scalar in 0 .. 1.
    """
    if isinstance(target, SparseLabels):
        target = target.dense(logits.shape[1])
    predicted = logits.argmax(dim=1, keepdim=True)
    return target.gather(1, predicted).mean()
