"""Memory that is used again: batches cost more to fetch from the system than to fill.

`lease(size)` gives bytes as a NumPy array. When the last array and tensor that look at them are
gone, the bytes come back and serve the next lease of about that size. Idle buffers are kept up to
`KEPT` of them and `KEPT_BYTES`, the latest first.
"""

from __future__ import annotations

import mmap
import os

import numpy as np
import torch
from torch import Tensor

KEPT = 64
KEPT_BYTES = 1 << 28
SMALL = 1 << 16
"""Below this many bytes NumPy's own allocation is as good."""

_PRIVATE = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if os.name == "posix" else {}
# Lists are appended to and popped from without a lock, because a lease may end at any moment, in
# the middle of another one's beginning too.
_idle: list[mmap.mmap] = []


class _Lease:
    """Holds a buffer for as long as arrays look at it."""

    def __init__(self, buffer: mmap.mmap) -> None:
        self.buffer = buffer
        self.__array_interface__ = {
            "shape": (len(buffer),),
            "typestr": "|u1",
            "data": (np.frombuffer(buffer, np.uint8).ctypes.data, False),
            "version": 3,
        }

    def __del__(self) -> None:
        _idle.append(self.buffer)
        while len(_idle) > KEPT or (len(_idle) > 1 and sum(map(len, list(_idle))) > KEPT_BYTES):
            del _idle[:1]


def lease(size: int) -> np.ndarray:
    """uint8 [size], not zeroed, aligned for any number."""
    if size < SMALL:
        return np.empty((size + 7) // 8, np.int64).view(np.uint8)[:size]
    return np.asarray(_Lease(_idle_buffer(size) or _new_buffer(size)))[:size]


def empty(
    rows: int, channels: int, height: int, width: int, dtype: torch.dtype, *, last: bool = False
) -> Tensor:
    """Tensor [rows, channels, height, width] on leased memory, its numbers not set.

    Args:
        rows: B.
        channels: C.
        height: px.
        width: px.
        dtype: of the tensor.
        last: whether channels lie innermost in memory.
    """
    flat = torch.from_numpy(lease(rows * channels * height * width * dtype.itemsize)).view(dtype)
    if last:
        return flat.view(rows, height, width, channels).permute(0, 3, 1, 2)
    return flat.view(rows, channels, height, width)


def _idle_buffer(size: int) -> mmap.mmap | None:
    """The smallest idle buffer that is large enough, but not twice as large."""
    fitting = sorted((b for b in list(_idle) if size <= len(b) <= 2 * size), key=len)
    for buffer in fitting:
        try:
            _idle.remove(buffer)
        except ValueError:  # another thread was faster
            continue
        return buffer
    return None


def _new_buffer(size: int) -> mmap.mmap:
    made = mmap.mmap(-1, -(-size // mmap.PAGESIZE) * mmap.PAGESIZE, **_PRIVATE)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        try:
            made.madvise(mmap.MADV_HUGEPAGE)
        except OSError:  # a kernel without huge pages
            pass
    return made


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)
