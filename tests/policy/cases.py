"""The one list of ops that every contract test goes through; a new op joins it here.

Every case works on images of at least 24 x 20 px.
"""

from __future__ import annotations

import numpy as np

from mixwell._rng import Keys
from mixwell.plan import Edit, Mix, Plan
from mixwell.plan.follow import Follow, Things, follow
from mixwell.plan.outlines import Outlines
from mixwell.policy import (
    Affine,
    AugMix,
    AutoAugment,
    AutoContrast,
    BBoxSafeCrop,
    Brightness,
    CenterCrop,
    ClassMix,
    ColorJitter,
    Contrast,
    CopyPaste,
    CutMix,
    Cutout,
    Equalize,
    FixedSizeCrop,
    FMix,
    GaussianBlur,
    GaussianNoise,
    Grayscale,
    GridMix,
    HorizontalFlip,
    Hue,
    Identity,
    Invert,
    JitterMixUp,
    LongestSide,
    MixUp,
    Mosaic,
    OneOf,
    OnViews,
    Op,
    Pad,
    PatchMix,
    Perspective,
    Policy,
    PopulationBased,
    Posterize,
    ProgressiveResize,
    RandAugment,
    RandomCrop,
    RandomErasing,
    RandomIoUCrop,
    RandomPhotometricDistort,
    RandomResizedCrop,
    RandomZoomOut,
    Resize,
    ResizeMix,
    Rotate,
    Saturation,
    ScaleJitter,
    Scheduled,
    Sequential,
    Sharpness,
    ShearX,
    ShearY,
    SmoothMix,
    Solarize,
    Sometimes,
    TimmErasing,
    TimmMixup,
    TorchvisionCutMix,
    TranslateX,
    TranslateY,
    TrivialAugment,
    TrivialAugmentWide,
    UniformAugment,
    VerticalFlip,
    Views,
)

OPS: list[Op] = [
    Affine(),
    Affine((-15.0, 30.0), (0.1, 0.2), (0.8, 1.25), 0.2, interp="bicubic", fill=(1.0, 2.0, 3.0)),
    AugMix(),
    AugMix(9, 2, 1, 0.5, all_ops=False, interp="nearest", fill=(1, 2, 3), p=0.5),
    AutoAugment(),
    AutoAugment("svhn", interp="random", magnitude_std=0.5),
    AutoAugment(((("Invert", 0.5, 0), ("Rotate", 1.0, 2.5)), (("ShearX", 0.9, 9),))),
    AutoContrast(p=1.0),
    BBoxSafeCrop(),
    BBoxSafeCrop((18, 16), interp="bicubic", p=0.5),
    Brightness((0.5, 1.5)),
    CenterCrop((9, 14), fill=7),
    ClassMix(),
    ClassMix(1.0, pairing="roll", p=0.7),
    ColorJitter(0.4, 0.4, (0.5, 2.0), 0.1),
    ColorJitter(),
    Contrast(1.5),
    CopyPaste(),
    CopyPaste(1.0, pairing="roll", p=0.7),
    CutMix(),
    CutMix(0.3, lam="pair", pairing="flip"),
    CutMix(minmax=(0.2, 0.8)),
    CutMix(label="lambda", share=0.75),
    CutMix(sizes="any"),
    Cutout(8, value="channel"),
    Equalize(),
    FixedSizeCrop(16),
    FixedSizeCrop((30, 12), fill=(1, 2, 3)),
    FMix(),
    FMix(0.5, 2.0, 0.2, lam="pair", pairing="flip", share=0.75),
    GaussianBlur(),
    GaussianBlur((0.5, 3.0), kernel_size=7),
    GaussianNoise((0.0, 0.2)),
    Grayscale(),
    GridMix(),
    GridMix(3, 0.5, lam="batch"),
    HorizontalFlip(p=1.0),
    HorizontalFlip(alternating=True),
    Hue(0.2),
    Identity(),
    Invert(),
    JitterMixUp(),
    JitterMixUp((0.3, 0.9), 0.3, 0.2, "bicubic", pairing="roll", p=0.8),
    LongestSide(30),
    LongestSide(17, interp="bicubic"),
    MixUp(),
    MixUp(0.2, lam="batch", pairing="roll"),
    MixUp(pairing="distinct"),
    MixUp(share=0.5),
    MixUp(pairing="random"),
    MixUp(1.5, beta=0.5, sizes="any"),
    MixUp(fixed=0.5, p=0.6),
    Mosaic((24, 20)),
    Mosaic(28, 9, (0.3, 0.6), (0.5, 1.5), fill=114, interp="bicubic", p=0.9),
    OneOf(Rotate(10), Invert(p=0.5), weights=(1, 3.0)),
    OneOf(MixUp(0.8), CutMix(1.0)),
    OneOf(MixUp(0.8), FMix(), CutMix(label="lambda")),
    OneOf(FMix(), ResizeMix(), GridMix(2), p=0.8),
    OneOf(MixUp(), CutMix(), per="batch"),
    Pad((1, 2, 3, 4), fill=7.5),
    Pad(3),
    PatchMix(),
    PatchMix(3, True, 2.0, share=0.8, p=0.9),
    Perspective(0.6, p=1.0),
    PopulationBased(((0, (("Rotate", 0.9, 4), ("Cutout", 0.8, 9), ("Color", 1.0, 2))),)),
    Posterize((2, 6)),
    ProgressiveResize(8, (16, 12), stop=4, multiple=4),
    RandAugment(),
    RandAugment(3, 15, 31, interp="nearest", fill=(0, 0, 0)),
    RandAugment(2, 9.5, 11, magnitude_std=0.5, op_p=0.5, replace=False, increasing=False),
    RandAugment(ops=("Rotate", "Invert"), weights=(1, 2), magnitude_std="uniform"),
    RandomCrop(16, padding=2),
    RandomCrop((30, 12), pad_if_needed=True),
    RandomErasing(p=1.0),
    RandomErasing((0.1, 0.2), value="pixel", units="normalized", p=1.0),
    RandomIoUCrop(),
    RandomIoUCrop(0.5, 0.9, 0.75, 1.5, (0.2, 0.4), 10, p=0.8),
    RandomPhotometricDistort(),
    RandomPhotometricDistort((0.5, 1.0), 0.9, (1.0, 2.0), 0.1, 0.9),
    RandomResizedCrop((10, 12)),
    RandomZoomOut(),
    RandomZoomOut((1.5, 2.0), fill=(1, 2, 3), p=1.0),
    Resize(15),
    Resize((7, 31), interp="bicubic"),
    Resize((8, 8), interp="nearest", antialias=False),
    ResizeMix(),
    ResizeMix((0.2, 0.5), "bicubic", lam="pair", pairing="flip", share=0.8),
    Rotate(30),
    Rotate((5.0, 5.0), interp="nearest", fill=(10, 20, 30)),
    Saturation((0.0, 2.0)),
    ScaleJitter(28),
    ScaleJitter((20, 30), (0.5, 1.5), "bicubic"),
    Scheduled(Rotate(10), start=0.25),
    Scheduled(CutMix(), stop=5, by="epoch"),
    Sequential(Resize((12, 12)), HorizontalFlip(p=1.0), Invert()),
    Sharpness((0.1, 1.9)),
    ShearX(0.3),
    ShearY((-0.1, 0.3)),
    SmoothMix(),
    SmoothMix(0.3, "square", lam="batch"),
    Solarize((0, 256)),
    Sometimes(Sequential(Invert(), Rotate(10), p=0.5), p=1.0),
    Sometimes(OneOf(MixUp(), CutMix()), min_batch=2, p=1.0),
    TimmErasing((1, 3), value="pixel", units="input"),
    TimmErasing((2, 2), p=1.0),
    TimmMixup(),
    TimmMixup(0.8, 1.0, lam="image", p=0.7),
    TimmMixup(0.8, 1.0, (0.2, 0.8), lam="pair", box="1.0.28"),
    TimmMixup(0.0, 1.0, lam="image", correct_lam=False),
    TorchvisionCutMix(),
    TorchvisionCutMix(0.5, lam="image", pairing="derangement", p=0.6),
    TranslateX(0.3),
    TranslateY((0.1, 0.2)),
    TrivialAugment(),
    TrivialAugmentWide(),
    UniformAugment(),
    VerticalFlip(p=1.0),
    OnViews(Invert(), (0,), 2),
    Views(Invert(), AugMix()),
]
EDIT_OPS = [op for op in OPS if not op.mixes and not op.compound]
MIX_OPS = [op for op in OPS if op.mixes and not op.compound]


