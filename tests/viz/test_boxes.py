"""Boxes on images: the right pixels take the right colour, and no others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mixwell import RenderError, TargetError
from mixwell.viz import box_sheet, draw_boxes, style

GREY = np.full((40, 60, 3), 128, np.uint8)
FIRST, SECOND = style.class_color(0), style.class_color(1)


def drawn(target: dict, image: object = GREY, **options) -> np.ndarray:
    return np.asarray(draw_boxes(image, target, **{"names": False, **options}))


def changed(picture: np.ndarray, level: int = 128) -> np.ndarray:
    return (picture != level).any(axis=2)


def ring(x0: int, y0: int, x1: int, y1: int, width: int, shape=(40, 60)) -> np.ndarray:
    """The pixels of [x0, x1) x [y0, y1) less than `width` from its border, one by one."""
    out = np.zeros(shape, bool)
    for y in range(max(y0, 0), min(y1, shape[0])):
        for x in range(max(x0, 0), min(x1, shape[1])):
            out[y, x] = min(x - x0, y - y0, x1 - 1 - x, y1 - 1 - y) < width
    return out


@given(
    st.integers(-5, 58),
    st.integers(-5, 38),
    st.integers(1, 40),
    st.integers(1, 30),
    st.integers(1, 3),
)
def test_the_outline_is_the_outermost_pixels_of_the_box(
    x0: int, y0: int, w: int, h: int, width: int
):
    picture = drawn({"boxes": [[x0, y0, x0 + w, y0 + h]]}, width=width)
    wanted = ring(x0, y0, x0 + w, y0 + h, width)
    assert np.array_equal(changed(picture), wanted)
    assert (picture[wanted] == FIRST).all()


def test_fractions_are_rounded_to_pixel_borders():
    picture = drawn({"boxes": torch.tensor([[9.6, 4.4, 20.4, 11.6]])}, width=1)
    assert np.array_equal(changed(picture), ring(10, 4, 20, 12, 1))


def test_a_box_without_area_is_a_line_and_a_point_a_pixel():
    assert changed(drawn({"boxes": [[5, 5, 5, 9]]})).sum() == 4
    assert np.argwhere(changed(drawn({"boxes": [[5, 7, 5, 7]]}))).tolist() == [[7, 5]]


@pytest.mark.parametrize("target", [{}, {"boxes": np.zeros((0, 4))}, {"boxes": [], "labels": []}])
def test_nothing_to_draw_leaves_the_image(target: dict):
    picture = draw_boxes(GREY, target, ["a"])
    assert isinstance(picture, Image.Image) and np.array_equal(np.asarray(picture), GREY)


def test_all_entries_may_be_empty():
    target = {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.int64),
        "masks": torch.zeros(0, 40, 60, dtype=torch.uint8),
        "keypoints": torch.zeros(0, 3, 3),
        "weights": torch.zeros(0),
        "image_id": 3,
    }
    assert np.array_equal(np.asarray(draw_boxes(GREY, target, ["a"])), GREY)


def test_the_given_image_stays():
    for image in (
        GREY.copy(),
        torch.full((3, 40, 60), 128, dtype=torch.uint8),
        Image.fromarray(GREY),
    ):
        drawn({"boxes": [[1, 1, 9, 9]]}, image)
        assert (np.asarray(image) == 128).all()


def test_classes_have_their_colours_and_later_boxes_lie_above():
    target = {"boxes": [[2, 2, 20, 20], [2, 2, 30, 20]], "labels": [1, 2]}
    picture = drawn(target, width=1)
    assert (picture[2, 2] == SECOND).all() and (picture[10, 19] == FIRST).all()


def test_sources_can_give_the_colour():
    target = {"boxes": [[2, 2, 20, 20], [30, 2, 40, 20]], "labels": [5, 5], "source": [1, 0]}
    picture = drawn(target, color_by="source")
    assert (picture[2, 2] == SECOND).all() and (picture[2, 30] == FIRST).all()


def test_many_boxes():
    boxes = np.array([[x, y, x + 2, y + 2] for y in range(0, 40, 4) for x in range(0, 60, 4)])
    picture = drawn({"boxes": boxes, "labels": np.arange(len(boxes)) + 1}, width=1)
    wanted = np.zeros((40, 60), bool)
    for x0, y0, x1, y1 in boxes:
        wanted[y0:y1, x0:x1] = True
    assert np.array_equal(changed(picture), wanted)


@pytest.mark.parametrize("key", ["iscrowd", "difficult"])
def test_crowds_and_difficult_objects_are_dashed(key: str):
    solid = changed(drawn({"boxes": [[2, 2, 50, 35]]}))
    picture = drawn({"boxes": [[2, 2, 50, 35]], key: [1]})
    dashed = changed(picture)
    assert (dashed <= solid).all() and 0.4 * solid.sum() < dashed.sum() < 0.8 * solid.sum()
    assert np.array_equal(changed(drawn({"boxes": [[2, 2, 50, 35]], key: [0]})), solid)


def test_dashes_of_a_box_far_outside_end():
    picture = drawn({"boxes": [[-1e7, -1e7, 1e7, 20]], "iscrowd": [1]})
    assert changed(picture)[18:20].any() and not changed(picture)[20:].any()


# --- names ---------------------------------------------------------------------------------------


def words_of(monkeypatch, target: dict, classes=None) -> list[str]:
    texts = []
    monkeypatch.setattr(style, "write", lambda page, x, y, text, *rest, **more: texts.append(text))
    draw_boxes(np.zeros((200, 300, 3), np.uint8), target, classes)
    return texts


BOX = [10, 50, 100, 150]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({}, "dog"),
        ({"scores": [0.914]}, "dog 0.91"),
        ({"weights": [0.333]}, "dog w0.33"),
        ({"weights": [1.0]}, "dog"),
        ({"source": [3]}, "dog"),
        ({"iscrowd": [1], "difficult": [True]}, "dog crowd difficult"),
    ],
)
def test_names_say_what_is_known(monkeypatch, more: dict, text: str):
    assert words_of(monkeypatch, {"boxes": [BOX], "labels": [2]} | more, ["cat", "dog"]) == [text]


def test_names_say_the_source_where_there_are_several(monkeypatch):
    target = {"boxes": [BOX, BOX], "labels": [1, 2], "source": [0, 4], "scores": [1, 0.5]}
    assert words_of(monkeypatch, target) == ["1 1.00 #0", "2 0.50 #4"]


def test_boxes_without_labels_have_no_name(monkeypatch):
    assert words_of(monkeypatch, {"boxes": [BOX]}) == []


@pytest.mark.parametrize(
    ("box", "rows"),
    [([10, 30, 50, 38], (15, 30)), ([10, 3, 50, 38], (3, 18)), ([10, -9, 50, 38], (0, 15))],
)
def test_a_name_stands_above_its_box_or_inside(box: list[int], rows: tuple[int, int]):
    bare = drawn({"boxes": [box], "labels": [1]})
    named = drawn({"boxes": [box], "labels": [1]}, names=True)
    places = np.argwhere((named != bare).any(axis=2))
    assert len(places) > 20
    assert rows[0] <= places[:, 0].min() and places[:, 0].max() < rows[1]
    assert places[:, 1].min() >= 10


def test_a_name_stays_in_the_picture():
    target = {"boxes": [[55, 30, 60, 38]], "labels": [1]}
    picture = drawn(target, names=True, classes=["a name that is wider than all of it"])
    assert changed(picture)[16:29].any() and picture.shape == GREY.shape


# --- masks, keypoints, anchors -------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 40, 60), (1, 1, 40, 60)])
def test_masks_are_translucent_and_where_they_are(shape: tuple[int, ...]):
    mask = np.zeros((40, 60), np.float32)
    mask[10:20, 5:15] = 0.9
    picture = drawn({"masks": mask.reshape(shape)})
    assert np.array_equal(changed(picture), mask > 0.5)
    wanted = 128 + (np.array(FIRST) - 128) * 0.45
    assert np.abs(picture[12, 6] - wanted).max() <= 1


def test_keypoints_are_dots_rings_or_nothing():
    points = [[[10.9, 10.2, 2], [30.0, 10.0, 1], [50.0, 10.0, 0]]]
    picture = drawn({"keypoints": points})
    assert (picture[10, 10] == FIRST).all() and (picture[10, 8] == FIRST).all()
    assert (picture[10, 30] == 128).all() and (picture[10, 28] == FIRST).all()
    seen = np.argwhere(changed(picture))
    assert seen[:, 0].min() == 8 and seen[:, 0].max() == 12 and seen[:, 1].max() == 32
    assert seen[:, 1].min() == 8


def test_a_skeleton_joins_what_is_labelled():
    points = [[[5, 20, 2], [25, 20, 1], [45, 20, 0]]]
    picture = drawn({"keypoints": points}, skeleton=[(0, 1), (1, 2)])
    assert changed(picture)[20, 5:23].all() and not changed(picture)[20, 30:].any()
    assert changed(drawn({"keypoints": [[[5, 20], [25, 20]]]}, skeleton=[(0, 1)]))[20, 5:25].all()


def test_anchors_are_thin_and_below():
    target = {"boxes": [[10, 10, 30, 30]]}
    picture = drawn(target, anchors=torch.tensor([[10, 10, 30, 30], [5, 5, 40, 35]]))
    bare = drawn(target)
    new = (picture != bare).any(axis=2)
    assert new.any() and (new <= ring(5, 5, 40, 35, 1)).all()
    assert (picture[new] == style.FAINT).all()


# --- forms of images, sizes ----------------------------------------------------------------------


def test_normalised_images_are_brought_back():
    levels = np.random.default_rng(0).integers(0, 256, (3, 20, 30), dtype=np.uint8)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.1)
    scaled = (torch.from_numpy(levels) / 255 - torch.tensor(mean)[:, None, None]) / torch.tensor(
        std
    )[:, None, None]
    for image in (scaled, scaled.permute(1, 2, 0).numpy()):
        picture = drawn({}, image, mean=mean, std=std)
        assert np.array_equal(picture, levels.transpose(1, 2, 0))
    assert np.array_equal(drawn({}, torch.from_numpy(levels) / 255), levels.transpose(1, 2, 0))


@pytest.mark.parametrize(("side", "factor"), [(120, 2), (200, 3), (60, 1)])
def test_small_images_grow_before_anything_is_drawn(side: int, factor: int):
    mask = np.zeros((1, 40, 60), np.uint8)
    mask[0, 20:, 50:] = 1
    picture = drawn({"boxes": [[3, 4, 20, 30]], "masks": mask}, side=side, width=1)
    shape = (40 * factor, 60 * factor)
    wanted = ring(*(v * factor for v in (3, 4, 20, 30)), 1, shape)
    wanted |= mask[0].repeat(factor, 0).repeat(factor, 1).astype(bool)
    assert picture.shape[:2] == shape and np.array_equal(changed(picture), wanted)


def test_large_images_shrink_with_their_boxes():
    picture = drawn({"boxes": [[10, 10, 30, 30]]}, side=30, width=1)
    assert picture.shape[:2] == (20, 30)
    assert np.array_equal(changed(picture), ring(5, 5, 15, 15, 1, (20, 30)))


def test_a_sheet_shows_each_sample():
    samples = [(GREY, {"boxes": [[0, 0, 60, 40]], "labels": [k]}) for k in (1, 2, 3)]
    page = np.asarray(box_sheet(samples, columns=3, side=60, names=False, captions=["a", "b", "c"]))
    for k in range(3):
        color = style.class_color(k)
        assert (page == color).all(axis=2).sum() >= ring(0, 0, 60, 40, 2).sum()
    with pytest.raises(RenderError, match="at least one image"):
        box_sheet([])


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        ({"boxes": [[1, 2, 3]]}, {}, r"boxes as \[n, 4\].* got shape \[1, 3\]"),
        ({"boxes": [[5, 2, 3, 4]]}, {}, "x1 < x0"),
        ({"boxes": [[1, 2, np.nan, 4]]}, {}, "a number missing"),
        ({"boxes": [[1, 2, 3, 4]], "labels": [1, 2]}, {}, "one row for each object"),
        ({"boxes": [[1, 2, 3, 4]], "labels": [0]}, {"classes": ["a"]}, r"1 \.\. 1 .*got 0 \.\. 0"),
        ({"boxes": [[1, 2, 3, 4]], "labels": [2]}, {"classes": ["a"]}, r"got 2 \.\. 2"),
        ({"masks": np.zeros((1, 4, 4))}, {}, r"\[n, 40, 60\] .*got \[1, 4, 4\]"),
        ({"keypoints": np.zeros((1, 4))}, {}, r"\[n, K, 2\] or \[n, K, 3\], got \[1, 4\]"),
        ({}, {"anchors": [[4, 3, 2, 1]]}, "needs anchors as"),
    ],
)
def test_what_cannot_be_drawn_is_refused(target: dict, options: dict, words: str):
    with pytest.raises(TargetError, match=words):
        draw_boxes(GREY, target, **options)


def test_mean_and_std_are_checked():
    with pytest.raises(RenderError, match="mean and std together"):
        draw_boxes(np.zeros((4, 4, 3), np.float32), {}, mean=(0, 0, 0))
    with pytest.raises(RenderError, match="Only float images are normalised, got uint8"):
        draw_boxes(GREY, {}, mean=(0, 0, 0), std=(1, 1, 1))


def test_names_do_not_cover_one_another(monkeypatch):
    """The second stands below its box, the third would cover one of them."""
    target = {"boxes": [BOX, BOX, [12, 52, 90, 148]], "labels": [1, 2, 3]}
    assert words_of(monkeypatch, target) == ["1", "2"]
    target["boxes"][2] = [150, 50, 190, 150]
    assert words_of(monkeypatch, target) == ["1", "2", "3"]


def test_a_sheet_says_what_its_colours_mean(monkeypatch):
    texts = []
    monkeypatch.setattr(style, "write", lambda page, x, y, text, *rest, **more: texts.append(text))
    samples = [(GREY, {"boxes": [[0, 30, 9, 39]], "labels": [k]}) for k in (3, 1)] + [(GREY, {})]
    box_sheet(samples, ["cat", "dog", "owl"], side=60)
    assert texts == ["owl", "cat", "cat", "owl"]
    texts.clear()
    box_sheet(samples, ["cat", "dog", "owl"], side=60, color_by="source")
    assert texts == ["owl", "cat"]
