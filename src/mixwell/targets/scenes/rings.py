"""Polygons through a plan: rings of points that move exactly, without pixels.

A thing is the union of its rings, of any shape. Canvases cut them; what is pasted over a ring cuts
it into up to four parts. So a polygon's area is what is seen of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mixwell._errors import TargetError
from mixwell.plan import polygons
from mixwell.plan.covered import mixed
from mixwell.plan.follow import edited
from mixwell.plan.outlines import Outlines
from mixwell.plan.steps import Edit, Mix, MixMode

Rings = list[np.ndarray]
"""A thing's rings, float64 [V, 2] each, px."""

NOTHING_PX = 1e-9
"""Rings of no more area are gone."""


def follow_rings(
    items: Outlines,
    rings: list[Rings],
    steps: Sequence[Edit | Mix],
    size_hw: np.ndarray,
    min_visibility: float,
) -> tuple[Outlines, list[Rings]]:
    """Things and their polygons behind some steps.

    Args:
        items: things on the rows that the first step takes.
        rings: of each thing.
        steps: of a plan.
        size_hw: int [N, 2], of these rows.
        min_visibility: 0 .. 1, see `mixwell.plan.follow`.

    Raises:
        TargetError: a step mixes through a mask, along which rings cannot be cut.
    """
    parts = _flat(items, rings, size_hw)
    for step in steps:
        if isinstance(step, Mix):
            items = mixed(items, step, min_visibility)
            parts = _drawn(step, parts, items)
        else:
            items, parts = edited(items, step), edited(parts, step)
    parts = parts.take(polygons.areas(parts.points) > NOTHING_PX)
    out: list[Rings] = [[] for _ in range(len(items))]
    for thing, points in zip(parts.origin.tolist(), parts.points, strict=True):
        out[thing].append(_without_repeats(points))
    return items, out


def _flat(items: Outlines, rings: list[Rings], size_hw: np.ndarray) -> Outlines:
    """All rings as outlines whose `origin` is their thing."""
    thing = np.repeat(np.arange(len(rings)), [len(r) for r in rings])
    flat = [ring[None] for one in rings for ring in one]
    most = max((ring.shape[1] for ring in flat), default=3)
    points = np.concatenate([np.zeros((0, most, 2)), *(polygons.padded(r, most) for r in flat)])
    return replace(Outlines.start(items.row[thing], points, size_hw), origin=thing)


def _drawn(mix: Mix, parts: Outlines, items: Outlines) -> Outlines:
    """Rings on the canvases of a mix: those of `items`, which are already there."""
    parts = replace(parts, row=parts.origin).on_rows(items.parent)
    thing = parts.row
    b, s = items.row[thing], items.via[thing]
    if mix.masked[b, s].any():
        raise TargetError(
            "Polygons cannot be cut along a mask, and this policy mixes through one (CopyPaste, "
            'FMix, ...). Declare masks="instance", or use an op that pastes rectangles.'
        )
    points = parts.points + mix.offset_px[b, s, None].astype(np.float64)
    points = polygons.within(points, mix.rect_px[b, s].astype(np.float64), np.zeros(len(b), bool))
    parts = replace(parts, row=b, origin=thing, points=points)
    source = s
    for later in range(1, mix.source.shape[1]):
        covers = (mix.mode[parts.row, later] == MixMode.PASTE) & (source < later)
        rect = mix.rect_px[parts.row, later].astype(np.float64)
        parts, kept = _around(parts, np.where(covers[:, None], rect, 0.0))
        source = source[kept]
    return parts


