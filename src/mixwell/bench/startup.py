"""Suite `startup`: how long a fresh process needs until its first batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from mixwell.bench.machine import version
from mixwell.bench.measure import Options, Say, told
from mixwell.bench.result import CaseResult, Row, Times

OPPONENTS = ("mixwell", "torchvision", "timm", "albumentations", "kornia")
STEPS = ("import", "import to first batch", "second batch")
BATCH = 16

_PROGRAM = """
import json, sys, time
import numpy as np
name, batch = sys.argv[1], int(sys.argv[2])
start = time.perf_counter()
__import__(name)
marks = [time.perf_counter() - start]
pause = time.perf_counter()
images = list(np.random.default_rng(0).integers(0, 256, (batch, 375, 500, 3), dtype=np.uint8))
start += time.perf_counter() - pause
from mixwell.bench.base import Case
from mixwell.bench.opponents import opponent
case = Case("startup", "startup", "batch", batch, 224, "resized", True, ("mixup", "cutmix"), images)
way = opponent(name).ways(case)[0]
with way.open(1, way.mixes) as batches:
    for _ in batches(2):
        marks.append(time.perf_counter() - start)
        start = time.perf_counter()
print(json.dumps(marks))
"""


def run(names: tuple[str, ...], options: Options, scratch: Path, say: Say) -> CaseResult:
    """Each opponent in processes of its own: caches of compiled code empty, then filled.

    "warm" is the median of later processes. Files are in the system's cache in all of them.
    """
    rows = []
    for name in names:
        release = version(name)
        if not release:
            rows.append(told(name))
            continue
        say(f"startup: {name}")
        rows += _rows(name, release, options, scratch / f"cache-{name}")
    return CaseResult("startup", "startup", "s", BATCH, rows)


def _rows(name: str, release: str, options: Options, cache: Path) -> list[Row]:
    try:
        cold = _process(name, cache)
        warm = [
            _process(name, cache) for _ in range(1 if options.quick else min(options.rounds, 3))
        ]
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or ["no message"])[-1][:200]
        return [Row(name, release, status="failed", reason=reason)]
    found = []
    for step, label in enumerate(STEPS):
        for state, seen in (("cold", [cold]), ("warm", warm)):
            if step == 2 and state == "cold":
                continue
            values = [marks[step] for marks in seen]
            times = Times(1, None, values, f"batch of {BATCH}, one thread, fresh process")
            found.append(Row(name, release, f"{label}, {state}", times=[times]))
    return found


def _process(name: str, cache: Path) -> list[float]:
    """Seconds for import, first batch and second batch."""
    cache.mkdir(parents=True, exist_ok=True)
    places = {"NUMBA_CACHE_DIR": cache / "numba", "XDG_CACHE_HOME": cache / "xdg"}
    env = os.environ | {key: str(path) for key, path in places.items()}
    env |= {
        "NO_ALBUMENTATIONS_UPDATE": "1",
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _PROGRAM, name, str(BATCH)],
        capture_output=True,
        text=True,
        check=True,
        env=env,
        timeout=600,
    )
    return json.loads(done.stdout.strip().splitlines()[-1])
