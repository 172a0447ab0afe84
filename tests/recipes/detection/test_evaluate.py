"""Average precision against COCO's rules in plain loops, and predictions in px of the image."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mixwell.recipes.detection.evaluate import average_precision, predictions
from tests.oracles.average_precision import mean_average_precision

CLASSES = ("cat", "dog")


def box_strategy():
    numbers = st.tuples(*(st.integers(0, 12) for _ in range(2)), *(st.integers(4, 24),) * 2)
    return numbers.map(lambda n: (n[0], n[1], n[0] + n[2], n[1] + n[3]))


def as_target(boxes, labels, **entries):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    labels = torch.tensor(labels, dtype=torch.int64)
    none = torch.zeros(len(boxes), dtype=torch.int64)
    return {"boxes": boxes, "labels": labels, "area": area, "iscrowd": none, **entries}


def as_found(boxes, labels, scores):
    one = as_target(boxes, labels)
    return {
        "boxes": one["boxes"],
        "labels": one["labels"],
        "scores": torch.tensor(scores, dtype=torch.float32),
    }


things = st.lists(st.tuples(box_strategy(), st.integers(1, 2)), max_size=4)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(things, things), min_size=1, max_size=3), st.randoms())
def test_it_is_cocos_average_precision(images, random):
    scores = [k / 64 for k in range(1, 60)]  # all different: COCO leaves the order of equals open
    random.shuffle(scores)
    found, targets, kept = [], [], {1: [], 2: []}
    for seen, real in images:
        own = [scores.pop() for _ in seen]
        found.append(as_found([b for b, _ in seen], [k for _, k in seen], own))
        targets.append(as_target([b for b, _ in real], [k for _, k in real]))
        for label, list_ in kept.items():
            mine = [(s, b) for (b, k), s in zip(seen, own, strict=True) if k == label]
            list_.append((mine, [b for b, k in real if k == label]))
    measured = average_precision(found, targets, CLASSES)
    each = {name: mean_average_precision(kept[k]) for k, name in enumerate(CLASSES, 1)}
    for name, value in each.items():
        assert measured.per_class[name] == (None if value is None else pytest.approx(value))
    known = [value for value in each.values() if value is not None]
    mean = pytest.approx(sum(known) / len(known)) if known else None
    assert measured.map == mean
    assert (measured.images, measured.objects) == (
        len(images),
        sum(len(real) for _, real in images),
    )


def test_what_is_found_exactly_is_1_and_by_class():
    boxes, labels = [(0, 0, 40, 40), (50, 10, 160, 170)], [1, 2]
    found = as_found(boxes, labels, [0.9, 0.3])
    measured = average_precision([found], [as_target(boxes, labels)], CLASSES)
    assert (measured.map, measured.map_50, measured.map_75, measured.recall) == (1, 1, 1, 1)
    assert (measured.small, measured.medium, measured.large) == (None, 1, 1)
    assert measured.per_class == {"cat": 1, "dog": 1}


@pytest.mark.parametrize("entry", ["iscrowd", "difficult"])
def test_crowds_and_difficult_objects_count_neither_as_found_nor_as_missed(entry):
    boxes = [(0, 0, 40, 40), (50, 10, 90, 60)]
    marks = torch.tensor([0, 1])
    target = as_target(boxes, [1, 1], **{entry: marks if entry == "iscrowd" else marks.bool()})
    missed = as_found(boxes[:1], [1], [0.5])
    both = as_found(boxes, [1, 1], [0.5, 0.9])
    for found in (missed, both):
        measured = average_precision([found], [target], CLASSES)
        assert (measured.map, measured.objects) == (1, 1)


def test_nothing_to_find_is_none_and_not_zero():
    nothing = as_target([], [])
    measured = average_precision([as_found([(0, 0, 5, 5)], [1], [0.5])], [nothing], CLASSES)
    assert measured.map is None and measured.per_class == {"cat": None, "dog": None}
    empty = average_precision([], [], CLASSES)
    assert (empty.map, empty.images, empty.objects) == (None, 0, 0)


class Corner(nn.Module):
    """Finds the lower right quarter of what it sees, many times, the best last."""

    def __init__(self, count=1):
        super().__init__()
        self.count = count
        self.seen = []

    def forward(self, images):
        out = []
        for image in images:
            height, width = image.shape[-2:]
            self.seen.append((height, width, float(image.min()), float(image.max())))
            box = torch.tensor([[width / 2, height / 2, width, height]], dtype=torch.float32)
            scores = torch.linspace(0.1, 0.9, self.count)
            labels = torch.ones(self.count, dtype=torch.int64)
            out.append({"boxes": box.repeat(self.count, 1), "scores": scores, "labels": labels})
        return out


@pytest.mark.parametrize("side", [32, None])
def test_predictions_are_in_px_of_the_image(side):
    images = [torch.full((3, *hw), 255, dtype=torch.uint8) for hw in ((40, 64), (17, 11), (32, 32))]
    model = Corner().train()
    found = predictions(model, images, side=side)
    assert not model.training
    for image, own, seen in zip(images, found, model.seen, strict=True):
        height, width = image.shape[-2:]
        expected = torch.tensor([[width / 2, height / 2, width, height]], dtype=torch.float32)
        torch.testing.assert_close(own["boxes"], expected)
        assert seen[:2] == ((side, side) if side else (height, width))
        assert seen[2:] == (1.0, 1.0)


def test_the_hundred_most_certain_detections_are_kept():
    (found,) = predictions(Corner(130), [torch.zeros(3, 8, 8, dtype=torch.uint8)], side=None)
    assert len(found["scores"]) == 100
    assert found["scores"][0] == pytest.approx(0.9)
    assert (found["scores"].diff() <= 0).all()
