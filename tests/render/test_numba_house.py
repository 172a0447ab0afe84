"""Around the kernels: threads, memory that is used again, the cache on disk, forks."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mixwell.render import buffers, render
from tests.render.plans import flip_x, levels, plan, slot

pytest.importorskip("numba", reason="no Numba: unproven that the fast backend's house stands")

from mixwell.plan.steps import Code
from mixwell.render.numba_cpu import compile as compiling
from mixwell.render.numba_cpu import pool, processors, serve

FLIP = slot(Code.WARP, flip_x(300))


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


# ------------------------------------------------------------------ threads


@pytest.mark.parametrize("rows", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("number", [1, 2, 5])
def test_every_row_is_done_once(rows, number, threads):
    threads(number)
    done = np.zeros(rows, int)

    def work(first, last):
        done[first:last] += 1

    pool.share_out(work, rows)
    assert (done == 1).all()


def test_several_threads_take_part(threads):
    threads(3)
    seen = set()

    def work(first, last):
        seen.add(threading.get_ident())
        time.sleep(0.02)

    pool.share_out(work, 30)
    assert len(seen) == 3
    with pool.single_threaded():
        seen.clear()
        pool.share_out(work, 30)
        assert seen == {threading.get_ident()}
    assert pool.thread_count() == 3


@pytest.mark.parametrize("place", [0, 5, 29])
def test_an_error_in_any_share_arrives(place, threads):
    threads(3)

    def work(first, last):
        if first <= place < last:
            raise ValueError(f"row {place}")

    with pytest.raises(ValueError, match=f"row {place}"):
        pool.share_out(work, 30)


def test_a_larger_call_takes_no_helpers_from_one_that_has_begun(threads, monkeypatch):
    """It comes between the moment at which the first gets its pool and that at which it uses it;
    the smaller pool serves that call, and is gone behind it."""
    threads(6)
    monkeypatch.setattr(pool, "_pool", None)
    done = np.zeros(9, int)
    small = []

    def work(first, last):
        done[first:last] += 1

    def other_call(helpers):
        if not small:
            small.append(weakref.ref(pool._pool))
            other = threading.Thread(target=pool.share_out, args=(work, 9))
            other.start()
            other.join()

    monkeypatch.setattr(pool, "keep_off", other_call)
    pool.share_out(lambda first, last: None, 3)
    assert (done == 1).all() and pool._pool is not None and pool._pool._max_workers == 5
    until = time.monotonic() + 10  # a helper holds it for a moment behind its work
    while small[0]() is not None and time.monotonic() < until:
        gc.collect()
        time.sleep(0.01)
    assert small[0]() is None


def test_an_error_in_a_helper_arrives(threads):
    threads(3)
    caller = threading.get_ident()

    def work(first, last):
        time.sleep(0.02)  # so that every thread takes part
        if threading.get_ident() != caller:
            raise ValueError("in a helper")

    with pytest.raises(ValueError, match="in a helper"):
        pool.share_out(work, 30)


needs_processors = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="one processor, or none can be chosen: unproven that helpers keep off the caller's",
)


@needs_processors
def test_helpers_keep_off_the_callers_processor(threads, monkeypatch):
    threads(3)
    every = os.sched_getaffinity(0)
    allowed = {}

    def work(first, last):
        time.sleep(0.02)  # so that every thread takes part
        allowed[threading.get_ident()] = os.sched_getaffinity(0)

    for taken in sorted(every)[:2]:  # the caller moves from one to the other
        monkeypatch.setattr(processors, "_here", lambda taken=taken: taken)
        pool.share_out(work, 30)
        allowed.clear()
        pool.share_out(work, 30)
        assert allowed.pop(threading.get_ident()) == every
        assert len(allowed) == 2
        assert all(may == every - {taken} for may in allowed.values())


@needs_processors
@pytest.mark.parametrize("error", [PermissionError, ProcessLookupError])
def test_helpers_that_cannot_be_told_help_all_the_same(error, threads, monkeypatch):
    threads(3)
    asked = []

    def refuse(thread, allowed):
        asked.append(thread)
        raise error("no")

    monkeypatch.setattr(processors, "_here", processors._here)  # put back what is given up below
    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    done = np.zeros(30, int)

    def work(first, last):
        done[first:last] += 1

    for _ in range(3):
        pool.share_out(work, 30)
    assert (done == 3).all()
    assert (processors._here is None) == (error is PermissionError)
    assert asked


def test_one_processor_is_left_to_all(monkeypatch):
    told = []
    monkeypatch.setattr(processors, "_here", lambda: 5)
    monkeypatch.setattr(os, "sched_getaffinity", lambda thread: {5}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda *a: told.append(a), raising=False)
    processors.keep_off([threading.current_thread()])
    assert not told


def test_results_do_not_depend_on_threads(threads):
    images = levels((37, 3, 20, 300))
    drawn = plan((20, 300), *[[FLIP]] * 37)
    threads(1)
    one = render(images, drawn, backend="numba")
    for number in (2, 7):
        threads(number)
        assert torch.equal(render(images, drawn, backend="numba"), one)


def test_renders_from_many_threads_at_once():
    images = levels((16, 3, 20, 300))
    drawn = plan((20, 300), *[[FLIP]] * 16)
    want = images.flip(3)
    with ThreadPoolExecutor(6) as callers:
        made = list(callers.map(lambda _: render(images, drawn, backend="numba"), range(60)))
    assert all(torch.equal(one, want) for one in made)


# ------------------------------------------------------------------ memory


def test_memory_comes_back_and_is_never_shared():
    buffers._idle.clear()
    first, second = buffers.lease(1 << 20), buffers.lease(1 << 20)
    first[:], second[:] = 1, 2
    assert first.min() == first.max() == 1
    address = first.ctypes.data
    view = torch.from_numpy(first).view(torch.float32)[8:]
    del first
    third = buffers.lease(1 << 20)
    assert third.ctypes.data != address, "a tensor still looks at it"
    del view
    assert buffers.lease(1 << 20).ctypes.data == address


def test_few_buffers_are_kept():
    many = [buffers.lease(1 << 17) for _ in range(3 * buffers.KEPT)]
    del many
    assert len(buffers._idle) == buffers.KEPT
    large = [buffers.lease(buffers.KEPT_BYTES // 2) for _ in range(4)]
    del large
    assert 1 <= len(buffers._idle) <= 2
    huge = buffers.lease(2 * buffers.KEPT_BYTES)
    del huge
    assert len(buffers._idle) == 1, "one buffer is kept, however large"
    buffers._idle.clear()
    assert buffers.lease(10).shape == (10,) and buffers.lease(0).shape == (0,)


def test_two_batches_are_two():
    images = levels((8, 3, 100, 300))
    drawn = plan((100, 300), *[[FLIP]] * 8)
    one, two = (render(images, drawn, backend="numba", dtype=torch.float32) for _ in range(2))
    one.zero_()
    assert torch.equal(two, images.flip(3) / 255)


# ------------------------------------------------------------------ forks

FORKED = """
import multiprocessing, os, sys, warnings
import numpy as np, torch
warnings.simplefilter("ignore")  # Python warns about threads and forks; the point is to do both
torch.set_num_threads(2)
import mixwell as mw
images = torch.randint(0, 256, (64, 3, 40, 300), dtype=torch.uint8)
plan = mw.Policy(mw.Rotate(20.0)).sample(np.tile([40, 300], (64, 1)), keys=mw.Keys(np.arange(64)))
want = mw.render(images, plan, backend="numba", dtype=torch.float32)
kept = want.clone()
pool = sys.modules["mixwell.render.numba_cpu.pool"]
pool.thread_count = lambda: 2
def child(n):  # NumPy where it can: PyTorch's own threads do not outlive a fork, ours must
    made = mw.render(images, plan, backend="numba", dtype=torch.float32).numpy()
    same = bool((made == kept.numpy()).all())
    made[:], want.numpy()[:] = 0, 0
    return same
