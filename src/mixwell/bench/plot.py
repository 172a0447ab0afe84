"""The plot of a report: a bar for each opponent, images a second, quartiles as a line."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from mixwell.bench.result import OURS, CaseResult, Report, Row

_INK, _FAINT, _RULE = "#333333", "#737373", "#dedede"
_OURS, _OTHERS = "#0072b2", "#b9bec6"
_MOST = 24
"""Cases in one picture; the rest is in the tables."""

_PICTURES: dict[str, Callable[[CaseResult], int]] = {
    "ms/image": lambda case: 1,
    "ms/batch": lambda case: case.batch,
}
"""Images behind a time, by unit."""


def plot(report: Report) -> bytes:
    """Every case in its widest condition.

    Returns:
        A PNG file's bytes.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(
            "The plot needs matplotlib, which is not installed. Run `pip install 'mixwell[train]'`."
        ) from None
    cases = [c for c in report.cases if c.unit in _PICTURES and c.conditions][:_MOST]
    sizes = [max(1, len(_timed(case))) for case in cases] or [1]
    figure = Figure(figsize=(8.6, 0.9 + sum(0.3 * n + 0.62 for n in sizes)), dpi=150)
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(sizes), 1, squeeze=False, gridspec_kw={"height_ratios": sizes})
    for axes, case in zip(grid[:, 0], cases, strict=False):
        _draw(axes, case)
    if not cases:
        grid[0, 0].set_axis_off()
    figure.tight_layout()
    data = io.BytesIO()
    figure.savefig(data, format="png", facecolor="white")
    return data.getvalue()


def _timed(case: CaseResult) -> list[Row]:
    return [row for row in case.rows if row.at(*case.conditions[-1])]


def _draw(axes: Any, case: CaseResult) -> None:
    threads, mixing = case.conditions[-1]
    rows = _timed(case)
    for y, row in enumerate(rows):
        times = row.at(threads, mixing)
        assert times is not None
        images = 1e3 * _PICTURES[case.unit](case)
        low, high = (images / v for v in times.quartiles)
        rate = images / times.median
        axes.barh(y, rate, color=_OURS if row.opponent == OURS else _OTHERS, height=0.62)
        axes.plot((low, high), (y, y), color=_INK, linewidth=1.4)
        ratio = case.ratio(row, threads, mixing)
        beside = "" if ratio is None or row.opponent == OURS else f"  ({1 / ratio:.2f}× mixwell)"
        axes.annotate(
            f"{rate:,.0f}{beside}",
            (max(rate, low), y),
            (5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=_INK,
        )
    names = [f"{row.opponent}\n({row.label})" if row.label else row.opponent for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.invert_yaxis()
    _dress(axes, _title(case, threads, mixing))


def _title(case: CaseResult, threads: int, mixing: bool | None) -> str:
    name = case.suite if case.name == case.suite else f"{case.suite}: {case.name}"
    width = "1 thread" if threads == 1 else f"{threads} threads or workers"
    width = width if threads else "batches on the device"
    how = {None: "", True: ", with mixing", False: ", without mixing"}[mixing]
    rehearsal = " (a rehearsal on the CPU)" if "rehearsal" in case.facts else ""
    return f"{name}: images a second, {width}{how}{rehearsal}"


def _dress(axes: Any, title: str) -> None:
    axes.set_title(title, loc="left", color=_INK, fontsize=9.5)
    axes.margins(x=0.4)
    axes.set_xlim(left=0)
    axes.grid(axis="x", color=_RULE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, length=0, labelsize=8.5)
    axes.tick_params(axis="x", colors=_FAINT)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
