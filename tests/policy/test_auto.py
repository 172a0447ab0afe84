"""Automatic policies against torchvision's own tables, and how ops, signs and bins are drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms import autoaugment as v1
from torchvision.transforms import v2

from mixwell._errors import PolicyError
from mixwell.plan import Code, Interp
from mixwell.policy import RandAugment, TrivialAugmentWide
from mixwell.policy.auto import OP_NAMES, RAND_AUGMENT, TRIVIAL_WIDE
from tests.oracles import policy as oracle
from tests.policy.cases import edit

CHANCE = 1e-6
SIGNED = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
ENHANCE = ("Brightness", "Color", "Contrast", "Sharpness")
POLICIES = {
    "RandAugment": (v2.RandAugment, v1.RandAugment, RAND_AUGMENT),
    "TrivialAugmentWide": (v2.TrivialAugmentWide, v1.TrivialAugmentWide, TRIVIAL_WIDE),
}
both = pytest.mark.parametrize(("theirs", "older", "levels"), POLICIES.values(), ids=POLICIES)


@both
def test_the_ops_are_torchvisions(theirs, older, levels):
    assert set(OP_NAMES) == set(theirs._AUGMENTATION_SPACE)


def physical(name: str, magnitudes: torch.Tensor) -> np.ndarray:
    """torchvision's magnitude as the number its transform uses."""
    values = magnitudes.double().numpy()
    if name in ENHANCE:
        return 1.0 + values
    if name.startswith("Translate"):
        return np.array([int(v) for v in values])
    return 255.0 * values if name == "Solarize" else values


@pytest.mark.parametrize("bins", [2, 10, 16, 31, 33])
@pytest.mark.parametrize("size_hw", [(224, 224), (32, 32), (331, 500), (662, 17), (17, 11)])
@both
def test_every_bin_is_torchvisions(theirs, older, levels, size_hw, bins):
    t = np.arange(bins) / (bins - 1)
    for name in OP_NAMES:
        make, signed = theirs._AUGMENTATION_SPACE[name]
        magnitudes = make(bins, *size_hw)
        ours = levels.of(name, t, np.ones(bins), np.full((bins, 2), size_hw))
        if magnitudes is None:
            assert not ours.any()
            continue
        expected = physical(name, magnitudes)
        if (theirs, bins, name[:9]) == (v2.TrivialAugmentWide, 31, "Translate"):
            # torch's linspace(0, 32, 31)[15] is 15.999999 in float32, which truncates to 15.
            assert (expected[15], ours[15]) == (15, 16)
            expected[15] = 16
        # torch computes its tables in float32
        np.testing.assert_allclose(ours, expected, rtol=3e-7, atol=2e-5, err_msg=name)
        mirrored = levels.of(name, t, -np.ones(bins), np.full((bins, 2), size_hw))
        centre = 1.0 if name in ENHANCE else 0.0
        expected = 2 * centre - ours if signed else ours
        np.testing.assert_allclose(mirrored, expected, rtol=0, atol=1e-12)
        assert signed == (name in SIGNED + ENHANCE)


@both
def test_both_generations_of_torchvision_agree(theirs, older, levels):
    """v1 writes Posterize and Solarize otherwise; the numbers are the same."""
    transform = older()
    args = (31, (224, 224)) if older is v1.RandAugment else (31,)
    table = transform._augmentation_space(*args)
    t, one = np.arange(31) / 30, np.ones(31)
    for name in ("Posterize", "Solarize", "Rotate", "ShearX"):
        ours = RAND_AUGMENT if older is v1.RandAugment else TRIVIAL_WIDE
        expected = table[name][0].double().numpy()
        np.testing.assert_allclose(
            ours.of(name, t, one, np.full((31, 2), 224)), expected, rtol=3e-7, atol=2e-5
        )


def test_magnitude_nine_is_what_people_mean_by_it():
    """mmdetection rounds to one decimal, so that its translation is only ever 0 or 0.1."""
    t, one, size = np.array([9 / 30]), np.ones(1), np.array([[224, 224]])
    level = {n: float(RAND_AUGMENT.of(n, t, one, size)[0]) for n in OP_NAMES}
    assert level["ShearX"] == pytest.approx(0.09)
    assert level["TranslateX"] == 30
    assert level["Rotate"] == pytest.approx(9)
    assert level["Color"] == pytest.approx(1.27)
    assert level["Posterize"] == 7
    assert level["Solarize"] == pytest.approx(178.5)


CODES = {
    Code.NOTHING: "Identity",
    Code.BRIGHTNESS: "Brightness",
    Code.SATURATION: "Color",
    Code.CONTRAST: "Contrast",
    Code.SHARPNESS: "Sharpness",
    Code.POSTERIZE: "Posterize",
    Code.SOLARIZE: "Solarize",
    Code.AUTOCONTRAST: "AutoContrast",
    Code.EQUALIZE: "Equalize",
}


