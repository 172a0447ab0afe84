"""The label bar, measured: painted lengths are the shares."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mixwell import TargetError
from mixwell.viz import label_bar, style
from mixwell.viz.bars import BAR, percent

RED, BLUE, GREEN = (200, 0, 0), (0, 0, 200), (0, 160, 0)


def painted(bar: Image.Image) -> dict[tuple[int, ...], int]:
    """Pixels of each colour in the bar's middle row."""
    row = np.asarray(bar)[BAR // 2]
    colors, counts = np.unique(row, axis=0, return_counts=True)
    return {tuple(int(v) for v in c): int(n) for c, n in zip(colors, counts, strict=True)}


@pytest.mark.parametrize("width", [100, 160, 400])
def test_whole_percentages_are_painted_exactly(width: int) -> None:
    bar = label_bar(width, [0.25, 0.45, 0.3], ["a", "b", "c"], [RED, BLUE, GREEN])
    assert bar.width == width
    assert painted(bar) == {
        RED: width * 25 // 100,
        BLUE: width * 45 // 100,
        GREEN: width * 30 // 100,
    }


@pytest.mark.parametrize("seed", range(5))
def test_any_shares_are_painted_to_the_pixel_and_fill_the_bar(seed: int) -> None:
    shares = np.random.default_rng(seed).dirichlet(np.ones(6))
    colors = [style.class_color(i) for i in range(6)]
    found = painted(label_bar(173, shares, list("abcdef"), colors))
    lengths = np.array([found.get(color, 0) for color in colors])
    assert lengths.sum() == 173
    assert np.abs(lengths - 173 * shares).max() < 1


def test_bar_runs_in_the_given_order() -> None:
    row = np.asarray(label_bar(10, [0.3, 0.7], ["a", "b"], [RED, BLUE]))[0]
    assert [tuple(map(int, p)) for p in row] == [RED] * 3 + [BLUE] * 7


def test_what_is_missing_to_one_stays_pale() -> None:
    assert painted(label_bar(100, [0.4], ["a"], [RED])) == {RED: 40, style.RULE: 60}


def test_share_of_zero_gets_neither_colour_nor_line() -> None:
    bar = label_bar(100, [1.0, 0.0], ["a", "b"], [RED, BLUE])
    assert bar.size == label_bar(100, [1.0], ["a"], [RED]).size
    assert BLUE not in {tuple(map(int, p)) for p in np.asarray(bar).reshape(-1, 3)}


def test_asked_for_lines_make_bars_of_one_height() -> None:
    one = label_bar(120, [1.0], ["a"], lines=2)
    two = label_bar(120, [0.5, 0.5], ["a", "b"], lines=2)
    many = label_bar(120, [0.125] * 8, list("abcdefgh"), lines=2)
    assert one.size == two.size == many.size


def test_legend_carries_each_part_s_colour() -> None:
    below = np.asarray(label_bar(120, [0.5, 0.5], ["a", "b"], [RED, BLUE]))[BAR + 1 :]
    colors = {tuple(map(int, p)) for p in below.reshape(-1, 3)}
    assert {RED, BLUE} <= colors


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0, "0"),
        (1.0, "100"),
        (0.637, "64"),
        (0.003, "0.3"),
        (0.9971, "99.7"),
        (1e-5, "<0.1"),
        (1 - 1e-5, ">99.9"),
    ],
)
def test_percentages_never_hide_a_part(share: float, words: str) -> None:
    assert percent(share) == words


@pytest.mark.parametrize("name", ["Äpfel und Öl", "猫", "a" * 300, ""])
def test_any_name_can_be_written(name: str) -> None:
    assert label_bar(90, [1.0], [name]).width == 90


@pytest.mark.parametrize("shares", [[0.7, 0.7], [-0.1, 0.5]])
def test_impossible_shares_are_refused(shares: list[float]) -> None:
    with pytest.raises(TargetError, match=r"0 \.\. 1 that sum to at most 1"):
        label_bar(100, shares, ["a", "b"])


def test_names_must_match_shares() -> None:
    with pytest.raises(TargetError, match="2 shares, 1 names"):
        label_bar(100, [0.5, 0.5], ["a"])


def test_palette_colours_differ_and_stay_visible_on_white() -> None:
    colors = [style.class_color(i) for i in range(18)]
    assert len(set(colors)) == 18
    assert all(min(color) < 235 for color in colors)
