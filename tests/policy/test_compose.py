"""Ops made of ops, and the times at which they happen."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mixwell._errors import PolicyError
from mixwell.plan import Code, MixMode
from mixwell.policy import (
    Brightness,
    CutMix,
    Equalize,
    Hue,
    Identity,
    Invert,
    MixUp,
    OneOf,
    Policy,
    Resize,
    Rotate,
    Scheduled,
    Sequential,
    Solarize,
    Sometimes,
)
from tests.policy.cases import edit, mix, sample

CHANCE = 1e-6
N = 6000


def codes(op, n: int = N, **more) -> np.ndarray:
    return edit(op, n, **more).code[:, 0]


@pytest.mark.parametrize("weights", [None, (1.0, 1.0, 1.0), (3, 1, 4), (1.0, 0.0, 1.0)])
def test_one_of_follows_its_weights(weights):
    op = OneOf(Invert(), Equalize(), Identity(), weights=weights)
    counts = [int((codes(op) == c).sum()) for c in (Code.INVERT, Code.EQUALIZE, Code.NOTHING)]
    assert sum(counts) == N
    shares = np.array(weights or (1, 1, 1)) / sum(weights or (1, 1, 1))
    assert all(c == 0 for c, s in zip(counts, shares, strict=True) if s == 0)
    used = shares > 0
    assert stats.chisquare(np.array(counts)[used], N * shares[used]).pvalue > CHANCE


def test_which_says_nothing_about_how_much():
    step = edit(OneOf(Brightness((0, 1)), Hue((0.0, 0.5))), N)
    for code, most in ((Code.BRIGHTNESS, 1.0), (Code.HUE, 0.5)):
        values = step.param[step.code == code][:, 0]
        assert stats.kstest(values, "uniform", (0, most)).pvalue > CHANCE


def test_parts_of_one_of_keep_their_own_chance():
    op = OneOf(Invert(p=0.25), Equalize(), p=0.5)
    counts = [int((codes(op) == c).sum()) for c in (Code.INVERT, Code.EQUALIZE, Code.NOTHING)]
    expected = N * np.array([0.5 * 0.5 * 0.25, 0.25, 0.5 + 0.5 * 0.5 * 0.75])
    assert stats.chisquare(counts, expected).pvalue > CHANCE


def test_one_of_resizing_ops_gives_each_row_its_size():
    plan = sample(OneOf(Resize((8, 8)), Sequential(Resize((5, 6)), Invert())), 40)
    assert {tuple(v) for v in plan.out_hw.tolist()} == {(8, 8), (5, 6)}


@pytest.mark.parametrize("outer", [0.5, 1.0])
@pytest.mark.parametrize("inner", [0.25, 1.0])
def test_chances_multiply(outer, inner):
    """kornia applied one probability twice."""
    hits = int((codes(Sometimes(Invert(p=inner), p=outer)) > 0).sum())
    assert stats.binomtest(hits, N, outer * inner).pvalue > CHANCE


def test_p_and_sometimes_have_equal_chances():
    for op in (Invert(p=0.3), Sometimes(Invert(), p=0.3)):
        assert stats.binomtest(int((codes(op) > 0).sum()), N, 0.3).pvalue > CHANCE


def test_two_ops_happen_independently():
    step = edit(Policy(Invert(p=0.5), Equalize(p=0.5)), N)
    cells = 2 * (step.code[:, 0] > 0) + (step.code[:, 1] > 0)
    assert stats.chisquare(np.bincount(cells, minlength=4)).pvalue > CHANCE


@pytest.mark.parametrize(("n", "happens"), [(1, False), (3, False), (4, True), (9, True)])
def test_sometimes_spares_small_batches(n, happens):
    assert (codes(Sometimes(Invert(), min_batch=4, p=1.0), n) > 0).tolist() == [happens] * n


def test_sometimes_has_half_a_chance_unless_told():
    assert Sometimes(Invert()).p == 0.5


def test_sequential_does_its_ops_in_order():
    step = edit(Sequential(Resize((8, 9)), Invert(), Solarize(9)), 3)
    assert step.code.tolist() == [[Code.RESIZE, Code.INVERT, Code.SOLARIZE]] * 3
    assert step.size_hw.tolist() == [[[8, 9]] * 3] * 3


def test_sequential_happens_as_a_whole():
    step = edit(Sequential(Invert(), Equalize(), p=0.5), 400)
    assert {tuple(c) for c in step.code.tolist()} == {(Code.INVERT, Code.EQUALIZE), (0, 0)}


def test_sequential_gives_later_ops_the_size_of_earlier_ones():
    m = edit(Sequential(Resize((8, 10)), Rotate((180.0, 180.0)))).param[0, 1, :9]
    assert m.reshape(3, 3)[:2, 2].tolist() == pytest.approx([10, 8])


# ---------------------------------------------------------------------------------- schedules


@pytest.mark.parametrize(
    ("start", "stop", "progress", "happens"),
    [
        (None, None, 0.0, True),
        (None, None, 1.0, True),
        (0.25, None, 0.25, True),
        (0.25, None, np.nextafter(0.25, 0), False),
        (0.25, None, 1.0, True),
        (None, 0.75, 0.75, False),
        (None, 0.75, np.nextafter(0.75, 0), True),
        (0.25, 0.75, 0.0, False),
        (0.25, 0.75, 0.5, True),
        (0.5, 0.5, 0.5, False),
        (0.0, 1.0, 0.0, True),
        (0.0, 1.0, 1.0, False),
    ],
)
def test_a_schedule_of_progress(start, stop, progress, happens):
    op = Scheduled(Invert(), start, stop)
    assert (codes(op, 5, progress=progress) > 0).tolist() == [happens] * 5


@pytest.mark.parametrize(("epoch", "happens"), [(0, 0), (2, 0), (3, 1), (4, 1), (5, 0), (90, 0)])
def test_a_schedule_of_epochs(epoch, happens):
    op = Scheduled(Invert(), start=3, stop=5, by="epoch")
    assert (codes(op, 5, epoch=epoch, progress=0.0) > 0).tolist() == [happens] * 5


def test_a_schedule_switches_a_mix_off_by_the_keys_alone():
    """timm: a flag on the collate function never reached persistent workers."""
    op = Scheduled(CutMix(), stop=0.75)
    assert (mix(op, 50, progress=0.5).shares()[:, 0] < 1).any()
    assert (mix(op, 50, progress=0.8).shares()[:, 0] == 1).all()
    assert (mix(op, 1, progress=0.8).shares()[:, 0] == 1).all()  # nobody needs a partner then


def test_a_schedule_of_progress_needs_to_know_the_progress():
    with pytest.raises(PolicyError) as error:
        edit(Scheduled(Invert(), start=0.5), progress=None)
    assert 'Scheduled(by="progress") needs keys that know the progress' in str(error.value)
    assert "KeyedSampler(..., epochs=E)" in str(error.value)
    assert codes(Scheduled(Invert()), 3, progress=None).all()
    assert codes(Scheduled(Invert(), stop=9, by="epoch"), 3, progress=None).all()


def test_a_schedule_has_a_chance_too():
    op = Scheduled(Invert(), start=0.5, p=0.25)
    assert stats.binomtest(int((codes(op, progress=0.5) > 0).sum()), N, 0.25).pvalue > CHANCE
    assert not codes(op, progress=0.4).any()


def test_what_is_scheduled_draws_the_same_whenever_it_happens():
    early, late = (edit(Scheduled(Rotate(30)), 9, progress=v) for v in (0.1, 0.9))
    assert np.array_equal(early.param, late.param)


# ------------------------------------------------------------------------------------- fields


def test_a_combination_mixes_and_moves_as_its_parts_do():
    assert Sometimes(MixUp()).mixes and OneOf(MixUp(), CutMix()).mixes
    assert not OneOf(Invert(), Rotate(5)).mixes
    assert OneOf(Invert(), Rotate(5)).moves and not Sequential(Invert(), Equalize()).moves
    assert Scheduled(Sometimes(Rotate(5))).moves and not Scheduled(CutMix()).moves


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: OneOf(), "OneOf: takes one or more ops as arguments, got ()"),
        (lambda: OneOf([Invert()]), "OneOf: takes one or more ops as arguments"),
        (lambda: OneOf(Invert(), weights=(1, 2)), "OneOf: weights: one >= 0 for each op"),
        (lambda: OneOf(Invert(), weights=(-1,)), "OneOf: weights: one >= 0 for each op"),
        (lambda: OneOf(Invert(), weights=(0.0,)), "OneOf: weights: one >= 0 for each op"),
        (lambda: OneOf(Invert(), weights=()), "OneOf: weights: one >= 0 for each op"),
        (lambda: Sometimes(3), "Sometimes: takes one or more ops as arguments, got (3,)"),
        (lambda: Sometimes(Policy(Invert())), "Sometimes: takes one or more ops"),
        (lambda: Sometimes(Invert(), min_batch=0), "Sometimes: min_batch must be at least 1"),
        (lambda: Sequential(), "Sequential: takes one or more ops as arguments, got ()"),
        (
            lambda: Sequential(MixUp()),
            "Sequential: ops must change images one by one",
        ),
        (lambda: Scheduled(Invert(), by="step"), 'Scheduled: by must be "progress" or "epoch"'),
        (lambda: Scheduled(Invert(), 0.5, 0.25), "ordered within 0 .. 1 (progress), got (0.5, 0"),
        (lambda: Scheduled(Invert(), stop=5), "start and stop must be ordered within 0 .. 1"),
        (lambda: Scheduled(Invert(), 5, 2, by="epoch"), "ordered within 0 .. inf (epoch)"),
    ],
)
def test_fields_out_of_range_are_refused(make, rule):
    with pytest.raises(PolicyError) as error:
        make()
    assert rule in str(error.value)


def test_one_of_may_be_drawn_once_per_batch():
    """timm switches between MixUp and CutMix so."""
    op = OneOf(MixUp(lam="batch"), CutMix(lam="batch"), weights=(3, 1), per="batch")
    added = np.array([mix(op, 8, step=s).mode[:, 1] == MixMode.ADD for s in range(400)])
    assert (added == added[:, :1]).all()
    assert stats.binomtest(int(added[:, 0].sum()), 400, 0.75).pvalue > 1e-6
    assert np.array_equal(mix(op, 8, start=50).mode, mix(op, 8).mode)
    with pytest.raises(PolicyError, match='OneOf: per: "image" or "batch", got \'row\''):
        OneOf(MixUp(), per="row")  # type: ignore[arg-type]
