"""The Triton kernels, run in NumPy, give the reference's bits: for TRITON_INTERPRET=1 alone.

`test_triton` runs this file in a process of its own, because Triton reads the variable once, when
it is imported. By hand: TRITON_INTERPRET=1 pytest tests/render/triton_interpreted.py
"""

from __future__ import annotations

import dataclasses
import os
from itertools import permutations
from random import Random

import numpy as np
import pytest
import torch

import mixwell as mw
from mixwell._errors import BackendError
from mixwell.plan.plan import Plan
from mixwell.plan.steps import Code, EraseUnits, EraseValue, Mix, MixMode
from mixwell.render import render
from mixwell.render.reference import run as reference
from mixwell.render.triton_gpu import proof, serve
from tests.render.plans import edit, flip_x, mix, rotation, shift, slot
from tests.render.random_plans import OPS, images_of, matrix, op, random_plan
from tests.render.test_numba import MEAN, OUTPUTS, STD, forms, options

if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("not interpreted here: see test_triton", allow_module_level=True)

HW = (9, 13)
THOROUGH = bool(os.environ.get("MIXWELL_THOROUGH"))
"""Whether the interpreter looks for sums that overflow, too; a third slower."""


@pytest.fixture(scope="module", autouse=True)
def _without_what_is_done_twice():
    """The interpreter patches its language anew for every function that a kernel calls, which takes
    longer than most functions do. The kernel itself has it patched already, but for Triton's own
    modules, which stay patched after the first time."""
    from triton.runtime import interpreter

    patched: set[str] = set()

    def called(self, *given, **named):
        home = self.fn.__module__
        if home.startswith("triton.") and home not in patched:
            patched.add(home)
            interpreter._patch_lang(self.fn)
        return self.rewrite()(*given, **named)

    builder = interpreter.interpreter_builder
    quick = dataclasses.replace(builder.options, sanitize_overflow=THOROUGH)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreter.InterpretedFunction, "__call__", called)
        patch.setattr(builder, "options", quick)
        yield


AUTO = (Code.AUTOCONTRAST, Code.EQUALIZE, Code.CONTRAST)
TABLES = (Code.BRIGHTNESS, Code.POSTERIZE, Code.SOLARIZE, Code.INVERT)


def alike(images, drawn, **more) -> None:
    """Both renderers' results in every bit, and in memory layout."""
    want = list(render(images, drawn, backend="reference", stack=False, **more))
    got = list(render(images, drawn, backend="triton", stack=False, **more))
    for row, (one, other) in enumerate(zip(want, got, strict=True)):
        assert one.dtype == other.dtype and one.shape == other.shape
        assert min(one.shape) == 1 or one.stride() == other.stride()
        wrong = (one != other).nonzero()
        assert not len(wrong), f"row {row}: {len(wrong)} differ, the first at {wrong[0].tolist()}"


def rows_plan(rows: list, hw=HW) -> Plan:
    sizes = [hw] * len(rows)
    return Plan(np.array(sizes), (edit(sizes, rows),))


def pictures(rng: Random, drawn: Plan, channels: int, form: str = "view") -> list:
    return forms(images_of(rng, drawn, channels), form)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_op_alone_and_behind_a_warp(channels):
    rng = Random(channels)
    turn = slot(Code.WARP, rotation(20, HW), fill=[9.0, 99, 200, 30])
    rows = [[op(rng, c, HW)] for c in OPS]
    if channels == 3:
        rows += [[turn, op(rng, c, HW)] for c in OPS]
    drawn = rows_plan(rows)
    alike(pictures(rng, drawn, channels), drawn)


@pytest.mark.parametrize("hw", [(1, 1), (1, 6), (3, 3)])
def test_degenerate_sizes(hw):
    rng = Random(f"{hw}")
    drawn = rows_plan([[op(rng, c, hw)] for c in OPS if c not in TABLES], hw)
    alike(pictures(rng, drawn, 3), drawn)


@pytest.mark.parametrize("channels", [3, 4])
def test_channels_in_every_order(channels):
    drawn = rows_plan([[slot(Code.CHANNELS, shown)] for shown in permutations(range(3))])
    alike(pictures(Random(2), drawn, channels), drawn)


def test_statistics_inside_runs_and_between_them():
    rng = Random(5)

    def ops(*codes: Code) -> list:
        return [op(rng, c, HW) for c in codes]

    rows = [ops(*AUTO), ops(*reversed(AUTO)), ops(*TABLES, *AUTO)]
    rows += [ops(Code.EQUALIZE, Code.SATURATION, Code.AUTOCONTRAST, Code.ERASE, Code.CONTRAST)]
    rows += [ops(Code.BLUR, Code.EQUALIZE, Code.NOISE, Code.AUTOCONTRAST, Code.INVERT)]
    rows += [ops(Code.EQUALIZE, Code.CHANNELS, Code.CONTRAST, Code.CHANNELS, Code.AUTOCONTRAST)]
    rows += [ops(Code.WARP, Code.CONTRAST, Code.WARP, Code.EQUALIZE, Code.SHARPNESS)]
    drawn = rows_plan(rows)
    alike(pictures(rng, drawn, 3), drawn)


