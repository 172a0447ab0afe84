"""FMix and SmoothMix: their masks against the papers' words, and what labels say of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mixwell._errors import PolicyError
from mixwell._rng import Draws
from mixwell.plan import Mix, MixMode, Plan
from mixwell.policy import FMix, OneOf, Policy, SmoothMix
from mixwell.policy.masks import cut, noise_field, spectrum
from tests.oracles import masks as oracle
from tests.policy.cases import keys, mix, sample

CHANCE = 1e-6
BOTH = pytest.mark.parametrize("op", [FMix(), SmoothMix(), SmoothMix(shape="square")], ids=repr)
SMALL = [(1, 1), (1, 9), (9, 1), (2, 2), (5, 7), (8, 6), (7, 8)]


def own(step: Mix) -> np.ndarray:
    """float64 [B, H, W]: the own image's weight at each pixel."""
    assert step.mask is not None
    through = step.mask / 32768
    own_first = (step.mode[:, 0] == MixMode.MASK)[:, None, None]
    return np.where(own_first, through, 1 - through)


# ------------------------------------------------------------------------------ noise and cuts


def coefficients(words: np.ndarray, height: int, width: int) -> dict[tuple[int, int], complex]:
    """The normal pairs behind a field, by the transform's numbering, scaled as `spectrum` is."""
    shape = spectrum(height, width, 0.0).shape
    unit = (words[: 2 * shape[0] * shape[1]].astype(np.float64) + 0.5) / 2**32
    pairs = np.sqrt(-2 * np.log(unit[0::2])) * np.exp(2j * np.pi * unit[1::2])
    found: dict[tuple[int, int], complex] = {}
    for place, value in enumerate(pairs.reshape(-1)):
        ky, kx = divmod(place, shape[1])
        ky = (ky - shape[0] // 2) % height
        halved = height % 2 == 0 and ky == height // 2  # met from both ends
        found[ky, kx] = found.get((ky, kx), 0) + value * (0.5 if halved else 1)
    return found


@pytest.mark.parametrize("decay", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("size_hw", SMALL)
def test_the_noise_is_the_papers(size_hw, decay):
    words = np.random.default_rng(3).integers(0, 2**32, (1, 4096), dtype=np.uint32)
    field = noise_field(words, size_hw, decay)[0]
    want = np.array(oracle.low_frequency_image(coefficients(words[0], *size_hw), *size_hw, decay))
    assert (field == np.rint(field)).all()
    scale = np.abs(want).max() / max(np.abs(field).max(), 1)
    # Coefficients and cosines are rounded to 2**-16 each, and at most 40 terms are added.
    np.testing.assert_allclose(field * scale, want, atol=2e-3 * np.abs(want).max())


def test_frequencies_beyond_sixteen_waves_hold_little():
    """With the paper's decay, what is left out is about 2**-16 of the power."""
    full = spectrum(96, 96, 1.0)  # nothing is left out
    assert full.shape == (97, 49)
    assert spectrum(96, 96, 3.0).shape == (33, 17)
    y, x = np.arange(-48, 49)[:, None], np.arange(49)
    power = np.maximum(np.hypot(y, x), 1.0) ** -6 * np.where(x == 0, 1, 2)
    kept = (abs(y) <= 16) & (x <= 16)
    assert power[~kept].sum() / power.sum() < 2.0**-15


def test_noise_adds_up_exactly_in_any_order():
    """Sums of whole numbers below 2**53: the order, the batch and the processor do not matter."""
    words = np.random.default_rng(5).integers(0, 2**32, (5, 4096), dtype=np.uint32)
    whole = noise_field(words, (30, 41), 3.0)
    for row in range(5):
        assert np.array_equal(noise_field(words[row : row + 1], (30, 41), 3.0)[0], whole[row])
    assert np.abs(whole).max() < 2**52


@pytest.mark.parametrize("soft", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("lam", [0.0, 0.004, 0.3, 0.5, 0.77, 0.996, 1.0])
def test_a_cut_is_the_papers(lam, soft):
    rng = np.random.default_rng(1)
    for image in (rng.normal(size=(1, 6, 9)), rng.integers(0, 3, (1, 6, 9)).astype(float)):
        found = cut(image, np.array([[lam, 1 - lam]]), soft)[0] / 32768
        want = np.array(oracle.binarised(image[0].tolist(), lam, soft))
        assert np.abs(found - want).max() <= 0.5 / 32768
        assert found.mean() == pytest.approx(round(lam * 54) / 54, abs=0.5 / 32768)


# ------------------------------------------------------------------------------------- FMix


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_fmixs_share_is_lambda(alpha):
    count = 1500
    plan = sample(FMix(alpha), count, (16, 16))
    share = plan.sources()[1][:, 0]
    lam = Draws(keys(count), 1).child(0).beta("lam", alpha, alpha)[:, 0]
    assert np.abs(share - lam).max() <= 0.5 / 256
    law = stats.beta(alpha, alpha)
    inner = share[(share > 0.02) & (share < 0.98)]
    low, high = law.cdf([0.02, 0.98])
    spread = law.cdf(inner + np.random.default_rng(0).uniform(-0.5, 0.5, len(inner)) / 256) - low
    assert stats.kstest(np.clip(spread / (high - low), 0, 1), "uniform").pvalue > CHANCE


def test_fmixs_masks_are_smooth_regions():
    """White noise has as many borders as pixels; low frequencies have few."""

    def borders(op):
        mask = own(mix(op, 40, (64, 64)))
        inner = np.abs(mask.mean(axis=(1, 2)) - 0.5) < 0.3
        return np.abs(np.diff(mask[inner], axis=2)).mean()

    assert borders(FMix()) < 0.05 < 0.3 < borders(FMix(decay_power=0.0))


def test_fmixs_masks_are_hard_unless_asked():
    assert set(np.unique(own(mix(FMix(), 20)))) == {0.0, 1.0}
    assert len(np.unique(own(mix(FMix(max_soft=0.4), 20)))) > 50


def test_fmixs_masks_lie_anywhere():
    """Over many images every pixel is the own image's as often as any other: toroidal noise has
    no place of its own."""
    mask = own(mix(FMix(8.0), 3000, (9, 12)))
    chances = [stats.binomtest(int(v), 3000, mask.mean()).pvalue for v in mask.sum(0).ravel()]
    assert min(chances) > CHANCE


# --------------------------------------------------------------------------------- SmoothMix


@pytest.mark.parametrize("shape", ["circle", "square"])
@pytest.mark.parametrize("size_hw", [*SMALL, (24, 20)])
def test_smoothmixs_masks_are_the_papers(size_hw, shape):
    step = mix(SmoothMix((0.2, 0.6), shape), 6, size_hw)
    draws = Draws(keys(6), 1).child(0)
    sigma = (0.2 + 0.4 * draws.uniform("sigma")) * min(size_hw)
    y, x = (draws.uniform(f"centre {a}") * size_hw[i] for i, a in enumerate("yx"))
    for row in range(6):
        want = oracle.smooth(*size_hw, y[row], x[row], sigma[row], shape == "square")
        assert np.abs(1 - own(step)[row] - np.array(want)).max() <= 0.5 / 32768 + 1e-12


def test_smoothmixs_sigma_and_point_spread_over_their_ranges():
    draws = Draws(keys(3000), 1).child(0)
    for name in ("sigma", "centre x", "centre y"):
        assert stats.kstest(draws.uniform(name), "uniform").pvalue > CHANCE
    share = sample(SmoothMix(), 500).sources()[1][:, 1]
    assert 0.05 < share.min() < share.max() < 0.8


# -------------------------------------------------------------------------------------- both


@BOTH
@pytest.mark.parametrize("size_hw", SMALL)
def test_labels_are_the_masks_means(op, size_hw):
    plan = sample(op, 7, size_hw)
    (step,) = plan.steps
    assert isinstance(step, Mix) and step.mask is not None
    assert plan.sources()[1][:, 0] == pytest.approx(own(step).mean(axis=(1, 2)), abs=1e-12)
    assert (step.shares().sum(axis=1) == 1).all()


@BOTH
def test_masks_belong_to_the_image(op):
    """Not to the step, nor to the other members of the batch."""
    base = own(mix(op, 12))
    assert np.array_equal(own(mix(op, 12, step=5, rank=1)), base)
    assert np.array_equal(own(mix(op, 4, start=8)), base[8:])
    assert not np.array_equal(own(mix(op, 12, epoch=7)), base)
    assert len({m.tobytes() for m in base}) == 12


@BOTH
def test_masks_may_be_shared(op):
    pair = type(op)(lam="pair", pairing="flip")
    mask = own(mix(pair, 6))
    assert np.array_equal(mask, mask[::-1]) and not np.array_equal(mask[0], mask[1])
    batch = own(mix(type(op)(lam="batch"), 6))
    assert (batch == batch[:1]).all()
    assert not np.array_equal(batch, own(mix(type(op)(lam="batch"), 6, step=3)))


@BOTH
def test_pairs_of_several_sizes(op):
    sizes = np.array([(24, 20), (6, 30), (6, 30), (24, 20)])
    flipped = type(op)(pairing="flip")
    plan = Policy(flipped).sample(sizes, keys=keys(4), seed=1)
    (step,) = plan.steps
    assert isinstance(step, Mix) and step.mask is not None
    assert step.mask.shape == (4, 24, 30)
    alone = Policy(flipped).sample(sizes[1:3], keys=keys(2, start=1), seed=1).steps[0]
    assert isinstance(alone, Mix) and alone.mask is not None
    assert np.array_equal(alone.mask, step.mask[1:3, :6])
    with pytest.raises(PolicyError, match="needs images of one size"):
        Policy(type(op)(pairing="roll")).sample(sizes, keys=keys(4))


@BOTH
def test_a_plan_holds_masks_only_where_they_are_used(op):
    plan = sample(type(op)(p=0.3), 30)
    (step,) = plan.steps
    assert isinstance(step, Mix) and step.mask is not None
    idle = ~step.masked.any(axis=1)
    assert 5 < idle.sum() < 30 and not step.mask[idle].any()
    kept = plan[np.flatnonzero(idle)].steps[0]
    assert isinstance(kept, Mix) and kept.mask is None
    one = sample(OneOf(op, type(op)(p=0.0)), 30).steps[0]
    assert isinstance(one, Mix) and 5 < one.masked.any(axis=1).sum() < 25


@BOTH
def test_plans_say_what_they_are(op):
    assert "2 mask mix" in repr(sample(op, 2, (40, 40)))


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: FMix(0.0), "FMix: alpha must lie in 0.01 .. 1000, got 0.0"),
        (lambda: FMix(decay_power=11), "FMix: decay_power must lie in 0 .. 10, got 11"),
        (lambda: FMix(max_soft=0.6), "FMix: max_soft must lie in 0 .. 0.5, got 0.6"),
        (lambda: FMix(share=1.5), "FMix: share must lie in 0 .. 1, or be None, got 1.5"),
        (lambda: FMix(lam="elem"), 'FMix: lam: "image", "pair" or "batch", got \'elem\''),
        (lambda: SmoothMix((0.5, 0.2)), "SmoothMix: sigma must be ordered within 0.01 .. 4"),
        (lambda: SmoothMix(shape="star"), 'SmoothMix: shape: "circle" or "square", got \'star\''),
        (lambda: SmoothMix(pairing="x"), "SmoothMix: pairing must be one of"),
    ],
)
def test_fields_out_of_range_are_refused(make, rule):
    with pytest.raises(PolicyError) as error:
        make()
    assert rule in str(error.value)


@BOTH
def test_an_odd_batch_and_a_single_image(op):
    assert isinstance(sample(op, 7), Plan)
    with pytest.raises(PolicyError, match="needs at least 2 images in the batch, got 1"):
        sample(op, 1)
