"""The chances of torchvision's samplers, against draws recorded from the library itself.

Its op dispatch is replaced by one that notes op and magnitude and returns the image unchanged. The
default run compares 20,000 draws of each sampler; `pytest -m slow tests/compat` compares 120,000.
Counts are compared by chi-squared, spreads by Kolmogorov-Smirnov, each at 1e-6 over all tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from mixwell._rng import Keys
from mixwell.compat import torchvision as tv
from mixwell.plan import Mix
from mixwell.plan.steps import WEIGHT_ONE, Code, Edit
from mixwell.policy import Op, Policy, TorchvisionCutMix
from tests.compat.harness import STILL, event, events, joint, need_same_counts, need_same_spread

HW = (60, 40)
"""Sides that differ, so that no translation along x is one along y."""

draws = pytest.mark.parametrize(
    "n", [20_000, pytest.param(120_000, marks=pytest.mark.slow)], ids=["few", "many"]
)


@contextmanager
def torch_seed(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def recorded(transform: v2.Transform, n: int, seed: int) -> list[list[tuple[bool, int]]]:
    """Of n images the calls of torchvision's dispatch: (whether it is handed the image as it
    came, event)."""
    image, handed_on = (torch.zeros(3, *HW, dtype=torch.uint8) for _ in range(2))
    calls: list[tuple[bool, int]] = []

    def dispatch(given, op, magnitude, **_):
        level = int(magnitude) if op.startswith("Translate") else magnitude
        calls.append((given is not handed_on, event(op, level)))
        return handed_on

    transform._apply_image_or_video_transform = dispatch
    out = []
    with torch_seed(seed):
        for _ in range(n):
            transform(image)
            out.append(calls.copy())
            calls.clear()
    return out


@cache
def recorded_events(cls: type, options: tuple, n: int, most: int, seed: int) -> np.ndarray:
    """int64 [N, most]: the calls' events, -1 where there are fewer."""
    return padded([[e for _, e in row] for row in recorded(cls(*options), n, seed)], most)


def padded(calls: list[list[int]], most: int) -> np.ndarray:
    """int64 [N, most]: events in order, -1 where there are no more."""
    out = np.full((len(calls), most), -1, np.int64)
    for row, found in zip(out, calls, strict=True):
        row[: len(found)] = found
    return out


def sampled(op: Op, n: int, hw: tuple[int, int] = HW, seed: int = 3):
    """The only step of a plan for n keys."""
    (step,) = Policy(op).sample(np.full((n, 2), hw), keys=Keys(np.arange(n)), seed=seed).steps
    return step


def packed(found: np.ndarray) -> np.ndarray:
    """Events in order without the places where nothing happened."""
    found = np.where(found == STILL, -1, found)
    return np.take_along_axis(found, np.argsort(found == -1, axis=1, kind="stable"), axis=1)


