"""Automatic policies against torchvision's own tables, and how ops, signs and bins are drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms import autoaugment as v1
from torchvision.transforms import v2

from mixwell._errors import PolicyError
from mixwell.plan import Code, Edit, Interp
from mixwell.policy import Ramp, RandAugment, TrivialAugmentWide
from mixwell.policy.auto import FOURTEEN
from mixwell.policy.spaces.native import MIXWELL, WIDE
from tests.oracles import policy as oracle
from tests.policy.cases import edit

CHANCE = 1e-6
SIGNED = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
ENHANCE = ("Brightness", "Color", "Contrast", "Sharpness")
POLICIES = {
    "RandAugment": (v2.RandAugment, v1.RandAugment, MIXWELL),
    "TrivialAugmentWide": (v2.TrivialAugmentWide, v1.TrivialAugmentWide, WIDE),
}
both = pytest.mark.parametrize(("theirs", "older", "levels"), POLICIES.values(), ids=POLICIES)


@both
def test_the_ops_are_torchvisions(theirs, older, levels):
    assert set(FOURTEEN) == set(theirs._AUGMENTATION_SPACE)


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
    for name in FOURTEEN:
        make, signed = theirs._AUGMENTATION_SPACE[name]
        magnitudes = make(bins, *size_hw)
        ours = levels.entries[name].level(t, np.ones(bins), np.full((bins, 2), size_hw))
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
        mirrored = levels.entries[name].level(t, -np.ones(bins), np.full((bins, 2), size_hw))
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
        ours = MIXWELL if older is v1.RandAugment else WIDE
        expected = table[name][0].double().numpy()
        np.testing.assert_allclose(
            ours.entries[name].level(t, one, np.full((31, 2), 224)), expected, rtol=3e-7, atol=2e-5
        )


def test_magnitude_nine_is_what_people_mean_by_it():
    """mmdetection rounds to one decimal, so that its translation is only ever 0 or 0.1."""
    t, one, size = np.array([9 / 30]), np.ones(1), np.array([[224, 224]])
    level = {n: float(MIXWELL.entries[n].level(t, one, size)[0]) for n in FOURTEEN}
    assert level["ShearX"] == pytest.approx(0.09)
    assert level["TranslateX"] == 30
    assert level["Rotate"] == pytest.approx(9)
    assert level["Color"] == pytest.approx(1.27)
    assert level["Posterize"] == 7
    assert level["Solarize"] == pytest.approx(178.5)


CODES = {
    "Identity": Code.NOTHING,
    "Brightness": Code.BRIGHTNESS,
    "Color": Code.SATURATION,
    "Contrast": Code.CONTRAST,
    "Sharpness": Code.SHARPNESS,
    "Posterize": Code.POSTERIZE,
    "Solarize": Code.SOLARIZE,
    "AutoContrast": Code.AUTOCONTRAST,
    "Equalize": Code.EQUALIZE,
}
SIZE = (200, 100)
MANY = 120_000


def read(step: Edit) -> tuple[np.ndarray, np.ndarray]:
    """Which of the fourteen each slot does [N, K] and with what level, from its numbers alone.

    A warp that does not move, at strength 0, cannot be told from another and is -1.
    """
    which, level = np.full(step.code.shape, -1), step.param[..., 0].copy()
    for name, code in CODES.items():
        which[step.code == code] = FOURTEEN.index(name)
    m = step.param[..., :9]
    turn = np.rad2deg(np.arctan2(m[..., 3], m[..., 0]))
    straight = (m[..., 0] == 1) & (m[..., 4] == 1) & (step.code == Code.WARP)
    pure = straight & (m[..., 1] == 0) & (m[..., 3] == 0)
    for name, these, value in (
        ("TranslateX", pure & (m[..., 2] != 0), -m[..., 2]),
        ("TranslateY", pure & (m[..., 5] != 0), -m[..., 5]),
        ("ShearX", straight & (m[..., 1] != 0), m[..., 1]),
        ("ShearY", straight & (m[..., 3] != 0), m[..., 3]),
        ("Rotate", ~straight & (step.code == Code.WARP), turn),
    ):
        which[these], level[these] = FOURTEEN.index(name), value[these]
    still = pure & (m[..., 2] == 0) & (m[..., 5] == 0)
    assert ((which >= 0) | still).all()
    return which, level


def test_shears_and_rotations_turn_about_the_centre():
    step = edit(RandAugment(1, 9), 300, SIZE)
    which = read(step)[0][:, 0]
    centre = SIZE[1] / 2, SIZE[0] / 2
    for name in ("ShearX", "ShearY", "Rotate"):
        matrices = step.param[which == FOURTEEN.index(name), 0, :9].tolist()
        assert matrices
        for m in matrices:
            assert oracle.shown_from(m, centre) == pytest.approx(centre, abs=1e-9)


def test_every_op_is_drawn_equally_often_with_either_sign():
    """The joint table: kornia and augmax had one of each alone right."""
    which, level = (part[:, 0] for part in read(edit(RandAugment(1, 9), MANY, SIZE)))
    counts, expected = [], []
    for i, name in enumerate(FOURTEEN):
        signed = name in SIGNED + ENHANCE
        sign = np.sign(level - (name in ENHANCE)) if signed else np.ones_like(level)
        for s in (-1, 1) if signed else (1,):
            counts.append(int(((which == i) & (sign == s)).sum()))
            expected.append(MANY / 14 / (1 + signed))
    assert sum(counts) == MANY and len(counts) == 9 * 2 + 5
    assert stats.chisquare(counts, expected).pvalue > CHANCE


def test_slots_of_one_image_are_drawn_independently_with_replacement():
    which, level = read(edit(RandAugment(2, 9), MANY, SIZE))
    cells = np.bincount(14 * which[:, 0] + which[:, 1], minlength=196)
    assert stats.chisquare(cells).pvalue > CHANCE
    turned = (which == FOURTEEN.index("Rotate")).all(axis=1)
    signs = (level[turned] > 0) @ [2, 1]
    assert stats.chisquare(np.bincount(signs, minlength=4)).pvalue > CHANCE


def test_ops_of_neighbouring_images_have_nothing_to_do_with_each_other():
    which = read(edit(RandAugment(1, 9), MANY, SIZE))[0][:, 0]
    cells = np.bincount(14 * which[0::2] + which[1::2], minlength=196)
    assert stats.chisquare(cells).pvalue > CHANCE


def test_rand_augment_uses_its_levels():
    which, level = (part[:, 0] for part in read(edit(RandAugment(1, 9), 3000, SIZE)))
    t, one, size = np.array([9 / 30]), np.ones(1), np.array([SIZE])
    for i, name in enumerate(FOURTEEN):
        signs = (one, -one) if name in SIGNED + ENHANCE else (one,)
        choices = [float(MIXWELL.entries[name].level(t, s, size)[0]) for s in signs]
        found = level[which == i]
        apart = np.abs(found[:, None] - choices)
        assert (apart.min(axis=1) < 1e-9).all()
        assert (apart.min(axis=0) < 1e-9).all(), name  # and each occurs


def test_a_magnitude_that_changes_is_each_rows_own():
    """Rows of one batch stand at different times of the training."""
    time = np.linspace(0, 1, 500)
    op = RandAugment(2, Ramp(0, 30), ops=("Brightness",))
    step = edit(op, 500, SIZE, progress=time)
    found = np.abs(step.param[..., 0] - 1)
    np.testing.assert_allclose(found, np.stack([0.9 * time] * 2, axis=1), atol=1e-12)


def test_trivial_augment_draws_every_strength_equally_often():
    which, level = (part[:, 0] for part in read(edit(TrivialAugmentWide(), MANY, SIZE)))
    factors = np.isin(which, [FOURTEEN.index(name) for name in ENHANCE])
    bins = np.rint(np.abs(level[factors] - 1) / 0.99 * 30).astype(int)
    pairs = np.stack([which[factors], bins])
    _, counts = np.unique(pairs, axis=1, return_counts=True)
    assert len(counts) == 4 * 31 and stats.chisquare(counts).pvalue > CHANCE


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
        (lambda: RandAugment(2, 0, 10.5), "num_magnitude_bins must be at least 2, got 10.5"),
        (lambda: RandAugment(1.5), "num_ops must lie in 1 .. 64, got 1.5"),
        (lambda: RandAugment(2, Ramp(0, 31)), "magnitude must lie in 0 .. 30, got Ramp(0, 31)"),
        (lambda: TrivialAugmentWide(1), "num_magnitude_bins must be at least 2, got 1"),
    ],
)
def test_fields_out_of_range_are_refused(make, rule):
    with pytest.raises(PolicyError) as error:
        make()
    assert rule in str(error.value)
