"""Levels: what each op writes into the plan, and how its parameters are distributed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from mixwell._errors import PolicyError
from mixwell.plan import Code
from mixwell.policy import (
    AutoContrast,
    Brightness,
    ColorJitter,
    Contrast,
    Equalize,
    GaussianBlur,
    GaussianNoise,
    Grayscale,
    Hue,
    Invert,
    Posterize,
    Saturation,
    Sharpness,
    Solarize,
)
from tests.policy.cases import edit

CHANCE = 1e-6
N = 4000

RANGES = {
    "brightness": (Brightness((0.25, 1.5)), Code.BRIGHTNESS, 0.25, 1.5),
    "contrast": (Contrast((0.0, 2.0)), Code.CONTRAST, 0.0, 2.0),
    "saturation": (Saturation((0.5, 0.75)), Code.SATURATION, 0.5, 0.75),
    "sharpness": (Sharpness((0.1, 1.9)), Code.SHARPNESS, 0.1, 1.9),
    "hue": (Hue((-0.25, 0.5)), Code.HUE, -0.25, 0.5),
    "hue, one number": (Hue(0.2), Code.HUE, -0.2, 0.2),
    "solarize": (Solarize((64, 256)), Code.SOLARIZE, 64, 256),
    "blur": (GaussianBlur((0.5, 2.0), kernel_size=9), Code.BLUR, 0.5, 2.0),
    "noise": (GaussianNoise((0.0, 0.3)), Code.NOISE, 0.0, 0.3),
}


@pytest.mark.parametrize(("op", "code", "low", "high"), RANGES.values(), ids=RANGES)
def test_a_range_is_drawn_uniformly(op, code, low, high):
    step = edit(op, N)
    assert (step.code == code).all()
    values = step.param[:, 0, 0]
    assert stats.kstest(values, "uniform", (low, high - low)).pvalue > CHANCE
    assert values.min() >= low and values.max() < high


@pytest.mark.parametrize(
    ("op", "code", "value"),
    [
        (Brightness(1.3), Code.BRIGHTNESS, 1.3),
        (Contrast(0), Code.CONTRAST, 0),
        (Saturation(0.5), Code.SATURATION, 0.5),
        (Sharpness(2), Code.SHARPNESS, 2),
        (Solarize(128), Code.SOLARIZE, 128),
        (Posterize(3), Code.POSTERIZE, 3),
        (GaussianBlur(1.5), Code.BLUR, 1.5),
        (GaussianNoise(0.1), Code.NOISE, 0.1),
    ],
    ids=repr,
)
def test_one_number_is_used_as_it_is(op, code, value):
    step = edit(op, 5)
    assert (step.code == code).all() and (step.param[:, 0, 0] == value).all()


@pytest.mark.parametrize(
    ("op", "code"),
    [
        (Invert(), Code.INVERT),
        (AutoContrast(), Code.AUTOCONTRAST),
        (Equalize(), Code.EQUALIZE),
        (Grayscale(), Code.GRAYSCALE),
    ],
    ids=repr,
)
def test_ops_without_parameters_write_their_code_alone(op, code):
    step = edit(op, 3)
    assert (step.code == code).all() and not step.param.any()


def test_posterize_draws_whole_bits_both_ends_included():
    bits = edit(Posterize((2, 6)), N).param[:, 0, 0]
    values, counts = np.unique(bits, return_counts=True)
    assert values.tolist() == [2, 3, 4, 5, 6]
    assert stats.chisquare(counts).pvalue > CHANCE


@pytest.mark.parametrize(("sigma", "size"), [(0.1, 3), (1.0, 7), (1.1, 9), (2.0, 13), (40.0, 241)])
def test_a_blurs_kernel_reaches_three_sigma(sigma, size):
    assert edit(GaussianBlur(sigma)).param[0, 0, 1] == size
    assert edit(GaussianBlur(sigma, kernel_size=5)).param[0, 0, 1] == 5


def test_each_row_has_its_own_noise():
    keys = edit(GaussianNoise(), 50).key[:, 0]
    assert len({tuple(k) for k in keys.tolist()}) == 50
    std = edit(GaussianNoise((0.0, 1.0)), 50).param[:, 0, 0]
    again = edit(GaussianNoise((0.0, 1.0)), 50)
    assert np.array_equal(again.key[:, 0], keys) and np.array_equal(again.param[:, 0, 0], std)


JITTER = ColorJitter(0.4, (0.5, 2.0), 2.0, 0.1)
SPANS = {
    Code.BRIGHTNESS: (0.6, 1.4),
    Code.CONTRAST: (0.5, 2.0),
    Code.SATURATION: (0.0, 3.0),
    Code.HUE: (-0.1, 0.1),
}


def test_color_jitter_does_all_four_in_every_order_equally_often():
    codes = edit(JITTER, 6000).code.tolist()
    number = {order: i for i, order in enumerate(itertools.permutations(SPANS))}
    which = [number[tuple(Code(c) for c in row)] for row in codes]
    assert stats.chisquare(np.bincount(which, minlength=24)).pvalue > CHANCE


@pytest.mark.parametrize("code", SPANS)
def test_color_jitter_draws_each_part_uniformly(code):
    step = edit(JITTER, N)
    low, high = SPANS[code]
    values = step.param[..., 0][step.code == code]
    assert len(values) == N
    assert stats.kstest(values, "uniform", (low, high - low)).pvalue > CHANCE


def test_color_jitters_parts_and_order_are_independent():
    step = edit(JITTER, N)
    place = (step.code == Code.BRIGHTNESS).argmax(axis=1)
    parts = [step.param[..., 0][step.code == code] for code in SPANS]
    related = np.corrcoef([place, *parts]) - np.eye(5)
    assert np.abs(related).max() < 5 / np.sqrt(N)


def test_color_jitter_leaves_out_what_is_not_asked():
    step = edit(ColorJitter(brightness=0.2, hue=0.1), 200)
    used = [sorted(c for c in row if c) for row in step.code.tolist()]
    assert used == [[Code.BRIGHTNESS, Code.HUE]] * 200
    assert not edit(ColorJitter(), 5).code.any()
    assert not edit(ColorJitter(brightness=(1.0, 1.0)), 5).code.any()


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: Brightness(-0.1), "Brightness: factor must be ordered within 0.0 .. 10000.0"),
        (lambda: Contrast((1.0, 0.5)), "Contrast: factor must be ordered within"),
        (lambda: Saturation((0, 1, 2)), "Saturation: factor must be a number or (low, high)"),
        (lambda: Sharpness(("a", "b")), "Sharpness: factor must be a number or (low, high)"),
        (lambda: Hue(0.6), "Hue: shift must be ordered within -0.5 .. 0.5, got 0.6"),
        (lambda: ColorJitter(hue=0.7), "ColorJitter: hue must be ordered within"),
        (lambda: ColorJitter(contrast=-1), "ColorJitter: contrast must be ordered within"),
        (lambda: Posterize(9), "Posterize: bits must be ordered within 0 .. 8, got 9"),
        (lambda: Posterize(2.5), "Posterize: bits must be whole numbers, got 2.5"),
        (lambda: Solarize(300), "Solarize: threshold must be ordered within 0 .. 256"),
        (lambda: GaussianBlur(0), "GaussianBlur: sigma must be ordered within 0.001 .. 40.0"),
        (lambda: GaussianBlur(1, kernel_size=4), "kernel_size must be odd, 1 .. 255 px, got 4"),
        (lambda: GaussianNoise(1.5), "GaussianNoise: std must be ordered within 0.0 .. 1.0"),
        (lambda: Brightness(float("nan")), "Brightness: factor must be ordered within"),
    ],
)
def test_fields_out_of_range_are_refused(make, rule):
    with pytest.raises(PolicyError) as error:
        make()
    assert rule in str(error.value)
