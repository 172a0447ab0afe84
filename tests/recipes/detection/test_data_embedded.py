"""Digits on photographs: what is drawn is what is said, and depends on seed and index alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mixwell import DataError
from mixwell.recipes.data import load_dataset
from mixwell.recipes.detection.data import DetectionSet, EmbeddedDigits, embedded, load_embedded

SMALL = {"size_hw": (64, 96)}


def same(one: tuple, other: tuple) -> bool:
    image, target = one
    return torch.equal(image, other[0]) and all(
        torch.equal(value, other[1][key]) if torch.is_tensor(value) else value == other[1][key]
        for key, value in target.items()
    )


def extent(mask: np.ndarray) -> list[int]:
    """x0, y0, x1, y1 of the pixels that are set, one pixel at a time."""
    places = [(x, y) for y, row in enumerate(mask) for x, value in enumerate(row) if value]
    xs, ys = [x for x, _ in places], [y for _, y in places]
    return [min(xs), min(ys), max(xs) + 1, max(ys) + 1]


def test_the_contract():
    data = EmbeddedDigits(3, **SMALL, objects=(2, 2))
    assert isinstance(data, DetectionSet)
    assert data.classes == tuple("0123456789") and data.category_ids == tuple(range(1, 11))
    assert len(data) == 3 and data.skipped == {} and data.notes == {}
    image, target = data[2]
    assert image.dtype == torch.uint8 and image.shape == (3, 64, 96) and image.is_contiguous()
    assert target["image_id"] == 2
    forms = {key: (value.dtype, value.shape) for key, value in target.items() if key != "image_id"}
    assert forms == {
        "boxes": (torch.float32, (2, 4)),
        "labels": (torch.int64, (2,)),
        "iscrowd": (torch.int64, (2,)),
        "area": (torch.float32, (2,)),
        "masks": (torch.uint8, (2, 64, 96)),
    }
    assert repr(data) == "EmbeddedDigits(3 train images 64x96 | 2..2 digits | seed 0)"


@settings(max_examples=25)
@given(st.integers(0, 2**64 - 1), st.integers(0, 10**6), st.integers(0, 12))
def test_boxes_are_the_extents_of_masks_that_do_not_overlap(seed: int, index: int, most: int):
    data = EmbeddedDigits(10**6 + 1, seed=seed, size_hw=(40, 60), objects=(0, most))
    target = data[index][1]
    masks = target["masks"].numpy()
    assert len(masks) <= most and set(np.unique(masks)) <= {0, 1}
    assert masks.sum(axis=0).max(initial=0) <= 1
    assert target["boxes"].tolist() == [extent(mask) for mask in masks]
    assert target["area"].tolist() == [float(mask.sum()) for mask in masks]
    assert all(1 <= label <= 10 for label in target["labels"].tolist())


@pytest.mark.parametrize("index", range(6))
def test_nothing_is_drawn_outside_the_masks(index: int):
    """The same image without digits: only the pixels of the masks differ, and most of them do."""
    data = EmbeddedDigits(6, **SMALL, objects=(6, 6))
    image, target = data[index]
    ground = torch.from_numpy(data._background(data._draws(index)[:6])).permute(2, 0, 1)
    changed = (image != ground).any(dim=0)
    painted = target["masks"].any(dim=0)
    assert len(target["labels"]) > 1
    assert not (changed & ~painted).any()
    assert (changed & painted).sum() > 0.95 * painted.sum()


def test_digits_stand_out():
    data = EmbeddedDigits(20, objects=(1, 1))
    for i in range(20):
        image, target = data[i]
        ground = torch.from_numpy(data._background(data._draws(i)[:6])).permute(2, 0, 1).float()
        mask = target["masks"][0].bool()
        assert (image.float() - ground)[:, mask].mean().abs() > 40


def test_an_image_depends_on_seed_part_and_index_alone():
    data = EmbeddedDigits(50, **SMALL)
    later = [data[i] for i in (7, 3, 7)]
    assert same(later[0], later[2])
    assert same(EmbeddedDigits(8, **SMALL)[7], later[0])  # another length, another order
    assert same((later[0][0], data.target(7)), later[0])
    images = [data[7], data[8], EmbeddedDigits(8, seed=1, **SMALL)[7]]
    images.append(EmbeddedDigits(8, "test", **SMALL)[7])
    distinct = {image.numpy().tobytes() for image, _ in images}
    assert len(distinct) == 4


def test_parts_are_drawn_apart():
    """Not the same scenes with other digits."""
    bare = [EmbeddedDigits(3, part, **SMALL, objects=(0, 0)) for part in ("train", "test")]
    assert all(not torch.equal(bare[0][i][0], bare[1][i][0]) for i in range(3))
    assert bare[0].target(0)["masks"].shape == (0, 64, 96)


def test_indices_count_as_in_lists():
    data = EmbeddedDigits(3, **SMALL)
    assert same(data[-1], data[2])
    with pytest.raises(IndexError):
        data[3]


def test_every_count_comes_up_equally():
    data = EmbeddedDigits(600, size_hw=(64, 64), objects=(1, 3), scales=(0.15, 0.2))
    counts = np.bincount([len(data.target(i)["labels"]) for i in range(600)], minlength=5)
    assert counts[0] == counts[4] == 0
    assert counts[1:4] == pytest.approx([200] * 3, abs=50)  # four standard deviations


def test_no_digit_is_hidden_by_more_than_allowed():
    """In a crowd, what is left of each digit against the same digits when nothing may be hidden."""
    crowd = {"size_hw": (64, 64), "objects": (30, 30), "scales": (0.3, 0.3)}
    data = EmbeddedDigits(4, **crowd)
    for i in range(4):
        scene_areas = whole_areas(data, i)
        shown = data.target(i)["area"].numpy()
        assert len(shown) == len(scene_areas) and (shown >= 0.4 * scene_areas - 1e-3).all()
        assert (shown < scene_areas).any()  # some are hidden in part
        apart = EmbeddedDigits(4, **crowd, max_hidden=0.0)
        assert np.array_equal(apart.target(i)["area"].numpy(), whole_areas(apart, i))
        assert 0 < len(apart.target(i)["labels"]) < len(shown) < 30


def whole_areas(data: EmbeddedDigits, index: int) -> np.ndarray:
    """Pixels that each digit of an image was pasted with."""
    pasted = []
    paste = embedded._Scene.paste

    def watched(scene, *args):
        paste(scene, *args)
        pasted[:] = scene.whole

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded._Scene, "paste", watched)
        data.target(index)
    return np.array(pasted, np.float64)


@pytest.mark.parametrize(("low", "high"), [(0.2, 0.2), (0.5, 1.0)])
def test_sizes_lie_in_their_range(low: float, high: float):
    data = EmbeddedDigits(30, size_hw=(100, 150), objects=(1, 1), scales=(low, high))
    for i in range(30):
        (box,) = data.target(i)["boxes"].tolist()
        sides = box[2] - box[0], box[3] - box[1]
        assert max(sides) <= 100 * high + 0.5
        assert max(sides) >= 100 * low * 0.8  # ink fills the height of its field


def test_train_and_test_show_different_digits():
    train, test = (embedded._digits(part) for part in ("train", "test"))
    data = load_dataset("digits")
    assert (len(train[0]), len(test[0])) == (len(data.train), len(data.test)) == (1442, 355)
    assert np.array_equal(test[1], data.test.labels)
    shared = {ink.tobytes() for ink in train[0]} & {ink.tobytes() for ink in test[0]}
    assert not shared


@pytest.mark.parametrize("size_hw", [(8, 8), (9, 700), (500, 11)])
def test_odd_sizes(size_hw: tuple[int, int]):
    data = EmbeddedDigits(4, size_hw=size_hw, objects=(3, 3))
    assert all(data[i][0].shape == (3, *size_hw) for i in range(4))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"images": 0}, "images of at least 1, got 0"),
        ({"part": "val"}, "part 'train' or 'test', got 'val'"),
        ({"seed": -1}, r"seed in 0 \.\. 2\*\*64 - 1, got -1"),
        ({"size_hw": (7, 9)}, "size_hw of at least 8 px"),
        ({"objects": (3, 2)}, "objects as"),
        ({"objects": (0, 256)}, "objects as"),
        ({"scales": (0.0, 0.2)}, "scales as"),
        ({"scales": (0.2, 1.2)}, "scales as"),
        ({"max_hidden": 1.0}, "max_hidden from 0 to below 1"),
    ],
)
def test_options_are_checked(options: dict, words: str):
    with pytest.raises(DataError, match=words):
        EmbeddedDigits(**options)


def test_both_parts_by_name():
    data = load_embedded(5, 3, seed=4, **SMALL)
    assert (len(data.train), len(data.val), data.name) == (5, 3, "embedded")
    assert same(data.val[1], EmbeddedDigits(3, "test", seed=4, **SMALL)[1])
