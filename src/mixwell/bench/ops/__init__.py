"""Suites `ops224` and `ops512`: each op alone, uint8 in and out, one thread."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator

import numpy as np

from mixwell.bench.check import Refused, compare
from mixwell.bench.machine import version
from mixwell.bench.measure import FAILURES, Options, Say, told
from mixwell.bench.ops.table import OPS, RANDOM, Made
from mixwell.bench.pools import torch_threads
from mixwell.bench.result import CaseResult, Row, Times

OPPONENTS = ("mixwell", "torchvision", "albumentations", "kornia")
LEAST_SECONDS = 0.02
"""A round repeats a call until so much time has gone."""


def run(
    suite: str, images: list[np.ndarray], names: tuple[str, ...], options: Options, say: Say
) -> Iterator[CaseResult]:
    """Every op, by all opponents in turn."""
    for op, setting in OPS.items():
        say(f"{suite}: {op}")
        with torch_threads(1):
            rows = _rows(op, images, names, options)
        yield CaseResult(suite, op, "ms/image", len(images), rows, {"setting": setting})


def _rows(op: str, images: list[np.ndarray], names: tuple[str, ...], options: Options) -> list[Row]:
    expected = None if op in RANDOM else _expected(op, images)
    rows, ready = [], []
    for name in names:
        release = version(name)
        if not release:
            rows.append(told(name))
            continue
        row = Row(name, release)
        rows.append(row)
        try:
            made = importlib.import_module(f"mixwell.bench.ops.of_{name}").make(op, images)
            labels = [_looked_at(m, expected, images) for m in made]
            seconds = [_seconds(m) for m in made]
            fastest = seconds.index(min(seconds))
            best, row.label = made[fastest], labels[fastest]
            ready.append((row, best, max(1, round(LEAST_SECONDS / _seconds(best)))))
        except Refused as error:
            row.status, row.reason = "refused", str(error)
        except FAILURES as error:
            row.status, row.reason = "failed", f"{type(error).__name__}: {error}"[:200]
    _time(ready, options, len(images))
    return rows


def _expected(op: str, images: list[np.ndarray]) -> np.ndarray:
    """torchvision's pixels on PIL images."""
    from mixwell.bench.ops import of_torchvision

    made = of_torchvision.make(op, images)[0]
    return made.look(made.run())


def _looked_at(made: Made, expected: np.ndarray | None, images: list[np.ndarray]) -> str:
    """Run in and check; what to say of a difference."""
    source, pixels = np.stack(images), made.look(made.run())
    if expected is None:
        if pixels.dtype != np.uint8 or np.array_equal(pixels, source):
            raise Refused("the pixels are unchanged")
        return ""
    return compare(pixels, expected, source)


def _seconds(made: Made) -> float:
    made.run()
    start = time.perf_counter()
    made.run()
    return max(time.perf_counter() - start, 1e-7)


def _time(ready: list[tuple[Row, Made, int]], options: Options, count: int) -> None:
    seen: list[list[float]] = [[] for _ in ready]
    for r in range(options.rounds):
        for k in range(len(ready)):
            at = (k + r) % len(ready)
            _, made, times = ready[at]
            start = time.perf_counter()
            for _ in range(times):
                made.run()
            seen[at].append(1e3 * (time.perf_counter() - start) / times / count)
    for (row, made, _), values in zip(ready, seen, strict=True):
        row.times.append(Times(1, None, values, made.settings))