def keys(n: int, *, start: int = 0, **more) -> Keys:
    return Keys(np.arange(start, start + n), **({"epoch": 2, "epochs": 9, "progress": 0.5} | more))


def boxes_in(size_hw) -> Outlines:
    """Two boxes in each row; its size alone says where."""
    size = np.asarray(size_hw).reshape(-1, 2)
    parts = np.array([(0.1, 0.2, 0.6, 0.5), (0.4, 0.3, 0.9, 0.9)])
    boxes = np.rint(np.tile(size[:, None, ::-1], 2) * parts).reshape(-1, 4)
    return Outlines.start(np.repeat(np.arange(len(size)), 2), boxes, size)


def things_in(size_hw) -> Follow:
    """Where these boxes are behind some steps; masks are all that is in the box, and the boxes'
    places of a row its classes."""

    def behind(steps) -> Things:
        now, outlines = np.asarray(size_hw), follow(boxes_in(size_hw), steps)
        for step in steps:
            now = step.out_hw(now)
        stencils = []
        classes = [np.full(tuple(hw), -1) for hw in now.tolist()]
        for row, box in zip(outlines.row, outlines.xyxy(), strict=True):
            x0, y0, x1, y1 = np.rint(box).astype(int)
            stencils.append(np.zeros(now[row], np.uint8))
            stencils[-1][y0:y1, x0:x1] = 1
            classes[row][y0:y1, x0:x1] = classes[row].max() + 1
        return Things(outlines, stencils, classes)

    return behind


def told(policy: Policy, size_hw) -> dict[str, Follow]:
    """What a policy must be told to sample for rows of these sizes: boxes, if it looks at them."""
    return {"things": things_in(size_hw)} if policy.sees_things else {}


def sample(op: Op | Policy, n: int = 1, size_hw=(24, 20), *, seed: int = 1, **more) -> Plan:
    """A plan for n equal images."""
    policy = op if isinstance(op, Policy) else Policy(op)
    sizes = np.full((n, 2), size_hw)
    return policy.sample(sizes, keys=keys(n, **more), seed=seed, **told(policy, sizes))


def edit(op: Op, n: int = 1, size_hw=(24, 20), **more) -> Edit:
    """The only step of an op that edits."""
    (step,) = sample(op, n, size_hw, **more).steps
    assert isinstance(step, Edit)
    return step


def mix(op: Op, n: int = 2, size_hw=(24, 20), **more) -> Mix:
    """The only step of an op that mixes."""
    (step,) = sample(op, n, size_hw, **more).steps
    assert isinstance(step, Mix)
    return step
