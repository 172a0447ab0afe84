"""Threads that end, states that resume, and results that depend on neither."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import traceback

import numpy as np
import pytest
import torch

import mixwell as mw
from mixwell.loading import Loader
from mixwell.loading.flow import Flow

IMAGES = np.random.default_rng(2).integers(0, 256, (30, 3, 9, 7), np.uint8)
ARRAYS = (torch.from_numpy(IMAGES), [i % 3 for i in range(30)])
PAIRS = list(zip(*ARRAYS, strict=True))
MIXED = mw.Policy(
    mw.RandomCrop((8, 8), padding=2), mw.GaussianNoise(0.1), mw.OneOf(mw.MixUp(), mw.CutMix())
)
BOTH = pytest.mark.parametrize("data", [ARRAYS, PAIRS], ids=["arrays", "samples"])


def loader(data=ARRAYS, **options) -> Loader:
    options = {"batch_size": 4, "num_classes": 3, "num_threads": 3, "shuffle": True} | options
    return Loader(data, MIXED, **options)


def ours() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("mixwell-loader")]


@pytest.fixture(autouse=True)
def no_threads_are_left():
    assert not ours()
    yield
    gc.collect()
    assert not ours()


def assert_same(found: list, wanted: list) -> None:
    assert len(found) == len(wanted)
    for pair, expected in zip(found, wanted, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(pair, expected, strict=True))


# Threads


@BOTH
def test_threads_end_with_the_epoch(data):
    batches = loader(data, num_threads=3)
    iterator = iter(batches)
    assert not ours()
    next(iterator)
    assert len(ours()) == 3 and all(t.daemon for t in ours())
    assert len(list(iterator)) == 7 and not ours()


@BOTH
def test_threads_end_after_a_break(data):
    for _ in loader(data):
        break
    gc.collect()
    assert not ours()


@BOTH
def test_threads_end_after_an_error_of_the_caller(data):
    with pytest.raises(KeyError):
        for _ in loader(data):
            raise KeyError
    gc.collect()
    assert not ours()


def test_threads_end_with_the_loader():
    with loader() as batches:
        iterator = iter(batches)
        next(iterator)
        assert ours()
    assert not ours()
    batches.close()
    with pytest.raises(mw.DataError, match="closed in the middle"):
        list(iterator)
    assert len(list(batches)) == 8


def test_two_iterations_at_once():
    batches = loader(epochs=2)
    wanted = [list(loader(epochs=2)), None]
    first, second = iter(batches), iter(batches)
    found = [next(first)]
    other = [next(second)]
    found += list(first)
    other += list(second)
    assert_same(found, wanted[0])
    assert not torch.equal(other[0][0], found[0][0])


class Slow:
    """Counts how many samples were read."""

    def __init__(self) -> None:
        self.read, self.lock = 0, threading.Lock()

    def __len__(self) -> int:
        return 400

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        with self.lock:
            self.read += 1
        return ARRAYS[0][index % 30], 0


def test_no_more_is_read_ahead_than_was_asked_for():
    data = Slow()
    batches = iter(Loader(data, MIXED, batch_size=4, num_classes=3, num_threads=2, prefetch=1))
    next(batches)
    time.sleep(0.3)
    assert data.read == 4 * (1 + 1 + 2)  # handed out, prefetched, begun by threads
    batches.close()


def test_reading_goes_on_in_several_threads_at_once():
    meet = threading.Barrier(3, timeout=20)

    class Meeting(Slow):
        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            if index in (0, 16, 32):  # the first of each task
                meet.wait()
            return super().__getitem__(index)

    data = Meeting()
    x, _ = next(iter(Loader(data, MIXED, batch_size=48, num_classes=1, num_threads=3)))
    assert len(x) == 48


def wait_until_idle(batches: Loader) -> None:
    """Until every batch that may be made ahead is made, and all threads sleep.

    Never with `gc.get_objects()`: while its list exists, a `tuple(...)` that another thread is just
    making has an owner too many, and CPython ends it with a SystemError (python/cpython#39117).
    """
    end = time.monotonic() + 30
    while time.monotonic() < end:
        frames = sys._current_frames()
        asleep = all(frames[t.ident].f_code.co_name == "wait" for t in ours() if t.ident in frames)
        if asleep and all(job.done for flow in batches._flows for job in flow._waiting):
            return
        time.sleep(0.01)
    raise TimeoutError("the loader's threads still work")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here: unproven: use after fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_child_process_may_iterate_anew():
    batches = loader()
    wanted = list(loader())
    running = iter(batches)
    next(running)
    wait_until_idle(batches)  # a fork in the middle of a thread's work is never safe anywhere
    child = os.fork()
    if child == 0:
        code = 1
        signal.alarm(60)
        try:
            with pytest.raises(mw.DataError, match="begun before a fork"):
                list(running)
            assert_same(list(loader()), wanted)
            code = 0
        except BaseException:  # noqa: BLE001  (it must leave by _exit, whatever it was)
            traceback.print_exc()  # nobody else tells what happened in the child
        finally:
            os._exit(code)
    try:
        assert os.waitpid(child, 0)[1] == 0
    finally:
        left = len(list(running))  # ends the threads, so that other tests do not find them
    assert left == 7


SCRIPT = """
import numpy as np, sys, time
import mixwell as mw
from mixwell.loading import Loader
class Data:
    def __len__(self): return 4000
    def __getitem__(self, index):
        time.sleep(0.01)
        return np.zeros((8, 8, 3), np.uint8), 0
loader = Loader(Data(), mw.Policy(), batch_size=4, num_classes=1, num_threads=3)
for x, y in loader:
    print("batch", flush=True)
    {then}
"""


def script(then: str) -> subprocess.Popen:
    command = [sys.executable, "-c", SCRIPT.replace("{then}", then)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=env)


def test_the_interpreter_exits_in_the_middle_of_an_epoch():
    made = script("sys.exit(3)")
    out, error = made.communicate(timeout=60)
    assert made.returncode == 3 and out == "batch\n" and not error


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to others: unproven here: Ctrl-C")
def test_ctrl_c_ends_an_epoch():
    made = script("pass")
    assert made.stdout is not None and made.stdout.readline() == "batch\n"
    made.send_signal(signal.SIGINT)
    _, error = made.communicate(timeout=60)
    assert made.returncode != 0 and error.strip().endswith("KeyboardInterrupt")


# The same for any number of threads


@BOTH
def test_threads_and_prefetch_change_nothing(data):
    wanted = list(loader(data, num_threads=1, prefetch=0))
    for threads, prefetch in ((2, 2), (5, 0), (1, 9)):
        assert_same(list(loader(data, num_threads=threads, prefetch=prefetch)), wanted)


def test_epochs_differ_and_repeat():
    batches = loader(epochs=2)
    first, second = list(batches), list(batches)
    assert not torch.equal(first[0][0], second[0][0])
    batches.set_epoch(0)
    assert_same(list(batches), first)
    assert not torch.equal(next(iter(loader(epochs=2, seed=1)))[0], first[0][0])


# Resuming


@BOTH
@pytest.mark.parametrize("used", [0, 1, 5, 8])
def test_resuming_gives_exactly_the_remaining_batches(data, used):
    whole = loader(data, epochs=3)
    wanted = [list(whole) for _ in range(3)]
    batches = loader(data, epochs=3)
    list(batches)
    iterator = iter(batches)
    for _ in range(used):
        next(iterator)
    state = batches.state_dict()
    iterator.close()
    assert batches.state_dict() == state, "a break is not the end of the epoch"
    again = loader(data, epochs=3)
    again.load_state_dict(state)
    assert len(again) == 8 - used
    assert_same(list(again), wanted[1][used:])
    assert_same(list(again), wanted[2])


def test_the_state_between_epochs():
    batches = loader(epochs=2)
    assert (batches.state_dict()["epoch"], batches.state_dict()["position"]) == (0, 0)
    list(batches)
    assert (batches.state_dict()["epoch"], batches.state_dict()["position"]) == (1, 0)


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"batch_size": 5}, {"world_size": 2}, {"shuffle": False}]
)
def test_a_state_of_something_else_is_refused(other):
    with pytest.raises(mw.PolicyError, match=f"made with {next(iter(other))}"):
        loader(**other).load_state_dict(loader().state_dict())


def test_a_state_of_another_order_is_refused():
    """An `Augment` has its own seed; the order's is the Loader's. Ranks share a state."""
    augment = mw.Augment(MIXED, num_classes=3)
    one, other = (Loader(ARRAYS, augment, batch_size=4, shuffle=True, seed=n) for n in (5, 6))
    with pytest.raises(mw.PolicyError, match="made with order_seed 5, this Loader has 6"):
        other.load_state_dict(one.state_dict())
    plain, repeated, rare = (
        Loader(ARRAYS, augment, batch_size=4, sampler=sampler)
        for sampler in (
            mw.KeyedSampler(30, epochs=1, shuffle=True),
            mw.RepeatedAugmentation(30, epochs=1, repeats=3),
            mw.RepeatedAugmentation(30, epochs=1, repeats=2),
        )
    )
    for here, there, what in (
        (repeated, plain, "sampler"), (plain, repeated, "sampler"), (rare, repeated, "repeats")
    ):  # fmt: skip
        with pytest.raises(mw.PolicyError, match=f"made with {what}"):
            here.load_state_dict(there.state_dict())
    first, second = (loader(rank=rank, world_size=2) for rank in (0, 1))
    next(iter(first))
    second.load_state_dict(first.state_dict())
    assert len(second) == 3


# The flow itself


def test_results_come_in_order_and_steps_get_their_own():
    def job(number: int):
        doubled = yield [lambda n=n: 2 * n for n in range(number)]
        none = yield []
        summed = yield [lambda: sum(doubled)]
        return number, doubled, none, summed

    jobs = [(lambda n=n: job(n)) if n % 3 else (lambda n=n: n) for n in range(40)]
    found = list(Flow(iter(jobs), threads=4, ahead=7))
    for n, got in enumerate(found):
        double = [2 * i for i in range(n)]
        assert got == ((n, double, [], [sum(double)]) if n % 3 else n)


def test_an_error_waits_for_its_turn():
    def job(number: int):
        yield [lambda n=n: 1 // (number - 3 * n) for n in range(1, 3)]
        return number

    flow = iter(Flow(iter([lambda n=n: job(n) for n in range(10, 0, -1)]), threads=3, ahead=9))
    assert [next(flow) for _ in range(4)] == [10, 9, 8, 7]
    with pytest.raises(ZeroDivisionError):
        next(flow)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: unproven: copies to CUDA")
def test_batches_on_a_gpu():
    wanted = list(loader())
    found = list(loader(device="cuda"))
    assert all(x.is_cuda and y.is_cuda for x, y in found)
    assert_same([(x.cpu(), y.cpu()) for x, y in found], wanted)
