"""Cuts, resizes and flips against their definitions, torchvision and a scalar oracle."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torchvision.transforms import v2

from mixwell._errors import PolicyError
from mixwell.plan import Code, Interp
from mixwell.policy import (
    CenterCrop,
    HorizontalFlip,
    Pad,
    Policy,
    RandomCrop,
    RandomResizedCrop,
    Resize,
    VerticalFlip,
)
from tests.oracles import policy as oracle
from tests.policy.cases import edit, keys, sample

CHANCE = 1e-6
SIZES = st.tuples(st.integers(1, 60), st.integers(1, 60))


def moved_by(op, size_hw, n: int = 1, **more) -> np.ndarray:
    """int64 [n, 2]: the input pixel that a whole-pixel op shows at its top left, x and y."""
    step = edit(op, n, size_hw, **more)
    assert (step.code == Code.WARP).all()
    matrix = step.param[:, 0, :9].reshape(n, 3, 3)
    rest = matrix.copy()
    rest[:, :2, 2] = 0
    assert (rest == np.eye(3)).all()
    assert (matrix[:, :2, 2] == np.rint(matrix[:, :2, 2])).all()
    return matrix[:, :2, 2].astype(np.int64)


def torchvision_shows(transform, size_hw) -> tuple[tuple[int, int], tuple[int, int] | None]:
    """Output size, and the offset of a whole-pixel transform read from an image of numbers."""
    h, w = size_hw
    image = torch.arange(1, h * w + 1).reshape(1, h, w).float()
    out = transform(image)[0].long()
    where = torch.argwhere(out > 0)
    y, x = where[0].tolist()
    first = int(out[y, x]) - 1
    return tuple(out.shape), (first % w - x, first // w - y)


# ------------------------------------------------------------------------------------- resize


@given(SIZES, st.integers(1, 70))
def test_resize_by_the_shorter_side_is_torchvisions(size_hw, side):
    plan = sample(Resize(side), 1, size_hw)
    assert tuple(plan.out_hw[0].tolist()) == oracle.shorter_side_resized(size_hw, side)
    expected = v2.functional.resize(torch.zeros(1, *size_hw), [side])
    assert tuple(plan.out_hw[0].tolist()) == tuple(expected.shape[-2:])


@pytest.mark.parametrize("interp", ["bilinear", "bicubic"])
def test_resize_reads_the_whole_image(interp):
    step = edit(Resize((7, 9), interp=interp), 2, (24, 20))
    assert step.code.tolist() == [[Code.RESIZE]] * 2
    assert step.param[:, 0, :4].tolist() == [[0, 0, 20, 24]] * 2
    assert step.size_hw[:, 0].tolist() == [[7, 9]] * 2
    assert (step.interp == Interp[interp.upper()]).all()


def test_resize_without_antialias_is_a_scaling():
    step = edit(Resize((12, 5), antialias=False), 1, (24, 20))
    m = step.param[0, 0, :9].tolist()
    assert step.code[0, 0] == Code.WARP
    for point, expected in (((0, 0), (0, 0)), ((5, 12), (20, 24)), ((2.5, 6), (10, 12))):
        assert oracle.shown_from(m, point) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: Resize(0), "Resize: size must be px >= 1, or (height, width), got 0"),
        (lambda: Resize((3, 4, 5)), "Resize: size must be px >= 1, or (height, width)"),
        (lambda: Resize(8.0), "Resize: size must be px"),
        (lambda: Resize(8, interp="nearest"), 'Resize: interp must be "bilinear" or "bicubic"'),
        (lambda: RandomResizedCrop(8, interp="nearest"), 'interp must be "bilinear" or "bicubic"'),
        (lambda: RandomResizedCrop(8, scale=(0.5, 0.1)), "scale must be ordered within"),
        (lambda: RandomResizedCrop(8, scale=(0.5, 1.5)), "scale must be ordered within"),
        (lambda: RandomResizedCrop(8, ratio=(0.0, 1.0)), "ratio must be ordered within"),
        (lambda: RandomResizedCrop(8, ratio=(0.5, 1.0, 2.0)), "must be a number or (low, high)"),
        (lambda: RandomCrop(8, padding=-1), "RandomCrop: padding must be px >= 0, got -1"),
        (lambda: CenterCrop((0, 4)), "CenterCrop: size must be px >= 1"),
        (lambda: Pad((1, 2, 3)), "Pad: padding must be px >= 0, (x, y) or (left, top, right"),
        (lambda: Pad(-1), "Pad: padding must be px >= 0"),
        (lambda: HorizontalFlip(p=0.3, alternating=True), "so p must be 0.5, got 0.3"),
    ],
)
def test_fields_out_of_range_are_refused(make, rule):
    with pytest.raises(PolicyError) as error:
        make()
    assert rule in str(error.value)


# --------------------------------------------------------------------------------------- cuts


@given(SIZES, SIZES)
def test_center_crop_is_torchvisions(size_hw, crop_hw):
    shape, offset = torchvision_shows(v2.CenterCrop(crop_hw), size_hw)
    op = CenterCrop(crop_hw)
    assert shape == tuple(sample(op, 1, size_hw).out_hw[0].tolist()) == crop_hw
    assert tuple(moved_by(op, size_hw)[0].tolist()) == offset


@given(SIZES, st.sampled_from([3, (1, 4), (1, 2, 3, 4), 0]))
def test_pad_is_torchvisions(size_hw, padding):
    transform = v2.Pad(list(padding) if isinstance(padding, tuple) else padding)
    shape, offset = torchvision_shows(transform, size_hw)
    assert shape == tuple(sample(Pad(padding), 1, size_hw).out_hw[0].tolist())
    assert tuple(moved_by(Pad(padding), size_hw)[0].tolist()) == offset


@pytest.mark.parametrize("padding", [0, 2])
def test_random_crop_takes_every_place_equally_often(padding):
    offset = moved_by(RandomCrop((5, 6), padding=padding), (7, 9), 6000)
    rooms = 9 + 2 * padding - 6 + 1, 7 + 2 * padding - 5 + 1
    assert (offset.min(0) == -padding).all()
    cells = (offset[:, 0] + padding) * rooms[1] + offset[:, 1] + padding
    counts = np.bincount(cells, minlength=rooms[0] * rooms[1])
    assert len(counts) == rooms[0] * rooms[1]
    assert stats.chisquare(counts).pvalue > CHANCE


def test_random_crop_of_the_whole_image_leaves_it():
    assert (moved_by(RandomCrop((7, 9)), (7, 9), 20) == 0).all()


def test_random_crop_pads_what_is_too_small_if_told_to():
    offset = moved_by(RandomCrop(8, pad_if_needed=True), (5, 12), 400)
    assert set(offset[:, 0].tolist()) == set(range(5))
    assert set(offset[:, 1].tolist()) == {-3, -2, -1, 0}


def test_random_crop_refuses_what_is_too_small():
    with pytest.raises(PolicyError) as error:
        Policy(RandomCrop(32, padding=2)).sample(np.array([(40, 40), (24, 50)]), keys=keys(2))
    assert str(error.value) == (
        "RandomCrop(32, padding=2) needs images at least as large as its window, got 24x50 px in "
        "row 1. Put Resize before it, or set pad_if_needed=True."
    )


def boxes(op: RandomResizedCrop, size_hw, n: int) -> np.ndarray:
    """int64 [n, 4]: left, top, width, height."""
    box = edit(op, n, size_hw).param[:, 0, :4]
    assert (box == np.rint(box)).all()
    return np.concatenate([box[:, :2], box[:, 2:] - box[:, :2]], axis=1).astype(np.int64)


WINDOWS = [
    ((40, 60), (0.08, 1.0), (3 / 4, 4 / 3)),
    ((200, 31), (0.08, 1.0), (3 / 4, 4 / 3)),  # many attempts fail
    ((17, 23), (0.3, 0.6), (0.5, 2.0)),
]


@pytest.mark.parametrize(("size_hw", "scale", "ratio"), WINDOWS)
def test_resized_crops_are_distributed_as_torchvisions(size_hw, scale, ratio):
    """Area, aspect and place against torchvision's algorithm with its own random numbers."""
    n, rng = 5000, random.Random(1)
    ours = boxes(RandomResizedCrop(8, scale, ratio), size_hw, n)
    theirs = np.array([oracle.resized_crop(rng, size_hw, scale, ratio) for _ in range(n)])
    for box in (ours, theirs):
        assert (box >= [0, 0, 1, 1]).all()
        assert (box[:, :2] + box[:, 2:] <= size_hw[::-1]).all()
    for what in (
        lambda b: b[:, 2] * b[:, 3],
        lambda b: b[:, 2] / b[:, 3],
        lambda b: b[:, 0],
        lambda b: b[:, 1],
        lambda b: b[:, 0] + b[:, 2],
        lambda b: b[:, 1] + b[:, 3],
    ):
        assert stats.ks_2samp(what(ours), what(theirs)).pvalue > CHANCE


