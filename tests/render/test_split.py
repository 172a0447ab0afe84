"""A row's pixels depend on its own plan alone: every output rendered by itself is the same.

The traps are loose rows (`mixwell.render.reference.rows`): some rows of a batch unrounded, others
whole numbers.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mixwell as mw
from mixwell.plan.plan import Plan
from mixwell.plan.steps import Code, Edit, EraseUnits, EraseValue, MixMode
from mixwell.render import render
from tests.render.plans import BICUBIC, NEAREST, edit, flip_x, levels, mix, rotation, shift, slot

HW = (17, 11)
FULL = (0, 0, 11, 17)
N = 4
NORMALISED = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.25, 0.3)}
BRIGHT = slot(Code.BRIGHTNESS, (0.5,))
GONE = slot(Code.ERASE, (2, 3, 7, 9, EraseValue.PIXEL, EraseUnits.NORMALIZED), key=(1, 2, 3, 4))
GREY = slot(Code.ERASE, (1, 1, 4, 4, EraseValue.CONSTANT, EraseUnits.INPUT), fill=1.0)


def turn(interp) -> dict:
    return slot(Code.WARP, rotation(20, HW), interp=interp)


def mixup(weights, sources=(1, 2, 3, 0)):
    """Each output from its own row and another one."""
    return mix(
        HW,
        *[
            [(b, MixMode.ADD, w, FULL, (0, 0)), (sources[b], MixMode.ADD, 1 - w, FULL, (0, 0))]
            for b, w in enumerate(weights)
        ],
    )


def one_edit(*rows):
    return edit(np.full((N, 2), HW), list(rows))


HALF = slot(Code.RESIZE, FULL, (9, 6))
SMALL = slot(Code.ERASE, (1, 1, 4, 4, EraseValue.CHANNEL, EraseUnits.NORMALIZED), (9, 6))
BLEND, CUT = mixup([0.3, 0.61, 0.77, 1.0]), mixup([0.25, 1.0, 0.5, 1.0])
CUT.mode[1, 1] = CUT.mode[3, 1] = MixMode.SKIP
MOVED = mix(
    [HW, (20, 14), HW, (9, 9)],
    [(0, MixMode.ADD, 0.3, FULL, (0, 0)), (1, MixMode.ADD, 0.7, FULL, (0, 0))],
    [(1, MixMode.PASTE, 1.0, (3, 2, 14, 19), (3, 2)), (0, MixMode.ADD, 0.4, FULL, (0, 0))],
    [(2, MixMode.ADD, 0.9, FULL, (0, 0)), (3, MixMode.PASTE, 1.0, (1, 1, 6, 5), (0, 0))],
    [(3, MixMode.ADD, 0.9, (0, 0, 9, 9), (-1, -2))],
)
STEPS = {
    "erased, then turned": (one_edit(*[[GONE, turn(1)], [slot(0), turn(1)]] * 2),),
    "turned thrice": (
        one_edit(
            [GONE, turn(BICUBIC), GREY],
            [GREY, turn(BICUBIC), GONE],
            [slot(0), turn(NEAREST), turn(1)],
            [slot(0), HALF, slot(Code.CLIP, (*shift(2, 2), 17, 11))],
        ),
    ),
    "erased, the neighbour in tone": (one_edit([GONE], [slot(0), BRIGHT], [], [BRIGHT, GONE]),),
    "mixed, some in tone": (BLEND, one_edit([], [BRIGHT], [GONE], [GREY, turn(1)])),
    "erased, then mixed": (one_edit([GONE], [], [BRIGHT], []), CUT),
    "erased, mixed and turned": (one_edit([GONE], [], [], []), CUT, one_edit(*[[turn(1)]] * N)),
    "mixed twice": (BLEND, one_edit([], [GREY], [BRIGHT], []), CUT, one_edit([BRIGHT], [], [], [])),
    "erased, on canvases": (one_edit([GONE], [], [], [slot(Code.WARP, flip_x(11))]), MOVED),
    "of two sizes": (one_edit([HALF, SMALL], [HALF], [GONE], [turn(1)]),),
}


def check(images, plan: Plan, **options) -> None:
    whole = render(images, plan, stack=False, **options)
    for row in range(len(plan)):
        part = plan.take([row])
        (alone,) = render(images[torch.from_numpy(part.inputs)], part, stack=False, **options)
        assert torch.equal(alone, whole[row]), f"row {row}"


def in_tone(steps) -> bool:
    return any(isinstance(s, Edit) and (s.code == Code.BRIGHTNESS).any() for s in steps)


CASES = [
    (name, dtype)
    for name, steps in STEPS.items()
    for dtype in ("uint8", "uint16", "float32")
    if dtype != "uint16" or not in_tone(steps)  # tone ops refuse uint16
]


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_each_output_by_itself_is_the_same(name, dtype):
    images = levels((N, 3, *HW), dtype=np.dtype(dtype))
    check(images, Plan(np.full((N, 2), HW), STEPS[name]), **NORMALISED)


def test_one_erased_row_leaves_the_others_in_integers():
    """What the row gets beside an erased one is what uint8 arithmetic gives, to the last bit."""
    images = levels((2, 3, *HW))
    both = Plan(np.full((2, 2), HW), (edit([HW, HW], [[GONE, turn(1)], [slot(0), turn(1)]]),))
    got = render(images, both, **NORMALISED)[1]
    in_bytes = render(images[1:], both.take([1]))
    want = render(in_bytes, Plan([HW]), **NORMALISED)[0]
    assert torch.equal(got, want)


POLICIES = {
    "erase and rotate": [
        mw.RandomErasing(units="normalized", value="pixel", p=0.5),
        mw.Rotate(15),
    ],
    "mixup and brightness": [mw.MixUp(), mw.Brightness(0.5, p=0.2)],
    "erase and mixup": [mw.RandomErasing(units="normalized", value="pixel", p=0.3), mw.MixUp()],
}


@pytest.mark.parametrize("name", POLICIES)
def test_sampled_batches_may_be_split(name):
    plan = mw.Policy(*POLICIES[name]).sample(np.full((16, 2), HW), keys=mw.Keys(np.arange(16)))
    check(levels((16, 3, *HW)), plan, **NORMALISED)
