"""A plan through the kernels."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from mixwell.plan.plan import Plan
from mixwell.render.images import Batch
from mixwell.render.reference.finish import Output
from mixwell.render.triton_gpu.launch import launch
from mixwell.render.triton_gpu.lower import lower
from mixwell.render.triton_gpu.upload import bind, image_places


def run(
    batch: Batch, plan: Plan, output: Output, out: Tensor | None = None
) -> Tensor | list[Tensor]:
    """All of a plan, as `reference.run.run`; into `out`, if it is given and not float64.

    Nothing is waited for: records are copied and kernels launched on the current stream of the
    images' device.
    """
    channels = batch.images[0].shape[0]
    device = batch.device
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        if out is not None and out.dtype != torch.float64:
            made: Tensor | list[Tensor] = out
        else:
            last = output.memory_format == torch.channels_last
            made = _empty(plan.out_hw, channels, output.dtype, device, last=last)
        bound = bind(
            lower(plan, channels, floating=output.floating),
            image_places(batch.images, batch.picked.rows if batch.picked else None),
            image_places(made),
            _statistics(output, channels),
            device,
        )
        launch(bound, channels, output.dtype, normalized=output.mean is not None)
    if output.dtype == torch.float64:
        return made.double() if isinstance(made, Tensor) else [m.double() for m in made]
    return made


def _empty(
    size_hw: np.ndarray, channels: int, dtype: torch.dtype, device: torch.device, *, last: bool
) -> Tensor | list[Tensor]:
    """Outputs to be written: one tensor if sizes agree."""
    dtype = torch.float32 if dtype == torch.float64 else dtype
    form = torch.channels_last if last else torch.contiguous_format
    sizes = {(int(h), int(w)) for h, w in np.unique(size_hw, axis=0)}
    if len(sizes) == 1:
        shape = (len(size_hw), channels, *sizes.pop())
        return torch.empty(shape, dtype=dtype, device=device, memory_format=form)
    return [
        torch.empty((1, channels, h, w), dtype=dtype, device=device, memory_format=form)[0]
        for h, w in size_hw.tolist()
    ]


def _statistics(output: Output, channels: int) -> np.ndarray:
    """float32 [16]: scales, shifts, means and standard deviations, four of each."""
    made = np.zeros((4, 4), np.float32)
    if output.mean is not None and output.std is not None:
        top = 255.0
        values = 1.0 / (top * output.std), -output.mean / output.std, output.mean, output.std
        for array, value in zip(made, values, strict=True):
            array[:channels] = value
    return made.ravel()