def kinds(found: np.ndarray) -> np.ndarray:
    return np.where(found < 0, -1, (found + 5 * 10**7) // 10**8)


def signs(found: np.ndarray) -> np.ndarray:
    return np.sign(found - 10**8 * kinds(found)) * (found >= 0)


# -------------------------------------------------------------------------- automatic policies


@draws
@pytest.mark.parametrize("backend", ["pil", "tensor"])
@pytest.mark.parametrize("policy", list(v2.AutoAugmentPolicy))
def test_autoaugment(policy, backend, n):
    ours = packed(events(sampled(tv.AutoAugment(policy, backend=backend), n)))
    theirs = packed(recorded_events(v2.AutoAugment, (policy,), n, 2, seed=5))
    need_same_counts(joint(*ours.T), joint(*theirs.T), "both ops, levels, signs, whether")
    for place in (0, 1):
        need_same_counts(ours[:, place], theirs[:, place], f"op {place}")
    need_same_counts(joint(*signs(ours).T), joint(*signs(theirs).T), "signs")


@draws
@pytest.mark.parametrize(
    ("count", "magnitude", "backend"), [(2, 9, "pil"), (2, 9, "tensor"), (3, 14, "tensor")]
)
def test_randaugment(count, magnitude, backend, n):
    ours = events(sampled(tv.RandAugment(count, magnitude, backend=backend), n))
    theirs = recorded_events(v2.RandAugment, (count, magnitude), n, count, seed=6)
    assert ours.shape == theirs.shape
    for place in range(count):
        need_same_counts(ours[:, place], theirs[:, place], f"op {place}, level, sign")
    for a in range(1, count):
        need_same_counts(
            joint(kinds(ours[:, 0]), kinds(ours[:, a])),
            joint(kinds(theirs[:, 0]), kinds(theirs[:, a])),
            "op and op",
        )
        need_same_counts(
            joint(signs(ours[:, 0]), signs(ours[:, a])),
            joint(signs(theirs[:, 0]), signs(theirs[:, a])),
            "sign and sign",
        )
    need_same_counts(joint(*ours.T[:2]), joint(*theirs.T[:2]), "everything about two ops")


@draws
@pytest.mark.parametrize(("bins", "backend"), [(31, "pil"), (31, "tensor"), (11, "pil")])
def test_trivialaugment(bins, backend, n):
    ours = events(sampled(tv.TrivialAugmentWide(bins, backend=backend), n))[:, 0]
    theirs = recorded_events(v2.TrivialAugmentWide, (bins,), n, 1, seed=7)[:, 0]
    need_same_counts(kinds(ours), kinds(theirs), "op")
    need_same_counts(joint(kinds(ours), signs(ours)), joint(kinds(theirs), signs(theirs)), "signs")
    need_same_counts(ours, theirs, "op, level and sign")


# -------------------------------------------------------------------------------------- AugMix


def recorded_augmix(n: int, **options) -> tuple[np.ndarray, np.ndarray]:
    """Events int64 [N, 3 chains, 3 places], -1 where a chain has ended; weights [N, 4]."""
    transform, weights = v2.AugMix(**options), []

    def dirichlet(params):
        drawn = torch._sample_dirichlet(params)
        weights.append(drawn[0].double().numpy())
        return drawn

    transform._sample_dirichlet = dirichlet
    found = np.full((n, 3, 3), -1, np.int64)
    for row, calls in zip(found, recorded(transform, n, 8), strict=True):
        chain, place = -1, 0
        for first, e in calls:
            chain, place = (chain + 1, 0) if first else (chain, place + 1)
            row[chain, place] = e
    own, parts = np.stack(weights[0::2]), np.stack(weights[1::2])
    return found, np.column_stack([own[:, 0], parts])


def sampled_augmix(op: Op, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The same from a plan."""
    steps = Policy(op).sample(np.full((n, 2), HW), keys=Keys(np.arange(n)), seed=4).steps
    edit, gather = steps[1], steps[2]
    assert isinstance(edit, Edit) and isinstance(gather, Mix)
    found = events(edit)[gather.source[:, 1:]]
    weights = gather.units() / WEIGHT_ONE
    rest = 1 - weights[:, :1]
    assert (gather.source[:, 0] == np.arange(n)).all() and (edit.code[:n] == Code.NOTHING).all()
    return found, np.column_stack([weights[:, 0], weights[:, 1:] / np.maximum(rest, 1e-12)])


def depths(found: np.ndarray) -> np.ndarray:
    """int64 [N, 3]: ops of each chain that move or change something."""
    return (found >= 0).sum(axis=2)


@draws
@pytest.mark.parametrize("all_ops", [True, False])
def test_augmix(all_ops, n):
    n = n // 2 if n < 100_000 else n  # torchvision's is slow
    theirs, their_weights = recorded_augmix(n, all_ops=all_ops, alpha=0.5)
    ours, our_weights = sampled_augmix(tv.AugMix(all_ops=all_ops, alpha=0.5), n)
    theirs = packed(theirs.reshape(-1, 3)).reshape(-1, 3, 3)
    ours = packed(ours.reshape(-1, 3)).reshape(-1, 3, 3)
    need_same_counts(joint(*depths(ours).T), joint(*depths(theirs).T), "depths")
    for chain in range(3):
        a, b = ours[:, chain], theirs[:, chain]
        need_same_counts(a[:, 0], b[:, 0], f"chain {chain}: first op, level, sign")
        need_same_counts(joint(*kinds(a).T[:2]), joint(*kinds(b).T[:2]), f"chain {chain}: op, op")
        need_same_counts(
            joint(kinds(a[:, 0]), depths(ours)[:, chain]),
            joint(kinds(b[:, 0]), depths(theirs)[:, chain]),
            f"chain {chain}: op and depth",
        )
        need_same_spread(our_weights[:, 1 + chain], their_weights[:, 1 + chain], f"weight {chain}")
    need_same_counts(joint(*kinds(ours[:, :2, 0]).T), joint(*kinds(theirs[:, :2, 0]).T), "chains")
    need_same_spread(our_weights[:, 0], their_weights[:, 0], "weight of the image")
    cuts = np.linspace(0, 1, 6)[1:-1]
    cells = [
        joint(*(np.digitize(w[:, i], cuts) for i in range(3))) for w in (our_weights, their_weights)
    ]
    need_same_counts(*cells, "weights together")


def test_augmix_makes_tensors_of_pil_images():
    """So there is one arithmetic, and our AugMix has no `backend`."""
    transform, seen = v2.AugMix(), set()
    transform._apply_image_or_video_transform = lambda given, *_, **__: (
        seen.add(type(given)),
        given,
    )[1]
    transform(Image.new("RGB", (8, 8)))
    assert seen == {torch.Tensor}


def test_augmix_with_a_given_depth():
    ours, _ = sampled_augmix(tv.AugMix(severity=10, chain_depth=3), 3000)
    theirs, _ = recorded_augmix(3000, severity=10, chain_depth=3)
    need_same_counts(ours.ravel(), theirs.ravel(), "op, level, sign")
    assert (theirs >= 0).all() and ours.shape == theirs.shape


# ------------------------------------------------------------------------------------- mixing


@draws
@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_mixup_lambda(alpha, n):
    op = tv.MixUp(alpha).op
    assert (op.lam, op.pairing) == ("batch", "roll")
    ours = sampled(replace(op, lam="image"), n).units()[:, 0]
    mixup = v2.MixUp(alpha=alpha, num_classes=2)
    with torch_seed(9):
        theirs = np.array([mixup.make_params([])["lam"] for _ in range(n)])
    need_same_spread(ours, np.rint(theirs * WEIGHT_ONE), f"lambda, alpha {alpha}")


@draws
@pytest.mark.parametrize(("alpha", "hw"), [(1.0, (9, 14)), (0.3, (14, 9))])
def test_cutmix_boxes(alpha, hw, n):
    """On small images a box is one of few, so that every one of them is counted."""
    op = tv.CutMix(alpha).op
    assert isinstance(op, TorchvisionCutMix) and (op.lam, op.pairing) == ("batch", "roll")
    ours = sampled(replace(op, lam="image"), n, hw).rect_px[:, 1]
    cutmix, image = v2.CutMix(alpha=alpha, num_classes=2), torch.zeros(2, 3, *hw)
    with torch_seed(10):
        theirs = np.array([cutmix.make_params([image])["box"] for _ in range(n)])
    sides = [(b[:, 2:] - b[:, :2]) for b in (ours, theirs)]
    need_same_counts(joint(*ours.T[[0, 2]]), joint(*theirs.T[[0, 2]]), "left and right")
    need_same_counts(joint(*ours.T[[1, 3]]), joint(*theirs.T[[1, 3]]), "top and bottom")
    need_same_counts(joint(*sides[0].T), joint(*sides[1].T), "width and height")
    need_same_counts(joint(*ours.T[:2]), joint(*theirs.T[:2]), "left and top")
    areas = [s.prod(axis=1) for s in sides]
    need_same_counts(*areas, "area")


@pytest.mark.parametrize("make", [tv.MixUp, tv.CutMix])
def test_one_lambda_for_the_batch_and_the_image_before(make):
    policy, boxes = Policy(make()), set()
    for step in range(50):
        plan = policy.sample(np.full((7, 2), HW), keys=Keys(np.arange(7), step=step), seed=1)
        (mix,) = plan.steps
        assert isinstance(mix, Mix)
        assert (mix.source[:, 1] == np.roll(np.arange(7), 1)).all()
        assert (mix.rect_px[:, 1] == mix.rect_px[:1, 1]).all()
        assert (mix.weight == mix.weight[:1]).all()
        boxes.add((*mix.rect_px[0, 1].tolist(), float(mix.weight[0, 0])))
    assert len(boxes) > 30


# ------------------------------------------------------------------------------------- erasing


def recorded_erasing(n: int, hw: tuple[int, int], **options) -> np.ndarray:
    """int64 [N, 4]: x0 y0 x1 y1, zeros where nothing is erased."""
    transform, image = v2.RandomErasing(**options), torch.zeros(3, *hw)
    out, found = np.zeros((n, 4), np.int64), []
    transform._call_kernel = lambda functional, inpt, **kw: (found.append(kw), inpt)[1]
    with torch_seed(11):
        for row in out:
            transform(image)
            for kw in found:
                row[:] = kw["j"], kw["i"], kw["j"] + kw["w"], kw["i"] + kw["h"]
            found.clear()
    return out


@draws
@pytest.mark.parametrize(
    ("hw", "options"),
    [
        ((9, 14), {"p": 0.7, "scale": (0.1, 0.9)}),  # rejects often, sometimes ten times
        ((60, 40), {}),
    ],
)
def test_random_erasing(hw, options, n):
    edit = sampled(tv.RandomErasing(**options), n, hw)
    ours = edit.param[:, 0, :4].astype(np.int64)
    theirs = recorded_erasing(n, hw, **options)
    erased = [(b[:, 2] > b[:, 0]) & (b[:, 3] > b[:, 1]) for b in (ours, theirs)]
    need_same_counts(*erased, "whether")
    ours, theirs = ours[erased[0]], theirs[erased[1]]
    sides = [(b[:, 2:] - b[:, :2]) for b in (ours, theirs)]
    need_same_counts(joint(*sides[0].T), joint(*sides[1].T), "width and height")
    need_same_counts(joint(*ours.T[[0, 2]]), joint(*theirs.T[[0, 2]]), "left and right")
    need_same_counts(joint(*ours.T[[1, 3]]), joint(*theirs.T[[1, 3]]), "top and bottom")
    need_same_counts(joint(*ours.T[:2]), joint(*theirs.T[:2]), "left and top")
    need_same_spread(*(s.prod(axis=1) for s in sides), "area")
    need_same_spread(*(s[:, 1] / s[:, 0] for s in sides), "ratio")


# ---------------------------------------------------------------------- the comparison can fail


def test_a_small_bias_is_found():
    """Of the size that a forgotten half or an op too many would have."""
    rng = np.random.default_rng(0)
    even, odd = rng.integers(0, 14, 15_000), rng.integers(0, 15, 15_000)
    with pytest.raises(AssertionError, match="p = "):
        need_same_counts(even, odd, "fourteen or fifteen")
    with pytest.raises(AssertionError, match="p = "):
        need_same_spread(rng.random(15_000), rng.random(15_000) ** 1.1, "a power")
    with pytest.raises(AssertionError, match="nothing varies"):
        need_same_counts(np.zeros(9), np.zeros(9), "constant")
