"""Published recipes: ops and settings against tables written from their sources."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from PIL import Image

import mixwell as mw
from mixwell._errors import PolicyError
from mixwell.plan.steps import Code, Edit, EraseUnits, Mix, MixMode
from mixwell.policy.base import Op
from mixwell.policy.presets import parse_policy, preset, preset_names, preset_summary
from mixwell.policy.published import PUBLISHED
from tests.data import shared_data
from tests.policy.cases import sample

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NAMES = preset_names("published")

# Written by hand from the sources that each recipe names: the ops in order, with the numbers that
# the recipe states. A dict within a dict is an op within an op.
_FLIP = ("HorizontalFlip", {"p": 0.5, "alternating": False})
_TIMM = {"num_ops": 2, "num_magnitude_bins": 11, "op_p": 0.5, "increasing": True, "space": "timm"}
_TIMM |= {"fill": (124, 116, 104), "interp": "bicubic", "magnitude_std": 0.5, "replace": True}


def _rrc(side: int, interp: str) -> tuple:
    box = {"scale": (0.08, 1.0), "ratio": (3 / 4, 4 / 3)}
    return ("RandomResizedCrop", {"size": (side, side), "interp": interp, **box})


def _timm_mix(alpha: float) -> tuple:
    mix = {"mixup_alpha": alpha, "cutmix_alpha": 1.0, "switch_prob": 0.5, "lam": "batch"}
    return ("TimmMixup", {**mix, "correct_lam": True, "p": 1.0})


TABLE: dict[str, list[tuple]] = {
    "torchvision-v1": [_rrc(224, "bilinear"), _FLIP],
    "torchvision-v2": [
        _rrc(176, "bilinear"),
        _FLIP,
        ("TrivialAugmentWide", {"num_magnitude_bins": 31, "interp": "bilinear", "fill": 0}),
        ("RandomErasing", {"p": 0.1, "scale": (0.02, 0.33), "ratio": (0.3, 3.3)}),
        ("OneOf", {"per": "batch", "weights": None, "p": 1.0}),
        ("MixUp", {"alpha": 0.2, "lam": "batch", "pairing": "roll"}),
        ("TorchvisionCutMix", {"alpha": 1.0, "lam": "batch", "pairing": "roll"}),
    ],
    "deit": [
        _rrc(224, "bicubic"),
        _FLIP,
        ("RandAugment", {**_TIMM, "magnitude": 9}),
        (
            "RandomErasing",
            {"p": 0.25, "value": "pixel", "units": "normalized", "scale": (0.02, 1 / 3)},
        ),
        _timm_mix(0.8),
    ],
    "deit3": [
        _rrc(224, "bicubic"),
        _FLIP,
        ("AutoAugment", {"table": "3a", "num_magnitude_bins": 11, "magnitude_std": 0}),
        ("ColorJitter", {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "hue": 0}),
        _timm_mix(0.8),
    ],
    "rsb-a1": [
        _rrc(224, "bicubic"),
        _FLIP,
        ("RandAugment", {**_TIMM, "magnitude": 7}),
        _timm_mix(0.2),
    ],
    "rsb-a2": [
        _rrc(224, "bicubic"),
        _FLIP,
        ("RandAugment", {**_TIMM, "magnitude": 7}),
        _timm_mix(0.1),
    ],
    "rsb-a3": [
        _rrc(160, "bicubic"),
        _FLIP,
        ("RandAugment", {**_TIMM, "magnitude": 6}),
        _timm_mix(0.1),
    ],
    "airbench94": [
        ("HorizontalFlip", {"alternating": True}),
        ("RandomCrop", {"size": (32, 32), "padding": 2, "fill": (125, 123, 114)}),
    ],
    "airbench96": [
        ("HorizontalFlip", {"alternating": True}),
        ("RandomCrop", {"size": (32, 32), "padding": 4, "fill": (125, 123, 114)}),
        ("RandomErasing", {"p": 1.0, "ratio": (1, 1), "value": (125, 123, 114)}),
    ],
    "keras-cutmix": [("TorchvisionCutMix", {"alpha": 0.25, "lam": "image", "p": 1.0})],
    "d2l-cifar10": [
        ("Resize", {"size": (40, 40), "interp": "bilinear"}),
        ("RandomResizedCrop", {"size": (32, 32), "scale": (0.64, 1.0), "ratio": (1.0, 1.0)}),
        _FLIP,
    ],
}

# Settings as published: epochs, images in a step, repeats, size, accuracy on the test images.
SETTINGS = {
    "torchvision-v1": (90, 256, 1, 224, 76.13),
    "torchvision-v2": (600, 1024, 4, 176, 80.858),
    "deit": (300, 1024, 3, 224, 81.846),
    "deit3": (800, 2048, 3, 224, 81.4),
    "rsb-a1": (600, 2048, 3, 224, 80.4),
    "rsb-a2": (300, 2048, 3, 224, 79.8),
    "rsb-a3": (100, 2048, 1, 160, 78.1),
    "airbench94": (9.9, 1024, 1, 32, 94.01),
    "airbench96": (37, 1024, 1, 32, 96.03),
    "keras-cutmix": (15, 32, 1, 32, 80.36),
    "d2l-cifar10": (20, 128, 1, 32, None),
}


def flat(ops: tuple[Op, ...]) -> list[Op]:
    """Ops in order, those within others after them; guards of small batches left out."""
    out: list[Op] = []
    for op in ops:
        inner = getattr(op, "ops", None) or (getattr(op, "op", None),)
        inner = tuple(part for part in inner if isinstance(part, Op))
        if type(op).__name__ != "Sometimes":
            out.append(op)
        else:
            assert (op.p, op.min_batch) == (1.0, 2)  # pyright: ignore[reportAttributeAccessIssue]
        out += flat(inner)
    return out


def test_the_table_has_every_recipe():
    assert tuple(TABLE) == tuple(SETTINGS) == NAMES == tuple(PUBLISHED)
    assert preset_names() == (*preset_names("basics"), *NAMES)
    assert not set(preset_names("basics")) & set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_ops_and_numbers_are_those_of_the_recipe(name):
    found = flat(preset(name).ops)
    assert [type(op).__name__ for op in found] == [kind for kind, _ in TABLE[name]]
    for op, (kind, numbers) in zip(found, TABLE[name], strict=True):
        for field, expected in numbers.items():
            assert getattr(op, field) == expected, f"{kind}.{field}"


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_those_of_the_recipe(name):
    recipe = PUBLISHED[name]
    epochs, batch, repeats, size, accuracy = SETTINGS[name]
    told = recipe.settings
    assert (told["epochs"], recipe.size) == (epochs, size)
    assert np.prod([int(n) for n in str(told["batch"]).split("x")]) == batch
    repeated = str(told.get("repeated augmentation", "none"))
    assert repeated.startswith("none" if repeats == 1 else f"{repeats} ")
    if repeats > 1:
        assert f"repeats={repeats}" in repeated
    if accuracy is not None:
        assert float(re.match(r"[\d.]+", told["result"])[0]) == accuracy
    assert set(recipe.unchecked) <= set(told)
    assert recipe.paper and recipe.source and preset_summary(name) == recipe.summary


@pytest.mark.parametrize("name", NAMES)
def test_text_forms_are_the_policy(name):
    for size in (None, 64):
        policy = preset(name, size)
        assert parse_policy(repr(policy)) == policy == mw.Policy.from_toml(policy.to_toml())
        assert parse_policy(name, size) == policy


@pytest.mark.parametrize("name", NAMES)
def test_a_size_that_is_given_goes_before_the_recipe_s(name):
    own = PUBLISHED[name].size
    for size, given in ((None, own), (48, 48), ((40, 64), (40, 64))):
        expected = given if isinstance(given, tuple) else (given, given)
        inputs = expected if given == own == 32 else (70, 90)
        for n in (0, 1, 5):
            assert (sample(preset(name, size), n, inputs).out_hw == expected).all()


@pytest.mark.parametrize("name", NAMES)
def test_without_flips_nothing_else_changes(name):
    left = [op for op in preset(name).ops if type(op).__name__ != "HorizontalFlip"]
    assert list(preset(name, flip=False).ops) == left


def photographs() -> list[np.ndarray]:
    folder = shared_data("photos", "that published recipes render photographs")
    files = sorted(p for p in folder.iterdir() if p.suffix in (".png", ".jpg"))
    return [np.asarray(Image.open(file).convert("RGB")) for file in files]


@pytest.mark.parametrize("name", NAMES)
def test_photographs_are_rendered_to_the_recipe_s_size(name):
    images, recipe = photographs(), PUBLISHED[name]
    if recipe.size == 32:  # CIFAR's recipes take its images as they are
        images = [np.asarray(Image.fromarray(image).resize((32, 32))) for image in images]
    augment = mw.Augment(preset(name), num_classes=len(images), mean=IMAGENET[0], std=IMAGENET[1])
    keys = mw.Keys(np.arange(len(images)), epoch=1, progress=0.1)
    x, y = augment(images, torch.arange(len(images)), keys=keys)
    x = np.asarray(x)
    assert x.shape == (len(images), recipe.size, recipe.size, 3)
    assert np.isfinite(x).all() and x.std() > 0.3
    torch.testing.assert_close(y.sum(dim=1), torch.ones(len(images)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("given", [(1, 40), (40, 1), (1, 1)])
def test_images_one_pixel_high_are_rendered(name, given):
    """At another size than its own a recipe brings images to that size itself."""
    images = [np.full((*given, 3), 10 * i, np.uint8) for i in range(3)]
    augment = mw.Augment(preset(name, 24), num_classes=3, mean=IMAGENET[0], std=IMAGENET[1])
    x, _ = augment(images, torch.arange(3), keys=mw.Keys(np.arange(3)))
    assert np.asarray(x).shape == (3, 24, 24, 3)


def test_airbench96_hides_a_square_of_twelve_px_inside():
    plan = sample(preset("airbench96"), 200, (32, 32))
    (edit,) = (step for step in plan.steps if isinstance(step, Edit))
    box = edit.param[edit.code == Code.ERASE][:, :4]
    assert len(box) == 200
    assert (box[:, 2:] - box[:, :2] == 12).all()
    assert box.min() == 0 and box.max() == 32


def test_deit_erases_before_it_mixes_and_after_normalising():
    plan = sample(preset("deit", 32), 400, (40, 40))
    kinds = [type(step) for step in plan.steps]
    assert kinds == [Edit, Mix]
    erased = plan.steps[0].code == Code.ERASE
    assert 0.15 < erased.any(axis=1).mean() < 0.35  # p = 0.25, 400 images: +- 4.6 sigma
    assert (plan.steps[0].param[erased][:, 5] == EraseUnits.NORMALIZED).all()


@pytest.mark.parametrize("name", ["torchvision-v2", "deit", "deit3", "rsb-a1"])
def test_a_batch_is_mixed_in_one_way(name):
    seen = set()
    for step in range(40):
        keys = mw.Keys(np.arange(6), step=step)
        plan = preset(name, 32).sample(np.full((6, 2), 40), keys=keys)
        mode = plan.steps[-1].mode[:, 1]
        assert len(set(mode.tolist())) == 1
        seen.add(int(mode[0]))
    assert seen == {MixMode.ADD, MixMode.PASTE}  # missing one has chance 2 ** -39


def test_keras_cutmix_keeps_each_image_s_own_rectangle():
    plan = sample(preset("keras-cutmix"), 64, (32, 32))
    assert len(np.unique(plan.steps[0].rect_px[:, 1], axis=0)) > 20


def test_unknown_names_name_the_recipes_too():
    with pytest.raises(PolicyError, match=r"Did you mean deit3 or deit\?|Did you mean deit"):
        preset("deit2")
