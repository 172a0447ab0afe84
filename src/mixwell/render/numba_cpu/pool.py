"""Our own threads: kernels release the GIL, and threads take shares of the rows in turn.

As many threads as PyTorch uses (`torch.set_num_threads`, OMP_NUM_THREADS; 1 in a DataLoader's
worker), or one inside `single_threaded()`. After a fork the child makes its own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count

import torch

from mixwell.render.numba_cpu.processors import keep_off

SHARES = 4
"""Shares of the work for each thread: more even out unlike rows, fewer cost less."""

_local = threading.local()
_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


@contextmanager
def single_threaded() -> Iterator[None]:
    """Rendering in this thread alone, for callers that are one of many threads themselves."""
    before = getattr(_local, "single", False)
    _local.single = True
    try:
        yield
    finally:
        _local.single = before


def thread_count() -> int:
    """Threads that a call from this thread may use."""
    return 1 if getattr(_local, "single", False) else max(torch.get_num_threads(), 1)


def share_out(work: Callable[[int, int], None], rows: int) -> None:
    """Do `work(first, last)` for all of 0 .. rows - 1, in shares, on several threads.

    An error in one share is raised here after all threads have stopped.
    """
    threads = min(thread_count(), rows)
    if threads <= 1:
        if rows:
            work(0, rows)
        return
    shares = min(threads * SHARES, rows)
    edges = [rows * i // shares for i in range(shares + 1)]
    turn = count()

    def go() -> None:
        while (share := next(turn)) < shares:
            work(edges[share], edges[share + 1])

    pool = _threads(threads - 1)
    keep_off(list(pool._threads))
    helpers: list[Future] = [pool.submit(go) for _ in range(threads - 1)]
    try:
        go()
    finally:
        found = [helper.exception() for helper in helpers]
    for error in found:
        if error is not None:
            raise error


def _threads(number: int) -> ThreadPoolExecutor:
    """The pool, with room for that many threads.

    A smaller one from before is not shut down: another thread may be about to give it work. Its
    threads end when nobody holds it any more.
    """
    global _pool
    with _lock:
        if _pool is None or _pool._max_workers < number:
            _pool = ThreadPoolExecutor(number, thread_name_prefix="mixwell-render")
        return _pool


def _forget() -> None:
    """In a forked child: its parent's threads are not there."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
