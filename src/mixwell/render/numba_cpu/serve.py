"""What the fast renderer takes, and the way in."""

from __future__ import annotations

import threading
from importlib import import_module
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from mixwell.plan.plan import Plan
from mixwell.plan.steps import Code, EraseUnits, EraseValue, Mix, MixMode
from mixwell.render.images import TOP, Batch
from mixwell.render.reference.finish import Output

PROFILE_CODES = (*tuple(c for c in Code if c.name.startswith(("PIL_", "TV_"))), Code.SOLARIZE_ADD)


def _table(*codes: Code) -> np.ndarray:
    """bool [256]: which codes are among these."""
    made = np.zeros(256, bool)
    made[list(codes)] = True
    return made


_OF_PROFILES = _table(*PROFILE_CODES)
_PAINTS = _table(Code.WARP, Code.CLIP)
_KEEPS_LOOSE = _table(Code.NOTHING, Code.ERASE)
MOST_SOURCES = 100
"""Sums of more sources do not fit in 32 bits."""
_RENDERERS = {
    "uint8": "mixwell.render.numba_cpu.run",
    "float": "mixwell.render.numba_cpu.floats.run",
}
"""For each kind of images the module that renders it; importing one compiles its kernels."""
_lock = threading.Lock()
_loaded: dict[str, ModuleType] = {}


def unserved(batch: Batch, plan: Plan, output: Output) -> str:
    """Why this call is not for the fast renderer, or ""."""
    if batch.kind not in _RENDERERS:
        return f"it takes uint8 and float images, got {batch.dtype}"
    if len(batch.images) and batch.images[0].shape[0] not in (1, 3, 4):
        return f"it takes 1, 3 or 4 channels, got {batch.images[0].shape[0]}"
    if output.dtype == torch.uint16:
        return "it does not write uint16"
    loose = np.zeros(plan.rows, bool)
    for i, step in enumerate(plan.steps):
        if isinstance(step, Mix):
            if step.source.shape[1] > MOST_SOURCES:
                return f"it mixes up to {MOST_SOURCES} sources, got {step.source.shape[1]}"
            loose = (loose[step.source] & (step.mode != MixMode.SKIP)).any(axis=1)
            if loose.any() and any(isinstance(later, Mix) for later in plan.steps[i + 1 :]):
                return "an erasing in normalised units is mixed twice"
            continue
        if _OF_PROFILES[step.code].any():
            return "the plan holds codes of a profile, which the reference renders"
        erases = (step.code == Code.ERASE) & (step.param[:, :, 5] == EraseUnits.NORMALIZED)
        if not (loose.any() or erases.any()):
            continue
        for slot in range(step.slots):
            if (loose & ~_KEEPS_LOOSE[step.code[:, slot]]).any():
                return "an op follows an erasing in normalised units"
            loose = loose | erases[:, slot]
    return ""


def idle_or_wrong(batch: Batch, plan: Plan, output: Output) -> bool:
    """Whether there is nothing to render, or something the reference refuses and says why."""
    if not len(plan) or not len(batch.images):
        return True
    channels = batch.images[0].shape[0]
    top = TOP[batch.kind]
    for step in plan.steps:
        if isinstance(step, Mix):
            if _outside(step.fill, channels, top):
                return True
            continue
        erases = step.code == Code.ERASE
        normalized = erases & (step.param[:, :, 5] == EraseUnits.NORMALIZED)
        if normalized.any() and (output.mean is None or not output.floating):
            return True
        painted = erases & ~normalized & (step.param[:, :, 4] == EraseValue.CONSTANT)
        painted |= _PAINTS[step.code]
        if _outside(step.fill[painted], channels, top):
            return True
    return False


def _outside(fill: np.ndarray, channels: int, top: float) -> bool:
    some = fill[:, :channels]
    return not bool(((some >= 0) & (some <= top)).all())


def run(
    batch: Batch, plan: Plan, output: Output, out: Tensor | None = None
) -> Tensor | list[Tensor]:
    """All of a plan, as `reference.run.run`; compiles the kernels at the first call.

    Args:
        batch: the images.
        plan: what to do.
        output: where it goes.
        out: a tensor to write into; what is returned is `out` itself if it was.
    """
    if batch.kind not in _loaded:
        from mixwell.render.numba_cpu.compile import told

        with _lock, told():
            _loaded[batch.kind] = import_module(_RENDERERS[batch.kind])
    return _loaded[batch.kind].run(batch, plan, output, out)
