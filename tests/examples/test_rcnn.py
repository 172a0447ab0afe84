"""R-CNN and Fast R-CNN find digits on photographs, far above chance; their parts by themselves."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

import mixwell as mw

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str) -> ModuleType:
    """An example as a module; it finds its neighbours, as when it is run."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(EXAMPLES))


proposals, rcnn = load("proposals"), load("rcnn")


@pytest.fixture(scope="module")
def train() -> list:
    return rcnn.scenes("train", 48, search)


@pytest.fixture(scope="module")
def test_scenes() -> list:
    return rcnn.scenes("test", 24, search)


def search(image: torch.Tensor) -> torch.Tensor:
    return proposals.selective_search(image, scales=(100.0,))


@pytest.fixture(scope="module")
def chance(test_scenes: list) -> float:
    """The mAP of random classes and scores on the same proposals; a few per cent at most."""
    draws = torch.Generator().manual_seed(0)
    return rcnn.mean_ap([rcnn.guess(scene, draws) for scene in test_scenes], test_scenes)


def test_rcnn_is_far_above_chance(train: list, test_scenes: list, chance: float) -> None:
    torch.manual_seed(0)
    detector = rcnn.RCNN(train, epochs=4, seed=0)
    found = rcnn.mean_ap([detector.detect(scene) for scene in test_scenes], test_scenes)
    assert chance < 0.05 and found > 0.25


def test_fast_rcnn_is_far_above_chance(train: list, test_scenes: list, chance: float) -> None:
    torch.manual_seed(0)
    detector = rcnn.FastRCNN(train, epochs=8, seed=0, policy=mw.Policy())
    found = rcnn.mean_ap([detector.detect(scene) for scene in test_scenes], test_scenes)
    assert chance < 0.05 and found > 0.1


def test_proposals_cover_the_digits(test_scenes: list) -> None:
    best = torch.cat([box_iou(s.boxes, s.proposals).max(1).values for s in test_scenes])
    assert (best >= 0.5).float().mean() >= 0.95
    assert np.mean([len(s.proposals) for s in test_scenes]) < 150


def test_mixed_digits_count_by_their_weight(train: list) -> None:
    """Halving the weight of every digit halves what digits add to the loss."""
    torch.manual_seed(0)
    detector = rcnn.FastRCNN(train[:4], epochs=1, seed=0, policy=mw.Policy())
    scene = next(s for s in train if len(s.boxes) == 1)

    def loss(weight: float) -> float:
        weights = torch.full((1 + len(scene.proposals),), weight)
        labels = torch.cat([scene.labels, torch.zeros(len(scene.proposals)).long()])
        boxes = torch.cat([scene.boxes, scene.proposals])
        target = {"boxes": boxes, "labels": labels, "weights": weights}
        draws = torch.Generator().manual_seed(3)
        return float(detector._loss(scene.image[None], [target], draws).detach())

    whole, half, none = loss(1.0), loss(0.5), loss(0.0)
    assert whole > none > 0
    assert half - none == pytest.approx((whole - none) / 2, rel=1e-4)


def test_training_follows_a_mixing_policy(train: list) -> None:
    torch.manual_seed(0)
    policy = mw.Policy(mw.Affine(degrees=5, translate=(0.1, 0.1)), mw.MixUp(alpha=1.0))
    detector = rcnn.FastRCNN(train[:8], epochs=1, seed=0, policy=policy)
    assert len(detector.detect(train[0]).boxes) >= 0


# ------------------------------------------------------------------ proposals


def squares() -> torch.Tensor:
    """Two squares of different colours on a plain ground."""
    image = torch.full((3, 60, 80), 40, dtype=torch.uint8)
    image[0, 10:30, 10:30] = 250
    image[1, 30:55, 50:75] = 250
    return image


