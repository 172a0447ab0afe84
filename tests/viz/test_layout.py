"""Grids and enlarging: sizes, places, and pixels that stay what they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from mixwell import RenderError
from mixwell.viz import grid, style
from mixwell.viz.layout import as_pil, enlarged, joined


def flat(width: int, height: int, level: int = 100) -> Image.Image:
    return Image.new("RGB", (width, height), (level, level, level))


def test_grid_of_equal_images_has_the_size_of_its_parts() -> None:
    page = grid([flat(20, 10)] * 5, columns=3, pad=4)
    assert page.size == (3 * 20 + 4 * 4, 2 * 10 + 3 * 4)


def test_grid_places_images_row_by_row() -> None:
    page = np.asarray(grid([flat(6, 6, level) for level in (10, 20, 30)], columns=2, pad=2))
    assert [page[5, 5, 0], page[5, 13, 0], page[13, 5, 0]] == [10, 20, 30]
    assert (page[13, 13] == 255).all()


def test_grid_is_near_to_a_square_by_itself() -> None:
    assert grid([flat(8, 8)] * 9, pad=0).size == (24, 24)


def test_grid_centres_smaller_images() -> None:
    page = np.asarray(grid([flat(9, 9, 50), flat(3, 3, 70)], columns=1, pad=0))
    assert (page[12 - 2, 4] == 70).all() and (page[10, 0] == 255).all()


def test_captions_need_room_and_are_written() -> None:
    bare = grid([flat(80, 20)], pad=5)
    page = grid([flat(80, 20)], pad=5, captions=["a caption longer than the image is wide"])
    assert page.height > bare.height and page.width == bare.width
    assert np.asarray(page)[27:].min() < 200


@pytest.mark.parametrize(
    ("images", "options", "words"),
    [
        ([], {}, "at least one image"),
        ([flat(2, 2)], {"captions": []}, "one caption for each of 1"),
        ([flat(2, 2)], {"columns": -1}, "at least one column"),
        ([np.zeros((2, 2, 2, 2))], {}, r"\[H, W, C\], got \[2, 2, 2, 2\]"),
        ([torch.zeros(1, 3, 4, 4)], {}, r"\[C, H, W\]"),
        ([np.zeros((2, 2), np.int64)], {}, "got int64"),
        (["picture.png"], {}, "a PIL image, an array or a tensor"),
    ],
)
def test_what_is_no_picture_is_refused(images: list, options: dict, words: str) -> None:
    with pytest.raises(RenderError, match=words):
        grid(images, **options)


def test_all_forms_of_an_image_look_the_same() -> None:
    hwc = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    forms = [
        Image.fromarray(hwc),
        hwc,
        torch.from_numpy(hwc.transpose(2, 0, 1).copy()),
        hwc.astype(np.float32) / 255,
        hwc.astype(np.uint16) * 257,
    ]
    for form in forms:
        np.testing.assert_array_equal(np.asarray(as_pil(form)), hwc)


def test_one_channel_is_grey() -> None:
    image = np.asarray(as_pil(np.full((3, 4, 1), 9, np.uint8)))
    assert image.shape == (3, 4, 3) and (image == 9).all()


@pytest.mark.parametrize(("side", "factor"), [(8, 16), (32, 4), (50, 2)])
def test_small_images_grow_pixel_by_pixel(side: int, factor: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)
    shown = np.asarray(enlarged(Image.fromarray(pixels), 128))
    np.testing.assert_array_equal(shown, pixels.repeat(factor, 0).repeat(factor, 1))


def test_large_images_are_fitted_and_those_between_left() -> None:
    assert enlarged(flat(400, 100), 128).size == (128, 32)
    assert enlarged(flat(1000, 1), 128).size == (128, 1)
    assert enlarged(flat(100, 90), 128).size == (100, 90)


def test_joined_stacks_flush_left() -> None:
    page = joined([flat(4, 2), flat(8, 3)], gap=1)
    assert page.size == (8, 6)


def test_long_text_is_wrapped_and_cut() -> None:
    lines = style.wrapped("one two three four five six seven", 11, 60, 2)
    assert len(lines) == 2 and lines[1].endswith("…")
    assert all(style.text_width(line, 11) <= 60 for line in lines)
    assert style.wrapped("", 11, 60, 2) == []
