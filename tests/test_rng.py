"""Random numbers: the published stream, whom a number belongs to, and how it is distributed.

Distributions are tested on fixed seeds, so a test either always passes or always fails; the
threshold 1e-6 is the chance that a correct generator had been given a seed that fails.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

import mixwell as mw
from mixwell import _rng
from mixwell._beta import beta_ppf
from mixwell._errors import PolicyError
from mixwell._philox import philox4x32
from mixwell._rng import (
    DERANGEMENT,
    Draws,
    Keys,
    batch_derangement,
    batch_permutation,
    question,
)
from tests.oracles import rng as oracle

CHANCE = 1e-6
MANY = 20_000

WORD = st.integers(0, 2**32 - 1)


def draws(n: int = MANY, *, seed: int = 5, path: str = "/0", **keys) -> Draws:
    return Draws(Keys(np.arange(n), **keys), seed, path)


# ------------------------------------------------------------------------------ the stream


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ("00000000 " * 4, "00000000 " * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff " * 4, "ffffffff " * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            "243f6a88 85a308d3 13198a2e 03707344",
            "a4093822 299f31d0",
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
    ids=["zeros", "ones", "pi"],
)
def test_philox_gives_the_published_answers(counter, key, expected):
    """Known answers that come with Random123, the authors' own code."""
    counter, key, expected = (
        [int(word, 16) for word in text.split()] for text in (counter, key, expected)
    )
    assert philox4x32(np.array(counter, np.uint32), np.array(key, np.uint32)).tolist() == expected
    assert list(oracle.philox4x32(tuple(counter), tuple(key))) == expected


@given(st.tuples(WORD, WORD, WORD, WORD), st.tuples(WORD, WORD))
def test_philox_is_the_scalar_one(counter, key):
    got = philox4x32(np.array(counter, np.uint32), np.array(key, np.uint32))
    assert got.dtype == np.uint32
    assert tuple(got.tolist()) == oracle.philox4x32(counter, key)


def test_philox_broadcasts_counters_against_keys():
    counters = np.random.default_rng(0).integers(0, 2**32, (3, 1, 4), np.uint32)
    keys = np.random.default_rng(1).integers(0, 2**32, (1, 5, 2), np.uint32)
    got = philox4x32(counters, keys)
    assert got.shape == (3, 5, 4)
    for i, j in itertools.product(range(3), range(5)):
        scalar = oracle.philox4x32(tuple(map(int, counters[i, 0])), tuple(map(int, keys[0, j])))
        assert tuple(got[i, j].tolist()) == scalar


@given(
    index=WORD,
    epoch=WORD,
    copy=st.integers(0, 2**16 - 1),
    seed=st.integers(0, 2**64 - 1),
    count=st.integers(1, 11),
)
def test_a_rows_words_have_the_documented_layout(index, epoch, copy, seed, count):
    one = Draws(Keys([index], [copy], epoch=epoch, step=3, rank=2, progress=0.5), seed, "/1/op")
    expected = oracle.words(seed, "/1/op", "size", count, index=index, epoch=epoch, copy=copy)
    assert one.words("size", count).tolist() == [expected]


@given(step=WORD, epoch=WORD, rank=st.integers(0, 2**16 - 1), seed=st.integers(0, 2**64 - 1))
def test_a_batchs_words_have_the_documented_layout(step, epoch, rank, seed):
    keys = Keys([7, 8], [1, 0], epoch=epoch, step=step, rank=rank)
    expected = oracle.batch_words(seed, "/4", "pairing", 6, step=step, epoch=epoch, rank=rank)
    assert Draws(keys, seed, "/4").words("pairing", 6, per_batch=True).tolist() == [expected]


def test_uniform_takes_53_bits():
    one = Draws(Keys([11]), 9, "/0")
    high, low = oracle.words(9, "/0", "u", 2, index=11, epoch=0, copy=0)
    assert one.uniform("u")[0] == oracle.unit(high, low)
    assert one.uniform("u", -3.0, 5.0)[0] == -3.0 + 8.0 * oracle.unit(high, low)


# ------------------------------------------------------------------- whom a number belongs to