def test_warps_of_every_kind():
    rng = Random(11)
    rows = [
        [slot(Code.WARP, matrix(rng, HW), interp=i % 3, fill=[1.5, 2.5, 255, 0])] for i in range(18)
    ]
    tilt = (1.0, 0.1, -2, 0.05, 0.9, 1, 0.01, -0.008, 1.0)
    rows += [[slot(Code.WARP, tilt, interp=i)] for i in range(3)]
    rows += [[slot(Code.CLIP, (*tilt, 7, 8), fill=[200.0] * 4)]]
    # Centres on the very edge, where the canvas ends, and less than 2^-16 px before it begins.
    rows += [[slot(Code.WARP, shift(0.5, 0.5), interp=i, fill=[200.0] * 4)] for i in range(3)]
    early = (1.0, 0, -0.5 - 2.0**-20, 0, 1, 0, 1e-3, 0, 1)
    rows += [[slot(Code.WARP, early, interp=i, fill=[200.0] * 4)] for i in range(3)]
    drawn = rows_plan(rows)
    alike(pictures(rng, drawn, 3), drawn)


def test_resizes_up_and_down_and_mirrored():
    rows = [
        [slot(Code.RESIZE, box, size, interp=interp)]
        for interp in (1, 2)
        for box, size in (
            ((0, 0, 9, 11), (5, 4)),
            ((8.5, 0.25, 1.75, 10.9), (4, 7)),
            ((3, 11, 7, 2), (15, 3)),
            ((4.2, 5.5, 4.9, 6.25), (3, 2)),
        )
    ]
    drawn = rows_plan(rows, (11, 9))
    alike(pictures(Random(3), drawn, 3, "planar"), drawn)


WHOLE = (0, 0, HW[1], HW[0])


def mixes() -> Mix:
    """MixUp, CutMix, sums beyond the top, a moved and a covered source, a fill."""
    add, paste, nil = MixMode.ADD, MixMode.PASTE, (0, 0)
    outputs = [
        [(0, add, 0.3, WHOLE, nil), (1, add, 0.7, WHOLE, nil)],
        [(1, add, 1.0, WHOLE, nil), (2, paste, 1.0, (2, 3, 8, 9), nil)],
        [(0, add, 0.8, WHOLE, nil), (2, add, 0.8, WHOLE, nil)],
        [(0, paste, 1.0, (4, 2, 13, 9), (4, 2)), (1, paste, 1.0, (0, 0, 5, 5), (-3, -1))],
    ]
    return mix(HW, *outputs, fill=[7.5, 8.5, 250, 1])


@pytest.mark.parametrize("output", OUTPUTS, ids=str)
def test_outputs(output):
    rng = Random(8)
    flip = slot(Code.WARP, flip_x(HW[1]), interp=0)
    first = edit([HW] * 3, [[flip], [op(rng, Code.HUE, HW)], []])
    rect = (1, 2, 9, 7)
    units = [EraseUnits.INPUT, EraseUnits.NORMALIZED] if "mean" in output else [EraseUnits.INPUT]
    last = [
        [
            slot(Code.ERASE, (*rect, value, unit), fill=[3.0, 77, 0.5, 0.25], key=[5, 6, 7, 8])
            for unit in units
        ]
        for value in EraseValue
    ]
    second = edit([HW] * 4, [*last, [op(rng, Code.INVERT, HW)]])
    for channels in (3, 4) if output else (1,):
        drawn = Plan(np.array([HW] * 3), (first, mixes(), second))
        images = torch.stack(pictures(rng, drawn, channels, "planar"))
        alike(images, drawn, **options(output, channels))


