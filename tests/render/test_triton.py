"""The Triton backend: its kernels in the interpreter, what a plan becomes, and a real GPU.

Where there is no GPU, bits, streams and graphs on one are unproven; the kernels are run in NumPy
all the same (`triton_interpreted`), and compiled for GPUs that are not here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch

from mixwell.plan.plan import Plan
from mixwell.plan.steps import Code, Edit, Mix
from mixwell.render import render, select
from mixwell.render.triton_gpu.lower import lower
from mixwell.render.triton_gpu.traffic import Passes, passes
from tests.render.plans import edit, flip_x, levels, mix, rotation, slot
from tests.render.random_plans import OPS, images_of, op, random_plan
from tests.render.test_numba import OUTPUTS, options

HW = (9, 13)
FLIP = slot(Code.WARP, flip_x(13), interp=0)
TURN = slot(Code.WARP, rotation(20, HW))
HALF = slot(Code.RESIZE, (0, 0, 12, 8), HW)
BLUR = slot(Code.BLUR, (1.0, 3))
SAME = slot(Code.AUTOCONTRAST)
WHOLE = (0, 0, 13, 9)
MIXED = mix(HW, *([(i, 2, 0.5, WHOLE, (0, 0)), (1 - i, 2, 0.5, WHOLE, (0, 0))] for i in (0, 1)))
TRITON = pytest.mark.skipif(
    select._without_triton() != "", reason="no Triton: unproven that its kernels agree"
)


# ------------------------------------------------------------------ without a GPU


def run_apart(command: list[str], **variables: str) -> str:
    """What a fresh Python prints; it must succeed."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=Path(__file__).parents[2],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


@TRITON
def test_kernels_agree_in_the_interpreter():
    inner = ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    out = run_apart([*inner, "tests/render/triton_interpreted.py"], TRITON_INTERPRET="1")
    assert "passed" in out and "skipped" not in out


@TRITON
@pytest.mark.slow
def test_many_plans_agree_in_the_interpreter():
    """Without a sum that overflows on the way, too."""
    inner = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "slow"]
    chosen = {"TRITON_INTERPRET": "1", "MIXWELL_THOROUGH": "1"}
    out = run_apart([*inner, "tests/render/triton_interpreted.py"], **chosen)
    assert "200 passed" in out


@TRITON
@pytest.mark.slow
@pytest.mark.parametrize("target", ["cuda", "hip"])
def test_kernels_compile_for_gpus_that_are_not_here(target):
    """And no product is joined with a sum: the reference rounds twice. (On AMD, divisions are
    sequences of such steps, so counting them says nothing there.)"""
    out = run_apart(["-m", "tests.render.triton_compiled", target], TRITON_INTERPRET="0")
    lines = out.splitlines()
    assert len(lines) >= 10 and (target == "hip" or all(" 0 fused" in line for line in lines))


def made_of(*steps) -> Plan:
    return Plan(np.array([HW, HW]), steps)


def both(*slots: list) -> Edit:
    return edit([HW] * 2, list(slots))


PASSES = {
    "nothing": ((), Passes(1, 2, 2)),
    "warps": ((both([FLIP], [TURN]),), Passes(1, 2, 2)),
    "warps, mixed": ((both([FLIP], [TURN]), MIXED), Passes(1, 4, 2)),
    # Tables are made by a launch of their own; a statistic reads once more, and writes nothing.
    "a table, mixed": ((both([slot(Code.INVERT)], [TURN]), MIXED), Passes(2, 4, 2)),
    "a statistic": ((both([SAME], []),), Passes(3, 3, 2)),
    # Weights are made by a launch; a costly row that is shown twice is written once.
    "resizes": ((both([HALF], [HALF]),), Passes(2, 2, 2)),
    "a resize, mixed": ((both([HALF], []), MIXED), Passes(3, 5, 3)),
    # A blur goes across first; what stands before it is written.
    "a blur": ((both([BLUR], []),), Passes(2, 3, 3)),
    "a warp and a blur": ((both([TURN, BLUR], []),), Passes(3, 4, 4)),
    "mixed and erased": ((MIXED, both([slot(Code.ERASE, WHOLE)], [])), Passes(1, 4, 2)),
    "mixed and warped": ((MIXED, both([TURN], [])), Passes(3, 5, 3)),
}


@pytest.mark.parametrize(("steps", "found"), PASSES.values(), ids=PASSES)
def test_passes_over_memory(steps, found):
    assert passes(made_of(*steps)) == found


