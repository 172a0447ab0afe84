"""The Triton backend's kernels alone: records on the device, launched again, perhaps as a graph.

This looks inside the backend, which the public API has no need to show; `tests/bench/test_gpu.py`
says when the two have grown apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mixwell.plan.plan import Plan
from mixwell.render.images import Picked, batch_of
from mixwell.render.reference.finish import output_for


@dataclass(frozen=True)
class Kernels:
    """A plan that is ready on the device.

    Attributes:
        out: where the pixels go.
        launch: starts the kernels and returns.
        count: how many there are.
    """

    out: Tensor
    launch: Callable[[], None]
    count: int


def kernels_of(
    images: Tensor | Picked,
    plan: Plan,
    *,
    mean: Any,
    std: Any,
    dtype: torch.dtype | None,
    memory_format: torch.memory_format | None,
) -> Kernels:
    """Lower a plan, copy its records and give memory for its output; see `mixwell.render`."""
    from mixwell.render.triton_gpu import run as home
    from mixwell.render.triton_gpu.launch import launch
    from mixwell.render.triton_gpu.lower import lower
    from mixwell.render.triton_gpu.upload import bind, image_places

    batch = batch_of(images, plan.in_hw)
    output = output_for(batch, mean, std, dtype, memory_format)
    channels = images.shape[1]
    last = output.memory_format == torch.channels_last
    out = home._empty(plan.out_hw, channels, output.dtype, batch.device, last=last)
    assert isinstance(out, Tensor)
    lowered = lower(plan, channels, floating=output.floating)
    bound = bind(
        lowered,
        image_places(batch.images, batch.picked.rows if batch.picked else None),
        image_places(out),
        home._statistics(output, channels),
        batch.device,
    )

    def start() -> None:
        launch(bound, channels, output.dtype, normalized=output.mean is not None)

    return Kernels(out, start, len(lowered.launches))


def replayed(kernels: Kernels, expected: Tensor) -> Callable[[], None] | None:
    """The kernels as one CUDA graph; None where there are no graphs, or where its second replay
    gives other pixels than expected (histograms that nobody sets to zero again).

    Args:
        kernels: what to record.
        expected: what the plan's rendering gives.
    """
    if expected.device.type != "cuda":
        return None
    kernels.launch()  # compiled before it is recorded
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kernels.launch()
    for _ in range(2):
        kernels.out.zero_()
        graph.replay()
    torch.cuda.synchronize()
    return graph.replay if torch.equal(kernels.out, expected) else None
