"""Ops that mix two images by a mask of their own for every pixel; see `mix` for who shares draws.

Masks are part of the plan, in whole multiples of 1/32768, and labels are their means.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, final, get_args

import numpy as np

from mixwell.plan.steps import MASK_ONE, Mix, MixMode
from mixwell.policy.base import MixOp, Rows
from mixwell.policy.fields import need, need_span, span
from mixwell.policy.mix import (
    LamName,
    PairingName,
    check_mixer,
    check_sharing,
    drawn_gate,
    drawn_lam,
    paired,
    partners,
    shared,
)

ShapeName = Literal["circle", "square"]
_BITS = 16
"""Fraction bits of a noise field's coefficients and cosines."""
_ROWS_AT_ONCE = 32
_LEFT_OUT = 2.0**-16
"""Part of the noise's power, about, that lies in the frequencies left out."""


def masked(rows: Rows, other: np.ndarray, masks: dict[tuple[int, int], np.ndarray]) -> Mix:
    """The own image where the mask is 1, the partner where it is 0.

    Args:
        rows: the batch.
        other: int64 [N], the partners.
        masks: for each size (height, width) uint16 [n, height, width], in the rows' order.
    """
    mix = paired(rows, other)
    mix.mode[:] = MixMode.MASK, MixMode.UNMASK
    mix.weight[:] = 1.0
    mask = np.zeros((len(rows), *rows.size_hw.max(axis=0)), np.uint16)
    for (height, width), found in masks.items():
        mask[(rows.size_hw == (height, width)).all(axis=1), :height, :width] = found
    return replace(mix, mask=mask)


def by_size(rows: Rows) -> dict[tuple[int, int], np.ndarray]:
    """Which rows have which size: (height, width) -> int64 [n]."""
    sizes = [tuple(hw) for hw in np.unique(rows.size_hw, axis=0).tolist()]
    return {hw: np.flatnonzero((rows.size_hw == hw).all(axis=1)) for hw in sizes}


@final
@dataclass(frozen=True, repr=False)
class FMix(MixOp):
    """Mix two images by a mask cut out of low-frequency noise (Harris et al. 2020,
    arXiv 2002.12047).

    Noise of random Fourier coefficients, falling with frequency to the power `decay_power`, is cut
    where the share lambda of its pixels lies above: there the own image shows, elsewhere the
    partner. Labels: the mask's mean, which is lambda, rounded to whole pixels.

    The noise is summed in whole numbers, so no order of summation changes a mask; the last bits of
    a logarithm or cosine, which may differ between machines, decide one mask in about a million.
    Frequencies that together hold about 2**-16 of the noise's power are left out; with the default
    decay all above 16 waves along the longer side. Small `decay_power`s leave out none, and are
    slow on large images.

    Args:
        alpha: lambda ~ Beta(alpha, alpha); 0.01 .. 1000; 1 in the paper.
        decay_power: 0 (white noise) .. 10; 3 in the paper.
        max_soft: 0 .. 0.5; the mask falls from 1 to 0 over at most twice this share of the pixels,
            instead of at once.
        lam: "image", "pair" or "batch", see `MixUp`; the mask is shared likewise.
        pairing: see `MixUp`.
        share: see `MixUp`.
        p: chance; drawn for the image, pair or batch as lambda is.

    Raises:
        PolicyError: at sampling, one image alone, or images of different sizes.
    """

    alpha: float = 1.0
    decay_power: float = 3.0
    max_soft: float = 0.0
    lam: LamName = "image"
    pairing: PairingName = "derangement"
    share: float | None = None

    def validate(self) -> None:
        """Check the fields."""
        check_mixer(self, self.share)
        decay, soft = self.decay_power, self.max_soft
        need(self, 0 <= decay <= 10, "decay_power must lie in 0 .. 10", decay)
        need(self, 0 <= soft <= 0.5, "max_soft must lie in 0 .. 0.5", soft)

    def gate(self, rows: Rows) -> np.ndarray:
        """Drawn for the image, pair or batch."""
        return drawn_gate(self, rows, self.share)

    def sample(self, rows: Rows) -> Mix:
        """Own image and partner through one mask."""
        other = partners(self, rows)
        if not len(rows):
            return paired(rows, other)
        groups = by_size(rows)
        count = max(2 * math.prod(spectrum(*hw, self.decay_power).shape) for hw in groups)
        words = shared(self, rows, lambda **s: rows.draws.words("noise", count, **s))
        lam = drawn_lam(self, rows)
        masks = {}
        for hw, group in groups.items():
            parts = []
            for first in range(0, len(group), _ROWS_AT_ONCE):
                some = group[first : first + _ROWS_AT_ONCE]
                field = noise_field(words[some], hw, self.decay_power)
                parts.append(cut(field, lam[some], self.max_soft))
            masks[hw] = np.concatenate(parts)
        return masked(rows, other, masks)


