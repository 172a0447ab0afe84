"""What may be done: declarative policies that sample plans and never touch pixels."""

from mixwell.policy.augmix import AugMix
from mixwell.policy.auto import RandAugment, TrivialAugment, TrivialAugmentWide, UniformAugment
from mixwell.policy.autoaugment import AutoAugment
from mixwell.policy.base import EditOp, MixOp, Op
from mixwell.policy.cells import GridMix, PatchMix
from mixwell.policy.classmix import ClassMix
from mixwell.policy.compose import OneOf, Sequential, Sometimes
from mixwell.policy.copypaste import CopyPaste
from mixwell.policy.detection import (
    BBoxSafeCrop,
    FixedSizeCrop,
    LongestSide,
    RandomIoUCrop,
    RandomPhotometricDistort,
    RandomZoomOut,
    ScaleJitter,
)
from mixwell.policy.erase import Cutout, RandomErasing
from mixwell.policy.geometry import (
    CenterCrop,
    HorizontalFlip,
    Identity,
    Pad,
    RandomCrop,
    RandomResizedCrop,
    Resize,
    VerticalFlip,
)
from mixwell.policy.library_erase import TimmErasing
from mixwell.policy.library_mix import TimmMixup, TorchvisionCutMix
from mixwell.policy.masks import FMix, SmoothMix
from mixwell.policy.mix import CutMix, MixUp
from mixwell.policy.mosaic import JitterMixUp, Mosaic
from mixwell.policy.policy import Policy
from mixwell.policy.population import PopulationBased
from mixwell.policy.ramp import Ramp
from mixwell.policy.resizemix import ResizeMix
from mixwell.policy.schedule import ProgressiveResize, Scheduled
from mixwell.policy.tone import (
    AutoContrast,
    Brightness,
    ColorJitter,
    Contrast,
    Equalize,
    GaussianBlur,
    GaussianNoise,
    Grayscale,
    Hue,
    Invert,
    Posterize,
    Saturation,
    Sharpness,
    Solarize,
)
from mixwell.policy.views import OnViews, Views
from mixwell.policy.warp import (
    Affine,
    Perspective,
    Rotate,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
)

__all__ = [
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
    "EditOp",
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
    "MixOp",
    "MixUp",
    "Mosaic",
    "OnViews",
    "OneOf",
    "Op",
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
    "Sequential",
    "Sharpness",
    "ShearX",
    "ShearY",
    "SmoothMix",
    "Solarize",
    "Sometimes",
    "TimmErasing",
    "TimmMixup",
    "TorchvisionCutMix",
    "TranslateX",
    "TranslateY",
    "TrivialAugment",
    "TrivialAugmentWide",
    "UniformAugment",
    "VerticalFlip",
    "Views",
]
