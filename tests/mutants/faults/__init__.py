"""The planted faults: one line each, with the test files that should catch it."""

from __future__ import annotations

from tests.mutants.faults import (
    anchors,
    detection,
    detection_data,
    detectors,
    finetune,
    gpu_runs,
    kaggle,
    loader,
    mixers,
    numba,
    plan,
    policy,
    profiles,
    recipes,
    render,
    scenes,
    segmentation,
    stylize,
    targets,
    triton,
)
from tests.mutants.faults.fault import Fault

__all__ = ["FAULTS", "Fault"]

FAULTS: tuple[Fault, ...] = (
    *plan.FAULTS,
    *policy.FAULTS,
    *mixers.FAULTS,
    *profiles.FAULTS,
    *render.FAULTS,
    *numba.FAULTS,
    *triton.FAULTS,
    *loader.FAULTS,
    *targets.FAULTS,
    *scenes.FAULTS,
    *anchors.FAULTS,
    *detectors.FAULTS,
    *recipes.FAULTS,
    *stylize.FAULTS,
    *kaggle.FAULTS,
    *gpu_runs.FAULTS,
    *detection_data.FAULTS,
    *detection.FAULTS,
    *finetune.FAULTS,
    *segmentation.FAULTS,
)
