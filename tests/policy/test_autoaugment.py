"""AutoAugment, and what RandAugment and its kin can be told, against torchvision's tables and
plain arithmetic."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from scipy import stats
from torchvision.transforms import v2

from mixwell._errors import PolicyError
from mixwell._rng import Keys
from mixwell.plan.steps import Code, Edit, Interp
from mixwell.policy import (
    AutoAugment,
    Policy,
    RandAugment,
    TrivialAugment,
    TrivialAugmentWide,
    UniformAugment,
)
from mixwell.policy.auto import FOURTEEN
from mixwell.policy.spaces import SPACES
from mixwell.policy.tables import TABLES
from mixwell.policy.text import from_code
from tests.oracles import auto as oracle

MANY = 100_000
CHANCE = 1e-6
CODES = {
    "Brightness": Code.BRIGHTNESS,
    "Color": Code.SATURATION,
    "Contrast": Code.CONTRAST,
    "Sharpness": Code.SHARPNESS,
    "Posterize": Code.POSTERIZE,
    "Solarize": Code.SOLARIZE,
    "AutoContrast": Code.AUTOCONTRAST,
    "Equalize": Code.EQUALIZE,
    "Invert": Code.INVERT,
    "Identity": Code.NOTHING,
}


def drawn(op, count: int = MANY, size=(64, 64), **more) -> Edit:
    keys = Keys(np.arange(count), **more)
    (step,) = Policy(op).sample(np.full((count, 2), size), keys=keys).steps
    return step


def names_of(edit: Edit) -> list[str]:
    """The ops of each row in a word, where only `CODES` were drawn: "Invert+Identity"."""
    table = {int(code): name for name, code in CODES.items()}
    return ["+".join(table[c] for c in row) for row in edit.code.tolist()]


def assert_same_law(ours: list[str], theirs: list[str]) -> None:
    """Two samples of words come from one law, and no word is ours alone."""
    cells = sorted(set(theirs))
    assert set(ours) <= set(cells)
    table = [[words.count(c) for c in cells] for words in (ours, theirs)]
    assert stats.chi2_contingency(table).pvalue > CHANCE


def word(drawn: list) -> str:
    return "+".join("Identity" if op is None else op[0] for op in drawn)


# ------------------------------------------------------------------------------- AutoAugment


def test_a_published_policy_is_drawn_as_its_paper_says():
    """The CIFAR-10 table, op by op against the scalar loop; warps count as one op."""
    edit = drawn(AutoAugment("cifar10"), 60_000)
    rng = random.Random(3)
    theirs = [oracle.auto_augment(rng, TABLES["cifar10"], 9) for _ in range(60_000)]
    table = {int(code): name for name, code in CODES.items()} | {int(Code.WARP): "Warp"}
    moving = {"Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY"}
    warps = ["+".join(table[c] for c in row) for row in edit.code.tolist()]
    assert_same_law(
        warps,
        [
            "+".join("Identity" if o is None else "Warp" if o[0] in moving else o[0] for o in d)
            for d in theirs
        ],
    )


@pytest.mark.parametrize("which", list(v2.AutoAugmentPolicy), ids=lambda p: p.value)
def test_the_tables_are_the_published_ones(which):
    theirs = v2.AutoAugment(which)._policies
    ours = TABLES[which.value]
    assert ours == tuple(tuple((n, p, float(m or 0)) for n, p, m in sub) for sub in theirs)
    assert len(ours) == 25


def test_sub_policies_are_drawn_evenly_and_whole():
    """Each sub-policy of this table leaves marks of its own."""
    table = tuple(
        ((first, 1.0, 5), (second, 1.0, 5))
        for first, second in (
            ("Brightness", "Color"),
            ("Contrast", "Sharpness"),
            ("Posterize", "Solarize"),
        )
    )
    edit = drawn(AutoAugment(table), 30_000)
    pairs = {}
    for a, b in edit.code.tolist():
        pairs[a, b] = pairs.get((a, b), 0) + 1
    wanted = {(CODES[a[0]], CODES[b[0]]) for a, b in table}
    assert set(pairs) == wanted
    assert stats.chisquare(list(pairs.values())).pvalue > CHANCE


def test_both_chances_are_drawn_apart():
    edit = drawn(AutoAugment(((("Invert", 0.3, 0), ("Equalize", 0.8, 0)),)))
    first, second = edit.code[:, 0] == Code.INVERT, edit.code[:, 1] == Code.EQUALIZE
    table = [[(first == a) & (second == b) for b in (0, 1)] for a in (0, 1)]
    counts = np.array([[cell.sum() for cell in row] for row in table])
    wanted = np.outer([0.7, 0.3], [0.2, 0.8]) * MANY
    assert stats.chisquare(counts.ravel(), wanted.ravel()).pvalue > CHANCE


def test_whether_and_which_way_are_drawn_apart():
    """augmax drew both from one number: only negative rotations were ever applied."""
    edit = drawn(AutoAugment(((("Brightness", 0.5, 9), ("Color", 0.5, 9)),)))
    there = edit.code[:, 0] == Code.BRIGHTNESS
    brighter = edit.param[there, 0, 0] > 1
    assert stats.binomtest(int(brighter.sum()), int(there.sum())).pvalue > CHANCE
    both = there & (edit.code[:, 1] == Code.SATURATION)
    signs = edit.param[both, 0, 0] > 1, edit.param[both, 1, 0] > 1
    counts = [(signs[0] == a) & (signs[1] == b) for a in (0, 1) for b in (0, 1)]
    assert stats.chisquare([c.sum() for c in counts]).pvalue > CHANCE


def test_levels_are_those_of_ten_bins():
    for magnitude, wanted in ((0, 0.0), (3, 0.3), (9, 0.9), (4.5, 0.45)):
        edit = drawn(AutoAugment(((("Contrast", 1.0, magnitude),),)), 100)
        np.testing.assert_allclose(np.abs(edit.param[:, 0, 0] - 1), wanted, atol=1e-12)
    edit = drawn(AutoAugment(((("Contrast", 1.0, 5),),), num_magnitude_bins=11), 100)
    np.testing.assert_allclose(np.abs(edit.param[:, 0, 0] - 1), 0.45, atol=1e-12)


def test_ragged_tables():
    table = (
        (("Invert", 1.0, 0),),
        (("Equalize", 1.0, 0), ("Invert", 1.0, 0), ("Equalize", 1.0, 0)),
    )
    edit = drawn(AutoAugment(table), 1000)
    assert edit.slots == 3
    short = edit.code[:, 0] == Code.INVERT
    assert (edit.code[short, 1:] == Code.NOTHING).all()
    assert (edit.code[~short] == (Code.EQUALIZE, Code.INVERT, Code.EQUALIZE)).all()


# ---------------------------------------------------------------------------------- magnitudes


@pytest.mark.parametrize("replace", [True, False])
def test_all_options_at_once_against_the_loop(replace):
    """The joint law of three ops, and the law of their magnitudes in each place."""
    names, weights = ("Brightness", "Color", "Contrast", "Sharpness"), (4, 3, 2, 1)
    options = {"op_p": 0.6, "weights": weights, "replace": replace}
    op = RandAugment(3, 6, 11, ops=names, magnitude_std=2.0, magnitude_max=9, **options)
    count, rng = 30_000, random.Random(5)
    edit = drawn(op, count)
    theirs = [oracle.rand_augment(rng, names, 3, 6, 9, std=2.0, **options) for _ in range(count)]
    assert_same_law(names_of(edit), [word(d) for d in theirs])
    for k in range(3):
        there = edit.code[:, k] != Code.NOTHING
        found = np.abs(edit.param[there, k, 0] - 1) / 0.9 * 10
        expected = [d[k][1] for d in theirs if d[k] is not None]
        assert stats.ks_2samp(found.round(9), np.round(expected, 9)).pvalue > CHANCE
        middle = found[(found > 1e-6) & (found < 9 - 1e-6)]
        law = [oracle.clipped_normal(x, 6, 2, 9) for x in (0, 9 - 1e-9)]
        inner = [(oracle.clipped_normal(x, 6, 2, 9) - law[0]) / (law[1] - law[0]) for x in middle]
        assert stats.kstest(inner, "uniform").pvalue > CHANCE


@pytest.mark.parametrize("most", [None, 7])
def test_noise_is_normal_and_cut_off(most):
    op = RandAugment(1, 6, 11, ops=("Brightness",), magnitude_std=2.0, magnitude_max=most)
    magnitude = np.abs(drawn(op).param[:, 0, 0] - 1) / 0.9 * 10
    top = 10 if most is None else most
    law = stats.norm(6, 2)
    for at, chance in ((0, law.cdf(0)), (top, law.sf(top))):
        mass = np.isclose(magnitude, at, atol=1e-9).mean()
        assert abs(mass - chance) < 6 * math.sqrt(chance * (1 - chance) / MANY) + 1e-9
    inner = magnitude[(magnitude > 1e-6) & (magnitude < top - 1e-6)]
    cut = stats.truncnorm(-3, (top - 6) / 2, 6, 2)
    assert stats.kstest(inner, cut.cdf).pvalue > CHANCE


def test_a_uniform_magnitude():
    op = RandAugment(1, 8, 11, ops=("Brightness",), magnitude_std="uniform")
    magnitude = np.abs(drawn(op).param[:, 0, 0] - 1) / 0.9 * 10
    assert stats.kstest(magnitude, stats.uniform(0, 8).cdf).pvalue > CHANCE


def test_each_op_of_an_image_has_its_own_noise():
    op = RandAugment(2, 5, 11, ops=("Brightness",), magnitude_std=1.0)
    edit = drawn(op, 20_000)
    a, b = (np.abs(edit.param[:, k, 0] - 1) for k in (0, 1))
    assert abs(np.corrcoef(a, b)[0, 1]) < 6 / math.sqrt(20_000)


def test_levels_that_do_not_increase():
    """The table of the first implementations, by hand."""
    size = np.array([[64, 64]])
    entries = SPACES["mixwell-nonincreasing"].entries
    for m in range(31):
        for name in ("Posterize", "Solarize"):
            found = entries[name].level(np.array([m / 30]), np.array([1.0]), size)
            assert found == oracle.upside_down(name, m, 30)
    for level, factor, bits, threshold in ((0, 0.1, 0, 0), (5, 1.0, 2, 128), (10, 1.9, 4, 256)):
        t, sign = np.array([level / 10]), np.array([-1.0])
        for name in ("Brightness", "Color", "Contrast", "Sharpness"):
            assert entries[name].level(t, sign, size) == pytest.approx(factor)
        assert entries["Posterize"].level(t, sign, size) == bits
        assert entries["Solarize"].level(t, sign, size) == threshold
    edit = drawn(RandAugment(1, 10, 11, ops=("Posterize",), increasing=False), 10)
    assert (edit.param[:, 0, 0] == 4).all()


# ------------------------------------------------------------------------------- which ops


def test_chance_of_each_op():
    edit = drawn(RandAugment(2, ops=("Invert", "Equalize"), op_p=0.3))
    codes = [Code.NOTHING, Code.INVERT, Code.EQUALIZE]
    counts = [((edit.code == (a, b)).all(axis=1)).sum() for a in codes for b in codes]
    wanted = np.outer([0.7, 0.15, 0.15], [0.7, 0.15, 0.15]).ravel() * MANY
    assert stats.chisquare(counts, wanted).pvalue > CHANCE


def test_weights():
    op = RandAugment(1, ops=("Invert", "Equalize", "AutoContrast"), weights=(1, 0, 3))
    code = drawn(op).code[:, 0]
    counts = [(code == CODES[name]).sum() for name in op.names]
    assert counts[1] == 0
    assert stats.chisquare([counts[0], counts[2]], [MANY / 4, MANY * 3 / 4]).pvalue > CHANCE


def test_without_replacement_in_order():
    """Successive draws: P(a, b) = w[a] * w[b] / (1 - w[a])."""
    weights = np.array([0.5, 0.3, 0.2])
    op = RandAugment(
        2, ops=("Invert", "Equalize", "AutoContrast"), weights=(5, 3, 2), replace=False
    )
    edit = drawn(op)
    counts, wanted = [], []
    for i, a in enumerate(op.names):
        for j, b in enumerate(op.names):
            found = ((edit.code[:, 0] == CODES[a]) & (edit.code[:, 1] == CODES[b])).sum()
            if i == j:
                assert found == 0
                continue
            counts.append(found)
            wanted.append(weights[i] * weights[j] / (1 - weights[i]) * MANY)
    assert stats.chisquare(counts, wanted).pvalue > CHANCE


def test_all_ops_without_replacement_are_a_permutation():
    ops = ("Invert", "Equalize", "AutoContrast")
    edit = drawn(RandAugment(3, ops=ops, replace=False), 6000)
    assert (np.sort(edit.code, axis=1) == sorted(CODES[name] for name in ops)).all()
    _, counts = np.unique(edit.code, axis=0, return_counts=True)
    assert len(counts) == 6 and stats.chisquare(counts).pvalue > CHANCE


def test_interpolation_is_drawn_for_each_op():
    op = RandAugment(2, 9, ops=("Rotate",), interp="random")
    interp = drawn(op).interp
    kinds = (Interp.BILINEAR, Interp.BICUBIC)
    counts = [((interp[:, 0] == a) & (interp[:, 1] == b)).sum() for a in kinds for b in kinds]
    assert sum(counts) == MANY and stats.chisquare(counts).pvalue > CHANCE


# ---------------------------------------------------------------------- the ones without knobs


def test_uniform_augment():
    """A uniform chance is one half on average, and strengths are spread evenly."""
    edit = drawn(UniformAugment(space="mixwell-nonincreasing"))
    idle = (edit.code == Code.NOTHING).mean(axis=0)
    wanted = 0.5 + 0.5 / 15  # identity is one of the space's fifteen
    assert np.abs(idle - wanted).max() < 6 * 0.5 / math.sqrt(MANY)
    for k in (0, 1):
        factor = edit.param[edit.code[:, k] == Code.BRIGHTNESS, k, 0]
        assert stats.kstest(factor, stats.uniform(0.1, 1.8).cdf).pvalue > CHANCE
    busy = edit.code != Code.NOTHING
    both = busy.all(axis=1).mean()
    assert abs(both - (1 - wanted) ** 2) < 6 * 0.5 / math.sqrt(MANY)


def test_uniform_augment_against_the_loop():
    """The paper's sixteen ops; those with a small strength show what the loop shows."""
    space = SPACES["mixwell-uniform"]
    assert set(space.names) == {*FOURTEEN, "Invert", "Cutout"}
    count, rng = 60_000, random.Random(7)
    edit = drawn(UniformAugment(), count)
    moving = {"Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY"}

    def shown(op) -> str:
        if op is None or (op[0] == "Cutout" and int(op[1] * 0.2 * 64) < 2):
            return "Identity"
        return "Warp" if op[0] in moving else op[0]

    table = {int(code): name for name, code in CODES.items()}
    table |= {int(Code.WARP): "Warp", int(Code.ERASE): "Cutout"}
    ours = ["+".join(table[c] for c in row) for row in edit.code.tolist()]
    loop = [oracle.uniform_augment(rng, space.names, 2) for _ in range(count)]
    assert_same_law(ours, ["+".join(map(shown, d)) for d in loop])


