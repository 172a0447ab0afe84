"""MixUp and CutMix: who is mixed with whom, by how much, and where."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mixwell._errors import PolicyError
from mixwell._rng import Draws, Keys
from mixwell.plan import Mix, MixMode
from mixwell.policy import CutMix, MixUp, OneOf, Policy, Resize, Sometimes
from tests.oracles import policy as oracle
from tests.policy.cases import keys, mix, sample

CHANCE = 1e-6
both = pytest.mark.parametrize("kind", [MixUp, CutMix])
every_pairing = pytest.mark.parametrize("pairing", ["derangement", "roll", "flip", "random"])


def own_share(op, n: int, size_hw=(24, 20), **more) -> np.ndarray:
    return sample(op, n, size_hw, **more).sources()[1][:, 0]


# ---------------------------------------------------------------------------------- partners


@pytest.mark.parametrize("n", [2, 3, 4, 7, 64])
@every_pairing
@both
def test_everybody_gives_once(kind, pairing, n):
    source = mix(kind(pairing=pairing), n).source
    assert source[:, 0].tolist() == list(range(n))
    assert sorted(source[:, 1].tolist()) == list(range(n))


@both
def test_pairings_are_what_they_are_called(kind):
    assert mix(kind(pairing="roll"), 5).source[:, 1].tolist() == [4, 0, 1, 2, 3]
    assert mix(kind(pairing="flip"), 5).source[:, 1].tolist() == [4, 3, 2, 1, 0]
    deranged = np.array([mix(kind(), 5, step=s).source[:, 1] for s in range(60)])
    assert (deranged != np.arange(5)).all() and len(np.unique(deranged, axis=0)) > 20
    drawn = np.array([mix(kind(pairing="random"), 5, step=s).source[:, 1] for s in range(60)])
    assert (drawn == np.arange(5)).any() and len(np.unique(drawn, axis=0)) > 30


@both
def test_partners_depend_on_the_step_and_the_rank(kind):
    base = mix(kind(), 32).source
    assert np.array_equal(mix(kind(), 32, start=100).source, base)  # not on the samples
    for other in ({"step": 1}, {"rank": 1}, {"epoch": 1}, {"seed": 2}):
        assert not np.array_equal(mix(kind(), 32, **other).source, base)


@both
def test_an_odd_batch_has_no_outsider(kind):
    """timm asserts an even batch."""
    plan = sample(kind(), 7)
    assert (plan.steps[0].source[:, 1] != np.arange(7)).all()
    own = sample(kind(pairing="flip"), 7).sources()
    assert own[0][3].tolist() == [3, 3] and own[1][3].sum() == pytest.approx(1)


@both
def test_one_image_alone_is_refused_with_the_cure(kind):
    with pytest.raises(PolicyError) as error:
        sample(kind(), 1)
    assert str(error.value) == (
        f"{kind.__name__} needs at least 2 images in the batch, got 1. Set drop_last=True on the "
        f"DataLoader, use Sometimes({kind.__name__}(...), min_batch=2, p=1.0), or take partners "
        f'from the data set: {kind.__name__}(pairing="dataset").'
    )
    policy = Policy(Resize((8, 8)), Sometimes(kind(), min_batch=2, p=1.0))
    assert sample(policy, 1).sources()[1].tolist() == [[1.0, 0.0]]
    assert (sample(policy, 2).sources()[1][:, 0] < 1).any()


@both
def test_images_of_two_sizes_are_refused_with_the_cure(kind):
    sizes = np.array([(24, 20), (24, 20), (30, 20)])
    with pytest.raises(PolicyError) as error:
        Policy(kind(pairing="roll")).sample(sizes, keys=keys(3))
    assert str(error.value) == (
        f"{kind.__name__} needs images of one size, got 24x20 px in row 0 and 30x20 px in its "
        'partner, row 2. Put Resize((height, width)) or a crop before it, or set sizes="any".'
    )
    assert len(Policy(Resize((8, 8)), kind(pairing="roll")).sample(sizes, keys=keys(3))) == 3


@both
def test_pairs_of_equals_may_differ_from_other_pairs_in_size(kind):
    sizes = np.array([(24, 20), (30, 10), (30, 10), (24, 20)])
    plan = Policy(kind(pairing="flip")).sample(sizes, keys=keys(4))
    assert np.array_equal(plan.out_hw, sizes)


# ------------------------------------------------------------------------------------ lambda


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_mixups_share_is_lambda(alpha):
    share = own_share(MixUp(alpha), 6000)
    assert (share * 65536 == np.rint(share * 65536)).all()
    # whole multiples of 1/65536 put some mass of Beta(0.2, 0.2) exactly onto 0 and 1
    inner = share[(share > 0.01) & (share < 0.99)]
    law = stats.beta(alpha, alpha)
    low, high = law.cdf([0.01, 0.99])
    assert stats.kstest((law.cdf(inner) - low) / (high - low), "uniform").pvalue > CHANCE
    assert stats.binomtest(len(inner), 6000, high - low).pvalue > CHANCE


@pytest.mark.parametrize("op", [MixUp(0.4), CutMix(1.0)])
def test_every_image_has_a_lambda_of_its_own(op):
    base = own_share(op, 64)
    assert len(set(base.tolist())) > 40
    # keyed by the image: neither the batch's step nor its other members matter
    assert np.array_equal(own_share(op, 64, step=5), base)
    assert np.array_equal(own_share(op, 32, start=32), base[32:])


@pytest.mark.parametrize("kind", [MixUp, CutMix])
@pytest.mark.parametrize("n", [2, 7, 64])
def test_mutual_partners_share_one_lambda(kind, n):
    plan = sample(kind(lam="pair", pairing="flip"), n)
    own = plan.sources()[1][:, 0]
    for i in range(n):
        assert own[i] == own[n - 1 - i]
    assert len(set(own[: n // 2].tolist())) >= min(n // 2, 20)
    first = own_share(kind(pairing="flip"), n)
    assert np.array_equal(own[: n // 2], first[: n // 2])  # keyed by the one that stands first
    if kind is CutMix:
        rect = plan.steps[0].rect_px[:, 1]
        assert np.array_equal(rect, rect[::-1])


def test_in_other_pairings_a_pair_is_keyed_by_whoever_stands_first():
    plan = sample(MixUp(lam="pair", pairing="roll"), 9)
    alone = own_share(MixUp(pairing="roll"), 9)
    first = [min(i, j) for i, j in plan.steps[0].source.tolist()]
    assert np.array_equal(plan.sources()[1][:, 0], alone[first])


@pytest.mark.parametrize("op", [MixUp(lam="batch"), CutMix(lam="batch")])
def test_a_batch_may_share_one_lambda(op):
    shares = [own_share(op, 16, step=step) for step in range(300)]
    assert all(len(set(share.tolist())) == 1 for share in shares)
    assert len({share[0] for share in shares}) > 100
    assert np.array_equal(own_share(op, 16, start=50), own_share(op, 16))
    steps = [mix(op, 16, step=step) for step in range(5)]
    assert all((m.rect_px == m.rect_px[:1]).all() for m in steps)


@pytest.mark.parametrize("lam", ["image", "pair", "batch"])
@both
def test_chance_is_drawn_as_lambda_is(kind, lam):
    op = kind(lam=lam, pairing="flip", p=0.5)
    mixed = np.array([mix(op, 40, step=s, epoch=s).mode[:, 1] > 0 for s in range(100)])
    if lam == "batch":
        assert (mixed == mixed[:, :1]).all()
        hits, tries = int(mixed[:, 0].sum()), 100
    else:
        assert lam != "pair" or (mixed == mixed[:, ::-1]).all()
        half = mixed[:, :20]
        hits, tries = int(half.sum()), half.size
        assert not (mixed == mixed[:, :1]).all()
    assert stats.binomtest(hits, tries, 0.5).pvalue > CHANCE


def test_chance_says_nothing_about_lambda():
    step = mix(MixUp(p=0.5), 8000)
    happens = step.mode[:, 1] == MixMode.ADD
    assert stats.kstest(step.weight[happens, 0], "uniform").pvalue > CHANCE
    assert stats.binomtest(int(happens.sum()), 8000, 0.5).pvalue > CHANCE


# ------------------------------------------------------------------------------------ pixels


def test_mixup_adds_two_whole_images():
    step = mix(MixUp(0.4), 20)
    assert (step.mode == MixMode.ADD).all()
    assert (step.rect_px == [0, 0, 20, 24]).all() and not step.offset_px.any()
    assert (step.units().sum(axis=1) == 65536).all()
    assert (step.units() == step.weight.astype(np.float64) * 65536).all()


def drawn(op: CutMix, n: int, size_hw) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lambda and the centre that a CutMix draws, by its draws' names."""
    draws = Draws(keys(n), 1).child(0)
    lam = draws.beta("lam", op.alpha, op.alpha)[:, 0]
    x, y = (draws.uniform(f"centre {a}") * size_hw[s] for a, s in (("x", 1), ("y", 0)))
    return lam, x, y


