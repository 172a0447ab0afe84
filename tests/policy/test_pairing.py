"""Who is mixed with whom: never a copy of oneself, or by class, whatever the batch."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import mixwell as mw
from mixwell._errors import PolicyError
from mixwell._rng import Draws, Keys, batch_derangement
from mixwell.plan import Mix
from mixwell.policy import (
    CutMix,
    Identity,
    MixUp,
    OneOf,
    OnViews,
    Policy,
    ResizeMix,
    Scheduled,
    Sometimes,
    TimmMixup,
)
from mixwell.policy.pairing import distinct_partners
from tests.oracles import sampler as oracle

CHANCE = 1e-6
both = pytest.mark.parametrize("kind", [MixUp, CutMix])


def paired(index, seed: int = 0, **more: int) -> np.ndarray:
    return distinct_partners(Draws(Keys(np.array(index), **more), seed, "/0"), "pairing", "MixUp")


def partners(op, index: np.ndarray, copy: np.ndarray | None = None) -> np.ndarray:
    keys = Keys(index, copy)
    (step,) = Policy(op).sample(np.full((len(index), 2), 8), keys=keys, seed=1).steps
    assert isinstance(step, Mix)
    return step.source[:, 1]


# ------------------------------------------------------------------------------- what it keeps


@given(st.lists(st.integers(0, 6), min_size=2, max_size=40), st.integers(0, 2**16))
def test_it_pairs_distinct_images_exactly_when_that_is_possible(index, step):
    """By Hall's theorem it is while no index fills more than half of the rows."""
    most = max(map(index.count, index))
    if 2 * most > len(index):
        with pytest.raises(PolicyError, match=rf"in {most} of {len(index)} rows"):
            paired(index, step=step)
        return
    found = paired(index, step=step)
    assert sorted(found.tolist()) == list(range(len(index)))
    assert all(index[i] != index[j] for i, j in enumerate(found))


@pytest.mark.parametrize("index", [[0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 2], [3, 3, 3, 1], [0, 0, 1]])
def test_the_bound_is_that_of_trying_everything(index):
    """Half of the rows and no row more, against all permutations."""
    possible = bool(oracle.distinct_pairings(index))
    assert possible == (2 * max(map(index.count, index)) <= len(index))
    if possible:
        assert tuple(paired(index).tolist()) in oracle.distinct_pairings(index)
    else:
        with pytest.raises(PolicyError):
            paired(index)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    "index",
    [
        np.repeat([0, 1], 512),
        np.r_[np.zeros(512, int), np.arange(1, 513)],
        np.repeat(np.arange(32), 32),
        np.repeat(np.arange(342), 3)[:1024],
    ],
    ids=["two halves", "half of one", "32 of 32", "three each"],
)
def test_large_batches_that_are_hard_to_pair(index, seed):
    found = paired(index, seed)
    assert np.array_equal(np.sort(found), np.arange(1024))
    assert (index[found] != index).all()


@both
def test_ops_use_it(kind):
    index, copy = np.repeat(np.arange(40), 3), np.tile(np.arange(3), 40)
    found = partners(kind(pairing="distinct"), index, copy)
    assert (index[found] != index).all()
    assert (index[partners(kind(pairing="roll"), index, copy)] == index).mean() > 0.6
    both_of = OneOf(MixUp(pairing="distinct"), CutMix(pairing="distinct"))
    assert (index[partners(both_of, index, copy)] != index).all()


def test_it_is_keyed_by_the_batch():
    index = np.repeat(np.arange(20), 3)
    base = paired(index)
    assert np.array_equal(paired(index), base)
    for other in ({"step": 1}, {"rank": 1}, {"epoch": 1}, {"seed": 1}):
        assert not np.array_equal(paired(index, **other), base)


# --------------------------------------------------------------------------------- its chances


