"""Policies of published recipes for ImageNet, and all published recipes by name."""

from __future__ import annotations

from collections.abc import Callable

from mixwell.policy.auto import TrivialAugmentWide
from mixwell.policy.compose import OneOf
from mixwell.policy.erase import RandomErasing
from mixwell.policy.geometry import HorizontalFlip, RandomResizedCrop
from mixwell.policy.library_mix import TimmMixup, TorchvisionCutMix
from mixwell.policy.mix import MixUp
from mixwell.policy.policy import Policy
from mixwell.policy.published_cifar import CIFAR
from mixwell.policy.recipe import Published, Settings, Size, in_pairs
from mixwell.policy.timm_text import timm_op
from mixwell.policy.tone import ColorJitter

MEAN = (124, 116, 104)
"""ImageNet's mean colour in whole levels."""

# ------------------------------------------------------------------------------- torchvision


def _torchvision_v1(size: Size) -> Policy:
    return Policy(RandomResizedCrop(size), HorizontalFlip())


def _torchvision_v2(size: Size) -> Policy:
    mixup = MixUp(0.2, lam="batch", pairing="roll")
    return Policy(
        RandomResizedCrop(size),
        HorizontalFlip(),
        TrivialAugmentWide(space="torchvision-pil-wide"),
        RandomErasing(value=MEAN, p=0.1),
        in_pairs(OneOf(mixup, TorchvisionCutMix(1.0), per="batch")),
    )


_TORCHVISION = (
    Published(
        name="torchvision-v1",
        summary="torchvision's baseline, ResNet-50 on ImageNet: 76.13 %",
        paper="He et al., Deep Residual Learning for Image Recognition, arXiv 1512.03385",
        source="torchvision's references/classification and ResNet50_Weights.IMAGENET1K_V1",
        size=224,
        settings={
            "model": "ResNet-50",
            "epochs": 90,
            "batch": "8 x 32",
            "optimizer": "SGD, momentum 0.9",
            "lr": "0.1, a tenth every 30 epochs",
            "weight decay": 1e-4,
            "loss": "cross-entropy",
            "evaluation": "Resize 256, CenterCrop 224, bilinear",
            "result": "76.130 % top-1",
        },
        build=_torchvision_v1,
    ),
    Published(
        name="torchvision-v2",
        summary="torchvision's later recipe, ResNet-50 on ImageNet: 80.86 %",
        paper="V. Vryniotis, How to Train State-Of-The-Art Models Using TorchVision's Latest "
        "Primitives, pytorch.org blog, 2021; repeated augmentation: pytorch/vision #5201, 2022",
        source="pytorch/vision #3995, #5084 and #5201, ResNet50_Weights.IMAGENET1K_V2, "
        "torchvision's references/classification",
        size=176,
        settings={
            "model": "ResNet-50",
            "epochs": 600,
            "batch": "8 x 128",
            "optimizer": "SGD, momentum 0.9",
            "lr": "0.5, cosine, 5 epochs of linear warm-up",
            "weight decay": "2e-5; none on norms",
            "smoothing": 0.1,
            "loss": "cross-entropy",
            "repeated augmentation": '4 (RepeatedAugmentation(repeats=4, layout="torchvision"))',
            "ema": "decay 0.99998, every 32 steps",
            "evaluation": "Resize 232, CenterCrop 224, bilinear",
            "result": "80.858 % top-1",
        },
        build=_torchvision_v2,
        differs=(
            "Erased rectangles have the mean colour in whole levels; torchvision writes 0 after "
            "normalising, which is at most half a level away.",
            "Where one process holds the copies of repeated augmentation, the partner before is "
            'often the same image; pairing="distinct" rules that out.',
        ),
    ),
)

# -------------------------------------------------------------------------------------- DeiT


def _deit(size: Size) -> Policy:
    return Policy(
        RandomResizedCrop(size, interp="bicubic"),
        HorizontalFlip(),
        timm_op("rand-m9-mstd0.5-inc1", interpolation="bicubic"),
        RandomErasing((0.02, 1 / 3), (0.3, 1 / 0.3), "pixel", "normalized", p=0.25),
        in_pairs(TimmMixup(0.8, 1.0)),
    )


def _deit3(size: Size) -> Policy:
    return Policy(
        RandomResizedCrop(size, interp="bicubic"),
        HorizontalFlip(),
        timm_op("3a", interpolation="bicubic"),
        ColorJitter(0.3, 0.3, 0.3),
        in_pairs(TimmMixup(0.8, 1.0)),
    )


