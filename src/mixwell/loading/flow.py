"""`Flow`: threads that work on a few batches at a time and hand them out in order.

A job is a generator: it yields lists of tasks (functions without arguments), receives their results
in the same order, and returns what it has made. Tasks of one list run side by side; the earliest
job goes first, so later ones advance only while a thread is free. A job may also be a plain
function. Threads live as long as the flow: nothing is left behind, and nothing exists at a fork.
"""

from __future__ import annotations

import heapq
import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from types import GeneratorType
from typing import Any

from mixwell._errors import DataError

Task = Callable[[], Any]
Steps = Generator[list[Task], list[Any], Any]


def worker_scope() -> AbstractContextManager[Any]:
    """What a worker thread runs in: it renders alone, since other threads render other rows."""
    from mixwell.render.numba_cpu.pool import single_threaded

    return single_threaded()


class _Job:
    """One batch on its way.

    Attributes:
        number: place in the order; smaller goes first.
        done: whether `value` or `error` is there.
    """

    def __init__(self, number: int, start: Callable[[], Any]) -> None:
        self.number, self.start = number, start
        self.steps: Steps | None = None
        self.results: list[Any] = []
        self.missing = 0
        self.done = False
        self.value: Any = None
        self.error: BaseException | None = None


class Flow:
    """Runs jobs on threads; iterate over it for their results, in order.

    Args:
        jobs: functions that return a result, or a generator as the module describes; taken from
            the iterator in the consumer's thread.
        threads: number of worker threads.
        ahead: jobs that may be under way or finished while the consumer works.
    """

    def __init__(self, jobs: Iterator[Callable[[], Any]], *, threads: int, ahead: int) -> None:
        """Start the threads."""
        self._jobs, self._ahead = jobs, ahead
        self._numbers, self._order = itertools.count(), itertools.count()
        self._waiting: deque[_Job] = deque()
        self._tasks: list[tuple[int, int, _Job, Callable[[], None]]] = []
        lock = threading.RLock()  # the collector may close the flow inside any of these blocks
        self._work, self._ready = threading.Condition(lock), threading.Condition(lock)
        self._closed = False
        self._pid = os.getpid()
        self._threads = [
            threading.Thread(target=self._serve, name=f"mixwell-loader-{n}", daemon=True)
            for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def __iter__(self) -> Iterator[Any]:
        """Results in order.

        Raises:
            BaseException: what a job raised, when its turn comes.
            DataError: the flow was closed, or belongs to the process that was forked.
        """
        try:
            self._admit()
            while self._waiting:
                job = self._waiting[0]
                self._wait_for(job)
                self._waiting.popleft()
                if job.error is not None:
                    raise job.error
                self._admit()
                yield job.value
        finally:
            self.close()

    def close(self) -> None:
        """Stop: tasks that run are finished, the others forgotten; returns when threads ended."""
        if os.getpid() != self._pid:
            return
        with self._work:
            self._closed = True
            self._tasks.clear()
            self._work.notify_all()
            self._ready.notify_all()
        if threading.current_thread() in self._threads:
            return  # called by the garbage collector; the threads end by themselves
        for thread in self._threads:
            thread.join()

    def _admit(self) -> None:
        """Take in jobs until `ahead` are under way."""
        while len(self._waiting) < self._ahead:
            start = next(self._jobs, None)
            if start is None:
                return
            job = _Job(next(self._numbers), start)
            self._waiting.append(job)
            with self._work:
                self._put(job, lambda job=job: self._begin(job))

    def _wait_for(self, job: _Job) -> None:
        if os.getpid() != self._pid:
            raise DataError(
                "This iteration was begun before a fork, and its threads stayed in the parent. "
                "Iterate over the Loader anew in the child."
            )
        with self._ready:
            while not job.done:
                if self._closed:
                    raise DataError("The Loader was closed in the middle of an iteration.")
                self._ready.wait()

    # In the worker threads

    def _serve(self) -> None:
        with worker_scope():
            while True:
                with self._work:
                    while not self._tasks and not self._closed:
                        self._work.wait()
                    if self._closed:
                        return
                    _, _, job, task = heapq.heappop(self._tasks)
                if not job.done:  # else it failed meanwhile
                    self._guarded(job, task)
                del job, task  # an idle thread holds no batch

    def _guarded(self, job: _Job, task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001 - it is raised where the batch is awaited
            self._finish(job, None, error)

    def _put(self, job: _Job, task: Callable[[], None]) -> None:
        """Queue a task; the caller holds the lock."""
        heapq.heappush(self._tasks, (job.number, next(self._order), job, task))
        self._work.notify()

    def _begin(self, job: _Job) -> None:
        made = job.start()
        if isinstance(made, GeneratorType):
            job.steps = made
            self._advance(job, None)
        else:
            self._finish(job, made)

    def _advance(self, job: _Job, results: list[Any] | None) -> None:
        """Let a generator say what is next; lists without tasks are answered at once."""
        assert job.steps is not None
        tasks: list[Task] = []
        while not tasks:
            try:
                tasks = job.steps.send(results)  # type: ignore[arg-type]
            except StopIteration as stop:
                self._finish(job, stop.value)
                return
            results = []
        with self._work:
            job.results, job.missing = [None] * len(tasks), len(tasks)
            for at, task in enumerate(tasks):
                self._put(job, lambda at=at, task=task: self._one(job, at, task))

    def _one(self, job: _Job, at: int, task: Task) -> None:
        """One task of a list; whoever finishes the last one goes on with the job."""
        result = task()
        with self._work:
            job.results[at] = result
            job.missing -= 1
            last = job.missing == 0
        if last:
            results, job.results = job.results, []
            self._advance(job, results)

    def _finish(self, job: _Job, value: Any, error: BaseException | None = None) -> None:
        with self._ready:
            if not job.done:
                job.value, job.error, job.done = value, error, True
                job.steps = None
                self._ready.notify_all()
