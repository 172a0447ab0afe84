"""Rounds: every opponent in turn, again and again, so that a drifting machine drifts for all."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from mixwell.bench import mixers
from mixwell.bench.base import Batches, Case, Opponent, Way
from mixwell.bench.check import Refused, check_folder, check_mixed, check_plain
from mixwell.bench.machine import version
from mixwell.bench.pools import torch_threads
from mixwell.bench.result import Row, Times

LEAST_SECONDS = 0.4
"""A round lasts at least so long, or `MOST_BATCHES`."""

REST_SECONDS = 0.3
"""Between two opponents: threads of the last one may still be at work."""

MOST_BATCHES = 16
Say = Callable[[str], None]
FAILURES = (Exception,)
"""What an opponent may raise without ending the benchmark; it is told in the table."""


@dataclass(frozen=True)
class Options:
    """How long and how wide to measure.

    Attributes:
        rounds: how often every opponent is timed.
        threads: threads or worker processes of the wider condition.
        quick: small batches and single batches in a round: to try things out, not to quote.
        device: where the batches of suites for a GPU lie, "cpu" to rehearse them.
    """

    rounds: int = 7
    threads: int = 2
    quick: bool = False
    device: str = "cpu"

    @property
    def widths(self) -> tuple[int, ...]:
        """Numbers of threads that are measured."""
        return (1,) if self.threads == 1 else (1, self.threads)


@dataclass
class Entry:
    """A row in the making: ways that do the same work."""

    row: Row
    ways: list[Way]


@dataclass
class Runner:
    """An opened way, ready for its rounds."""

    entry: Entry
    way: Way
    batches: Batches
    mixer: mixers.Turns | None
    threads: int
    count: int = 1

    def round(self) -> float:
        """Seconds for one batch, measured over a whole round."""
        with torch_threads(self.threads):
            start = time.perf_counter()
            for batch in self.batches(self.count):
                if self.mixer is not None:
                    self.mixer(batch)
            return (time.perf_counter() - start) / self.count


def entries_of(case: Case, opponents: list[Opponent]) -> Iterator[Entry]:
    """One entry for each opponent and label, checked; what is wrong becomes its status."""
    for opponent in opponents:
        release = version(opponent.package)
        if not release:
            yield Entry(told(opponent.name), [])
            continue
        try:
            ways = opponent.ways(case)
        except FAILURES as error:
            yield Entry(Row(opponent.name, release, status="failed", reason=words_of(error)), [])
            continue
        if not ways:
            yield Entry(Row(opponent.name, release, status="absent", reason="has none"), [])
        for label in dict.fromkeys(way.label for way in ways):
            yield Entry(Row(opponent.name, release, label), [w for w in ways if w.label == label])


def told(name: str) -> Row:
    """The row of an opponent that is not installed."""
    cure = "not installed: pip install 'mixwell[bench]'"
    return Row(name, "", status="missing", reason=cure)


def measure(case: Case, opponents: list[Opponent], options: Options, say: Say) -> list[Row]:
    """Check, choose and time all opponents in one case of kind "batch" or "folder"."""
    entries = list(entries_of(case, opponents))
    for entry in entries:
        say(f"{case.name}: checking {entry.row.opponent}")
        _check(entry, case)
    for threads in options.widths:
        for mixing in (False, True) if case.mixers else (False,):
            say(f"{case.name}: {threads} threads, {'with' if mixing else 'without'} mixing")
            _measure(case, entries, threads, mixing, options)
    return [entry.row for entry in entries]


def _check(entry: Entry, case: Case) -> None:
    """Drop ways that make something else; an entry without ways is refused."""
    kept, reason, status = [], "", "refused"
    for way in entry.ways:
        try:
            _check_way(way, case)
            kept.append(way)
        except Refused as error:
            reason = str(error)
        except FAILURES as error:
            reason, status = words_of(error), "failed"
    if entry.ways and not kept:
        entry.row.status, entry.row.reason = status, reason  # type: ignore[assignment]
    entry.ways = kept


def _check_way(way: Way, case: Case) -> None:
    threads = 1 if way.serves(1) else 2
    labels = []
    with way.open(threads, False) as batches:
        for batch in batches(case.epoch):
            check_plain(batch, case, per_image=way.per_image)
            labels.append(batch.y)
    if case.kind == "folder":
        check_folder(labels, case)
    if case.mixers and way.mixes:
        with way.open(threads, True) as batches:
            for batch in batches(case.epoch):
                check_mixed(batch, case)


def _measure(
    case: Case, entries: list[Entry], threads: int, mixing: bool, options: Options
) -> None:
    mixer = None
    if mixing:
        with torch_threads(threads):
            shape = (case.batch, 3, case.side, case.side)
            mixer = mixers.fastest(case.mixers, shape, case.classes)
    with ExitStack() as stack:
        runners = []
        for entry in entries:
            way = _choose(entry, case, threads)
            if way is None:
                continue
            batches = stack.enter_context(way.open(threads, mixing))
            runner = Runner(entry, way, batches, None if way.mixes else mixer, threads)
            runners.append(runner)
            _warm_up(runner, case, options)
        rounds = _rounds(runners, options.rounds)
    for runner, seconds in zip(runners, rounds, strict=True):
        values = [1e3 * s / case.batch for s in seconds]
        added = "" if runner.mixer is None else runner.mixer.name
        kind = mixing if case.mixers else None
        runner.entry.row.times.append(Times(threads, kind, values, runner.way.settings, added))


def _rounds(runners: list[Runner], rounds: int) -> list[list[float]]:
    """Times of each runner; every round begins with another one, and every other round goes
    backwards, so that nobody always follows the same one."""
    times: list[list[float]] = [[] for _ in runners]
    for r in range(rounds):
        for k in range(len(runners)):
            at = (r + (k if r % 2 else -k)) % len(runners)
            time.sleep(REST_SECONDS)
            times[at].append(runners[at].round())
    return times


def _choose(entry: Entry, case: Case, threads: int) -> Way | None:
    """The fastest way of an entry: each makes some batches twice, the second time counts."""
    ways = [way for way in entry.ways if way.serves(threads)]
    if len(ways) < 2:
        return ways[0] if ways else None
    seconds = []
    for way in ways:
        with way.open(threads, False) as batches:
            runner = Runner(entry, way, batches, None, threads, _least(way, case, threads))
            runner.round()
            seconds.append(runner.round())
    return ways[seconds.index(min(seconds))]


def _least(way: Way, case: Case, threads: int) -> int:
    """Batches that keep all workers busy; folders are read as a whole."""
    if case.kind == "folder":
        return case.epoch
    return 2 * threads if way.pool == "processes" else 1


def _warm_up(runner: Runner, case: Case, options: Options) -> None:
    """Run in, and settle how many batches a round has."""
    runner.count = least = _least(runner.way, case, runner.threads)
    runner.round()
    if case.kind == "folder" or options.quick:
        return
    wanted = math.ceil(LEAST_SECONDS / max(runner.round(), 1e-6) / least) * least
    # An even number, so that mixers that take turns have the same share in each round.
    runner.count = min(max(2, wanted + wanted % 2, least), MOST_BATCHES)


def words_of(error: BaseException) -> str:
    """An error in one line."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[-1]}"[:200]
