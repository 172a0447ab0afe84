"""Tables: composing them, and moving histograms through them instead of looking again."""

from __future__ import annotations

import numpy as np
import pytest

from mixwell.plan.steps import Code
from mixwell.render import tables
from mixwell.render.reference.tone import apply_table, histogram
from tests.render.samples import apply, assert_same, photos

RUN = [
    (Code.BRIGHTNESS, 1.4),
    (Code.CONTRAST, 0.6),
    (Code.POSTERIZE, 5),
    (Code.AUTOCONTRAST, 0),
    (Code.SOLARIZE, 140),
    (Code.EQUALIZE, 0),
    (Code.INVERT, 0),
    (Code.CONTRAST, 1.8),
]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_run_of_tables_is_one_table_and_needs_one_histogram(channels):
    images = photos()[:, :channels]
    hist = histogram(images)
    run = np.broadcast_to(np.arange(256, dtype=np.uint8), (len(images), channels, 256))
    stepwise = images
    for code, value in RUN:
        param = np.full((len(images), 12), float(value))
        made = tables.table(code, param, hist)
        run, hist = tables.compose(run, made), tables.push_forward(hist, made)
        stepwise = apply(code, stepwise, value)
        np.testing.assert_array_equal(hist, histogram(stepwise))
    assert_same(apply_table(images, run), stepwise)


def test_push_forward_adds_levels_that_meet():
    hist = np.zeros((1, 1, 256), np.int64)
    hist[0, 0, [3, 4, 200]] = 5, 7, 11
    moved = tables.push_forward(hist, tables.posterize(np.array([1.0])))
    assert moved.sum() == 23 and moved[0, 0, 0] == 12 and moved[0, 0, 128] == 11


def test_compose_is_first_then_second():
    up = np.minimum(np.arange(256) + 10, 255).astype(np.uint8)[None, None]
    turned = tables.compose(up, tables.invert(1))
    assert turned[0, 0, 5] == 240 and tables.compose(tables.invert(1), up)[0, 0, 5] == 255


def test_contrast_pivot_of_the_largest_image_does_not_overflow():
    hist = np.zeros((1, 3, 256), np.int64)
    hist[..., 255] = 65535**2
    assert tables.contrast_pivot(hist).tolist() == [255]


@pytest.mark.parametrize("code", [Code.AUTOCONTRAST, Code.EQUALIZE])
def test_a_channel_without_pixels_keeps_its_levels(code):
    made = tables.table(code, np.zeros((1, 12)), np.zeros((1, 1, 256), np.int64))
    np.testing.assert_array_equal(made[0, 0], np.arange(256))
