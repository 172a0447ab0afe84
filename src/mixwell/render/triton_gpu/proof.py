"""Whether a device makes the reference's bits: seen once in each process, before "auto" trusts it.

Compilers and drivers differ, and these kernels have run on few devices. So the first call that did
not ask for them by name renders one small plan both ways; where the bytes differ, or nothing comes
out, the reference renders from then on, and the log says why.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import torch

from mixwell.plan.plan import Plan
from mixwell.plan.steps import Code, Edit, Interp, Mix, MixMode
from mixwell.render.images import batch_of
from mixwell.render.reference import run as reference
from mixwell.render.reference.finish import output_for
from mixwell.render.triton_gpu.serve import run

_lock = threading.Lock()
"""One thread looks, the others wait: the mode below belongs to the process."""
_HW = (13, 17)
_TURN = (0.9, 0.3, -1.0, -0.3, 0.9, 3.0, 0.0, 0.0, 1.0)
_SLOTS = (
    ((Code.RESIZE, (2, 1, 15, 12), Interp.BILINEAR), (Code.EQUALIZE, (), 0)),
    ((Code.WARP, _TURN, Interp.BILINEAR), (Code.CONTRAST, (1.4,), 0)),
    ((Code.WARP, _TURN, Interp.NEAREST), (Code.SHARPNESS, (1.7,), 0)),
    ((Code.BLUR, (1.0, 5), 0), (Code.HUE, (0.2,), 0)),
    ((Code.NOISE, (0.1,), 0), (Code.ERASE, (3, 2, 9, 8, 2, 0), 0)),
)
"""What each row undergoes: one way of reading pixels, and an op behind it."""


def doubt(device: torch.device) -> str:
    """Why the reference had better render on this device, or "".

    Not asked while a CUDA graph is captured, since looking at pixels waits for the device.
    """
    if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
        return ""
    with _lock:
        return _fault(str(device))


@contextmanager
def _waiting_allowed(device: str) -> Iterator[None]:
    """Looking at pixels waits for the device, also where `torch.cuda.set_sync_debug_mode` would
    warn of that or forbid it to the caller."""
    if not device.startswith("cuda"):
        yield
        return
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("default")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


@cache
def _fault(device: str) -> str:
    with _waiting_allowed(device):
        return _looked_at(device)


def _looked_at(device: str) -> str:
    plan = _plan()
    batch = batch_of(_images(device), plan.in_hw)
    output = output_for(batch, None, None, torch.uint8, torch.contiguous_format)
    wanted = reference.run(batch, plan, output)
    try:
        made = run(batch, plan, output)
        same = all(torch.equal(a, b) for a, b in zip(made, wanted, strict=True))
    except Exception as error:  # noqa: BLE001 - whatever compilers and drivers end in
        lines = str(error).strip().splitlines() or [""]
        return f"its kernels do not run on {device} ({type(error).__name__}: {lines[0][:120]})"
    return "" if same else f"its kernels do not make the reference's bits on {device}"


def _images(device: str) -> torch.Tensor:
    levels = np.arange(len(_SLOTS) * 3 * _HW[0] * _HW[1], dtype=np.uint64)
    levels = (levels * 2654435761 >> 13).astype(np.uint8)
    return torch.from_numpy(levels.reshape(-1, 3, *_HW)).to(device)


def _plan() -> Plan:
    """Every way of reading, tables with their statistics, and both ways of mixing."""
    size = np.full((len(_SLOTS), 2), _HW, np.int32)
    edit = Edit.nothing(size, 2)
    for row, slots in enumerate(_SLOTS):
        for k, (code, param, interp) in enumerate(slots):
            edit.code[row, k], edit.interp[row, k] = code, interp
            edit.param[row, k, : len(param)] = param
            edit.key[row, k] = (1, 2, 3, row)
    mix = Mix.identity(size, 2)
    mix.source[:, 1] = np.roll(mix.source[:, 0], 1)
    mix.rect_px[:, 1] = (4, 3, 12, 11)
    mix.mode[:3, 1], mix.weight[:3, 1] = MixMode.PASTE, 1.0
    mix.mode[3:], mix.weight[3:] = MixMode.ADD, 0.5
    mix.rect_px[3:, 1] = (0, 0, _HW[1], _HW[0])
    return Plan(size, (edit, mix))
