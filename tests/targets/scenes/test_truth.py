"""Painted boxes, masks and points, found again in the pixels: they are where targets say.

No value here depends on what the random stream gives: the relation must hold for every draw.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mixwell as mw
from mixwell.compat.torchvision import RandAugment
from mixwell.plan import Edit, Plan
from mixwell.render import render
from tests.oracles import things as oracle
from tests.plan.test_follow import walked
from tests.targets.scenes.painted import (
    BICUBIC_PX,
    HALF_PX,
    augment_of,
    boxes_in,
    extent_of,
    iou,
    keys_of,
    masks_of,
    movements,
    painted,
    smooth_extent,
)

SEEDS = st.integers(0, 2**32 - 1).map(Random)
SHIFTS = ("Identity", "TranslateX", "TranslateY")

STRAIGHT = {
    "flips": mw.Policy(mw.HorizontalFlip(), mw.VerticalFlip()),
    "crop": mw.Policy(mw.RandomCrop((30, 41), padding=7), mw.HorizontalFlip()),
    "resized crop": mw.Policy(mw.RandomResizedCrop((37, 52)), mw.HorizontalFlip()),
    "bicubic resized crop": mw.Policy(mw.RandomResizedCrop((61, 33), interp="bicubic")),
    "resize, pad": mw.Policy(mw.Resize(35), mw.Pad((1, 2, 3, 4)), mw.VerticalFlip()),
    "resize by points": mw.Policy(mw.Resize((50, 60), antialias=False)),
    "shift": mw.Policy(mw.TranslateX(0.3), mw.TranslateY((-0.2, 0.4))),
    "zoom": mw.Policy(mw.Affine(0.0, (0.1, 0.1), (0.8, 1.3))),
    "centre": mw.Policy(mw.CenterCrop((45, 38)), mw.OneOf(mw.HorizontalFlip(p=1.0), mw.Pad(2))),
    "RandAugment": mw.Policy(mw.RandAugment(3, 20, ops=(*SHIFTS, "Invert", "Contrast"))),
    "IoU crop": mw.Policy(mw.RandomIoUCrop(), mw.Resize((48, 48))),
    "safe crop": mw.Policy(mw.BBoxSafeCrop((40, 56)), mw.HorizontalFlip()),
    "zoom out": mw.Policy(mw.RandomZoomOut((1.0, 2.0), p=0.7), mw.LongestSide(60)),
    "large scale": mw.Policy(mw.ScaleJitter(56, (0.4, 1.6)), mw.FixedSizeCrop(48)),
    "SSD": mw.Policy(
        mw.RandomPhotometricDistort(),
        mw.RandomZoomOut((1.0, 1.5)),
        mw.RandomIoUCrop(),
        mw.HorizontalFlip(),
    ),
}
TURNED = {
    "turn": mw.Policy(mw.Rotate(180)),
    "shears": mw.Policy(mw.ShearX(0.3), mw.ShearY(0.3)),
    "affine": mw.Policy(mw.Affine(40.0, (0.1, 0.1), (0.9, 1.1), 10.0)),
    "perspective": mw.Policy(mw.Perspective(0.4, p=1.0)),
    "RandAugment": mw.Policy(mw.RandAugment(2, 15)),
    "RandAugment of torchvision": mw.Policy(RandAugment(2, 9, backend="tensor")),
    "TrivialAugment": mw.Policy(mw.TrivialAugment(), mw.HorizontalFlip()),
    "AutoAugment": mw.Policy(mw.AutoAugment()),
    "UniformAugment": mw.Policy(mw.RandomCrop((40, 40), pad_if_needed=True), mw.UniformAugment()),
}


def sample_of(rng: Random, count: int = 3, lowest: int = 44):
    """An image with painted boxes, and its target."""
    hw = rng.randint(lowest, 80), rng.randint(lowest, 80)
    boxes = boxes_in(rng, hw, count, least=10)
    target = {
        "boxes": torch.from_numpy(boxes).float(),
        "masks": masks_of(boxes, hw),
        "labels": torch.arange(count),
    }
    return painted(boxes, hw, count), target


def moved(policy: mw.Policy, rng: Random, backend: str = "numba"):
    """Levels [K, H, W] of one image's boxes, its new target, its old one, and the plan."""
    image, target = sample_of(rng)
    augment = augment_of(policy, masks="instance")
    plan = augment.plan([image.shape[1:]], keys_of(rng), labels=[target])
    (made,) = augment.targets([target], plan)
    (out,) = render([image], movements(plan).fused(), backend=backend, stack=False)
    return out.numpy(), made, target, plan


