"""Mixed images of painted boxes: weights are what is seen, boxes are around what is seen.

Every image has channels of its own, one for each of its boxes, in float32, so the sum of a channel
is the visible area times its share: the weight is that sum over the box's own area.
"""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mixwell as mw
from mixwell.render import render
from tests.targets.scenes.painted import (
    BICUBIC_PX,
    HALF_PX,
    augment_of,
    boxes_in,
    extent_of,
    keys_of,
    masks_of,
    movements,
    painted,
)

SEEDS = st.integers(0, 2**32 - 1).map(Random)
EACH = 2
"""Boxes in each image."""

MIXERS = {
    "MixUp": mw.MixUp(1.5, sizes="any"),
    "MixUp, beta": mw.MixUp(5.0, beta=0.5, sizes="any", pairing="roll"),
    "MixUp, fixed": mw.MixUp(fixed=0.25, sizes="any"),
    "CutMix": mw.CutMix(sizes="any"),
    "CutMix, minmax": mw.CutMix(minmax=(0.3, 0.9), sizes="any"),
    "CopyPaste": mw.CopyPaste(0.7),
}
CHAINS = {
    "MixUp of CutMix": mw.Policy(mw.CutMix(sizes="any"), mw.MixUp(sizes="any", pairing="roll")),
    "CutMix of MixUp": mw.Policy(mw.MixUp(sizes="any"), mw.CutMix(sizes="any", pairing="flip")),
    "one of": mw.Policy(mw.OneOf(mw.MixUp(sizes="any"), mw.CutMix(sizes="any"), mw.CopyPaste())),
    "sometimes": mw.Policy(mw.CopyPaste(p=0.5), mw.MixUp(sizes="any", p=0.5)),
}


def batch_of(rng: Random, count: int, hw: tuple[int, int] | None = None):
    """Images with painted boxes, [count * EACH, H, W] each, and their targets."""
    images, targets = [], []
    for i in range(count):
        size = hw or (rng.randint(20, 40), rng.randint(20, 40))
        boxes = boxes_in(rng, size, EACH)
        images.append(painted(boxes, size, count * EACH, first=i * EACH))
        targets.append(
            {
                "boxes": torch.from_numpy(boxes).float(),
                "masks": masks_of(boxes, size),
                "labels": torch.arange(EACH) + i * EACH,
            }
        )
    return images, targets


def mixed(policy: mw.Policy, images, targets, rng: Random, **options):
    """Levels [C, H, W] of each output, and its target."""
    augment = augment_of(policy, masks="instance", **options)
    sizes = [image.shape[1:] for image in images]
    plan = augment.plan(sizes, keys_of(rng, len(images)), labels=targets)
    made = augment.targets(targets, plan)
    return [out.numpy() for out in render(images, movements(plan).fused(), stack=False)], made


def areas_of(targets) -> dict[int, float]:
    """Of each thing, by label."""
    found = {}
    for target in targets:
        for label, box in zip(target["labels"].tolist(), target["boxes"].numpy(), strict=True):
            found[label] = float((box[2:] - box[:2]).prod())
    return found


