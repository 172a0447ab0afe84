"""Decide once, apply everywhere: image augmentation and mixing as plans.

`import mixwell` loads NumPy alone; everything else is imported at first use (PEP 562).
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOMES = {
    "mixwell.policy": (
        "Affine",
        "AugMix",
        "AutoAugment",
        "AutoContrast",
        "BBoxSafeCrop",
        "Brightness",
        "CenterCrop",
        "ClassMix",
        "ColorJitter",
        "Contrast",
        "CopyPaste",
        "CutMix",
        "Cutout",
        "Equalize",
        "FMix",
        "FixedSizeCrop",
        "GaussianBlur",
        "GaussianNoise",
        "Grayscale",
        "GridMix",
        "HorizontalFlip",
        "Hue",
        "Identity",
        "Invert",
        "JitterMixUp",
        "LongestSide",
        "MixUp",
        "Mosaic",
        "OnViews",
        "OneOf",
        "Pad",
        "PatchMix",
        "Perspective",
        "Policy",
        "PopulationBased",
        "Posterize",
        "ProgressiveResize",
        "Ramp",
        "RandAugment",
        "RandomCrop",
        "RandomErasing",
        "RandomIoUCrop",
        "RandomPhotometricDistort",
        "RandomResizedCrop",
        "RandomZoomOut",
        "Resize",
        "ResizeMix",
        "Rotate",
        "Saturation",
        "ScaleJitter",
        "Scheduled",
        "Sharpness",
        "ShearX",
        "ShearY",
        "SmoothMix",
        "Solarize",
        "Sometimes",
        "TranslateX",
        "TranslateY",
        "TrivialAugment",
        "TrivialAugmentWide",
        "UniformAugment",
        "VerticalFlip",
        "Views",
    ),
    "mixwell.plan": ("Code", "Edit", "Interp", "Mix", "MixMode", "Plan", "paste_plan"),
    "mixwell.render": ("backends", "render"),
    "mixwell.targets": ("SparseLabels", "dense_labels", "sparse_labels"),
    "mixwell.targets.scenes": ("Boxes", "Keypoints"),
    "mixwell._rng": ("Keys",),
    "mixwell.augment": ("Augment",),
    "mixwell.collate": ("Collate",),
    "mixwell.loading": ("Loader", "Skipped"),
    "mixwell.keyed": ("Key", "KeyedSampler", "keyed"),
    "mixwell.repeated": ("RepeatedAugmentation",),
    "mixwell.samples": ("Fields",),
    "mixwell._errors": (
        "BackendError",
        "DataError",
        "KeyMissingError",
        "MixwellError",
        "PlanError",
        "PolicyError",
        "RenderError",
        "TargetError",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME_OF]

if TYPE_CHECKING:
    from mixwell._errors import *  # noqa: F403
    from mixwell._rng import Keys  # noqa: F401
    from mixwell.augment import Augment  # noqa: F401
    from mixwell.collate import Collate  # noqa: F401
    from mixwell.keyed import Key, KeyedSampler, keyed  # noqa: F401
    from mixwell.loading import Loader, Skipped  # noqa: F401
    from mixwell.plan import Code, Edit, Interp, Mix, MixMode, Plan, paste_plan  # noqa: F401
    from mixwell.policy import *  # noqa: F403
    from mixwell.render import backends, render  # noqa: F401
    from mixwell.repeated import RepeatedAugmentation  # noqa: F401
    from mixwell.samples import Fields  # noqa: F401
    from mixwell.targets import SparseLabels, dense_labels, sparse_labels  # noqa: F401
    from mixwell.targets.scenes import Boxes, Keypoints  # noqa: F401


def __getattr__(name: str) -> object:
    """Import a public name's home at first use."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'mixwell' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """Keeps `mixwell.render` and `mixwell.keyed` what they are to a user: a function and a class.

    Their homes have the same names, and Python sets a submodule as an attribute of its package
    whenever something imports it.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
