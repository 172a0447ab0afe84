"""Who is mixed with whom when some rows show the same image, as under repeated augmentation."""

from __future__ import annotations

import numpy as np

from mixwell._errors import PolicyError
from mixwell._rng import Draws, batch_derangement, batch_permutation


def distinct_partners(draws: Draws, name: str, subject: str) -> np.ndarray:
    """int64 [N]: a random permutation in which no row meets its own sample index.

    Keyed by (epoch, step, rank). Where all indices differ, it is `batch_derangement`'s, which is
    uniform. Otherwise a uniform permutation is drawn and repaired, index by index in random order:
    the c rows of an index a that met a swap partners with c random rows that neither are a nor met
    a. This never sticks. With m rows of index a, at most 2m - c rows are a or met a, so at least
    N - 2m + c >= c remain; and a swap leaves both its rows with partners they may have, so repaired
    rows stay repaired.

    Bias: where all indices occur equally often, every row meets every row of another index equally
    often, by symmetry. Whole permutations are not quite equally likely: for the six rows
    a a b b c c their distribution is 0.07 from uniform in total variation.

    Args:
        draws: of the op, with the keys of all rows.
        name: of the draw.
        subject: the op's name, for the error.

    Raises:
        PolicyError: one index fills more than half of the rows; exactly then there is no such
            permutation.
    """
    index = draws.keys.index
    n = len(index)
    values, group, count = np.unique(index, return_inverse=True, return_counts=True)
    if 2 * count.max(initial=0) > n:
        most = int(count.argmax())
        raise PolicyError(
            f'{subject}: pairing="distinct" mixes no image with its own copies, so one image may '
            f"fill at most half of the batch, got image {values[most]} in {count[most]} of {n} "
            "rows. Use larger batches; for a short last batch, drop_last=True on the DataLoader or "
            f"Sometimes({subject}(...), min_batch=2 * repeats, p=1.0)."
        )
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