BASE = {"index": 6, "copy": 0, "epoch": 2, "step": 1, "rank": 0, "seed": 3, "path": "/0"}


def _answer(name: str = "angle", per_batch: bool = False, **changes) -> list[int]:
    who = BASE | changes
    keys = Keys([who["index"]], [who["copy"]], who["epoch"], who["step"], who["rank"])
    return Draws(keys, who["seed"], who["path"]).words(name, 4, per_batch=per_batch)[0].tolist()


ROW = [{"index": 7}, {"copy": 1}, {"epoch": 3}, {"seed": 4}, {"path": "/1"}, {"name": "size"}]


@pytest.mark.parametrize("change", [*ROW, {"index": 2, "epoch": 6}, {"seed": 3 << 32}], ids=str)
def test_each_part_of_a_rows_key_changes_its_numbers(change):
    assert _answer(**change) != _answer()


@pytest.mark.parametrize("change", [{"step": 2}, {"rank": 1}], ids=str)
def test_a_rows_numbers_do_not_depend_on_its_batch(change):
    assert _answer(**change) == _answer()


BATCH = [{"step": 2}, {"rank": 1}, {"epoch": 3}, {"seed": 4}, {"path": "/1"}, {"name": "size"}]


@pytest.mark.parametrize("change", BATCH, ids=str)
def test_each_part_of_a_batchs_key_changes_its_numbers(change):
    assert _answer(per_batch=True, **change) != _answer(per_batch=True)


@pytest.mark.parametrize("change", [{"index": 7}, {"copy": 1}], ids=str)
def test_a_batchs_numbers_do_not_depend_on_its_rows(change):
    assert _answer(per_batch=True, **change) == _answer(per_batch=True)


def test_rows_and_batches_never_share_a_draw():
    """Row 4 and step 4 have equal counters but for the question."""
    assert _answer(index=4, step=4) != _answer(index=4, step=4, per_batch=True)


METHODS = {
    "uniform": lambda d: d.uniform("x"),
    "uniforms": lambda d: d.uniforms("x", 3),
    "integers": lambda d: d.integers("x", 0, 1000),
    "normal": lambda d: d.normal("x"),
    "beta": lambda d: d.beta("x", 0.3, 2.0),
    "sign": lambda d: d.sign("x"),
    "choice": lambda d: d.choice("x", np.array([1.0, 2.0, 3.0])),
    "permutation": lambda d: d.permutation("x", 6),
    "pixel_key": lambda d: d.pixel_key("x"),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_neither_split_nor_order_of_a_batch_changes_a_draw(method):
    keys = Keys([5, 1, 9, 1, 7], [0, 0, 3, 1, 0], epoch=4)
    whole = method(Draws(keys, 8, "/2"))
    order = np.array([3, 0, 4, 2, 1])
    assert np.array_equal(method(Draws(keys, 8, "/2").take(order)), whole[order])
    halves = [method(Draws(keys.take(part), 8, "/2")) for part in (slice(0, 2), slice(2, 5))]
    assert np.array_equal(np.concatenate(halves), whole)
    assert len(method(Draws(Keys(np.zeros(0, np.int64)), 8, "/2"))) == 0


def test_questions_do_not_collide():
    """48 bits: the chance of any collision among n random questions is n**2 / 2**49."""
    paths = [f"/{i}/{part}/{j}" for i in range(12) for part in ("op", "0", "1") for j in range(8)]
    names = ["whether", "which", "angle", "area", "ratio", "top", "left", "op", "sign", "lam"]
    names += [f"pairing:{i}" for i in range(64)]
    asked = list(itertools.product(paths, names, range(4)))
    assert len({question(*ask) for ask in asked}) == len(asked) > 80_000
    assert all(question(*ask) < 2**48 for ask in asked[:100])
    assert question("/0", "angle", 1) == oracle.question("/0", "angle", 1)


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: Keys([-1]), "Keys.index must lie in 0 .. 4294967295, got -1 .. -1"),
        (lambda: Keys([2**32]), "Keys.index must lie in"),
        (lambda: Keys([0], [2**16]), "Keys.copy must lie in 0 .. 65535"),
        (lambda: Keys([[0, 1]]), "Keys.index must be one-dimensional"),
        (lambda: Keys([0], epoch=-1), "Keys.epoch must lie in 0 .. 2**32 - 1, got -1"),
        (lambda: Keys([0], rank=2**16), "Keys.rank must lie in 0 .. 2**16 - 1, got 65536"),
        (lambda: Keys([0.7]), "Keys.index must be whole numbers, got float64"),
        (lambda: Keys([0], progress=7.0), "Keys.progress must lie in 0 .. 1, got 7.0"),
        (lambda: draws(1, seed=-1).uniform("x"), "seed must lie in 0 .. 2"),
        (lambda: draws(1, seed=2**64).uniform("x"), "seed must lie in 0 .. 2"),
    ],
)
def test_keys_out_of_range_are_refused(make, rule):
    with pytest.raises(PolicyError) as error:
        make()
    assert rule in str(error.value)


