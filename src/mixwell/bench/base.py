"""What a benchmark is made of: cases, the opponents' ways of doing them, and batches."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
MOST_CLASSES = 1000


def library(name: str) -> Any:
    """A module of a library that need not be installed."""
    return importlib.import_module(name)


Kind = Literal["batch", "folder", "op", "mix"]
Pool = Literal["inline", "threads", "processes", "own"]


class Batch(NamedTuple):
    """What a way makes: float32 [B, 3, H, W], and labels int [B] or float [B, K]."""

    x: Any
    y: Any


@dataclass(frozen=True)
class Case:
    """One task that every opponent does on the same inputs.

    Attributes:
        suite: the suite's name.
        name: the case's name inside its suite.
        kind: what goes in and comes out; see `docs/benchmarks.md`.
        batch: images in a batch.
        side: px of the output's sides.
        crop: "resized" for RandomResizedCrop, "padded" for pad by 4 and crop, "cut" for a window
            at a drawn place, "" for none.
        randaug: whether RandAugment(2, 9) belongs to it.
        mixers: what is mixed, by turns from batch to batch.
        images: uint8 [H, W, 3] each; labels are their positions.
        folder: class folders with JPEG files, for kind "folder".
        classes: how many labels there are.
        epoch: batches in the folder.
        cutout: px of the side of a hidden square, 0 for none.
        resident: copies of the images in a data set on the device, of which each batch is drawn;
            1: the batch itself lies there.
    """

    suite: str
    name: str
    kind: Kind
    batch: int
    side: int
    crop: Literal["resized", "padded", "cut", ""] = ""
    randaug: bool = False
    mixers: tuple[str, ...] = ()
    images: Sequence[np.ndarray] = field(default=(), repr=False)
    folder: Path | None = None
    classes: int = MOST_CLASSES
    epoch: int = 1
    cutout: int = 0
    resident: int = 1

    @property
    def cutout_share(self) -> float:
        """Share of the image's area that is hidden."""
        return (self.cutout / self.side) ** 2


Batches = Callable[[int], Iterator[Batch]]
"""Makes n batches; all work for them is done between its call and its last batch."""


@dataclass(frozen=True)
class Way:
    """One documented configuration of an opponent for a case.

    Attributes:
        settings: what stands beside the figures.
        open: (threads, mixing) -> context in which batches are made.
        label: how the work differs from the case's, "" when it does not. Ways with different
            labels are reported apart; among ways with the same label the fastest is.
        pool: who does the work; pools of two make no sense with one thread.
        mixes: whether it mixes by itself; others get the fastest mixer of all.
        per_image: whether every image has draws of its own.
    """

    settings: str
    open: Callable[[int, bool], AbstractContextManager[Batches]]
    label: str = ""
    pool: Pool = "inline"
    mixes: bool = False
    per_image: bool = True

    def serves(self, threads: int) -> bool:
        """Whether this way makes sense with so many threads."""
        return threads > 1 or self.pool in ("inline", "own")


class Opponent(Protocol):
    """A library that takes part."""

    name: str
    package: str

    def ways(self, case: Case) -> list[Way]:
        """How it does a case; empty when it has nothing for it."""
        ...
