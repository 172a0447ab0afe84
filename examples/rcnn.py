"""R-CNN and Fast R-CNN on a page, on digits pasted on photographs.

    python examples/rcnn.py                                     both, with selective search
    python examples/rcnn.py --method fast --proposals grid --train 400 --epochs 30

R-CNN warps every proposal to one size and runs the network on each warp; linear SVMs on its
features say what the warp shows, and a ridge regression moves its box. Fast R-CNN runs the network
once on the whole image, cuts each proposal out of the features by RoI pooling, and trains network,
classes and boxes together. Any function from an image to boxes can propose.

Differs from the papers: a small network trained from scratch (none is pretrained), images of 96 px,
one box regressor for all classes in R-CNN, and proposals ranked by nothing.

References:
    Girshick et al., "Rich feature hierarchies for accurate object detection", arXiv:1311.2524.
    Girshick, "Fast R-CNN", arXiv:1504.08083.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from proposals import grid, selective_search
from sklearn.linear_model import Ridge
from sklearn.svm import LinearSVC
from torch import Tensor, nn

import mixwell as mw
from mixwell import anchors
from mixwell.policy.presets import parse_policy
from mixwell.recipes.detection.data.embedded import EmbeddedDigits

Propose = Callable[[Tensor], Tensor]
PROPOSALS: dict[str, Propose] = {"search": selective_search, "grid": grid}
WARP, CLASSES, SIDE = 32, 10, 96
STRIDE = 4  # of the trunk


class Scene(NamedTuple):
    """An image uint8 [3, H, W], its boxes [n, 4] and labels 1 .. 10, and the proposals [N, 4]."""

    image: Tensor
    boxes: Tensor
    labels: Tensor
    proposals: Tensor


class Found(NamedTuple):
    """Boxes [k, 4], labels [k] and scores [k] that a detector gives for one image."""

    boxes: Tensor
    labels: Tensor
    scores: Tensor


def scenes(part: str, count: int, propose: Propose) -> list[Scene]:
    """Images with one or two digits, and where these might be."""
    found = EmbeddedDigits(count, part, size_hw=(SIDE, SIDE), objects=(1, 2), scales=(0.25, 0.5))
    made = []
    for image, target in (found[i] for i in range(count)):
        made.append(Scene(image, target["boxes"], target["labels"], propose(image)))
    return made


def matched(boxes: Tensor, scene: Scene) -> tuple[Tensor, Tensor, Tensor]:
    """Of each box: its largest IoU with a digit, that digit's label, and that digit's box."""
    overlap, which = anchors.box_iou(boxes, scene.boxes).max(1)
    return overlap, scene.labels[which], scene.boxes[which]


def pixels(images: Tensor) -> Tensor:
    """uint8 to float around 0."""
    return images.float() / 127.5 - 1


def trunk() -> nn.Sequential:
    """Four convolutions; 64 maps at a quarter of the resolution."""

    def block(inputs: int, outputs: int, *more: nn.Module) -> list[nn.Module]:
        conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        return [conv, nn.BatchNorm2d(outputs), nn.ReLU(), *more]

    pool = nn.MaxPool2d(2)
    return nn.Sequential(*block(3, 24, pool), *block(24, 48, pool), *block(48, 64), *block(64, 64))


def sampled(overlap: Tensor, count: int, draws: torch.Generator) -> Tensor:
    """Rows to learn from: a quarter digits (IoU of at least 0.5), the others background."""
    shuffled = torch.randperm(len(overlap), generator=draws)
    hits, misses = shuffled[overlap[shuffled] >= 0.5], shuffled[overlap[shuffled] < 0.5]
    hits = hits[: count // 4]
    return torch.cat([hits, misses[: count - len(hits)]])


def suppressed(boxes: Tensor, scores: Tensor, *, least: float, iou: float = 0.3) -> Found:
    """Each class for itself: scores [N, classes] of boxes [N, classes, 4] above `least`."""
    rows, columns = torch.nonzero(scores > least, as_tuple=True)
    kept, values = boxes[rows, columns].clamp(0, SIDE), scores[rows, columns]
    keep = anchors.nms(kept, values, iou, classes=columns)
    return Found(kept[keep], columns[keep] + 1, values[keep])


# ------------------------------------------------------------------ R-CNN


class RCNN:
    """Warps, features, linear SVMs, a ridge regression."""

    def __init__(self, train: list[Scene], epochs: int, seed: int) -> None:
        self.trunk = trunk()
        self._fine_tune(train, epochs, torch.Generator().manual_seed(seed))
        self.trunk.eval()
        self._fit(train)

    def _fine_tune(self, train: list[Scene], epochs: int, draws: torch.Generator) -> None:
        """The network learns to name warped proposals, so that its features are of use."""
        head = nn.Linear(64 * 16, CLASSES + 1)
        network = nn.Sequential(self.trunk, nn.AdaptiveMaxPool2d(4), nn.Flatten(), head)
        steps = epochs * len(batches(train))
        optimizer, schedule = optimizer_of(network, steps)
        for batch in (b for _ in range(epochs) for b in batches(train, draws)):
            warps, labels = [], []
            for scene in batch:
                boxes = torch.cat([scene.proposals, scene.boxes])
                overlap, label, _ = matched(boxes, scene)
                rows = sampled(overlap, 16, draws)
                warps.append(warped(scene.image, boxes[rows]))
                labels.append(label[rows] * (overlap[rows] >= 0.5))
            loss = F.cross_entropy(network(torch.cat(warps)), torch.cat(labels))
            step(optimizer, schedule, loss)

    @torch.no_grad()
    def features(self, scene: Scene, boxes: Tensor) -> np.ndarray:
        """float32 [N, 1024]: of the warped boxes."""
        maps = F.adaptive_max_pool2d(self.trunk(warped(scene.image, boxes)), 4)
        return maps.flatten(1).numpy()

    def _fit(self, train: list[Scene]) -> None:
        """SVMs: the digits against proposals that hardly touch one; boxes from IoU 0.6 on."""
        rows, labels, near, moves = [], [], [], []
        for scene in train:
            overlap, _, target = matched(scene.proposals, scene)
            features = self.features(scene, scene.proposals)
            far, close = torch.nonzero(overlap < 0.3)[:, 0], overlap >= 0.6
            far = far[torch.linspace(0, len(far) - 1, min(len(far), 30)).long()]
            rows += [self.features(scene, scene.boxes), features[far.numpy()]]
            labels += [scene.labels.numpy(), np.zeros(len(far), np.int64)]
            near.append(features[close.numpy()])
            moves.append(anchors.encode(scene.proposals[close], target[close]).numpy())
        x, y = np.concatenate(rows), np.concatenate(labels)
        self.scale = np.abs(x).mean()
        self.machines = [
            LinearSVC(C=1e-3, class_weight="balanced", random_state=0).fit(x / self.scale, y == k)
            for k in range(1, CLASSES + 1)
        ]
        self.regressor = Ridge(alpha=1000.0).fit(np.concatenate(near), np.concatenate(moves))

    def detect(self, scene: Scene) -> Found:
        """The digits of an image."""
        features = self.features(scene, scene.proposals)
        scores = [machine.decision_function(features / self.scale) for machine in self.machines]
        moves = torch.from_numpy(self.regressor.predict(features)).float()
        boxes = anchors.decode(scene.proposals, moves)
        every = boxes[:, None].expand(-1, CLASSES, -1)
        return suppressed(every, torch.from_numpy(np.stack(scores, 1)).float(), least=-1.0)


def warped(image: Tensor, boxes: Tensor) -> Tensor:
    """float32 [N, 3, 32, 32]: the boxes of an image, each stretched to one size."""
    return anchors.roi_align(pixels(image)[None], [boxes], WARP, aligned=True)


# ------------------------------------------------------------------ Fast R-CNN


class FastRCNN(nn.Module):
    """One pass over the image, RoI pooling, classes and boxes learned together."""

    def __init__(self, train: list[Scene], epochs: int, seed: int, policy: mw.Policy) -> None:
        super().__init__()
        self.trunk = trunk()
        self.shared = nn.Sequential(nn.Flatten(), nn.Linear(64 * 36, 128), nn.ReLU())
        self.classes = nn.Linear(128, CLASSES + 1)
        self.moves = nn.Linear(128, 4 * CLASSES)
        self._learn(train, epochs, seed, policy)
        self.eval()

    def forward(self, images: Tensor, proposals: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits [R, 11] and offsets [R, 10, 4] of all proposals of all images."""
        maps = self.trunk(pixels(images))
        parts = anchors.roi_align(maps, proposals, 6, 1 / STRIDE, aligned=True)
        shared = self.shared(parts)
        return self.classes(shared), self.moves(shared).view(-1, CLASSES, 4)

    def _learn(self, train: list[Scene], epochs: int, seed: int, policy: mw.Policy) -> None:
        """Proposals are boxes of class 0 that follow the policy; a mixed digit has its weight."""
        draws = torch.Generator().manual_seed(seed)
        augment = mw.Augment(policy, boxes="xyxy", dtype=torch.uint8, seed=seed)
        optimizer, schedule = optimizer_of(self, epochs * len(batches(train)))
        for number, batch in enumerate(b for _ in range(epochs) for b in batches(train, draws)):
            images = torch.stack([scene.image for scene in batch])
            targets = [
                {
                    "boxes": torch.cat([scene.boxes, scene.proposals]),
                    "labels": torch.cat([scene.labels, torch.zeros(len(scene.proposals)).long()]),
                }
                for scene in batch
            ]
            keys = mw.Keys(np.arange(len(batch)) + number * len(batch))
            step(optimizer, schedule, self._loss(*augment(images, targets, keys=keys), draws))

    def _loss(self, images: Tensor, targets: list[dict[str, Tensor]], draws: Any) -> Tensor:
        chosen, labels, aims, weights = [], [], [], []
        for image, target in zip(images, targets, strict=True):
            digit = target["labels"] > 0
            scene = Scene(image, target["boxes"][digit], target["labels"][digit], target["boxes"])
            overlap, label, box = matched(scene.proposals, scene)
            rows = sampled(overlap, 32, draws)
            share = target.get("weights", torch.ones(len(digit)))[digit]
            of = anchors.box_iou(scene.proposals[rows], scene.boxes).argmax(1)
            hit = overlap[rows] >= 0.5
            chosen.append(scene.proposals[rows])
            labels.append(label[rows] * hit)
            aims.append(anchors.encode(chosen[-1], box[rows]))
            weights.append(torch.where(hit, share[of], 1.0))
        logits, moves = self(images, chosen)
        label, weight = torch.cat(labels), torch.cat(weights)
        named = (F.cross_entropy(logits, label, reduction="none") * weight).mean()
        hits = torch.nonzero(label)[:, 0]
        error = F.smooth_l1_loss(
            moves[hits, label[hits] - 1], torch.cat(aims)[hits], reduction="none"
        )
        return named + (error.sum(1) * weight[hits]).sum() / len(label)

    @torch.no_grad()
    def detect(self, scene: Scene) -> Found:
        """The digits of an image."""
        logits, moves = self(scene.image[None], [scene.proposals])
        every = scene.proposals[:, None].expand(-1, CLASSES, -1)
        return suppressed(anchors.decode(every, moves), logits.softmax(1)[:, 1:], least=0.05)


