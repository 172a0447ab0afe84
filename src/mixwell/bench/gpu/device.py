"""The device that is measured: whether it is there, what it is, how fast it copies."""

from __future__ import annotations

import subprocess
from typing import Any

import numpy as np
import torch

from mixwell.bench.gpu.clock import Clock
from mixwell.bench.machine import version


def device_named(name: str) -> torch.device:
    """A device that can be measured.

    Raises:
        ValueError: it is neither the CPU nor a CUDA device, or torch finds no such device.
    """
    found = name.partition(":")[0]
    if found not in ("cpu", "cuda"):
        raise ValueError(f"--device must be cpu or cuda, got {name!r}.")
    device = torch.device(name)
    if device.type == "cpu":
        return device
    if not torch.cuda.is_available():
        built = torch.version.cuda or torch.version.hip
        why = "torch finds none" if built else f"torch {torch.__version__} is built without CUDA"
        raise ValueError(
            f"--device {name} needs a CUDA device, and {why} here. Run it on a machine with a GPU, "
            "or leave out --device to measure the CPU."
        )
    if (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"There are {torch.cuda.device_count()} CUDA devices, got {name!r}.")
    return device


def describe_device(device: torch.device) -> dict[str, Any]:
    """The device as data: name, memory, versions."""
    versions = {"torch": torch.__version__, "triton": version("triton")}
    if device.type == "cpu":
        return {"name": "no GPU: a rehearsal on the CPU", **versions}
    about = torch.cuda.get_device_properties(device)
    return {
        "name": about.name,
        "memory_gib": round(about.total_memory / 2**30, 1),
        "capability": f"{about.major}.{about.minor}",
        "cuda": torch.version.cuda or torch.version.hip or "",
        "driver": _driver(device.index or 0),
        **versions,
    }


def _driver(index: int) -> str:
    """The driver's version as its own tool says it, "" where there is no such tool."""
    words = ["nvidia-smi", f"--id={index}", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def copy_ms(count: int, device: torch.device, clock: Clock, tries: int = 50) -> float:
    """Milliseconds in which a plain `copy_` moves so many bytes, reads and writes counted."""
    source = torch.ones(max(1, count // 2), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seen = [clock.ms(lambda: target.copy_(source)) for _ in range(tries + 5)]
    return float(np.median(seen[5:]))
