"""The suites for a device: which cases, and what stands beside their times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from mixwell.bench.base import Case, Way
from mixwell.bench.gpu.clock import Clock, clock_for
from mixwell.bench.gpu.device import copy_ms
from mixwell.bench.gpu.measure import ON_DEVICE, OnDevice, measure
from mixwell.bench.gpu.others import dali_ways, kornia_ways, torchvision_ways
from mixwell.bench.gpu.ours import HALF, Parts, mixwell_ways, parts
from mixwell.bench.images import photos
from mixwell.bench.machine import version
from mixwell.bench.measure import FAILURES, Options, Say, words_of
from mixwell.bench.result import CaseResult, Row

BOTH = ("mixup", "cutmix")
OPPONENTS: dict[str, Callable[[Case, torch.device], list[Way]]] = {
    "mixwell": mixwell_ways,
    "torchvision": torchvision_ways,
    "kornia": kornia_ways,
    "dali": dali_ways,
}
DALI = ("nvidia-dali-cuda130", "nvidia-dali-cuda120", "nvidia-dali-cuda110")


@dataclass(frozen=True)
class Shape:
    """What a suite's batch is.

    Attributes:
        batch: images.
        given: px of the inputs' sides.
        side: px of the outputs' sides.
        crop: see `Case`.
        randaug: see `Case`.
        mixers: see `Case`.
        cutout: see `Case`.
        resident: see `Case`.
        classes: of the labels while the clock runs.
    """

    batch: int
    given: int
    side: int
    crop: Literal["resized", "padded", "cut"]
    randaug: bool = False
    mixers: tuple[str, ...] = BOTH
    cutout: int = 0
    resident: int = 1
    classes: int = 1000


SHAPES = {
    "gpu-randaug": Shape(256, 256, 224, "resized", True),
    "gpu-crop": Shape(256, 256, 224, "cut"),
    "gpu-cifar": Shape(
        1024, 32, 32, "padded", mixers=("cutmix",), cutout=16, resident=48, classes=10
    ),
}
QUICK = 8
"""A quick run's batches are so many times smaller."""


def case_of(name: str, folder: Path | None, quick: bool) -> Case:
    """The suite's case, on photographs cut to its size."""
    shape = SHAPES[name]
    batch = max(4, shape.batch // QUICK) if quick else shape.batch
    return Case(
        suite=name,
        name=name,
        kind="batch",
        batch=batch,
        side=shape.side,
        crop=shape.crop,
        randaug=shape.randaug,
        mixers=shape.mixers,
        images=photos(batch, folder, (shape.given, shape.given)),
        classes=shape.classes,
        cutout=shape.cutout,
        resident=shape.resident,
    )


def package_of(name: str) -> str:
    """The distribution of an opponent; DALI's carries CUDA's version in its name."""
    return next((p for p in DALI if version(p)), DALI[0]) if name == "dali" else name


def run(
    name: str,
    names: tuple[str, ...],
    folder: Path | None,
    device: torch.device,
    options: Options,
    say: Say,
) -> CaseResult:
    """One suite on one device.

    Args:
        name: of the suite.
        names: of the opponents.
        folder: photographs; None for scikit-learn's.
        device: where the batch lies.
        options: rounds, and whether it is quick.
        say: told what is being done.
    """
    say(f"{name}: preparing images")
    case, clock = case_of(name, folder, options.quick), clock_for(device)
    opponents = [OnDevice(n, package_of(n), device, OPPONENTS[n]) for n in names]
    rows = measure(case, opponents, device, clock, options, say)
    facts: dict[str, Any] = {"clock": clock.name}
    if device.type == "cpu":
        facts["rehearsal"] = "on the CPU, not a figure of a GPU"
    _add_parts(case, rows, device, clock, 5 if options.quick else 200, say)
    if name == "gpu-crop":
        facts |= _add_floor(case, rows, device, clock)
    return CaseResult(name, name, "ms/batch", case.batch, rows, facts)


def _add_parts(
    case: Case, rows: list[Row], device: torch.device, clock: Clock, tries: int, say: Say
) -> None:
    """Sampling, upload and kernels apart, for mixwell's own rows."""
    for row in rows:
        if row.opponent != "mixwell" or not row.times or row.label not in ("", HALF):
            continue
        say(f"{case.name}: parts of mixwell {row.label}".rstrip())
        try:
            found: Parts = parts(case, device, clock, tries, half=row.label == HALF)
        except FAILURES as error:
            say(f"{case.name}: the parts failed: {words_of(error)}")
            continue
        row.extra |= found.as_extra()


def least_bytes(case: Case, size: int) -> int:
    """Bytes that must move: what the crop shows read once, and the output written once.

    Args:
        case: gives the batch.
        size: bytes of one of the output's numbers.
    """
    return case.batch * 3 * case.side**2 * (1 + size)


def _add_floor(case: Case, rows: list[Row], device: torch.device, clock: Clock) -> dict[str, Any]:
    """The time of a plain copy of so many bytes, and what share of a row's time that is."""
    facts: dict[str, Any] = {}
    floors = {}
    for size, name in ((4, "floor_ms"), (2, "floor_half_ms")):
        floors[size] = facts[name] = copy_ms(least_bytes(case, size), device, clock)
    facts["copy_gb_s"] = least_bytes(case, 4) / floors[4] / 1e6
    for row in rows:
        floor = floors[2 if row.label == HALF else 4]
        times = row.at(ON_DEVICE, True)
        if times is not None:
            row.extra["share_of_floor"] = floor / times.median
        spent = row.extra.get("graph_us") or row.extra.get("kernels_us")
        if spent is not None:
            row.extra["share_of_floor_kernels"] = 1e3 * floor / spent
    return facts
