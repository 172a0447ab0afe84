"""Ops that mix the images of a batch; labels follow from the same integers as the pixels.

Who is keyed by what, so that a result means the same everywhere:

* `lam="image"`: each image has its own lambda, keyed by the image;
* `lam="pair"`: two images that are each other's partners share one, keyed by the one that stands
  first in the batch (with pairings that are not mutual, each image and its partner likewise);
* `lam="batch"`: one for all, keyed by (epoch, step, rank), like the pairing itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, final, get_args

import numpy as np

from mixwell._rng import Ask, batch_permutation
from mixwell.plan.steps import WEIGHT_ONE, Mix, MixMode
from mixwell.policy.base import MixOp, OutSize, Rows
from mixwell.policy.fields import need, need_span
from mixwell.policy.pairing import PairingName, partners

LamName = Literal["image", "pair", "batch"]
LabelName = Literal["area", "lambda"]
SizesName = Literal["equal", "any"]


class Sharer(Protocol):
    """Fields that mixing ops have in common; see `MixUp`."""

    @property
    def lam(self) -> LamName: ...  # noqa: D102
    @property
    def pairing(self) -> PairingName: ...  # noqa: D102
    @property
    def p(self) -> Any: ...  # noqa: D102


class Mixer(Sharer, Protocol):
    """Those that draw lambda have alpha too."""

    @property
    def alpha(self) -> Any: ...  # noqa: D102


def shared(op: Sharer, rows: Rows, draw: Callable[..., np.ndarray]) -> np.ndarray:
    """A draw for each row, shared between rows as `lam` says."""
    if op.lam == "batch":
        one = draw(per_batch=True)
        return np.repeat(one, len(rows), axis=0)
    values = draw()
    if op.lam == "pair":
        other = partners(op, rows, equal=False)  # sizes are refused where they matter
        return values[np.minimum(np.arange(len(rows)), other)]
    return values


def check_mixer(op: Mixer, share: float | None = None) -> None:
    """Check the fields of `Mixer`."""
    need(op, 0.01 <= op.alpha <= 1000, "alpha must lie in 0.01 .. 1000", op.alpha)
    check_sharing(op, share)


def check_sharing(op: Sharer, share: float | None) -> None:
    """Check the fields of `Sharer`, and what part of a batch an op serves."""
    need(op, op.lam in ("image", "pair", "batch"), 'lam: "image", "pair" or "batch"', op.lam)
    names = get_args(PairingName)
    need(op, op.pairing in names, f"pairing must be one of {names}", op.pairing)
    need(op, share is None or 0 <= share <= 1, "share must lie in 0 .. 1, or be None", share)


def drawn_lam(op: Mixer, rows: Rows) -> np.ndarray:
    """float64 [N, 2]: lambda ~ Beta(alpha, alpha) and 1 - lambda."""
    return shared(op, rows, lambda **s: rows.draws.beta("lam", op.alpha, op.alpha, **s))


def drawn_gate(op: Sharer, rows: Rows, share: float | None = None) -> np.ndarray:
    """bool [N]: to whom it happens, drawn for the image, pair or batch.

    With a share, round(share * N) rows at random are served, keyed by (epoch, step, rank), and the
    chance holds for those.
    """
    chance = rows.number(op.p)

    def draw(per_batch: bool = False) -> np.ndarray:
        p = chance[:1] if per_batch and isinstance(chance, np.ndarray) else chance
        return rows.draws.bernoulli("whether", p, per_batch=per_batch)

    happens = shared(op, rows, draw)
    if share is None:
        return happens
    rank = batch_permutation(rows.draws, "share", len(rows))
    return happens & (rank < round(share * len(rows)))


def paired(rows: Rows, other: np.ndarray) -> Mix:
    """A mix with the own image in place 0 and the partner, still unused, in place 1."""
    mix = Mix.identity(rows.size_hw)
    mix.source[:, 1] = other
    mix.rect_px[:, 1] = mix.rect_px[:, 0]
    return mix


def paired_any(op: Any, rows: Rows, sizes: SizesName = "any") -> Mix:
    """`paired` with partners of any size: place 1 has the partner's whole rectangle."""
    other = partners(op, rows, equal=sizes == "equal")
    mix = paired(rows, other)
    mix.rect_px[:, 1, 2:] = rows.pool[other][:, ::-1]
    return mix


