"""A fill in parts of 1 on images that count levels is an error, not black."""

from __future__ import annotations

import numpy as np
import pytest

from mixwell._errors import RenderError
from mixwell.plan.plan import Plan
from mixwell.plan.steps import Code, EraseUnits, EraseValue, MixMode
from mixwell.render import render
from tests.render.plans import levels, mix, plan, shift, slot

HW = (5, 5)
SLOTS = {
    "warp": (Code.WARP, shift(9, 0)),
    "clip": (Code.CLIP, (*shift(9, 0), *HW)),
    "erase": (Code.ERASE, (0, 0, 5, 5, EraseValue.CONSTANT, EraseUnits.INPUT)),
    "Pillow's warp": (Code.PIL_WARP, shift(9, 0)),
    "torchvision's warp": (Code.TV_WARP, (*shift(9, 0), 9, 0)),
}
OF_PROFILES = ("Pillow's warp", "torchvision's warp")


def filled(where: str, fill, dtype: type = np.uint8, backend: str = "auto"):
    step = (
        mix(HW, [(0, MixMode.SKIP, 0, (0, 0, 0, 0), (0, 0))], fill=fill) if where == "mix" else None
    )
    made = Plan(np.array([HW]), (step,)) if step else plan(HW, [slot(*SLOTS[where], fill=fill)])
    return render(levels((1, 3, *HW), dtype=dtype), made, backend=backend)


@pytest.mark.parametrize("backend", ["numba", "reference"])
@pytest.mark.parametrize("where", [*SLOTS, "mix"])
def test_parts_of_one_are_refused_on_levels(where, backend):
    if where in OF_PROFILES:
        backend = "reference"
    with pytest.raises(RenderError, match=r"levels, 0 \.\. 255, got 0\.5, .* fill=128 if parts"):
        filled(where, 0.5, backend=backend)
    colour = r"got \(0\.25, 0, 1\), .* Give fill=\(64, 0, 255\) if"
    with pytest.raises(RenderError, match=colour):
        filled(where, (0.25, 0, 1, 0), backend=backend)


def test_of_uint16_too():
    with pytest.raises(RenderError, match=r"levels, 0 \.\. 65535, got 0\.5, .* fill=32768 if"):
        filled("warp", 0.5, np.uint16)


@pytest.mark.parametrize("where", [*SLOTS, "mix"])
def test_a_level_may_have_a_fraction_beside_larger_ones(where):
    """The mean of dark images, one level, and the black of torchvision's profiles."""
    for fill in ((0.4, 90, 130, 0), 1, 1e-9):
        filled(where, fill)


@pytest.mark.parametrize("where", [s for s in (*SLOTS, "mix") if s not in OF_PROFILES])
def test_floats_are_filled_in_parts_of_one(where):
    assert (filled(where, 0.5, np.float32) == 0.5).all()
