"""Two clocks: CUDA events for a GPU, the processor's own for everything else."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

Work = Callable[[], object]


class Clock(Protocol):
    """Times work that a device does."""

    @property
    def name(self) -> str:
        """What it is called beside the figures."""
        ...

    def ms(self, work: Work) -> float:
        """Milliseconds from the work's first step to the end of its last, on the device."""
        ...


@dataclass(frozen=True)
class WallClock:
    """`perf_counter`: what runs on the processor is done when it returns."""

    name: str = "perf_counter"

    def ms(self, work: Work) -> float:
        """Milliseconds of the work."""
        start = time.perf_counter()
        work()
        return 1e3 * (time.perf_counter() - start)


@dataclass(frozen=True)
class EventClock:
    """CUDA events on the current stream, around work that begins on an idle device."""

    device: torch.device
    name: str = "CUDA events"

    def ms(self, work: Work) -> float:
        """Milliseconds between the events; pauses in which the device waits for the host count."""
        with torch.cuda.device(self.device):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize()
            start.record()
            work()
            end.record()
            end.synchronize()
            return start.elapsed_time(end)


def clock_for(device: torch.device) -> Clock:
    """The clock of a device."""
    return EventClock(device) if device.type == "cuda" else WallClock()