def test_halves_round_to_even():
    whole = (0, 0, 16, 16)
    added = [(i, MixMode.ADD, 0.5, whole, (0, 0)) for i in range(2)]
    drawn = Plan(np.array([(16, 16)] * 2), (mix((16, 16), added),))
    dark = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    light = (dark.int() + 1).clamp(max=255).to(torch.uint8)
    (got,) = render([dark, light], drawn, backend="triton", stack=False)
    want = [min(2 * ((v + 1) // 2), 255) for v in range(256)]  # v + 1/2, to the even one
    assert got.flatten().tolist() == want


def test_rows_erased_in_normalised_units_are_mixed():
    erased = [
        [slot(Code.ERASE, (1, 1, 7, 8, v, EraseUnits.NORMALIZED), fill=[2.0, -1, 0.5, 0],
              key=[1, 2, 3, 4])]
        for v in EraseValue
    ]  # fmt: skip
    drawn = Plan(np.array([HW] * 3), (edit([HW] * 3, erased), mixes()))
    alike(pictures(Random(1), drawn, 3), drawn, **options({"mean": True}, 3))


def test_rows_shown_twice_and_mixes_in_chains():
    rng = Random(4)
    costly = [[op(rng, c, HW)] for c in (Code.RESIZE, Code.BLUR, Code.NOISE)]
    for row in costly:
        row[0]["size"] = HW
    again = Mix.identity(np.array([HW] * 4), 2)
    drawn = Plan(np.array([HW] * 3), (edit([HW] * 3, costly), mixes(), again))
    alike(pictures(rng, drawn, 3), drawn, **options({"mean": True}, 3))


@pytest.mark.parametrize("seed", range(6))
def test_random_plans(seed):
    rng = Random(f"plan {seed}")
    output = OUTPUTS[seed % len(OUTPUTS)]
    drawn = random_plan(rng, normalized="mean" in output, most=2)
    images = pictures(rng, drawn, rng.choice([1, 3, 4]), rng.choice(["view", "planar"]))
    try:
        alike(images, drawn, **options(output, len(images[0])))
    except BackendError as error:
        assert "normalised units" in str(error)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200))
def test_more_random_plans(seed):
    rng = Random(seed)
    output = rng.choice(OUTPUTS)
    drawn = random_plan(rng, normalized="mean" in output and rng.random() < 0.5)
    images = pictures(rng, drawn, rng.choice([1, 3, 4]), rng.choice(["view", "planar"]))
    try:
        alike(images, drawn, **options(output, len(images[0])))
    except BackendError as error:
        assert "normalised units" in str(error)


def test_a_given_tensor_is_written():
    rng = Random(2)
    drawn = rows_plan([[op(rng, Code.INVERT, HW)], []])
    images = torch.stack(pictures(rng, drawn, 3))
    large = torch.full((4, 3, *HW), 7, dtype=torch.uint8)
    render(images, drawn, backend="triton", out=large[1:3])
    assert torch.equal(large[1:3], render(images, drawn, backend="reference"))
    assert (large[0] == 7).all() and (large[3] == 7).all()


def test_a_loader_renders_from_the_whole_data_set():
    """Gathered, cropped, flipped, cut out and mixed in one go, from images that stay in place."""
    data = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)
    policy = mw.Policy(mw.RandomCrop(8, padding=2), mw.HorizontalFlip(), mw.Cutout(4), mw.CutMix())
    more = {"num_classes": 3, "mean": MEAN[:3], "std": STD[:3], "batch_size": 4, "shuffle": True}

    def batches(**chosen) -> list:
        with mw.Loader((data, np.arange(12) % 3), policy, num_threads=1, **more, **chosen) as made:
            return list(made)

    want = batches(backend="reference")
    for one, other in zip(want, batches(backend="triton", resident=True), strict=True):
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])


def test_what_it_leaves_to_the_reference():
    images = torch.rand(1, 3, *HW)
    with pytest.raises(BackendError, match="'triton' cannot render this: it takes uint8 images"):
        render(images, rows_plan([[]]), backend="triton")


# ------------------------------------------------------------------ trusted by "auto" once proven


@pytest.fixture
def asked_anew():
    proof._fault.cache_clear()
    yield
    proof._fault.cache_clear()


def test_a_device_that_makes_the_bits_is_trusted(asked_anew):
    assert proof.doubt(torch.device("cpu")) == ""
    plan = proof._plan()
    codes = {
        int(code) for step in plan.steps if not isinstance(step, Mix) for code in step.code.flat
    }
    assert len(codes) == 2 * plan.rows - 1  # the turn stands there twice
    shown = proof._images("cpu")
    assert not torch.equal(render(shown, plan, backend="reference"), shown)


def test_looking_may_wait_where_the_caller_must_not(asked_anew, monkeypatch):
    """`torch.cuda.set_sync_debug_mode("error")` is no reason to call a device unfit."""
    mode, images = ["error"], proof._images("cpu")

    def waits(device):
        assert mode == ["default"]
        return images

    def rendered(batch, plan, output, out=None):
        assert mode == ["default"]
        return reference.run(batch, plan, output)

    monkeypatch.setattr(proof, "_images", waits)
    monkeypatch.setattr(proof, "run", rendered)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: mode[0])
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", lambda new: mode.__setitem__(0, new))
    assert proof.doubt(torch.device("cuda", 0)) == ""
    assert mode == ["error"]


@pytest.mark.parametrize("how", ["other bits", "an error"])
def test_a_device_that_does_not_is_left_to_the_reference(asked_anew, monkeypatch, how):
    def broken(batch, plan, output, out=None):
        if how == "an error":
            raise RuntimeError("no such instruction\nat line 3")
        made = reference.run(batch, plan, output)
        made[2][0, 4, 4] += 1
        return made

    monkeypatch.setattr(proof, "run", broken)
    said = proof.doubt(torch.device("cpu"))
    assert ("no such instruction" in said) == (how == "an error") and "cpu" in said
    assert "line 3" not in said
    monkeypatch.setenv("MIXWELL_BACKEND", "triton")
    monkeypatch.setattr(serve, "run", broken)
    plan = Plan(np.array([HW]), (edit(HW, [[slot(Code.INVERT)]]),))
    image = torch.arange(3 * HW[0] * HW[1], dtype=torch.uint8).reshape(1, 3, *HW)
    assert torch.equal(render(image, plan), 255 - image)
