"""What detector to train: plain values, and what is sensible for each model and data set.

Fields left at None are filled in by `resolved`, so a run's `config.json` says what was really used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mixwell import DataError
from mixwell.recipes.optim import DEFAULT_DECAY
from mixwell.recipes.settings import RunConfig, ScheduleName, check_ranges, check_words, completed

MixingLoss = Literal["box", "sources", "global"]
BackboneStyle = Literal["torchvision", "tensorflow"]
EMBEDDED = "embedded"
"""The data set that is made on the fly."""


@dataclass(frozen=True, kw_only=True)
class DetectConfig(RunConfig):
    """Settings of one run; `RunConfig` and `LearningConfig` have the others.

    Args:
        data: embedded (digits on photographs, made on the fly), or a path in COCO's, Pascal VOC's
            or YOLO's format.
        val_fraction: share of the images that become the validation part where the files have none,
            between 0 and 1.
        images: training images made for embedded; 1,000 when left out. A fifth as many more are
            made to measure on.
        image_size: px; the side of the square that tiny-ssd and ssdlite320_mobilenet_v2 see, the
            shorter side for the others; by model and data set when left out.
        policy: detect-plain or another ready-made policy, a TOML file's path, or code such as
            ``"Policy(HorizontalFlip())"``.
        mixing_loss: what weights of mixed boxes do to the loss: box multiplies all terms of a box
            by its weight; sources is the loss against each source's boxes times its share; global
            multiplies the terms of an image by the mean weight of its boxes.
        mixing_off: epochs at the end in which ready-made policies do not mix; a tenth when left
            out.
        model: tiny-ssd, ssdlite320_mobilenet_v2, one of torchvision's detectors by name, or
            KIND:BACKBONE with ssd, ssdlite, retinanet, fcos, fasterrcnn or maskrcnn as the kind and
            any network of torchvision or timm that is a chain of blocks, such as
            retinanet:resnet18.
        weights: of the whole model: none, DEFAULT (torchvision's, downloaded), or a file. Parts of
            another shape, such as heads for other classes, stay as they were initialised.
        backbone_weights: of the backbone alone: none, DEFAULT or a file of torchvision's names,
            .pth or .npz.
        backbone_style: torchvision (its padding and normalisation) or tensorflow (padding to
            the right and below, pixels as x / 127.5 - 1), for ssdlite320_mobilenet_v2.
        trainable_layers: how many stages of the backbone learn, the last ones; when left out, what
            torchvision does for its own detectors, and all for the others.
        freeze_norm: hold the batch norms that came with weights as they are; when left out, exactly
            where weights are loaded.
        epochs: passes over the training images; by model and data set when left out.
        batch_size: images in a step; by model when left out.
        optimizer: sgd (Nesterov), adam or adamw; by model when left out.
        lr: peak learning rate; by model and optimizer when left out.
        clip_norm: largest norm of a step's gradient; 0 is off.
        score_threshold: least score of the boxes that are drawn, 0 .. 1.
        device: auto (cuda where there is one), cpu or cuda.
        seed: of initial weights, batch order, augmentation and the embedded images, 0 .. 2**32 - 1.
    """

    data: str = EMBEDDED
    val_fraction: float = 0.2
    images: int | None = None
    image_size: int | None = None
    policy: str = "detect-plain"
    mixing_loss: MixingLoss = "box"
    mixing_off: int | None = None
    model: str = "tiny-ssd"
    weights: str = "none"
    backbone_weights: str = "none"
    backbone_style: BackboneStyle = "torchvision"
    trainable_layers: int | None = None
    freeze_norm: bool | None = None
    schedule: ScheduleName = "cosine"
    clip_norm: float = 10.0
    score_threshold: float = 0.4
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        """Refuse values that cannot mean anything.

        Raises:
            ValueError: a number is out of range, or a word is none of those above.
        """
        super().__post_init__()
        check_ranges(self, _RANGES)
        check_words(self, _WORDS)
        if self.epochs is not None and (self.mixing_off or 0) > self.epochs:
            raise ValueError(
                f"mixing_off must lie in 0 .. epochs ({self.epochs}), got {self.mixing_off}."
            )


_RANGES = (
    ("val_fraction", 1e-6, 1 - 1e-6),
    ("images", 1, 10_000_000),
    ("image_size", 32, 4096),
    ("mixing_off", 0, 100_000),
    ("trainable_layers", 0, 100),
    ("clip_norm", 0.0, 1e9),
    ("score_threshold", 0.0, 1.0),
)
_WORDS = {
    "mixing_loss": ("box", "sources", "global"),
    "backbone_style": ("torchvision", "tensorflow"),
    "device": ("auto", "cpu", "cuda"),
}

SQUARE = {"tiny-ssd": 256, "ssdlite320_mobilenet_v2": 320}
"""Models that see squares, and their usual side, px."""
SQUARE_KINDS = ("ssd:", "ssdlite:")
FIXED = {"ssd300_vgg16": 300, "ssdlite320_mobilenet_v3_large": 320}
"""Models of torchvision that resize to one square, px."""
_SHORTER_SIDE = 800
_EMBEDDED_SIDE = 256
_OPTIMIZER = {"tiny-ssd": "adam", "ssdlite320_mobilenet_v2": "adamw"}
_LR = {"adam": 1e-3, "adamw": 1e-3, "sgd": 0.01}


def is_square(model: str) -> bool:
    """Whether a model sees squares of one size; the others keep the aspect of images."""
    return model in SQUARE or model in FIXED or model.startswith(SQUARE_KINDS)


def resolved(config: DetectConfig) -> DetectConfig:
    """The same config with what depends on model, data set or optimizer filled in.

    Raises:
        DataError: an image size for a model that has its own, or too small a batch.
    """
    embedded = config.data == EMBEDDED
    if config.model in FIXED and config.image_size not in (None, FIXED[config.model]):
        raise DataError(
            f"{config.model} resizes images to {FIXED[config.model]} px by itself, got image_size "
            f"{config.image_size}. Leave it out, or take ssdlite320_mobilenet_v2 or a FPN model."
        )
    if config.batch_size == 1 and config.model.startswith("ssd") and config.model != "ssd300_vgg16":
        raise DataError(
            f"{config.model} normalises maps of one pixel over the batch, so it needs batch_size 2 "
            "at least, got 1."
        )
    tiny = config.model == "tiny-ssd"
    side = 320 if is_square(config.model) else _SHORTER_SIDE
    if embedded:
        side = _EMBEDDED_SIDE // 2 if tiny else _EMBEDDED_SIDE
    loaded = config.weights != "none" or config.backbone_weights != "none"
    epochs = config.epochs or ((12 if tiny else 8) if embedded else 60 if tiny else 26)
    optimizer = config.optimizer or _OPTIMIZER.get(config.model, "sgd")
    sensible: dict[str, Any] = {
        "images": 1000,
        "image_size": side if embedded and tiny else {**SQUARE, **FIXED}.get(config.model, side),
        "epochs": epochs,
        "batch_size": 16 if tiny else 8,
        "optimizer": optimizer,
        "lr": 2e-3 if tiny and optimizer == "adam" else _LR[optimizer],
        "weight_decay": DEFAULT_DECAY[optimizer],
        "freeze_norm": loaded,
        "mixing_off": round(epochs / 10),
        "measure_every": max(1, epochs // 5),
    }
    return completed(config, sensible)
