"""Which backend renders, and writing into a given tensor."""

from __future__ import annotations

import logging

import pytest
import torch

from mixwell._errors import BackendError, RenderError
from mixwell.plan.steps import Code
from mixwell.render import render, select
from tests.render.plans import BICUBIC, flip_x, levels, plan, rotation, slot

HW = (17, 11)
FLIP = slot(Code.WARP, flip_x(11))
TURN = slot(Code.WARP, rotation(20, HW), interp=BICUBIC)
BACKENDS = ("reference", "numba")


def test_the_environment_says_what_auto_is(monkeypatch):
    monkeypatch.setenv("MIXWELL_BACKEND", "reference")
    assert select.choose("auto", "cpu").name == "reference"
    assert select.choose("numba", "cpu").name == "numba"
    monkeypatch.delenv("MIXWELL_BACKEND")
    assert select.choose("auto", "cpu").name == "numba"
    assert select.choose("auto", "mps").name == "reference"
    monkeypatch.setenv("MIXWELL_BACKEND", "abacus")
    with pytest.raises(BackendError, match="'abacus'"):
        select.choose("auto", "cpu")


def test_auto_falls_back_and_says_so_once(monkeypatch, caplog):
    monkeypatch.delenv("MIXWELL_BACKEND")
    select.say_once.cache_clear()
    images = levels((1, 2, *HW))
    with caplog.at_level(logging.WARNING, logger="mixwell"):
        made = [render(images, plan(HW, [FLIP])) for _ in range(3)]
    assert all(torch.equal(one, images.flip(3)) for one in made)
    assert [r.getMessage() for r in caplog.records] == [
        "rendered by the reference, not by numba, which is faster: it takes 1, 3 or 4 channels, "
        "got 2."
    ]
    with pytest.raises(BackendError, match="1, 3 or 4 channels, got 2"):
        render(images, plan(HW, [FLIP]), backend="numba")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float16, torch.float64])
def test_a_part_of_a_larger_batch_is_written(backend, dtype):
    images = levels((4, 3, *HW))
    drawn = plan(HW, [FLIP], [TURN], [], [TURN, FLIP])
    want = render(images, drawn, backend="reference", dtype=dtype)
    large = torch.full((8, 3, *HW), 7, dtype=dtype)
    assert render(images, drawn, backend=backend, out=large[2:6]).data_ptr() == large[2].data_ptr()
    assert torch.equal(large[2:6], want)
    assert (large[:2] == 7).all() and (large[6:] == 7).all()
    last = torch.empty(4, 3, *HW, dtype=dtype, memory_format=torch.channels_last)
    assert torch.equal(render(images, drawn, backend=backend, out=last), want)


def test_what_out_cannot_be():
    images, drawn = levels((2, 3, *HW)), plan(HW, [FLIP], [])
    good = torch.empty(2, 3, *HW)
    for out, more, text in (
        (torch.empty(2, 3, 17, 12), {}, "got .2, 3, 17, 12."),
        (torch.empty(3, 3, *HW), {}, "got .3, 3, 17, 11."),
        (good, {"dtype": torch.uint8}, "Leave out dtype="),
        (good, {"stack": False}, "leave out stack=False"),
        (good, {"pad_to": (20, 20)}, "leave out stack=False"),
    ):
        with pytest.raises(RenderError, match=text):
            render(images, drawn, out=out, **more)
    with pytest.raises(RenderError, match="pass torch images"):
        render(images.permute(0, 2, 3, 1).numpy(), drawn, out=good)
    ragged = plan([HW, (5, 6)], [FLIP], [])
    with pytest.raises(RenderError, match="outputs of sizes"):
        render([images[0], levels((3, 5, 6))], ragged, out=good)
