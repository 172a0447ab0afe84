"""Programs: rows multiplied, edited and gathered, and chosen row by row with other kinds of op."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from mixwell._rng import Draws, Keys
from mixwell.plan.steps import Code, Edit, Mix, MixMode
from mixwell.policy import Brightness, Identity, Invert, MixUp, OneOf, Policy, Scheduled, Sometimes
from mixwell.policy.base import CompoundOp, Rows
from mixwell.policy.program import Program, choose, copies
from mixwell.policy.slots import slot
from mixwell.render import render


@dataclass(frozen=True, repr=False)
class HalfInverted(CompoundOp):
    """Left half as it is, right half inverted: the smallest op that needs two copies of a row."""

    def sample(self, rows: Rows) -> Program:
        n = len(rows)
        both = np.tile(np.arange(n), 2)
        edit = Edit.stack([Edit.nothing(rows.size_hw), slot(rows, Code.INVERT)])
        mix = Mix.identity(rows.size_hw)
        mix.source[:, 1] = np.arange(n, 2 * n)
        mix.mode[:, 1] = MixMode.PASTE
        mix.rect_px[:, 1] = mix.rect_px[:, 0]
        mix.rect_px[:, 1, 0] = mix.rect_px[:, 0, 2] // 2
        mix.weight[:, 1] = 1.0
        return Program(copies(rows.size_hw, both), edit, mix)


IMAGES = torch.tensor([10, 20, 30, 40, 50, 60], dtype=torch.uint8)[:, None, None, None].expand(
    -1, 3, 4, 6
)
SIZES = np.full((6, 2), (4, 6))


def rendered(policy: Policy, count: int = 6, epoch: int = 0):
    plan = policy.sample(SIZES[:count], keys=Keys(np.arange(count), epoch=epoch))
    return plan, render(IMAGES[:count], plan)


def test_an_op_can_edit_copies_and_gather_them():
    plan, out = rendered(Policy(HalfInverted()))
    assert [type(s).__name__ for s in plan.steps] == ["Mix", "Edit", "Mix"]
    assert (out[..., :3] == IMAGES[..., :3]).all()
    assert (out[..., 3:] == 255 - IMAGES[..., 3:]).all()
    rows, shares = plan.sources()
    assert all(np.isclose(shares[n][rows[n] == n].sum(), 1.0) for n in range(6))


@pytest.mark.parametrize("epoch", range(4))
def test_every_kind_of_op_can_stand_beside_every_other(epoch):
    policy = Policy(OneOf(HalfInverted(), Invert(), Identity(), MixUp()))
    plan, out = rendered(policy, epoch=epoch)
    rows, shares = plan.sources()
    for n, image in enumerate(out):
        own = shares[n][rows[n] == n].sum()
        left, right = image[..., :3].float().mean(), image[..., 3:].float().mean()
        value = float(IMAGES[n, 0, 0, 0])
        if own < 1:  # MixUp of constant images: the mean pixel is the label
            expected = sum(
                s * float(IMAGES[r, 0, 0, 0]) for r, s in zip(rows[n], shares[n], strict=True)
            )
            assert abs(float(left) - expected) <= 0.5 and left == right
        else:
            assert (float(left), float(right)) in (
                (value, 255 - value),
                (255 - value, 255 - value),
                (value, value),
            )


def test_the_kinds_of_step_do_not_depend_on_the_draws():
    """Otherwise batches of one policy could not be joined into one plan."""
    for op in (HalfInverted(p=0.5), Sometimes(HalfInverted()), OneOf(HalfInverted(), Invert())):
        kinds = {
            tuple(type(s).__name__ for s in rendered(Policy(op), count=1, epoch=e)[0].steps)
            for e in range(12)
        }
        assert kinds == {("Mix", "Edit", "Mix")}


def test_rows_do_not_depend_on_the_rest_of_the_batch():
    policy = Policy(OneOf(HalfInverted(p=0.6), Brightness((0.5, 1.5))), Invert(p=0.5))
    _, whole = rendered(policy)
    for n in range(6):
        plan = policy.sample(SIZES[:1], keys=Keys(np.array([n])))
        assert torch.equal(render(IMAGES[n : n + 1], plan)[0], whole[n])


def test_unused_copies_are_left_out():
    rows = Rows(SIZES.astype(np.int32), Draws(Keys(np.arange(6)), 0))
    idle = Edit.nothing(rows.size_hw)
    program = choose(
        [idle, HalfInverted().sample(rows)], np.array([0, 1, 0, 0, 0, 0]), rows.size_hw
    )
    assert isinstance(program, Program)
    assert program.expand.rows == 5 + 2


def test_a_schedule_switches_a_program_off():
    off = Policy(Scheduled(HalfInverted(), start=1, by="epoch"))
    assert torch.equal(rendered(off, epoch=0)[1], IMAGES)
    assert not torch.equal(rendered(off, epoch=1)[1], IMAGES)


def test_no_rows():
    plan, out = rendered(Policy(OneOf(HalfInverted(), Invert())), count=0)
    assert len(plan) == len(out) == 0
