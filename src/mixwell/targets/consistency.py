"""Consistency between views of one image: the Jensen-Shannon loss of AugMix."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mixwell._errors import TargetError


def jsd_loss(
    logits: Tensor,
    target: Tensor,
    *,
    views: int = 3,
    weight: float = 12.0,
    smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of the first view plus `weight` times the views' Jensen-Shannon divergence
    (Hendrycks et al. 2019, arXiv 1912.02781).

    The divergence is the mean over views of KL(view || mean of the views), averaged over images.

    Args:
        logits: float [views * N, K], view by view, as `Views` orders them; the first is the clean
            one.
        target: of all views, or of the first alone: int64 classes, or float rows of
            probabilities.
        views: number of views, at least 2.
        weight: of the divergence; 12 in the paper.
        smoothing: label smoothing of the cross-entropy, 0 .. 1.

    Returns:
        float scalar; 0 for an empty batch.

    Raises:
        TargetError: logits or targets that do not divide into the views.
    """
    if views < 2 or logits.ndim != 2 or len(logits) % views:
        raise TargetError(
            f"jsd_loss needs logits [views * N, K] of at least 2 views, got shape "
            f"{tuple(logits.shape)} for {views} views. Put Views(...) into the policy."
        )
    n = len(logits) // views
    if len(target) not in (n, views * n):
        raise TargetError(
            f"jsd_loss needs targets of all {views * n} rows or of the {n} clean ones, got "
            f"{len(target)}."
        )
    if n == 0:
        return logits.sum() * 0.0
    clean = F.cross_entropy(logits[:n], target[:n], label_smoothing=smoothing)
    logs = F.log_softmax(logits.float(), dim=1).view(views, n, -1)
    mean = torch.logsumexp(logs, dim=0, keepdim=True) - torch.log(torch.tensor(float(views)))
    divergence = (logs.exp() * (logs - mean)).sum(dim=2).mean()
    return clean + weight * divergence
