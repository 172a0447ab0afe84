"""CopyPaste: some things of a partner, cut out along their masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from mixwell._errors import PolicyError
from mixwell.plan.follow import Things
from mixwell.plan.steps import MASK_ONE, Mix
from mixwell.policy.base import MixOp, Rows
from mixwell.policy.classmix import shown_through
from mixwell.policy.fields import need
from mixwell.policy.mix import paired_any
from mixwell.policy.pairing import PairingName


@final
@dataclass(frozen=True, repr=False)
class CopyPaste(MixOp):
    """Paste some instances of the partner into each image (Ghiasi et al. 2020, arXiv 2012.07177).

    Each of the partner's instances is chosen with a chance and shown where it stands, along its
    mask; what it hides of the own things is taken from their masks, boxes and weights. Images may
    differ in size. The paper puts it behind `ScaleJitter`, `FixedSizeCrop` and `HorizontalFlip`.

    Needs instance masks, Augment(policy, boxes="xyxy", masks="instance"). With class maps,
    masks="semantic", all that an image shows of a class is one instance; see also `ClassMix`.

    Args:
        select: chance of each instance, 0 .. 1.
        pairing: see `MixUp`.
        p: chance, drawn for each image.
    """

    select: float = 0.5
    pairing: PairingName = "derangement"
    looks = True

    def validate(self) -> None:
        """Check the chance."""
        need(self, 0 <= self.select <= 1, "select must lie in 0 .. 1", self.select)

    def sample(self, rows: Rows) -> Mix:
        """The own image past the mask, the partner through it."""
        things = rows.things
        if things is None or (things.stencils is None and things.classes is None):
            raise PolicyError(
                "CopyPaste cuts things out along their masks, got none. Declare them, "
                'Augment(policy, boxes="xyxy", masks="instance") or masks="semantic", and put it '
                "into the Policy itself or a OneOf."
            )
        mix = paired_any(self, rows)
        return shown_through(mix, self._masks(rows, mix.source[:, 1], things))

    def _masks(self, rows: Rows, other: np.ndarray, things: Things) -> np.ndarray:
        """uint16 [N, H, W]: where each row shows its partner."""
        pieces = [_pieces(things, partner) for partner in other.tolist()]
        chosen = rows.draws.uniforms("which", max([1, *map(len, pieces)])) < self.select
        mask = np.zeros((len(rows), *rows.size_hw.max(axis=0, initial=1)), np.uint16)
        for b, stencils in enumerate(pieces):
            for stencil in (s for s, taken in zip(stencils, chosen[b], strict=False) if taken):
                h, w = np.minimum(stencil.shape, rows.size_hw[b])
                mask[b, :h, :w][stencil[:h, :w] != 0] = MASK_ONE
        return mask


def _pieces(things: Things, row: int) -> list[np.ndarray]:
    """What can be cut out of a row: its instances, else all there is of each class."""
    if things.stencils is not None:
        return [things.stencils[i] for i in np.flatnonzero(things.outlines.row == row).tolist()]
    assert things.classes is not None
    classes = things.classes[row]
    return [classes == k for k in np.unique(classes).tolist() if k >= 0]
