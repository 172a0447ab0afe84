"""Mixing hidden features instead of pixels: Manifold Mixup."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mixwell._errors import TargetError
from mixwell.plan.plan import Plan
from mixwell.plan.steps import WEIGHT_ONE, Code, Edit, Mix, MixMode


def mix_features(hidden: Tensor, plan: Plan) -> Tensor:
    """Mix hidden features as a plan mixes images (Verma et al. 2018, arXiv 1806.05236).

    Two lines in a model's `forward`, for a plan of `Policy(MixUp(alpha=2.0))`:

        if self.training and layer == chosen:
            x = mix_features(x, plan)

    Args:
        hidden: float [N, ...], a row for each input of the plan.
        plan: mixes whole images by one weight for each source; labels come from the same plan.

    Returns:
        [B, ...] in the dtype of `hidden`, which gradients pass.

    Raises:
        TargetError: as many rows as the plan has not; or the plan edits images, or shows different
            sources in different places, which features of unknown layout cannot follow.
    """
    if len(hidden) != plan.rows:
        raise TargetError(
            f"mix_features needs a row of features for each of the plan's {plan.rows} inputs, got "
            f"{len(hidden)}."
        )
    for i, step in enumerate(plan.steps):
        bad = _busy(step) if isinstance(step, Edit) else _uneven(step)
        if bad.any():
            what = "edits images" if isinstance(step, Edit) else "is no sum of whole images"
            raise TargetError(
                f"mix_features follows plans that mix whole images, but step {i} {what} (row "
                f"{int(np.flatnonzero(bad)[0])}). Sample a policy of MixUp alone for the features."
            )
    rows, shares = plan.sources()
    weights = torch.from_numpy(shares).to(hidden.device, hidden.dtype)
    weights = weights.view(*shares.shape, *[1] * (hidden.ndim - 1))
    source = torch.from_numpy(rows).to(hidden.device)
    out = hidden.new_zeros((len(plan), *hidden.shape[1:]))
    for s in range(rows.shape[1]):
        out = out + weights[:, s] * hidden[source[:, s]]
    return out


def _busy(edit: Edit) -> np.ndarray:
    """bool [N]: rows in which anything happens."""
    return (edit.code != Code.NOTHING).any(axis=1)


def _uneven(mix: Mix) -> np.ndarray:
    """bool [B]: outputs that are not one convex sum of whole images."""
    used = mix.mode != MixMode.SKIP
    canvas = np.concatenate([np.zeros_like(mix.canvas_hw), mix.canvas_hw[:, ::-1]], axis=1)
    whole = (mix.rect_px == canvas[:, None]).all(axis=2) & (mix.offset_px == 0).all(axis=2)
    added = (mix.mode == MixMode.ADD) & whole
    return (used & ~added).any(axis=1) | (mix.units().sum(axis=1) != WEIGHT_ONE)
