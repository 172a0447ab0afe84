"""Formats and kinds of targets: the same kind comes out, and entries travel with their boxes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as tv

import mixwell as mw
from mixwell._errors import TargetError
from mixwell.targets.scenes import formats
from tests.targets.scenes.flips import BOXES, FLIP, FLIPPED, HW, IMAGE, boxes_after, flipped

UPRIGHT = ("xyxy", "xywh", "cxcywh")
ORIENTED = ("xyxyxyxy", "cxcywhr", "xywhr")


@pytest.mark.parametrize("form", UPRIGHT)
@pytest.mark.parametrize("normalized", [False, True])
def test_upright_formats(form, normalized):
    scale = np.array([40, 30, 40, 30]) if normalized else 1.0
    given_ = formats.from_xyxy(BOXES, form) / scale
    found = boxes_after(torch.from_numpy(given_), mw.Boxes(form, normalized))
    assert found.dtype == torch.float64
    assert found.numpy() == pytest.approx(formats.from_xyxy(FLIPPED, form) / scale, abs=1e-12)


@pytest.mark.parametrize("form", [*UPRIGHT, *ORIENTED])
def test_formats_are_torchvisions(form):
    """torchvision converts the same boxes to the same numbers."""
    turned = form in ORIENTED
    first = "CXCYWHR" if turned else "XYXY"
    boxes = [[20.0, 15.0, 10.0, 6.0, 30.0], [8.0, 9.0, 4.0, 7.0, -100.0]] if turned else BOXES
    start = tv_tensors.BoundingBoxes(
        torch.as_tensor(boxes, dtype=torch.float64), format=first, canvas_size=HW
    )
    theirs = tv.convert_bounding_box_format(start, new_format=form.upper()).as_subclass(
        torch.Tensor
    )
    ours = formats.to_corners(start.numpy().astype(float), first.lower())
    assert formats.to_corners(theirs.double().numpy(), form) == pytest.approx(ours, abs=1e-4)
    made = formats.from_corners(ours, form) if turned else formats.from_xyxy(BOXES, form)
    again = formats.to_corners(made, form)
    assert again == pytest.approx(ours, abs=1e-9)
    if form != "xyxyxyxy":
        assert made[:, :4] == pytest.approx(theirs.double().numpy()[:, :4], abs=1e-4)


@given(st.floats(-180, 180), st.floats(1, 30), st.floats(1, 30), st.sampled_from(ORIENTED[1:]))
def test_turned_boxes_come_back(angle, width, height, form):
    box = np.array([[20.0, 15.0, width, height, angle]])
    corners = formats.to_corners(box, form)
    again = formats.from_corners(corners, form)
    assert again[:, :4] == pytest.approx(box[:, :4], abs=1e-9)
    assert np.cos(np.deg2rad(again[:, 4] - angle)) == pytest.approx(1, abs=1e-12)


def test_turned_boxes_turn_with_their_image():
    """A turn by 30 degrees adds 30 degrees to the angle, about the image's centre."""
    policy = mw.Policy(mw.Rotate((30.0, 30.0)))
    (found,) = boxes_after([[20.0, 15.0, 10.0, 6.0, 10.0]], "cxcywhr", policy)
    assert found == pytest.approx([20, 15, 10, 6, 40], abs=1e-9)
    (mirrored,) = boxes_after([[22.0, 15.0, 10.0, 6.0, 10.0]], "cxcywhr")
    assert mirrored[:4] == pytest.approx([18, 15, 10, 6], abs=1e-9)
    assert np.tan(np.deg2rad(mirrored[4])) == pytest.approx(np.tan(np.deg2rad(-10)))


def test_a_turned_box_that_is_sheared_is_enclosed_along_its_first_side():
    corners = np.array([[(0, 0), (10, 0), (13, 5), (3, 5)]], float)
    found = formats.from_corners(corners, "cxcywhr")[0]
    assert found == pytest.approx([6.5, 2.5, 13, 5, 0], abs=1e-9)
    assert formats.from_corners(corners, "xyxyxyxy").tolist() == [[0, 0, 10, 0, 13, 5, 3, 5]]


def test_corners_may_be_points():
    given_ = torch.tensor([[(2.0, 3), (12, 3), (12, 20), (2, 20)]])
    found = boxes_after(given_, "xyxyxyxy")
    assert found.tolist() == [[38, 3, 28, 3, 28, 20, 38, 20]]


