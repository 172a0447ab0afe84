"""ClassMix: all that a partner shows of some of its classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from mixwell._errors import PolicyError
from mixwell.plan.steps import MASK_ONE, Mix, MixMode
from mixwell.policy.base import MixOp, Rows
from mixwell.policy.fields import need
from mixwell.policy.mix import paired_any
from mixwell.policy.pairing import PairingName


def shown_through(mix: Mix, mask: np.ndarray) -> Mix:
    """A paired mix with the own image past a mask and the partner through it.

    Args:
        mix: of `paired_any`.
        mask: uint16 [N, H, W], 0 or `MASK_ONE`; rows of zeros stay as they are.
    """
    mix.rect_px[:, 1, 2:] = np.minimum(mix.rect_px[:, 1, 2:], mix.rect_px[:, 0, 2:])
    some = mask.any(axis=(1, 2))
    if not some.any():
        return mix
    mix.mode[some, 0], mix.mode[some, 1] = MixMode.UNMASK, MixMode.MASK
    mix.weight[some] = 1.0
    return replace(mix, mask=mask).tidy()


@final
@dataclass(frozen=True, repr=False)
class ClassMix(MixOp):
    """Paste some classes of the partner into each image (Olsson et al. 2020, arXiv 2007.07936).

    Of the classes that the partner shows, a part is drawn, and all of their pixels are copied to
    where they stand. Images may differ in size. The paper takes the classes from predictions on
    images without labels; here they are those of the targets, which may be predictions.

    Needs class maps: Augment(policy, masks="semantic").

    Args:
        part: of the partner's classes, rounded down, 0 .. 1; a half in the paper. The ignored
            class is none.
        pairing: see `MixUp`.
        p: chance, drawn for each image.
    """

    part: float = 0.5
    pairing: PairingName = "derangement"
    looks = True

    def validate(self) -> None:
        """Check the part."""
        need(self, 0 <= self.part <= 1, "part must lie in 0 .. 1", self.part)

    def sample(self, rows: Rows) -> Mix:
        """The own image past the mask, the partner through it."""
        if rows.things is None or rows.things.classes is None:
            raise PolicyError(
                "ClassMix cuts classes out of class maps, got none. Declare them, "
                'Augment(policy, masks="semantic"), and put it into the Policy itself or a OneOf.'
            )
        mix = paired_any(self, rows)
        return shown_through(mix, self._masks(rows, mix.source[:, 1], rows.things.classes))

    def _masks(self, rows: Rows, other: np.ndarray, maps: Sequence[np.ndarray]) -> np.ndarray:
        """uint16 [N, H, W]: where each row shows its partner."""
        present = [np.unique(maps[partner]) for partner in other.tolist()]
        present = [classes[classes >= 0] for classes in present]
        luck = rows.draws.uniforms("which", max([1, *map(len, present)]))
        mask = np.zeros((len(rows), *rows.size_hw.max(axis=0, initial=1)), np.uint16)
        for b, (partner, classes) in enumerate(zip(other.tolist(), present, strict=True)):
            chosen = classes[np.argsort(luck[b, : len(classes)])][: int(self.part * len(classes))]
            h, w = np.minimum(maps[partner].shape, rows.size_hw[b])
            mask[b, :h, :w][np.isin(maps[partner][:h, :w], chosen)] = MASK_ONE
        return mask
