"""What every op promises, over one list of ops."""

from __future__ import annotations

import dataclasses
import inspect
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixwell._errors import PolicyError
from mixwell.plan import Edit, Mix, MixMode, Plan
from mixwell.policy import Policy, Resize
from mixwell.policy.base import Op
from mixwell.policy.text import from_code, registry
from mixwell.render import render
from tests.policy.cases import EDIT_OPS, MIX_OPS, OPS, keys, sample, told

every_op = pytest.mark.parametrize("op", OPS, ids=repr)
every_gated = pytest.mark.parametrize("op", [op for op in OPS if op.outputs == 1], ids=repr)
every_edit = pytest.mark.parametrize("op", EDIT_OPS, ids=repr)
every_mix = pytest.mark.parametrize("op", MIX_OPS, ids=repr)


def with_p(op: Op, p: float) -> Op:
    """The same op with another chance; set past the check, as some ops fix their p."""
    changed = pickle.loads(pickle.dumps(op))
    object.__setattr__(changed, "p", p)
    return changed


def test_the_list_holds_every_op():
    assert {type(op).__name__ for op in OPS} == set(registry())


@pytest.mark.parametrize("kind", registry().values(), ids=registry())
def test_ops_are_final(kind):
    assert getattr(kind, "__final__", False)


# --------------------------------------------------------------------------------- text forms


@every_op
def test_an_op_prints_as_its_own_code(op):
    assert from_code(repr(op)) == Policy(op)
    assert from_code(repr(Policy(op, op))) == Policy(op, op)
    assert repr(from_code(repr(op))) == repr(Policy(op))


@every_op
def test_an_op_survives_toml(op):
    back = Policy.from_toml(Policy(op).to_toml())
    assert back == Policy(op)
    assert repr(back) == repr(Policy(op))
    assert back.digest() == Policy(op).digest()


@pytest.mark.parametrize("p", [0.0, 0.25, 1.0])
@every_gated
def test_a_chance_survives_text(op, p):
    if op.p != 0.5 or not getattr(op, "alternating", False):
        policy = Policy(with_p(op, p))
        assert from_code(repr(policy)) == policy == Policy.from_toml(policy.to_toml())


@every_op
def test_an_op_survives_pickling(op):
    back = pickle.loads(pickle.dumps(op))
    assert back == op and back.mixes == op.mixes and back.moves == op.moves
    assert sample(back, 4).digest() == sample(op, 4).digest()


@every_op
def test_an_op_is_frozen_and_hashable(op):
    with pytest.raises(dataclasses.FrozenInstanceError):
        op.p = 0.3
    assert hash(op) == hash(from_code(repr(op)).ops[0])
    assert len({op, from_code(repr(op)).ops[0]}) == 1
    assert op != with_p(op, 0.123)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan"), "often"])
@pytest.mark.parametrize("kind", registry().values(), ids=registry())
def test_no_op_takes_an_impossible_chance(kind, p):
    example = next(op for op in OPS if type(op) is kind)
    with pytest.raises(PolicyError) as error:
        with_p(example, p).__post_init__()
    assert str(error.value).startswith(f"{kind.__name__}: ")
    assert f"got {p!r}" in str(error.value)


@every_op
def test_interp_and_fill_are_checked(op):
    for name, bad in (("interp", "cubic"), ("fill", "grey"), ("fill", (1.0,) * 5)):
        if name in {f.name for f in dataclasses.fields(op)}:
            with pytest.raises(PolicyError, match=f"{name} must be"):
                dataclasses.replace(op, **{name: bad})


# ------------------------------------------------------------------------------------- chance


def nothing(plan: Plan) -> bool:
    """Whether every row stays as it is."""
    for step in plan.steps:
        if isinstance(step, Edit):
            idle = not step.code.any()
        else:
            own = step.shares() == np.eye(step.source.shape[1])[0]
            idle = own.all() and np.array_equal(step.source[:, 0], np.arange(len(plan)))
        if not idle or not np.array_equal(step.out_hw(plan.in_hw), plan.in_hw):
            return False
    return True


@every_gated
def test_what_never_happens_does_nothing(op):
    assert nothing(sample(with_p(op, 0.0), 6))


