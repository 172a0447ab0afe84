"""Label truth, seen in the pixels: an image of class k is painted full in channel k and nowhere
else, so the mean pixel of whatever comes out *is* the label vector.

No value here depends on what the random stream gives: the relation must hold for every draw.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mixwell as mw

torch.set_num_threads(1)

SIZE = (17, 11)
FLOAT = 2e-6  # float32 pixels and labels; each is a sum of at most four rounded products
LEVEL = 0.5 / 255  # uint8 pixels are rounded to a whole level once for each mix


def painted(labels, classes: int, size=SIZE, dtype=torch.uint8) -> torch.Tensor:
    """[N, K, H, W]: image i is full in channel labels[i] and empty in all others."""
    top = 255 if dtype == torch.uint8 else 1
    images = torch.zeros((len(labels), classes, *size), dtype=dtype)
    images[torch.arange(len(labels)), torch.as_tensor(labels)] = top
    return images


def means(images: torch.Tensor) -> torch.Tensor:
    """float64 [B, K]: the mean pixel, 1 = full."""
    top = 255.0 if images.dtype == torch.uint8 else 1.0
    return images.double().mean(dim=(2, 3)) / top


def keys_for(count: int, epoch: int = 0, step: int = 0) -> mw.Keys:
    return mw.Keys(np.arange(count) + 7 * step, epoch=epoch, step=step)


def run(policy: mw.Policy, labels, *, dtype=torch.uint8, size=SIZE, keys=None, **options):
    """Augmented images and dense labels of painted images."""
    classes = max(labels) + 1
    augment = mw.Augment(policy, num_classes=classes, **options)
    keys = keys_for(len(labels)) if keys is None else keys
    return augment(painted(labels, classes, size, dtype), torch.tensor(labels), keys=keys)


def assert_true(x: torch.Tensor, y: torch.Tensor, tolerance: float) -> None:
    assert (means(x) - y.double()).abs().max() <= tolerance
    assert (y.double().sum(dim=1) - 1).abs().max() <= FLOAT


def tolerance_of(policy: mw.Policy, dtype: torch.dtype) -> float:
    mixes = sum(op.mixes for op in policy.ops)
    return FLOAT + (mixes * LEVEL if dtype == torch.uint8 else 0.0)


DTYPES = pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=["uint8", "float32"])
BATCHES = pytest.mark.parametrize("count", [2, 3, 7])


@DTYPES
@BATCHES
@pytest.mark.parametrize("pairing", ["derangement", "roll", "flip", "random"])
@pytest.mark.parametrize("lam", ["image", "pair", "batch"])
@pytest.mark.parametrize("op", [mw.MixUp, mw.CutMix])
def test_every_pairing_and_lambda(op, lam, pairing, count, dtype):
    policy = mw.Policy(op(lam=lam, pairing=pairing))
    for step in range(3):
        keys = keys_for(count, step=step)
        x, y = run(policy, list(range(count)), dtype=dtype, keys=keys)
        assert_true(x, y, tolerance_of(policy, dtype))


CHAINS = {
    "one of": mw.Policy(mw.OneOf(mw.MixUp(0.8), mw.CutMix())),
    "one of, weighed": mw.Policy(mw.OneOf(mw.MixUp(), mw.CutMix(), weights=(1.0, 3.0), p=0.7)),
    "MixUp twice": mw.Policy(mw.MixUp(), mw.MixUp(pairing="roll")),
    "MixUp, CutMix": mw.Policy(mw.MixUp(0.4, p=0.6), mw.CutMix(p=0.6)),
    "CutMix, MixUp": mw.Policy(mw.CutMix(pairing="flip"), mw.MixUp(pairing="roll")),
    "one of, MixUp": mw.Policy(mw.OneOf(mw.MixUp(), mw.CutMix()), mw.Sometimes(mw.MixUp())),
    "MixUp, one of": mw.Policy(mw.MixUp(), mw.OneOf(mw.CutMix(), mw.MixUp())),
    "masks and cells": mw.Policy(mw.OneOf(mw.FMix(), mw.SmoothMix(), mw.GridMix())),
    "FMix, CutMix": mw.Policy(mw.FMix(p=0.7), mw.CutMix(pairing="roll")),
    "PatchMix, FMix": mw.Policy(mw.PatchMix(4, True), mw.FMix(max_soft=0.3, pairing="flip")),
    "ResizeMix beside FMix": mw.Policy(mw.OneOf(mw.ResizeMix(), mw.FMix(), mw.MixUp(), p=0.8)),
    "ResizeMix, SmoothMix": mw.Policy(mw.ResizeMix(), mw.SmoothMix(shape="square")),
    "a share, minmax": mw.Policy(mw.MixUp(share=0.5), mw.CutMix(minmax=(0.2, 0.8), share=0.7)),
    "moved before": mw.Policy(
        mw.HorizontalFlip(), mw.RandomResizedCrop((9, 13)), mw.VerticalFlip(), mw.CutMix()
    ),
}

CUTS_OF_CUTS = {
    "CutMix twice": mw.Policy(mw.CutMix(), mw.CutMix(lam="pair")),
    "one of twice": mw.Policy(
        mw.OneOf(mw.MixUp(), mw.CutMix()), mw.Sometimes(mw.OneOf(mw.CutMix(), mw.MixUp()))
    ),
}


@DTYPES
@BATCHES
@pytest.mark.parametrize("name", CHAINS)
def test_chains(name, count, dtype):
    for epoch in range(3):
        keys = keys_for(count, epoch=epoch)
        x, y = run(CHAINS[name], list(range(count)), dtype=dtype, keys=keys)
        assert_true(x, y, tolerance_of(CHAINS[name], dtype))


@pytest.mark.parametrize("name", CUTS_OF_CUTS)
def test_cuts_of_cuts(name):
    for epoch in range(3):
        x, y = run(CUTS_OF_CUTS[name], list(range(7)), keys=keys_for(7, epoch=epoch))
        assert_true(x, y, tolerance_of(CUTS_OF_CUTS[name], torch.uint8))


@DTYPES
@pytest.mark.parametrize("labels", [[1, 1], [0, 1, 0], [2, 0, 2, 2, 0, 1, 2]])
@pytest.mark.parametrize("name", CHAINS)
def test_pairs_of_one_class_add_up(name, labels, dtype):
    x, y = run(CHAINS[name], labels, dtype=dtype)
    assert_true(x, y, tolerance_of(CHAINS[name], dtype))


def test_one_class_alone_keeps_all_its_mass():
    for name in CHAINS:
        _, y = run(CHAINS[name], [0, 0, 0])
        assert (y - 1).abs().max() <= FLOAT


def test_cutmix_on_bytes_is_exact():
    """Areas are counted, nothing is rounded: the only error is float32's in the label."""
    x, y = run(mw.Policy(mw.CutMix()), list(range(7)))
    assert (means(x) - y).abs().max() <= 2**-24