def _around(parts: Outlines, rect: np.ndarray) -> tuple[Outlines, np.ndarray]:
    """What of each ring is outside of its rectangle, in parts, and which ring each was."""
    box = parts.xyxy()
    meets = (np.maximum(box[:, :2], rect[:, :2]) < np.minimum(box[:, 2:], rect[:, 2:])).all(axis=1)
    hit, away = np.flatnonzero(meets), np.flatnonzero(~meets)
    if not len(hit):
        return parts, np.arange(len(parts))
    x0, y0, x1, y1 = rect[hit].T
    one, none = np.ones(len(hit)), np.zeros(len(hit))
    ring = parts.points[hit]
    column = _cut(_cut(ring, one, none, -x0), -one, none, x1)
    pieces = (
        _cut(ring, -one, none, x0),
        _cut(ring, one, none, -x1),
        _cut(column, none, -one, y0),
        _cut(column, none, one, -y1),
    )
    most = max(parts.points.shape[1], *(piece.shape[1] for piece in pieces))
    found = np.concatenate([polygons.padded(p, most) for p in (parts.points[away], *pieces)])
    which = np.concatenate([away, *[hit] * len(pieces)])
    some = np.flatnonzero(polygons.areas(found) > NOTHING_PX)
    some = some[np.argsort(which[some], kind="stable")]
    return replace(parts.take(which[some]), points=found[some]), which[some]


def _cut(points: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    return polygons.cut(points, np.stack([a, b, c], axis=1))


def _without_repeats(points: np.ndarray) -> np.ndarray:
    """A ring whose points all differ from the ones before them."""
    return points[(points != np.roll(points, 1, axis=0)).any(axis=1)]


def read_rings(given: Any, scale: np.ndarray, image: int) -> list[Rings]:
    """A target's polygons: for each thing a list of rings, [V, 2] or flat as COCO writes them.

    Args:
        given: the entry.
        scale: float64 [2], what x and y are multiplied by to be px.
        image: its place in the batch, for messages.

    Raises:
        TargetError: anything else.
    """
    if isinstance(given, Tensor | np.ndarray | str) or not hasattr(given, "__len__"):
        raise TargetError(_rule(image, type(given).__name__))
    return [[_ring(ring, image) * scale for ring in _rings(thing, image)] for thing in given]


def _rings(thing: Any, image: int) -> Any:
    if not isinstance(thing, list | tuple):
        raise TargetError(_rule(image, f"a {type(thing).__name__} for a thing"))
    return thing


def _ring(given: Any, image: int) -> np.ndarray:
    try:
        points = np.asarray(given.detach().cpu() if isinstance(given, Tensor) else given, float)
    except (TypeError, ValueError):
        raise TargetError(_rule(image, f"a ring of {type(given).__name__}")) from None
    flat = points.ndim == 1 and points.size % 2 == 0
    points = points.reshape(-1, 2) if flat else points
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        raise TargetError(_rule(image, f"a ring of shape {np.shape(given)}"))
    return points


def _rule(image: int, found: str) -> str:
    return (
        f"Image {image}: polygons are a list for each thing of rings [V, 2] or [x0, y0, x1, y1, "
        f"...] with 3 or more finite points, got {found}."
    )


def write_rings(rings: Rings, like: Any) -> list[Any]:
    """Rings in the kind of another thing's: tensors, arrays, or lists, flat or [V, 2]."""
    first = like[0] if len(like) else np.zeros((0, 2))
    if np.ndim(first) == 1:
        rings = [ring.reshape(-1) for ring in rings]
    if isinstance(first, Tensor):
        dtype = first.dtype if first.dtype.is_floating_point else torch.float32
        return [torch.from_numpy(ring.copy()).to(first.device, dtype) for ring in rings]
    if isinstance(first, np.ndarray):
        dtype = first.dtype if first.dtype.kind == "f" else np.dtype(np.float32)
        return [ring.astype(dtype) for ring in rings]
    return [ring.tolist() for ring in rings]


def ring_boxes(things: Sequence[Rings]) -> np.ndarray:
    """float64 [n, 4]: the boxes around polygons; zeros for those without rings."""
    boxes = np.zeros((len(things), 4))
    for box, rings in zip(boxes, things, strict=True):
        if rings:
            box[:] = polygons.extents(np.concatenate(rings)[None])[0]
    return boxes


def ring_area(rings: Rings) -> float:
    """px, rings that lie over each other counted twice."""
    return float(sum(polygons.areas(ring[None])[0] for ring in rings))