# ------------------------------------------------------------------ training and measuring


def batches(train: list[Scene], draws: torch.Generator | None = None) -> list[list[Scene]]:
    """Four images each, in a drawn order."""
    order = torch.randperm(len(train), generator=draws) if draws else torch.arange(len(train))
    return [[train[i] for i in rows] for rows in order.split(4)]


def optimizer_of(network: nn.Module, steps: int) -> tuple[Any, Any]:
    """AdamW under one cycle."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.01)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)


def step(optimizer: Any, schedule: Any, loss: Tensor) -> None:
    """One step of training."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()


def guess(scene: Scene, draws: torch.Generator) -> Found:
    """Chance: every proposal with a class and a score drawn at random."""
    scores = torch.rand(len(scene.proposals), CLASSES, generator=draws)
    return suppressed(scene.proposals[:, None].expand(-1, CLASSES, -1), scores, least=0.5)


def mean_ap(found: list[Found], truth: list[Scene], iou: float = 0.5) -> float:
    """Mean over the classes of the area under precision and recall, as COCO measures at one IoU."""
    return float(
        np.mean([ap for k in range(1, CLASSES + 1) if (ap := _ap(found, truth, k, iou)) >= 0])
    )


def _ap(found: list[Found], truth: list[Scene], label: int, iou: float) -> float:
    total = sum(int((scene.labels == label).sum()) for scene in truth)
    rows = []
    for detected, scene in zip(found, truth, strict=True):
        ours = detected.labels == label
        overlap = anchors.box_iou(detected.boxes[ours], scene.boxes[scene.labels == label])
        free = torch.ones(overlap.shape[1], dtype=torch.bool)
        scores = detected.scores[ours]
        for i in scores.argsort(descending=True, stable=True).tolist():
            values = torch.where(free, overlap[i], -1.0)
            hit = len(values) > 0 and float(values.max()) >= iou
            if hit:
                free[int(values.argmax())] = False
            rows.append((float(scores[i]), hit))
    if not total:
        return -1.0
    hits = np.cumsum([hit for _, hit in sorted(rows, key=lambda row: -row[0])])
    precision = hits / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(hits / total, np.linspace(0, 1, 101))
    return float(np.mean([best[i] if i < len(best) else 0.0 for i in at]))


