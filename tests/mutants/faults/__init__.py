"""The planted faults: one line each, with the test files that should catch it."""

from __future__ import annotations

from tests.mutants.faults import (
    anchors,
    detection_data,
    detectors,
    loader,
    mixers,
    numba,
    plan,
    policy,
    profiles,
    recipes,
    render,
    targets,
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
    *loader.FAULTS,
    *targets.FAULTS,
    *anchors.FAULTS,
    *detectors.FAULTS,
    *recipes.FAULTS,
    *detection_data.FAULTS,
)