def assert_gone(level: np.ndarray) -> None:
    """Of what targets do not tell, no more is seen than the edge of an edge."""
    assert (level > 0.5).sum(axis=0).max(initial=0) == 0 or min(extent_sides(level)) <= 1


def extent_sides(level: np.ndarray) -> list[float]:
    found = extent_of(level > 0.5)
    return [0.0, 0.0] if found is None else (found[2:] - found[:2]).tolist()


@pytest.mark.parametrize("name", STRAIGHT)
@settings(max_examples=15)
@given(SEEDS)
def test_upright_boxes_within_half_a_pixel(name, rng):
    levels, made, _, _ = moved(STRAIGHT[name], rng)
    bound = BICUBIC_PX if "bicubic" in name else HALF_PX
    told = dict(zip(made["labels"].tolist(), made["boxes"].numpy().astype(float), strict=True))
    for k, level in enumerate(levels):
        if k not in told:
            assert_gone(level)
            continue
        box = told[k]
        if (box[2:] - box[:2]).min() < 3:
            continue  # too thin for a pixel that shows it in full
        found = extent_of(level >= 0.5)
        assert found is not None and np.abs(found - box).max() <= bound


@pytest.mark.parametrize("name", STRAIGHT)
@settings(max_examples=10)
@given(SEEDS)
def test_masks_within_half_a_pixel(name, rng):
    levels, made, _, _ = moved(STRAIGHT[name], rng)
    for label, mask, box in zip(made["labels"], made["masks"], made["boxes"], strict=True):
        found = extent_of(mask.numpy() > 0)
        assert found is not None and np.abs(found - box.numpy()).max() <= HALF_PX
        sure = np.abs(levels[label] - 0.5) > 0.45  # full or empty, not an edge
        assert ((mask.numpy() > 0) == (levels[label] > 0.5))[sure].all()


AXES = ["flips", "crop", "shift", "RandAugment", "resize, pad", "resized crop", "IoU crop"]


@pytest.mark.parametrize("name", AXES)
@settings(max_examples=6)
@given(SEEDS)
def test_upright_boxes_agree_to_a_hundredth(name, rng):
    """IoU >= 0.99, edges read between pixels: a box of 50 px and more, seen whole or in part."""
    hw = (160, 200)
    boxes = boxes_in(rng, hw, 3, least=100)
    augment = augment_of(_large(STRAIGHT[name]))
    targets = [{"boxes": boxes.astype(np.float32), "labels": np.arange(3)}]
    plan = augment.plan([hw], keys_of(rng), labels=targets)
    (made,) = augment.targets(targets, plan)
    (out,) = render([painted(boxes, hw, 3)], movements(plan).fused(), backend="numba", stack=False)
    for label, box in zip(made["labels"], made["boxes"], strict=True):
        if (box[2:] - box[:2]).min() >= 50:
            assert iou(smooth_extent(out[label].numpy()), box) >= 0.99


def _large(policy: mw.Policy) -> mw.Policy:
    """The same with crops and sizes three times as large."""
    grown = {"RandomCrop": {"size": (120, 130)}, "RandomResizedCrop": {"size": (150, 170)}}
    grown |= {"Resize": {"size": 150}}
    ops = [
        replace(op, **grown[type(op).__name__]) if type(op).__name__ in grown else op
        for op in policy.ops
    ]
    return mw.Policy(*ops)


