"""The losses of a stylised picture over its steps."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

# Okabe and Ito's colours: told apart with every common form of colour blindness.
_COLORS = {"total": "#333333", "content": "#0072b2", "style": "#d55e00", "tv": "#009e73"}
_FAINT, _RULE = "#737373", "#dedede"


def plot(rows: Sequence[dict[str, Any]]) -> bytes:
    """Weighted losses, and their sum, on a logarithmic axis; a line where a scale begins.

    Args:
        rows: of at least one step, with "width", "height" and the losses.

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
            "The curves need matplotlib, which is not installed. "
            "Run `pip install 'mixwell[train]'`."
        ) from None
    figure = Figure(figsize=(8.0, 3.6), dpi=120, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    steps = list(range(1, len(rows) + 1))
    for name, color in _COLORS.items():
        values = [max(row[name], 0.0) for row in rows]
        shown = [value if value > 0 else float("nan") for value in values]
        if any(value > 0 for value in values):
            marker = "o" if len(rows) == 1 else ""
            axes.plot(steps, shown, color=color, linewidth=1.6, label=name, marker=marker)
            axes.set_yscale("log")
    for i, row in enumerate(rows):
        if i == 0 or row["scale"] != rows[i - 1]["scale"]:
            axes.axvline(steps[i], color=_RULE, linewidth=1, zorder=0)
            axes.annotate(
                f" {row['width']} × {row['height']} px",
                (steps[i], 1.0),
                xycoords=("data", "axes fraction"),
                va="top",
                fontsize=8,
                color=_FAINT,
            )
    axes.set_xlabel("step", color=_FAINT, fontsize=9)
    axes.set_title("Weighted losses", loc="left", fontsize=11)
    axes.tick_params(colors=_FAINT, labelsize=8, which="both")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9, loc="upper right", ncols=4)
    figure.tight_layout()
    data = io.BytesIO()
    figure.savefig(data, format="png")
    return data.getvalue()
