"""Mixers whose arithmetic is a library's; `mixwell.compat` builds them.

Each says which library and which version it was checked with. Pairings and who shares a lambda are
those of `mixwell.policy.mix`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, final, get_args

import numpy as np

from mixwell.plan.steps import WEIGHT_ONE, Mix, MixMode
from mixwell.policy.base import MixOp, Rows
from mixwell.policy.fields import need, need_span
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


@final
@dataclass(frozen=True, repr=False)
class TorchvisionCutMix(MixOp):
    """CutMix with torchvision's rectangle (v2.CutMix, checked with 0.29.2).

    The rectangle reaches int(sqrt(1 - lambda) * side / 2) px to either side of a drawn pixel, so
    its uncut sides are even, and rounded down; `CutMix` has a drawn point, and rounds to the
    nearest pixel. Labels: the areas that are seen.

    Args:
        alpha: lambda ~ Beta(alpha, alpha); 0.01 .. 1000.
        lam: see `MixUp`; torchvision: "batch".
        pairing: see `MixUp`; torchvision: "roll".
        p: chance; drawn for the image, pair or batch as lambda is.

    Raises:
        PolicyError: at sampling, one image alone, or images of different sizes.
    """

    alpha: float = 1.0
    lam: LamName = "batch"
    pairing: PairingName = "roll"

    def validate(self) -> None:
        """Check the fields."""
        check_mixer(self)

    def gate(self, rows: Rows) -> np.ndarray:
        """Drawn for the image, pair or batch."""
        return drawn_gate(self, rows)

    def sample(self, rows: Rows) -> Mix:
        """The own image, then a PASTE of the partner's rectangle."""
        mix = paired(rows, partners(self, rows))
        reach = 0.5 * np.sqrt(drawn_lam(self, rows)[:, 1])
        for axis, name in ((0, "centre x"), (1, "centre y")):
            length = rows.size_hw[:, 1 - axis].astype(np.int64)
            unit = shared(self, rows, lambda n=name, **scope: rows.draws.uniform(n, **scope))
            pixel = np.minimum((unit * length).astype(np.int64), length - 1)
            half = (reach * length).astype(np.int64)
            mix.rect_px[:, 1, axis] = np.maximum(pixel - half, 0)
            mix.rect_px[:, 1, axis + 2] = np.minimum(pixel + half, length)
        mix.mode[:, 1] = MixMode.PASTE
        mix.weight[:, 1] = 1.0
        return mix


BoxName = Literal["1.0.28", "1.0.29"]


