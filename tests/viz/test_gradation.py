"""Gradations: the pixels shown are the blend that the label says, by NumPy alone."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mixwell import PlanError
from mixwell.viz import gradation, gradation_plan, style
from mixwell.viz.bars import BAR
from mixwell.viz.gradation import CELL

SIDE, STEPS = 16, 9
TOP = style.MARGIN + style.line_height(style.TITLE) + 8
SECOND = np.arange(1, 10) / 10


def pair(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8)


def cell(page: Image.Image, step: int) -> np.ndarray:
    """The picture of one step, one pixel for each of the image's."""
    left = style.MARGIN + step * (CELL + 8)
    shown = np.asarray(page)[TOP : TOP + CELL, left : left + CELL]
    return shown[4 :: CELL // SIDE, 4 :: CELL // SIDE]


def bar_share(page: Image.Image, step: int) -> float:
    """Length of the second label, as a part of the bar."""
    left, y = style.MARGIN + step * (CELL + 8), TOP + CELL + 6 + BAR // 2
    row = np.asarray(page)[y, left : left + CELL]
    return float((row == style.class_color(1)).all(axis=1).mean())


def box(share: float) -> tuple[slice, slice]:
    """The centred box of whole pixels that is nearest to a share of the area."""
    height = round(SIDE * share**0.5)
    width = round(SIDE * SIDE * share / height)
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    return slice(top, top + height), slice(left, left + width)


def test_mixup_shows_the_weighted_sum() -> None:
    first, second = pair()
    page = gradation(first, second, "mixup")
    for step, share in enumerate(SECOND):
        units = round(65536 * share)  # weights are whole multiples of 1/65536
        blend = (first.astype(np.float64) * (65536 - units) + second * float(units)) / 65536
        np.testing.assert_array_equal(cell(page, step), np.rint(blend).astype(np.uint8))


def test_cutmix_shows_a_centred_box_of_the_second() -> None:
    first, second = pair()
    page = gradation(first, second, "cutmix")
    for step, share in enumerate(SECOND):
        expected = first.copy()
        expected[box(share)] = second[box(share)]
        np.testing.assert_array_equal(cell(page, step), expected)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_bar_says_what_the_pixels_show(kind: str) -> None:
    black, white = np.zeros((SIDE, SIDE, 3), np.uint8), np.full((SIDE, SIDE, 3), 255, np.uint8)
    page = gradation(black, white, kind)
    for step in range(STEPS):
        # The bar is cut at whole pixels (1/256 at most off), the mean grey at whole levels (1/510).
        assert bar_share(page, step) == pytest.approx(cell(page, step).mean() / 255, abs=1 / 160)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_shares_run_from_a_tenth_to_nine_tenths(kind: str) -> None:
    _, shares = gradation_plan((100, 100), kind).sources()
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-12)
    # The width of a box of whole pixels is off by half a pixel of 100 at most.
    np.testing.assert_allclose(shares[:, 1], SECOND, atol=0.005)


def test_small_images_never_lose_one_of_the_two() -> None:
    _, shares = gradation_plan((8, 8), "cutmix").sources()
    assert (np.diff(shares[:, 1]) > 0).all() and 0 < shares[0, 1] < shares[-1, 1] < 1


def test_number_of_steps_sets_the_width() -> None:
    first, second = pair()
    for steps in (1, 3):
        width = gradation(first, second, steps=steps).width
        assert width == 2 * style.MARGIN + steps * (CELL + 8) - 8


def test_second_image_is_brought_to_the_size_of_the_first() -> None:
    first = np.zeros((20, 30, 3), np.uint8)
    second = np.full((50, 40, 3), 255, np.uint8)
    assert gradation(first, second, "cutmix", steps=2).height > 0


@pytest.mark.parametrize(("kind", "steps"), [("blend", 9), ("mixup", 0)])
def test_unknown_kind_and_no_steps_are_refused(kind: str, steps: int) -> None:
    with pytest.raises(PlanError):
        gradation_plan((8, 8), kind, steps)