# ----------------------------------------------------------------------------- distributions


def uniform_p(values: np.ndarray, cells: int) -> float:
    """Chi-square p-value of whole numbers 0 .. cells - 1 being uniform."""
    return stats.chisquare(np.bincount(values.ravel(), minlength=cells)).pvalue


def test_uniform_is_uniform():
    assert stats.kstest(draws().uniform("x"), "uniform").pvalue > CHANCE
    assert stats.kstest(draws().uniforms("x", 3).ravel(), "uniform").pvalue > CHANCE
    scaled = draws().uniform("x", -2.0, 6.0)
    assert stats.kstest(scaled, "uniform", (-2.0, 8.0)).pvalue > CHANCE
    assert scaled.min() >= -2.0 and scaled.max() < 6.0


@pytest.mark.parametrize("along", ["index", "epoch", "copy", "seed", "name", "path", "step"])
def test_numbers_are_uniform_along_every_part_of_the_key(along):
    """The part that varies is all that differs between successive numbers."""
    text = along in ("name", "path")
    answers = [
        _answer(**{along: f"{along}{i}" if text else i}, per_batch=along == "step")
        for i in range(1500)
    ]
    unit = np.array(answers) / 2.0**32
    assert stats.kstest(unit.ravel(), "uniform").pvalue > CHANCE
    lag = np.corrcoef(unit[:-1, 0], unit[1:, 0])[0, 1]
    assert abs(lag) < 5 / math.sqrt(len(unit))


@pytest.mark.parametrize("pair", [("whether", "angle"), ("angle", "angle:1"), ("a", "b")])
def test_two_named_draws_are_independent(pair):
    """The fault of one key for two questions shows in the joint distribution only."""
    first, second = (np.floor(8 * draws().uniform(name)).astype(int) for name in pair)
    assert uniform_p(8 * first + second, 64) > CHANCE


def test_words_of_one_draw_are_independent():
    high = draws().words("x", 8) >> 29
    for i, j in itertools.combinations(range(8), 2):
        assert uniform_p(8 * high[:, i] + high[:, j], 64) > CHANCE


@pytest.mark.parametrize("span", [1, 2, 7, 256])
def test_integers_are_uniform_over_the_whole_span(span):
    values = draws().integers("x", -3, span - 3)
    assert values.dtype == np.int64
    assert values.min() == -3 and values.max() == span - 4
    assert span == 1 or uniform_p(values + 3, span) > CHANCE


def test_integers_take_a_span_for_each_row():
    low, high = np.array([0, 5, -2, 4]), np.array([1, 7, 3, 4])
    values = np.stack([draws(4, epoch=e).integers("x", low, high) for e in range(200)])
    assert [sorted(set(v.tolist())) for v in values.T] == [[0], [5, 6], [-2, -1, 0, 1, 2], [4]]


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.93, 1.0])
def test_bernoulli_has_its_chance(p):
    hits = int(draws().bernoulli("x", p).sum())
    assert stats.binomtest(hits, MANY, p).pvalue > CHANCE
    assert p not in (0.0, 1.0) or hits == p * MANY


