"""The chances of timm's samplers, against draws recorded from the library itself.

The default run compares 8,000 draws of each sampler; `pytest -m slow tests/compat` compares
120,000. Counts are compared by chi-squared, spreads by Kolmogorov-Smirnov, each at 1e-6 over all
tests.
"""

from __future__ import annotations

import numpy as np
import pytest

from mixwell._rng import Keys
from mixwell.compat import timm
from mixwell.plan import Mix
from mixwell.plan.steps import WEIGHT_ONE, Code, Edit, Interp
from mixwell.policy import Op, Policy
from tests.compat import recorded_timm as theirs
from tests.compat.harness import (
    NAMES,
    STILL,
    events,
    joint,
    need_same_counts,
    need_same_spread,
)
from tests.compat.recorded_timm import Calls

HW = (60, 40)
"""Sides that differ, so that no translation along x is one along y."""

draws = pytest.mark.parametrize(
    "n", [8_000, pytest.param(120_000, marks=pytest.mark.slow)], ids=["few", "many"]
)


def steps(op: Op, n: int, hw: tuple[int, int] = HW, seed: int = 3):
    return Policy(op).sample(np.full((n, 2), hw), keys=Keys(np.arange(n)), seed=seed).steps


def read(edit: Edit) -> Calls:
    """Events and interpolations of a plan, in timm's numbers."""
    found = events(edit)
    names = {int(Interp.BILINEAR): 2, int(Interp.BICUBIC): 3, int(Interp.NEAREST): 0}
    interp = np.vectorize(names.__getitem__)(edit.interp)
    moving = (edit.code == Code.PIL_WARP) & (found != STILL)
    return Calls(found, np.where(moving, interp, -1))


def sampled(text: str, n: int, **options) -> Calls:
    (edit,) = steps(timm.auto_augment(text, **options), n)
    assert isinstance(edit, Edit)
    return read(edit)