def read(code: int, param: np.ndarray, size_hw=(200, 100)) -> tuple[str, float]:
    """Which op a slot does and with what level, from its code and matrix alone."""
    if code != Code.WARP:
        return CODES[Code(code)], float(param[0])
    m = param[:9].tolist()
    centre = size_hw[1] / 2, size_hw[0] / 2
    if m[0] == 1 and m[4] == 1 and m[1] == m[3] == 0:
        return ("TranslateX", -m[2]) if m[2] else ("TranslateY", -m[5])
    assert oracle.shown_from(m, centre) == pytest.approx(centre, abs=1e-9)
    if m[0] == 1 and m[4] == 1:
        return ("ShearX", m[1]) if m[1] else ("ShearY", m[3])
    return "Rotate", float(np.rad2deg(np.arctan2(m[3], m[0])))


def test_every_op_is_drawn_equally_often_with_either_sign():
    """The joint table: kornia and augmax had one of each alone right."""
    step = edit(RandAugment(1, 9), 12_000, (200, 100))
    counts: dict[tuple[str, int], int] = {}
    for code, param in zip(step.code[:, 0], step.param[:, 0], strict=True):
        name, level = read(int(code), param)
        sign = int(np.sign(level - (name in ENHANCE))) if name in SIGNED + ENHANCE else 0
        counts[name, sign] = counts.get((name, sign), 0) + 1
    assert {name for name, _ in counts} == set(OP_NAMES)
    expected = [12_000 / 14 / (2 if sign else 1) for _, sign in counts]
    assert len(counts) == 9 * 2 + 5
    assert stats.chisquare(list(counts.values()), expected).pvalue > CHANCE


def test_slots_of_one_image_are_drawn_independently_with_replacement():
    step = edit(RandAugment(2, 9), 12_000, (200, 100))
    names = np.array(
        [
            [OP_NAMES.index(read(int(c), p)[0]) for c, p in zip(cs, ps, strict=True)]
            for cs, ps in zip(step.code, step.param, strict=True)
        ]
    )
    cells = np.bincount(14 * names[:, 0] + names[:, 1], minlength=196)
    assert stats.chisquare(cells).pvalue > CHANCE


def test_rand_augment_uses_its_levels():
    step = edit(RandAugment(1, 9), 3000, (200, 100))
    t, one, size = np.array([9 / 30]), np.ones(1), np.array([[200, 100]])
    for code, param in zip(step.code[:, 0], step.param[:, 0], strict=True):
        name, level = read(int(code), param)
        expected = float(RAND_AUGMENT.of(name, t, one, size)[0])
        choices = (expected, (2 if name in ENHANCE else 0) - expected)
        assert any(level == pytest.approx(c) for c in choices[: 1 + (name in SIGNED + ENHANCE)])


def test_trivial_augment_draws_every_strength_equally_often():
    step = edit(TrivialAugmentWide(), 30_000, (200, 100))
    bins = [
        round(abs(level - 1) / 0.99 * 30)
        for name, level in (
            read(int(c), p)
            for c, p in zip(step.code[:, 0], step.param[:, 0], strict=True)
            if int(c) in (Code.BRIGHTNESS, Code.CONTRAST, Code.SATURATION, Code.SHARPNESS)
        )
    ]
    assert stats.chisquare(np.bincount(bins, minlength=31)).pvalue > CHANCE


def test_magnitude_zero_moves_nothing_and_the_top_bin_is_the_top():
    step = edit(RandAugment(1, 0), 400, (200, 100))
    warps = step.param[step.code == Code.WARP][:, :9]
    assert warps == pytest.approx(np.tile(np.eye(3).ravel(), (len(warps), 1)))
    assert edit(RandAugment(1, 30), 10).slots == 1


def test_interpolation_and_fill_are_of_the_geometric_ops_alone():
    step = edit(RandAugment(2, interp="bicubic", fill=(1, 2, 3)), 300)
    warps = step.code == Code.WARP
    assert (step.interp[warps] == Interp.BICUBIC).all() and not step.interp[~warps].any()
    assert (step.fill[warps][:, :3] == [1, 2, 3]).all() and not step.fill[~warps].any()


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: RandAugment(0), "RandAugment: num_ops must lie in 1 .. 64, got 0"),
        (lambda: RandAugment(2, 31), "RandAugment: magnitude must lie in 0 .. 30, got 31"),
        (lambda: RandAugment(2, -1), "RandAugment: magnitude must lie in 0 .. 30, got -1"),
        (lambda: RandAugment(2, 0, 1), "num_magnitude_bins must be at least 2, got 1"),
        (lambda: TrivialAugmentWide(1), "num_magnitude_bins must be at least 2, got 1"),
    ],
)
def test_fields_out_of_range_are_refused(make, rule):
    with pytest.raises(PolicyError) as error:
        make()
    assert rule in str(error.value)
