"""Masks from outlines and runs: scalar loops, and values recorded from pycocotools 2.0.11."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mixwell import DataError
from mixwell.recipes.detection.data.segments import (
    Outlines,
    Runs,
    mask_of,
    mask_of_runs,
    runs_of_mask,
    runs_of_text,
    text_of_runs,
)
from tests.oracles import outlines as oracle

# (height, width, rows of the mask one behind the other, compressed counts), by pycocotools.
ENCODED = [
    (5, 7, "11001111011010001001101100101011001", "02200O03OM1122MM0000"),
    (1, 1, "1", "01"),
    (1, 1, "0", "1"),
    (6, 4, "0" * 24, "h0"),
    (6, 4, "1" * 24, "0h0"),
]

# A 40 x 50 ellipse with a notch: 871 pixels.
ELLIPSE = (
    "g;;k04L4L4M2N2N2N2O0O2O0O2O[O11OO11N021MO31MO31MO31MO31NN21OO11OO110N011OO12NN13b01N2N2N2N3L4L"
    "4Lc9"
)

# Outlines on 48 rows x 64 columns, with the runs that pycocotools' frPyObjects makes of them.
RASTERED = [
    (
        [10.3, 5.2, 40.7, 8.1, 35.5, 30.9, 12.2, 28.4],
        "U?1_1=C9G10O0000000000000001O01O00000000000001O0001O000L4L4K5L4K]R1",
    ),
    ([2, 3, 20, 3, 20, 17, 2, 17], "S3>R1000000000000000000000000000000000mQ2"),
    (
        [5.5, 5.5, 30.2, 40.1, 50.9, 6.3, 20.1, 20.2],
        "V91`1001O00001O001O00001O001O000O2M2O2M2O1N3N1N3N1O1NO2N101N1O2O0O2O1N1O2O0O2N101N101N1O2Oj"
        "d0",
    ),
]

MASKS = npst.arrays(
    np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 1])
)
POINTS = st.lists(
    st.tuples(*[st.floats(-3, 12, width=32)] * 2) | st.tuples(*[st.integers(-2, 11)] * 2),
    min_size=3,
    max_size=7,
)


def outline(points) -> Outlines:
    return Outlines((np.array(points, np.float64).reshape(-1, 2),))


@pytest.mark.parametrize(("height", "width", "bits", "text"), ENCODED)
def test_runs_are_those_of_pycocotools(height: int, width: int, bits: str, text: str):
    mask = np.array([int(bit) for bit in bits], np.uint8).reshape(height, width)
    assert text_of_runs(runs_of_mask(mask)) == text
    decoded = mask_of(Runs(text, (height, width)), (height, width))
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, mask)


def test_a_recorded_ellipse_has_its_pixels():
    mask = mask_of(Runs(ELLIPSE, (40, 50)), (40, 50))
    assert mask.sum() == 871 and mask[0].sum() == 0 and mask[20].sum() < mask[10].sum()
    assert text_of_runs(runs_of_mask(mask)) == ELLIPSE


@given(MASKS)
def test_runs_agree_with_the_loops(mask: np.ndarray):
    height, width = mask.shape
    counts = runs_of_mask(mask)
    assert oracle.columns_of_counts(counts, height, width) == mask.tolist()
    assert oracle.counts_of_letters(text_of_runs(counts)) == counts
    assert np.array_equal(mask_of_runs(counts, (height, width)), mask)


@given(st.lists(st.integers(0, 2**33), max_size=12))
def test_compressed_counts_come_back(counts: list[int]):
    text = text_of_runs(counts)
    assert oracle.counts_of_letters(text) == counts
    assert runs_of_text(text) == counts


@given(POINTS, st.integers(1, 9), st.integers(1, 9))
def test_outlines_agree_with_the_loops(points, height: int, width: int):
    made = mask_of(outline(points), (height, width))
    wanted = oracle.filled([(float(x), float(y)) for x, y in points], height, width)
    assert made.tolist() == wanted


def test_an_outline_along_pixel_edges_is_its_rectangle():
    made = mask_of(outline([2, 1, 6, 1, 6, 4, 2, 4]), (6, 8))
    wanted = np.zeros((6, 8), np.uint8)
    wanted[1:4, 2:6] = 1
    assert np.array_equal(made, wanted)


def test_neighbours_share_no_pixel_and_leave_none():
    one, other = outline([0, 0, 3.5, 0, 3.5, 5, 0, 5]), outline([3.5, 0, 8, 0, 8, 5, 3.5, 5])
    assert (mask_of(one, (5, 8)) + mask_of(other, (5, 8)) == 1).all()


def test_outlines_of_one_object_are_united():
    square = np.array([[0, 0], [4, 0], [4, 4], [0, 4]], np.float64)
    assert mask_of(Outlines((square, square + 2)), (8, 8)).sum() == 16 + 16 - 4


@pytest.mark.parametrize(("points", "text"), RASTERED)
def test_outlines_are_close_to_pycocotools(points: list[float], text: str):
    """Its outlines are walked on a grid five times finer: borders differ by single pixels."""
    made = mask_of(outline(points), (48, 64)).astype(bool)
    theirs = np.array(oracle.columns_of_counts(oracle.counts_of_letters(text), 48, 64), bool)
    assert (made & theirs).sum() / (made | theirs).sum() > 0.95


@pytest.mark.parametrize(
    ("segment", "words"),
    [
        (Runs([2, 2], (2, 2)), r"size of their image, \[2, 3\], got \[2, 2\]"),
        (Runs([2, 3], (2, 3)), "add up to 6, got a sum of 5"),
        (Runs([8, -2], (2, 3)), "lowest count of -2"),
        (Runs([], (2, 3)), "got a sum of 0"),
        (Runs("6p", (2, 3)), "letters '0' to 'o', got 'p'"),
        (Runs("6 ", (2, 3)), "letters '0' to 'o', got ' '"),
        (Runs("6o", (2, 3)), "cut short"),
    ],
)
def test_damaged_runs_are_refused(segment: Runs, words: str):
    with pytest.raises(DataError, match=words):
        mask_of(segment, (2, 3))
