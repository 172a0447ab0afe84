"""Labels after a plan: the label of an output is the mean of its sources' labels by their shares.

Shares come from the integers that the renderer uses (`Plan.sources`), so labels cannot drift from
pixels. Labels are added up, never assigned: two sources of one class keep their whole mass.

The *mass* of a row is what it sums to: 1, unless sources are ignored (they add nothing) or samples
have weights (they scale what a source adds). So `-(row * log_softmax).sum()` is the sum over the
sources of share * weight * cross-entropy, and the losses divide by the mass of the whole batch, as
`cross_entropy(ignore_index=...)` does.

Numbers are checked if they lie on the CPU. On a GPU the host would have to wait for them: a class
that does not exist ends there in the device's own assertion, as in `cross_entropy`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mixwell._bytes import native
from mixwell._errors import TargetError
from mixwell.plan.plan import Plan
from mixwell.targets.kinds import MultiLabels, SparseLabels
from mixwell.targets.shown import shown_sources

Sources = tuple[np.ndarray, np.ndarray]
"""Input rows int64 [B, S] and shares float64 [B, S], as `Plan.sources` gives them."""


def sparse_labels(
    labels: Any,
    plan: Plan,
    *,
    sources: Sources | None = None,
    num_classes: int | None = None,
    weight: Any = None,
    ignore_index: int | None = None,
    background: int | None = None,
) -> SparseLabels:
    """Class and share of every source of each output.

    Nothing here is as wide as the number of classes.

    Args:
        labels: int [N], one class for each input row of the plan.
        plan: the plan the images undergo.
        sources: use these instead of `plan.sources()` (see `visible_sources`, `shown_sources`).
        num_classes: K; given, classes are checked against it.
        weight: float [N], a weight for each input row.
        ignore_index: the label of rows whose class is unknown; they add no mass.
        background: the class of what no source covers (`shown_sources`), in one more column; its
            weight is 1.

    Raises:
        TargetError: labels are not N whole numbers, or a class is out of range.
    """
    given = class_indices(labels, plan)
    known = torch.ones_like(given, dtype=torch.bool)
    if ignore_index is not None:
        known = given != ignore_index
        given = torch.where(known, given, 0)
    _check_classes(given, num_classes)
    seen = _seen(plan, sources, background, given.device)
    mass = seen.shares * known[seen.rows] * _factor(weight, plan, seen)
    classes = given[seen.rows]
    if background is not None:
        _check_background(background, num_classes)
        classes = torch.cat([classes, torch.full_like(classes[:, :1], background)], dim=1)
        mass = torch.cat([mass, seen.fill[:, None]], dim=1)
    return SparseLabels(classes, mass)


def dense_labels(
    labels: Any,
    plan: Plan,
    num_classes: int,
    *,
    smoothing: float = 0.0,
    sources: Sources | None = None,
    weight: Any = None,
    ignore_index: int | None = None,
    background: int | None = None,
) -> Tensor:
    """A probability for every class of each output, as `torch.nn.functional.cross_entropy` takes.

    Args:
        labels: int [N], one class for each input row; or float [N, num_classes], soft already.
        plan: the plan the images undergo.
        num_classes: K.
        smoothing: s in 0 .. 1: (1 - s) * label + s / K (Szegedy et al. 2015, arXiv 1512.00567).
            Before or after mixing is the same, and so is smoothing in the loss instead.
        sources: use these instead of `plan.sources()`.
        weight: float [N], a weight for each input row.
        ignore_index: the label (or every entry of the soft label) of rows whose class is unknown;
            they add no mass.
        background: the class of what no source covers (`shown_sources`); its weight is 1.

    Returns:
        float32 [B, K] on the labels' device; rows sum to 1 if the labels do, all are known, none
        is weighted and something is seen.

    Raises:
        TargetError: a class outside 0 .. K - 1, or counts that do not fit.
    """
    _check_smoothing(smoothing)
    given = tensor_of(labels)
    options: dict[str, Any] = {"sources": sources, "weight": weight, "background": background}
    if given.ndim == 2:
        dense = _soft(given, plan, num_classes, ignore_index, **options)
    else:
        options |= {"num_classes": num_classes, "ignore_index": ignore_index}
        dense = sparse_labels(given, plan, **options).dense(num_classes)
    if smoothing == 0:
        return dense
    mass = dense.sum(dim=1, keepdim=True)
    return dense * (1.0 - smoothing) + mass * (smoothing / num_classes)


def multi_labels(
    labels: Any,
    plan: Plan,
    num_classes: int,
    *,
    smoothing: float = 0.0,
    sources: Sources | None = None,
    weight: Any = None,
    ignore_index: int | None = None,
    background: int | None = None,
) -> Tensor | MultiLabels:
    """Independent yes/no labels, blended by shares.

    Args:
        labels: [N, num_classes], 0 .. 1.
        plan: the plan the images undergo.
        num_classes: K.
        smoothing: s in 0 .. 1: y * (1 - s) + s / 2.
        sources: use these instead of `plan.sources()`.
        weight: float [N], a weight for each input row.
        ignore_index: entry of a label that is unknown; it counts in no mean.
        background: the class that is "yes" where no source covers the canvas; its weight is 1.

    Returns:
        float32 [B, K], each in 0 .. 1; with `weight` or `ignore_index` `MultiLabels`, which says
        how much of each entry is known.

    Raises:
        TargetError: labels of another shape.
    """
    _check_smoothing(smoothing)
    given = tensor_of(labels)
    if given.ndim != 2:
        raise TargetError(
            f"Multi-label targets need a row of 0 .. 1 for each image, [N, {num_classes}], got "
            f"shape {tuple(given.shape)}. For one class an image use labels='dense'."
        )
    given = _rows(given, plan, num_classes)
    known = torch.ones_like(given) if ignore_index is None else (given != ignore_index).float()
    given = torch.where(known > 0, given, 0.0)
    seen = _seen(plan, sources, background, given.device)
    mass = (seen.shares * _factor(weight, plan, seen))[..., None]
    weights = (mass * known[seen.rows]).sum(dim=1)
    values = (mass * given[seen.rows]).sum(dim=1)
    if background is not None:
        _check_background(background, num_classes)
        weights = weights + seen.fill[:, None]
        values = torch.cat([values, seen.fill[:, None]], dim=1)
        values = _fold(values, background)
    if weight is None and ignore_index is None:
        return values * (1.0 - smoothing) + 0.5 * smoothing
    values = values / torch.where(weights > 0, weights, 1.0)
    return MultiLabels(values * (1.0 - smoothing) + 0.5 * smoothing, weights)


def blend_weights(weight: Any, plan: Plan, *, sources: Sources | None = None) -> Tensor:
    """float32 [B]: the weight of each output, sum over its sources of share * weight."""
    rows, shares = plan.sources() if sources is None else sources
    given = _weights(weight, plan)
    rows, shares = _sent(rows, given.device), _sent(shares.astype(np.float32), given.device)
    return (given[rows] * shares).sum(dim=1)


def class_indices(labels: Any, plan: Plan) -> Tensor:
    """int64 [N] from any form of N whole numbers."""
    given = tensor_of(labels)
    if given.numel() == 0:
        given = given.to(torch.int64)
    if given.shape != (plan.rows,) or given.is_floating_point() or given.is_complex():
        raise TargetError(
            f"labels must be {plan.rows} class numbers, one for each input row of the plan, got "
            f"{given.dtype} of shape {tuple(given.shape)}."
        )
    return given.to(torch.int64)


def tensor_of(labels: Any) -> Tensor:
    """Labels in any form of array, or a list of numbers, rows or tensors, as one tensor."""
    try:
        if isinstance(labels, list | tuple) and labels and isinstance(labels[0], Tensor):
            return torch.stack(list(labels))
        return torch.as_tensor(native(labels) if isinstance(labels, np.ndarray) else labels)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TargetError(f"labels must be class numbers, got something else: {error}.") from None


class _Seen(NamedTuple):
    """Sources as tensors: rows int64 [B, S], shares float32 [B, S], fill float32 [B]."""

    rows: Tensor
    shares: Tensor
    fill: Tensor


def _seen(
    plan: Plan, sources: Sources | None, background: int | None, device: torch.device
) -> _Seen:
    if sources is None:
        sources = plan.sources() if background is None else shown_sources(plan)
    rows, shares = sources
    fill = np.maximum(1.0 - shares.sum(axis=1), 0.0)
    found = (_sent(a.astype(np.float32), device) for a in (shares, fill))
    return _Seen(_sent(rows, device), *found)


def _sent(array: np.ndarray, device: torch.device) -> Tensor:
    """An array as a tensor on a device; nothing waits for the copy to a GPU."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _factor(weight: Any, plan: Plan, seen: _Seen) -> Tensor | float:
    """float32 [B, S]: the weight of every source."""
    return 1.0 if weight is None else _weights(weight, plan).to(seen.rows.device)[seen.rows]