@pytest.mark.parametrize("alpha", [0.3, 1.0])
@pytest.mark.parametrize("size_hw", [(24, 20), (17, 11), (224, 160), (1, 1)])
def test_cutmix_boxes_are_rounded_and_cut_off(size_hw, alpha):
    op = CutMix(alpha)
    step = mix(op, 300, size_hw)
    for row, (lam, x, y) in enumerate(zip(*drawn(op, 300, size_hw), strict=True)):
        assert tuple(step.rect_px[row, 1].tolist()) == oracle.cut_mixed(size_hw, lam, x, y)
    assert (step.mode == [MixMode.ADD, MixMode.PASTE]).all()
    assert not step.offset_px.any()


@pytest.mark.parametrize("size_hw", [(24, 20), (17, 11)])
def test_cutmix_labels_are_the_pixels(size_hw):
    """Keras's differ by up to 6 %, kornia's lambda is inverted."""
    plan = sample(CutMix(), 400, size_hw)
    for rect, shares in zip(plan.steps[0].rect_px[:, 1], plan.sources()[1], strict=True):
        x0, y0, x1, y1 = rect.tolist()
        pasted = (x1 - x0) * (y1 - y0) / (size_hw[0] * size_hw[1])
        assert shares.tolist() == pytest.approx([1 - pasted, pasted], abs=1e-15)


