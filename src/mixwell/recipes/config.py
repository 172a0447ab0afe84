"""What to train: plain values, and what is sensible for each data set.

Fields left at None are filled in by `resolved`, so a run's `config.json` says what was really used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

import mixwell as mw
from mixwell.policy.presets import parse_policy, preset_names
from mixwell.recipes.data import ArraySet, DataError, TrainTest
from mixwell.recipes.fabric import Precision, chosen_precision
from mixwell.recipes.optim import DEFAULT_DECAY, DEFAULT_LR, DEFAULT_SCHEDULE
from mixwell.recipes.settings import LearningConfig, OptimizerName, check_ranges, completed


@dataclass(frozen=True, kw_only=True)
class TrainConfig(LearningConfig):
    """What a run needs to know besides its policy and its seed; `LearningConfig` has the others.

    Args:
        data: digits, cifar10, cifar100 or folder.
        data_dir: where the images are; not needed for digits.
        download: fetch CIFAR when it is not there: into data_dir, or data/ when none is given.
        train_fraction: share of the training images used, 0 .. 1, evenly spread over the stored
            order of each class; all when left out. Not for folders of images.
        image_size: px, for folders of images.
        model: resnet20-proj, resnet18-cifar, resnet9, digits-net or another of mixwell's, the name
            of a torchvision model, or timm:NAME; by data set when left out.
        whiten: put a fixed layer that whitens patches of the training images in place of the first
            convolution; for images in memory, trained from scratch.
        batch_size: images in a step, over all devices; by data set when left out.
        schedule: onecycle, cosine, step or constant; of the learning rate, per step. When left
            out, onecycle for sgd and cosine for the others.
        lr: peak learning rate; by optimizer and data set when left out.
        bias_lr: learning rate of norms and biases, in units of lr.
        decay_all: decay norms and biases too.
        loss: ce (soft-target cross entropy) or bce (one binary cross entropy per class).
        smoothing: label smoothing, 0 .. 1.
        ema: decay of averaged weights, which are then the ones measured; 0 is off.
        tta: average the logits of an image and its mirror image when measuring.
        precision: 32-true, bf16-mixed, 16-mixed, or auto: bf16-mixed on GPUs that compute in it,
            else 32-true.
        channels_last: memory format of images and weights.
        devices: how many, or auto.
        num_nodes: machines, under SLURM or torchrun.
        num_workers: processes that decode folder images.
        train_accuracy: measure the training images too, without augmentation, at the end.
        measure_every: epochs from one measurement of the test images to the next; the last epoch
            is always measured.
    """

    data: str = "digits"
    data_dir: Path | None = None
    download: bool = False
    train_fraction: float | None = None
    image_size: int = 224
    model: str | None = None
    whiten: bool = False
    optimizer: OptimizerName = "sgd"
    bias_lr: float = 1.0
    decay_all: bool = False
    loss: Literal["ce", "bce"] = "ce"
    smoothing: float = 0.0
    ema: float = 0.0
    tta: bool = False
    precision: Precision = "auto"
    channels_last: bool = True
    devices: int | Literal["auto"] = "auto"
    num_nodes: int = 1
    train_accuracy: bool = False

    def __post_init__(self) -> None:
        """Refuse values that cannot mean anything.

        Raises:
            ValueError: a number is out of range, or a word is not known.
        """
        super().__post_init__()
        check_ranges(self, _RANGES)


_RANGES = (
    ("train_fraction", 1e-9, 1.0),
    ("image_size", 8, 4096),
    ("bias_lr", 0.0, 1e4),
    ("smoothing", 0.0, 1.0),
    ("ema", 0.0, 1.0),
)

# Model, epochs, batch size and SGD's peak rate for each data set ("small": other images of at most
# 96 px). More than one thread only slows down the digits' network.
_SENSIBLE: dict[str, dict[str, Any]] = {
    "digits": {"model": "digits-net", "epochs": 20, "batch_size": 64, "lr": 0.1, "threads": 1},
    "cifar10": {"model": "resnet20", "epochs": 15, "batch_size": 128, "lr": 0.3},
    "cifar100": {"model": "resnet20", "epochs": 15, "batch_size": 128, "lr": 0.3},
    "small": {"model": "resnet20", "epochs": 15, "batch_size": 128, "lr": 0.3},
    "folder": {"model": "torchvision:resnet18", "epochs": 30, "batch_size": 32, "lr": 0.02},
}
LARGEST_OF_ONE_SIZE = 96  # px; presets up to here expect images that have the size already
_DIRECTED = ("digits",)  # sets whose mirror images are something else

Config = TypeVar("Config", bound=TrainConfig)


def resolved(config: Config) -> Config:
    """The same config with what depends on data set, optimizer or device filled in."""
    sensible = dict(_SENSIBLE.get(config.data, _SENSIBLE["folder"]))
    sensible["lr"] = DEFAULT_LR.get(config.optimizer, sensible["lr"])
    sensible["weight_decay"] = DEFAULT_DECAY[config.optimizer]
    sensible["schedule"] = DEFAULT_SCHEDULE[config.optimizer]
    sensible["measure_every"] = 1
    return replace(completed(config, sensible), precision=chosen_precision(config.precision))


def sensible_model(data: str) -> str:
    """The model that a data set gets when none is named."""
    return _SENSIBLE.get(data, _SENSIBLE["folder"])["model"]


def policies_for(config: TrainConfig, data: TrainTest, text: str) -> tuple[mw.Policy, mw.Policy]:
    """The training policy that `text` means for these images, and the one to measure with.

    Digits are never mirrored by a preset. Folder images are brought to one size.

    Args:
        config: gives the image size of folders.
        data: gives the size of images in memory.
        text: a preset's name, a TOML file's path, or code such as
            ``"Policy(CutMix())"``.

    Raises:
        PolicyError: no such policy.
    """
    flip = config.data not in _DIRECTED
    if isinstance(data.train, ArraySet):
        height, width = data.train.images.shape[1:3]
        return parse_policy(text, size=(height, width), flip=flip), mw.Policy()
    size = (config.image_size, config.image_size)
    policy = parse_policy(text, size=size, flip=flip)
    takes_any_size = text not in preset_names() or config.image_size > LARGEST_OF_ONE_SIZE
    if not (takes_any_size and isinstance(policy.out_size, tuple)):
        policy = mw.Policy(mw.Resize(size), *policy.ops)
    larger = round(config.image_size * 256 / 224)
    return policy, mw.Policy(mw.Resize(larger), mw.CenterCrop(size))


def subset(data: TrainTest, fraction: float | None) -> TrainTest:
    """Some images of each class of the training set, evenly spread; the test set stays whole.

    Args:
        data: images in memory.
        fraction: share kept of each class, rounded up; None keeps all.

    Raises:
        DataError: the set is not in memory.
    """
    if fraction is None or fraction == 1.0:
        return data
    train = data.train
    if not isinstance(train, ArraySet):
        raise DataError(
            f"train_fraction needs images in memory, got {train!r}. Copy fewer files instead."
        )
    rows = [np.flatnonzero(train.labels == label) for label in range(len(train.classes))]
    kept = np.sort(np.concatenate([_spread(r, int(np.ceil(fraction * len(r)))) for r in rows]))
    return replace(data, train=ArraySet(train.images[kept], train.labels[kept], train.classes))


def _spread(rows: np.ndarray, count: int) -> np.ndarray:
    """`count` of the rows, at even distances from the first on."""
    return rows[np.arange(count) * len(rows) // max(count, 1)]