def _weights(weight: Any, plan: Plan) -> Tensor:
    given = tensor_of(weight).to(torch.float32)
    if given.shape != (plan.rows,):
        raise TargetError(
            f"Sample weights must be {plan.rows} numbers, one for each input row of the plan, got "
            f"shape {tuple(given.shape)}."
        )
    if not given.is_cpu:  # a look at them would wait for the device
        return given
    if given.numel() and not (bool(given.isfinite().all()) and float(given.min()) >= 0):
        raise TargetError(
            f"Sample weights must be finite and at least 0, got {float(given.min())} .. "
            f"{float(given.max())}."
        )
    return given


def _soft(
    given: Tensor,
    plan: Plan,
    num_classes: int,
    ignore_index: int | None,
    *,
    sources: Sources | None,
    weight: Any,
    background: int | None,
) -> Tensor:
    """float32 [B, K] from rows of probabilities."""
    given = _rows(given, plan, num_classes)
    if ignore_index is not None:
        given = torch.where((given == ignore_index).all(dim=1, keepdim=True), 0.0, given)
    seen = _seen(plan, sources, background, given.device)
    mass = seen.shares * _factor(weight, plan, seen)
    dense = (given[seen.rows] * mass[..., None]).sum(dim=1)
    if background is None:
        return dense
    _check_background(background, num_classes)
    return _fold(torch.cat([dense, seen.fill[:, None]], dim=1), background)


