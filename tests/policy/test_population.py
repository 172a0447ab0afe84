"""Population-based schedules against the paper's procedure, written as a scalar loop."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from mixwell._errors import PolicyError
from mixwell._rng import Draws, Keys
from mixwell.plan.steps import Code
from mixwell.policy import Policy, PopulationBased
from mixwell.policy.base import Rows
from mixwell.policy.population import (
    SEARCHED_OPS,
    load_schedule,
    read_search_log,
    save_schedule,
)
from mixwell.policy.text import from_code
from tests.oracles import auto as oracle

MANY = 100_000
CHANCE = 1e-6
ENTRIES = (("Invert", 0.9, 0), ("Equalize", 0.3, 0), ("AutoContrast", 0.6, 0), ("Invert", 0.2, 0))
CODES = {Code.NOTHING: "", Code.INVERT: "Invert", Code.EQUALIZE: "Equalize"}
CODES[Code.AUTOCONTRAST] = "AutoContrast"
SCHEDULE = (
    (0, ()),
    (3, (("Color", 1.0, 5),)),
    (7, (("Color", 1.0, 10), ("Posterize", 1.0, 5))),
)


def drawn(op, count=MANY, epoch=0, epochs=None, size=(32, 32)):
    keys = Keys(np.arange(count), epoch=epoch, epochs=epochs)
    (step,) = Policy(op).sample(np.full((count, 2), size), keys=keys).steps
    return step


def test_ops_are_drawn_as_in_the_paper():
    edit = drawn(PopulationBased(((0, ENTRIES),)))
    ours = Counter((CODES[a], CODES[b]) for a, b in edit.code.tolist())
    rng = random.Random(1)
    loop = (oracle.population(rng, ENTRIES) for _ in range(MANY))
    theirs = Counter(tuple([*done, "", ""][:2]) for done in loop)
    assert set(ours) <= set(theirs)
    cells = sorted(theirs)
    table = [[ours[c] for c in cells], [theirs[c] for c in cells]]
    assert stats.chi2_contingency(table).pvalue > CHANCE


def test_the_chance_of_the_op_is_not_the_chance_of_its_entries():
    """Both were once asked with one number, which made 0.32 of 0.16."""
    edit = drawn(PopulationBased(((0, (("Invert", 0.5, 0),)),), p=0.4))
    busy = (edit.code == Code.INVERT).any(axis=1).mean()
    assert abs(busy - 0.4 * 0.8 * 0.5) < 6 * 0.4 / MANY**0.5


def test_batches_of_none_and_one():
    op = PopulationBased(((0, (("Cutout", 1.0, 10), ("Rotate", 1.0, 10), ("ShearX", 1.0, 1))),))
    assert drawn(op, 0).rows == 0
    assert drawn(op, 1, size=(1, 1)).rows == 1
    assert drawn(PopulationBased(((0, ()),)), 0).rows == 0


def test_stages_follow_the_epochs():
    op = PopulationBased(SCHEDULE)
    for epoch in range(12):
        edit = drawn(op, 500, epoch)
        colours = edit.param[edit.code == Code.SATURATION][:, 0]
        if epoch < 3:
            assert not edit.code.any()
        else:
            level = 5 if epoch < 7 else 10
            np.testing.assert_allclose(colours, 0.1 + 0.18 * level)
        assert (edit.code == Code.POSTERIZE).any() == (epoch >= 7)


def test_a_schedule_is_stretched_to_the_training():
    op = PopulationBased(SCHEDULE, epochs=10)
    for epoch, stage in ((0, 0), (5, 0), (6, 1), (13, 1), (14, 2), (19, 2)):
        edit = drawn(op, 500, epoch, epochs=20)
        assert (edit.code == Code.SATURATION).any() == (stage > 0)
        assert (edit.code == Code.POSTERIZE).any() == (stage == 2)
    with pytest.raises(PolicyError, match="the keys do not know it"):
        drawn(op, 2)


def test_levels_by_hand():
    for name, magnitude, code, wanted in (
        ("Posterize", 5, Code.POSTERIZE, 2),
        ("Posterize", 9, Code.POSTERIZE, 1),
        ("Solarize", 5, Code.SOLARIZE, 128),
        ("Solarize", 10, Code.SOLARIZE, 0),
        ("Sharpness", 0, Code.SHARPNESS, 0.1),
        ("Brightness", 10, Code.BRIGHTNESS, 1.9),
    ):
        edit = drawn(PopulationBased(((0, ((name, 1.0, magnitude),)),)), 200)
        found = edit.param[edit.code == code][:, 0]
        assert len(found) > 50 and found == pytest.approx(wanted)
    edit = drawn(PopulationBased(((0, (("TranslateX", 1.0, 7),)),)), 200)
    moved = edit.param[edit.code == Code.WARP][:, 2]
    assert set(moved.tolist()) == {-7.0, 7.0}


def test_cutout_is_a_square_that_is_cut_off():
    op = PopulationBased(((0, (("Cutout", 1.0, 8),)),), fill=(125, 122, 113))
    edit = drawn(op, 3000)
    there = edit.code[:, 0] == Code.ERASE
    assert abs(there.mean() - 0.8) < 0.05
    box = edit.param[there, 0, :4]
    sides = box[:, 2:] - box[:, :2]
    assert sides.max() == 16 and sides.min() >= 8  # int(8 * 20 / 10) px, half of it at the edge
    assert (edit.fill[there, 0, :3] == (125, 122, 113)).all()
    none = drawn(PopulationBased(((0, (("Cutout", 1.0, 0),)),)), 100)
    assert not none.code.any()


def test_files_and_text_hold_the_same(tmp_path):
    save_schedule(SCHEDULE, tmp_path / "s.toml")
    assert load_schedule(tmp_path / "s.toml") == SCHEDULE
    policy = Policy(PopulationBased(SCHEDULE, epochs=10))
    assert from_code(repr(policy)) == policy == Policy.from_toml(policy.to_toml())


def numbers(**chances: int) -> list[int]:
    """Parameters of a search: the first half's chance and magnitude of some ops."""
    flat = [0] * 60
    for name, tenths in chances.items():
        flat[2 * SEARCHED_OPS.index(name)] = tenths
        flat[2 * SEARCHED_OPS.index(name) + 1] = 4
    return flat


