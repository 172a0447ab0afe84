"""mixwell on a device: the Triton backend, and the reference as what it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import mixwell as mw
from mixwell.bench.base import MEAN, STD, Batch, Case, Way
from mixwell.bench.gpu.clock import Clock
from mixwell.bench.gpu.given import Given, device_way
from mixwell.bench.gpu.kernels import kernels_of, replayed
from mixwell.bench.opponents.mixwell import policy

TRIES = 200
"""Of each part; the median counts."""

HALF = "float16, channels last"


def main_backend(device: torch.device) -> str:
    """Triton where it can serve the device, else what "auto" takes there."""
    serves = {info.name for info in mw.backends() if info.serves(device.type)}
    return "triton" if device.type == "cuda" or "triton" in serves else "auto"


def mixwell_ways(case: Case, device: torch.device) -> list[Way]:
    """`Augment` on the device: draws for each image, mixing too."""
    words = "mixwell.Augment, backend {!r}, draws for each image, mixing too"
    main = main_backend(device)
    return [
        device_way(_maker(case, device, main), words.format(main), mixes=True),
        device_way(
            _maker(case, device, main, half=True), words.format(main), label=HALF, mixes=True
        ),
        device_way(
            _maker(case, device, "reference"),
            words.format("reference"),
            label="reference backend",
            mixes=True,
        ),
    ]


def augment_for(case: Case, mixing: bool, backend: str, *, half: bool = False) -> mw.Augment:
    """The case's policy on batches."""
    return mw.Augment(
        policy(case, mixing),
        num_classes=case.classes,
        mean=MEAN,
        std=STD,
        dtype=torch.float16 if half else None,
        memory_format=torch.channels_last if half else None,
        seed=0,
        backend=backend,
    )


def _maker(
    case: Case, device: torch.device, backend: str, *, half: bool = False
) -> Callable[[bool], Callable[[], Batch]]:
    def made(mixing: bool) -> Callable[[], Batch]:
        given, augment = Given(case, device), augment_for(case, mixing, backend, half=half)
        return lambda: Batch(*augment(*given.pick()))

    return made


@dataclass(frozen=True)
class Parts:
    """What a batch is made of, apart. Medians, microseconds.

    Attributes:
        sampling: the plan, on the processor.
        upload: lowering the plan and copying its records; nan where there is nothing to copy.
        kernels: the device's time for the pixels, without the host.
        replayed: whether the kernels were a CUDA graph.
        count: launches of kernels in the batch, 0 where unknown.
    """

    sampling: float
    upload: float
    kernels: float
    replayed: bool
    count: int

    def as_extra(self) -> dict[str, float]:
        """Columns of a table."""
        found = {"sampling_us": self.sampling, "upload_us": self.upload}
        found["graph_us" if self.replayed else "kernels_us"] = self.kernels
        found["launches"] = float(self.count)
        return {name: value for name, value in found.items() if value == value and value}


def parts(
    case: Case, device: torch.device, clock: Clock, tries: int = TRIES, *, half: bool = False
) -> Parts:
    """Time sampling, upload and kernels of mixwell's own way apart.

    With the Triton backend the kernels are launched again and again on records that lie on the
    device, as one CUDA graph where that gives the same pixels; with others `render` is timed.

    Args:
        case: what to do, with mixing.
        device: where.
        clock: of the device.
        tries: how often each is timed.
        half: float16 and channels last.
    """
    augment = augment_for(case, bool(case.mixers), main_backend(device), half=half)
    images, labels = Given(case, device).pick()
    sampling = median_us(lambda: augment.prepare(images, labels), tries)
    plan = augment.prepare(images, labels).plan
    options: dict[str, Any] = {
        "mean": MEAN,
        "std": STD,
        "dtype": augment.dtype,
        "memory_format": augment.memory_format,
    }
    if augment.backend != "triton":
        work = lambda: mw.render(images, plan, backend=augment.backend, **options)  # noqa: E731
        return Parts(sampling, float("nan"), clock_us(work, clock, tries), False, 0)
    upload = median_us(lambda: kernels_of(images, plan, **options), tries)
    bound = kernels_of(images, plan, **options)
    graph = replayed(bound, mw.render(images, plan, backend="triton", **options))
    spent = clock_us(graph or bound.launch, clock, tries)
    return Parts(sampling, upload, spent, graph is not None, bound.count)


def median_us(work: Callable[[], object], tries: int) -> float:
    """Microseconds of the processor."""
    seen = []
    for _ in range(tries + 1):
        start = time.perf_counter()
        work()
        seen.append(time.perf_counter() - start)
    return 1e6 * float(np.median(seen[1:]))


def clock_us(work: Callable[[], object], clock: Clock, tries: int) -> float:
    """Microseconds of the device; the first try is left out."""
    return 1e3 * float(np.median([clock.ms(work) for _ in range(tries + 1)][1:]))
