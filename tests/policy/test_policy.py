"""A policy as a whole: what it says of itself, and what its plans carry."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from mixwell._errors import PolicyError
from mixwell._rng import Keys
from mixwell.plan import Edit, Mix
from mixwell.policy import (
    CutMix,
    HorizontalFlip,
    Invert,
    MixUp,
    Policy,
    RandomCrop,
    Resize,
    Rotate,
    Sometimes,
)
from tests.policy.cases import keys, sample

POLICY = Policy(RandomCrop(16, padding=2), HorizontalFlip(), MixUp(0.4), Invert(p=0.5))


def test_edits_in_a_row_become_one_step():
    steps = sample(POLICY, 4).steps
    assert [type(step) for step in steps] == [Edit, Mix, Edit]
    assert steps[0].slots == 2 and steps[2].slots == 1
    two = sample(Policy(MixUp(), CutMix()), 4).steps
    assert [type(step) for step in two] == [Mix, Mix]


def test_a_plan_says_where_it_comes_from():
    who = Keys([5, 3], [1, 0], epoch=2, step=7, rank=1, progress=0.25)
    plan = POLICY.sample(np.full((2, 2), 16), keys=who, seed=11)
    assert plan.keys is who and plan.seed == 11
    assert plan.inputs.tolist() == [5, 3]
    assert plan.policy_digest == POLICY.digest() == pickle.loads(pickle.dumps(POLICY)).digest()


def test_equal_policies_are_one_and_others_are_others():
    same = Policy(RandomCrop(16, padding=2), HorizontalFlip(), MixUp(0.4), Invert(p=0.5))
    assert same == POLICY and hash(same) == hash(POLICY) and same.digest() == POLICY.digest()
    for other in (Policy(), Policy(*POLICY.ops[::-1]), Policy(*POLICY.ops[:3], Invert(p=0.25))):
        assert other != POLICY and other.digest() != POLICY.digest()


def test_a_policy_without_ops_leaves_everything_alone():
    plan = sample(Policy(), 3)
    assert plan.steps == () and len(plan) == 3 and repr(Policy()) == "Policy()"


def test_inserting_an_op_behind_changes_nothing_before():
    short, long = (sample(Policy(*POLICY.ops[:n]), 8).steps[0] for n in (1, 2))
    assert np.array_equal(short.param[:, 0], long.param[:, 0])


@pytest.mark.parametrize(
    ("ops", "mixes", "moves_after"),
    [
        ((), False, False),
        ((Rotate(5), Invert()), False, False),
        ((Rotate(5), CutMix()), True, False),
        ((CutMix(), Invert()), True, False),
        ((CutMix(), Rotate(5)), True, True),
        ((Sometimes(CutMix()), Sometimes(Rotate(5))), True, True),
        ((CutMix(), MixUp()), True, False),
    ],
)
def test_a_policy_knows_whether_it_mixes_and_moves(ops, mixes, moves_after):
    assert (Policy(*ops).has_mix, Policy(*ops).moves_after_mix) == (mixes, moves_after)


def test_sizes_may_be_lists_and_are_not_changed():
    sizes = np.array([(24, 20), (24, 20)])
    before = sizes.copy()
    a = Policy(Resize((8, 8))).sample(sizes, keys=keys(2))
    b = Policy(Resize((8, 8))).sample([(24, 20), (24, 20)], keys=keys(2))
    assert a.digest() == b.digest() and np.array_equal(sizes, before)


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: Policy([Invert()]), "Policy takes ops as arguments, got list"),
        (lambda: Policy(Invert), "Policy takes ops as arguments"),
        (lambda: Policy(Policy()), "Write Policy(A(), B()), without a list"),
        (
            lambda: POLICY.sample(np.full((3, 2), 16), keys=keys(2)),
            "needs a key for each image, got 3 sizes and 2 keys",
        ),
        (
            lambda: POLICY.sample(np.full((2, 2), 16), keys=keys(2), seed=-1),
            "RandomCrop: seed must lie in 0 .. 2**64 - 1, got -1",
        ),
    ],
)
def test_misuse_is_refused(make, rule):
    with pytest.raises(PolicyError) as error:
        make()
    assert rule in str(error.value)


def test_an_error_inside_a_combination_names_the_outer_op():
    policy = Policy(Sometimes(RandomCrop(64), p=1.0))
    with pytest.raises(PolicyError, match=r"^Sometimes: RandomCrop\(64, padding=0\) needs images"):
        sample(policy, 2)
