"""ResizeMix: the whole partner, small, pasted into the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from mixwell.plan.steps import Code, Edit, Interp, MixMode
from mixwell.policy.base import CompoundOp, Rows
from mixwell.policy.fields import need_span, span
from mixwell.policy.mix import (
    LamName,
    PairingName,
    check_sharing,
    drawn_gate,
    paired,
    partners,
    shared,
)
from mixwell.policy.program import Program, copies


@final
@dataclass(frozen=True, repr=False)
class ResizeMix(CompoundOp):
    """Shrink the partner and paste it into each image (Qin et al. 2020, arXiv 2012.11101).

    The partner, as edited so far, is resized (antialiased) to the share tau of both sides, tau
    uniform in `scope`, and pasted at a uniform place inside the image. Labels: the area it covers,
    to the pixel. No lambda is drawn: tau decides.

    Differs from the paper in that the pasted image is antialiased and never cut off.

    Args:
        scope: tau, or a range from which it is drawn, 0.01 .. 1; (0.1, 0.8) in the paper.
        interp: of the resize, "bilinear" or "bicubic".
        lam: who shares tau and the place: "image", "pair" or "batch", see `MixUp`.
        pairing: see `MixUp`.
        share: see `MixUp`.
        p: chance; drawn for the image, pair or batch likewise.

    Raises:
        PolicyError: at sampling, one image alone, or images of different sizes.
    """

    scope: float | tuple[float, float] = (0.1, 0.8)
    interp: str = "bilinear"
    lam: LamName = "image"
    pairing: PairingName = "derangement"
    share: float | None = None
    mixes = True
    moves = True
    interps = ("bilinear", "bicubic")

    def validate(self) -> None:
        """Check the fields."""
        check_sharing(self, self.share)
        need_span(self, "scope", self.scope, 0.01, 1)

    def gate(self, rows: Rows) -> np.ndarray:
        """Drawn for the image, pair or batch."""
        return drawn_gate(self, rows, self.share)

    def sample(self, rows: Rows) -> Program:
        """Every row twice; the second copies shrink, and are pasted into their partners."""
        n, other = len(rows), partners(self, rows)
        small, place = self._boxes(rows)
        own = np.arange(n)
        expand = copies(rows.pool, np.concatenate([own, other]))
        edit = Edit.nothing(np.concatenate([rows.size_hw, small]))
        edit.code[n:] = Code.RESIZE
        edit.param[n:, 0, 2:4] = rows.size_hw[:, ::-1]
        edit.interp[n:] = Interp[self.interp.upper()]
        gather = paired(rows, own + n)
        gather.mode[:, 1] = MixMode.PASTE
        gather.weight[:, 1] = 1.0
        gather.rect_px[:, 1] = np.concatenate([place, place + small[:, ::-1]], axis=1)
        gather.offset_px[:, 1] = place
        return Program(expand, edit, gather)

    def _boxes(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """The pasted images' sizes int32 [N, 2], height and width, and corners [N, 2], x and y."""

        def draw(name: str) -> np.ndarray:
            return shared(self, rows, lambda **s: rows.draws.uniform(name, **s))

        low, high = span(self.scope)
        tau = low + (high - low) * draw("tau")
        small = np.maximum(np.rint(rows.size_hw * tau[:, None]), 1).astype(np.int32)
        room = (rows.size_hw - small)[:, ::-1]
        unit = np.stack([draw("place x"), draw("place y")], axis=1)
        return small, (unit * (room + 1)).astype(np.int32)
