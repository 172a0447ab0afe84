"""The order of repeated augmentation and the law of distinct pairings, one entry at a time."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from functools import cache

import torch


def torchvision_repeats(
    length: int, ranks: int, rank: int, epoch: int, seed: int, repeats: int, shuffle: bool
) -> list[int]:
    """One rank's indices in torchvision's references, from the description of its arithmetic."""
    order = list(range(length))
    if shuffle:
        made = torch.Generator()
        made.manual_seed(seed + epoch)
        order = [int(i) for i in torch.randperm(length, generator=made)]
    flat = []
    for index in order:
        for _ in range(repeats):
            flat.append(index)
    total = math.ceil(length * repeats / ranks) * ranks
    for i in range(total - len(flat)):
        flat.append(flat[i])
    mine = [flat[i] for i in range(rank, total, ranks)]
    return mine[: math.floor(length // 256 * 256 / ranks)]


def self_pairs_of_roll(length: int, repeats: int, ranks: int, rank: int, batch: int) -> Fraction:
    """Share of rows whose left neighbour in the batch, cyclically, is a copy of the same sample."""
    flat = [i // repeats for i in range(length * repeats)]
    mine = [flat[i] for i in range(rank, len(flat), ranks)]
    same = rows = 0
    for start in range(0, len(mine) - batch + 1, batch):
        part = mine[start : start + batch]
        for i in range(batch):
            same += part[i] == part[i - 1]
            rows += 1
    return Fraction(same, rows)


Pairing = tuple[int, ...]


def distinct_pairings(index: list[int]) -> list[Pairing]:
    """Every permutation in which nobody meets the own index."""
    places = range(len(index))
    return [
        p for p in itertools.permutations(places) if all(index[i] != index[p[i]] for i in places)
    ]


def repaired_law(index: list[int]) -> dict[Pairing, Fraction]:
    """Exact chances of the pairings when uniform permutations are repaired group by group."""
    law: dict[Pairing, Fraction] = {}
    starts = list(itertools.permutations(range(len(index))))
    for start in starts:
        clashing = [i for i in range(len(index)) if index[start[i]] == index[i]]
        visits = list(itertools.permutations(clashing))
        for visit in visits:
            groups = tuple(dict.fromkeys(index[i] for i in visit))
            chance = Fraction(1, len(starts) * len(visits))
            for end, part in _repairs(tuple(index), start, groups).items():
                law[end] = law.get(end, Fraction(0)) + chance * part
    return law


@cache
def _repairs(index: Pairing, pairing: Pairing, groups: Pairing) -> dict[Pairing, Fraction]:
    """Chance of every end when the groups are repaired in order."""
    if not groups:
        return {pairing: Fraction(1)}
    own, places = groups[0], range(len(index))
    rows = [i for i in places if index[i] == own and index[pairing[i]] == own]
    free = [i for i in places if index[i] != own and index[pairing[i]] != own]
    choices = list(itertools.permutations(free, len(rows)))
    ends: dict[Pairing, Fraction] = {}
    for choice in choices:
        changed = list(pairing)
        for i, j in zip(rows, choice, strict=True):
            changed[i], changed[j] = changed[j], changed[i]
        for end, part in _repairs(index, tuple(changed), groups[1:]).items():
            ends[end] = ends.get(end, Fraction(0)) + part * Fraction(1, len(choices))
    return ends