def test_segments_are_the_areas_of_one_colour() -> None:
    pixels = squares().permute(1, 2, 0).float().numpy()
    found = proposals.segment(pixels, 100.0)
    assert found.max() == 2
    assert (found[10:30, 10:30] == 1).all() and (found == 1).sum() == 400
    assert (found[30:55, 50:75] == 2).all() and (found == 2).sum() == 625


def test_search_proposes_each_square_and_the_whole() -> None:
    boxes = proposals.selective_search(squares())
    wanted = torch.tensor([[10.0, 10, 30, 30], [50, 30, 75, 55], [0, 0, 80, 60]])
    assert (box_iou(wanted, boxes).max(1).values > 0.8).all()
    assert len(torch.unique(boxes, dim=0)) == len(boxes)


@pytest.mark.parametrize("size", [(1, 1), (17, 11), (9, 40)])
def test_search_takes_any_size(size: tuple[int, int]) -> None:
    """Too small for a box of 8 px: none."""
    image = torch.full((3, *size), 9, dtype=torch.uint8)
    boxes = proposals.selective_search(image)
    assert boxes.shape == (int(min(size) >= 8), 4)


def test_small_specks_join_a_neighbour() -> None:
    image = squares()
    image[:, 5, 40] = 255
    found = proposals.segment(image.permute(1, 2, 0).float().numpy(), 100.0)
    assert found.max() == 2


def test_windows_lie_inside() -> None:
    boxes = proposals.grid(torch.zeros(3, 50, 70, dtype=torch.uint8))
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= torch.tensor([70.0, 50.0])).all()
    assert set((boxes[:, 3] - boxes[:, 1]).tolist()) == {24.0, 36.0, 48.0}


# ------------------------------------------------------------------ measuring


@pytest.mark.slow  # only because torchmetrics takes seconds to import
def test_mean_ap_agrees_with_torchmetrics() -> None:
    """To 0.001: torchmetrics' recall thresholds are float32, so some hits fall one step later."""
    metrics = pytest.importorskip("torchmetrics.detection")
    draws = torch.Generator().manual_seed(0)
    truth, found = [], []
    for _ in range(12):
        low = torch.rand(5, 2, generator=draws) * 60
        boxes = torch.cat([low, low + 15], 1)
        labels = torch.randint(1, 4, (5,), generator=draws)
        truth.append(rcnn.Scene(torch.zeros(0), boxes, labels, boxes))
        near = boxes.repeat(3, 1) + torch.randn(15, 4, generator=draws) * 2
        guessed = torch.where(
            torch.rand(15, generator=draws) < 0.7, labels.repeat(3), torch.tensor(2)
        )
        found.append(rcnn.Found(near, guessed, torch.rand(15, generator=draws)))
    judge = metrics.MeanAveragePrecision(iou_thresholds=[0.5], backend="faster_coco_eval")
    judge.update(
        [{"boxes": f.boxes, "labels": f.labels, "scores": f.scores} for f in found],
        [{"boxes": t.boxes, "labels": t.labels} for t in truth],
    )
    expected = float(judge.compute()["map_50"])
    assert rcnn.mean_ap(found, truth) == pytest.approx(expected, abs=1e-3)


def test_mean_ap_of_nothing_and_of_the_truth() -> None:
    boxes, labels = torch.tensor([[0.0, 0, 9, 9]]), torch.tensor([3])
    truth = [rcnn.Scene(torch.zeros(0), boxes, labels, boxes)]
    nothing = rcnn.Found(torch.zeros(0, 4), torch.zeros(0).long(), torch.zeros(0))
    assert rcnn.mean_ap([nothing], truth) == 0
    assert rcnn.mean_ap([rcnn.Found(boxes, labels, torch.ones(1))], truth) == 1
    twice = rcnn.Found(boxes.repeat(2, 1), labels.repeat(2), torch.tensor([0.9, 0.8]))
    assert rcnn.mean_ap([twice], truth) == 1  # the second comes after full recall
    assert rcnn.mean_ap([rcnn.Found(boxes, labels + 1, torch.ones(1))], truth) == 0