def test_cutmix_boxes_lie_anywhere():
    """kornia gives the whole batch one place."""
    step = mix(CutMix(), 5000, (200, 200))
    x0, y0, x1, y1 = np.moveaxis(step.rect_px[:, 1], -1, 0)
    inner = (x0 > 0) & (y0 > 0) & (x1 < 200) & (y1 < 200)
    assert len(np.unique(step.rect_px[:, 1], axis=0)) > 4900
    _, x, y = drawn(CutMix(), 5000, (200, 200))
    assert stats.kstest(x, "uniform", (0, 200)).pvalue > CHANCE
    centre = ((x0 + x1) / 2)[inner]
    assert np.abs(centre - x[inner]).max() <= 1
    assert np.abs(((y0 + y1) / 2)[inner] - y[inner]).max() <= 1


def test_what_is_not_cut_off_has_the_share_of_lambda():
    step = mix(CutMix(), 4000, (200, 200))
    lam, x, y = drawn(CutMix(), 4000, (200, 200))
    half = 100 * np.sqrt(1 - lam)
    inner = (x > half) & (x < 200 - half) & (y > half) & (y < 200 - half)
    shares = step.shares()[inner, 1]
    assert np.abs(np.sqrt(shares) - np.sqrt(1 - lam[inner])).max() <= 1 / 200
    assert inner.sum() > 300


def test_one_of_two_mixes_gives_whole_rows_of_either():
    step = mix(OneOf(MixUp(0.8), CutMix(1.0)), 3000)
    kinds = step.mode[:, 1]
    assert set(kinds.tolist()) == {MixMode.ADD, MixMode.PASTE}
    assert stats.binomtest(int((kinds == MixMode.ADD).sum()), 3000, 0.5).pvalue > CHANCE
    assert (step.shares().sum(axis=1) == 1).all()


def test_repeated_augmentation_does_not_pair_an_image_with_its_copy_by_design():
    """Roll pairs neighbours: with repeats side by side, two thirds are pairs with oneself."""
    index, copy = np.repeat(np.arange(40), 3), np.tile(np.arange(3), 40)
    for op, most in ((MixUp(), 0.1), (MixUp(pairing="flip"), 0.1)):
        plan = Policy(op).sample(np.full((120, 2), 8), keys=Keys(index, copy), seed=1)
        step = plan.steps[0]
        assert isinstance(step, Mix)
        assert (index[step.source[:, 1]] == index).mean() < most


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: MixUp(0.0), "MixUp: alpha must lie in 0.01 .. 1000, got 0.0"),
        (lambda: CutMix(2000), "CutMix: alpha must lie in 0.01 .. 1000, got 2000"),
        (lambda: MixUp(lam="elem"), 'MixUp: lam: "image", "pair" or "batch", got \'elem\''),
        (lambda: CutMix(pairing="shuffle"), "CutMix: pairing must be one of ('derangement'"),
    ],
)
def test_fields_out_of_range_are_refused(make, rule):
    with pytest.raises(PolicyError) as error:
        make()
    assert rule in str(error.value)


# ------------------------------------------------------------------------- parts of the batch