@every_gated
def test_what_always_happens_is_what_the_op_samples(op):
    """Nothing is gated at p = 1: each row's step is that of the rows where p = 0.5 lets it be."""
    always, half = sample(with_p(op, 1.0), 40), sample(with_p(op, 0.5), 40)
    if getattr(op, "alternating", False) or getattr(op, "lam", "") == "batch":
        return  # chance has no say, or is the same for all rows
    same = changed = 0
    idle = sample(with_p(op, 0.0), 40)
    for row in range(40):
        versions = [_row(plan, row) for plan in (half, always, idle)]
        assert versions[0] in versions[1:]
        same += versions[0] == versions[1]
        changed += versions[1] != versions[2]
    assert same > 5
    assert type(op).__name__ in ("Identity", "ColorJitter", "Affine") or changed > 5


def _row(plan: Plan, row: int) -> list:
    """One row's arrays, padded to the slots or sources that any version may have; of a program
    the pixels that come out."""
    if len(plan.steps) > 1:
        noise = np.random.default_rng(0).integers(0, 256, (1, *plan.in_hw[row], 3), np.uint8)
        one = plan[row]
        return render(np.repeat(noise, one.rows, axis=0), one).tolist()
    wide = plan.steps[0].padded(32)
    taken = wide.take(np.array([row]))
    arrays = [getattr(taken, f.name) for f in dataclasses.fields(taken)]
    return [array if array is None else array.tolist() for array in arrays]


# ------------------------------------------------------------------------- whom it depends on


@every_edit
def test_a_batch_may_be_split(op):
    policy, sizes = Policy(op), np.array([(24, 20), (31, 27), (24, 24), (40, 29), (25, 33)])
    whole = policy.sample(sizes, keys=keys(5), seed=3, **told(policy, sizes))
    parts = [
        policy.sample(sizes[part], keys=keys(5).take(part), seed=3, **told(policy, sizes[part]))
        for part in (slice(0, 2), slice(2, 3), slice(3, 5))
    ]
    assert Plan.concat(parts).digest() == whole.digest()


@every_edit
def test_the_order_of_a_batch_does_not_matter(op):
    policy, sizes = Policy(op), np.array([(24, 20), (31, 27), (24, 24), (40, 29), (25, 33)])
    order = np.array([3, 0, 4, 1, 2])
    whole = policy.sample(sizes, keys=keys(5), seed=3, **told(policy, sizes))
    boxes = told(policy, sizes[order])
    turned = policy.sample(sizes[order], keys=keys(5).take(order), seed=3, **boxes)
    assert turned.digest() == whole[order].digest()


@every_op
def test_step_and_rank_matter_to_mixes_only(op):
    here, there = sample(op, 6, step=0, rank=0), sample(op, 6, step=7, rank=1)
    roll = getattr(op, "pairing", "") in ("roll", "flip") and getattr(op, "lam", "") != "batch"
    roll = roll and getattr(op, "share", None) is None
    assert (here.digest() == there.digest()) == (not op.mixes or roll)


DRAWS_NOTHING = {
    "Identity",
    "Invert",
    "AutoContrast",
    "Equalize",
    "Grayscale",
    "CenterCrop",
    "LongestSide",
    "Pad",
    "Resize",
    "Sequential",
    "VerticalFlip",
}


@every_op
def test_seed_epoch_and_copy_change_what_is_drawn(op):
    fixed = type(op).__name__ in DRAWS_NOTHING or repr(op) in (
        "Affine()",
        "ColorJitter()",
        "Contrast(1.5)",
        "HorizontalFlip(p=1.0)",
        "Rotate((5.0, 5.0), interp='nearest', fill=(10, 20, 30))",
    )
    heeds = {"ProgressiveResize": "epoch", "OnViews": "copy"}.get(type(op).__name__)
    base = sample(op, 32).digest()
    others = [
        sample(op, 32, seed=2),
        sample(op, 32, epoch=3),
        sample(op, 32, copy=np.ones(32, int)),
    ]
    for part, other in zip(("seed", "epoch", "copy"), others, strict=True):
        rows_only = part == "copy" and getattr(op, "lam", "") == "batch"
        still = part != heeds if heeds else fixed or rows_only
        assert (other.digest() == base) == still, part
    assert sample(op, 32).digest() == base


