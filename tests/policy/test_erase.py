"""Hidden rectangles against the papers' and torchvision's algorithms."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy import stats

from mixwell._errors import PolicyError
from mixwell.plan import Code
from mixwell.plan.steps import EraseUnits, EraseValue
from mixwell.policy import Cutout, RandomErasing
from tests.oracles import policy as oracle
from tests.policy.cases import edit

CHANCE = 1e-6


@pytest.mark.parametrize(
    ("size_hw", "scale", "ratio"),
    [
        ((40, 60), (0.02, 0.33), (0.3, 3.3)),
        ((90, 12), (0.1, 0.5), (0.3, 3.3)),  # many attempts fail
        ((11, 17), (0.001, 0.1), (0.5, 2.0)),  # some are empty
    ],
)
def test_erased_boxes_are_distributed_as_torchvisions(size_hw, scale, ratio):
    n, rng = 5000, random.Random(1)
    step = edit(RandomErasing(scale, ratio, p=1.0), n, size_hw)
    found = step.code[:, 0] == Code.ERASE
    box = step.param[found, 0, :4]
    ours = np.concatenate([box[:, :2], box[:, 2:] - box[:, :2]], axis=1)
    drawn = [oracle.erased(rng, size_hw, scale, ratio) for _ in range(n)]
    theirs = np.array([b for b in drawn if b is not None])
    table = [[len(ours), n - len(ours)], [len(theirs), n - len(theirs)]]
    assert len(ours) == len(theirs) == n or stats.fisher_exact(table).pvalue > CHANCE
    for b in (ours, theirs):
        assert (b == np.rint(b)).all() and (b >= 0).all()
        assert (b[:, 2:] < size_hw[::-1]).all()  # strictly smaller on both sides
        assert (b[:, :2] + b[:, 2:] <= size_hw[::-1]).all()
    for what in (
        lambda b: b[:, 2] * b[:, 3],
        lambda b: b[:, 2],
        lambda b: b[:, 3],
        lambda b: b[:, 0],
        lambda b: b[:, 1],
        lambda b: b[:, 0] + b[:, 2],
        lambda b: b[:, 1] + b[:, 3],
    ):
        assert stats.ks_2samp(what(ours), what(theirs)).pvalue > CHANCE


def test_where_nothing_fits_nothing_is_erased():
    step = edit(RandomErasing((1.0, 1.0), p=1.0), 50)
    assert not step.code.any() and not step.param.any()


def test_a_fixed_share_of_the_area():
    box = edit(RandomErasing(0.25, 1.0, p=1.0), 40, (40, 40)).param[:, 0, :4]
    assert (box[:, 2:] - box[:, :2] == 20).all()


@pytest.mark.parametrize("size", [2, 5, 8, 100])
@pytest.mark.parametrize("size_hw", [(9, 14), (1, 1)])
def test_cutout_is_the_papers_for_every_pixel(size, size_hw):
    """The op draws the pixel; all pixels come up, and each has the box of the paper's code."""
    step = edit(Cutout(size), 3000, size_hw)
    assert (step.code == Code.ERASE).all()
    expected = {
        oracle.cut_out(size_hw, size, x, y) for y in range(size_hw[0]) for x in range(size_hw[1])
    }
    assert {tuple(b) for b in step.param[:, 0, :4].astype(int).tolist()} == expected


def test_cutouts_centre_is_uniform():
    box = edit(Cutout(2), 6000, (9, 14)).param[:, 0, :4]
    x = np.where(box[:, 0] == 0, box[:, 2] - 1, box[:, 0] + 1)  # a box that is cut off starts at 0
    y = np.where(box[:, 1] == 0, box[:, 3] - 1, box[:, 1] + 1)
    cells = (y * 14 + x).astype(int)
    assert stats.chisquare(np.bincount(cells, minlength=126)).pvalue > CHANCE


@pytest.mark.parametrize(
    "kind", [lambda **v: Cutout(8, **v), lambda **v: RandomErasing(**v, p=1.0)]
)
@pytest.mark.parametrize(
    ("value", "kept", "fill"),
    [
        (0.0, EraseValue.CONSTANT, [0, 0, 0]),
        ((10, 20, 30), EraseValue.CONSTANT, [10, 20, 30]),
        ("channel", EraseValue.CHANNEL, [0, 0, 0]),
        ("pixel", EraseValue.PIXEL, [0, 0, 0]),
    ],
)
@pytest.mark.parametrize("units", ["input", "normalized"])
def test_value_and_units_reach_the_plan(kind, value, kept, fill, units):
    step = edit(kind(value=value, units=units), 8)
    assert (step.param[:, 0, 4] == kept).all()
    assert (step.param[:, 0, 5] == EraseUnits[units.upper()]).all()
    assert step.fill[:, 0, :3].tolist() == [fill] * 8
    assert len({tuple(k) for k in step.key[:, 0].tolist()}) == 8


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: Cutout(1), "Cutout: size must be px >= 2, got 1"),
        (lambda: Cutout(8.0), "Cutout: size must be px >= 2, got 8.0"),
        (lambda: Cutout(8, value="red"), 'value must be level(s), "channel" or "pixel", got '),
        (lambda: Cutout(8, value=(1.0, float("nan"))), "Cutout: value must be level(s)"),
        (lambda: Cutout(8, value=None), "Cutout: value must be level(s)"),
        (lambda: RandomErasing(units="percent"), 'units: "input" or "normalized", got '),
        (lambda: RandomErasing((0.3, 0.1)), "scale must be ordered within 0.0 .. 1.0"),
        (lambda: RandomErasing(ratio=(0.0, 1.0)), "ratio must be ordered within"),
    ],
)
def test_fields_out_of_range_are_refused(make, rule):
    with pytest.raises(PolicyError) as error:
        make()
    assert rule in str(error.value)