_DEIT = (
    Published(
        name="deit",
        summary="DeiT for vision transformers on ImageNet",
        paper="Touvron et al., Training data-efficient image transformers & distillation through "
        "attention, arXiv 2012.12877",
        source="the authors' repository facebookresearch/deit: README_deit.md, main.py, "
        "datasets.py, samplers.py",
        size=224,
        settings={
            "model": "DeiT-B, without distillation",
            "epochs": 300,
            "batch": "16 x 64",
            "optimizer": "AdamW",
            "lr": "5e-4 * batch / 512, cosine to 1e-5, 5 epochs of warm-up from 1e-6",
            "weight decay": 0.05,
            "smoothing": 0.1,
            "loss": "cross-entropy with soft labels",
            "stochastic depth": 0.1,
            "repeated augmentation": '3 (RepeatedAugmentation(repeats=3, layout="torchvision"))',
            "ema": "decay 0.99996",
            "evaluation": "Resize 256 bicubic, CenterCrop 224",
            "result": "81.846 % top-1",
        },
        build=_deit,
        differs=(
            "Erased pixels are standard normal after normalising, so the policy needs mean= and "
            "std= to be rendered.",
            "CutMix's rectangle is that of timm 1.0.29 and later; the authors used 0.3.2, whose "
            "odd sides lose a pixel.",
        ),
    ),
    Published(
        name="deit3",
        summary="DeiT III's 3-Augment for vision transformers on ImageNet",
        paper="Touvron et al., DeiT III: Revenge of the ViT, arXiv 2204.07118",
        source="the authors' repository facebookresearch/deit: README_revenge.md, augment.py",
        size=224,
        settings={
            "model": "ViT-S",
            "epochs": 800,
            "batch": "8 x 256",
            "optimizer": "LAMB",
            "lr": "4e-3, cosine, 5 epochs of warm-up from 1e-6",
            "weight decay": 0.05,
            "smoothing": 0,
            "loss": "binary cross-entropy",
            "stochastic depth": 0.05,
            "repeated augmentation": '3 (RepeatedAugmentation(repeats=3, layout="torchvision"))',
            "evaluation": "Resize 224 bicubic, CenterCrop 224 (crop ratio 1.0)",
            "result": "81.4 % top-1",
        },
        build=_deit3,
        differs=("Contrast's pivot is Mixwell's, which may differ from Pillow's by a level.",),
        unchecked=("evaluation",),
    ),
)

# --------------------------------------------------------------------- ResNet strikes back


def _rsb(strength: int, alpha: float) -> Callable[[Size], Policy]:
    def build(size: Size) -> Policy:
        return Policy(
            RandomResizedCrop(size, interp="bicubic"),
            HorizontalFlip(),
            timm_op(f"rand-m{strength}-mstd0.5-inc1", interpolation="bicubic"),
            in_pairs(TimmMixup(alpha, 1.0)),
        )

    return build


def _rsb_recipe(
    which: str, epochs: int, strength: int, alpha: float, size: int, more: Settings
) -> Published:
    return Published(
        name=f"rsb-{which.lower()}",
        summary=f"ResNet strikes back, procedure {which}: {epochs} epochs on ImageNet",
        paper="Wightman et al., ResNet strikes back: An improved training procedure in timm, "
        "arXiv 2110.00476",
        source="the paper's abstract, timm's configurations of the weights, and the recipe's "
        "configurations in mmpretrain and openmixup",
        size=size,
        settings={
            "model": "ResNet-50",
            "epochs": epochs,
            "batch": 2048,
            "optimizer": "LAMB",
            "schedule": "cosine, 5 epochs of warm-up",
            "loss": "binary cross-entropy on mixed labels, classes that are present count fully",
            "evaluation": "Resize 236 bicubic, CenterCrop 224 (crop ratio 0.95)",
            **more,
        },
        build=_rsb(strength, alpha),
        differs=(
            "CutMix's rectangle is that of timm 1.0.29 and later; in the timm of the paper odd "
            "sides lose a pixel.",
        ),
        unchecked=() if which == "A1" else ("result",),
    )


_REPEATED = '3 (RepeatedAugmentation(repeats=3, layout="timm"))'
_RSB = (
    _rsb_recipe(
        "A1",
        600,
        7,
        0.2,
        224,
        {
            "lr": 5e-3,
            "weight decay": 0.01,
            "smoothing": 0.1,
            "stochastic depth": 0.05,
            "repeated augmentation": _REPEATED,
            "result": "80.4 % top-1",
        },
    ),
    _rsb_recipe(
        "A2",
        300,
        7,
        0.1,
        224,
        {
            "lr": 5e-3,
            "weight decay": 0.02,
            "smoothing": 0,
            "stochastic depth": 0.05,
            "repeated augmentation": _REPEATED,
            "result": "79.8 % top-1",
        },
    ),
    _rsb_recipe(
        "A3",
        100,
        6,
        0.1,
        160,
        {
            "lr": 8e-3,
            "weight decay": 0.02,
            "smoothing": 0,
            "stochastic depth": 0,
            "repeated augmentation": "none",
            "result": "78.1 % top-1",
        },
    ),
)

PUBLISHED: dict[str, Published] = {p.name: p for p in (*_TORCHVISION, *_DEIT, *_RSB, *CIFAR)}
"""Published recipes by name."""