@pytest.mark.parametrize("n", [0, 2, 7, 64])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
@both
def test_a_share_of_the_batch_is_exact(kind, share, n):
    for step in range(5):
        done = mix(kind(share=share), n, step=step).mode[:, 1] != MixMode.SKIP
        assert done.sum() == round(share * n)


def test_the_share_that_is_mixed_is_drawn_for_each_batch():
    done = np.array([mix(MixUp(share=0.5), 10, step=s).mode[:, 1] > 0 for s in range(600)])
    assert len(np.unique(done, axis=0)) > 150
    assert min(stats.binomtest(int(v), 600, 0.5).pvalue for v in done.sum(axis=0)) > CHANCE
    assert np.array_equal(mix(MixUp(share=0.5), 10, start=90).mode, mix(MixUp(share=0.5), 10).mode)


def test_share_and_chance_hold_together():
    done = [(mix(MixUp(share=0.5, p=0.5), 40, epoch=e).mode[:, 1] > 0).sum() for e in range(100)]
    assert max(done) < 20 and stats.binomtest(int(sum(done)), 2000, 0.5).pvalue > CHANCE


# ------------------------------------------------------------------------------ other boxes


@pytest.mark.parametrize("size_hw", [(200, 100), (17, 11), (1, 1)])
def test_minmax_draws_both_sides_and_stays_inside(size_hw):
    step = mix(CutMix(minmax=(0.2, 0.8)), 2000, size_hw)
    x0, y0, x1, y1 = np.moveaxis(step.rect_px[:, 1].astype(int), -1, 0)
    for low, high, length in ((y0, y1, size_hw[0]), (x0, x1, size_hw[1])):
        side = high - low
        assert side.min() >= max(round(0.2 * length), 1) and side.max() <= max(
            round(0.8 * length), 1
        )
        assert low.min() >= 0 and high.max() <= length
        if length >= 100:
            assert (
                stats.kstest(
                    (side + np.random.default_rng(0).uniform(-0.5, 0.5, 2000)),
                    "uniform",
                    (0.2 * length, 0.6 * length),
                ).pvalue
                > CHANCE
            )
            at = (low + np.random.default_rng(1).uniform(0, 1, 2000)) / (length - side + 1)
            assert stats.kstest(at, "uniform").pvalue > CHANCE
    if size_hw == (200, 100):
        assert abs(stats.spearmanr(y1 - y0, x1 - x0)[0]) < 0.12  # drawn on their own
    assert np.array_equal(step.labelled(), step.shares())


def test_a_label_may_be_lambda_and_the_check_notices():
    op, true = CutMix(label="lambda"), CutMix()
    plan, honest = sample(op, 300), sample(true, 300)
    lam, *_ = drawn(op, 300, (24, 20))
    said, seen = plan.sources()[1], honest.sources()[1]
    assert np.abs(said[:, 0] - lam).max() <= 0.5 / 65536
    assert (said.sum(axis=1) == 1).all()
    assert np.array_equal(plan.steps[0].rect_px, honest.steps[0].rect_px)
    assert np.array_equal(plan.steps[0].shares(), honest.steps[0].shares())
    assert np.abs(said - seen).max() > 0.1
    from mixwell.preview import measured_shares

    part = plan[:6]
    table = np.zeros((6, part.rows))
    np.add.at(table, (np.arange(6)[:, None], part.sources()[0]), part.sources()[1])
    assert np.abs(table - measured_shares(part)).max() > 0.01


def test_a_label_may_be_lambda_beside_true_ones():
    plan = sample(OneOf(CutMix(label="lambda"), MixUp()), 60)
    step = plan.steps[0]
    assert isinstance(step, Mix) and step.label is not None
    added = step.mode[:, 1] == MixMode.ADD
    assert (step.label[added] == -1).all() and (step.label[~added] >= 0).all()
    assert np.array_equal(plan.sources()[1][added], step.shares()[added])


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: CutMix(label="box"), 'CutMix: label: "area" or "lambda", got \'box\''),
        (lambda: CutMix(minmax=(0.8, 0.2)), "CutMix: minmax must be ordered within 0 .. 1"),
        (lambda: CutMix(minmax=0.3), "CutMix: minmax must be (low, high), got 0.3"),
        (lambda: CutMix(minmax=(0.2, 0.8), label="lambda"), "minmax draws no lambda to label by"),
        (lambda: MixUp(share=2), "MixUp: share must lie in 0 .. 1, or be None, got 2"),
    ],
)
def test_more_fields_out_of_range_are_refused(make, rule):
    with pytest.raises(PolicyError) as error:
        make()
    assert rule in str(error.value)
