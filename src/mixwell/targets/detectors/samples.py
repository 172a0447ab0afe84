"""The sets of boxes that a batch's losses are computed against, and the weight of each term.

A *set* is a list of targets, one an image, in torchvision's format, with two entries added:
`"weights"`, float [n], for the terms of each box, and `"background_weight"`, float [], for those
of the image's negatives. Its loss is torchvision's with each term multiplied, divided by the
counts that torchvision divides by. The losses of several sets are added.

=========  =====================  ==================  ============================
mode       sets                   weights             background
=========  =====================  ==================  ============================
"box"      one, all boxes         the boxes' own      1
"global"   one, all boxes         mean of the image   mean of the image
"sources"  one a source           share               share
=========  =====================  ==================  ============================

With "sources", images of a batch may come from different numbers of sources. Where one has fewer
than the most of the batch, its sources return in the sets that remain and their shares are spread
evenly over their turns: so every image stands in every set with its own boxes, none is a pure
negative, and the counts that a set's loss is divided by stay those of a whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from mixwell._errors import TargetError

Mode = Literal["box", "sources", "global"]
Target = dict[str, Tensor]

WEIGHTS = "weights"
BACKGROUND = "background_weight"
OF_BOXES = ("boxes", "labels", "masks", "keypoints")
"""The entries that a torchvision loss reads: one row a box."""

SUM_ATOL = 1e-3
"""How far shares may be from a sum of 1: they may have been rounded to half precision."""


def target_sets(targets: Sequence[Target], mode: Mode) -> list[list[Target]]:
    """The sets of a batch of targets; see above.

    Raises:
        TargetError: an entry of a target has a wrong shape or value.
    """
    if mode == "sources":
        return _turns([_by_source(target, i) for i, target in enumerate(targets)])
    whole = []
    for i, target in enumerate(targets):
        weights = _weights(target, i)
        background = weights.new_ones(())
        if mode == "global" and len(weights) > 0:
            background = weights.mean()
            weights = background.expand_as(weights)
        whole.append({**target, WEIGHTS: weights, BACKGROUND: background})
    return [whole]


def is_plain(targets: Iterable[Target]) -> bool:
    """Whether all weights of a set are 1."""
    return all(bool((t[WEIGHTS] == 1).all() & (t[BACKGROUND] == 1)) for t in targets)


def each_weight(target: Target, matched: Tensor, positive: Tensor) -> Tensor:
    """The weight of each anchor or proposal of an image.

    Args:
        target: an image's target in a set.
        matched: int64 [A], the box of each; where it is not positive, any number.
        positive: bool [A], whether it stands for a box; of an image without boxes none does.

    Returns:
        float [A]: the weight of the box, and the background's elsewhere.
    """
    weights, background = target[WEIGHTS], target[BACKGROUND]
    if len(weights) == 0:
        return background.expand(len(matched))
    return torch.where(positive, weights[matched.clamp(min=0)], background)


class Matched(NamedTuple):
    """The anchors of an image that stand for a box.

    Attributes:
        anchors: int64 [P], which they are.
        boxes: float [P, 4], the box of each.
        weights: float [P], its weight.
    """

    anchors: Tensor
    boxes: Tensor
    weights: Tensor


def matched_boxes(target: Target, matched: Tensor) -> Matched:
    """The anchors of an image that stand for a box.

    Args:
        target: an image's target in a set.
        matched: int64 [A], the box of each anchor, below 0: none.
    """
    anchors = torch.where(matched >= 0)[0]
    weights = each_weight(target, matched, matched >= 0)[anchors]
    return Matched(anchors, target["boxes"][matched[anchors]], weights)


def weighed(targets: Sequence[Target], matched: Sequence[Tensor]) -> tuple[Tensor, Tensor, int]:
    """The anchors of a batch: the weight of each, whether it stands for a box, how many do.

    Args:
        targets: a set.
        matched: of each image, int64 [A], the box of each anchor, below 0: none.

    Returns:
        float [B, A], bool [B, A], and a number >= 1.
    """
    positive = torch.stack(list(matched)) >= 0
    weights = torch.stack(list(map(each_weight, targets, matched, positive)))
    return weights, positive, max(1, int(positive.sum()))


def over_sets(
    targets: Sequence[Target], mode: Mode, losses: Callable[[list[Target]], dict[str, Tensor]]
) -> dict[str, Tensor]:
    """The losses against each set of a batch's targets, added.

    Args:
        targets: of the batch.
        mode: which sets there are.
        losses: against one set.

    Raises:
        TargetError: an entry of a target has a wrong shape or value.
    """
    return added([losses(one) for one in target_sets(targets, mode)])


def added(losses: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The sum of several dicts of losses, name by name."""
    return {name: reduce(torch.add, [one[name] for one in losses]) for name in losses[0]}


