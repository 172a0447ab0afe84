"""Polygons: the same as masks to half a pixel, and exact where nothing turns."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mixwell as mw
from mixwell._errors import TargetError
from tests.oracles import things as oracle
from tests.oracles.outlines import filled
from tests.targets.scenes.flips import HW, flipped
from tests.targets.scenes.painted import keys_of

SEEDS = st.integers(0, 2**32 - 1).map(Random)
ANY = mw.Boxes("xyxy", min_visibility=0.0, min_side=0.0)
CORNER = [(2, 3), (14, 3), (14, 7), (6, 7), (6, 20), (2, 20)]
"""An L of area 48 + 52."""


def ell(rng: Random, hw: tuple[int, int]) -> list[tuple[int, int]]:
    """An L on whole pixels."""
    xs = sorted(rng.sample(range(hw[1] + 1), 3))
    ys = sorted(rng.sample(range(hw[0] + 1), 3))
    (a, b, c), (d, e, f) = xs, ys
    return [(a, d), (c, d), (c, e), (b, e), (b, f), (a, f)]


def picture(rings, hw) -> np.ndarray:
    """bool [H, W]: pixels whose centres lie in any of the rings."""
    found = np.zeros(hw, bool)
    for ring in rings:
        found |= np.array(filled([tuple(p) for p in ring], *hw), bool).reshape(hw)
    return found


def scene_of(rng: Random, count: int):
    """Images' sizes, and their targets as polygons and as masks; two things each."""
    sizes = [(rng.randint(12, 30), rng.randint(12, 30)) for _ in range(count)]
    polygons, masks = [], []
    for i, hw in enumerate(sizes):
        shapes = [ell(rng, hw), ell(rng, hw)]
        labels = np.arange(2) + 2 * i
        polygons.append({"polygons": [[np.array(s, float)] for s in shapes], "labels": labels})
        masks.append({"masks": np.stack([picture([s], hw) for s in shapes]), "labels": labels})
    return sizes, polygons, masks


def made_of(policy: mw.Policy, sizes, targets, kind: str, rng_state: int):
    augment = mw.Augment(policy, masks=kind, fuse=False)  # type: ignore[arg-type]
    plan = augment.plan(sizes, keys_of(Random(rng_state), len(sizes)), labels=targets)
    return augment.targets(targets, plan), plan


STRAIGHT = {
    "flips": mw.Policy(mw.HorizontalFlip(), mw.VerticalFlip()),
    "crop": mw.Policy(mw.RandomCrop((10, 11)), mw.HorizontalFlip()),
    "CutMix": mw.Policy(mw.CutMix(sizes="any")),
    "CutMix twice": mw.Policy(mw.CutMix(sizes="any"), mw.CutMix(sizes="any", pairing="roll")),
    "cut, mixed, cropped": mw.Policy(
        mw.CenterCrop((20, 20)), mw.CutMix(), mw.MixUp(), mw.RandomCrop(14)
    ),
}


@pytest.mark.parametrize("name", STRAIGHT)
@settings(max_examples=15)
@given(SEEDS, st.integers(2, 3), st.integers(0, 2**30))
def test_whole_pixels_are_the_masks_pixels(name, rng, count, seed):
    sizes, polygons, masks = scene_of(rng, count)
    ours, plan = made_of(STRAIGHT[name], sizes, polygons, "polygons", seed)
    theirs, _ = made_of(STRAIGHT[name], sizes, masks, "instance", seed)
    for a, b, hw in zip(ours, theirs, plan.out_hw.tolist(), strict=True):
        assert a["labels"].tolist() == b["labels"].tolist()
        for rings, mask in zip(a["polygons"], b["masks"], strict=True):
            assert np.array_equal(picture(rings, tuple(hw)), mask)
            area = sum(oracle.area([tuple(p) for p in ring]) for ring in rings)
            assert area == pytest.approx(mask.sum())  # rings do not lie over each other


TURNED = {
    "turn": mw.Policy(mw.Rotate(180)),
    "RandAugment": mw.Policy(mw.RandAugment(2, 10)),
    "resized crop": mw.Policy(mw.RandomResizedCrop((20, 24), (0.5, 1.0))),
    "mosaic": mw.Policy(mw.Mosaic((40, 36))),
    "turned, cut": mw.Policy(mw.Rotate(30), mw.CutMix(sizes="any"), mw.ShearX(0.2)),
}


def near_an_edge(rings, hw) -> np.ndarray:
    """bool [H, W]: centres within 0.75 px of a ring's line."""
    y, x = np.mgrid[0 : hw[0], 0 : hw[1]] + 0.5
    found = np.zeros(hw, bool)
    for ring in rings:
        for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            dx, dy = x1 - x0, y1 - y0
            t = np.clip(((x - x0) * dx + (y - y0) * dy) / max(dx * dx + dy * dy, 1e-12), 0, 1)
            found |= np.hypot(x - x0 - t * dx, y - y0 - t * dy) < 0.75
    return found


@pytest.mark.parametrize("name", TURNED)
@settings(max_examples=8)
@given(SEEDS, st.integers(2, 3), st.integers(0, 2**30))
def test_turned_rings_are_their_masks_but_for_edges(name, rng, count, seed):
    sizes, polygons, masks = scene_of(rng, count)
    ours, plan = made_of(TURNED[name], sizes, polygons, "polygons", seed)
    theirs, _ = made_of(TURNED[name], sizes, masks, "instance", seed)
    for a, b, hw in zip(ours, theirs, plan.out_hw.tolist(), strict=True):
        size = tuple(hw)
        pixels = {tuple(k): np.zeros(size, bool) for k in b["labels"].reshape(-1, 1).tolist()}
        for label, mask in zip(b["labels"].tolist(), b["masks"], strict=True):
            pixels[(label,)] |= mask
        for label in set(a["labels"].tolist()):
            rings = [
                r for k, p in zip(a["labels"], a["polygons"], strict=True) if k == label for r in p
            ]
            differ = picture(rings, size) != pixels.get((label,), np.zeros(size, bool))
            assert not (differ & ~near_an_edge(rings, size)).any()


