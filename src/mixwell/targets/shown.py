"""How much of each output shows anything at all, for labels with a background class.

`Plan.sources` divides by what is shown, so its shares sum to 1 however little that is. Here they
do not: what is missing to 1 is the part of the canvas on which no source is drawn.
"""

from __future__ import annotations

import numpy as np

from mixwell.plan.plan import Plan
from mixwell.plan.shares import Sources
from mixwell.plan.steps import WEIGHT_ONE, Mix
from mixwell.targets.visible import moves, seen_px


def shown_sources(plan: Plan) -> Sources:
    """Like `visible_sources`, but shares are parts of the whole canvas.

    Background is what a mix's canvas leaves empty, and what is filled where pixels move behind a
    mix. What an image brings along is a part of it: its own padding, the corners of a rotation
    before the mix, erased rectangles.

    Args:
        plan: any plan.

    Returns:
        rows int64 [B, S] and shares float64 [B, S] that sum to 1 minus the background.
    """
    mixes = [i for i, step in enumerate(plan.steps) if isinstance(step, Mix)]
    if not mixes:
        return plan.sources()
    mix = plan.steps[mixes[0]]
    assert isinstance(mix, Mix)
    if len(mixes) == 1 and not any(moves(step) for step in plan.steps[mixes[0] :]):
        rows, mass = mix.source.astype(np.int64), mix.mass() / WEIGHT_ONE
    else:
        rows, mass = seen_px(plan)
    # Sums above 1, by which a mix would brighten, count as 1.
    whole = np.maximum(plan.out_hw.astype(np.int64).prod(axis=1), mass.sum(axis=1))
    return rows, mass / np.maximum(whole, 1)[:, None]
