"""Where a benchmark ran: processor, memory, versions, commit."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mixwell.bench.pools import torch_threads

PACKAGES = (
    "mixwell",
    "torch",
    "torchvision",
    "numpy",
    "numba",
    "pillow",
    "simplejpeg",
    "timm",
    "albumentations",
    "opencv-python-headless",
    "kornia",
    "nvidia-dali-cuda130",
)


def describe() -> dict[str, Any]:
    """The machine, as data: nothing that names a user or a host."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES if version(name)},
        "commit": _commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "load": _load(),
    }


def version(package: str) -> str:
    """The installed version of a distribution, or ""."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        if package == "mixwell":
            from mixwell import __version__

            return __version__
        return ""


def copy_gb_s(threads: int, megabytes: int = 256, tries: int = 7) -> float:
    """GB/s that a plain copy moves, reads and writes counted, with torch's threads."""
    source = torch.ones(megabytes * 2**18)
    target = torch.empty_like(source)
    seen = []
    with torch_threads(threads):
        for _ in range(tries + 1):
            start = time.perf_counter()
            target.copy_(source)
            seen.append(time.perf_counter() - start)
    return 2 * source.nbytes / float(np.median(seen[1:])) / 1e9


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def _load() -> float | None:
    """Processes that wanted the processor in the last minute, before the benchmark began."""
    try:
        return round(os.getloadavg()[0], 2)
    except (OSError, AttributeError):
        return None


def _commit() -> str:
    """The commit of a source checkout, "+" for changes on top; "" elsewhere."""
    home = Path(__file__).parent
    try:
        commit = _git(home, "rev-parse", "--short=12", "HEAD")
        return commit + ("+" if _git(home, "status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(home: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(home), *words], capture_output=True, text=True, check=True, timeout=20
    )
    return done.stdout.strip()
