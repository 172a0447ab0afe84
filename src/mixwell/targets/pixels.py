"""Loss and accuracy of class maps, plain or in layers; means are over the label mass of the pixels.

A pixel's mass is the sum of the shares of the layers that know its class: 1 where an image shows
whole, 0 where the class is ignored. A batch of which nothing is known has loss 0 and accuracy 0.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mixwell._errors import TargetError
from mixwell.targets.kinds import LayeredMasks
from mixwell.targets.losses import reduced

IGNORE = 255
"""The class of pixels that do not count, unless another is told."""


def pixel_cross_entropy(
    logits: Tensor,
    target: Tensor | LayeredMasks,
    *,
    ignore_index: int = IGNORE,
    smoothing: float = 0.0,
    class_weight: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of every pixel; of blended images the sum of share * loss over their layers.

    Args:
        logits: float [B, K, H, W].
        target: integers [B, H, W], classes 0 .. K - 1 or `ignore_index`; or `LayeredMasks`.
        ignore_index: the class of pixels that do not count.
        smoothing: label smoothing, 0 .. 1.
        class_weight: float [K], >= 0: pixels count by the weight of their class, in the loss and in
            what it is divided by.

    Returns:
        float scalar.

    Raises:
        TargetError: sizes differ.
    """
    logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    loss, mass = logits.new_zeros(()), logits.new_zeros(())
    weight = None if class_weight is None else class_weight.to(logits)
    for classes, share in _layers(logits, target):
        known = (classes != ignore_index).to(logits.dtype)
        if weight is not None:
            known = known * weight[classes.where(classes != ignore_index, 0)]
        each = F.cross_entropy(logits, classes, weight, None, ignore_index, None, "none", smoothing)
        # A layer that is not used may name a class whose loss is infinite (a masked logit).
        loss = loss + torch.where(share > 0, share * each, 0.0).sum()
        mass = mass + (share * known).sum()
    return reduced(loss, mass, "mean")


@torch.no_grad()
def pixel_accuracy(
    logits: Tensor, target: Tensor | LayeredMasks, *, ignore_index: int = IGNORE
) -> Tensor:
    """The label mass on the predicted classes, as a part of all that is known.

    On blended images it is no accuracy: a perfect model does not reach 1.

    Args:
        logits: float [B, K, H, W].
        target: integers [B, H, W], or `LayeredMasks`.
        ignore_index: the class of pixels that do not count.

    Returns:
        float scalar in 0 .. 1.

    Raises:
        TargetError: sizes differ.
    """
    found = logits.argmax(dim=1)
    right, mass = logits.new_zeros(()), logits.new_zeros(())
    for classes, share in _layers(logits, target):
        known = classes != ignore_index
        right = right + (share * (known & (found == classes))).sum()
        mass = mass + (share * known).sum()
    return reduced(right, mass, "mean")


def _layers(logits: Tensor, target: Tensor | LayeredMasks) -> list[tuple[Tensor, Tensor]]:
    """Each layer's classes int64 [B, H, W] and share [B, 1, 1]."""
    plain = isinstance(target, Tensor)
    classes = target[:, None] if plain else target.classes
    wanted = (len(logits), *logits.shape[2:])
    if classes.ndim != 4 or (len(classes), *classes.shape[2:]) != wanted:
        raise TargetError(
            f"Class maps need the size of their logits, {list(wanted)}, got "
            f"{list(classes.shape) if not plain else list(target.shape)}. Resize neither: let the "
            "model upsample its logits."
        )
    if plain:
        shares = logits.new_ones(len(classes), 1)
    else:
        shares = target.shares.to(logits.dtype)
    each = zip(classes.unbind(1), shares.unbind(1), strict=True)
    return [(one.long(), share[:, None, None]) for one, share in each]
