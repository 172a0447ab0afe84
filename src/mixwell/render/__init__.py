"""Renderers: they do to pixels what a plan says, and know nothing of policies."""

from __future__ import annotations

from typing import Any

import torch

from mixwell.plan.plan import Plan
from mixwell.render.images import batch_of, result_of
from mixwell.render.reference.finish import output_for
from mixwell.render.reference.run import run
from mixwell.render.select import BackendInfo, backends, choose

__all__ = ["BackendInfo", "backends", "render"]


def render(
    images: Any,
    plan: Plan,
    *,
    backend: str = "auto",
    mean: Any = None,
    std: Any = None,
    dtype: Any = None,
    memory_format: torch.memory_format | None = None,
    stack: bool | None = None,
    pad_to: tuple[int, int] | None = None,
) -> Any:
    """Do a plan to images. Plans are done as they are, not fused.

    Inputs are never changed, and the result shares no memory with them: change it in place freely.
    Outputs depend on their own rows of the plan alone, so a batch may be split in any way. A plan
    without rows knows no sizes: of an empty stack [0, C, H, W] the result keeps H and W.

    Args:
        images: N images of the plan's sizes: torch [N, C, H, W], NumPy [N, H, W, C], or a list of
            tensors [C, H, W], of arrays [H, W, C] or [H, W], or of PIL images (L, RGB and RGBA
            stay, I;16 is uint16, I and F are refused, other modes become RGB). uint8, uint16, or
            floats in 0 .. 1.
        plan: what to do; see `mixwell.plan`.
        backend: a name from `backends()`, or "auto".
        mean: [C], 0 .. 1: the output is (x / 255 - mean) / std, floating. Goes with `std`.
        std: [C], 0 .. 1.
        dtype: of the output; default float32 with mean and std, else the input's. Without mean and
            std, floats are 0 .. 1.
        memory_format: of the output, such as `torch.channels_last`; torch images only.
        stack: True: one tensor, or an error; False: a list; None: one tensor if the images came as
            one and the outputs agree in size.
        pad_to: (H, W): one tensor [B, C, H, W] with zeros at the bottom and at the right, and the
            sizes int64 [B, 2] (height, width) of what is inside.

    Returns:
        B images: torch [B, C, H, W] or a list of [C, H, W]; for NumPy images NumPy arrays with the
        channels last. With `pad_to`, a pair of images and sizes.

    Raises:
        RenderError: images and plan, or images and options, do not fit each other; a fill lies
            outside the images' range.
        BackendError: the backend is unknown or cannot serve here.
    """
    batch = batch_of(images, plan.in_hw)
    choose(backend, batch.device.type)
    output = output_for(batch, mean, std, dtype, memory_format)
    return result_of(run(batch, plan, output), batch, stack, pad_to)
