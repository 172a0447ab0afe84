"""How often a plan's images go over memory: known before anything is rendered."""

from __future__ import annotations

from dataclasses import dataclass

from mixwell.plan.plan import Plan
from mixwell.render.triton_gpu.lower import lower


@dataclass(frozen=True)
class Passes:
    """What a plan costs.

    Attributes:
        launches: kernels that are started.
        reads: images read, whole or in part; an image read by two outputs counts twice.
        writes: images written, outputs included.
    """

    launches: int
    reads: int
    writes: int


def passes(plan: Plan, *, channels: int = 3, floating: bool = True) -> Passes:
    """Launches and passes over memory of a plan.

    A batch of B flipped, cropped, mixed in pairs and normalised takes one launch, 2 B reads and B
    writes. Tables and weights, a few thousand bytes for each image, do not count.

    Args:
        plan: what to do, with at least one row and one output.
        channels: 1, 3 or 4.
        floating: whether outputs are.
    """
    lowered = lower(plan, channels, floating=floating)
    outputs, todo = lowered.arrays["outputs"], lowered.arrays["todo"]
    reads = writes = 0
    for step in lowered.launches:
        part = slice(step.first, step.first + step.count)
        if step.kernel == "finish":
            some = outputs[todo[part, 0]]
            reads += int((some[:, 7] - some[:, 6]).sum())
            writes += step.count
        elif step.kernel == "passes":
            reads += step.count
            writes += step.writes
        elif step.kernel == "blur":
            reads += step.count
            writes += step.count
    return Passes(len(lowered.launches), reads, writes)