@every_gated
def test_a_policy_names_its_ops_by_place(op):
    """The same op twice draws twice."""
    plan = sample(Policy(op, op), 32)
    if op.compound:
        first = Plan(plan.in_hw, plan.steps[:3])
        second = Plan(first.out_hw, plan.steps[3:])
        assert first.digest() != second.digest()
        return
    if not op.mixes and not plan.steps[0].code.any():
        return
    one = sample(op, 32)
    if one.digest() == sample(op, 32, seed=2).digest():
        return
    steps = plan.steps
    if not op.mixes:
        half = steps[0].slots // 2
        steps = [steps[0].take((slice(None), part)) for part in (np.s_[:half], np.s_[half:])]
    first, second = ([getattr(s, f.name) for f in dataclasses.fields(s)] for s in steps)
    assert any(not np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@every_op
def test_an_empty_batch_works(op):
    plan = sample(op, 0)
    assert len(plan) == 0
    for p in (0.0, 0.5, 1.0):
        assert len(sample(with_p(op, p), 0)) == 0


@every_mix
def test_a_mix_keeps_its_own_image_in_the_first_place(op):
    plan = sample(op, 7)
    (step,) = plan.steps
    assert isinstance(step, Mix)
    assert np.array_equal(step.source[:, 0], np.arange(7))
    assert np.abs(plan.sources()[1].sum(axis=1) - 1).max() < 1e-12
    assert (step.mode[:, 0] != MixMode.SKIP).all()


# --------------------------------------------------------------------------- what size is known

SIZES = st.tuples(st.integers(24, 60), st.integers(20, 60))


def takes_any_size(op: Op) -> bool:
    """Whether a mixer takes images of different sizes."""
    sizes = getattr(op, "sizes", "")
    return sizes == "any" or type(op).__name__ in ("ClassMix", "CopyPaste", "JitterMixUp", "Mosaic")


def agrees(policy: Policy, size_hw: np.ndarray, plan: Plan) -> bool:
    """Whether the policy's word about its output size is true of this plan."""
    word, out = policy.out_size, plan.out_hw
    if isinstance(word, tuple):
        return (out == word).all()
    if word == "variable":
        return True
    by_input: dict[tuple, tuple] = {}
    return all(
        by_input.setdefault(tuple(a), tuple(b)) == tuple(b)
        for a, b in zip(size_hw.tolist(), out.tolist(), strict=True)
    )


@every_edit
@settings(max_examples=12)
@given(st.lists(SIZES, min_size=1, max_size=4), st.sampled_from([0.0, 0.5, 1.0]), st.booleans())
def test_the_size_that_is_promised_is_the_size_that_comes(op, sizes, p, twice):
    sizes = np.array(sizes + sizes[:1])
    changed = op if getattr(op, "alternating", False) else with_p(op, p)
    policy = Policy(changed, changed) if twice and "Crop" not in repr(op) else Policy(changed)
    plan = policy.sample(sizes, keys=keys(len(sizes)), **told(policy, sizes))
    assert agrees(policy, sizes, plan)


ANY_SIZE = [
    op for op in OPS if (op.mixes or op.compound) and op.outputs == 1 and takes_any_size(op)
]


@pytest.mark.parametrize("op", ANY_SIZE, ids=repr)
@settings(max_examples=12)
@given(st.lists(SIZES, min_size=1, max_size=4), st.sampled_from([0.0, 0.5, 1.0]), st.booleans())
def test_mixers_of_any_sizes_keep_their_promise_too(op, sizes, p, fixed):
    sizes = np.array(sizes + sizes[:1])
    changed = with_p(op, p)
    policy = Policy(Resize((25, 21)), changed) if fixed else Policy(changed)
    plan = policy.sample(sizes, keys=keys(len(sizes)), **told(policy, sizes))
    assert agrees(policy, sizes, plan)
    if fixed and p == 1.0:
        assert isinstance(policy.out_size, tuple)


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("Policy()", "uniform"),
        ("Rotate(10)", "uniform"),
        ("Resize(15)", "uniform"),
        ("Resize((7, 9))", (7, 9)),
        ("RandomCrop(8)", (8, 8)),
        ("RandomResizedCrop((8, 9), p=0.5)", "variable"),
        ("Policy(RandomCrop(8), RandomCrop(8, padding=1, p=0.5))", (8, 8)),
        ("Policy(Resize(15, p=0.5), CenterCrop(8))", (8, 8)),
        ("Policy(RandomCrop(8), Pad(2))", (12, 12)),
        ("Policy(Pad(2))", "uniform"),
        ("Policy(Pad(2, p=0.5))", "variable"),
        ("OneOf(CenterCrop(8), RandomCrop(8))", (8, 8)),
        ("OneOf(CenterCrop(8), RandomCrop(9))", "variable"),
        ("OneOf(Pad(2), Rotate(5))", "variable"),
        ("OneOf(Rotate(5), Invert(), p=0.5)", "uniform"),
        ("Policy(CenterCrop(8), OneOf(Pad(2), Rotate(5)))", "variable"),
        ("Sometimes(Pad(2))", "variable"),
        ("Sometimes(Rotate(5), min_batch=4)", "uniform"),
        ("Scheduled(Pad(2))", "variable"),
        ("Policy(CenterCrop(8), Scheduled(CenterCrop(8)))", (8, 8)),
        ("OneOf(CenterCrop(8), Rotate(5))", "variable"),
        ("Sequential(Resize(15), CenterCrop(8), Pad(1))", (10, 10)),
        ("Sometimes(Resize((8, 8)), p=1.0)", (8, 8)),
        ("Sometimes(Resize((8, 8)))", "variable"),
        ("Sometimes(Resize((8, 8)), min_batch=2, p=1.0)", "variable"),
        ("Policy(CenterCrop(8), Sometimes(MixUp(), min_batch=2, p=1.0))", (8, 8)),
        ("Scheduled(Resize((8, 8)))", "variable"),
        ("Policy(CenterCrop(8), Scheduled(Rotate(5)), MixUp())", (8, 8)),
        ("RandomIoUCrop()", "variable"),
        ("Policy(RandomIoUCrop(), Resize((8, 8)))", (8, 8)),
        ("BBoxSafeCrop()", "variable"),
        ("BBoxSafeCrop(8)", (8, 8)),
        ("RandomZoomOut()", "variable"),
        ("ScaleJitter(8)", "variable"),
        ("LongestSide(8)", "uniform"),
        ("Policy(CenterCrop(9), LongestSide(8))", "uniform"),
        ("Policy(RandomZoomOut(), LongestSide(8))", "variable"),
        ("Policy(ScaleJitter(8), FixedSizeCrop((8, 9)))", (8, 9)),
        ("RandomPhotometricDistort()", "uniform"),
        ("Mosaic(8)", (8, 8)),
        ("Mosaic((8, 9), p=0.5)", "variable"),
        ("Policy(CenterCrop(8), Mosaic(8, p=0.5))", (8, 8)),
        ("JitterMixUp()", "uniform"),
        ("CopyPaste()", "uniform"),
        ("ClassMix()", "uniform"),
        ("CutMix(sizes='any')", "uniform"),
        ("MixUp(sizes='any')", "variable"),
        ("MixUp(sizes='any', p=0.5)", "variable"),
        ("Policy(CenterCrop(8), MixUp(sizes='any', p=0.5))", (8, 8)),
        ("Policy(ProgressiveResize(8, 16), MixUp(sizes='any'))", "batch"),
    ],
)
def test_what_is_known_of_the_size(code, word):
    assert from_code(code).out_size == word


