"""Mean average precision, as COCO computes it (torchmetrics on faster-coco-eval).

Boxes are compared in px of the images as they are stored. Crowds count neither as found nor as
missed; objects marked difficult, as in Pascal VOC, are treated like them.

References:
    T.-Y. Lin et al. Microsoft COCO: Common Objects in Context. 2014, arXiv 1405.0312.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

import mixwell as mw
from mixwell.recipes.detection.data import DetectionSet
from mixwell.recipes.detection.feed import to_device

MOST = 100
"""Detections of an image that count, as in COCO."""
Found = dict[str, Tensor]


@dataclass(frozen=True)
class Measured:
    """What a detector finds of a set. None: there is nothing of that kind to find.

    Attributes:
        map: average precision, mean over classes and over IoU thresholds 0.5, 0.55 .. 0.95; 0 .. 1.
        map_50: at IoU 0.5.
        map_75: at IoU 0.75.
        small: mean over objects below 32**2 px.
        medium: of those up to 96**2 px.
        large: of the others.
        recall: share of objects found with at most 100 detections an image, over the thresholds.
        per_class: `map` of each class by name.
        images: how many were looked at.
        objects: how many there were to find, without those that do not count.
    """

    map: float | None
    map_50: float | None
    map_75: float | None
    small: float | None
    medium: float | None
    large: float | None
    recall: float | None
    per_class: dict[str, float | None]
    images: int
    objects: int

    def as_json(self) -> dict[str, Any]:
        """The figures as values that JSON can hold."""
        return asdict(self)


def average_precision(
    found: Sequence[Found], targets: Sequence[dict[str, Any]], classes: Sequence[str]
) -> Measured:
    """The figures of some images.

    Args:
        found: for each image boxes (float [n, 4], xyxy px), scores and labels (from 1).
        targets: for each image boxes, labels, iscrowd and area, as detection sets give them, and
            difficult where they know it.
        classes: names without the background.

    Raises:
        ImportError: torchmetrics or faster-coco-eval is not installed.
    """
    metric, objects = _metric(), 0
    for one, target in zip(found, targets, strict=True):
        ignored = target["iscrowd"].bool()
        if "difficult" in target:
            ignored = ignored | target["difficult"].bool()
        wanted = {name: target[name] for name in ("boxes", "labels", "area")}
        metric.update([one], [wanted | {"iscrowd": ignored.long()}])
        objects += int((~ignored).sum())
    if not targets:
        return Measured(*[None] * 7, per_class=dict.fromkeys(classes), images=0, objects=0)
    numbers = metric.compute()
    labels = numbers["classes"].reshape(-1).tolist()
    each = dict(zip(labels, numbers["map_per_class"].reshape(-1).tolist(), strict=False))
    return Measured(
        *(_known(numbers[name]) for name in _NAMES),
        per_class={name: _known(each.get(k, -1.0)) for k, name in enumerate(classes, 1)},
        images=len(targets),
        objects=objects,
    )


_NAMES = ("map", "map_50", "map_75", "map_small", "map_medium", "map_large", f"mar_{MOST}")


@torch.no_grad()
def predictions(
    model: nn.Module,
    images: Sequence[Tensor],
    *,
    side: int | None,
    device: torch.device | str = "cpu",
) -> list[Found]:
    """What a detector finds on images, in px of the images as they are given.

    Args:
        model: in torchvision's interface; left in evaluation.
        images: uint8 [3, H, W] of any sizes, on the CPU.
        side: px of the square that the model sees; None: it resizes images by itself.
        device: where the model is.

    Returns:
        For each image boxes (float [n, 4], xyxy px), scores and labels (from 1), on the CPU, at
        most 100, the most certain first.
    """
    model.eval()
    policy = mw.Policy() if side is None else mw.Policy(mw.Resize((side, side)))
    augment = mw.Augment(policy, dtype=torch.float32)
    made = augment(list(images))
    found = []
    for image, own in zip(images, model(to_device(made, torch.device(device))), strict=True):
        own = {name: own[name].cpu() for name in ("boxes", "scores", "labels")}
        order = own["scores"].argsort(descending=True, stable=True)[:MOST]
        own = {name: value[order] for name, value in own.items()}
        if side is not None:
            height, width = image.shape[-2:]
            scale = torch.tensor([width, height, width, height]) / side
            own["boxes"] = own["boxes"] * scale
        found.append(own)
    return found


def search(
    model: nn.Module,
    data: DetectionSet,
    *,
    side: int | None,
    batch_size: int = 8,
    device: torch.device | str = "cpu",
) -> tuple[list[Found], list[dict[str, Any]]]:
    """What a detector finds on each image of a set, and what there was to find.

    Args:
        model: in torchvision's interface; left in evaluation.
        data: what to look at.
        side: px of the square that the model sees; None: it resizes images by itself.
        batch_size: images looked at together.
        device: where the model is.
    """
    found: list[Found] = []
    targets: list[dict[str, Any]] = []
    for images, own in _batches(data, batch_size):
        found += predictions(model, images, side=side, device=device)
        targets += [{k: v for k, v in target.items() if k != "masks"} for target in own]
    return found, targets


def _batches(
    data: DetectionSet, batch_size: int
) -> Iterator[tuple[list[Tensor], list[dict[str, Any]]]]:
    for start in range(0, len(data), batch_size):
        some = [data[i] for i in range(start, min(start + batch_size, len(data)))]
        yield [image for image, _ in some], [target for _, target in some]


def _known(value: Any) -> float | None:
    """COCO says -1 where there is nothing to find."""
    number = float(value)
    return None if number < 0 else number


def _metric() -> Any:
    try:
        from torchmetrics.detection import MeanAveragePrecision
    except ImportError:
        raise _missing("torchmetrics") from None
    try:
        import faster_coco_eval  # noqa: F401
    except ImportError:
        raise _missing("faster-coco-eval") from None
    metric = MeanAveragePrecision(
        iou_type="bbox", class_metrics=True, backend="faster_coco_eval", average="macro"
    )
    metric.warn_on_many_detections = False
    return metric


def _missing(name: str) -> ImportError:
    return ImportError(
        f"Measuring detectors needs {name}, which is not installed. Run `pip install "
        "'mixwell[train]'`."
    )
