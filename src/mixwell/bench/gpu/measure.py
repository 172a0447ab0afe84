"""Check, then time in turn, on a device: the CPU benchmark's rules with the device's clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

import torch

from mixwell.bench import mixers
from mixwell.bench.base import Batch, Batches, Case, Way
from mixwell.bench.check import Refused, check_mixed, check_plain
from mixwell.bench.gpu.clock import Clock
from mixwell.bench.measure import FAILURES, Entry, Options, Say, entries_of, words_of
from mixwell.bench.result import Row, Times

ON_DEVICE = 0
"""Number of threads under which times on a device are kept."""

LEAST_MS = 200.0
MOST_BATCHES = 200


@dataclass(frozen=True)
class OnDevice:
    """An opponent on a device: what `measure` takes."""

    name: str
    package: str
    device: torch.device
    make: Callable[[Case, torch.device], list[Way]]

    def ways(self, case: Case) -> list[Way]:
        """How it does a case there."""
        return self.make(case, self.device)


@dataclass
class Runner:
    """An opened way, ready for its rounds."""

    row: Row
    way: Way
    batches: Batches
    mixer: mixers.Turns | None
    clock: Clock
    count: int = 1

    def round(self) -> float:
        """Milliseconds a batch, from the first one's first step to the last one's last."""
        return self.clock.ms(self._work) / self.count

    def _work(self) -> None:
        for batch in self.batches(self.count):
            if self.mixer is not None:
                self.mixer(batch)


def measure(
    case: Case,
    opponents: list[OnDevice],
    device: torch.device,
    clock: Clock,
    options: Options,
    say: Say,
) -> list[Row]:
    """Check and time all opponents in one case.

    Checks want a class for each image; the clock runs with the case's own number of classes.
    """
    told = replace(case, classes=max(case.classes, case.batch))
    entries = list(entries_of(case, opponents))  # type: ignore[arg-type]
    twins = list(entries_of(told, opponents))  # type: ignore[arg-type]
    ready = []
    for entry, twin in zip(entries, twins, strict=True):
        say(f"{case.name}: checking {entry.row.opponent} {entry.row.label}".rstrip())
        if entry.ways and _passes(entry, twin.ways[0], told):
            ready.append(entry)
    for mixing in (False, True) if case.mixers else (False,):
        say(f"{case.name}: on {device}, {'with' if mixing else 'without'} mixing")
        _times(case, [e for e in ready if e.row.status == "timed"], mixing, device, clock, options)
    return [entry.row for entry in entries]


def settled(batch: Batch) -> Batch:
    """A batch where and how the checks look at it."""
    y = batch.y.cpu() if isinstance(batch.y, torch.Tensor) else batch.y
    return Batch(batch.x.detach().float().contiguous().cpu(), y)


def _passes(entry: Entry, way: Way, case: Case) -> bool:
    """Whether a way makes what it should; its row says why not."""
    try:
        with way.open(ON_DEVICE, False) as batches:
            for batch in batches(1):
                check_plain(settled(batch), case, per_image=way.per_image)
        if case.mixers and way.mixes:
            with way.open(ON_DEVICE, True) as batches:
                for batch in batches(1):
                    check_mixed(settled(batch), case)
        return True
    except Refused as error:
        entry.row.status, entry.row.reason = "refused", str(error)
    except FAILURES as error:
        entry.row.status, entry.row.reason = "failed", words_of(error)
    return False


def _times(
    case: Case,
    entries: list[Entry],
    mixing: bool,
    device: torch.device,
    clock: Clock,
    options: Options,
) -> None:
    mixer = None
    if mixing and any(not entry.ways[0].mixes for entry in entries):
        shape = (case.batch, 3, case.side, case.side)
        mixer = mixers.fastest(case.mixers, shape, case.classes, device=device, clock=clock.ms)
    with ExitStack() as stack:
        runners = []
        for entry in entries:
            way = entry.ways[0]
            try:
                batches = stack.enter_context(way.open(ON_DEVICE, mixing))
                own = None if way.mixes else mixer
                runner = Runner(entry.row, way, batches, own, clock)
                _warm_up(runner, options)
            except FAILURES as error:
                entry.row.status, entry.row.reason = "failed", words_of(error)
                continue
            runners.append(runner)
        seen = _rounds(runners, options.rounds)
    kind = mixing if case.mixers else None
    for runner, values in zip(runners, seen, strict=True):
        added = "" if runner.mixer is None else runner.mixer.name
        runner.row.times.append(Times(ON_DEVICE, kind, values, runner.way.settings, added))


def _warm_up(runner: Runner, options: Options) -> None:
    """Run in, and settle how many batches a round has: an even number, for mixers in turns."""
    runner.count = 2
    runner.round()
    if not options.quick:
        wanted = math.ceil(LEAST_MS / max(runner.round(), 1e-3))
        runner.count = min(max(2, wanted + wanted % 2), MOST_BATCHES)
        runner.round()


def _rounds(runners: list[Runner], rounds: int) -> list[list[float]]:
    """As on the CPU: each round begins with another runner, every other goes backwards."""
    times: list[list[float]] = [[] for _ in runners]
    for r in range(rounds):
        for k in range(len(runners)):
            at = (r + (k if r % 2 else -k)) % len(runners)
            times[at].append(runners[at].round())
    return times