@pytest.mark.parametrize("n", [2, 3, 7, 64])
def test_without_repeats_it_is_the_derangement(n):
    """Bit for bit, so uniform, as tests/test_rng.py shows."""
    index = np.arange(n)[::-1] * 5
    for step in range(20):
        draws = Draws(Keys(index, step=step), 0, "/0")
        assert np.array_equal(paired(index, step=step), batch_derangement(draws, "pairing", n))
    a, b = (partners(MixUp(pairing=p), index) for p in ("distinct", "derangement"))
    assert np.array_equal(a, b)


def test_its_law_is_that_of_repaired_permutations():
    """Each of the 80 pairings of a a b b c c, with the exact chances of an enumeration."""
    index = [0, 0, 1, 1, 2, 2]
    law = oracle.repaired_law(index)
    assert set(law) == set(oracle.distinct_pairings(index)) and sum(law.values()) == 1
    count = dict.fromkeys(law, 0)
    for step in range(8000):
        count[tuple(paired(index, step=step).tolist())] += 1
    expected = [8000 * float(law[p]) for p in count]
    assert stats.chisquare(list(count.values()), expected).pvalue > CHANCE


def test_its_bias_is_what_the_documentation_says():
    index = [0, 0, 1, 1, 2, 2]
    law = oracle.repaired_law(index)
    assert sum(abs(c - Fraction(1, len(law))) for c in law.values()) / 2 == Fraction(29, 405)
    for i in range(6):
        for j in range(6):
            meets = sum(c for p, c in law.items() if p[i] == j)
            assert meets == (0 if index[i] == index[j] else Fraction(1, 4))


# ----------------------------------------------------------------------------------- too many


@both
def test_one_image_in_more_than_half_of_the_rows_is_refused_with_the_cure(kind):
    op = kind(pairing="distinct")
    with pytest.raises(PolicyError) as error:
        partners(op, np.array([7, 7, 2, 7, 3]))
    assert str(error.value) == (
        f'{kind.__name__}: pairing="distinct" mixes no image with its own copies, so one image may '
        "fill at most half of the batch, got image 7 in 3 of 5 rows. Use larger batches, or "
        'pairing="dataset"; for a short last batch, drop_last=True on the DataLoader or '
        f"Sometimes({kind.__name__}(...), min_batch=2 * repeats, p=1.0)."
    )
    assert partners(Sometimes(op, min_batch=6, p=1.0), np.array([7, 7, 2, 7, 3])).tolist() != []


@pytest.mark.parametrize("start", [0, 1, 2])
def test_six_rows_of_an_order_with_three_repeats_are_always_enough(start):
    """What the cure above says: twice the repeats."""
    index = np.repeat(np.arange(4), 3)[start : start + 6]
    assert (index[paired(index)] != index).all()


# ------------------------------------------------------------------------------------- classes


def by_class(pairing: str, classes: list[int], step: int = 0) -> np.ndarray:
    """Each row's partner, read from a plan of MixUp."""
    n = len(classes)
    plan = Policy(MixUp(pairing=pairing)).sample(
        np.full((n, 2), 4), keys=Keys(np.arange(n), step=step), labels=np.array(classes)
    )
    return plan.steps[0].source[:, 1]


@pytest.mark.parametrize("step", range(5))
def test_partners_of_the_same_class(step):
    classes = [3, 1, 3, 3, 7, 1, 3, 9]
    other = by_class("same_class", classes, step)
    assert sorted(other.tolist()) == list(range(8))
    for row, partner in enumerate(other.tolist()):
        assert classes[partner] == classes[row]
        assert (partner == row) == (classes.count(classes[row]) == 1)


def test_partners_of_the_same_class_are_uniform():
    counts = np.zeros((4, 4))
    for step in range(1200):
        other = by_class("same_class", [2, 5, 2, 2, 2, 5], step)
        for a, row in enumerate((0, 2, 3, 4)):
            counts[a, (0, 2, 3, 4).index(int(other[row]))] += 1
    assert (np.diag(counts) == 0).all()
    for row in range(4):
        assert stats.chisquare(np.delete(counts[row], row)).pvalue > 1e-6