@final
@dataclass(frozen=True, repr=False)
class TimmMixup(MixOp):
    """timm's Mixup: MixUp or CutMix with the image that stands as far from the batch's other end
    (`timm.data.mixup`, checked with 1.0.31).

    Where both are switched on, one of them is drawn, as `lam` says. The middle image of an odd
    batch, which timm refuses, stays as it is. Labels: MixUp's weights, and the areas that CutMix's
    rectangle shows; smooth them with `smoothing=` of `Augment` or `Collate`.

    Args:
        mixup_alpha: MixUp's lambda ~ Beta(alpha, alpha), 0.01 .. 1000; 0 = no MixUp.
        cutmix_alpha: CutMix's lambda likewise; 0 = no CutMix.
        cutmix_minmax: 0 .. 1: CutMix's sides are drawn on their own, whole px from int(low * side)
            up to, but without, int(high * side), at least 0; CutMix is then on without an alpha.
        switch_prob: chance of CutMix where both are on.
        lam: who shares gate, choice, lambda and rectangle: "batch", "pair" or "image" (timm's
            mode "elem").
        correct_lam: False: CutMix's labels say the lambda drawn, not the area seen; not with
            `cutmix_minmax`. `mixwell preview --check` reports it.
        box: the version whose rectangle is meant: up to "1.0.28" odd sides lose a pixel, and one
            drawn by `cutmix_minmax` never touches the right or the lower edge; since "1.0.29" they
            do not.
        p: chance.

    Raises:
        PolicyError: at sampling, one image alone, or images of different sizes.
    """

    mixup_alpha: float = 1.0
    cutmix_alpha: float = 0.0
    cutmix_minmax: tuple[float, float] | None = None
    switch_prob: float = 0.5
    lam: LamName = "batch"
    correct_lam: bool = True
    box: BoxName = "1.0.29"

    def validate(self) -> None:
        """Check the fields."""
        check_sharing(self, None)
        for name in ("mixup_alpha", "cutmix_alpha"):
            alpha = getattr(self, name)
            good = alpha == 0 or 0.01 <= alpha <= 1000
            need(self, good, f"{name} must lie in 0.01 .. 1000, or be 0", alpha)
        on = self.mixup_alpha > 0 or self._cuts
        need(self, on, "mixup_alpha, cutmix_alpha or cutmix_minmax must be on", 0)
        switch = self.switch_prob
        need(self, 0 <= switch <= 1, "switch_prob must lie in 0 .. 1", switch)
        names = get_args(BoxName)
        need(self, self.box in names, f"box must be one of {names}", self.box)
        if self.cutmix_minmax is not None:
            two = isinstance(self.cutmix_minmax, tuple) and len(self.cutmix_minmax) == 2
            need(self, two, "cutmix_minmax must be (low, high)", self.cutmix_minmax)
            need_span(self, "cutmix_minmax", self.cutmix_minmax, 0, 1)

    @property
    def pairing(self) -> PairingName:
        """As in timm."""
        return "flip"

    @property
    def _cuts(self) -> bool:
        """Whether CutMix is on."""
        return self.cutmix_alpha > 0 or self.cutmix_minmax is not None

    def gate(self, rows: Rows) -> np.ndarray:
        """Drawn for the image, pair or batch."""
        return drawn_gate(self, rows)

    def sample(self, rows: Rows) -> Mix:
        """The own image, and an ADD of the partner or a PASTE of its rectangle."""
        mix = paired(rows, partners(self, rows))
        cut = self._which(rows)
        lam = np.where(cut[:, None], self._lam(rows, "cutmix"), self._lam(rows, "mixup"))
        own = np.rint(lam[:, 0] * WEIGHT_ONE) / WEIGHT_ONE
        mix.mode[:, 1] = np.where(cut, MixMode.PASTE, MixMode.ADD)
        mix.weight[:, 0] = np.where(cut, 1.0, own)
        mix.weight[:, 1] = np.where(cut, 1.0, 1.0 - own)
        mix.rect_px[cut, 1] = self._boxes(rows, lam[:, 1])[cut]
        if self.correct_lam or self.cutmix_minmax is not None or not cut.any():
            return mix
        said = np.where(cut[:, None], np.stack([own, 1.0 - own], axis=1), -1.0)
        return replace(mix, label=said.astype(np.float32))

    def _which(self, rows: Rows) -> np.ndarray:
        """bool [N]: CutMix."""
        if not (self._cuts and self.mixup_alpha > 0):
            return np.full(len(rows), self._cuts)
        return self._draw(rows, "which") < self.switch_prob

    def _lam(self, rows: Rows, name: str) -> np.ndarray:
        """float64 [N, 2]: lambda and 1 - lambda; unused where an alpha is off."""
        alpha = self.cutmix_alpha if name == "cutmix" else self.mixup_alpha
        if alpha == 0 or (name == "cutmix" and self.cutmix_minmax is not None):
            return np.tile([1.0, 0.0], (len(rows), 1))
        return shared(self, rows, lambda **s: rows.draws.beta(f"{name} lam", alpha, alpha, **s))

    def _boxes(self, rows: Rows, area: np.ndarray) -> np.ndarray:
        """int64 [N, 4]: x0 y0 x1 y1 of CutMix's rectangles."""
        start, end, odd = [], [], int(self.box != "1.0.28")
        for axis, name in ((0, "x"), (1, "y")):
            length = rows.size_hw[:, 1 - axis].astype(np.int64)
            if self.cutmix_minmax is not None:
                low, high = ((length * part).astype(np.int64) for part in self.cutmix_minmax)
                side = low + self._below(rows, f"side {name}", high - low)
                start.append(self._below(rows, f"start {name}", length - side + odd))
                end.append(start[-1] + side)
                continue
            side = (length * np.sqrt(area)).astype(np.int64)
            centre = self._below(rows, f"centre {name}", length)
            start.append(np.maximum(centre - side // 2, 0))
            end.append(np.minimum(centre + (side + odd) // 2, length))
        return np.stack([*start, *end], axis=1)

    def _draw(self, rows: Rows, name: str) -> np.ndarray:
        return shared(self, rows, lambda **scope: rows.draws.uniform(name, **scope))

    def _below(self, rows: Rows, name: str, span: np.ndarray) -> np.ndarray:
        """int64 [N]: uniform on 0 .. span - 1; 0 where there is no such number."""
        span = np.maximum(span, 1)
        return np.minimum((self._draw(rows, name) * span).astype(np.int64), span - 1)
