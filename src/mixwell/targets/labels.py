"""Labels after a plan: the label of an output is the mean of its sources' labels by their shares.

Shares come from the integers that the renderer uses (`Plan.sources`), so labels cannot drift from
pixels. Labels are added up, never assigned: two sources of one class keep their whole mass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mixwell._errors import TargetError
from mixwell.plan.plan import Plan

Sources = tuple[np.ndarray, np.ndarray]
"""Input rows int64 [B, S] and shares float64 [B, S], as `Plan.sources` gives them."""


@dataclass(frozen=True)
class SparseLabels:
    """Labels of mixed images without a dense row for each, for data sets with many classes.

    Attributes:
        classes: int64 [B, S].
        shares: float32 [B, S]; rows sum to 1; places with share 0 are unused.
    """

    classes: Tensor
    shares: Tensor

    def __len__(self) -> int:
        """Number of outputs, B."""
        return len(self.classes)

    def to(self, device: torch.device | str) -> SparseLabels:
        """The same labels on another device."""
        return SparseLabels(self.classes.to(device), self.shares.to(device))

    def pin_memory(self) -> SparseLabels:
        """The same labels in page-locked memory; DataLoader calls this."""
        return SparseLabels(self.classes.pin_memory(), self.shares.pin_memory())

    def dense(self, num_classes: int) -> Tensor:
        """float32 [B, num_classes]."""
        out = self.shares.new_zeros((len(self.classes), num_classes))
        return out.scatter_add_(1, self.classes, self.shares)


def sparse_labels(labels: Any, plan: Plan, *, sources: Sources | None = None) -> SparseLabels:
    """Class and share of every source of each output.

    Args:
        labels: int [N], one class for each input row of the plan.
        plan: the plan the images undergo.
        sources: use these instead of `plan.sources()` (see `visible_sources`).

    Raises:
        TargetError: labels are not N whole numbers.
    """
    given = class_indices(labels, plan)
    rows, shares = plan.sources() if sources is None else sources
    picked = given[torch.from_numpy(rows).to(given.device)]
    return SparseLabels(picked, torch.from_numpy(shares.astype(np.float32)).to(given.device))


def dense_labels(
    labels: Any,
    plan: Plan,
    num_classes: int,
    *,
    smoothing: float = 0.0,
    sources: Sources | None = None,
) -> Tensor:
    """A probability for every class of each output, as `torch.nn.functional.cross_entropy` takes.

    Args:
        labels: int [N], one class for each input row; or float [N, num_classes], soft already.
        plan: the plan the images undergo.
        num_classes: K.
        smoothing: s in 0 .. 1: (1 - s) * label + s / K (Szegedy et al. 2015, arXiv 1512.00567).
        sources: use these instead of `plan.sources()`.

    Returns:
        float32 [B, K] on the labels' device; rows sum to 1 if the labels do and something is seen.

    Raises:
        TargetError: a class outside 0 .. K - 1, or counts that do not fit.
    """
    _check_smoothing(smoothing)
    sources = plan.sources() if sources is None else sources
    if _is_soft(labels):
        dense = _blend(labels, plan, num_classes, sources)
    else:
        sparse = sparse_labels(labels, plan, sources=sources)
        _check_classes(sparse.classes, num_classes)
        dense = sparse.dense(num_classes)
    mass = dense.sum(dim=1, keepdim=True)
    return dense * (1.0 - smoothing) + mass * (smoothing / num_classes)


def multi_labels(
    labels: Any,
    plan: Plan,
    num_classes: int,
    *,
    smoothing: float = 0.0,
    sources: Sources | None = None,
) -> Tensor:
    """Independent yes/no labels, blended by shares.

    Args:
        labels: [N, num_classes], 0 .. 1.
        plan: the plan the images undergo.
        num_classes: K.
        smoothing: s in 0 .. 1: y * (1 - s) + s / 2.
        sources: use these instead of `plan.sources()`.

    Returns:
        float32 [B, K], each in 0 .. 1.

    Raises:
        TargetError: labels of another shape.
    """
    _check_smoothing(smoothing)
    if not _is_soft(labels):
        raise TargetError(
            f"Multi-label targets need a row of 0 .. 1 for each image, [N, {num_classes}], got "
            f"shape {tuple(np.shape(labels))}. For one class an image use labels='dense'."
        )
    sources = plan.sources() if sources is None else sources
    blended = _blend(labels, plan, num_classes, sources)
    return blended * (1.0 - smoothing) + 0.5 * smoothing


def class_indices(labels: Any, plan: Plan) -> Tensor:
    """int64 [N] from any form of N whole numbers."""
    try:
        given = torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TargetError(f"labels must be class numbers, got something else: {error}.") from None
    if given.numel() == 0:
        given = given.to(torch.int64)
    if given.shape != (plan.rows,) or given.is_floating_point() or given.is_complex():
        raise TargetError(
            f"labels must be {plan.rows} class numbers, one for each input row of the plan, got "
            f"{given.dtype} of shape {tuple(given.shape)}."
        )
    return given.to(torch.int64)


def _is_soft(labels: Any) -> bool:
    return np.ndim(labels) == 2 if not isinstance(labels, Tensor) else labels.ndim == 2


def _blend(labels: Any, plan: Plan, num_classes: int, sources: Sources) -> Tensor:
    given = torch.as_tensor(labels).to(torch.float32)
    if given.shape != (plan.rows, num_classes):
        raise TargetError(
            f"soft labels must be [{plan.rows}, {num_classes}], got {tuple(given.shape)}."
        )
    rows, shares = (torch.from_numpy(a).to(given.device) for a in sources)
    return (given[rows] * shares.to(torch.float32)[..., None]).sum(dim=1)


def _check_classes(classes: Tensor, num_classes: int) -> None:
    if classes.numel() and not (0 <= int(classes.min()) and int(classes.max()) < num_classes):
        raise TargetError(
            f"labels must lie in 0 .. {num_classes - 1}, got {int(classes.min())} .. "
            f"{int(classes.max())}. Raise num_classes, or renumber the classes."
        )


def _check_smoothing(smoothing: float) -> None:
    if not 0.0 <= smoothing <= 1.0:
        raise TargetError(f"smoothing must lie in 0 .. 1, got {smoothing}.")
