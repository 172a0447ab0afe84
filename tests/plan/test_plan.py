"""Plans: which samples an output shows, parts of plans, fingerprints."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixwell._errors import PlanError
from mixwell._rng import Keys
from mixwell.plan import Code, Edit, Mix, MixMode, Plan
from mixwell.plan import plan as home
from mixwell.plan.steps import select
from tests.oracles import labels as labels_oracle
from tests.oracles import policy as oracle
from tests.plan.strategies import (
    FLIP_8,
    edit_of,
    entries_of,
    full_entries_of,
    long_plan,
    mixed_plans,
)


def by_sample(plan: Plan, output: int) -> dict[int, float]:
    """Share of each sample in an output; samples without a share are left out."""
    rows, shares = plan.sources()
    total: dict[int, float] = {}
    for row, share in zip(rows[output], shares[output], strict=True):
        sample = int(plan.inputs[row])
        total[sample] = total.get(sample, 0.0) + float(share)
    return {sample: share for sample, share in total.items() if share > 0}


# --------------------------------------------------------------------------------- label truth


@given(mixed_plans(steps=1))
def test_shares_are_counted_pixels(plan):
    mix = plan.steps[0]
    rows, shares = plan.sources()
    assert rows.dtype == np.int64 and shares.dtype == np.float64
    assert np.array_equal(rows, mix.source)
    for b in range(len(plan)):
        expected = oracle.painted_shares(entries_of(mix, b), tuple(mix.canvas_hw[b]))
        assert shares[b] == pytest.approx([float(v) for v in expected], abs=1e-15)
        assert shares[b].sum() == pytest.approx(float(sum(expected)), abs=1e-15)
        assert mix.shares()[b] == pytest.approx(shares[b], abs=1e-15)


@given(mixed_plans(steps=2) | mixed_plans(steps=3))
def test_shares_through_chained_mixes_are_counted_pixels(plan):
    mixes = [
        [
            (full_entries_of(step, b), int(step.canvas_hw[b, 0]), int(step.canvas_hw[b, 1]))
            for b in range(step.rows)
        ]
        for step in plan.steps
    ]
    traced = labels_oracle.trace([tuple(hw) for hw in plan.in_hw.tolist()], mixes)
    for b, shown in enumerate(traced):
        expected = {int(plan.inputs[row]): float(share) for row, share in shown.items() if share}
        assert by_sample(plan, b) == pytest.approx(expected, abs=1e-12)


def test_a_pair_of_the_same_row_keeps_its_whole_share():
    """FFCV assigned twice where it had to add: a pair of equals lost label mass."""
    size_hw = np.array([[4, 4]], np.int32)
    mix = Mix.identity(size_hw)
    mix.mode[0, 1], mix.weight[0] = MixMode.ADD, [0.7, 0.3]
    mix.rect_px[0, 1] = mix.rect_px[0, 0]
    assert by_sample(Plan(size_hw, (mix,), inputs=[5]), 0) == {5: 1.0}


def test_weights_are_whole_multiples_of_one_65536th():
    size_hw = np.full((1, 2), 4, np.int32)
    mix = Mix.identity(size_hw)
    mix.mode[:, 1], mix.weight[0] = MixMode.ADD, [1 / 3, 2 / 3]
    mix.rect_px[:, 1] = mix.rect_px[:, 0]
    assert mix.units().tolist() == [[21845, 43691]]
    assert mix.shares().tolist() == [[21845 / 65536, 43691 / 65536]]


def test_a_canvas_of_fill_alone_shows_nothing():
    size_hw = np.full((2, 2), 4, np.int32)
    mix = Mix.identity(size_hw)
    mix.mode[0] = MixMode.SKIP
    plan = Plan(size_hw, (mix,))
    assert plan.sources()[1].tolist() == [[0.0, 0.0], [1.0, 0.0]]


def test_without_mixes_every_row_shows_itself():
    rows, shares = Plan(
        np.full((3, 2), 5), (edit_of(np.full((3, 2), 5), (Code.INVERT, [])),)
    ).sources()
    assert rows.tolist() == [[0], [1], [2]]
    assert shares.tolist() == [[1.0]] * 3


# ------------------------------------------------------------------------------ parts of plans


@given(mixed_plans(steps=2), st.data())
def test_a_part_shows_what_it_showed_in_the_whole(plan, data):
    outputs = data.draw(st.lists(st.integers(0, len(plan) - 1), max_size=5))
    part = plan.take(outputs)
    assert len(part) == len(outputs)
    for place, output in enumerate(outputs):
        assert by_sample(part, place) == pytest.approx(by_sample(plan, output), abs=1e-15)
    used = {s for b in outputs for s in plan.steps[0].source[plan.steps[1].source[b]].ravel()}
    assert part.rows == len(used)


@pytest.mark.parametrize("outputs", [[2], [3, 0], slice(1, 3), np.array([True, False, True, True])])
def test_a_part_keeps_the_rows_of_every_step(outputs):
    plan = long_plan()
    chosen = np.arange(4)[outputs]
    part = plan[outputs]
    assert np.array_equal(part.out_hw, plan.out_hw[chosen])
    for name in ("mode", "weight", "rect_px", "offset_px", "canvas_hw", "fill"):
        assert np.array_equal(getattr(part.steps[1], name), getattr(plan.steps[1], name)[chosen])
    sources = plan.steps[1].source[chosen]
    assert np.array_equal(part.inputs[part.steps[1].source], plan.inputs[sources])
    for f in fields(Edit):
        old, new = getattr(plan.steps[0], f.name), getattr(part.steps[0], f.name)
        assert np.array_equal(new[part.steps[1].source], old[sources]), f.name
        assert np.array_equal(
            getattr(part.steps[2], f.name), getattr(plan.steps[2], f.name)[chosen]
        )


def test_a_part_has_the_keys_of_its_outputs():
    plan = replace(long_plan(), seed=3, keys=Keys([40, 10, 30, 20], [0, 1, 0, 0], epoch=2))
    part = plan[[3, 1]]
    assert part.keys is not None
    assert part.keys.index.tolist() == [20, 10] and part.keys.copy.tolist() == [0, 1]
    assert (part.seed, part.keys.epoch) == (3, 2)


def test_keys_belong_to_outputs():
    with pytest.raises(PlanError, match=r"a row for each of the 4 outputs, got 3\."):
        replace(long_plan(), keys=Keys([40, 10, 30]))


def test_parts_of_parts_and_the_whole_are_the_same_plan():
    plan = long_plan()
    assert plan[:].digest() == plan.take(range(4)).digest() == plan.digest()
    assert plan[[3, 1, 0]][[2, 0]].digest() == plan[[0, 3]].digest()


def test_halves_of_an_edit_join_to_the_whole():
    size_hw = np.array([[6, 8], [5, 8], [6, 8]], np.int32)
    plan = Plan(size_hw, (edit_of(size_hw, FLIP_8, (Code.HUE, [0.1])),), inputs=[3, 1, 2])
    assert Plan.concat([plan[:2], plan[2:]]).digest() == plan.digest()
    assert Plan.concat([plan]).digest() == plan.digest()


@given(st.lists(mixed_plans(steps=2), min_size=1, max_size=3))
def test_joined_plans_show_what_each_showed(plans):
    plans = [replace(p, inputs=p.inputs + 1000 * i) for i, p in enumerate(plans)]
    joined = Plan.concat(plans)
    assert len(joined) == sum(map(len, plans)) and joined.rows == sum(p.rows for p in plans)
    expected = [by_sample(p, b) for p in plans for b in range(len(p))]
    assert [by_sample(joined, b) for b in range(len(joined))] == expected
    first = joined[: len(plans[0])]
    assert [by_sample(first, b) for b in range(len(first))] == expected[: len(first)]


def test_joining_pads_short_edits_with_nothing():
    size_hw = np.array([[6, 8]], np.int32)
    short = Plan(size_hw, (edit_of(size_hw, (Code.INVERT, [])),))
    long = Plan(size_hw, (edit_of(size_hw, FLIP_8, (Code.HUE, [0.1])),))
    joined = Plan.concat([short, long]).steps[0]
    assert joined.code.tolist() == [[Code.INVERT, Code.NOTHING], [Code.WARP, Code.HUE]]


def test_joining_keeps_a_provenance_only_where_all_agree():
    size_hw = np.array([[6, 8]], np.int32)
    a = Plan(size_hw, seed=1, policy_digest="a")
    same, other = Plan.concat([a, a]), Plan.concat([a, Plan(size_hw, seed=2, policy_digest="b")])
    assert (same.seed, same.policy_digest) == (1, "a")
    assert (other.seed, other.policy_digest) == (None, "")


def test_plans_of_other_kinds_are_not_joined():
    size_hw = np.array([[6, 8]], np.int32)
    edited, mixed = Plan(size_hw, (Edit.nothing(size_hw),)), Plan(size_hw, (Mix.identity(size_hw),))
    with pytest.raises(PlanError, match="same kinds of step"):
        Plan.concat([edited, mixed])
    with pytest.raises(PlanError, match="at least one plan, got none"):
        Plan.concat([])


def test_select_takes_each_row_from_its_step():
    size_hw = np.full((3, 2), (6, 8), np.int32)
    one = edit_of(size_hw, (Code.INVERT, []))
    two = edit_of(size_hw, FLIP_8, (Code.HUE, [0.1]))
    picked = select([one, two], np.array([1, 0, 1]))
    assert picked.code.tolist() == [[1, 13], [17, 0], [1, 13]]
    assert picked.param[:, 1, 0].tolist() == [0.1, 0.0, 0.1]


def test_an_edit_for_some_rows_leaves_the_others_alone():
    size_hw = np.full((2, 2), (6, 8), np.int32)
    shrink = edit_of(size_hw, (Code.RESIZE, [0, 0, 8, 6], (3, 4)))
    some = shrink.where(np.array([True, False]), size_hw)
    assert some.code.tolist() == [[Code.RESIZE], [Code.NOTHING]]
    assert some.size_hw[:, 0].tolist() == [[3, 4], [6, 8]]
    Plan(size_hw, (some,))


def test_nothing_of_a_plan_changes_when_its_parts_are_taken():
    plan = long_plan()
    before = {name: array.copy() for name, array in plan.arrays()}
    plan[[2, 1]], plan.fused(), plan.sources(), repr(plan), Plan.concat([plan, plan])
    assert all(np.array_equal(array, before[name]) for name, array in plan.arrays())


# ------------------------------------------------------------------------------ empty batches


@pytest.mark.parametrize("kinds", [(), (Edit,), (Mix,), (Edit, Mix, Edit)], ids=str)
def test_an_empty_batch_is_a_plan(kinds):
    none = np.zeros((0, 2), np.int32)
    steps = tuple(Edit.nothing(none, 2) if k is Edit else Mix.identity(none) for k in kinds)
    plan = Plan(none, steps)
    assert len(plan) == plan.rows == 0
    assert plan.out_hw.shape == (0, 2)
    rows, shares = plan.sources()
    assert len(rows) == len(shares) == 0
    assert repr(plan).startswith("Plan(0 -> nothing")
    for other in (plan[:0], plan.fused(), Plan.concat([plan, plan])):
        assert len(other) == 0
    assert plan[:0].digest() == plan.digest()


def test_no_outputs_need_no_rows():
    part = long_plan()[:0]
    assert (len(part), part.rows, len(part.steps)) == (0, 0, 3)


def test_an_empty_and_a_full_plan_join():
    plan = long_plan()
    joined = Plan.concat([plan[:0], plan, plan[:0]])
    assert joined.digest() == plan.digest()


# -------------------------------------------------------------------------------- fingerprints

NAMES = [name for name, _ in long_plan().arrays()]


@pytest.mark.parametrize("name", NAMES)
def test_the_digest_sees_every_array(name, monkeypatch):
    monkeypatch.setattr(home, "check_plan", lambda *parts: None)  # changed arrays may be invalid
    plan = long_plan()
    old = dict(plan.arrays())[name]
    for at in (0, -1):
        new = old.copy()
        new.reshape(-1)[at] += 1
        assert _with(plan, name, new).digest() != plan.digest()
    assert _with(plan, name, old.copy()).digest() == plan.digest()


def _with(plan: Plan, name: str, array: np.ndarray) -> Plan:
    if "." not in name:
        return replace(plan, **{name: array})
    step, _, field = name.split(".")
    steps = list(plan.steps)
    steps[int(step)] = replace(steps[int(step)], **{field: array})
    return replace(plan, steps=tuple(steps))


def test_the_digest_goes_through_every_field():
    expected = ["in_hw", "inputs"]
    for i, kind in enumerate((Edit, Mix, Edit)):
        held = [f.name for f in fields(kind) if f.default is MISSING]  # the others stay None here
        expected += [f"{i}.{kind.__name__}.{name}" for name in held]
    assert expected == NAMES


def test_the_digest_sees_the_order_of_steps():
    size_hw = np.array([[6, 8]], np.int32)
    a, b = edit_of(size_hw, (Code.INVERT, [])), edit_of(size_hw, (Code.EQUALIZE, []))
    assert Plan(size_hw, (a, b)).digest() != Plan(size_hw, (b, a)).digest()
    assert Plan(size_hw, (Edit.chain([a, b]),)).digest() != Plan(size_hw, (a, b)).digest()
