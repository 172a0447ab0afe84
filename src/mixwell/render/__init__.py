"""Renderers: they do to pixels what a plan says, and know nothing of policies."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch

from mixwell._errors import BackendError
from mixwell.plan.plan import Plan
from mixwell.render.images import Batch, batch_of, check_out, result_of, stacked
from mixwell.render.limits import idle_or_wrong
from mixwell.render.reference import run as reference
from mixwell.render.reference.finish import Output, output_for
from mixwell.render.select import BackendInfo, backends, choose, say_once

__all__ = ["BackendInfo", "backends", "render"]

_FAST = {"numba": "mixwell.render.numba_cpu.serve", "triton": "mixwell.render.triton_gpu.serve"}


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
    out: torch.Tensor | None = None,
) -> Any:
    """Do a plan to images. Plans are done as they are, not fused.

    Inputs are never changed, and the result shares no memory with them: change it in place freely.
    Outputs depend on their own rows of the plan alone, so a batch may be split in any way. A plan
    without rows knows no sizes: of an empty stack [0, C, H, W] the result keeps H and W.

    Args:
        images: N images of the plan's sizes: torch [N, C, H, W], NumPy [N, H, W, C], or a list of
            tensors [C, H, W], of arrays [H, W, C] or [H, W], or of PIL images (L, RGB and RGBA
            stay, I;16 is uint16, I and F are refused, other modes become RGB). uint8, uint16, or
            floats in 0 .. 1. Or `images.Picked`, rows of a larger stack.
        plan: what to do; see `mixwell.plan`.
        backend: a name from `backends()`, or "auto": the fastest that serves. Where that one does
            not take this plan or these images, the reference renders, and the log says so once.
        mean: [C], 0 .. 1: the output is (x / 255 - mean) / std, floating. Goes with `std`.
        std: [C], 0 .. 1.
        dtype: of the output; default float32 with mean and std, else the input's. Without mean and
            std, floats are 0 .. 1.
        memory_format: of the output, such as `torch.channels_last`; torch images only.
        stack: True: one tensor, or an error; False: a list; None: one tensor if the images came as
            one and the outputs agree in size.
        pad_to: (H, W): one tensor [B, C, H, W] with zeros at the bottom and at the right, and the
            sizes int64 [B, 2] (height, width) of what is inside.
        out: a tensor [B, C, H, W] in any memory layout to write into, such as a part of a larger
            batch; its dtype is the output's. Torch images of one output size only.

    Returns:
        B images: torch [B, C, H, W] or a list of [C, H, W]; for NumPy images NumPy arrays with the
        channels last. With `pad_to`, a pair of images and sizes.

    Raises:
        RenderError: images and plan, or images and options, do not fit each other; a fill lies
            outside the images' range.
        BackendError: the backend is unknown or cannot serve here.
    """
    batch = batch_of(images, plan.in_hw)
    chosen = choose(backend, batch.device.type)
    if out is not None:
        dtype = check_out(out, batch, plan.out_hw, dtype, stack, pad_to)
    output = output_for(batch, mean, std, dtype, memory_format)
    if chosen.name != "triton":
        batch = batch.gathered()
    if chosen.name == "reference":
        rows = reference.run(batch, plan, output)
    else:
        rows = _fast(chosen.name, batch, plan, output, out, asked=backend != "auto")
    if out is not None:
        return out if rows is out else out.copy_(stacked(rows, out))
    return result_of(rows, batch, stack, pad_to)


def _fast(
    name: str, batch: Batch, plan: Plan, output: Output, out: torch.Tensor | None, *, asked: bool
) -> Any:
    """By a fast renderer; by the reference if that has to refuse the plan, or if the fast one was
    not asked for and cannot."""
    serve = import_module(_FAST[name])
    if idle_or_wrong(batch, plan, output):
        return reference.run(batch.gathered(), plan, output)
    reason = serve.unserved(batch, plan, output)
    if not reason and name == "triton" and not asked:
        from mixwell.render.triton_gpu.proof import doubt

        reason = doubt(batch.device)
    if not reason:
        return serve.run(batch, plan, output, out)
    if asked:
        raise BackendError(
            f'backend {name!r} cannot render this: {reason}. Use backend="auto" or "reference".'
        )
    say_once(f"rendered by the reference, not by {name}, which is faster: {reason}.")
    return reference.run(batch.gathered(), plan, output)