def check_sizes(op: Any) -> None:
    """Check the field `sizes`."""
    need(op, op.sizes in get_args(SizesName), 'sizes must be "equal" or "any"', op.sizes)


@final
@dataclass(frozen=True, repr=False)
class MixUp(MixOp):
    """Weighted sum of each image and its partner (Zhang et al. 2017, arXiv 1710.09412).

    Pixels: lambda * own + (1 - lambda) * partner. Labels: the same weights, which are whole
    multiples of 1/65536.

    Args:
        alpha: lambda ~ Beta(alpha, beta); 0.01 .. 1000. The paper uses 0.2 - 0.4 for ImageNet and
            1 for CIFAR-10; detectors 1.5 (arXiv 1902.04103).
        beta: 0.01 .. 1000; None: alpha.
        fixed: lambda itself, 0 .. 1, the own image's part; None: it is drawn.
        sizes: "equal" refuses partners of another size; "any" puts both at the left top of a canvas
            with the larger height and the larger width, as detectors do: nothing is resized, the
            rest is black.
        lam: "image", "pair" or "batch", see the module.
        pairing: "derangement" (random, never oneself), "distinct" (random, never the same sample
            index, for repeated augmentation; at most half of the rows may share one),
            "same_class", "different_class" (random, by labels that are class numbers), "dataset"
            (a random other sample of the data set, see `keyed`), "roll" (partner of i is i - 1),
            "flip" (n - 1 - i), "random" (may be oneself).
        share: 0 .. 1: exactly this part of the batch, rounded to whole rows and chosen at random,
            is mixed, the rest kept (all rows can be partners); None leaves it to `p` alone.
        p: chance; drawn for the image, pair or batch as lambda is.

    Raises:
        PolicyError: at sampling, one image alone (unless pairing is "dataset"), images of different
            sizes, or what the pairing needs is not there.
    """

    alpha: float = 1.0
    lam: LamName = "image"
    pairing: PairingName = "derangement"
    share: float | None = None
    beta: float | None = None
    fixed: float | None = None
    sizes: SizesName = "equal"

    def validate(self) -> None:
        """Check the fields."""
        check_mixer(self, self.share)
        check_sizes(self)
        good = self.beta is None or 0.01 <= self.beta <= 1000
        need(self, good, "beta must lie in 0.01 .. 1000, or be None", self.beta)
        good = self.fixed is None or 0 <= self.fixed <= 1
        need(self, good, "fixed must lie in 0 .. 1, or be None", self.fixed)

    def asks(self, path: str) -> list[Ask]:
        """Lambda too, where images have their own."""
        if self.lam == "batch":
            return self.pairing_asks(path)
        drawn = [] if self.fixed is not None else [(path, "lam", 1)]
        return super().asks(path) + drawn

    def gate(self, rows: Rows) -> np.ndarray:
        """Drawn for the image, pair or batch."""
        return drawn_gate(self, rows, self.share)

    def sample(self, rows: Rows) -> Mix:
        """Two ADDs, each over its whole image."""
        mix = paired_any(self, rows, self.sizes)
        mix = replace(mix, canvas_hw=mix.rect_px[:, :, :1:-1].max(axis=1))
        own = np.rint(self._lambda(rows) * WEIGHT_ONE)
        mix.mode[:, 1] = MixMode.ADD
        mix.weight[:, 0] = own / WEIGHT_ONE
        mix.weight[:, 1] = (WEIGHT_ONE - own) / WEIGHT_ONE
        return mix

    def out_size(self, size: OutSize) -> OutSize:
        """Any, if partners may differ."""
        unsure = self.sizes == "any" and size in ("uniform", "variable")
        return "variable" if unsure else size

    def _lambda(self, rows: Rows) -> np.ndarray:
        """float64 [N]: the own images' parts."""
        if self.fixed is not None:
            return np.full(len(rows), self.fixed)
        beta = self.alpha if self.beta is None else self.beta
        return shared(self, rows, lambda **s: rows.draws.beta("lam", self.alpha, beta, **s))[:, 0]


