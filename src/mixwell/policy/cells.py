"""Ops that compose an image of cells of two images; see `mix` for who shares draws.

Cell k of n along a side of L px reaches from k L // n to (k + 1) L // n, so cells of one image
differ by at most one pixel. Labels: the areas that are seen, to the pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from mixwell.plan.steps import Mix, MixMode
from mixwell.policy.base import MixOp, Rows
from mixwell.policy.fields import need
from mixwell.policy.mix import (
    LamName,
    Mixer,
    PairingName,
    check_mixer,
    drawn_gate,
    drawn_lam,
    paired,
    partners,
    shared,
)

MOST = 8
"""Longest side of a grid, cells."""


def composed(
    rows: Rows, other: np.ndarray, grid: np.ndarray, pasted: np.ndarray, shown: np.ndarray
) -> Mix:
    """The own image with cells of the partner pasted over it.

    Args:
        rows: the batch.
        other: int64 [N], the partners.
        grid: int64 [N], cells along each side.
        pasted: bool [N, G], cells that come from the partner; numbered line by line.
        shown: int64 [N, G], which of the partner's cells each shows, from its top left corner on.
    """
    cells = pasted.shape[1]
    mix = paired(rows, other).padded(cells + 1)
    mix.source[:, 1:] = other[:, None]
    mix.mode[:, 1:] = np.where(pasted, MixMode.PASTE, MixMode.SKIP)
    mix.weight[:, 1:] = pasted
    n = grid[:, None]
    for axis, (own, from_) in enumerate(
        zip(*(_places(c, n) for c in (np.arange(cells)[None], shown)), strict=True)
    ):
        length = rows.size_hw[:, 1 - axis, None].astype(np.int64)
        start, end = own * length // n, (own + 1) * length // n
        place = from_ * length // n  # the last cell is as large as any, so all fit behind
        mix.rect_px[:, 1:, axis] = np.where(pasted, start, 0)
        mix.rect_px[:, 1:, axis + 2] = np.where(pasted, end, 0)
        mix.offset_px[:, 1:, axis] = np.where(pasted, start - place, 0)
    return mix


def _places(cell: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Column and line of cells in a grid with n cells along each side."""
    return cell % n, cell // n


def drawn_order(op: Mixer, rows: Rows, name: str, grid: np.ndarray, cells: int) -> np.ndarray:
    """int64 [N, cells]: a permutation of each row's own cells; what follows them stays in place."""
    words = shared(op, rows, lambda **s: rows.draws.words(name, cells, **s)).astype(np.int64)
    beyond = np.arange(cells) >= grid[:, None] ** 2
    return np.argsort(np.where(beyond, 1 << 32, words), axis=1, kind="stable")


@final
@dataclass(frozen=True, repr=False)
class GridMix(MixOp):
    """Cells of the partner in place of the image's own (Baek et al. 2021, "GridMix: Strong
    regularization through local context mapping", Pattern Recognition 109).

    Of n x n cells, the share 1 - lambda, rounded to whole cells and chosen at random, comes from
    the partner, each from where it stands there. Labels: the areas that are seen.

    Differs from the paper: its loss on the labels of single cells is not part of it.

    Args:
        grid: n, 1 .. 8.
        alpha: lambda ~ Beta(alpha, alpha); 0.01 .. 1000.
        lam: "image", "pair" or "batch", see `MixUp`; the pattern is shared likewise.
        pairing: see `MixUp`.
        share: see `MixUp`.
        p: chance; drawn for the image, pair or batch as lambda is.

    Raises:
        PolicyError: at sampling, one image alone, or images of different sizes.
    """

    grid: int = 4
    alpha: float = 1.0
    lam: LamName = "image"
    pairing: PairingName = "derangement"
    share: float | None = None

    def validate(self) -> None:
        """Check the fields."""
        check_mixer(self, self.share)
        good = isinstance(self.grid, int) and 1 <= self.grid <= MOST
        need(self, good, f"grid must be a whole number in 1 .. {MOST}", self.grid)

    def gate(self, rows: Rows) -> np.ndarray:
        """Drawn for the image, pair or batch."""
        return drawn_gate(self, rows, self.share)

    def sample(self, rows: Rows) -> Mix:
        """The own image, then a PASTE for each of the partner's cells."""
        other = partners(self, rows)
        grid, cells = np.full(len(rows), self.grid), self.grid**2
        count = np.rint(drawn_lam(self, rows)[:, 1:] * cells)
        order = drawn_order(self, rows, "pattern", grid, cells)
        shown = np.broadcast_to(np.arange(cells), order.shape)
        return composed(rows, other, grid, order < count, shown)


@final
@dataclass(frozen=True, repr=False)
class PatchMix(MixOp):
    """Patches of two images in a random grid-like pattern (Cascante-Bonilla et al. 2021, "Evolving
    image compositions for feature representation learning", arXiv 2106.09011).

    Each cell comes from the partner with chance 1 - lambda, on its own. With `shuffle`, cells of
    the partner also change places, as in a jigsaw: a pasted cell shows another of its cells, none
    twice. Labels: the areas that are seen.

    Differs from the paper: patterns are drawn, never searched for by evolution; losses on single
    patches are not part of it; neither are shuffled cells, drawn lambdas or drawn grids in it.
    `GridMix` has a fixed number of cells for a lambda, this one a random number about it.

    Args:
        grid: cells along each side, 1 .. 8, or a range (low, high) from which it is drawn.
        shuffle: whether pasted cells change places.
        alpha: lambda ~ Beta(alpha, alpha); 0.01 .. 1000.
        lam: "image", "pair" or "batch", see `MixUp`; the pattern is shared likewise.
        pairing: see `MixUp`.
        share: see `MixUp`.
        p: chance; drawn for the image, pair or batch as lambda is.

    Raises:
        PolicyError: at sampling, one image alone, or images of different sizes.
    """

    grid: int | tuple[int, int] = (2, 4)
    shuffle: bool = False
    alpha: float = 1.0
    lam: LamName = "image"
    pairing: PairingName = "derangement"
    share: float | None = None

    def validate(self) -> None:
        """Check the fields."""
        check_mixer(self, self.share)
        ends = self._ends
        good = len(ends) == 2 and all(isinstance(n, int) and 1 <= n <= MOST for n in ends)
        rule = f"grid must be a whole number in 1 .. {MOST}, or (low, high)"
        need(self, good and ends[0] <= ends[1], rule, self.grid)

    @property
    def _ends(self) -> tuple[int, ...]:
        return self.grid if isinstance(self.grid, tuple) else (self.grid, self.grid)

    def gate(self, rows: Rows) -> np.ndarray:
        """Drawn for the image, pair or batch."""
        return drawn_gate(self, rows, self.share)

    def sample(self, rows: Rows) -> Mix:
        """The own image, then a PASTE for each of the partner's cells."""
        other = partners(self, rows)
        low, high = self._ends
        unit = shared(self, rows, lambda **s: rows.draws.uniform("grid", **s))
        grid = low + (unit * (high - low + 1)).astype(np.int64)
        cells = high**2
        words = shared(self, rows, lambda **s: rows.draws.words("pattern", cells, **s))
        pasted = words * 2.0**-32 < drawn_lam(self, rows)[:, 1:]
        pasted &= np.arange(cells) < grid[:, None] ** 2
        shown = np.broadcast_to(np.arange(cells), pasted.shape)
        if self.shuffle:
            shown = drawn_order(self, rows, "places", grid, cells)
        return composed(rows, other, grid, pasted, shown)
