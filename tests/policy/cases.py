"""The one list of ops that every contract test goes through; a new op joins it here.

Every case works on images of at least 24 x 20 px.
"""

from __future__ import annotations

import numpy as np

from mixwell._rng import Keys
from mixwell.plan import Edit, Mix, Plan
from mixwell.policy import (
    Affine,
    AutoContrast,
    Brightness,
    CenterCrop,
    ColorJitter,
    Contrast,
    CutMix,
    Cutout,
    Equalize,
    GaussianBlur,
    GaussianNoise,
    Grayscale,
    HorizontalFlip,
    Hue,
    Identity,
    Invert,
    MixUp,
    OneOf,
    Op,
    Pad,
    Perspective,
    Policy,
    Posterize,
    RandAugment,
    RandomCrop,
    RandomErasing,
    RandomResizedCrop,
    Resize,
    Rotate,
    Saturation,
    Scheduled,
    Sequential,
    Sharpness,
    ShearX,
    ShearY,
    Solarize,
    Sometimes,
    TranslateX,
    TranslateY,
    TrivialAugmentWide,
    VerticalFlip,
)

OPS: list[Op] = [
    Affine(),
    Affine((-15.0, 30.0), (0.1, 0.2), (0.8, 1.25), 0.2, interp="bicubic", fill=(1.0, 2.0, 3.0)),
    AutoContrast(p=1.0),
    Brightness((0.5, 1.5)),
    CenterCrop((9, 14), fill=7),
    ColorJitter(0.4, 0.4, (0.5, 2.0), 0.1),
    ColorJitter(),
    Contrast(1.5),
    CutMix(),
    CutMix(0.3, lam="pair", pairing="flip"),
    Cutout(8, value="channel"),
    Equalize(),
    GaussianBlur(),
    GaussianBlur((0.5, 3.0), kernel_size=7),
    GaussianNoise((0.0, 0.2)),
    Grayscale(),
    HorizontalFlip(p=1.0),
    HorizontalFlip(alternating=True),
    Hue(0.2),
    Identity(),
    Invert(),
    MixUp(),
    MixUp(0.2, lam="batch", pairing="roll"),
    MixUp(pairing="distinct"),
    MixUp(pairing="random"),
    OneOf(Rotate(10), Invert(p=0.5), weights=(1, 3.0)),
    OneOf(MixUp(0.8), CutMix(1.0)),
    Pad((1, 2, 3, 4), fill=0.5),
    Pad(3),
    Perspective(0.6, p=1.0),
    Posterize((2, 6)),
    RandAugment(),
    RandAugment(3, 15, 31, interp="nearest", fill=(0, 0, 0)),
    RandomCrop(16, padding=2),
    RandomCrop((30, 12), pad_if_needed=True),
    RandomErasing(p=1.0),
    RandomErasing((0.1, 0.2), value="pixel", units="normalized", p=1.0),
    RandomResizedCrop((10, 12)),
    Resize(15),
    Resize((7, 31), interp="bicubic"),
    Resize((8, 8), interp="nearest", antialias=False),
    Rotate(30),
    Rotate((5.0, 5.0), interp="nearest", fill=(10, 20, 30)),
    Saturation((0.0, 2.0)),
    Scheduled(Rotate(10), start=0.25),
    Scheduled(CutMix(), stop=5, by="epoch"),
    Sequential(Resize((12, 12)), HorizontalFlip(p=1.0), Invert()),
    Sharpness((0.1, 1.9)),
    ShearX(0.3),
    ShearY((-0.1, 0.3)),
    Solarize((0, 256)),
    Sometimes(Sequential(Invert(), Rotate(10), p=0.5), p=1.0),
    Sometimes(OneOf(MixUp(), CutMix()), min_batch=2, p=1.0),
    TranslateX(0.3),
    TranslateY((0.1, 0.2)),
    TrivialAugmentWide(),
    VerticalFlip(p=1.0),
]
EDIT_OPS = [op for op in OPS if not op.mixes]
MIX_OPS = [op for op in OPS if op.mixes]


def keys(n: int, *, start: int = 0, **more) -> Keys:
    return Keys(np.arange(start, start + n), **({"epoch": 2, "progress": 0.5} | more))


def sample(op: Op | Policy, n: int = 1, size_hw=(24, 20), *, seed: int = 1, **more) -> Plan:
    """A plan for n equal images."""
    policy = op if isinstance(op, Policy) else Policy(op)
    return policy.sample(np.full((n, 2), size_hw), keys=keys(n, **more), seed=seed)


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
