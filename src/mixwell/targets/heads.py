"""Models with several heads: any loss or accuracy, head by head, and their weighted sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from mixwell._errors import TargetError
from mixwell.targets.kinds import MultiLabels, SparseLabels
from mixwell.targets.losses import bce, soft_cross_entropy, sparse_cross_entropy

Measure = Callable[[Tensor, Any], Tensor]
"""(logits, target) -> scalar: a loss or an accuracy."""


def target_loss(logits: Tensor, target: Any) -> Tensor:
    """The loss that fits a target: cross-entropy for dense rows, plain classes and sparse labels,
    `bce` for `MultiLabels`. Multi-label rows in a plain tensor look like dense ones: name `bce`.
    """
    if isinstance(target, SparseLabels):
        return sparse_cross_entropy(logits, target)
    if isinstance(target, MultiLabels):
        return bce(logits, target)
    return soft_cross_entropy(logits, target)


def each_head(
    measure: Measure | Mapping[str, Measure], logits: Mapping[str, Tensor], target: Mapping
) -> dict[str, Tensor]:
    """A loss or an accuracy of every head.

    Args:
        measure: one for all heads, or a dict by head.
        logits: float [B, K] by head.
        target: by head, as `Augment(num_classes={...})` makes them.

    Raises:
        TargetError: names of heads differ.
    """
    _check("target", target, logits)
    if isinstance(measure, Mapping):
        _check("measures", measure, logits)
    return {
        head: (measure[head] if isinstance(measure, Mapping) else measure)(row, target[head])
        for head, row in logits.items()
    }


def heads_loss(
    logits: Mapping[str, Tensor],
    target: Mapping,
    *,
    loss: Measure | Mapping[str, Measure] = target_loss,
    weights: Mapping[str, float] | None = None,
) -> Tensor:
    """Sum over the heads of weight * loss; each head's mean is over what that head knows.

    Args:
        logits: float [B, K] by head.
        target: by head.
        loss: one for all heads, or a dict by head; by default what fits the target.
        weights: by head; 1 each by default.

    Returns:
        float scalar.

    Raises:
        TargetError: no heads, or names of heads differ.
    """
    if not logits:
        raise TargetError("heads_loss needs at least one head, got none.")
    if weights is not None:
        _check("weights", weights, logits)
    losses = each_head(loss, logits, target)
    parts = [value if weights is None else weights[h] * value for h, value in losses.items()]
    return sum(parts[1:], start=parts[0])


def _check(what: str, found: Mapping, logits: Mapping) -> None:
    if set(found) != set(logits):
        raise TargetError(
            f"{what} must name the heads of the logits {sorted(logits)}, got {sorted(found)}."
        )
