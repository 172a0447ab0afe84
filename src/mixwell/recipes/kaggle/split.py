"""Which labelled images are kept for validation."""

from __future__ import annotations

import hashlib


def stratified(labels: dict[str, str], share: float, seed: int) -> set[str]:
    """Ids to validate on: the same share of each class, at least one image and never all.

    Args:
        labels: label by id.
        share: of each class, rounded.
        seed: another seed, other ids.

    Returns:
        Chosen ids; none of a class with a single image.
    """
    members: dict[str, list[str]] = {}
    for key, label in labels.items():
        members.setdefault(label, []).append(key)
    chosen: set[str] = set()
    for keys in members.values():
        count = min(max(round(share * len(keys)), 1), len(keys) - 1)
        chosen.update(sorted(keys, key=lambda key: _lot(key, seed))[:count])
    return chosen


def _lot(key: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed} {key}".encode(), digest_size=16).digest()