@final
@dataclass(frozen=True, repr=False)
class CutMix(MixOp):
    """Paste a rectangle of the partner into each image (Yun et al. 2019, arXiv 1905.04899).

    The rectangle has the image's aspect and the share 1 - lambda of its area, around a uniformly
    drawn point; it is cut off at the edges and rounded to pixels. Labels: the areas that are seen,
    after cutting off and rounding.

    Args:
        alpha: lambda ~ Beta(alpha, alpha); 0.01 .. 1000; 1 in the paper.
        lam: "image", "pair" or "batch", see `MixUp`.
        pairing: see `MixUp`.
        share: see `MixUp`.
        minmax: 0 .. 1: both sides are drawn on their own, uniform between these shares of the
            image's, and the rectangle lies inside the image (timm's `cutmix_minmax`); lambda is
            not drawn. Rounded to at least one pixel.
        sizes: "equal" refuses partners of another size; "any" shows of the rectangle what lies
            inside the partner.
        label: "area", what is seen; "lambda", what was drawn, wrong wherever the rectangle is cut
            off or rounded, as in timm's `correct_lam=False`. It serves to repeat such results;
            `mixwell preview --check` reports it.
        p: chance; drawn for the image, pair or batch as lambda is.

    Raises:
        PolicyError: at sampling, one image alone, or images of different sizes.
    """

    alpha: float = 1.0
    lam: LamName = "image"
    pairing: PairingName = "derangement"
    share: float | None = None
    minmax: tuple[float, float] | None = None
    label: LabelName = "area"
    sizes: SizesName = "equal"

    def validate(self) -> None:
        """Check the fields."""
        check_mixer(self, self.share)
        check_sizes(self)
        need(self, self.label in get_args(LabelName), 'label: "area" or "lambda"', self.label)
        if self.minmax is not None:
            good = isinstance(self.minmax, tuple) and len(self.minmax) == 2
            need(self, good, "minmax must be (low, high)", self.minmax)
            need_span(self, "minmax", self.minmax, 0, 1)
            need(self, self.label == "area", "minmax draws no lambda to label by", self.label)

    def asks(self, path: str) -> list[Ask]:
        """Lambda and the centre too, where images have their own."""
        if self.lam == "batch" or self.minmax is not None:
            return self.pairing_asks(path)
        names = ("lam", "centre x", "centre y")
        return super().asks(path) + [(path, name, 1) for name in names]

    def gate(self, rows: Rows) -> np.ndarray:
        """Drawn for the image, pair or batch."""
        return drawn_gate(self, rows, self.share)

    def sample(self, rows: Rows) -> Mix:
        """The own image, then a PASTE of the partner's rectangle."""
        mix = paired_any(self, rows, self.sizes)
        end = mix.rect_px[:, 1, 2:].copy()
        mix.mode[:, 1] = MixMode.PASTE
        mix.weight[:, 1] = 1.0
        if self.minmax is not None:
            mix.rect_px[:, 1] = np.minimum(self._inner(rows, *self.minmax), np.tile(end, 2))
            return mix
        lam = drawn_lam(self, rows)
        side = np.sqrt(lam[:, 1])
        for axis, name in ((0, "centre x"), (1, "centre y")):
            length = rows.size_hw[:, 1 - axis].astype(np.float64)
            place = self._draw(rows, name) * length
            half = 0.5 * side * length
            mix.rect_px[:, 1, axis] = np.clip(np.rint(place - half), 0, length)
            mix.rect_px[:, 1, axis + 2] = np.clip(np.rint(place + half), 0, length)
        mix.rect_px[:, 1] = np.minimum(mix.rect_px[:, 1], np.tile(end, 2))
        if self.label == "area":
            return mix
        own = np.rint(lam[:, :1] * WEIGHT_ONE) / WEIGHT_ONE
        return replace(mix, label=np.concatenate([own, 1 - own], axis=1).astype(np.float32))

    def _inner(self, rows: Rows, low: float, high: float) -> np.ndarray:
        """int64 [N, 4]: rectangles with sides of their own, inside the image."""
        start, end = [], []
        for axis, name in ((0, "x"), (1, "y")):
            length = rows.size_hw[:, 1 - axis].astype(np.int64)
            side = length * (low + (high - low) * self._draw(rows, f"side {name}"))
            side = np.maximum(np.rint(side).astype(np.int64), 1)
            start.append((self._draw(rows, f"start {name}") * (length - side + 1)).astype(np.int64))
            end.append(start[-1] + side)
        return np.stack([*start, *end], axis=1)

    def _draw(self, rows: Rows, name: str) -> np.ndarray:
        return shared(self, rows, lambda **scope: rows.draws.uniform(name, **scope))
