"""The public names, pinned; a change of this list is a change of the API."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

import mixwell
import mixwell.anchors
import mixwell.policy
import mixwell.policy.presets
import mixwell.targets
from mixwell.policy.text import registry

PUBLIC = """
__version__

Affine AugMix AutoAugment AutoContrast BBoxSafeCrop Brightness CenterCrop ClassMix ColorJitter
Contrast CopyPaste CutMix Cutout Equalize FMix FixedSizeCrop GaussianBlur GaussianNoise Grayscale
GridMix HorizontalFlip Hue Identity Invert JitterMixUp LongestSide MixUp Mosaic OnViews OneOf Pad
PatchMix Perspective Policy PopulationBased Posterize ProgressiveResize Ramp RandAugment RandomCrop
RandomErasing RandomIoUCrop RandomPhotometricDistort RandomResizedCrop RandomZoomOut Resize
ResizeMix Rotate Saturation ScaleJitter Scheduled Sharpness ShearX ShearY SmoothMix Solarize
Sometimes TranslateX TranslateY TrivialAugment TrivialAugmentWide UniformAugment VerticalFlip Views

Code Edit Interp Mix MixMode Plan paste_plan
backends render
Boxes Keypoints SparseLabels dense_labels sparse_labels
Keys
Augment Collate Fields Key KeyedSampler Loader RepeatedAugmentation Skipped keyed

BackendError DataError KeyMissingError MixwellError PlanError PolicyError RenderError TargetError
""".split()


def test_the_public_names_are_these():
    assert sorted(mixwell.__all__) == sorted(PUBLIC)
    assert dir(mixwell) == sorted(PUBLIC)
    assert len(set(mixwell.__all__)) == len(mixwell.__all__)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_there_and_documented(name):
    value = getattr(mixwell, name)
    if name == "__version__":
        assert value.count(".") == 2
        return
    text = inspect.getdoc(value) or ""
    first = text.splitlines()[0] if text else ""
    assert len(first) > 10, f"{name} says too little about itself: {first!r}"
    assert not first.startswith(f"{name}("), f"{name} has the docstring that dataclass made"


SUBMODULES = [mixwell.anchors, mixwell.policy, mixwell.targets]


@pytest.mark.parametrize("module", SUBMODULES, ids=lambda m: m.__name__)
def test_the_names_of_a_module_are_there_and_documented(module):
    for name in module.__all__:
        assert inspect.getdoc(getattr(module, name)), name
    assert sorted(module.__all__) == list(module.__all__)


def test_every_op_that_text_may_name_is_exported():
    assert set(registry()) <= set(mixwell.policy.__all__)
    libraries = {"TimmErasing", "TimmMixup", "TorchvisionCutMix"}  # built by mixwell.compat
    assert set(registry()) - set(mixwell.__all__) == {"Sequential"} | libraries


@pytest.mark.parametrize("kind", registry().values(), ids=registry())
def test_every_field_of_an_op_is_documented(kind):
    """`p` may be left to the base class where its default is the base's."""
    text = inspect.getdoc(kind) or ""
    missing = [
        f.name
        for f in dataclasses.fields(kind)
        if f"\n    {f.name}: " not in text and not (f.name == "p" and f.default == 1.0)
    ]
    assert missing == []


@pytest.mark.parametrize("name", PUBLIC)
def test_the_methods_of_public_classes_are_documented(name):
    value = getattr(mixwell, name)
    if not inspect.isclass(value) or not value.__module__.startswith("mixwell"):
        return
    for attribute, member in vars(value).items():
        plain = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if inspect.isfunction(plain) and not attribute.startswith("_"):
            assert inspect.getdoc(plain), f"{name}.{attribute}"


FUNCTIONS = [
    *(getattr(mixwell, n) for n in ("render", "dense_labels", "sparse_labels", "backends")),
    *(getattr(mixwell, n) for n in ("Augment", "Collate", "KeyedSampler", "keyed")),
    mixwell.RepeatedAugmentation,
    *(getattr(mixwell.targets, n) for n in mixwell.targets.__all__),
    *(getattr(mixwell.anchors, n) for n in mixwell.anchors.__all__ if not n.startswith("roi_")),
    mixwell.policy.presets.preset,
    mixwell.policy.presets.parse_policy,
    mixwell.Policy.sample,
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__qualname__)
def test_options_are_given_by_name(function):
    """At most one argument with a default may be given by position."""
    if dataclasses.is_dataclass(function):
        return  # the fields of a record
    positional = [
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is not p.empty
    ]
    assert len(positional) <= 1, positional


def test_errors_are_what_a_user_would_catch_anyway():
    errors = [getattr(mixwell, n) for n in PUBLIC if n.endswith("Error")]
    assert all(issubclass(e, mixwell.MixwellError) for e in errors)
    for name, base in (
        ("PolicyError", ValueError),
        ("PlanError", ValueError),
        ("RenderError", ValueError),
        ("TargetError", ValueError),
        ("DataError", ValueError),
        ("BackendError", RuntimeError),
        ("KeyMissingError", RuntimeError),
    ):
        assert issubclass(getattr(mixwell, name), base)