@given(SIZES, st.sampled_from([(3 / 4, 4 / 3), (1.0, 1.0), (0.3, 0.5), (2.0, 3.0)]))
def test_a_resized_crop_without_a_fit_takes_the_central_window(size_hw, ratio):
    """At 100 % of the area only an image that has the aspect itself can fit."""
    op = RandomResizedCrop(8, (1.0, 1.0), ratio)
    left, top, w, h = oracle.central_crop(size_hw, ratio)
    expected = (left, top, max(w, 1), max(h, 1))
    if not ratio[0] <= size_hw[1] / size_hw[0] <= ratio[1]:
        area = size_hw[0] * size_hw[1]
        for box in boxes(op, size_hw, 4).tolist():
            # rounding lets a few tiny windows of about the area pass as they are
            assert tuple(box) == expected or abs(box[2] * box[3] / area - 1) < 0.5


def test_a_resized_crop_is_resized():
    step = edit(RandomResizedCrop((10, 12), interp="bicubic"), 3)
    assert (step.code == Code.RESIZE).all() and (step.interp == Interp.BICUBIC).all()
    assert step.size_hw[:, 0].tolist() == [[10, 12]] * 3


def test_one_number_is_a_fixed_share():
    box = boxes(RandomResizedCrop(8, scale=0.25, ratio=1.0), (40, 40), 50)
    assert (box[:, 2:] == 20).all()


