"""Anchors of a feature map."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mixwell import TargetError
from mixwell.anchors import anchors
from tests.oracles import anchors as oracle

POSITIVE = st.lists(st.floats(0.05, 4), min_size=1, max_size=4)


def test_the_known_anchor():
    """On an image of 561 x 728, the first box around row 250, column 250."""
    found = anchors((561, 728), (0.75, 0.5, 0.25), (1, 2, 0.5))
    assert found.shape == (561 * 728 * 5, 4)
    first = found.reshape(561, 728, 5, 4)[250, 250, 0]
    assert [round(v, 2) for v in first.tolist()] == [0.06, 0.07, 0.63, 0.82]


def test_a_square_size_is_square_in_pixels():
    """Ratio 1 on a map that is not square: the aspect is in the fractions."""
    found = anchors((30, 60), (0.5,))[0] * torch.tensor([60, 30, 60, 30])
    assert (found[2] - found[0]).item() == pytest.approx(15)
    assert (found[3] - found[1]).item() == pytest.approx(15)


@given(st.integers(1, 4), st.integers(1, 4), POSITIVE, POSITIVE)
def test_anchors_equal_the_oracle(height, width, sizes, ratios):
    found = anchors((height, width), sizes, ratios, dtype=torch.float64)
    expected = torch.tensor(oracle.anchors(height, width, sizes, ratios), dtype=torch.float64)
    assert len(found) == height * width * (len(sizes) + len(ratios) - 1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


def test_the_image_may_have_another_aspect_than_the_map():
    found = anchors((2, 3), (0.5,), (1.0, 2.0), image_hw=(375, 500), dtype=torch.float64)
    expected = oracle.anchors(2, 3, (0.5,), (1.0, 2.0), aspect=375 / 500)
    torch.testing.assert_close(
        found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-14
    )


@pytest.mark.parametrize("size", [(0, 0), (0, 3), (3, 0)])
def test_an_empty_map_has_no_anchors(size):
    assert anchors(size, (0.5, 0.2)).shape == (0, 4)


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (((2, 2), ()), {}, "sizes must be numbers above 0, at least one"),
        (((2, 2), (0.5, -1)), {}, "sizes must be"),
        (((2, 2), (0.5,), (0.0,)), {}, "ratios must be"),
        (((2, 2), (float("inf"),)), {}, "sizes must be"),
        (((2, -2), (0.5,)), {}, r"size_hw must be \(height, width\)"),
        (((2, 2), (0.5,)), {"image_hw": (0, 2)}, "image_hw must be"),
        (((2, 2), (0.5,)), {"dtype": torch.float16}, "float32 or float64, got torch.float16"),
    ],
)
def test_what_makes_no_anchors_is_refused(arguments, options, words):
    with pytest.raises(TargetError, match=words):
        anchors(*arguments, **options)