def test_sign_is_even():
    signs = draws().sign("x")
    assert set(signs.tolist()) == {-1.0, 1.0}
    assert stats.binomtest(int((signs > 0).sum()), MANY, 0.5).pvalue > CHANCE


def test_choice_follows_its_weights():
    weights = np.array([0.0, 3.0, 1.0, 0.0, 4.0, 0.0])
    counts = np.bincount(draws().choice("x", weights), minlength=6)
    assert counts[weights == 0].sum() == 0
    used = weights > 0
    expected = MANY * weights[used] / weights.sum()
    assert stats.chisquare(counts[used], expected).pvalue > CHANCE


def test_normal_is_normal():
    values = draws().normal("x")
    assert np.isfinite(values).all()
    assert stats.kstest(values, "norm").pvalue > CHANCE


def test_permutation_is_uniform_over_all_orders():
    orders = draws().permutation("x", 4)
    assert (np.sort(orders, axis=1) == np.arange(4)).all()
    number = {order: i for i, order in enumerate(itertools.permutations(range(4)))}
    which = np.array([number[tuple(order)] for order in orders.tolist()])
    assert uniform_p(which, 24) > CHANCE


def test_beta_has_its_distribution():
    values = draws().beta("x", 0.4, 1.5)
    assert stats.kstest(values[:, 0], "beta", (0.4, 1.5)).pvalue > CHANCE
    assert np.abs(values.sum(axis=1) - 1).max() < 1e-15


# ---------------------------------------------------------------------------- Beta quantiles

SHAPES = [0.05, 0.1, 0.2, 0.4, 1.0, 1.5, 2.0, 8.0, 32.0]
TAILS = 10.0 ** -np.arange(2.0, 15.0)
PROBABILITIES = np.concatenate([np.linspace(0, 1, 20001), TAILS, 1 - TAILS])


@pytest.mark.parametrize("a", SHAPES)
@pytest.mark.parametrize("b", SHAPES)
def test_beta_quantiles_hit_their_probability(a, b):
    """|F(x) - u| <= 1e-6, the tail taken from whichever of x and 1 - x holds it."""
    u = PROBABILITIES
    x, rest = beta_ppf(u, a, b)
    reached = np.where(x < 0.5, special.betainc(a, b, x), 1 - special.betainc(b, a, rest))
    assert np.abs(reached - u).max() <= 1e-6
    assert (np.diff(x[:20001]) >= 0).all() and (np.diff(rest[:20001]) <= 0).all()
    assert np.abs(x + rest - 1).max() <= 3e-16
    assert x.min() >= 0 and rest.min() >= 0


@pytest.mark.parametrize("a", SHAPES)
@pytest.mark.parametrize("b", SHAPES)
def test_x_and_its_complement_are_both_exact_where_they_are_small(a, b):
    """For a = 32, b = 0.05 the median lies 1.8e-8 below 1, and u = 0.999 gives 1 - x = 2e-62."""
    u = np.array([1e-6, 1e-3, 0.1, 0.5, 0.9, 0.999, 1 - 1e-6])
    x, rest = beta_ppf(u, a, b)
    np.testing.assert_allclose(x, special.betaincinv(a, b, u), rtol=1e-5)
    np.testing.assert_allclose(rest, special.betaincinv(b, a, 1 - u), rtol=1e-5)


def test_beta_of_ones_is_uniform():
    u = np.linspace(1e-6, 1 - 1e-6, 1001)
    assert np.abs(beta_ppf(u, 1, 1)[0] - u).max() <= 1e-9


@pytest.mark.parametrize("shapes", [(0.0, 1), (-1, 1), (1, 0.001), (1, 1001), (math.nan, 1)])
def test_impossible_shapes_are_refused(shapes):
    with pytest.raises(PolicyError, match=r"Beta needs [ab] in 0\.01 \.\. 1000, got"):
        beta_ppf(np.array([0.5]), *shapes)


# ---------------------------------------------------------------------------------- pairings


def batch(step: int, **more) -> Draws:
    return Draws(Keys([0], step=step, **more), 5, "/0")


@pytest.mark.parametrize("size", [0, 1, 2, 3, 10])
def test_batch_permutation_is_a_permutation(size):
    order = batch_permutation(batch(3), "p", size)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(size))


