"""Contact sheets: the pictures are the plan's, and the bars its labels."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import mixwell as mw
from mixwell.viz import sheet, style
from mixwell.viz.bars import BAR
from mixwell.viz.samples import draw_samples
from mixwell.viz.sheet import CELL, soft_label

FLIP = mw.Policy(mw.HorizontalFlip(p=1.0))
MIX = mw.Policy(mw.MixUp(alpha=1.0))
TOP = style.MARGIN + 2 * style.line_height(style.BODY) + style.GAP


def images(count: int = 3, side: int = 8, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return list(rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8))


def column_left(column: int) -> int:
    return style.MARGIN + column * (CELL + style.GAP) + (style.GAP if column else 0)


def top_picture(page: Image.Image, column: int, side: int = 8) -> np.ndarray:
    """The picture in the first row, one pixel for each of the image's."""
    left, step = column_left(column), CELL // side
    shown = np.asarray(page)[TOP : TOP + CELL, left : left + CELL]
    return shown[step // 2 :: step, step // 2 :: step]


def top_bar(page: Image.Image, column: int) -> list[tuple[int, ...]]:
    left, y = column_left(column), TOP + CELL + 6 + BAR // 2
    return [tuple(map(int, p)) for p in np.asarray(page)[y, left : left + CELL]]


def test_input_stands_first_and_outputs_are_what_the_policy_makes() -> None:
    inputs = images()
    page = sheet(FLIP, inputs, copies=2)
    np.testing.assert_array_equal(top_picture(page, 0), inputs[0])
    np.testing.assert_array_equal(top_picture(page, 1), inputs[0][:, ::-1])
    np.testing.assert_array_equal(top_picture(page, 2), inputs[0][:, ::-1])


def test_output_pixels_are_those_of_the_plan() -> None:
    inputs = images()
    page = sheet(MIX, inputs, copies=2, seed=5, epoch=1)
    index = np.arange(3)
    for copy in range(2):
        keys = mw.Keys(index=index, copy=np.full(3, copy), epoch=1, step=copy)
        plan = MIX.sample(np.full((3, 2), 8), keys=keys, seed=5)
        np.testing.assert_array_equal(
            top_picture(page, copy + 1), np.asarray(mw.render(inputs, plan)[0])
        )


def test_bar_is_the_label_of_the_plan() -> None:
    page = sheet(MIX, images(), copies=1)
    samples = draw_samples(MIX, images(), copies=1)
    label = soft_label(samples.plans[0], 0, ["0", "1", "2"])
    row = top_bar(page, 1)
    for name, share in label.items():
        painted = row.count(style.class_color(int(name)))
        assert painted == pytest.approx(share * CELL, abs=1)
    assert len(label) == 2


def test_partners_of_one_class_share_a_label() -> None:
    page = sheet(MIX, images(2), labels=[4, 4], copies=1)
    assert top_bar(page, 1) == [style.class_color(0)] * CELL


def test_size_grows_with_images_and_copies() -> None:
    one, more = sheet(FLIP, images(1), copies=1), sheet(FLIP, images(3), copies=4)
    assert more.width == one.width + 3 * (CELL + style.GAP)
    assert more.height > 2 * one.height


def test_words_need_room_and_say_what_is_done() -> None:
    assert sheet(FLIP, images(1), words=True).height > sheet(FLIP, images(1)).height


def test_same_seed_same_sheet_other_seed_other_sheet() -> None:
    def pixels(seed: int) -> np.ndarray:
        return np.asarray(sheet(MIX, images(), seed=seed, copies=1))

    np.testing.assert_array_equal(pixels(1), pixels(1))
    assert (pixels(1) != pixels(2)).any()


def test_inputs_stay_as_they_are() -> None:
    inputs = images()
    before = [image.copy() for image in inputs]
    sheet(MIX, inputs, copies=1)
    np.testing.assert_array_equal(inputs, before)


def test_images_of_different_sizes_and_outputs_of_different_sizes() -> None:
    inputs = [np.zeros((40, 20, 3), np.uint8), np.zeros((17, 300, 3), np.uint8)]
    policy = mw.Policy(mw.Pad(3))
    samples = draw_samples(policy, inputs, copies=1)
    assert [image.shape[:2] for image in samples.outputs[0]] == [(46, 26), (23, 306)]
    assert sheet(policy, inputs, copies=1).size == sheet(policy, images(2), copies=1).size


def test_size_brings_all_images_to_one_square() -> None:
    inputs = [np.zeros((40, 20, 3), np.uint8), np.zeros((17, 300, 3), np.uint8)]
    assert {x.shape for x in draw_samples(MIX, inputs, size=12).inputs} == {(12, 12, 3)}


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"labels": [0]}, mw.TargetError, "one label for each of 3 images, got 1"),
        ({"labels": [0, 1, 2], "classes": ["a", "b"]}, mw.TargetError, r"0 \.\. 1"),
        ({"copies": 0}, mw.RenderError, "copies of at least 1"),
        ({"size": 0}, mw.RenderError, "size of at least 1"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        sheet(FLIP, images(3), **options)


def test_no_images_are_refused() -> None:
    with pytest.raises(mw.RenderError, match="at least one image"):
        sheet(FLIP, [])