def test_sometimes_leaves_the_size_of_small_batches_alone():
    policy = from_code("Sometimes(Resize((8, 8)), min_batch=2, p=1.0)")
    assert [sample(policy, n).out_hw.tolist()[0] for n in (1, 2)] == [[24, 20], [8, 8]]


# ------------------------------------------------------------------------------------- fields


@pytest.mark.parametrize("kind", registry().values(), ids=registry())
def test_an_unknown_field_is_refused(kind):
    with pytest.raises(TypeError):
        kind(no_such_field=1)
    with pytest.raises(PolicyError, match="has no field 'no_such_field'"):
        from_code(f"{kind.__name__}(no_such_field=1)")


def test_numbers_of_numpy_and_lists_become_plain():
    from mixwell.policy import Affine, Rotate

    op = Affine(degrees=np.float64(5), translate=[np.float32(0.5), 0], fill=np.int64(3))
    assert repr(op) == "Affine(degrees=5.0, translate=(0.5, 0), fill=3)"
    assert from_code(repr(op)) == Policy(op)
    assert Rotate(np.float64(30)) == Rotate(30.0)
    assert Policy(Rotate(np.float64(30))).digest() == Policy(Rotate(30.0)).digest()


def test_sample_methods_see_no_pixels():
    """An op's only inputs are sizes and keys."""
    for kind in registry().values():
        assert list(inspect.signature(kind.sample).parameters) == ["self", "rows"]