def test_the_searchs_own_log():
    first, second, third = numbers(), numbers(Rotate=3), numbers(Cutout=10)
    third[30 + 2 * SEARCHED_OPS.index("Invert")] = 5
    log = "\n".join(
        [
            f"['8', '1', 3, 4, {first}, {second}]",  # another lineage
            f"['9', '8', 11, 12, {first}, {second}]",
            f"['7', '9', 35, 34, {second}, {{'hp_policy': {third}}}]",
        ]
    )
    rotate = (("Rotate", 0.3, 4.0),)
    both = (("Cutout", 1.0, 4.0), ("Invert", 0.5, 0.0))
    assert read_search_log(log.split("\n", 1)[1]) == ((0, ()), (12, rotate), (34, both))
    broken = log.replace("'9', '8'", "'9', '5'")
    assert read_search_log(broken) == ((0, ()), (12, rotate), (34, both))
    assert drawn(PopulationBased(read_search_log(log)), 100, epoch=40).code.any()


def test_a_log_holds_what_the_rule_says_in_every_epoch():
    """A drawn log, epoch by epoch; two lines at one epoch are as if the first were not there."""
    rng = random.Random(2)
    drawn_lists = [[rng.randrange(11) for _ in range(60)] for _ in range(6)]
    starts = [12, 34, 34, 75, 81]
    lines = [
        [str(i + 1), str(i), starts[i], starts[i], drawn_lists[i], drawn_lists[i + 1]]
        for i in range(5)
    ]
    schedule = read_search_log("\n".join(map(repr, lines)))
    expected = oracle.searched_schedule(lines, 100)
    assert len(expected) == 100
    for epoch, numbers in enumerate(expected):
        keys = Keys(np.arange(1), epoch=epoch)
        rows = Rows(np.full((1, 2), 32), Draws(keys, 0))
        pairs = zip(SEARCHED_OPS * 2, zip(numbers[::2], numbers[1::2], strict=True), strict=True)
        wanted = tuple((name, p / 10, m) for name, (p, m) in pairs if p)
        assert PopulationBased(schedule).stage(rows) == wanted


def test_a_log_that_goes_back_in_time_is_refused():
    lines = [["1", "0", 9, 9, [0] * 60, [1] * 60], ["2", "1", 5, 5, [1] * 60, [2] * 60]]
    with pytest.raises(PolicyError, match=r"epochs must not go back, got \[9, 5\]"):
        read_search_log("\n".join(map(repr, lines)))


@pytest.mark.parametrize("text", ["", "[1, 2]", "not a list", "['a', 'b', 1, 2, [1], [2]]", "[(("])
def test_other_logs_are_refused(text):
    with pytest.raises(PolicyError, match="search log"):
        read_search_log(text)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "s.toml"
    with pytest.raises(PolicyError, match="cannot be read"):
        load_schedule(path)
    path.write_text("format = 'other'")
    with pytest.raises(PolicyError, match="A schedule file begins with"):
        load_schedule(path)
    path.write_text("format = 'mixwell-schedule'\nversion = 1\n[[stages]]\nstart = 0\nops = [[1]]")
    with pytest.raises(PolicyError, match="broken stage"):
        load_schedule(path)


@pytest.mark.parametrize(
    ("schedule", "rule"),
    [
        ((), "schedule is empty"),
        ("schedule.toml", "schedule must be a tuple of stages; load_schedule(path) reads a file"),
        ((("0", ()),), "a stage is (first epoch, entries)"),
        (((0, (("Rotate", "1", 1),)),), "the chance of Rotate must lie in 0 .. 1"),
        (((0, (("Rotate", 1, None),)),), "the magnitude of Rotate must lie in 0 .. 10"),
        (((0, "Rotate"),), "a stage is (first epoch, entries)"),
        (((0, (("Rotate", 1),)),), "an entry is (op, chance, magnitude)"),
        (((0, (("Blur", 1, 1),)),), "ops must be among"),
        (((0, (("Rotate", 2, 1),)),), "the chance of Rotate must lie in 0 .. 1"),
        (((0, (("Rotate", 1, 11),)),), "the magnitude of Rotate must lie in 0 .. 10"),
        (((1, ()),), "stages must begin at epoch 0"),
        (((0, ()), (5, ()), (5, ())), "and follow each other"),
    ],
)
def test_wrong_schedules_are_refused(schedule, rule):
    with pytest.raises(PolicyError) as error:
        PopulationBased(schedule)
    assert rule in str(error.value)