def main(words: list[str] | None = None) -> dict[str, Any]:
    """Train, and measure beside chance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", choices=("both", "rcnn", "fast"), default="both")
    parser.add_argument("--proposals", choices=tuple(PROPOSALS), default="search")
    parser.add_argument(
        "--policy", default="Policy()", help="for Fast R-CNN, such as Policy(MixUp())"
    )
    parser.add_argument("--train", type=int, default=200, help="images")
    parser.add_argument("--test", type=int, default=100, help="images")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(words)
    torch.manual_seed(options.seed)
    propose, start = PROPOSALS[options.proposals], time.perf_counter()
    train, test = (scenes(part, getattr(options, part), propose) for part in ("train", "test"))
    draws = torch.Generator().manual_seed(options.seed)
    best = [anchors.box_iou(scene.boxes, scene.proposals).max(1).values for scene in test]
    told: dict[str, Any] = {
        "proposals_per_image": round(float(np.mean([len(s.proposals) for s in test])), 1),
        "recall_of_proposals": round(float((torch.cat(best) >= 0.5).float().mean()), 4),
        "chance_map50": round(mean_ap([guess(scene, draws) for scene in test], test), 4),
        "proposing_seconds": round(time.perf_counter() - start, 1),
    }
    policy = parse_policy(options.policy)
    for name in ("rcnn", "fast") if options.method == "both" else (options.method,):
        start = time.perf_counter()
        if name == "rcnn":
            detector = RCNN(train, options.epochs, options.seed)
        else:
            detector = FastRCNN(train, options.epochs, options.seed, policy)
        told[f"{name}_train_seconds"] = round(time.perf_counter() - start, 1)
        start = time.perf_counter()
        told[f"{name}_map50"] = round(mean_ap([detector.detect(scene) for scene in test], test), 4)
        told[f"{name}_seconds_per_image"] = round((time.perf_counter() - start) / len(test), 4)
    return told


if __name__ == "__main__":
    print(json.dumps(main()))