def _weights(target: Target, image: int) -> Tensor:
    """The weights of an image's boxes, float [n], 1 where none are given."""
    boxes = target["boxes"]
    weights = target.get(WEIGHTS)
    if weights is None:
        return boxes.new_ones(len(boxes), dtype=torch.float32)
    _needs_rows(WEIGHTS, weights, len(boxes), image, "one for each box")
    weights = weights.to(boxes.device, torch.float32)
    if not bool((torch.isfinite(weights) & (weights >= 0)).all()):
        raise TargetError(
            f'"weights" of target {image} must be finite and >= 0, got {weights.tolist()}. '
            "Drop boxes that do not count."
        )
    return weights


def _by_source(target: Target, image: int) -> list[tuple[Target, float]]:
    """An image's boxes, source by source, with the sources' shares; those of share 0 left out."""
    shares = _shares(target, image)
    if shares is None:
        return [(target, 1.0)]
    boxes, source = target["boxes"], target.get("source")
    if source is None:
        raise TargetError(
            f'Target {image} has "shares" but no "source": say where its boxes are from.'
        )
    _needs_rows("source", source, len(boxes), image, "one for each box")
    strange = sorted(set(source.tolist()) - set(shares))
    if strange:
        raise TargetError(
            f'"source" of target {image} names {strange}, which "sources" {sorted(shares)} do not.'
        )
    source = source.to(boxes.device)
    found = []
    for name, share in shares.items():
        if share > 0:
            own = torch.where(source == name)[0]
            entries = {k: target[k][own.to(target[k].device)] for k in OF_BOXES if k in target}
            found.append((entries, share))
    return found or [(target, 1.0)]  # a canvas on which nothing is shown: all background


def _shares(target: Target, image: int) -> dict[int, float] | None:
    """The share of each source of an image; a source that is named twice has the sum."""
    sources, shares = target.get("sources"), target.get("shares")
    if sources is None and shares is None:
        return None
    if sources is None or shares is None:
        raise TargetError(f'Target {image} needs both "sources" and "shares", or neither.')
    _needs_rows("sources", sources, None, image, "one for each image in the mix")
    _needs_rows("shares", shares, len(sources), image, "one for each of its sources")
    found: dict[int, float] = {}
    for name, share in zip(sources.tolist(), shares.tolist(), strict=True):
        found[name] = found.get(name, 0.0) + share
    values = shares.tolist()
    if not all(v >= 0 for v in values) or (values and abs(sum(values) - 1) > SUM_ATOL):
        raise TargetError(f'"shares" of target {image} must be >= 0 and sum to 1, got {values}.')
    return found


def _turns(images: list[list[tuple[Target, float]]]) -> list[list[Target]]:
    """In set k stands source k of each image, counted round and round."""
    most = max((len(own) for own in images), default=1)
    return [[_turn(own, k, most) for own in images] for k in range(most)]


def _turn(own: list[tuple[Target, float]], k: int, most: int) -> Target:
    """An image's target in set k: a source's boxes, its share spread over its turns."""
    s = k % len(own)
    target, share = own[s]
    weight = share / len(range(s, most, len(own)))
    boxes = target["boxes"]
    return {
        **target,
        WEIGHTS: boxes.new_full((len(boxes),), weight, dtype=torch.float32),
        BACKGROUND: boxes.new_full((), weight, dtype=torch.float32),
    }


def _needs_rows(name: str, value: Tensor, rows: int | None, image: int, rule: str) -> None:
    found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
    if not isinstance(found, tuple) or len(found) != 1 or rows not in (None, found[0]):
        wanted = "[S]" if rows is None else f"[{rows}]"
        raise TargetError(
            f'"{name}" of target {image} must be a tensor {wanted}, {rule}, got {found}.'
        )
