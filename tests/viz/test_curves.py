"""Curves: what is drawn, where, and how a notebook sees them grow."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from mixwell import DataError
from mixwell.viz import LiveCurves, curves, style
from mixwell.viz.curves import as_series

ROWS = [
    {"epoch": e, "train_loss": 2.0 / e, "test_accuracy": 1 - 0.5 / e, "order": "ab12"}
    for e in range(1, 6)
]


@pytest.fixture(autouse=True)
def _matplotlib() -> None:
    pytest.importorskip("matplotlib", reason="no matplotlib: unproven here: curves are drawn")


def has_color(page: np.ndarray, color: tuple[int, ...]) -> bool:
    return bool((page == color).all(axis=-1).any())


def test_size_is_as_asked() -> None:
    assert curves(ROWS, width=700, height=300).size == (700, 300)


def test_loss_is_left_and_accuracy_right() -> None:
    both = np.asarray(curves(ROWS))
    half = both.shape[1] // 2
    assert has_color(both[:, :half], style.BLUE) and has_color(both[:, half:], style.BLUE)
    only = np.asarray(curves([{"train_loss": row["train_loss"]} for row in ROWS]))
    assert has_color(only, style.BLUE)


def test_rows_and_columns_draw_the_same() -> None:
    columns = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    np.testing.assert_array_equal(np.asarray(curves(ROWS)), np.asarray(curves(columns)))


def test_gaps_are_gaps_and_words_are_left_out() -> None:
    series = as_series([{"loss": 1.0, "order": "ab"}, {"loss": None}, {"loss": float("inf")}])
    assert list(series) == ["loss"] and series["loss"][0] == 1.0 and np.isnan(series["loss"][1])


def test_one_epoch_can_be_seen() -> None:
    assert has_color(np.asarray(curves(ROWS[:1])), style.BLUE)


@pytest.mark.parametrize("history", [[], [{"epoch": 1}], {"lr": [0.1]}])
def test_nothing_to_draw_is_refused(history: object) -> None:
    with pytest.raises(DataError, match="'loss' or 'acc'"):
        curves(history)  # type: ignore[arg-type]


def test_pyplot_is_not_touched() -> None:
    before = "matplotlib.pyplot" in sys.modules
    curves(ROWS)
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_missing_matplotlib_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'mixwell\[train\]'"):
        curves(ROWS)


def test_live_curves_keep_the_latest_outside_notebooks() -> None:
    live = LiveCurves()
    assert live.image is None
    for row in ROWS:
        live.update(row)
    assert live.image is not None
    np.testing.assert_array_equal(np.asarray(live.image), np.asarray(curves(ROWS)))


def test_live_curves_replace_the_picture_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[str, object]] = []
    handle = types.SimpleNamespace(update=lambda image: shown.append(("update", image)))

    def display(image: object, display_id: bool) -> object:
        shown.append(("display", image))
        return handle

    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: object()  # type: ignore[attr-defined]
    module = types.ModuleType("IPython.display")
    module.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    live = LiveCurves()
    live.update(train_loss=1.0)
    live.update(train_loss=0.5)
    assert [what for what, _ in shown] == ["display", "update"]
    assert shown[-1][1] is live.image