@pytest.mark.parametrize(
    ("given_", "kind", "dtype"),
    [
        (torch.tensor(BOXES), torch.Tensor, torch.float64),
        (torch.tensor(BOXES, dtype=torch.float16), torch.Tensor, torch.float16),
        (torch.tensor(BOXES, dtype=torch.int64), torch.Tensor, torch.float32),
        (BOXES, np.ndarray, np.float64),
        (BOXES.astype(np.float32), np.ndarray, np.float32),
        (BOXES.astype(np.int32), np.ndarray, np.float32),
        (BOXES.tolist(), list, None),
        (
            tv_tensors.BoundingBoxes(torch.tensor(BOXES), format="XYXY", canvas_size=HW),
            tv_tensors.BoundingBoxes,
            torch.float64,
        ),
    ],
)
def test_the_same_kind_comes_out(given_, kind, dtype):
    found = boxes_after(given_)
    assert type(found) is kind
    assert getattr(found, "dtype", None) == dtype
    assert np.allclose(np.asarray(found, float), FLIPPED)
    empty = given_[:0]
    none = boxes_after(tv_tensors.wrap(empty, like=given_) if "tv" in kind.__module__ else empty)
    assert type(none) is kind and len(none) == 0
    assert kind is list or tuple(none.shape) == (0, 4)


def test_tv_tensors_know_their_new_canvas():
    policy = mw.Policy(mw.Resize((60, 80)))
    form = tv_tensors.BoundingBoxes(torch.tensor(BOXES), format="XYXY", canvas_size=HW)
    marks = tv_tensors.KeyPoints(torch.ones(2, 3, 2), canvas_size=HW)
    masks = tv_tensors.Mask(torch.ones(2, *HW, dtype=torch.bool))
    target = {"boxes": form, "keypoints": marks, "masks": masks}
    made, _ = flipped(target, policy, masks="instance", keypoints=True)
    assert made["boxes"].canvas_size == made["keypoints"].canvas_size == (60, 80)
    assert made["boxes"].format == form.format
    assert made["boxes"].tolist() == (2 * BOXES).tolist()
    assert type(made["keypoints"]) is tv_tensors.KeyPoints
    assert made["keypoints"].tolist() == [[[2, 2]] * 3] * 2
    assert type(made["masks"]) is tv_tensors.Mask and made["masks"].dtype == torch.bool
    assert tuple(made["masks"].shape) == (2, 60, 80)
    assert list(made) == list(target)


def test_a_flip_of_tv_tensors_is_torchvisions():
    boxes = tv_tensors.BoundingBoxes(torch.tensor(BOXES), format="XYXY", canvas_size=HW)
    assert torch.equal(boxes_after(boxes), tv.horizontal_flip(boxes))


ENTRIES = {
    "labels": torch.tensor([7, 8]),
    "iscrowd": np.array([0, 1]),
    "ids": ["a", "b"],
    "scores": (0.5, 0.25),
    "colour": [["red"], ["blue", "green"]],
    "image_id": 42,
    "file_name": "a.jpg",
    "size": torch.tensor([30, 40]),
    "split": [1, 2, 3],
}
DECLARED = {"per_box": ("colour",), "per_image": ("split",)}


def test_entries_travel_with_their_box_or_their_image():
    crop = mw.Policy(mw.CenterCrop((30, 24)))  # the first box keeps 4 of its 10 columns
    target = {"boxes": torch.tensor(BOXES), **ENTRIES}
    made, lost = flipped(target, crop, boxes=mw.Boxes("xyxy", min_visibility=0.5, **DECLARED))
    assert lost == {"min_visibility": 1}
    assert made["boxes"].tolist() == [[7, 5, 24, 9]]
    assert made["labels"].tolist() == [8] and made["iscrowd"].tolist() == [1]
    assert (
        made["ids"] == ["b"] and made["scores"] == (0.25,) and made["colour"] == [["blue", "green"]]
    )
    for name in ("image_id", "file_name", "size", "split"):
        assert made[name] is ENTRIES[name]
    assert list(made) == list(target)


