"""The plot of a comparison: every seed a dot, the mean a bar, its interval a line."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from mixwell.recipes.stats import verdict

if TYPE_CHECKING:
    from mixwell.recipes.compare import Comparison

# Okabe and Ito's blue, vermilion and grey: told apart with every common form of colour blindness.
_LIGHT = {"ink": "#333333", "faint": "#737373", "rule": "#dedede", "paper": "#ffffff"}
_DARK = {"ink": "#e6e6e6", "faint": "#a0a0a0", "rule": "#3a3f47", "paper": "#16191e"}
_COLORS = {"better": "#0072b2", "worse": "#d55e00"}
_DARK_COLORS = {"better": "#56b4e9", "worse": "#e8833a"}


def plot(comparison: Comparison, *, dark: bool = False) -> bytes:
    """Test accuracy of every run, and differences from the baseline with their intervals.

    Args:
        comparison: with at least one finished run.
        dark: light ink on a dark page.

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
    look = _DARK if dark else _LIGHT
    count = len(comparison.summaries)
    figure = Figure(figsize=(9.6, 1.5 + 0.42 * count), dpi=160, facecolor=look["paper"])
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes in (left, right):
        _dress(axes, look)
    _accuracies(left, comparison, look)
    _differences(right, comparison, look, _DARK_COLORS if dark else _COLORS)
    left.set_yticks(range(count), [summary.policy for summary in comparison.summaries])
    left.set_ylim(count - 0.5, -0.5)
    figure.tight_layout(w_pad=2.5)
    data = io.BytesIO()
    figure.savefig(data, format="png", facecolor=look["paper"])
    return data.getvalue()


def _accuracies(axes: Any, comparison: Comparison, look: dict[str, str]) -> None:
    for y, summary in enumerate(comparison.summaries):
        runs = [r["test_accuracy"] for r in comparison.rows if r["policy"] == summary.policy]
        if summary.test.low is not None and summary.test.high is not None:
            ends = (100 * summary.test.low, 100 * summary.test.high)
            axes.plot(ends, (y, y), color=look["rule"], linewidth=5, solid_capstyle="round")
        axes.scatter([100 * v for v in runs], [y] * len(runs), s=26, color=look["faint"], zorder=3)
        axes.scatter([100 * summary.test.mean], [y], s=190, marker="|", color=look["ink"], zorder=4)
    axes.set_title("Clean test accuracy, %", loc="left", color=look["ink"], fontsize=10.5)
    seeds = len({row["seed"] for row in comparison.rows})
    axes.set_xlabel(
        f"dots: seeds (n = {seeds}), tick: mean, band: 95 % interval of it"
        if seeds > 1
        else "one seed: no interval"
    )


def _differences(
    axes: Any, comparison: Comparison, look: dict[str, str], colors: dict[str, str]
) -> None:
    axes.axvline(0, color=look["faint"], linewidth=1)
    for y, summary in enumerate(comparison.summaries):
        difference = summary.difference
        if difference is None:
            axes.text(
                0,
                y,
                " baseline " if summary.policy == comparison.baseline else " none ",
                va="center",
                color=look["faint"],
                fontsize=9,
                backgroundcolor=look["paper"],
                ha="center",
            )
            continue
        color = colors.get(verdict(difference), look["faint"])
        if difference.low is not None and difference.high is not None:
            ends = (100 * difference.low, 100 * difference.high)
            axes.plot(ends, (y, y), color=color, linewidth=2, solid_capstyle="round")
        axes.scatter([100 * difference.mean], [y], s=46, color=color, zorder=3)
    axes.set_title(
        f"Difference from {comparison.baseline}, points",
        loc="left",
        color=look["ink"],
        fontsize=10.5,
    )
    axes.set_xlabel("grey: interval includes zero, or none")


def _dress(axes: Any, look: dict[str, str]) -> None:
    axes.set_facecolor(look["paper"])
    axes.grid(axis="x", color=look["rule"], linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=look["ink"], length=0, labelsize=9.5)
    axes.xaxis.label.set_color(look["faint"])
    axes.xaxis.label.set_fontsize(8.5)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
