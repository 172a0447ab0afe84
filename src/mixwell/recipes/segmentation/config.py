"""What to train for segmentation: plain values, and what is sensible for each data set.

Fields left at None are filled in by `resolved`, so a run's `config.json` says what was really used.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from mixwell.recipes.config import OptimizerName, ScheduleName, check_seed
from mixwell.recipes.fabric import Precision
from mixwell.recipes.optim import DEFAULT_DECAY
from mixwell.recipes.segmentation.data.byname import EMBEDDED

Small = Literal["pad", "drop"]


@dataclass(frozen=True, kw_only=True)
class SegmentConfig:
    """Settings of one run.

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
        epochs: passes over the training images; by data set when left out.
        batch_size: images in a step.
        optimizer: sgd (Nesterov), adam or adamw.
        schedule: cosine (with a warm-up), onecycle, step or constant; of the learning rate, per
            step.
        lr: peak learning rate; by optimizer when left out.
        momentum: of SGD, or Adam's first beta.
        weight_decay: by optimizer when left out.
        smoothing: label smoothing, 0 .. 1.
        measure_every: epochs from one measurement of the validation images to the next; a fifth of
            them when left out; the last epoch is always measured.
        tile: largest height and width, px, of what is looked at in one piece when measuring;
            multiples of 32.
        pictures: validation images drawn beside their truth and prediction.
        precision: 32-true, bf16-mixed, 16-mixed, or auto: bf16-mixed on GPUs that compute in it,
            else 32-true.
        num_workers: processes that read and augment images; 0 does it in this one.
        threads: CPU threads of PyTorch; its own choice when left out.
        seed: of initial weights, batch order, augmentation and the embedded images, 0 .. 2**32 - 1.
        out: the run's folder; named after the settings under ``runs`` when left out, with a number
            where there is one of that name.
        resume: continue the run that is in the folder.
        overwrite: give up the run that is in the folder.
        quiet: show nothing.
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
    epochs: int | None = None
    batch_size: int = 8
    optimizer: OptimizerName = "adamw"
    schedule: ScheduleName = "cosine"
    lr: float | None = None
    momentum: float = 0.9
    weight_decay: float | None = None
    smoothing: float = 0.0
    measure_every: int | None = None
    tile: tuple[int, int] = (512, 512)
    pictures: int = 4
    precision: Precision = "auto"
    num_workers: int = 2
    threads: int | None = None
    seed: int = 0
    out: Path | None = None
    resume: bool = False
    overwrite: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        """Refuse values that cannot mean anything.

        Raises:
            ValueError: a number is out of range, or a word is none of those above.
        """
        check_seed(self.seed)
        for name, low, high in _RANGES:
            value = getattr(self, name)
            sides = value if isinstance(value, tuple) else (value,)
            if value is not None and not all(low <= side <= high for side in sides):
                raise ValueError(f"{name} must lie in {low} .. {high}, got {value}.")
        for name, known in _WORDS.items():
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}."
                )
        if any(side % 32 for side in self.tile):
            raise ValueError(f"tile needs multiples of 32 px, got {self.tile}.")


_RANGES = (
    ("images", 1, 10_000_000),
    ("resize", 8, 8192),
    ("crop", 8, 8192),
    ("stride", 2, 64),
    ("head_lr", 1e-6, 1e6),
    ("epochs", 1, 100_000),
    ("batch_size", 1, 100_000),
    ("lr", 1e-12, 1e3),
    ("momentum", 0.0, 1.0),
    ("weight_decay", 0.0, 10.0),
    ("smoothing", 0.0, 1.0),
    ("measure_every", 1, 100_000),
    ("tile", 32, 8192),
    ("pictures", 0, 1000),
    ("num_workers", 0, 1024),
    ("threads", 1, 4096),
)
_WORDS = {
    "small": ("pad", "drop"),
    "optimizer": ("sgd", "adam", "adamw"),
    "schedule": ("cosine", "onecycle", "step", "constant"),
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
    missing = {name: value for name, value in sensible.items() if getattr(config, name) is None}
    return replace(config, **missing)


def as_json(config: SegmentConfig) -> dict[str, Any]:
    """The fields as values that JSON can hold."""
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    return {name: str(v) if isinstance(v, Path) else v for name, v in values.items()}


def from_json(values: dict[str, Any]) -> SegmentConfig:
    """The config that `as_json` wrote; entries that are no fields are left out."""
    names = {field.name for field in fields(SegmentConfig)} - {"out"}
    pairs = ("resize", "crop", "tile")
    kept: dict[str, Any] = {
        k: tuple(v) if k in pairs and v else v for k, v in values.items() if k in names
    }
    return SegmentConfig(**kept)