def _fold(rows: Tensor, column: int) -> Tensor:
    """[B, K] from [B, K + 1]: the last column is added to another."""
    out = rows[:, :-1].clone()
    out[:, column] += rows[:, -1]
    return out


def _rows(given: Tensor, plan: Plan, num_classes: int) -> Tensor:
    if given.shape != (plan.rows, num_classes):
        raise TargetError(
            f"soft labels must be [{plan.rows}, {num_classes}], got {tuple(given.shape)}."
        )
    return given.to(torch.float32)


def _check_classes(classes: Tensor, num_classes: int | None) -> None:
    if not classes.numel() or not classes.is_cpu:  # a look at them would wait for the device
        return
    low, high = int(classes.min()), int(classes.max())
    if low < 0 or (num_classes is not None and high >= num_classes):
        rule = "be at least 0" if num_classes is None else f"lie in 0 .. {num_classes - 1}"
        raise TargetError(
            f"labels must {rule}, got {low} .. {high}. Raise num_classes, or renumber the classes; "
            "labels that mean unknown need ignore_index=."
        )


def _check_background(background: int, num_classes: int | None) -> None:
    if background < 0 or (num_classes is not None and background >= num_classes):
        rule = "at least 0" if num_classes is None else f"in 0 .. {num_classes - 1}"
        raise TargetError(f"background must be a class {rule}, got {background}.")


def _check_smoothing(smoothing: float) -> None:
    if not 0.0 <= smoothing <= 1.0:
        raise TargetError(f"smoothing must lie in 0 .. 1, got {smoothing}.")
