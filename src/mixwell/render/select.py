"""Which backend renders: known names, what each can do here, and the choice for one call."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

import torch

from mixwell._errors import BackendError


@dataclass(frozen=True)
class BackendInfo:
    """What a backend can do on this machine.

    Attributes:
        name: what `render(backend=...)` takes.
        devices: torch device types it serves; ("any",) for all.
        available: whether it can be used here.
        reason: why not, "" when it can.
    """

    name: str
    devices: tuple[str, ...]
    available: bool
    reason: str = ""

    def serves(self, device: str) -> bool:
        """Whether it can render images that lie on a device of this type."""
        return self.available and ("any" in self.devices or device in self.devices)


def backends() -> tuple[BackendInfo, ...]:
    """All backends by name, those that cannot be used here included, with the reason."""
    return (
        BackendInfo("reference", ("any",), True),
        BackendInfo("numba", ("cpu",), _has_numba(), "" if _has_numba() else "not installed"),
        BackendInfo("triton", _triton_devices(), not _without_triton(), _without_triton()),
    )


@cache
def _has_numba() -> bool:
    return find_spec("numba") is not None


@cache
def _without_triton() -> str:
    """Why Triton cannot be used, or "". The GPU itself is not asked: that would start CUDA."""
    if find_spec("triton") is None:
        return "not installed"
    built = torch.version.cuda or torch.version.hip or getattr(torch.version, "xpu", None)
    if built or _interpreted():
        return ""
    return "this torch has no GPU support"


def _triton_devices() -> tuple[str, ...]:
    return ("cuda", "xpu", "cpu") if _interpreted() else ("cuda", "xpu")


def _interpreted() -> bool:
    """Whether Triton's kernels run in NumPy: slow, for tests."""
    return os.environ.get("TRITON_INTERPRET") == "1"


@cache
def say_once(text: str) -> None:
    """Tell the user something the first time it happens in this process."""
    logging.getLogger("mixwell").warning(text)


def choose(name: str, device: str) -> BackendInfo:
    """The backend for one call.

    Args:
        name: a backend's name, or "auto" for the best one that serves; the environment variable
            MIXWELL_BACKEND may say what "auto" is.
        device: torch device type of the images, such as "cpu".

    Raises:
        BackendError: the name is unknown, or the backend it names cannot serve here.
    """
    known = {info.name: info for info in backends()}
    if name == "auto":
        name = os.environ.get("MIXWELL_BACKEND") or name
    if name == "auto":
        best = "numba" if device == "cpu" else "triton"
        return known[best] if known[best].serves(device) else known["reference"]
    works = ", ".join(repr(info.name) for info in known.values() if info.serves(device))
    if name not in known:
        names = ", ".join(repr(n) for n in ("auto", *known))
        raise BackendError(f"backend must be one of {names}, got {name!r}.")
    chosen = known[name]
    if not chosen.serves(device):
        reason = chosen.reason or f"it serves {'/'.join(chosen.devices)}"
        raise BackendError(
            f"backend {name!r} cannot render images on {device!r} ({reason}). "
            f'Use backend="auto" or one that works here: {works}.'
        )
    return chosen