KINDS = [
    [[(2.0, 3.0), (14.0, 3.0), (14.0, 20.0)]],
    [[[2.0, 3.0], [14.0, 3.0], [14.0, 20.0]]],
    [[2.0, 3.0, 14.0, 3.0, 14.0, 20.0]],
    [np.array([(2, 3), (14, 3), (14, 20)], np.float32)],
    [np.array([2, 3, 14, 3, 14, 20])],
    [torch.tensor([(2.0, 3.0), (14.0, 3.0), (14.0, 20.0)])],
    [torch.tensor([2, 3, 14, 3, 14, 20])],
]


@pytest.mark.parametrize("thing", KINDS, ids=range(len(KINDS)))
def test_the_same_kind_comes_out(thing):
    target = {"boxes": [[2.0, 3, 14, 20]], "polygons": [thing]}
    made, _ = flipped(target, masks="polygons")
    (ring,) = made["polygons"][0]
    assert type(ring) is type(thing[0])
    assert np.asarray(ring, float).ndim == np.asarray(thing[0], float).ndim
    assert np.asarray(ring, float).ravel().tolist() == [38, 3, 26, 3, 26, 20]
    if not isinstance(ring, list):
        assert ring.dtype in (torch.float32, np.float32)


def test_boxes_of_polygons():
    """Without boxes a thing's box is around its rings; tight boxes are around what is left."""
    target = {"boxes": [[0.0, 0, 40, 30]], "polygons": [[CORNER]], "area": [100.0]}
    crop = mw.Policy(mw.CenterCrop((10, 40)))  # rows 10 .. 20
    loose, _ = flipped(target, crop, masks="polygons")
    assert loose["boxes"] == [[0, 0, 40, 10]] and loose["area"] == [pytest.approx(40)]
    tight, _ = flipped(target, crop, boxes=mw.Boxes("xyxy", tight=True), masks="polygons")
    assert tight["boxes"] == [[2, 0, 6, 10]]
    gone = mw.Policy(mw.CenterCrop((30, 8)))  # columns 16 .. 24
    made, lost = flipped(target, gone, masks="polygons")
    assert made["polygons"] == [] and lost == {"empty mask": 1}


def test_a_hole_in_the_middle_leaves_four_parts():
    """What is pasted over a square's middle; areas add up, and the square's weight says so too."""
    big = {"boxes": [[0.0, 0, 40, 30]], "polygons": [[[0, 0, 40, 0, 40, 30, 0, 30]]]}
    none = {"boxes": np.zeros((0, 4)).tolist(), "polygons": []}
    augment = mw.Augment(mw.Policy(mw.CutMix(minmax=(0.3, 0.4))), boxes=ANY, masks="polygons")
    images = [torch.zeros(3, *HW)] * 2
    _, made = augment(images, [big, none], keys=mw.Keys(np.arange(2)))
    own = made[0]
    assert 2 <= len(own["polygons"][0]) <= 4
    area = sum(oracle.area(list(zip(r[::2], r[1::2], strict=True))) for r in own["polygons"][0])
    assert area / 1200 == pytest.approx(float(own["weights"][0]))
    assert own["shares"].max() == pytest.approx(area / 1200)


def test_normalized_boxes_have_normalized_polygons():
    target = {"boxes": [[0.25, 0.5, 0.1, 0.2]], "polygons": [[[0.2, 0.4, 0.3, 0.4, 0.3, 0.6]]]}
    made, _ = flipped(target, boxes=mw.Boxes("cxcywh", True), masks="polygons")
    assert made["polygons"][0][0] == pytest.approx([0.8, 0.4, 0.7, 0.4, 0.7, 0.6])


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        (torch.zeros(1, 3, 2), "got Tensor"),
        ([np.zeros((3, 2))], "got a ndarray for a thing"),
        ([[[1.0, 2, 3, 4]]], r"a ring of shape \(4,\)"),
        ([[[1.0, 2, 3, 4, 5]]], r"a ring of shape \(5,\)"),
        ([[[float("nan")] * 6]], "a ring of shape"),
        ([["abc"]], "a ring of"),
        ([[CORNER], [CORNER]], "1 boxes and 2 lists of rings"),
    ],
)
def test_polygons_that_are_none(given_, message):
    with pytest.raises(TargetError, match=message):
        flipped({"boxes": [[0.0, 0, 9, 9]], "polygons": given_}, masks="polygons")


@pytest.mark.parametrize("op", [mw.FMix(), mw.SmoothMix()])
def test_rings_are_not_cut_along_masks(op):
    target = {"boxes": [[0.0, 0, 40, 30]], "polygons": [[CORNER]]}
    augment = mw.Augment(mw.Policy(op), boxes="xyxy", masks="polygons")
    with pytest.raises(TargetError, match='Declare masks="instance"'):
        augment([torch.zeros(3, *HW)] * 2, [target] * 2, keys=mw.Keys(np.arange(2)))
    pasting = mw.Augment(mw.Policy(mw.CopyPaste()), boxes="xyxy", masks="polygons")
    with pytest.raises(mw.PolicyError, match='masks="instance"'):
        pasting([torch.zeros(3, *HW)] * 2, [target] * 2, keys=mw.Keys(np.arange(2)))
