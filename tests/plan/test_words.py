"""Plans in words, and the numbers that files hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mixwell._rng import Keys
from mixwell.plan import Code, Interp, Mix, MixMode, Plan
from tests.plan.strategies import FLIP_8, edit_of, long_plan


def test_a_plan_prints_as_one_readable_line():
    plan = long_plan()
    assert repr(plan) == "Plan(4 -> 6x8 | edit x2 | mix: 2 mixup, 1 cutmix, 1 kept | edit x1)"
    sampled = replace(plan, seed=7, keys=Keys([0, 1, 2, 3], epoch=3))
    assert repr(sampled).endswith("| seed 7 epoch 3)")
    sizes = np.array([[6, 8], [4, 12]])
    assert repr(Plan(sizes)) == "Plan(2 -> 4x8..6x12)"
    assert repr(plan[[1]]) == "Plan(2 rows to 1 -> 6x8 | edit x2 | mix: 1 cutmix | edit x1)"


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (
            0,
            "flip; contrast 1.25; mixup of 2; posterize 4 bits"
            " = 75.0 % sample 40, 25.0 % sample 20",
        ),
        (1, "contrast 1.25; cutmix of 2; posterize 4 bits = 66.7 % sample 10, 33.3 % sample 40"),
        (2, "flip; contrast 1.25; posterize 4 bits"),
    ],
)
def test_an_output_is_described_in_words(output, words):
    assert long_plan().describe(output) == words


@pytest.mark.parametrize(
    ("slot", "words"),
    [
        ((Code.NOTHING, []), "unchanged"),
        ((Code.WARP, [1, 0, -3, 0, 1, 2, 0, 0, 1]), "shift 3,-2 on 6x8"),
        ((Code.WARP, [1, 0, 0, 0, -1, 6, 0, 0, 1]), "vertical flip"),
        ((Code.WARP, [-1, 0, 8, 0, -1, 6, 0, 0, 1]), "flip + vertical flip"),
        ((Code.WARP, [1, 0, 0, 0, 1, 0, 0, 0, 1]), "unmoved"),
        ((Code.WARP, [0, 1, 0, -1, 0, 8, 0, 0, 1]), "quarter turn"),
        ((Code.WARP, [1, 0, 0.5, 0, 1, 0, 0, 0, 1]), "shift -0.5,0.0"),
        ((Code.WARP, [1, 0.3, 0, 0, 1, 0, 0, 0, 1]), "shear 0.30"),
        ((Code.WARP, [1, 0, 0, 0, 1, 0, 0.01, 0, 1]), "perspective"),
        ((Code.RESIZE, [0, 1, 8, 6], (3, 4)), "resize 0,1..8,6 to 3x4"),
        ((Code.SATURATION, [0.5]), "saturation 0.5"),
        ((Code.EQUALIZE, []), "equalize"),
        ((Code.CHANNELS, [2, 0, 1]), "channels 2 0 1"),
        ((Code.BLUR, [1.5, 7]), "blur sigma 1.5"),
        ((Code.NOISE, [0.1]), "noise sigma 0.1"),
        ((Code.ERASE, [1, 2, 5, 6]), "erase 1,2..5,6"),
    ],
)
def test_every_kind_of_slot_has_its_words(slot, words):
    size_hw = np.array([[6, 8]], np.int32)
    assert Plan(size_hw, (edit_of(size_hw, slot),)).describe(0) == words


def test_the_words_follow_the_first_source_that_shows():
    size_hw = np.full((2, 2), (6, 8), np.int32)
    edit = edit_of(size_hw, (Code.HUE, [0.1]))
    edit.code[1] = Code.INVERT
    mix = Mix.identity(size_hw)
    mix.source[0], mix.mode[0] = [0, 1], [MixMode.ADD, MixMode.PASTE]
    mix.weight[0] = 1.0
    mix.rect_px[0] = [0, 0, 8, 6]
    plan = Plan(size_hw, (edit, mix))
    assert plan.describe(0) == "invert"
    assert plan.describe(-1) == "invert"


def test_a_turn_is_described_with_its_angle():
    c, s = np.cos(np.deg2rad(30)), np.sin(np.deg2rad(30))
    size_hw = np.array([[6, 8]], np.int32)
    turn = edit_of(size_hw, (Code.WARP, [c, -s, 0, s, c, 0, 0, 0, 1]))
    assert Plan(size_hw, (turn,)).describe(0) == "turn 30.0°"


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_words(code):
    size_hw = np.array([[6, 8]], np.int32)
    params = {
        Code.WARP: FLIP_8[1],
        Code.PIL_WARP: FLIP_8[1],
        Code.TV_WARP: FLIP_8[1],
        Code.CLIP: [*FLIP_8[1], 6, 8],
        Code.RESIZE: [0, 0, 8, 6],
        Code.BLUR: [1, 3],
        Code.CHANNELS: [2, 1, 0],
    }.get(code, [0])
    assert Plan(size_hw, (edit_of(size_hw, (code, params)),)).describe(0)


def test_a_mix_of_three_says_so():
    size_hw = np.full((1, 2), 4, np.int32)
    mix = Mix.identity(size_hw, sources=3)
    mix.mode[0] = MixMode.PASTE
    mix.rect_px[0] = [(0, 0, 4, 4), (0, 0, 2, 2), (2, 2, 4, 4)]
    assert repr(Plan(size_hw, (mix,))) == "Plan(1 -> 4x4 | mix: 1 mix of 3)"


def test_interpolations_keep_their_numbers():
    """Files hold them."""
    assert [i.value for i in Interp] == [0, 1, 2]
    assert {c.name: c.value for c in Code} == {
        "NOTHING": 0,
        "WARP": 1,
        "RESIZE": 2,
        "CLIP": 3,
        "PIL_WARP": 4,
        "TV_WARP": 5,
        "BRIGHTNESS": 10,
        "CONTRAST": 11,
        "SATURATION": 12,
        "HUE": 13,
        "SHARPNESS": 14,
        "POSTERIZE": 15,
        "SOLARIZE": 16,
        "INVERT": 17,
        "AUTOCONTRAST": 18,
        "EQUALIZE": 19,
        "GRAYSCALE": 20,
        "CHANNELS": 21,
        "BLUR": 30,
        "NOISE": 31,
        "ERASE": 32,
        "PIL_CONTRAST": 40,
        "SOLARIZE_ADD": 41,
        "PIL_BLUR": 42,
        "TV_BRIGHTNESS": 50,
        "TV_CONTRAST": 51,
        "TV_SATURATION": 52,
        "TV_SHARPNESS": 53,
        "TV_AUTOCONTRAST": 54,
    }
    assert [m.value for m in MixMode] == [0, 1, 2, 3, 4]


def test_a_sum_of_versions_of_one_image_is_no_mixup():
    size_hw = np.full((2, 2), 4, np.int32)
    copies = Mix.identity(np.full((4, 2), 4), sources=1)
    copies.source[:, 0] = [0, 1, 0, 1]
    added = Mix.identity(size_hw)
    added.source[:, 1], added.mode[:, 1], added.weight[...] = [2, 3], MixMode.ADD, 0.5
    added.rect_px[:, 1] = added.rect_px[:, 0]
    assert Plan(size_hw, (copies, added)).describe(1) == "sum of 2 versions"


def test_parts_are_counted_as_they_show():
    size_hw = np.full((2, 2), 4, np.int32)
    mix = Mix.identity(size_hw, sources=9)
    mix.source[0, 1:3], mix.mode[0, 1:3] = 1, MixMode.PASTE
    mix.rect_px[0, 1:3] = [(0, 0, 2, 2), (2, 2, 4, 4)]
    plan = Plan(size_hw, (mix,))
    assert plan.describe(0) == "mix of 3 parts = 50.0 % sample 0, 50.0 % sample 1"
    assert plan.describe(1) == "unchanged"