@pytest.mark.parametrize("seed", range(40))
def test_records_point_at_what_is_there(seed):
    """Every pass reads a row, or a buffer that an earlier launch wrote."""
    drawn = random_plan(Random(seed))
    made = lower(drawn, 3, floating=True)
    arrays, known = made.arrays, set(range(made.inputs))
    for step in made.launches:
        part = slice(step.first, step.first + step.count)
        if step.kernel in ("passes", "blur"):
            rows = arrays["passes" if step.kernel == "passes" else "blurs"][part]
            assert known.issuperset(rows[:, 0].tolist())
            known |= {place for place in rows[:, 7].tolist() if place >= 0}
        elif step.kernel == "finish":
            todo = arrays["todo"][part, 0]
            for out in todo.tolist():
                first, past = arrays["outputs"][out, 6:8]
                shown = arrays["passes"][arrays["sources"][first:past, 0]]
                assert known.issuperset(shown[:, 0].tolist())
            known |= {p for p in made.output_places[todo].tolist() if p >= 0}
    written = sorted(-1 - p for p in made.output_places.tolist() if p < 0)
    assert written == list(range(len(drawn)))


def test_triton_serves_gpus_alone(monkeypatch):
    monkeypatch.delenv("MIXWELL_BACKEND")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(select, "_without_triton", lambda: "")
    assert select.choose("auto", "cuda").name == "triton"
    assert select.choose("auto", "cpu").name == "numba"
    assert select.choose("auto", "mps").name == "reference"
    monkeypatch.setattr(select, "_without_triton", lambda: "not installed")
    assert select.choose("auto", "cuda").name == "reference"


# ------------------------------------------------------------------ on a GPU

gpu = pytest.mark.gpu
NO_GPU = pytest.mark.skipif(
    not torch.cuda.is_available(),
    reason="no GPU: unproven that Triton's kernels agree there, wait for nothing, follow streams "
    "and can be captured",
)


def large(rows: int = 8) -> tuple[torch.Tensor, Plan]:
    """A batch of every op, mixed, on the GPU."""
    rng, hw = Random(1), (61, 47)
    codes = [c for c in OPS if c != Code.RESIZE]
    made = [[op(rng, c, hw) for c in rng.sample(codes, 3)] for _ in range(rows)]
    for slots in made:
        for one in slots:
            one["size"] = None
    first = edit([hw] * rows, made)
    pairs = Mix.identity(np.array([hw] * rows), 2)
    pairs.mode[:], pairs.weight[:] = 2, 0.5
    pairs.source[:, 1] = np.roll(pairs.source[:, 0], 1)
    pairs.rect_px[:, 1] = pairs.rect_px[:, 0]
    return levels((rows, 3, *hw)).cuda(), Plan(np.array([hw] * rows), (first, pairs))


@gpu
@NO_GPU
@pytest.mark.parametrize("seed", range(24))
def test_random_plans_on_a_gpu(seed):
    rng = Random(seed)
    output = rng.choice(OUTPUTS)
    drawn = random_plan(rng, normalized="mean" in output and rng.random() < 0.5)
    channels = rng.choice([1, 3, 4])
    images = [torch.from_numpy(a).permute(2, 0, 1) for a in images_of(rng, drawn, channels)]
    chosen = options(output, channels)
    want = render(images, drawn, backend="reference", stack=False, **chosen)
    got = render([i.cuda() for i in images], drawn, stack=False, **chosen)
    for one, other in zip(want, got, strict=True):
        assert torch.equal(one, other.cpu())


@gpu
@NO_GPU
def test_nothing_waits():
    images, drawn = large()
    more = options({"mean": True}, 3)
    want = render(images, drawn, backend="triton", **more)  # compiles, and fetches constants
    torch.cuda.set_sync_debug_mode("error")
    try:
        got = render(images, drawn, backend="triton", **more)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(want, got)


@gpu
@NO_GPU
def test_the_current_stream_is_followed():
    images, drawn = large()
    want = render(images, drawn, backend="triton")
    late, stream = torch.zeros_like(images), torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(10_000_000)
        late.copy_(images)
        got = render(late, drawn, backend="triton")
    stream.synchronize()
    assert torch.equal(want, got)


@gpu
@NO_GPU
def test_a_graph_replays_with_new_images():
    images, drawn = large()
    out = torch.empty_like(images)
    render(images, drawn, backend="triton", out=out)
    graph, static = torch.cuda.CUDAGraph(), torch.zeros_like(images)
    with torch.cuda.graph(graph):
        render(static, drawn, backend="triton", out=out)
    static.copy_(images.flip(0))
    graph.replay()
    assert torch.equal(out, render(images.flip(0), drawn, backend="reference"))


@gpu
@NO_GPU
def test_beside_a_compiled_step():
    images, drawn = large()
    step = torch.compile(lambda x: (x * 2).sum())
    got = step(render(images, drawn, backend="triton", **options({"mean": True}, 3)))
    want = render(images, drawn, backend="reference", **options({"mean": True}, 3))
    torch.testing.assert_close(got, (want * 2).sum())