def test_entries_of_mixed_images_stand_in_the_order_of_their_boxes():
    targets = [
        {"boxes": BOXES, "labels": np.array([0, 1]), "iscrowd": np.array([0, 1]), "image_id": 5},
        {"boxes": BOXES[:1] + 1, "labels": np.array([2]), "iscrowd": np.array([1]), "image_id": 6},
    ]
    augment = mw.Augment(mw.Policy(mw.MixUp(fixed=0.75, pairing="roll")), boxes="xyxy")
    _, made = augment([IMAGE, IMAGE], targets, keys=mw.Keys(np.arange(2)))
    assert [t["labels"].tolist() for t in made] == [[0, 1, 2], [2, 0, 1]]
    assert [t["iscrowd"].tolist() for t in made] == [[0, 1, 1], [1, 0, 1]]
    assert [t["image_id"] for t in made] == [5, 6]
    assert [t["weights"].tolist() for t in made] == [[0.75, 0.75, 0.25], [0.75, 0.25, 0.25]]
    assert [t["source"].tolist() for t in made] == [[0, 0, 1], [1, 0, 0]]
    assert [t["sources"].tolist() for t in made] == [[0, 1], [1, 0]]
    assert [t["shares"].tolist() for t in made] == [[0.75, 0.25]] * 2
    augment.eval()
    _, plain = augment([IMAGE, IMAGE], targets, keys=mw.Keys(np.arange(2)))
    assert "weights" not in plain[0] and "source" not in plain[0]


def test_weights_that_come_in_are_multiplied():
    targets = [{"boxes": BOXES[:1], "weights": np.array([w])} for w in (0.5, 0.25)]
    augment = mw.Augment(mw.Policy(mw.MixUp(fixed=0.5)), boxes="xyxy")
    _, made = augment([IMAGE, IMAGE], targets, keys=mw.Keys(np.arange(2)))
    assert made[0]["weights"].tolist() == [0.25, 0.125]


def test_an_entry_that_may_be_either_must_be_declared():
    for value in (torch.zeros(2), [1, 2], np.zeros(5)):
        with pytest.raises(TargetError, match=r'Does "odd" hold a value for each box'):
            flipped({"boxes": BOXES, "odd": value})
    with pytest.raises(TargetError, match=r'"labels" needs a value for each of the 2 boxes, got 3'):
        flipped({"boxes": BOXES, "labels": torch.zeros(3)})


@pytest.mark.parametrize(
    ("target", "declare"),
    [
        ({"boxes": BOXES, "masks": torch.zeros(2, *HW)}, 'masks="instance"'),
        ({"boxes": BOXES, "keypoints": torch.zeros(2, 3, 2)}, "keypoints=True"),
        ({"boxes": BOXES, "polygons": [[], []]}, 'masks="polygons"'),
    ],
)
def test_what_would_be_wrong_if_it_stayed_is_refused(target, declare):
    with pytest.raises(TargetError) as error:
        flipped(target)
    assert declare in str(error.value)


def test_masks_are_made_only_where_they_are_declared(monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("masks were rendered")

    monkeypatch.setattr("mixwell.targets.scenes.masks.render", never)
    target = {"boxes": BOXES, "labels": [1, 2]}
    assert np.allclose(flipped(target)[0]["boxes"], FLIPPED)
    with pytest.raises(AssertionError, match="rendered"):
        flipped({**target, "masks": np.zeros((2, *HW), bool)}, masks="instance")


def test_areas_follow():
    target = {"boxes": BOXES, "area": np.array([85.0, 50.0])}
    made, _ = flipped(target, mw.Policy(mw.Resize((60, 80)), mw.CenterCrop((60, 74))))
    # 4 times as large; the second box loses its last of 48 columns
    assert made["area"] == pytest.approx([340, 200 * 47 / 48])
    masks = np.zeros((2, *HW), bool)
    masks[0, 3:20, 2:7] = masks[1, 5:9, 15:39] = True
    made, _ = flipped({**target, "masks": masks}, masks="instance")
    assert made["area"] == pytest.approx([85, 96])


POLICIES = {
    "nothing": mw.Policy(),
    "moved": mw.Policy(mw.RandomResizedCrop((20, 20)), mw.Rotate(30), mw.Perspective(p=1.0)),
    "auto": mw.Policy(mw.RandAugment(), mw.RandomErasing(p=1.0)),
    "boxes": mw.Policy(mw.RandomIoUCrop(), mw.BBoxSafeCrop((16, 16)), mw.RandomZoomOut(p=1.0)),
    "mixed": mw.Policy(mw.MixUp(sizes="any"), mw.CutMix(sizes="any")),
    "mosaic": mw.Policy(mw.Mosaic(32), mw.JitterMixUp()),
    "pasted": mw.Policy(mw.CopyPaste(1.0), mw.HorizontalFlip()),
    "AugMix": mw.Policy(mw.AugMix()),
}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=list(POLICIES))
def test_images_without_things(policy):
    """Shapes, kinds and dtypes stay; one of three images has a box, in the second batch none."""
    empty = {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.int64),
        "masks": torch.zeros(0, *HW, dtype=torch.bool),
        "keypoints": torch.zeros(0, 5, 3),
    }
    full = {
        "boxes": torch.tensor([[5.0, 6.0, 35.0, 25.0]]),
        "labels": torch.tensor([1]),
        "masks": torch.ones(1, *HW, dtype=torch.bool),
        "keypoints": torch.full((1, 5, 3), 2.0),
    }
    augment = mw.Augment(policy, boxes="xyxy", masks="instance", keypoints=True)
    for targets in ([empty, full, empty], [empty] * 3):
        out, made = augment([IMAGE] * 3, targets, keys=mw.Keys(np.arange(3)))
        assert len(out) == len(made) == 3
        for image, target in zip(out, made, strict=True):
            n = len(target["boxes"])
            assert n == 0 or targets[1] is full
            assert target["boxes"].shape == (n, 4) and target["boxes"].dtype == torch.float32
            assert target["labels"].shape == (n,) and target["labels"].dtype == torch.int64
            assert target["masks"].shape == (n, *image.shape[1:])
            assert target["masks"].dtype == torch.bool
            assert target["keypoints"].shape == (n, 5, 3)


