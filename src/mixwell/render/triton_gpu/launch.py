"""Launches the kernels of a bound plan, in order, on the current stream."""

from __future__ import annotations

import threading
from typing import Any

import torch
import triton
from torch import Tensor

from mixwell.render.triton_gpu import records
from mixwell.render.triton_gpu.builder import Launch
from mixwell.render.triton_gpu.kernels.finish import (
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    UINT8,
    WORDS,
    finish,
)
from mixwell.render.triton_gpu.kernels.passes import blur_across, run_passes
from mixwell.render.triton_gpu.kernels.taps import make_tables, make_taps
from mixwell.render.triton_gpu.upload import Bound

FORMS = {
    torch.uint8: UINT8,
    torch.float32: FLOAT32,
    torch.float16: FLOAT16,
    torch.bfloat16: BFLOAT16,
    torch.float64: FLOAT32,  # widened afterwards
}
"""The form in which kernels write each dtype."""

BLOCKS = (512, 512, 512, 256)
"""Pixels of a program for each reach: as many as registers hold."""
_TAPS_BLOCK = 128
_lock = threading.Lock()  # two threads would compile the same kernel twice
_EXACT = {"enable_fp_fusion": False}
"""A product and a sum round twice, on every device."""


def launch(bound: Bound, channels: int, dtype: torch.dtype, *, normalized: bool) -> None:
    """All kernels of a plan; returns at once.

    Args:
        bound: the plan, see `upload.bind`.
        channels: 1, 3 or 4.
        dtype: of the outputs.
        normalized: whether with mean and std.
    """
    with _lock:
        for step in bound.lowered.launches:
            _one(step, bound, channels, dtype, normalized)


def _one(step: Launch, bound: Bound, channels: int, dtype: torch.dtype, normalized: bool) -> None:
    arrays, block = bound.arrays, BLOCKS[step.reach]
    shared = arrays["ops"], bound.taps, arrays["weights"], bound.tables, bound.numbers
    if step.kernel == "taps":
        axes = arrays["axes"], bound.taps
        _start(make_taps, step, _TAPS_BLOCK, *axes, BLOCK=_TAPS_BLOCK)
    elif step.kernel == "tables":
        runs = _from(bound, "runs", step, records.RUN)
        given = runs, arrays["steps"], bound.counts, bound.tables
        _start(make_tables, step, 1, *given, CHANNELS=channels, num_warps=16)
    elif step.kernel == "blur":
        blurs = _from(bound, "blurs", step, records.BLUR)
        _start(blur_across, step, block, blurs, arrays["weights"], CHANNELS=channels, BLOCK=block)
    elif step.kernel == "passes":
        given = _from(bound, "passes", step, records.PASS), *shared, bound.counts
        fixed = {"CHANNELS": channels, "REACH": step.reach, "BLOCK": block}
        _start(run_passes, step, block, *given, **fixed)
    else:
        names = "outputs", "sources", "erasings", "statistics", "passes"
        given = _from(bound, "todo", step, records.TODO), *(arrays[name] for name in names), *shared
        form = WORDS if step.words else FORMS[dtype]
        fixed = {"CHANNELS": channels, "REACH": step.reach, "FORM": form, "BLOCK": block}
        fixed |= {"NORMALIZED": normalized, "LOOSE": step.loose}
        _start(finish, step, block, *given, **fixed)


def _start(kernel: Any, step: Launch, block: int, *given: Tensor, **fixed: Any) -> None:
    """A kernel for all records of a launch, `block` elements of each in a program."""
    kernel[(step.count, triton.cdiv(step.area, block))](*given, **fixed, **_EXACT)


def _from(bound: Bound, name: str, step: Launch, size: int) -> Tensor:
    """Records from a launch's first on."""
    return bound.arrays[name][step.first * size :]
