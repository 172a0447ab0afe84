"""TinySSD: the single-shot detector of "Dive into Deep Learning" (d2l.ai, section 14.7).

Small blocks of convolutions halve the image three times, then three times more, then pool to one
pixel; boxes are predicted on all five maps. Anchors, targets, loss and detections are those of
`mixwell.anchors`. The network normalises its input by itself.

References:
    Liu et al., "SSD: Single Shot MultiBox Detector", 2016, arXiv:1512.02325.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

import mixwell.anchors as an
from mixwell.targets import target_sets

Mode = Literal["box", "sources", "global"]
SIZES = ((0.2, 0.272), (0.37, 0.447), (0.54, 0.619), (0.71, 0.79), (0.88, 0.961))
"""Of the anchors on each map, as fractions of the image's height."""
RATIOS = (1.0, 2.0, 0.5)
"""Width over height of the anchors."""


class Outputs(NamedTuple):
    """What the network says of a batch.

    Attributes:
        logits: float [B, A, K + 1], background first.
        offsets: float [B, A * 4].
        anchors: float [A, 4], xyxy, as fractions of the image.
    """

    logits: Tensor
    offsets: Tensor
    anchors: Tensor


class TinySSD(nn.Module):
    """A detector of half a million weights.

    Args:
        num_classes: without the background.
        sizes: of the anchors, two for each of the five maps.
        ratios: of the anchors.
        widths: channels of the three blocks at full, half and quarter resolution, and of the rest.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        sizes: Sequence[Sequence[float]] = SIZES,
        ratios: Sequence[float] = RATIOS,
        widths: tuple[int, int, int, int] = (16, 32, 64, 128),
    ) -> None:
        super().__init__()
        self.num_classes, self.sizes, self.ratios = num_classes, sizes, ratios
        first, second, third, rest = widths
        base = nn.Sequential(_block(3, first), _block(first, second), _block(second, third))
        later = [_block(third, rest), _block(rest, rest), _block(rest, rest)]
        self.stages = nn.ModuleList([base, *later, nn.AdaptiveMaxPool2d(1)])
        channels = (third, rest, rest, rest, rest)
        counts = [len(own) + len(ratios) - 1 for own in sizes]
        each = list(zip(channels, counts, strict=True))
        self.classes = nn.ModuleList(
            [nn.Conv2d(c, n * (num_classes + 1), 3, padding=1) for c, n in each]
        )
        self.boxes = nn.ModuleList([nn.Conv2d(c, n * 4, 3, padding=1) for c, n in each])

    def forward(self, x: Tensor) -> Outputs:
        """Class logits, offsets and anchors.

        Args:
            x: float [B, 3, H, W], 0 .. 1, sides of 64 px at least.
        """
        image_hw = (x.shape[-2], x.shape[-1])
        x = (x - 0.5) / 0.25
        logits, offsets, anchors = [], [], []
        for stage, sizes, kind, box in zip(
            self.stages, self.sizes, self.classes, self.boxes, strict=True
        ):
            x = stage(x)
            logits.append(_by_anchor(kind(x), self.num_classes + 1))
            offsets.append(_by_anchor(box(x), 4))
            map_hw = (x.shape[-2], x.shape[-1])
            anchors.append(
                an.anchors(map_hw, sizes, self.ratios, image_hw=image_hw, device=x.device)
            )
        return Outputs(torch.cat(logits, 1), torch.cat(offsets, 1).flatten(1), torch.cat(anchors))


class TinyDetector(nn.Module):
    """`TinySSD` in the interface of torchvision's detectors.

    Images are float [B, 3, H, W], or a list of [3, H, W] of one size, 0 .. 1; targets hold "boxes"
    (xyxy px), "labels" (1 .. K), and "weights", "source", "sources" and "shares" as
    `mixwell.targets.weighted_losses` reads them.

    Args:
        num_classes: without the background.
        mode: what weights of mixed boxes do, see `mixwell.targets.weighted_losses`.
        least_score: of a detection.
        iou_threshold: above which the less certain of two boxes of a class is dropped.
        most: detections of an image.
        **options: of `TinySSD`.
    """

    def __init__(
        self,
        num_classes: int,
        mode: Mode = "box",
        *,
        least_score: float = 0.01,
        iou_threshold: float = 0.45,
        most: int = 100,
        **options: Any,
    ) -> None:
        super().__init__()
        self.network = TinySSD(num_classes, **options)
        self.mode: Mode = mode
        self.most = most
        self.least_score, self.iou_threshold = least_score, iou_threshold

    def forward(
        self, images: Tensor | list[Tensor], targets: Sequence[dict[str, Any]] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Loss terms by name in training, else boxes, scores and labels of each image."""
        batch = images if isinstance(images, Tensor) else torch.stack(images)
        if not self.training:
            return self._found(batch)
        assert targets is not None, "training needs targets"
        return self._losses(batch, targets)

    def _losses(self, batch: Tensor, given: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        out = self.network(batch)
        size_hw = (batch.shape[-2], batch.shape[-1])
        terms = [self._set_terms(out, one, size_hw) for one in target_sets(list(given), self.mode)]
        return {
            "classification": torch.stack([term.classes for term in terms]).sum(),
            "bbox_regression": torch.stack([term.offsets for term in terms]).sum(),
        }

    def _set_terms(
        self, out: Outputs, one: list[dict[str, Tensor]], size_hw: tuple[int, int]
    ) -> an.SsdTerms:
        """The terms against one set of boxes; see `mixwell.targets.target_sets`."""
        boxes = [an.to_unit(target["boxes"].reshape(-1, 4), size_hw) for target in one]
        padded = an.pad(boxes, [t["labels"] - 1 for t in one], [t["weights"] for t in one])
        wanted = an.targets(out.anchors, *padded)
        background = torch.stack([target["background_weight"] for target in one])[:, None]
        weights = torch.where(wanted.classes > 0, wanted.weights, background)
        return an.ssd_terms(out.logits, out.offsets, wanted._replace(weights=weights))

    def _found(self, batch: Tensor) -> list[dict[str, Tensor]]:
        out = self.network(batch)
        height, width = batch.shape[-2:]
        rows = an.detect(
            out.logits.softmax(-1),
            out.offsets,
            out.anchors,
            iou_threshold=self.iou_threshold,
            min_confidence=self.least_score,
            per_class=True,
        )
        found = []
        for own in rows[:, : self.most]:
            own = own[own[:, 0] >= 0]
            boxes = own[:, 2:].clamp(0, 1) * own.new_tensor([width, height, width, height])
            labels = own[:, 0].long() + 1
            found.append({"boxes": boxes, "scores": own[:, 1], "labels": labels})
        return found


def _block(inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions, then half the size."""
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [
            nn.Conv2d(channels, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.MaxPool2d(2))


def _by_anchor(found: Tensor, numbers: int) -> Tensor:
    """[B, n * numbers, h, w] as [B, h * w * n, numbers], in the order of the anchors."""
    return found.permute(0, 2, 3, 1).reshape(len(found), -1, numbers)
