"""Who is mixed with whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from mixwell._errors import PolicyError
from mixwell._rng import Draws, batch_derangement, batch_permutation
from mixwell.policy.base import Op, Rows

PairingName = Literal[
    "derangement",
    "distinct",
    "same_class",
    "different_class",
    "dataset",
    "roll",
    "flip",
    "random",
]
"""
| pairing           | partner                                                                  |
| ----------------- | ------------------------------------------------------------------------ |
| "derangement"     | random, never the image itself                                           |
| "distinct"        | random, never a copy of the same sample, for repeated augmentation       |
| "same_class"      | random among the others of its class; the image itself if there is none  |
| "different_class" | random, never of its own class                                           |
| "dataset"         | a random other sample of the data set, whatever the batch                |
| "roll"            | the image before, as torchvision                                         |
| "flip"            | the image as far from the other end, as timm                             |
| "random"          | random, may be the image itself                                          |
"""


def need_partners(op: Any, rows: Rows) -> None:
    """Refuse a batch of one image, whether or not it would have been mixed.

    Raises:
        PolicyError: one image, and partners come from the batch.
    """
    if len(rows) == 1 and op.pairing != "dataset":
        name = type(op).__name__
        raise PolicyError(
            f"{name} needs at least 2 images in the batch, got 1. Set drop_last=True on the "
            f"DataLoader, use Sometimes({name}(...), min_batch=2, p=1.0), or take partners from "
            f'the data set: {name}(pairing="dataset").'
        )


def heeds_classes(op: Op) -> bool:
    """Whether an op, or a part of it, chooses partners by their class."""
    by_class = getattr(op, "pairing", "") in ("same_class", "different_class")
    return by_class or any(map(heeds_classes, op.parts))


def need_company(op: Op, rows: Rows) -> None:
    """Refuse a batch of one image if an op, or a part of it, pairs within the batch.

    Ops that are off for these rows, luck aside, need no company.

    Raises:
        PolicyError: see `need_partners`.
    """
    if len(rows) != 1 or not op.awake(rows):
        return
    if hasattr(op, "pairing"):
        need_partners(op, rows)
    for part in op.parts:
        need_company(part, rows)


def partners(op: Any, rows: Rows, *, equal: bool = True) -> np.ndarray:
    """int64 [N]: whom each row is mixed with, as a row of the step's input.

    Args:
        op: has `pairing`, see `PairingName`.
        rows: the op's rows.
        equal: whether partners must have the same size.

    Raises:
        PolicyError: fewer than two rows, partners of another size, labels that are not known, or
            copies (a class) in more than half of the rows where pairing is "distinct"
            ("different_class").
    """
    n, subject = len(rows), type(op).__name__
    need_partners(op, rows)
    if n == 0:
        return np.zeros(0, np.int64)
    other = _other(op.pairing, rows, subject)
    pool = rows.pool
    differs = (rows.size_hw != pool[other]).any(axis=1)
    if equal and differs.any():
        row = int(np.flatnonzero(differs)[0])
        a, b = ("x".join(map(str, hw)) for hw in (rows.size_hw[row], pool[other[row]]))
        raise PolicyError(
            f"{subject} needs images of one size, got {a} px in row {row} and {b} px in its "
            f"partner, row {other[row]}. Put Resize((height, width)) or a crop before it"
            + (', or set sizes="any".' if hasattr(op, "sizes") else ".")
        )
    return other


def _other(pairing: PairingName, rows: Rows, subject: str) -> np.ndarray:
    n, draws = len(rows), rows.draws
    if pairing == "derangement":
        return batch_derangement(draws, "pairing", n)
    if pairing == "distinct":
        return distinct_partners(draws, "pairing", subject)
    if pairing == "same_class":
        return same_class_partners(draws, "pairing", _classes(rows, subject, pairing))
    if pairing == "different_class":
        classes = _classes(rows, subject, pairing)
        return unlike_partners(draws, "pairing", classes, lambda c, m: _too_many(c, m, n, subject))
    if pairing == "random":
        return batch_permutation(draws, "pairing", n)
    if pairing == "dataset":
        return np.arange(n, 2 * n)
    return np.arange(n)[::-1].copy() if pairing == "flip" else np.roll(np.arange(n), 1)


def _classes(rows: Rows, subject: str, pairing: str) -> np.ndarray:
    if rows.labels is None:
        raise PolicyError(
            f'{subject}: pairing="{pairing}" needs the images\' classes while sampling, got none. '
            "Give Augment or Collate labels that are class numbers, or Policy.sample(labels=)."
        )
    return rows.labels


def _too_many(label: int, most: int, n: int, subject: str) -> str:
    return (
        f'{subject}: pairing="different_class" mixes no image with its own class, so one class may '
        f"fill at most half of the batch, got class {label} in {most} of {n} rows. Use larger or "
        f'shuffled batches, or pairing="derangement".'
    )


def same_class_partners(draws: Draws, name: str, classes: np.ndarray) -> np.ndarray:
    """int64 [N]: within each class a random cycle, so that every row meets each of the others of
    its class equally often; a row that is alone in its class meets itself.

    Keyed by (epoch, step, rank).
    """
    order = batch_permutation(draws, name, len(classes))
    order = order[np.argsort(classes[order], kind="stable")]
    _, start, count = np.unique(classes[order], return_index=True, return_counts=True)
    place = np.arange(len(order)) - np.repeat(start, count)
    following = np.repeat(start, count) + (place + 1) % np.repeat(count, count)
    other = np.empty(len(order), np.int64)
    other[order] = order[following]
    return other


def distinct_partners(draws: Draws, name: str, subject: str) -> np.ndarray:
    """int64 [N]: a random permutation in which no row meets its own sample index; see
    `unlike_partners`.

    Raises:
        PolicyError: one index fills more than half of the rows.
    """

    def message(index: int, most: int) -> str:
        return (
            f'{subject}: pairing="distinct" mixes no image with its own copies, so one image may '
            f"fill at most half of the batch, got image {index} in {most} of {len(draws.keys)} "
            'rows. Use larger batches, or pairing="dataset"; for a short last batch, '
            f"drop_last=True on the DataLoader or Sometimes({subject}(...), min_batch=2 * repeats, "
            "p=1.0)."
        )

    return unlike_partners(draws, name, draws.keys.index, message)


def unlike_partners(
    draws: Draws, name: str, kinds: np.ndarray, message: Callable[[int, int], str]
) -> np.ndarray:
    """int64 [N]: a random permutation in which no row meets one of its own kind.

    Keyed by (epoch, step, rank). Where all kinds differ, it is `batch_derangement`'s, which is
    uniform. Otherwise a uniform permutation is drawn and repaired, kind by kind in random order:
    the c rows of a kind a that met a swap partners with c random rows that neither are a nor met
    a. This never sticks. With m rows of kind a, at most 2m - c rows are a or met a, so at least
    N - 2m + c >= c remain; and a swap leaves both its rows with partners they may have, so repaired
    rows stay repaired.

    Bias: where all kinds occur equally often, every row meets every row of another kind equally
    often, by symmetry. Whole permutations are not quite equally likely: for the six rows
    a a b b c c their distribution is 0.07 from uniform in total variation.

    Args:
        draws: of the op, with the keys of all rows.
        name: of the draw.
        kinds: int64 [N], sample indices or classes.
        message: (kind, how many rows it fills) to an error's text.

    Raises:
        PolicyError: one kind fills more than half of the rows; exactly then there is no such
            permutation.
    """
    n = len(kinds)
    values, group, count = np.unique(kinds, return_inverse=True, return_counts=True)
    if 2 * count.max(initial=0) > n:
        most = int(count.argmax())
        raise PolicyError(message(int(values[most]), int(count[most])))
    if len(values) == n:
        return batch_derangement(draws, name, n) if n else np.zeros(0, np.int64)
    other = batch_permutation(draws, f"{name}:first", n)
    visit = batch_permutation(draws, f"{name}:visit", n)
    lots = batch_integers(draws, f"{name}:repair", n)
    met_itself = visit[(group == group[other])[visit]]
    for own in dict.fromkeys(group[met_itself].tolist()):
        rows = np.flatnonzero((group == own) & (group[other] == own))
        free = np.flatnonzero((group != own) & (group[other] != own))
        drawn, lots = lots[: len(rows)], lots[len(rows) :]
        swap = _some(free, drawn)
        other[rows], other[swap] = other[swap], other[rows]
    return other


def batch_integers(draws: Draws, name: str, count: int) -> np.ndarray:
    """uint32 [count]: uniform over all 32 bits, keyed by (epoch, step, rank)."""
    return draws.words(name, count, per_batch=True)[0]


def _some(items: np.ndarray, lots: np.ndarray) -> np.ndarray:
    """As many items as lots, without replacement (Fisher-Yates, stopped early)."""
    items = items.copy()
    for k, lot in enumerate(lots.tolist()):
        pick = k + (lot * (len(items) - k) >> 32)
        items[k], items[pick] = items[pick], items[k]
    return items[: len(lots)]
