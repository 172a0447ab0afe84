"""One example of each op, as code, by what the op does.

An op that is missing here is shown with its defaults, in the group that its class suggests.
"""

from __future__ import annotations

from mixwell.policy import Policy
from mixwell.policy.base import EditOp, Op
from mixwell.policy.text import from_code, registry

GROUPS: dict[str, tuple[str, ...]] = {
    "Cut, resize, mirror": (
        "Identity()",
        "Resize(60)",
        "CenterCrop((60, 80))",
        "Pad(12)",
        "RandomCrop((90, 120), padding=20)",
        "RandomResizedCrop((90, 120))",
        "ProgressiveResize((45, 60), (90, 120), multiple=15)",
        "HorizontalFlip(alternating=True)",
        "VerticalFlip()",
    ),
    "Warp": (
        "Rotate(30)",
        "ShearX(0.3)",
        "ShearY(0.3)",
        "TranslateX(0.3)",
        "TranslateY(0.3)",
        "Affine(degrees=20, translate=(0.1, 0.1), scale=(0.7, 1.3), shear=0.2)",
        "Perspective(p=1.0)",
    ),
    "Levels": (
        "Brightness((0.3, 1.9))",
        "Contrast((0.1, 1.9))",
        "Saturation((0.0, 2.0))",
        "Hue(0.5)",
        "ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)",
        "Sharpness((0.0, 6.0))",
        "Grayscale(p=0.5)",
        "Posterize((1, 4))",
        "Solarize((0, 256))",
        "Invert(p=0.5)",
        "AutoContrast()",
        "Equalize()",
    ),
    "Filters and noise": ("GaussianBlur(sigma=(0.1, 4.0))", "GaussianNoise(std=(0.0, 0.25))"),
    "Hide": (
        "RandomErasing(value='pixel', p=1.0)",
        "TimmErasing(count=(1, 4), p=1.0)",
        "Cutout(40)",
    ),
    "Detection": (
        "RandomIoUCrop(sampler_options=(0.3, 0.5))",
        "BBoxSafeCrop()",
        "RandomZoomOut((1.0, 2.5), p=1.0)",
        "ScaleJitter((90, 120), (0.4, 1.6))",
        "LongestSide(80)",
        "FixedSizeCrop((100, 100), fill=114)",
        "RandomPhotometricDistort(each=0.8)",
        "Mosaic((90, 120), fill=114)",
        "Mosaic((90, 120), 9, fill=114, scale=(0.8, 1.2))",
        "JitterMixUp()",
        "CopyPaste(1.0)",
        "ClassMix()",
    ),
    "Automatic": (
        "RandAugment()",
        "TrivialAugment()",
        "TrivialAugmentWide()",
        "UniformAugment()",
        "AutoAugment()",
        "PopulationBased(((0, (('Rotate', 0.9, 4), ('Cutout', 0.8, 9), ('Color', 1.0, 2))),))",
        "AugMix(severity=6)",
    ),
    "Mix": (
        "MixUp()",
        "CutMix()",
        "FMix()",
        "SmoothMix()",
        "GridMix()",
        "PatchMix()",
        "ResizeMix()",
        "TimmMixup(cutmix_alpha=1.0)",
        "TorchvisionCutMix()",
    ),
    "Compose": (
        "OneOf(Rotate(30), Invert(), Grayscale())",
        "Sometimes(Solarize(128))",
        "Sequential(Rotate(30), Grayscale())",
        "Scheduled(CutMix(), start=0.3)",
        "Views(Identity(), Rotate(30), ColorJitter(brightness=0.4, contrast=0.4))",
        "Policy(Views(Identity(), Identity()), OnViews(Cutout(40), views=(1,), of=2))",
    ),
}
"""Group -> examples, as code that one may type."""


def name_of(example: str) -> str:
    """The op that an example shows: the last one of a policy."""
    return type(from_code(example).ops[-1]).__name__


def examples() -> dict[str, dict[str, str]]:
    """Group -> op -> code, for every op in the registry."""
    found = {group: {name_of(code): code for code in codes} for group, codes in GROUPS.items()}
    shown = {name for group in found.values() for name in group}
    for name, kind in registry().items():
        if name not in shown:
            found[_group_of(kind)][name] = f"{name}()"
    return found


def policy_of(code: str) -> Policy:
    """The example as a policy."""
    return from_code(code)


def about(name: str) -> str:
    """The first paragraph of an op's docstring, on one line."""
    text = registry()[name].__doc__ or ""
    return " ".join(text.strip().split("\n\n")[0].split())


def _group_of(kind: type[Op]) -> str:
    if kind.mixes or kind.compound:
        return "Mix"
    return "Warp" if issubclass(kind, EditOp) and kind.moves else "Levels"