# -------------------------------------------------------------------------------------- flips


@pytest.mark.parametrize(
    ("op", "mirror"),
    [
        (HorizontalFlip(p=1.0), oracle.flipped),
        (VerticalFlip(p=1.0), oracle.flipped_vertically),
    ],
)
@pytest.mark.parametrize("size_hw", [(24, 20), (17, 11), (1, 1)])
def test_a_flip_mirrors_the_frame(op, mirror, size_hw):
    m = edit(op, 1, size_hw).param[0, 0, :9].tolist()
    for point in ((0.0, 0.0), (1.5, 0.5), (size_hw[1], size_hw[0])):
        assert oracle.shown_from(m, mirror(point, size_hw)) == pytest.approx(point)


def flips(op: HorizontalFlip, epoch: int, n: int = 4000) -> np.ndarray:
    return edit(op, n, epoch=epoch).code[:, 0] == Code.WARP


@pytest.mark.parametrize("op", [HorizontalFlip(), HorizontalFlip(alternating=True), VerticalFlip()])
def test_half_of_the_samples_flip(op):
    assert stats.binomtest(int(flips(op, 0).sum()), 4000, 0.5).pvalue > CHANCE


def test_alternating_flips_alternate():
    epochs = [flips(HorizontalFlip(alternating=True), epoch) for epoch in range(5)]
    for before, after in itertools.pairwise(epochs):
        assert (before != after).all()


def test_other_flips_are_drawn_anew_each_epoch():
    both = 2 * flips(HorizontalFlip(), 0) + flips(HorizontalFlip(), 1)
    assert stats.chisquare(np.bincount(both, minlength=4)).pvalue > CHANCE


def test_alternating_flips_of_copies_start_apart():
    op = HorizontalFlip(alternating=True)
    first, second = flips(op, 0), edit(op, 4000, epoch=0, copy=np.ones(4000, int)).code[:, 0] > 0
    assert stats.chisquare(np.bincount(2 * first + second, minlength=4)).pvalue > CHANCE
