"""AugMix: several chains of ops on copies of an image, added up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from mixwell.plan.steps import WEIGHT_ONE, Edit, Mix, MixMode
from mixwell.policy.auto import INTERPS, MOST, Noise, need_noise, strengths
from mixwell.policy.base import CompoundOp, Rows
from mixwell.policy.fields import Fill, need
from mixwell.policy.program import Program, copies
from mixwell.policy.spaces import Look, space

DRAWN_DEPTH = 3
"""A chain whose depth is drawn has 1 .. 3 ops."""

_ENHANCE = ("Brightness", "Color", "Contrast", "Sharpness")


@final
@dataclass(frozen=True, repr=False)
class AugMix(CompoundOp):
    """The image plus a weighted sum of `mixture_width` chains of ops (Hendrycks et al. 2019,
    arXiv 1912.02781).

    out = m[0] * image + m[1] * sum over i of w[i] * chain[i](image), with m ~ Beta(alpha, alpha)
    and w ~ Dirichlet(alpha, ..., alpha). Labels stay: every part shows the same image. Weights are
    whole multiples of 1/65536 and sum to exactly one, so constant images stay what they are
    wherever their chains leave them.

    Args:
        severity: strengths are drawn from the lowest `severity` of ten bins, 1 .. 10.
        magnitude_std: None: strengths are drawn from bins; "uniform": anywhere from 0 to
            `severity` tenths; a number: normal around `severity` tenths, this many tenths wide.
            Both, as in timm, are cut off at ten; `severity` may then be 0 .. 1000.
        mixture_width: number of chains, 1 .. 16.
        chain_depth: ops in each chain, 1 .. 16; -1 draws 1 .. 3 for each chain.
        alpha: of both distributions, 0.05 .. 32.
        all_ops: whether colour, contrast, brightness and sharpness take part. They resemble the
            corruptions of ImageNet-C; leave them out when testing on those.
        ops: names of the space to draw from; None = all of the space, see `all_ops`.
        interp: of the geometric ops, see `RandAugment`.
        fill: of the geometric ops, level(s) in image units.
        space: what strengths mean, see `mixwell.policy.spaces`.

    Use `Views(Identity(), AugMix(), AugMix())` and `jsd_loss` for the paper's training.
    """

    severity: int = 3
    mixture_width: int = 3
    chain_depth: int = -1
    alpha: float = 1.0
    all_ops: bool = True
    ops: tuple[str, ...] | None = None
    interp: str = "bilinear"
    fill: Fill = 0.0
    space: str = "mixwell-augmix"
    magnitude_std: Noise | None = None
    num_magnitude_bins: ClassVar[int] = 11
    magnitude_max: ClassVar[float | None] = None
    moves = True
    interps = INTERPS

    def validate(self) -> None:
        """Check the numbers."""
        low, high = (1, 10) if self.magnitude_std is None else (0, MOST)
        rule = f"severity must lie in {low} .. {high}"
        need(self, low <= self.severity <= high, rule, self.severity)
        width, depth = self.mixture_width, self.chain_depth
        need(self, 1 <= width <= 16, "mixture_width must lie in 1 .. 16", width)
        good = depth == -1 or 1 <= depth <= 16
        need(self, good, "chain_depth must lie in 1 .. 16, or be -1", depth)
        need(self, 0.05 <= self.alpha <= 32, "alpha must lie in 0.05 .. 32", self.alpha)
        if self.magnitude_std is not None:
            need_noise(self)
        known = space(self.space).names
        missing = [name for name in self.names if name not in known]
        need(self, not missing, f"ops must name some of {', '.join(known)}", missing)
        need(self, len(self.names) > 0, "ops must name at least one", self.ops)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the ops that chains draw from."""
        if self.ops is not None:
            return self.ops
        return tuple(n for n in space(self.space).names if self.all_ops or n not in _ENHANCE)

    def sample(self, rows: Rows) -> Program:
        """1 + mixture_width copies of every row, edited and added."""
        n, width = len(rows), self.mixture_width
        chains = [self._chain(rows.child(f"chain {i}")) for i in range(width)]
        edit = Edit.stack([Edit.nothing(rows.size_hw), *chains])
        expand = copies(rows.size_hw, np.tile(np.arange(n), width + 1))
        gather = Mix.identity(rows.size_hw, sources=width + 1)
        gather.source[...] = np.arange(n)[:, None] + n * np.arange(width + 1)
        gather.mode[...] = MixMode.ADD
        gather.rect_px[...] = gather.rect_px[:, :1]
        gather.weight[...] = self._weights(rows) / WEIGHT_ONE
        return Program(expand, edit, gather)

    def _chain(self, rows: Rows) -> Edit:
        """One chain of every row; places beyond a chain's depth stay empty."""
        most = DRAWN_DEPTH if self.chain_depth == -1 else self.chain_depth
        depth = np.full(len(rows), most)
        if self.chain_depth == -1:
            depth = rows.draws.integers("depth", 1, DRAWN_DEPTH + 1)
        names, parts = self.names, [rows.child(k) for k in range(most)]
        drawn = [part.draws.integers("op", 0, len(names)) for part in parts]
        which = [np.where(k < depth, op, -1) for k, op in enumerate(drawn)]
        t = [self._strength(part) for part in parts]
        return space(self.space).slots(parts, names, which, t, Look(self.interp, self.fill))

    def _strength(self, rows: Rows) -> np.ndarray:
        """float64 [N]: strengths of one op."""
        if self.magnitude_std is None:
            return rows.draws.integers("strength", 0, self.severity) / 9
        return strengths(self, rows, np.full(len(rows), float(self.severity)))

    def _weights(self, rows: Rows) -> np.ndarray:
        """float64 [N, 1 + width]: whole units of 1/65536 that sum to 65536, the image's first."""
        own, rest = rows.draws.beta("own", self.alpha, self.alpha).T
        parts = dirichlet(rows, self.alpha, self.mixture_width) * rest[:, None]
        edges = np.rint(np.cumsum(np.column_stack([own, parts]), axis=1) * WEIGHT_ONE)
        edges[:, -1] = WEIGHT_ONE
        return np.diff(edges, axis=1, prepend=0.0)


def dirichlet(rows: Rows, alpha: float, count: int) -> np.ndarray:
    """float64 [N, count] ~ Dirichlet(alpha, ..., alpha), by breaking a stick with Betas."""
    left = np.ones(len(rows))
    parts = []
    for i in range(count - 1):
        part, rest = rows.draws.beta(f"part {i}", alpha, alpha * (count - 1 - i)).T
        parts.append(left * part)
        left = left * rest
    return np.stack([*parts, left], axis=1)
