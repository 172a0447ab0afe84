"""What to train for segmentation: plain values, and what is sensible for each data set.

Fields left at None are filled in by `resolved`, so a run's `config.json` says what was really used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mixwell.recipes.fabric import Precision
from mixwell.recipes.optim import DEFAULT_DECAY
from mixwell.recipes.segmentation.data.byname import EMBEDDED
from mixwell.recipes.settings import (
    OptimizerName,
    RunConfig,
    ScheduleName,
    check_ranges,
    check_words,
    completed,
)

Small = Literal["pad", "drop"]


@dataclass(frozen=True, kw_only=True)
class SegmentConfig(RunConfig):
    """Settings of one run; `RunConfig` and `LearningConfig` have the others.

    Args:
        data: embedded (digits on photographs, made on the fly), or a folder: Pascal VOC's, or
            images/ and masks/, there or in train/ and val/.
        images: training images made for embedded; a fifth as many more are made to measure on.
        resize: height and width, px, that all images are brought to first; never when left out.
        crop: height and width, px, of the window that training cuts; by data set when left out.
        small: pad (images smaller than the crop are filled up with pixels that do not count) or
            drop (they are left out of training, and counted).
        policy: segment-plain or another ready-made policy, a TOML file's path, or code such as
            ``"Policy(RandomCrop(256), CutMix())"``.
        model: fcn:BACKBONE, such as fcn:resnet18, or one of torchvision's segmentation models.
        stride: of the backbone's map that an FCN reads, px; when left out 8 for embedded, else that
            of the last one.
        weights: of the backbone: none, DEFAULT (the library's, downloaded), or a file.
        freeze_norms: hold the backbone's batch norms as they were loaded; when left out, exactly
            where weights are loaded.
        head_lr: learning rate of the layers that are not the backbone's, in units of its rate; 10
            where weights are loaded and 1 elsewhere, when left out.
        smoothing: label smoothing, 0 .. 1.
        tile: largest height and width, px, of what is looked at in one piece when measuring;
            multiples of 32.
        pictures: validation images drawn beside their truth and prediction.
        precision: 32-true, bf16-mixed, 16-mixed, or auto: bf16-mixed on GPUs that compute in it,
            else 32-true.
        seed: of initial weights, batch order, augmentation and the embedded images, 0 .. 2**32 - 1.
    """

    data: str = EMBEDDED
    images: int = 400
    resize: tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    small: Small = "pad"
    policy: str = "segment-plain"
    model: str = "fcn:resnet18"
    stride: int | None = None
    weights: str = "none"
    freeze_norms: bool | None = None
    head_lr: float | None = None
    batch_size: int = 8
    optimizer: OptimizerName = "adamw"
    schedule: ScheduleName = "cosine"
    smoothing: float = 0.0
    tile: tuple[int, int] = (512, 512)
    pictures: int = 4
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        """Refuse values that cannot mean anything.

        Raises:
            ValueError: a number is out of range, or a word is none of those above.
        """
        super().__post_init__()
        check_ranges(self, _RANGES)
        check_words(self, _WORDS)
        if any(side % 32 for side in self.tile):
            raise ValueError(f"tile needs multiples of 32 px, got {self.tile}.")


_RANGES = (
    ("images", 1, 10_000_000),
    ("resize", 8, 8192),
    ("crop", 8, 8192),
    ("stride", 2, 64),
    ("head_lr", 1e-6, 1e6),
    ("smoothing", 0.0, 1.0),
    ("tile", 32, 8192),
    ("pictures", 0, 1000),
)
_WORDS = {
    "small": ("pad", "drop"),
}
_LR = {"sgd": 0.01, "adam": 1e-3, "adamw": 1e-3}
LOADED_LR = {"sgd": 0.001, "adam": 1e-4, "adamw": 1e-4}
"""Of a loaded backbone; its head learns at ten times that."""
EMBEDDED_HW = (128, 128)
EMBEDDED_STRIDE = 8
"""Of an FCN's map: strokes of digits are a few px wide."""
_CROP = (320, 480)


def resolved(config: SegmentConfig) -> SegmentConfig:
    """The same config with what depends on data set, optimizer or weights filled in."""
    embedded = config.data == EMBEDDED
    loaded = config.weights != "none"
    epochs = config.epochs or (12 if embedded else 60)
    sensible: dict[str, Any] = {
        "stride": EMBEDDED_STRIDE if embedded and config.model.startswith("fcn:") else None,
        "crop": EMBEDDED_HW if embedded else config.resize or _CROP,
        "epochs": epochs,
        "lr": (LOADED_LR if loaded else _LR)[config.optimizer],
        "head_lr": 10.0 if loaded else 1.0,
        "freeze_norms": loaded,
        "weight_decay": DEFAULT_DECAY[config.optimizer],
        "measure_every": max(1, epochs // 5),
    }
    return completed(config, sensible)
