"""Helpers on processors of their own from the first moment on.

A virtual machine's idle processor looks taken to Linux, whose scheduler then wakes a helping thread
on the very processor that called it, and moves it away at one of its next ticks, 4 ms apart: half
of a batch's time. So each call tells its helpers to keep off the processor it runs on itself. They
may use all others, and the next call, wherever it runs, tells them anew.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterable


def _finder() -> Callable[[], int] | None:
    """Tells which processor a thread is on, where the system knows."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    try:
        return ctypes.CDLL(None).sched_getcpu
    except (OSError, AttributeError):
        return None


_here = _finder()


def keep_off(threads: Iterable[threading.Thread]) -> None:
    """Let threads run on all processors of the calling thread but the one it is on now.

    Nothing happens where it has one processor only, or where the system does not let us.
    """
    global _here
    if _here is None:
        return
    others = os.sched_getaffinity(0) - {_here()}
    if not others:
        return
    try:
        for thread in threads:
            if thread.native_id is not None:
                os.sched_setaffinity(thread.native_id, others)
    except ProcessLookupError:  # that thread has just ended
        pass
    except OSError:  # forbidden here; it would be next time
        _here = None