@pytest.mark.parametrize(
    "op",
    [
        RandAugment(1, 9, ops=("Brightness",), op_p=0.5, p=0.3),
        AutoAugment(((("Brightness", 0.5, 9),),), p=0.3),
        UniformAugment(1, p=0.3),
    ],
)
def test_the_chance_of_the_op_is_not_the_chance_within_it(op):
    """Population-based schedules once asked both questions with one number."""
    edit = drawn(op)
    busy = (edit.code != Code.NOTHING).mean()
    idle = (1 + 2 / (0.2 * 64)) / 16 if isinstance(op, UniformAugment) else 0
    wanted = 0.3 * 0.5 * (1 - idle)
    assert abs(busy - wanted) < 6 * math.sqrt(wanted * (1 - wanted) / MANY)


@pytest.mark.parametrize(("op", "px"), [(TrivialAugment(), 10), (TrivialAugmentWide(), 32)])
def test_the_narrow_and_the_wide_space_reach_as_far_as_the_paper_says(op, px):
    edit = drawn(op, 40_000)
    factor = edit.param[edit.code[:, 0] == Code.BRIGHTNESS, 0, 0]
    reach = 0.9 if px == 10 else 0.99
    assert factor.max() == pytest.approx(1 + reach) and factor.min() == pytest.approx(1 - reach)
    warps = edit.param[edit.code[:, 0] == Code.WARP, 0, :9].reshape(-1, 3, 3)
    pure = warps[(warps[:, :2, :2] == np.eye(2)).all(axis=(1, 2))]
    assert np.abs(pure[:, :2, 2]).max() == px
    bits = edit.param[edit.code[:, 0] == Code.POSTERIZE, 0, 0]
    assert (bits.min(), bits.max()) == ((4, 8) if px == 10 else (2, 8))


