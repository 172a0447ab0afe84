"""Ignored labels, weights of samples, background: against scalar loops over the sources."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import mixwell as mw
from mixwell import Edit, Mix, Plan, TargetError
from mixwell.targets import (
    MultiLabels,
    blend_weights,
    dense_labels,
    multi_labels,
    shown_sources,
    soft_cross_entropy,
    sparse_cross_entropy,
    sparse_labels,
)
from tests.oracles import labels as oracle
from tests.targets.test_labels import (
    HARD,
    MANY,
    ROWS,
    SOFT,
    STEPS,
    H,
    W,
    assert_near,
    mix,
    plan_of,
    shown,
)

torch.set_num_threads(1)

WEIGHT = [2.0, 0.25, 1.5]
IGNORE = -100
K = 4


def masses(name: str, weight=WEIGHT, known=(1, 1, 1)) -> list[dict[int, float]]:
    """What each source of each output adds: share * weight, nothing if unknown."""
    return [
        {n: float(s) * weight[n] * known[n] for n, s in sources.items()} for sources in shown(name)
    ]


@pytest.mark.parametrize("labels", [HARD, SOFT], ids=["hard", "soft"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("name", STEPS)
def test_weights_scale_what_a_source_adds(name, smoothing, labels):
    found = dense_labels(labels, plan_of(name), K, weight=WEIGHT, smoothing=smoothing)
    assert_near(found, oracle.dense(labels, masses(name), K, smoothing))


@pytest.mark.parametrize("name", STEPS)
def test_an_ignored_source_adds_nothing(name):
    expected = oracle.dense([2, 0, 3], masses(name, [1, 1, 1], (1, 0, 1)), K)
    hard = [2, IGNORE, 3]
    assert_near(dense_labels(hard, plan_of(name), K, ignore_index=IGNORE), expected)
    sparse = sparse_labels(hard, plan_of(name), num_classes=K, ignore_index=IGNORE)
    assert_near(sparse.dense(K), expected)
    soft = [[0.0, 0.0, 1.0, 0.0], [IGNORE] * K, [0.0, 0.0, 0.0, 1.0]]
    assert_near(dense_labels(soft, plan_of(name), K, ignore_index=IGNORE), expected)


def test_a_class_may_be_the_ignored_one():
    """ignore_index may lie among the classes, as 255 does in segmentation data."""
    found = dense_labels([2, 0, 3], plan_of("no mix"), K, ignore_index=0)
    assert found.tolist() == [[0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize("name", STEPS)
def test_multi_labels_are_means_over_what_is_known(name):
    labels = [[1, IGNORE, 0, 0], [0, IGNORE, 0, 1], [IGNORE, IGNORE, 1, 1]]
    found = multi_labels(labels, plan_of(name), K, weight=WEIGHT, ignore_index=IGNORE)
    assert isinstance(found, MultiLabels) and len(found) == len(shown(name))
    for b, sources in enumerate(masses(name)):
        for k in range(K):
            parts = [(m, labels[n][k]) for n, m in sources.items() if labels[n][k] != IGNORE]
            weight = sum(m for m, _ in parts)
            mean = sum(m * y for m, y in parts) / weight if weight else 0.0
            assert float(found.weights[b, k]) == pytest.approx(weight, abs=1e-6)
            assert float(found.values[b, k]) == pytest.approx(mean, abs=1e-6)


def test_multi_labels_are_plain_rows_unless_something_may_be_unknown():
    plan = plan_of("blend")
    plain = multi_labels(MANY, plan, K, smoothing=0.2)
    assert isinstance(plain, torch.Tensor)
    known = multi_labels(MANY, plan, K, smoothing=0.2, ignore_index=IGNORE)
    assert isinstance(known, MultiLabels) and (known.weights == 1).all()
    torch.testing.assert_close(known.values, plain)


@pytest.mark.parametrize("name", STEPS)
def test_weights_blend_by_shares(name):
    expected = [sum(sources.values()) for sources in masses(name)]
    assert_near(blend_weights(WEIGHT, plan_of(name)), expected)
    dense = dense_labels(HARD, plan_of(name), K, weight=WEIGHT)
    assert_near(dense.sum(dim=1), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.15])
@pytest.mark.parametrize("name", STEPS)
def test_the_loss_of_a_mixed_image_is_the_weighted_losses_of_its_sources(name, smoothing):
    """loss[b] = sum over s of share * weight * loss(logits[b], class of s), in both forms."""
    plan = plan_of(name)
    logits = torch.randn((len(plan), K), generator=torch.Generator().manual_seed(1)).double()
    expected = [
        sum(
            m * float(F.cross_entropy(row, torch.tensor(HARD[n]), label_smoothing=smoothing))
            for n, m in sources.items()
        )
        for row, sources in zip(logits, masses(name), strict=True)
    ]
    wanted = torch.tensor(expected, dtype=torch.float64)
    dense = dense_labels(HARD, plan, K, weight=WEIGHT, smoothing=smoothing)
    sparse = sparse_labels(HARD, plan, weight=WEIGHT)
    inside = soft_cross_entropy(logits, dense, reduction="none")
    outside = sparse_cross_entropy(logits, sparse, smoothing=smoothing, reduction="none")
    # Shares and weights are float32: 24 bits of numbers up to 20.
    torch.testing.assert_close(inside, wanted, rtol=0, atol=5e-6)
    torch.testing.assert_close(outside, wanted, rtol=0, atol=5e-6)


@settings(max_examples=40, deadline=None)
@given(
    cut=st.integers(0, W),
    weights=st.lists(st.floats(0, 10), min_size=2, max_size=2),
    unknown=st.sets(st.integers(0, 1)),
)
def test_mass_is_what_is_known(cut, weights, unknown):
    """Painted images: the width that shows image 0, times its weight, unless it is unknown."""
    entries = [(0, mw.MixMode.ADD, 1.0, (0, 0, W, H)), (1, mw.MixMode.PASTE, 1.0, (cut, 0, W, H))]
    plan = Plan(in_hw=np.full((2, 2), (H, W)), steps=(mix(entries),))
    labels = [IGNORE if n in unknown else n for n in range(2)]
    found = dense_labels(labels, plan, 2, weight=weights, ignore_index=IGNORE)[0]
    parts = cut / W, 1 - cut / W
    for n in range(2):
        wanted = 0.0 if n in unknown else parts[n] * weights[n]
        assert float(found[n]) == pytest.approx(wanted, abs=1e-5)


# Background


def covered(name: str) -> list[dict[int, float]]:
    mixes = [
        [([(*e, (0, 0)) for e in entries], H, W) for entries in outputs] for outputs in STEPS[name]
    ]
    return oracle.coverage([(H, W)] * ROWS, mixes)


@pytest.mark.parametrize("name", STEPS)
def test_background_takes_what_nothing_covers(name):
    expected = oracle.dense(HARD, covered(name), K)
    for row, parts in zip(expected, covered(name), strict=True):
        row[1] += 1 - float(sum(parts.values()))
    assert_near(dense_labels(HARD, plan_of(name), K, background=1), expected)
    sparse = sparse_labels(HARD, plan_of(name), num_classes=K, background=1)
    assert_near(sparse.dense(K), expected)
    rows = torch.eye(K)[HARD]
    assert_near(dense_labels(rows, plan_of(name), K, background=1), expected)
    found = multi_labels(rows, plan_of(name), K, background=1)
    assert_near(found, expected)
    known = multi_labels(rows, plan_of(name), K, background=1, ignore_index=IGNORE)
    torch.testing.assert_close(known.values, found, rtol=0, atol=1e-6)
    torch.testing.assert_close(known.weights, torch.ones_like(found), rtol=0, atol=1e-6)


def test_some_of_the_plans_have_background():
    """The test above can fail: without background= these labels are others."""
    for name in ("fill shows", "cuts and blends of half-empty"):
        plan = plan_of(name)
        gap = dense_labels(HARD, plan, K, background=1) - dense_labels(HARD, plan, K)
        assert gap.abs().max() > 0.05


def test_an_empty_canvas_is_background():
    plan = Plan(in_hw=[[H, W]], steps=(mix([(0, mw.MixMode.SKIP, 0.0, (0, 0, 0, 0))]),))
    assert dense_labels([2], plan, K, background=0).tolist() == [[1, 0, 0, 0]]


def test_background_after_moves_is_what_they_fill():
    """Painted white and moved by 3 of 12 columns: a quarter of the canvas is fill."""
    policy = mw.Policy(mw.CutMix(), mw.TranslateX((0.25, 0.25)))
    keys = mw.Keys(np.arange(4))
    options = {"num_classes": 3, "shares": "visible"}
    augment = mw.Augment(policy, background=2, **options)
    white = torch.ones((4, 1, 8, 12))
    x, y = augment(white, torch.tensor([0, 1, 0, 1]), keys=keys)
    assert (x.mean(dim=(1, 2, 3)) == 0.75).all()
    assert_near(y[:, 2], [0.25] * 4)
    _, plain = mw.Augment(policy, **options)(white, torch.tensor([0, 1, 0, 1]), keys=keys)
    assert_near(y[:, :2], (0.75 * plain[:, :2]).tolist())


@pytest.mark.parametrize(
    "ops",
    [
        (mw.CutMix(), mw.MixUp(), mw.TranslateX((0.25, 0.5))),
        (mw.CutMix(), mw.TranslateX((0.25, 0.5)), mw.MixUp()),
        (mw.MixUp(), mw.RandomCrop((8, 8), padding=4), mw.CutMix(), mw.TranslateY((0.25, 0.25))),
    ],
)
def test_background_behind_several_mixes_is_what_is_black(ops):
    """White images: what is missing to white is the background."""
    labels = torch.tensor([0, 1, 0, 1])
    augment = mw.Augment(mw.Policy(*ops), num_classes=3, background=2, shares="visible")
    x, y = augment(torch.ones((4, 1, 8, 12)), labels, keys=mw.Keys(np.arange(4)))
    assert_near(y[:, 2], (1 - x.double().mean(dim=(1, 2, 3))).tolist())
    assert_near(y.sum(dim=1), [1.0] * 4)
    assert y[:, 2].max() > 0.1


def test_moves_before_a_mix_belong_to_the_image():
    policy = mw.Policy(mw.TranslateX((0.5, 0.5)), mw.CutMix())
    augment = mw.Augment(policy, num_classes=3, background=2)
    _, y = augment(torch.ones((4, 1, 8, 12)), torch.tensor([0, 1, 0, 1]))
    assert y[:, 2].abs().max() < 1e-6


def test_without_a_mix_an_image_covers_itself():
    plan = Plan(in_hw=np.full((ROWS, 2), (H, W)), steps=(Edit.nothing(np.full((ROWS, 2), (H, W))),))
    assert_near(dense_labels(HARD, plan, K, background=1), torch.eye(K)[HARD].tolist())


def test_a_resize_before_the_mix_counts_the_mix_canvas():
    """The cells lie on the canvas of the mix, whatever the images' sizes were."""
    policy = mw.Policy(mw.Resize((8, 8)), mw.CutMix(), mw.MixUp())
    plan = policy.sample([[5, 9], [20, 3], [8, 8]], keys=mw.Keys(np.arange(3)))
    _, shares = shown_sources(plan)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-12)
    assert_near(dense_labels(HARD, plan, K, background=1), dense_labels(HARD, plan, K).tolist())


