"""What is known of a published recipe.

A policy is only half of a recipe: accuracies follow from the settings too. They are given as they
were published, `source` says where they were read, and `unchecked` which of them were recalled and
could not be read anywhere. `differs` says where the policy does something else than the recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mixwell.policy.base import Op
from mixwell.policy.compose import Sometimes
from mixwell.policy.policy import Policy

Size = tuple[int, int]
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Published:
    """A published recipe.

    Attributes:
        name: by which `preset` knows it.
        summary: one line about it.
        paper: who published it, with the arXiv number where there is one.
        source: where policy and settings were read.
        size: side of its training images, px.
        settings: what else the recipe says, by name.
        build: from (height, width) to the policy.
        differs: where the policy differs from the recipe, in sentences.
        unchecked: names of settings that were recalled and not read in `source`.
    """

    name: str
    summary: str
    paper: str
    source: str
    size: int
    settings: Settings
    build: Callable[[Size], Policy]
    differs: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = field(default=())


def in_pairs(op: Op) -> Op:
    """A mixing op that leaves an image alone in its batch as it is."""
    return Sometimes(op, min_batch=2, p=1.0)
