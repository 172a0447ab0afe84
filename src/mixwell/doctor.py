"""What is installed, which devices are there, and which render backends work on them.

Nothing here may fail because something is missing: what is missing is the answer.
"""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import os
import platform
import sys
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mixwell.render import BackendInfo


@dataclass(frozen=True)
class Version:
    """An installed (or missing) package.

    Attributes:
        name: the distribution.
        version: None when it is not installed.
        use: what it is needed for.
        required: whether mixwell cannot work without it.
    """

    name: str
    version: str | None
    use: str
    required: bool = False


@dataclass(frozen=True)
class Device:
    """A device that torch can see.

    Attributes:
        name: as torch names it, such as "cuda:0".
        what: the hardware's name and memory.
        backend: what `render(backend="auto")` uses there.
    """

    name: str
    what: str
    backend: str


@dataclass(frozen=True)
class Backend:
    """A render backend: where it serves, and why it does not work here ("" when it does)."""

    name: str
    devices: tuple[str, ...]
    works: bool
    reason: str = ""


@dataclass(frozen=True)
class Report:
    """What `diagnose` found.

    Attributes:
        python: version and platform.
        versions: packages, required ones first.
        devices: empty when torch cannot be imported.
        backends: empty when mixwell's renderer cannot be imported.
        threads: settings by name.
        hints: advice in whole sentences.
        problems: what keeps mixwell from working, in whole sentences.
    """

    python: str
    versions: tuple[Version, ...]
    devices: tuple[Device, ...] = ()
    backends: tuple[Backend, ...] = ()
    threads: dict[str, str] = field(default_factory=dict)
    hints: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether mixwell can work here."""
        return not self.problems


_PACKAGES = (
    ("mixwell", "this package", True),
    ("numpy", "plans", True),
    ("torch", "rendering and training", True),
    ("torchvision", "models and data sets", True),
    ("pillow", "image files and pictures", True),
    ("simplejpeg", "JPEG files in the Loader", True),
    ("cyclopts", "the command line", True),
    ("rich", "the command line", True),
    ("tomli-w", "policies as TOML", True),
    ("numba", "the fast CPU backend", False),
    ("triton", "the GPU backend", False),
    ("scikit-learn", "the digits data set", False),
    ("matplotlib", "learning curves", False),
    ("lightning", "training on several devices", False),
    ("timm", "more models", False),
)


def diagnose() -> Report:
    """Look around. Takes as long as importing torch; starts no process and uses no network."""
    versions = tuple(_version(*package) for package in _PACKAGES)
    problems = [
        f"{v.name} is not installed ({v.use}). Run `pip install {v.name}`."
        for v in versions
        if v.required and v.version is None and v.name != "mixwell"
    ]
    problems += _import_problems(("torch", "mixwell.render"))
    works = not problems
    devices = _devices() if works else ()
    return Report(
        python=f"Python {platform.python_version()} on {platform.system()} {platform.machine()}",
        versions=versions,
        devices=devices,
        backends=_backends(devices) if works else (),
        threads=_threads(),
        hints=tuple(_hints(devices)),
        problems=tuple(problems),
    )


def compile_kernels() -> dict[str, float]:
    """Compile the kernels of the numba backend, or load them from its cache.

    Returns:
        For each kind of images the seconds it took.

    Raises:
        BackendError: Numba is not installed.
    """
    import torch

    from mixwell.plan import Plan
    from mixwell.render import render
    from mixwell.render.numba_cpu.serve import erasing_kernels

    seconds = {}
    for dtype in (torch.uint8, torch.float32):
        start = time.perf_counter()
        render(torch.zeros(1, 3, 4, 4, dtype=dtype), Plan(np.array([[4, 4]])), backend="numba")
        if dtype == torch.uint8:
            erasing_kernels()
        seconds[str(dtype).removeprefix("torch.")] = time.perf_counter() - start
    return seconds


def _version(name: str, use: str, required: bool) -> Version:
    try:
        found: str | None = metadata.version(name)
    except metadata.PackageNotFoundError:
        found = _unpackaged(name)
    return Version(name, found, use, required)


def _unpackaged(name: str) -> str | None:
    """The version of mixwell when it is used from its source folder."""
    if name != "mixwell":
        return None
    from mixwell import __version__

    return f"{__version__} (from source)"


def _import_problems(modules: Iterable[str]) -> list[str]:
    problems = []
    for name in modules:
        if importlib.util.find_spec(name.partition(".")[0]) is None:
            continue  # already said: not installed
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001  (whatever a broken installation raises)
            problems.append(f"{name} cannot be imported: {type(error).__name__}: {error}")
    return problems


def _devices() -> tuple[Device, ...]:
    import torch

    found = [Device("cpu", f"{platform.processor() or platform.machine()}", _auto("cpu"))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of drivers too old; then there is no device
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for i in range(count):
        properties = torch.cuda.get_device_properties(i)
        gib = properties.total_memory / 2**30
        found.append(Device(f"cuda:{i}", f"{properties.name}, {gib:.0f} GiB", _auto("cuda")))
    if torch.backends.mps.is_available():
        found.append(Device("mps", "Apple GPU", _auto("mps")))
    return tuple(found)


def _auto(device: str) -> str:
    from mixwell.render.select import choose

    return choose("auto", device).name


def _backends(devices: Iterable[Device]) -> tuple[Backend, ...]:
    from mixwell.render import backends

    here = {device.name.partition(":")[0] for device in devices}
    return tuple(Backend(b.name, b.devices, *_works(b, here)) for b in backends())


def _works(backend: BackendInfo, here: set[str]) -> tuple[bool, str]:
    """Whether a backend has a device to work on, and why not."""
    if not backend.available:
        return False, backend.reason
    if "any" in backend.devices or here & set(backend.devices):
        return True, ""
    return False, f"torch sees no {'/'.join(backend.devices)} device"


def _threads() -> dict[str, str]:
    settings = {"processors usable": str(_processors())}
    torch = sys.modules.get("torch")
    if torch is not None:
        settings["torch threads"] = str(torch.get_num_threads())
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        settings[name] = os.environ.get(name, "not set")
    settings["processes start by"] = multiprocessing.get_start_method(allow_none=True) or (
        f"{multiprocessing.get_all_start_methods()[0]} (default)"
    )
    return settings


def _processors() -> int:
    """Processors that this process may use; a container often has fewer than the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _hints(devices: Iterable[Device]) -> Iterable[str]:
    names = [device.name for device in devices]
    if "mps" in names:
        yield "On MPS the reference backend renders: the results are the same, at its own pace."
    torch, usable = sys.modules.get("torch"), _processors()
    if torch is not None and torch.get_num_threads() > usable:
        yield (
            f"torch uses {torch.get_num_threads()} threads on {usable} usable processors. "
            f"Set OMP_NUM_THREADS={usable}."
        )
    start = multiprocessing.get_all_start_methods()[0]
    if start == "fork":
        yield (
            "DataLoader workers start by fork: create them before the first use of CUDA, or pass "
            'multiprocessing_context="spawn". Plans are the same either way.'
        )
    else:
        yield (
            f"DataLoader workers start by {start}: keep the code that starts them under "
            "`if __name__ == '__main__':`."
        )
    if not any(name.startswith("cuda") or name == "mps" for name in names):
        yield "No GPU is visible to torch; training runs on the CPU."
