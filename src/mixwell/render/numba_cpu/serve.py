"""What the fast renderer takes, and the way in."""

from __future__ import annotations

import os
import threading
from importlib import import_module
from types import ModuleType

from torch import Tensor

from mixwell.plan.plan import Plan
from mixwell.render import limits
from mixwell.render.images import Batch
from mixwell.render.reference.finish import Output

_RENDERERS = {
    "uint8": "mixwell.render.numba_cpu.run",
    "float": "mixwell.render.numba_cpu.floats.run",
}
"""For each kind of images the module that renders it; importing one compiles its kernels."""
_ERASING = "mixwell.render.numba_cpu.erasing"
_lock = threading.RLock()
_loaded: dict[str, ModuleType] = {}
if hasattr(os, "register_at_fork"):  # the child would wait forever for a thread that compiles
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


def unserved(batch: Batch, plan: Plan, output: Output) -> str:
    """Why this call is not for the fast renderer, or ""."""
    return limits.unserved(batch, plan, output, tuple(_RENDERERS))


def run(
    batch: Batch, plan: Plan, output: Output, out: Tensor | None = None
) -> Tensor | list[Tensor]:
    """All of a plan, as `reference.run.run`; compiles the kernels at the first call.

    Args:
        batch: the images.
        plan: what to do.
        output: where it goes.
        out: a tensor to write into; what is returned is `out` itself if it was.
    """
    return _compiled(_RENDERERS[batch.kind]).run(batch, plan, output, out)


def erasing_kernels() -> ModuleType:
    """Kernels that few plans need, compiled when one does; see the module."""
    return _compiled(_ERASING)


def _compiled(name: str) -> ModuleType:
    """A module that compiles kernels, or takes them from the disk, when it is imported."""
    if name not in _loaded:
        from mixwell.render.numba_cpu.compile import told

        with _lock, told():
            _loaded[name] = import_module(name)
    return _loaded[name]
