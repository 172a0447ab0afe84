"""Published recipes for CIFAR-10."""

from __future__ import annotations

from collections.abc import Callable

from mixwell.policy.base import Op
from mixwell.policy.erase import RandomErasing
from mixwell.policy.geometry import HorizontalFlip, RandomCrop, RandomResizedCrop, Resize
from mixwell.policy.library_mix import TorchvisionCutMix
from mixwell.policy.policy import Policy
from mixwell.policy.recipe import Published, Settings, Size, in_pairs

MEAN = (125, 123, 114)
"""CIFAR-10's mean colour (0.4914, 0.4822, 0.4465) in whole levels."""


def _to_size(size: Size) -> tuple[Op, ...]:
    """CIFAR's images have their size already; others are brought to it."""
    return () if size == (32, 32) else (Resize(size),)


def _airbench94(size: Size) -> Policy:
    crop = RandomCrop(size, padding=2, fill=MEAN)
    return Policy(*_to_size(size), HorizontalFlip(alternating=True), crop)


def _airbench96(size: Size) -> Policy:
    crop = RandomCrop(size, padding=4, fill=MEAN)
    share = 12 * 12 / (32 * 32)  # a square of 12 px, wholly inside
    square = RandomErasing((share, share), (1.0, 1.0), MEAN, p=1.0)
    return Policy(*_to_size(size), HorizontalFlip(alternating=True), crop, square)


def _keras_cutmix(size: Size) -> Policy:
    cutmix = TorchvisionCutMix(0.25, lam="image", pairing="derangement")
    return Policy(*_to_size(size), in_pairs(cutmix))


def _d2l_cifar10(size: Size) -> Policy:
    larger = round(size[0] * 40 / 32), round(size[1] * 40 / 32)
    crop = RandomResizedCrop(size, scale=(0.64, 1.0), ratio=(1.0, 1.0))
    return Policy(Resize(larger), crop, HorizontalFlip())


def _airbench(target: int, settings: Settings, build: Callable[[Size], Policy]) -> Published:
    return Published(
        name=f"airbench{target}",
        summary=f"airbench{target}: {target} % on CIFAR-10 in seconds",
        paper="K. Jordan, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU, arXiv 2404.00498",
        source=f"KellerJordan/cifar10-airbench (MIT), legacy/airbench{target}.py",
        size=32,
        settings={
            "batch": 1024,
            "optimizer": "SGD, Nesterov momentum 0.85, Lookahead",
            "smoothing": 0.2,
            "loss": "cross-entropy",
            "evaluation": "mean of mirrored and shifted views (tta_level 2)",
            **settings,
        },
        build=build,
        differs=(
            "The recipe pads by reflection, which no op here does; what comes in at the border has "
            "the mean colour.",
            "The mean colour is in whole levels; the recipe's is 0 after normalising.",
        ),
    )


CIFAR = (
    _airbench(
        94,
        {
            "epochs": 9.9,
            "lr": "11.5 for 1024 examples, decoupled from momentum",
            "weight decay": "0.0153 for 1024 examples, decoupled",
            "result": "94.01 %, mean of 1000 runs",
        },
        _airbench94,
    ),
    _airbench(
        96,
        {
            "epochs": 37,
            "lr": "9.0 for 1024 examples, decoupled from momentum",
            "weight decay": "0.012 for 1024 examples, decoupled",
            "result": "96.03 %, mean of 400 runs",
        },
        _airbench96,
    ),
    Published(
        name="keras-cutmix",
        summary="the Keras CutMix example: CIFAR-10, ResNet-20, CutMix alone",
        paper="S. Nath, CutMix data augmentation for image classification, keras.io, 2021; "
        "CutMix: Yun et al., arXiv 1905.04899",
        source="keras-team/keras-io, examples/vision/cutmix.py",
        size=32,
        settings={
            "model": "ResNet-20 with projection shortcuts, kernels with L2 1e-4",
            "epochs": 15,
            "batch": 32,
            "optimizer": "Adam, Keras's defaults",
            "loss": "cross-entropy with soft labels",
            "normalisation": "levels / 255 alone",
            "evaluation": "the images as they are",
            "result": "80.36 % with, 72.70 % without CutMix, as its notes say in one version; the "
            "numbers differ from version to version",
        },
        build=_keras_cutmix,
        differs=(
            "Partners come from the batch, in the example from the whole data set.",
            "A rectangle without width or height stays empty; the example makes it one pixel wide.",
        ),
    ),
    Published(
        name="d2l-cifar10",
        summary="Dive into Deep Learning: CIFAR-10 on Kaggle, ResNet-18",
        paper="Zhang et al., Dive into Deep Learning, chapter Image Classification (CIFAR-10) on "
        "Kaggle, arXiv 2106.11342",
        source="d2l-ai/d2l-en, chapter_computer-vision/kaggle-cifar10.md",
        size=32,
        settings={
            "model": "ResNet-18, first layer 3x3",
            "epochs": 20,
            "batch": 128,
            "optimizer": "SGD, momentum 0.9",
            "lr": "2e-4, times 0.9 every 4 epochs",
            "weight decay": 5e-4,
            "loss": "cross-entropy",
            "evaluation": "the images as they are",
            "exercise": "100 epochs, lr 0.1, a tenth after 50",
        },
        build=_d2l_cifar10,
    ),
)