def test_empty_and_single_batches():
    for op in (AutoAugment(), UniformAugment(), TrivialAugment(), RandAugment(replace=False)):
        assert drawn(op, 0).rows == 0
        assert drawn(op, 1, (1, 1)).rows == 1


def test_tables_print_and_round_trip():
    op = AutoAugment(((("Invert", 0.5, 0), ("Rotate", 1.0, 2.5)), (("ShearX", 0.9, 9),)))
    policy = Policy(op, AutoAugment("svhn", magnitude_std="uniform"))
    assert from_code(repr(policy)) == policy == Policy.from_toml(policy.to_toml())


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: AutoAugment("mnist"), "table must be one of imagenet, cifar10, svhn"),
        (lambda: AutoAugment(()), "table needs a sub-policy"),
        (lambda: AutoAugment(((),)), "a sub-policy needs an op"),
        (lambda: AutoAugment(((("Invert", 0.5),),)), "a table holds (op, chance, magnitude)"),
        (lambda: AutoAugment(((("Blur", 0.5, 1),),)), "ops must be among"),
        (lambda: AutoAugment(((("Invert", 1.5, 1),),)), "the chance of Invert must lie in 0 .. 1"),
        (lambda: AutoAugment(((("Rotate", 1, 10),),)), "magnitude of Rotate must lie in 0 .. 9"),
        (lambda: AutoAugment(magnitude_std=-1), 'magnitude_std must be bins >= 0, or "uniform"'),
        (lambda: AutoAugment(((("Invert", 1, None),),)), "0 .. 9 (0 where it has no levels)"),
        (lambda: AutoAugment(3), "table must be a tuple, got 3"),
        (lambda: AutoAugment("v0"), "ops must be among"),
        (lambda: AutoAugment(magnitude_max=0), "magnitude_max must be bins > 0, or None"),
        (lambda: AutoAugment(magnitude_max=10), "at most 9, where the levels of 'mixwell' end"),
        (lambda: RandAugment(magnitude_max=31), "at most 30, where the levels of 'mixwell' end"),
        (lambda: RandAugment(magnitude_std=math.nan), "magnitude_std must be bins >= 0"),
        (lambda: AutoAugment(space="theirs"), "No space is called 'theirs'"),
        (lambda: RandAugment(ops=("Blur",)), "ops must name some of"),
        (lambda: RandAugment(ops=()), "ops must name at least one"),
        (lambda: RandAugment(ops="Rotate"), "ops must be a tuple of names, or None"),
        (lambda: RandAugment(weights=(1, 2)), "weights: one >= 0 for each of 14 ops"),
        (lambda: RandAugment(weights=3), "weights: one >= 0 for each of 14 ops"),
        (lambda: RandAugment(weights=(0,) * 14), "weights: one >= 0 for each of 14 ops"),
        (lambda: RandAugment(weights=(math.inf,) * 14), "weights: one >= 0 for each of 14"),
        (lambda: RandAugment(weights=(1,) * 13 + ("1",)), "weights: one >= 0 for each of 14"),
        (lambda: RandAugment(op_p=2), "op_p must lie in 0 .. 1"),
        (lambda: RandAugment(15, replace=False), "without replacement there are 14"),
        (lambda: RandAugment(space="mixwell-wide", increasing=False), "No space is called"),
        (lambda: UniformAugment(0), "num_ops must lie in 1 .. 64"),
        (lambda: UniformAugment(1.5), "num_ops must lie in 1 .. 64"),
        (lambda: TrivialAugment(1), "num_magnitude_bins must be at least 2"),
    ],
)
def test_wrong_fields_are_refused(make, rule):
    with pytest.raises(PolicyError) as error:
        make()
    assert rule in str(error.value)
