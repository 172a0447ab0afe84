"""Ops that mix the images of a batch; labels follow from the same integers as the pixels.

Who is keyed by what, so that a result means the same everywhere:

* `lam="image"`: each image has its own lambda, keyed by the image;
* `lam="pair"`: two images that are each other's partners share one, keyed by the one that stands
  first in the batch (with pairings that are not mutual, each image and its partner likewise);
* `lam="batch"`: one for all, keyed by (epoch, step, rank), like the pairing itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, final, get_args

import numpy as np

from mixwell._errors import PolicyError
from mixwell._rng import batch_derangement, batch_permutation
from mixwell.plan.steps import WEIGHT_ONE, Mix, MixMode
from mixwell.policy.base import MixOp, Rows, need
from mixwell.policy.pairing import distinct_partners

LamName = Literal["image", "pair", "batch"]
PairingName = Literal["derangement", "distinct", "roll", "flip", "random"]


def partners(op: MixUp | CutMix, rows: Rows) -> np.ndarray:
    """int64 [N]: whom each row is mixed with.

    Raises:
        PolicyError: fewer than two rows, partners of another size, or copies of one image in more
            than half of the rows where pairing is "distinct".
    """
    n = len(rows)
    if n == 1:
        raise PolicyError(
            f"{type(op).__name__} needs at least 2 images in the batch, got 1. Set drop_last=True "
            f"on the DataLoader or use Sometimes({type(op).__name__}(...), min_batch=2, p=1.0)."
        )
    if n == 0:
        return np.zeros(0, np.int64)
    if op.pairing == "derangement":
        other = batch_derangement(rows.draws, "pairing", n)
    elif op.pairing == "distinct":
        other = distinct_partners(rows.draws, "pairing", type(op).__name__)
    elif op.pairing == "random":
        other = batch_permutation(rows.draws, "pairing", n)
    elif op.pairing == "flip":
        other = np.arange(n)[::-1].copy()
    else:
        other = np.roll(np.arange(n), 1)
    differs = (rows.size_hw != rows.size_hw[other]).any(axis=1)
    if differs.any():
        row = int(np.flatnonzero(differs)[0])
        a, b = ("x".join(map(str, rows.size_hw[r])) for r in (row, other[row]))
        raise PolicyError(
            f"{type(op).__name__} needs images of one size, got {a} px in row {row} and {b} px in "
            f"its partner, row {other[row]}. Put Resize((height, width)) or a crop before it."
        )
    return other


def _shared(op: MixUp | CutMix, rows: Rows, draw: Callable[..., np.ndarray]) -> np.ndarray:
    """A draw for each row, shared between rows as `lam` says."""
    if op.lam == "batch":
        one = draw(per_batch=True)
        return np.repeat(one, len(rows), axis=0)
    values = draw()
    if op.lam == "pair":
        other = partners(op, rows)
        return values[np.minimum(np.arange(len(rows)), other)]
    return values


def _check(op: MixUp | CutMix) -> None:
    need(op, 0.01 <= op.alpha <= 1000, "alpha must lie in 0.01 .. 1000", op.alpha)
    need(op, op.lam in ("image", "pair", "batch"), 'lam: "image", "pair" or "batch"', op.lam)
    names = get_args(PairingName)
    need(op, op.pairing in names, f"pairing must be one of {names}", op.pairing)


def _lam(op: MixUp | CutMix, rows: Rows) -> np.ndarray:
    """float64 [N, 2]: lambda ~ Beta(alpha, alpha) and 1 - lambda."""
    return _shared(op, rows, lambda **s: rows.draws.beta("lam", op.alpha, op.alpha, **s))


def _gate(op: MixUp | CutMix, rows: Rows) -> np.ndarray:
    return _shared(op, rows, lambda **s: rows.draws.bernoulli("whether", op.p, **s))


def _paired(rows: Rows, other: np.ndarray) -> Mix:
    """A mix with the own image in place 0 and the partner, still unused, in place 1."""
    mix = Mix.identity(rows.size_hw)
    mix.source[:, 1] = other
    mix.rect_px[:, 1] = mix.rect_px[:, 0]
    return mix


@final
@dataclass(frozen=True, repr=False)
class MixUp(MixOp):
    """Weighted sum of each image and its partner (Zhang et al. 2017, arXiv 1710.09412).

    Pixels: lambda * own + (1 - lambda) * partner. Labels: the same weights, which are whole
    multiples of 1/65536.

    Args:
        alpha: lambda ~ Beta(alpha, alpha); 0.01 .. 1000. The paper uses 0.2 - 0.4 for ImageNet and
            1 for CIFAR-10.
        lam: "image", "pair" or "batch", see the module.
        pairing: "derangement" (random, never oneself), "distinct" (random, never the same sample
            index, for repeated augmentation; at most half of the rows may share one), "roll"
            (partner of i is i - 1), "flip" (n - 1 - i), "random" (may be oneself).
        p: chance; drawn for the image, pair or batch as lambda is.

    Raises:
        PolicyError: at sampling, one image alone, or images of different sizes.
    """

    alpha: float = 1.0
    lam: LamName = "image"
    pairing: PairingName = "derangement"

    def validate(self) -> None:
        """Check the fields."""
        _check(self)

    def gate(self, rows: Rows) -> np.ndarray:
        """Drawn for the image, pair or batch."""
        return _gate(self, rows)

    def sample(self, rows: Rows) -> Mix:
        """Two ADDs over the whole canvas."""
        mix = _paired(rows, partners(self, rows))
        own = np.rint(_lam(self, rows)[:, 0] * WEIGHT_ONE)
        mix.mode[:, 1] = MixMode.ADD
        mix.weight[:, 0] = own / WEIGHT_ONE
        mix.weight[:, 1] = (WEIGHT_ONE - own) / WEIGHT_ONE
        return mix


@final
@dataclass(frozen=True, repr=False)
class CutMix(MixOp):
    """Paste a rectangle of the partner into each image (Yun et al. 2019, arXiv 1905.04899).

    The rectangle has the image's aspect and the share 1 - lambda of its area, around a uniformly
    drawn point; it is cut off at the edges and rounded to pixels. Labels: the areas that are seen,
    after cutting off and rounding.

    Args:
        alpha: lambda ~ Beta(alpha, alpha); 0.01 .. 1000; 1 in the paper.
        lam: "image", "pair" or "batch", see the module.
        pairing: see `MixUp`.
        p: chance; drawn for the image, pair or batch as lambda is.

    Raises:
        PolicyError: at sampling, one image alone, or images of different sizes.
    """

    alpha: float = 1.0
    lam: LamName = "image"
    pairing: PairingName = "derangement"

    def validate(self) -> None:
        """Check the fields."""
        _check(self)

    def gate(self, rows: Rows) -> np.ndarray:
        """Drawn for the image, pair or batch."""
        return _gate(self, rows)

    def sample(self, rows: Rows) -> Mix:
        """The own image, then a PASTE of the partner's rectangle."""
        mix = _paired(rows, partners(self, rows))
        side = np.sqrt(_lam(self, rows)[:, 1])
        for axis, name in ((0, "centre x"), (1, "centre y")):
            length = rows.size_hw[:, 1 - axis].astype(np.float64)
            place = _shared(self, rows, lambda n=name, **s: rows.draws.uniform(n, **s)) * length
            half = 0.5 * side * length
            mix.rect_px[:, 1, axis] = np.clip(np.rint(place - half), 0, length)
            mix.rect_px[:, 1, axis + 2] = np.clip(np.rint(place + half), 0, length)
        mix.mode[:, 1] = MixMode.PASTE
        mix.weight[:, 1] = 1.0
        return mix