def test_an_empty_batch():
    augment = mw.Augment(mw.Policy(mw.HorizontalFlip(), mw.RandomIoUCrop()), boxes="xyxy")
    out, made = augment([], [], keys=mw.Keys(np.arange(0)))
    assert len(out) == 0 and made == []


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({"boxes": BOXES}, "a list with a dict for each image"),
        ([BOXES], "a list with a dict for each image"),
        ([{"labels": [1]}], '"boxes" are declared, got a target with'),
        ([{"boxes": np.zeros((2, 5))}], r'boxes as "xyxy" must be \[n, 4\]'),
        ([{"boxes": ["a"]}], "boxes must be numbers"),
        ([{"boxes": BOXES}] * 2, "Every image needs a target, got 1 images, 2 targets"),
    ],
)
def test_targets_of_the_wrong_kind(targets, message):
    with pytest.raises(TargetError, match=message):
        mw.Augment(FLIP, boxes="xyxy")([IMAGE], targets, keys=mw.Keys(np.arange(1)))


def test_tv_tensors_must_say_what_is_declared():
    boxes = tv_tensors.BoundingBoxes(torch.tensor(BOXES), format="XYWH", canvas_size=HW)
    with pytest.raises(TargetError, match='Declare boxes="xywh"'):
        boxes_after(boxes)
    other = tv_tensors.BoundingBoxes(torch.tensor(BOXES), format="XYXY", canvas_size=(9, 9))
    with pytest.raises(TargetError, match="canvas_size must be the image's size"):
        boxes_after(other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "yxyx"}, "boxes must be one of"),
        ({"min_visibility": 1.5}, "min_visibility"),
        ({"min_side": -1.0}, "min_side"),
        ({"invalid": "keep"}, "invalid"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(TargetError, match=message):
        mw.Boxes(**options)


def test_declarations_that_cannot_be():
    with pytest.raises(TargetError, match="num_classes has no meaning"):
        mw.Augment(FLIP, boxes="xyxy", num_classes=3)
    with pytest.raises(TargetError, match="tight=True"):
        mw.Augment(FLIP, boxes=mw.Boxes(tight=True))
    with pytest.raises(TargetError, match="makes upright boxes"):
        mw.Augment(FLIP, boxes=mw.Boxes("cxcywhr", tight=True), masks="instance")
    with pytest.raises(TargetError, match="masks must be one of"):
        mw.Augment(FLIP, masks="things")  # type: ignore[arg-type]


def test_class_maps_beside_boxes():
    target = {"boxes": BOXES, "labels": np.arange(2), "masks": np.zeros(HW, np.uint8)}
    target["masks"][:, :10] = 3
    made, _ = flipped(target, masks="semantic")
    assert made["masks"][:, 30:].min() == 3 and made["masks"][:, :30].max() == 0
    assert made["labels"].tolist() == [0, 1]
    assert made["boxes"].tolist() == FLIPPED.tolist()


def test_targets_are_not_changed():
    target = {"boxes": torch.tensor(BOXES), "labels": torch.tensor([1, 2])}
    before = {name: value.clone() for name, value in target.items()}
    flipped(target, mw.Policy(mw.Rotate(30), mw.HorizontalFlip(p=1.0)))
    assert all(torch.equal(target[name], before[name]) for name in before)
