"""`Tally`: what is left out of targets, counted over a process and the workers it starts."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Mapping
from multiprocessing.context import get_spawning_popen
from multiprocessing.sharedctypes import RawArray
from typing import Any

import numpy as np
from torch.utils.data import get_worker_info

REASONS = (
    *("invalid", "outside", "covered", "weight 0"),
    *("min_visibility", "min_area", "min_side", "empty mask"),
)
"""Why a thing is left out."""
ROWS = 256
"""The process's own row and those of workers; workers beyond share the last one."""

_LOCK = threading.Lock()
"""Threads of one process add to one row."""
if hasattr(os, "register_at_fork"):  # a worker must not inherit a lock that a thread held
    os.register_at_fork(
        before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release
    )


class Tally:
    """Counts by reason, in memory that worker processes of a DataLoader share.

    Each worker adds to a row of its own, so that none waits for another and no count is written
    over. (Two DataLoaders that run at once should not share one tally: their workers have the same
    numbers.) A worker finds the memory whether it is forked or spawned; a copy, or a tally that
    was pickled to anywhere else, starts from the counts of that moment and goes its own way.
    """

    def __init__(self) -> None:
        self._memory: Any = RawArray("q", ROWS * len(REASONS))

    def add(self, found: Mapping[str, int]) -> None:
        """Count things that were left out, by reason."""
        worker = get_worker_info()
        row = 0 if worker is None else min(worker.id + 1, ROWS - 1)
        new = np.zeros(len(REASONS), np.int64)
        for why, count in found.items():
            new[REASONS.index(why)] = count
        with _LOCK:
            self._rows()[row] += new

    def counts(self) -> Counter[str]:
        """How much was left out so far, by reason; reasons that never occurred are not named."""
        sums = self._rows().sum(axis=0).tolist()
        return Counter({why: count for why, count in zip(REASONS, sums, strict=True) if count})

    def _rows(self) -> np.ndarray:
        """int64 [ROWS, len(REASONS)], a view of the memory."""
        return np.frombuffer(self._memory, np.int64).reshape(ROWS, len(REASONS))

    def __getstate__(self) -> Any:
        """The memory itself for a process that is just being spawned, else what it holds."""
        return self.counts() if get_spawning_popen() is None else self._memory

    def __setstate__(self, state: Any) -> None:
        """Take the memory, or new memory for these counts."""
        if isinstance(state, Counter):
            self.__init__()
            self._rows()[0] = [state[why] for why in REASONS]
        else:
            self._memory = state