# Width


class Widest(TorchDispatchMode):
    """Notes the longest axis of every tensor that comes into being."""

    longest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor):
                self.longest = max(self.longest, *leaf.shape, 0)
        return out


def test_sparse_labels_never_are_as_wide_as_the_classes():
    classes = 21_841
    augment = mw.Augment(
        mw.Policy(mw.OneOf(mw.CutMix(), mw.MixUp())),
        num_classes=classes,
        labels="sparse",
        ignore_index=IGNORE,
        background=0,
    )
    images, labels = torch.zeros((6, 1, 8, 8)), torch.arange(6) * 4_000
    with Widest() as widest:
        target = augment(images, mw.targets.Weighted(labels, torch.ones(6)))[1]
        mw.targets.mixed_accuracy(torch.zeros((6, 3)), target)
    assert widest.longest < classes // 4  # the images themselves are 1,536 bytes
    with Widest() as widest:
        target.dense(classes)
    assert widest.longest == classes


# Errors


def test_weights_that_do_not_fit_are_refused():
    plan = plan_of("blend")
    with pytest.raises(TargetError, match=r"Sample weights must be 3 numbers.*got shape \(2,\)"):
        dense_labels(HARD, plan, K, weight=[1.0, 2.0])
    for bad in (-1.0, float("nan"), float("inf")):
        with pytest.raises(TargetError, match=r"finite and at least 0, got"):
            sparse_labels(HARD, plan, weight=[1.0, bad, 1.0])


def test_classes_out_of_range_are_refused_in_sparse_labels_too():
    with pytest.raises(TargetError, match=r"lie in 0 \.\. 2, got 0 \.\. 3.*ignore_index="):
        sparse_labels(HARD, plan_of("blend"), num_classes=3)
    with pytest.raises(TargetError, match=r"be at least 0, got -100 \.\. 3"):
        sparse_labels([-100, 0, 3], plan_of("blend"))


@pytest.mark.parametrize("bad", [-1, 4])
def test_background_is_a_class(bad):
    for make, labels in ((dense_labels, HARD), (dense_labels, SOFT), (multi_labels, MANY)):
        with pytest.raises(TargetError, match=rf"background must be a class in 0 .* 3, got {bad}"):
            make(labels, plan_of("blend"), K, background=bad)


def test_no_images():
    plan = Plan(in_hw=np.zeros((0, 2)), steps=(Mix.identity(np.zeros((0, 2))),))
    options = {"weight": [], "ignore_index": IGNORE, "background": 1}
    assert dense_labels([], plan, K, **options).shape == (0, K)
    assert multi_labels(torch.zeros((0, K)), plan, K, **options).weights.shape == (0, K)
    assert len(sparse_labels([], plan, **options)) == 0
