"""What the fast renderers leave to the reference, and what the reference refuses."""

from __future__ import annotations

import numpy as np
import torch

from mixwell.plan.plan import Plan
from mixwell.plan.steps import Code, EraseUnits, EraseValue, Mix, MixMode
from mixwell.render.images import TOP, Batch
from mixwell.render.reference.finish import Output
from mixwell.render.reference.rows import in_parts_of_one

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


def unserved(batch: Batch, plan: Plan, output: Output, kinds: tuple[str, ...]) -> str:
    """Why this call is not for a fast renderer, or "".

    Args:
        batch: the images.
        plan: what to do.
        output: where it goes.
        kinds: of the images that it takes.
    """
    if batch.kind not in kinds:
        return f"it takes {' and '.join(kinds)} images, got {batch.dtype}"
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
    if not ((some >= 0) & (some <= top)).all():
        return True
    return top > 1 and bool(in_parts_of_one(some).any())
