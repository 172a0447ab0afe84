"""Accuracies: of plain classes, of mixed labels, of yes/no labels.

Each is over what is known, and 0 where nothing is known or the batch is empty.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mixwell.targets.kinds import MultiLabels, SparseLabels
from mixwell.targets.losses import IGNORE, reduced


@torch.no_grad()
def accuracy(logits: Tensor, target: Tensor, *, ignore_index: int = IGNORE) -> Tensor:
    """How often the predicted class is the label.

    Args:
        logits: float [B, K].
        target: int64 [B], classes.
        ignore_index: label of rows that do not count.

    Returns:
        float32 scalar in 0 .. 1.
    """
    known = (target != ignore_index).float()
    return reduced((_predicted(logits) == target) * known, known, "mean")


@torch.no_grad()
def mixed_accuracy(logits: Tensor, target: Tensor | SparseLabels) -> Tensor:
    """Which part of the batch's label mass lies on the predicted classes.

    This is no accuracy in the usual sense: on mixed images a perfect model reaches the mean of the
    largest share, not 1. Report it under its own name.

    Args:
        logits: float [B, K].
        target: float [B, K], or sparse labels.

    Returns:
        float scalar in 0 .. 1.
    """
    predicted = _predicted(logits)[:, None]
    if isinstance(target, SparseLabels):
        hits = target.shares * (target.classes == predicted)
        return reduced(hits, target.shares, "mean")
    return reduced(target.gather(1, predicted), target, "mean")


@torch.no_grad()
def multilabel_accuracy(
    logits: Tensor, target: Tensor | MultiLabels, *, threshold: float = 0.5
) -> Tensor:
    """How many of all yes/no answers are right: logits above 0 against labels above a threshold.

    Args:
        logits: float [B, K].
        target: float [B, K], 0 .. 1; or `MultiLabels`, whose unknown entries do not count.
        threshold: labels above it are "yes".

    Returns:
        float32 scalar in 0 .. 1.
    """
    right, known = _answers(logits, target, threshold)
    return reduced(right * known, known, "mean")


@torch.no_grad()
def exact_match(logits: Tensor, target: Tensor | MultiLabels, *, threshold: float = 0.5) -> Tensor:
    """How many images have every known yes/no answer right; images without any do not count.

    Args:
        logits: float [B, K].
        target: float [B, K], 0 .. 1; or `MultiLabels`.
        threshold: labels above it are "yes".

    Returns:
        float32 scalar in 0 .. 1.
    """
    right, known = _answers(logits, target, threshold)
    counts = (known > 0).any(dim=1).float()
    return reduced((right | (known == 0)).all(dim=1) * counts, counts, "mean")


def _predicted(logits: Tensor) -> Tensor:
    return logits.argmax(dim=1) if len(logits) else logits.new_zeros(0, dtype=torch.int64)


def _answers(
    logits: Tensor, target: Tensor | MultiLabels, threshold: float
) -> tuple[Tensor, Tensor]:
    """Which answers are right, bool [B, K], and which are known, float32 of 0 and 1."""
    values = target.values if isinstance(target, MultiLabels) else target
    known = torch.ones_like(values, dtype=torch.float32)
    if isinstance(target, MultiLabels):
        known = (target.weights > 0).float()
    return (logits > 0) == (values > threshold), known