def test_batch_permutation_is_uniform():
    number = {order: i for i, order in enumerate(itertools.permutations(range(3)))}
    which = [number[tuple(batch_permutation(batch(s), "p", 3).tolist())] for s in range(3000)]
    assert uniform_p(np.array(which), 6) > CHANCE


@pytest.mark.parametrize("size", [2, 3, 4, 5, 17, 128])
def test_a_derangement_moves_everybody(size):
    for step in range(40):
        order = batch_derangement(batch(step), "p", size)
        assert sorted(order.tolist()) == list(range(size))
        assert (order != np.arange(size)).all()


@pytest.mark.parametrize(("size", "many"), [(2, 1), (3, 2), (4, 9)])
def test_derangements_are_uniform(size, many):
    steps = 4000 if size == 4 else 600
    seen = Counter(tuple(batch_derangement(batch(s), "p", size).tolist()) for s in range(steps))
    assert len(seen) == many
    assert many == 1 or stats.chisquare(list(seen.values())).pvalue > CHANCE


@pytest.mark.parametrize("size", [2, 3, 4, 9])
@pytest.mark.parametrize("shifted", [False, True], ids=["identity", "one fixed point"])
def test_the_way_out_after_64_unlucky_tries_has_no_fixed_point(monkeypatch, size, shifted):
    tries = []

    def unlucky(draws, name, size):
        tries.append(name)
        order = np.arange(size)
        if shifted:
            order[1:] = np.roll(order[1:], 1)
        return order

    monkeypatch.setattr(_rng, "batch_permutation", unlucky)
    order = batch_derangement(batch(0), "p", size)
    assert len(set(tries)) == 64
    assert sorted(order.tolist()) == list(range(size))
    assert (order != np.arange(size)).all()


def test_one_row_has_no_derangement():
    with pytest.raises(PolicyError, match="needs at least 2 rows, got 1"):
        batch_derangement(batch(0), "p", 1)
    assert batch_derangement(batch(0), "p", 0).tolist() == []


@pytest.mark.parametrize("rows", [0, 1, 2, 7, 64])
@pytest.mark.parametrize("seed", [0, 5, 2**64 - 1])
def test_what_is_drawn_ahead_is_what_would_be_drawn(rows, seed):
    keys = Keys(np.arange(rows) * 3 + 1, epoch=2, step=9, rank=1)
    plain = Draws(keys, seed, "/1")
    asks = [("/1", "a", 1), ("/1", "b", 3), ("/1", "pairing", DERANGEMENT), ("/2", "a", 2)]
    ahead = Draws(keys, seed, "/1").asked(asks)
    assert set(ahead.ahead.units) == {("/1", "a"), ("/1", "b"), ("/2", "a")}
    assert len(ahead.ahead.words) == 4
    for draws, other in ((plain, ahead), (plain.child("x"), ahead.child("x"))):
        np.testing.assert_array_equal(draws.uniform("a"), other.uniform("a"))
        np.testing.assert_array_equal(draws.uniforms("b", 3), other.uniforms("b", 3))
        for size in {rows, 2 * rows} - {1}:  # views have more rows than what was asked for
            found = batch_derangement(other, "pairing", size)
            np.testing.assert_array_equal(batch_derangement(draws, "pairing", size), found)
            assert sorted(found) == list(range(size)) and not (found == np.arange(size)).any()
    for held in ahead.ahead.words.values():
        assert held.shape == (1, 2 * rows)


def test_mixers_say_that_they_draw_derangements():
    """What `asks` forgets is drawn later, which takes time and changes nothing else."""
    policy = mw.Policy(mw.OneOf(mw.MixUp(), mw.CutMix()), mw.MixUp(lam="batch"))
    said = {(path, name) for path, name, count in policy._asks if count == DERANGEMENT}
    assert said == {("/0/0", "pairing"), ("/0/1", "pairing"), ("/1", "pairing")}
    asks = mw.Policy(mw.MixUp(pairing="roll"))._asks
    assert [name for _, name, _ in asks] == ["lam"]
