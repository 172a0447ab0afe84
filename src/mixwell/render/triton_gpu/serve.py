"""What the GPU renderer takes, and the way in."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mixwell.plan.plan import Plan
from mixwell.plan.steps import Edit
from mixwell.render import limits
from mixwell.render.images import Batch
from mixwell.render.reference.finish import Output

MOST_PIXELS = 256 * 65535
"""Of an image: a launch has room for 65535 programs beside one another."""


def unserved(batch: Batch, plan: Plan, output: Output) -> str:
    """Why this call is not for the GPU renderer, or ""."""
    reason = limits.unserved(batch, plan, output, ("uint8",))
    if reason:
        return reason
    largest = max(int(hw.astype(np.int64).prod(axis=-1).max()) for hw in _canvases(plan))
    if largest > MOST_PIXELS:
        return f"it takes up to {MOST_PIXELS} pixels an image, got {largest}"
    return ""


def _canvases(plan: Plan) -> list[np.ndarray]:
    """int32 [.., 2]: every size that rows have."""
    steps = [s.size_hw if isinstance(s, Edit) else s.canvas_hw for s in plan.steps]
    return [plan.in_hw, *steps]


def run(
    batch: Batch, plan: Plan, output: Output, out: Tensor | None = None
) -> Tensor | list[Tensor]:
    """All of a plan, as `reference.run.run`; compiles kernels when they are first needed."""
    from mixwell.render.triton_gpu.run import run

    return run(batch, plan, output, out)