def spectrum(height: int, width: int, decay_power: float) -> np.ndarray:
    """float64 [F, E]: the size of each Fourier coefficient, the largest 1.

    Rows are frequencies -a .. a along y, columns 0 .. b along x, in waves along the side.
    """
    most = max(height, width)
    limit = (
        most if decay_power <= 1 else 2 ** min(-math.log2(_LEFT_OUT) / (2 * decay_power - 2), 16)
    )
    ends = [min(side // 2, math.ceil(limit * side / most)) for side in (height, width)]
    y, x = np.arange(-ends[0], ends[0] + 1) / height, np.arange(ends[1] + 1) / width
    waves = np.maximum(np.hypot(y[:, None], x) * most, 1.0)
    size = waves**-decay_power
    size[:, 1:] *= 2.0  # each stands for its mirror image too
    if width % 2 == 0 and ends[1] == width // 2:
        size[:, -1] *= 0.5
    if height % 2 == 0 and ends[0] == height // 2:
        size[[0, -1]] *= 0.5  # the same frequency, met twice
    return size / size.max()


def noise_field(words: np.ndarray, size_hw: tuple[int, int], decay_power: float) -> np.ndarray:
    """float64 [n, H, W] of whole numbers: noise with random coefficients of the `spectrum`.

    All products and sums are of whole numbers below 2**53, which float64 holds exactly, so no
    order of summation and no processor changes them.

    Args:
        words: uint32 [n, C], at least two for each coefficient.
        size_hw: height and width, px.
        decay_power: see `FMix`.
    """
    size = spectrum(*size_hw, decay_power)
    unit = (words[:, : 2 * size.size].astype(np.float64) + 0.5) * 2.0**-32
    radius = np.sqrt(-2.0 * np.log(unit[:, 0::2])).reshape(-1, *size.shape) * size
    turn = 2.0 * np.pi * unit[:, 1::2].reshape(-1, *size.shape)
    real, imag = _whole(radius * np.cos(turn)), _whole(radius * np.sin(turn))
    down = np.arange(-(size.shape[0] // 2), size.shape[0] // 2 + 1)
    cos, sin = _waves(size_hw[0], down)
    across_real = np.rint((cos @ real - sin @ imag) * 2.0**-_BITS)
    across_imag = np.rint((cos @ imag + sin @ real) * 2.0**-_BITS)
    cos, sin = _waves(size_hw[1], np.arange(size.shape[1]))
    both = np.concatenate([across_real, across_imag], axis=2)
    return both @ np.concatenate([cos, -sin], axis=1).T


def _waves(length: int, frequencies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines in whole numbers, float64 [length, F]."""
    phase = np.outer(np.arange(length), frequencies) % length
    angle = 2.0 * np.pi * phase / length
    return _whole(np.cos(angle)), _whole(np.sin(angle))


def _whole(values: np.ndarray) -> np.ndarray:
    return np.rint(values * (1 << _BITS))


def cut(field: np.ndarray, lam: np.ndarray, max_soft: float) -> np.ndarray:
    """uint16 [n, H, W]: 1 in the pixels that rank first, 0 in the others; their share is lambda.

    Args:
        field: float64 [n, H, W]; of equal pixels the one that comes first ranks first.
        lam: float64 [n, 2], lambda and 1 - lambda.
        max_soft: see `FMix`.
    """
    flat = field.reshape(len(field), -1)
    pixels = flat.shape[1]
    first = np.rint(lam[:, 0] * pixels).astype(np.int64)[:, None]
    if max_soft == 0:
        return (_ranks_below(flat, first) * np.uint16(MASK_ONE)).reshape(field.shape)
    order = np.argsort(-flat, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(pixels)[None], axis=1)
    soft = np.minimum(first, pixels - first)
    soft = np.minimum(soft, int(max_soft * pixels))
    # Ranks first - soft .. first + soft - 1 go evenly from 1 to 0.
    level = (first + soft - 1 - rank + (soft == 0)) / np.maximum(2 * soft - 1, 1)
    return np.rint(np.clip(level, 0, 1) * MASK_ONE).astype(np.uint16).reshape(field.shape)


def _ranks_below(flat: np.ndarray, first: np.ndarray) -> np.ndarray:
    """bool [n, P]: the `first` (int64 [n, 1]) largest values of each row."""
    ordered = np.sort(flat, axis=1)
    pixels = flat.shape[1]
    last = np.take_along_axis(ordered, np.clip(pixels - first, 0, pixels - 1), axis=1)
    reached = flat >= last
    ties = np.flatnonzero(reached.sum(axis=1) != first[:, 0])
    for row in ties:  # no pixel at all, or several equal ones at the border
        equal = np.flatnonzero(flat[row] == last[row])
        lacking = first[row, 0] - (flat[row] > last[row]).sum()
        reached[row, equal[lacking:]] = False
    return reached


@final
@dataclass(frozen=True, repr=False)
class SmoothMix(MixOp):
    """Blend the partner in around a point, fading smoothly (Lee et al. 2020, "SmoothMix: a Simple
    Yet Effective Data Augmentation to Train Robust Classifiers", CVPR workshops).

    The partner's weight is exp(-d² / (2 sigma²)), d the distance from a uniformly drawn point:
    along a straight line ("circle"), or the larger of the two along the sides ("square"). Labels:
    the mask's mean. No lambda is drawn: sigma decides.

    Args:
        sigma: a share of the shorter side, or a range from which it is drawn; 0.01 .. 4.
        shape: "circle" or "square".
        lam: who shares sigma and the point: "image", "pair" or "batch", see `MixUp`.
        pairing: see `MixUp`.
        share: see `MixUp`.
        p: chance; drawn for the image, pair or batch likewise.

    Raises:
        PolicyError: at sampling, one image alone, or images of different sizes.
    """

    sigma: float | tuple[float, float] = (0.25, 0.5)
    shape: ShapeName = "circle"
    lam: LamName = "image"
    pairing: PairingName = "derangement"
    share: float | None = None

    def validate(self) -> None:
        """Check the fields."""
        check_sharing(self, self.share)
        need_span(self, "sigma", self.sigma, 0.01, 4)
        need(self, self.shape in get_args(ShapeName), 'shape: "circle" or "square"', self.shape)

    def gate(self, rows: Rows) -> np.ndarray:
        """Drawn for the image, pair or batch."""
        return drawn_gate(self, rows, self.share)

    def sample(self, rows: Rows) -> Mix:
        """Own image and partner through one mask."""
        other = partners(self, rows)
        if not len(rows):
            return paired(rows, other)

        def draw(name: str) -> np.ndarray:
            return shared(self, rows, lambda **s: rows.draws.uniform(name, **s))

        low, high = span(self.sigma)
        sigma = (low + (high - low) * draw("sigma")) * rows.size_hw.min(axis=1)
        y, x = draw("centre y") * rows.size_hw[:, 0], draw("centre x") * rows.size_hw[:, 1]
        masks = {}
        for (height, width), some in by_size(rows).items():
            across, down = (
                np.exp(-0.5 * ((np.arange(side) + 0.5 - at[some, None]) / sigma[some, None]) ** 2)
                for side, at in ((width, x), (height, y))
            )
            join = np.multiply if self.shape == "circle" else np.minimum
            partner = join(down[:, :, None], across[:, None, :])
            masks[height, width] = np.rint((1.0 - partner) * MASK_ONE).astype(np.uint16)
        return masked(rows, other, masks)