@pytest.mark.parametrize("step", range(5))
def test_partners_of_another_class(step):
    classes = [0, 0, 0, 1, 1, 2]
    other = by_class("different_class", classes, step)
    assert sorted(other.tolist()) == list(range(6))
    assert all(classes[partner] != classes[row] for row, partner in enumerate(other.tolist()))


def test_pairings_by_class_say_what_they_need():
    with pytest.raises(PolicyError, match="fill at most half of the batch, got class 4 in 3 of 5"):
        by_class("different_class", [4, 4, 4, 1, 2])
    for pairing in ("same_class", "different_class"):
        with pytest.raises(PolicyError, match="needs the images' classes while sampling, got none"):
            Policy(MixUp(pairing=pairing)).sample(np.full((4, 2), 4), keys=Keys(np.arange(4)))
    with pytest.raises(PolicyError, match="labels for sampling must be 4 class numbers"):
        Policy(MixUp()).sample(np.full((4, 2), 4), keys=Keys(np.arange(4)), labels=np.zeros((4, 2)))


def test_augment_gives_the_classes():
    augment = mw.Augment(Policy(CutMix(pairing="same_class")), num_classes=3)
    images = torch.zeros(6, 3, 8, 8, dtype=torch.uint8)
    for labels in (torch.tensor([0, 1, 2, 0, 1, 2]), np.array([0, 1, 2, 0, 1, 2])):
        _, target = augment(images, labels)
        assert (np.asarray(target).max(axis=1) == 1).all()
    with pytest.raises(PolicyError, match="needs the images' classes"):
        augment(images, torch.eye(3).repeat(2, 1))


def test_labels_of_unlike_images_are_mixed():
    """From the labels to the targets: each row's two classes differ."""
    augment = mw.Augment(Policy(MixUp(pairing="different_class")), num_classes=3)
    images = torch.zeros(6, 3, 8, 8, dtype=torch.uint8)
    _, target = augment(images, torch.tensor([0, 1, 2, 0, 1, 0]))
    assert ((target > 0).sum(dim=1) == 2).all()


# ------------------------------------------------------------------------------- one image alone


@pytest.mark.parametrize(
    "op",
    [
        MixUp(p=0.001),
        MixUp(),
        CutMix(p=0.5, lam="batch"),
        Sometimes(MixUp(), p=0.3),
        OneOf(MixUp(), Identity(), p=0.3),
        OneOf(MixUp(pairing="dataset"), Sometimes(CutMix(), p=0.3)),
        Scheduled(MixUp(), stop=0.5, p=0.3),
        Scheduled(ResizeMix(), p=0.3),
        Sometimes(TimmMixup(), p=0.3),
    ],
    ids=repr,
)
def test_one_image_is_refused_whatever_is_drawn(op):
    """Not by luck: a training must not break at the end of its tenth epoch."""
    for index in range(12):
        keys = Keys(np.array([index]), progress=0.25)
        with pytest.raises(PolicyError, match=r'at least 2 images .* \w+\(pairing="dataset"\)'):
            Policy(op).sample(
                np.full((1 + op.extra, 2), 4), keys=keys, partners=np.ones((1, op.extra), int)
            )


@pytest.mark.parametrize(
    "op",
    [
        MixUp(p=0.0),
        Sometimes(MixUp(), min_batch=2, p=1.0),
        Scheduled(MixUp(), start=0.5),
        Sometimes(MixUp(), p=0.0),
        OnViews(MixUp(), views=(1,), of=2),
        Identity(),
    ],
    ids=repr,
)
def test_one_image_is_fine_where_nothing_can_happen_to_it(op):
    plan = Policy(op).sample(np.full((1, 2), 4), keys=Keys(np.array([7]), progress=0.25))
    assert plan.sources()[1][0, 0] == 1