def margins(points: list, shape: tuple[int, int]) -> np.ndarray:
    """[H, W]: how far inside a convex polygon each pixel's centre is, px; negative outside of an
    edge's line, which is no more than the distance."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    inside = np.full(shape, np.inf)
    around = list(zip(points, points[1:] + points[:1], strict=True))
    turn = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in around)
    for (x0, y0), (x1, y1) in around:
        length = np.hypot(x1 - x0, y1 - y0)
        if length > 1e-9:
            side = ((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) / length
            inside = np.minimum(inside, side if turn > 0 else -side)
    return inside


def the_edit(plan: Plan) -> Edit:
    (step,) = plan.steps
    assert isinstance(step, Edit)
    return step


def stretch_of(plan: Plan) -> float:
    """How many pixels of the output a pixel of the input is long, at most, at the corners."""
    height, width = plan.in_hw[0].tolist()
    step, most = the_edit(plan), 1.0
    spots = [(u, v) for u in (0.0, width) for v in (0.0, height)]
    for x, y in spots:
        ends = []
        for point in ((x, y), (x + 0.01, y), (x, y + 0.01)):
            for k in range(step.slots):
                if step.code[0, k] in (1, 4, 5):  # warps
                    m = step.param[0, k, :9].reshape(3, 3).tolist()
                    point = oracle.mapped(point, oracle.inverse(m))[0]
            ends.append(np.array(point))
        jacobian = np.stack([(ends[1] - ends[0]) / 0.01, (ends[2] - ends[0]) / 0.01])
        most = max(most, float(np.linalg.svd(jacobian)[1].max()))
    return most


@pytest.mark.parametrize("name", TURNED)
@settings(max_examples=12)
@given(SEEDS)
def test_turned_boxes_are_enclosed(name, rng):
    """The box around the polygon that scalar loops find; the polygon is what pixels show.

    Within half a pixel of the input, which a stretching warp makes longer.
    """
    levels, made, old, plan = moved(TURNED[name], rng, "auto")
    told = dict(zip(made["labels"].tolist(), made["boxes"].numpy().astype(float), strict=True))
    bound = HALF_PX * stretch_of(plan) + 0.05
    for k, box in enumerate(old["boxes"].tolist()):
        points = walked(oracle.corners(box), the_edit(plan), 0)
        if not points or oracle.area(points) < 1e-3:
            assert k not in told
            continue
        assert told[k] == pytest.approx(oracle.extent(points), abs=2e-3)
        inside = margins(points, levels[k].shape)
        assert (levels[k][inside > bound] > 0.5).all()
        assert (levels[k][inside < -bound] < 0.5).all()
        found = extent_of(levels[k] > 0.5)
        if found is not None:
            assert (found[:2] >= told[k][:2] - bound).all()
            assert (found[2:] <= told[k][2:] + bound).all()


@pytest.mark.parametrize("name", TURNED)
@settings(max_examples=6)
@given(SEEDS)
def test_masks_of_turned_boxes_are_the_pixels(name, rng):
    levels, made, _, _ = moved(TURNED[name], rng, "auto")
    for label, mask in zip(made["labels"], made["masks"], strict=True):
        sure = np.abs(levels[label] - 0.5) > 0.49
        assert ((mask.numpy() > 0) == (levels[label] > 0.5))[sure].mean() > 0.995


@pytest.mark.parametrize("name", {**STRAIGHT, **TURNED})
@settings(max_examples=6)
@given(SEEDS)
def test_points_are_where_their_paint_is(name, rng):
    """A dot of 3 x 3 px around each point; the dot's centre of mass is the point."""
    policy = {**STRAIGHT, **TURNED}[name]
    hw = rng.randint(44, 80), rng.randint(44, 80)
    spots = [(rng.randint(8, hw[1] - 8), rng.randint(8, hw[0] - 8)) for _ in range(3)]
    dots = np.array([(x - 1, y - 1, x + 2, y + 2) for x, y in spots])
    points = np.array([[(x + 0.5, y + 0.5, 2.0) for x, y in spots]])
    target = {"boxes": [[0.0, 0.0, hw[1], hw[0]]], "keypoints": points}
    boxes = mw.Boxes("xyxy", min_visibility=0.0, min_side=0.0)
    augment = mw.Augment(policy, boxes=boxes, keypoints=True, fuse=False)
    plan = augment.plan([hw], keys_of(rng), labels=[target])
    (made,) = augment.targets([target], plan)
    (out,) = render([painted(dots, hw, 3)], movements(plan).fused(), stack=False)
    assert len(made["keypoints"]) == 1
    height, width = out.shape[1:]
    for (x, y, level), dot in zip(made["keypoints"][0], out.numpy(), strict=True):
        if not (0 <= x <= width and 0 <= y <= height):
            assert level == 0
        near_edge = min(x, y, width - x, height - y) < 5
        if level == 0 or near_edge or dot.sum() < 1:
            continue
        rows, columns = np.mgrid[0:height, 0:width] + 0.5
        centre = (columns * dot).sum() / dot.sum(), (rows * dot).sum() / dot.sum()
        assert np.abs(np.array(centre) - (x, y)).max() <= HALF_PX