def test_floats_from_bytes_are_not_rounded_between():
    """With mean and std the last mix is blended in real numbers, so no level is lost."""
    policy = mw.Policy(mw.MixUp())
    x, y = run(policy, [0, 1, 2], mean=(0.5, 0.25, 0.0), std=(0.5, 2.0, 1.0))
    back = x.double() * torch.tensor([0.5, 2.0, 1.0])[:, None, None].double()
    assert_true(back + torch.tensor([0.5, 0.25, 0.0])[:, None, None].double(), y, FLOAT)


def test_soft_labels_are_mixed_like_pixels():
    """Pixels painted with the soft label itself, in floats."""
    soft = torch.tensor([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [0.125, 0.0, 0.875]])
    images = soft[:, :, None, None].expand(3, 3, *SIZE).clone()
    for name, policy in CHAINS.items():
        x, y = mw.Augment(policy, num_classes=3)(images, soft, keys=keys_for(3))
        assert (means(x) - y).abs().max() <= FLOAT, name


def test_sparse_labels_tell_the_same():
    policy = CHAINS["MixUp, one of"]
    x, _ = run(policy, [0, 1, 2, 1])
    augment = mw.Augment(policy, labels="sparse")
    _, sparse = augment(painted([0, 1, 2, 1], 3), torch.tensor([0, 1, 2, 1]), keys=keys_for(4))
    assert_true(x, sparse.dense(3), tolerance_of(policy, torch.uint8))


@pytest.mark.parametrize("mixed", [mw.MixUp(), mw.CutMix()])
def test_the_relation_can_fail(mixed):
    """Labels of another epoch's plan do not fit these pixels: the tests above can see that."""
    x, _ = run(mw.Policy(mixed), [0, 1, 2, 3], keys=keys_for(4, epoch=0))
    _, y = run(mw.Policy(mixed), [0, 1, 2, 3], keys=keys_for(4, epoch=1))
    with pytest.raises(AssertionError):
        assert_true(x, y, 10 * LEVEL)


def mixers() -> st.SearchStrategy:
    how = {
        "alpha": st.sampled_from([0.05, 0.4, 1.0, 8.0]),
        "lam": st.sampled_from(["image", "pair", "batch"]),
        "pairing": st.sampled_from(["derangement", "roll", "flip", "random"]),
        "p": st.sampled_from([0.3, 1.0]),
    }
    plain = st.builds(mw.MixUp, **how) | st.builds(mw.CutMix, **how)
    either = st.builds(mw.OneOf, plain, plain, p=st.sampled_from([0.5, 1.0]))
    return plain | either | st.builds(mw.Sometimes, plain | either, st.sampled_from([1, 3]))


def movers() -> st.SearchStrategy:
    """Ops that leave a painted image painted."""
    sides = st.tuples(st.integers(1, 20), st.integers(1, 20))
    return st.one_of(
        st.builds(mw.HorizontalFlip),
        st.builds(mw.Resize, sides),
        st.builds(mw.RandomResizedCrop, sides),
    )


@settings(derandomize=True, deadline=None, max_examples=120, database=None)
@given(
    before=st.lists(movers(), max_size=2),
    mixes=st.lists(mixers(), min_size=1, max_size=2),
    labels=st.lists(st.integers(0, 4), min_size=2, max_size=9),
    size=st.sampled_from([SIZE, (1, 1), (2, 5), (16, 16)]),
    dtype=st.sampled_from([torch.uint8, torch.float32]),
    seed=st.integers(0, 2**64 - 1),
    step=st.integers(0, 1000),
)
def test_every_policy_tells_the_truth(before, mixes, labels, size, dtype, seed, step):
    if any(isinstance(op, mw.Resize | mw.RandomResizedCrop) for op in before):
        dtype = torch.uint8  # in floats a resize of a constant is constant up to rounding only
    policy = mw.Policy(*before, *mixes)
    keys = keys_for(len(labels), epoch=step % 3, step=step)
    x, y = run(policy, labels, dtype=dtype, size=size, keys=keys, seed=seed)
    assert_true(x, y, tolerance_of(policy, dtype))