def kinds(found: np.ndarray) -> np.ndarray:
    return np.where(found < 0, -1, (found + 5 * 10**7) // 10**8)


def levels(found: np.ndarray) -> np.ndarray:
    return (found - 10**8 * kinds(found)) * (found >= 0)


def need_same_slots(ours: Calls, his: Calls, *, exact_levels: bool = True) -> None:
    """Every slot's op, level, sign and interpolation, alone and with the slot before."""
    assert ours.event.shape == his.event.shape
    for k in range(ours.event.shape[1]):
        a, b = ours.event[:, k], his.event[:, k]
        if exact_levels:
            need_same_counts(a, b, f"slot {k}: op, level, sign")
        need_same_counts(kinds(a), kinds(b), f"slot {k}: op")
        signs = [joint(kinds(v), np.sign(levels(v))) for v in (a, b)]
        need_same_counts(*signs, f"slot {k}: op and sign")
        if (his.interp[:, k] >= 0).any():
            read_with = [joint(kinds(c.event[:, k]), c.interp[:, k]) for c in (ours, his)]
            need_same_counts(*read_with, f"slot {k}: op and interpolation")
    for k in range(1, ours.event.shape[1]):
        pairs = [c.event[:, k - 1 : k + 1] for c in (ours, his)]
        need_same_counts(*(joint(*kinds(p).T) for p in pairs), f"op {k - 1} and op {k}")
        both = [joint(*np.sign(levels(p)).T, *(p != STILL).T) for p in pairs]
        need_same_counts(*both, f"signs of {k - 1} and {k}")
        both = [joint(*c.interp[:, k - 1 : k + 1].T) for c in (ours, his)]
        if (his.interp >= 0).any():
            need_same_counts(*both, f"interpolations of {k - 1} and {k}")


# -------------------------------------------------------------------------- automatic policies

FIXED = [
    "rand-m9-inc1",
    "rand-m7-n3-p0.7",
    "rand-m15",
    "rand-m15-mmax20-inc1",
    "rand-tweights-n3-p1.0",
    "rand-t3aw-n4",
    "rand-t3a-m4-p1",
    "v0",
    "v0r",
    "original",
    "originalr",
]


@draws
@pytest.mark.parametrize("text", FIXED)
def test_fixed_magnitudes(text, n):
    his = theirs.recorded(text, n, 5, HW)
    ours = sampled(text, n, img_mean=timm.RAW_FILL)
    need_same_slots(ours, his)
    whole = [joint(*c.event.T[:2]) for c in (ours, his)]
    need_same_counts(*whole, "everything about two ops")


def test_a_given_interpolation():
    his = theirs.recorded("rand-m9-inc1", 4000, 5, HW, interpolation=2)
    need_same_counts(
        sampled("rand-m9-inc1", 4000, interpolation="bilinear").interp.ravel(),
        his.interp.ravel(),
        "interpolation",
    )


NOISY = [
    "rand-m9-mstd0.5-inc1",
    "rand-m9-mstd101",
    "rand-m9-mstd101-inc1",
    "rand-m12-mstd3-mmax14-inc1",
    "rand-m12-mstd2",
    "original-mstd0.5",
    "v0-mstd2",
    "3a-mstd3",
]
COUNTED = ("Posterize", "Identity")
"""Ops whose levels are few; those of the others are compared by their spread."""


@draws
@pytest.mark.parametrize("text", NOISY)
def test_noisy_magnitudes(text, n):
    his, ours = theirs.recorded(text, n, 6, HW), sampled(text, n, img_mean=timm.RAW_FILL)
    compared = 0
    if his.event.shape[1] > 1:
        need_same_slots(ours, his, exact_levels=False)
    for k in range(his.event.shape[1]):
        a, b = ours.event[:, k], his.event[:, k]
        for kind in np.unique(kinds(b)).tolist():
            x, y = (levels(v)[kinds(v) == kind] for v in (a, b))
            if len(np.unique(y)) < 2 or len(y) < 200:
                continue
            what = f"slot {k}: level of {NAMES[kind]}"
            if NAMES[kind] in COUNTED or len(np.unique(y)) < 12:
                need_same_counts(x, y, what)
            else:
                need_same_spread(x, y, what)
                cells = [joint(np.sign(v), cells_of(np.abs(v), np.abs(y))) for v in (x, y)]
                need_same_counts(*cells, f"{what}: sign and size")
            compared += 1
    assert compared >= 2
    if his.event.shape[1] > 1 and text.startswith("rand"):
        turn = NAMES.index("Rotate")
        rows = [(kinds(c.event)[:, 1] == turn) for c in (ours, his)]
        size = [np.abs(levels(c.event[r, 1])) for c, r in zip((ours, his), rows, strict=True)]
        first = [c.event[r, 0] == STILL for c, r in zip((ours, his), rows, strict=True)]
        both = [joint(f, cells_of(s, size[1])) for f, s in zip(first, size, strict=True)]
        need_same_counts(*both, "whether the first happens and how much the second turns")


def cells_of(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    return np.digitize(values, np.quantile(like, [0.2, 0.4, 0.6, 0.8]))


def test_two_slots_draw_their_own_noise():
    """The sizes of two rotations of one image have nothing to do with each other."""
    ours = sampled("rand-m9-mstd101-p1.0-inc1", 60_000)
    both = (kinds(ours.event) == NAMES.index("Rotate")).all(axis=1)
    size = np.abs(levels(ours.event[both]))
    assert both.sum() > 150 and abs(np.corrcoef(size.T)[0, 1]) < 0.4


# -------------------------------------------------------------------------------------- AugMix


@draws
@pytest.mark.parametrize("text", ["augmix", "augmix-m5-w4-a0.5-mstd1", "augmix-b1-m9-d2-w2"])
def test_augmix(text, n):
    n = n // 3 if n < 100_000 else n // 2  # each has width times depth ops
    op = timm.auto_augment(text, img_mean=timm.RAW_FILL, translate_pct=0.45)
    expand, edit, gather = steps(op, n)
    assert isinstance(edit, Edit) and isinstance(gather, Mix) and isinstance(expand, Mix)
    his, his_weights = theirs.recorded_augmix(text, n, 8, HW, depth=edit.slots)
    width = gather.source.shape[1] - 1
    found = read(edit)
    ours = [np.stack([v[gather.source[:, 1 + i]] for i in range(width)], axis=1) for v in found]
    event, interp = ours[0], ours[1]
    # Where a chain has ended nothing happens; timm has no slot there. A level of exactly 0 looks
    # the same, and has no chance.
    his_event = his.event.reshape(event.shape)
    his_event = np.where(his_event == -1, STILL, his_event)
    depth = [(v != STILL).sum(axis=2) for v in (event, his_event)]
    if "d2" in text:
        assert all((d == 2).mean() > 0.99 for d in depth)
    else:
        need_same_counts(*(joint(*d.T) for d in depth), "depths")
    for chain in range(width):
        a, b = event[:, chain], his_event[:, chain]
        need_same_counts(*(joint(*kinds(v).T[:2]) for v in (a, b)), f"chain {chain}: op and op")
        pairs = zip((a, b), depth, strict=True)
        together = [joint(kinds(v[:, 0]), d[:, chain]) for v, d in pairs]
        if "d2" not in text:
            need_same_counts(*together, f"chain {chain}: op and depth")
        for name in ("Rotate", "Color", "TranslateX"):
            sizes = [levels(v[:, 0])[kinds(v[:, 0]) == NAMES.index(name)] for v in (a, b)]
            need_same_spread(*sizes, f"chain {chain}: level of {name}")
    firsts = [joint(*kinds(v[:, :2, 0]).T) for v in (event, his_event)]
    need_same_counts(*firsts, "two chains")
    read_with = [interp[:, 0, 0], his.interp.reshape(interp.shape)[:, 0, 0]]
    need_same_counts(*read_with, "interpolation")
    _need_same_weights(gather.units() / WEIGHT_ONE, his_weights)


def _need_same_weights(ours: np.ndarray, his: np.ndarray) -> None:
    parts = ours[:, 1:] / np.maximum(1 - ours[:, :1], 1e-12)
    some = 1 - ours[:, 0] > 0.01  # the chains' own weights are rounded away near zero
    need_same_spread(ours[:, 0], his[:, 0], "weight of the image")
    for i in range(parts.shape[1]):
        need_same_spread(parts[some, i], his[1 - his[:, 0] > 0.01, 1 + i], f"weight of chain {i}")
    cuts = [0.2, 0.4, 0.6, 0.8]
    his_some = his[1 - his[:, 0] > 0.01, 1:]
    cells = [joint(*(np.digitize(w[:, i], cuts) for i in (0, 1))) for w in (parts[some], his_some)]
    need_same_counts(*cells, "weights together")