@pytest.mark.parametrize("name", {**{k: mw.Policy(v) for k, v in MIXERS.items()}, **CHAINS})
@settings(max_examples=12)
@given(SEEDS, st.integers(2, 4))
def test_weights_are_visible_areas_and_shares(name, rng, count):
    policy = CHAINS[name] if name in CHAINS else mw.Policy(MIXERS[name])
    images, targets = batch_of(rng, count)
    area = areas_of(targets)
    for levels, made in zip(*mixed(policy, images, targets, rng), strict=True):
        for label in range(count * EACH):
            seen = float(levels[label].sum()) / area[label]
            told = made["weights"][made["labels"] == label]
            assert len(told) <= 1 or name in CHAINS  # a mixed partner may show the own things too
            assert float(told.sum()) == pytest.approx(seen, abs=2e-5)
        assert float(made["shares"].sum()) == pytest.approx(1, abs=1e-5)
        assert set((made["labels"] // EACH).tolist()) <= set(made["sources"].tolist())
        assert (made["source"] == made["labels"] // EACH).all()


@pytest.mark.parametrize("name", MIXERS)
@settings(max_examples=10)
@given(SEEDS, st.integers(2, 4))
def test_boxes_are_around_what_is_seen(name, rng, count):
    images, targets = batch_of(rng, count)
    for levels, made in zip(*mixed(mw.Policy(MIXERS[name]), images, targets, rng), strict=True):
        for label, box, mask in zip(made["labels"], made["boxes"], made["masks"], strict=True):
            shown = levels[label] > 0
            assert np.array_equal(mask.numpy() > 0, shown)
            assert np.array_equal(extent_of(shown), box.numpy())


CUTS = mw.Policy(mw.CutMix(sizes="any"), mw.CutMix(sizes="any", pairing="roll"))


@pytest.mark.parametrize("name", ["cut twice", *CHAINS])
@settings(max_examples=10)
@given(SEEDS, st.integers(2, 4))
def test_behind_several_mixes_boxes_hold_what_is_seen(name, rng, count):
    """Of copies each is around its own part; an L that is cut again counts as its rectangle."""
    images, targets = batch_of(rng, count)
    for levels, made in zip(*mixed(CHAINS.get(name, CUTS), images, targets, rng), strict=True):
        for label in set(made["labels"].tolist()):
            some = made["labels"] == label
            shown, masks = levels[label] > 0, made["masks"][some].numpy() > 0
            assert np.array_equal(masks.any(axis=0), shown)
            for box, mask in zip(made["boxes"][some].numpy(), masks, strict=True):
                around = extent_of(mask)
                assert around is not None
                assert (box[:2] <= around[:2]).all() and (box[2:] >= around[2:]).all()


PLACED = {
    "Mosaic": mw.Policy(mw.Mosaic((48, 60))),
    "Mosaic, jittered": mw.Policy(mw.Mosaic(64, centre=(0.2, 0.8), scale=(0.8, 1.7))),
    "Mosaic of nine": mw.Policy(mw.Mosaic((90, 72), 9, scale=(0.9, 1.4))),
    "YOLOX": mw.Policy(mw.JitterMixUp()),
    "YOLOX, rare": mw.Policy(mw.JitterMixUp((0.4, 2.0), 0.3, p=0.6, interp="bicubic")),
    "turned, mixed, cropped": mw.Policy(
        mw.Resize((40, 40)),
        mw.HorizontalFlip(),
        mw.CutMix(),
        mw.RandomCrop(34, padding=4),
        mw.VerticalFlip(),
    ),
    "pasted, jittered": mw.Policy(
        mw.ScaleJitter(40, (0.8, 1.4)), mw.FixedSizeCrop(40), mw.CopyPaste(), mw.TranslateX(0.2)
    ),
    "mosaic, then SSD": mw.Policy(mw.Mosaic(60), mw.RandomIoUCrop(), mw.HorizontalFlip()),
}


CUT_AGAIN = ("turned, mixed, cropped", "pasted, jittered", "mosaic, then SSD")
"""What a mix leaves as an L is followed as its rectangle, so a later cut may leave it too large."""


@pytest.mark.parametrize("name", PLACED)
@settings(max_examples=10)
@given(SEEDS, st.integers(2, 5))
def test_placed_boxes_within_half_a_pixel(name, rng, count):
    """Copies of a thing (a mosaic of few images) are told apart by their places."""
    images, targets = batch_of(rng, count)
    bound = BICUBIC_PX if "rare" in name else HALF_PX
    for levels, made in zip(*mixed(PLACED[name], images, targets, rng), strict=True):
        height, width = levels.shape[1:]
        for label in range(count * EACH):
            boxes = made["boxes"][made["labels"] == label].numpy().astype(float)
            level = levels[label]
            y, x = np.mgrid[0:height, 0:width] + 0.5
            inside = np.zeros((height, width), bool)
            for box in boxes:
                grown = box + np.array([-bound, -bound, bound, bound])
                inside |= (x >= grown[0]) & (x <= grown[2]) & (y >= grown[1]) & (y <= grown[3])
            wide = len(boxes) > 0 and (boxes[:, 2:] - boxes[:, :2]).min() >= 3
            assert not wide or not ((level > 0.5 * level.max()) & ~inside).any()
            if name in CUT_AGAIN:
                continue
            if len(boxes) == 1 and (boxes[0, 2:] - boxes[0, :2]).min() >= 4:
                found = extent_of(level > 0.5 * level.max())
                assert found is not None and np.abs(found - boxes[0]).max() <= bound


def test_a_things_copies_have_weights_of_their_own():
    """AugMix shows an image several times, here turned apart: weights add up to 1."""
    image = torch.zeros(3, 40, 40)
    target = {"boxes": torch.tensor([[10.0, 12.0, 30.0, 26.0]]), "labels": torch.tensor([5])}
    augment = augment_of(mw.Policy(mw.AugMix(8)))
    _, made = augment([image, image], [target, target], keys=mw.Keys(np.arange(2)))
    for one in made:
        assert one["weights"].sum() == pytest.approx(1, abs=1e-4)
        assert (one["labels"] == 5).all() and len(one["labels"]) >= 1


@settings(max_examples=10)
@given(SEEDS)
def test_class_maps_are_the_pixels(rng):
    """One channel for each class: where it is full, the map says that class."""
    policy = mw.Policy(
        mw.RandomResizedCrop((32, 40)), mw.Rotate(30), mw.CutMix(), mw.HorizontalFlip()
    )
    sizes = [(rng.randint(20, 50), rng.randint(20, 50)) for _ in range(3)]
    maps = [torch.zeros(hw, dtype=torch.int64) for hw in sizes]
    for i, (one, hw) in enumerate(zip(maps, sizes, strict=True)):
        for j, (x0, y0, x1, y1) in enumerate(boxes_in(rng, hw, 3).tolist()):
            one[y0:y1, x0:x1] = 1 + (i + j) % 3
    images = [torch.stack([(m == c).float() for c in range(4)]) for m in maps]
    augment = mw.Augment(policy, masks="semantic", fuse=False)
    plan = augment.plan(sizes, keys_of(rng, 3), labels=maps)
    made = augment.targets(maps, plan)
    for out, found in zip(render(images, movements(plan).fused()), made, strict=True):
        sure = out.amax(dim=0) > 0.99
        assert (out.argmax(dim=0) == found)[sure].all()
        assert (found[out.sum(dim=0) < 0.01] == 255).all()
        assert sure.float().mean() > 0.2