with multiprocessing.get_context("fork").Pool(2) as children:
    assert all(children.map(child, range(6)))
assert torch.equal(want, kept), "a child wrote into its parent's batch"
assert torch.equal(mw.render(images, plan, backend="numba", dtype=torch.float32), kept)
print("forks agree")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here: unproven that children render")
def test_children_of_a_fork_render():
    done = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=300
    )
    assert "forks agree" in done.stdout, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here: unproven that forks wait")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_fork_waits_for_a_thread_that_compiles(monkeypatch):
    begun = threading.Event()

    def slow(name):
        begun.set()
        time.sleep(0.5)
        return SimpleNamespace(run=lambda *args: name)

    monkeypatch.setattr(serve, "import_module", slow)
    monkeypatch.setattr(serve, "_loaded", {})
    call = SimpleNamespace(kind="uint8"), None, None
    thread = threading.Thread(target=serve.run, args=call)
    thread.start()
    assert begun.wait(20)
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # ends it if it waits for a lock that nobody holds any more
        try:
            os._exit(serve.run(*call) != serve._RENDERERS["uint8"])
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    thread.join()


# ------------------------------------------------------------------ compiling


def test_the_cache_knows_all_kernels(monkeypatch):
    cache = compiling._Cache(test_the_cache_knows_all_kernels)

    class Codegen:
        def magic_tuple(self):
            return ("cpu",)

    key = cache._index_key("signature", Codegen())
    assert key[-1] == compiling.digest()
    monkeypatch.setattr(compiling, "digest", lambda: "another text")
    assert cache._index_key("signature", Codegen()) != key


def test_nowhere_to_write_is_no_error(monkeypatch):
    def refuse(function):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(compiling, "_Cache", refuse)
    from numba import types

    doubled = compiling.kernel(types.int64)(lambda x: 2 * x)
    assert doubled(21) == 42


def test_long_compiling_is_told_and_short_is_not(monkeypatch, capsys):
    with compiling.told():
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(compiling, "PATIENCE_S", 0.01)
    with compiling.told():
        time.sleep(0.2)
    assert "compiling" in capsys.readouterr().err


COLD = """
import sys, time, numpy as np, torch, mixwell as mw
policy = mw.Policy(mw.RandomResizedCrop(32), mw.HorizontalFlip(), mw.RandAugment(2, 9), mw.CutMix())
images = torch.zeros(4, 3, 40, 50, dtype=torch.uint8)
plan = policy.sample(np.tile([40, 50], (4, 1)), keys=mw.Keys(np.arange(4)))
start = time.perf_counter()
mw.render(images, plan, backend="numba")
print(time.perf_counter() - start)
"""


@pytest.mark.slow
def test_cold_and_warm_starts_alone_and_together(tmp_path):
    """Three processes compile into one empty cache at once; a fourth finds it warm."""
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", COLD]
    cold = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE) for _ in range(3)]
    assert [process.wait(timeout=300) for process in cold] == [0, 0, 0]
    warm = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert float(warm.stdout) < 3, "the cache was not used"  # compiling takes ten times as long
