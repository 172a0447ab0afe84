"""Learning curves: loss on the left, accuracy on the right.

matplotlib is imported when a curve is drawn, without pyplot, so no window system and no state of
a notebook's own figures is touched.
"""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from mixwell._errors import DataError
from mixwell.viz import style

Row = Mapping[str, Any]
History = Sequence[Row] | Mapping[str, Sequence[float]]
_PANELS = (("loss", "Loss"), ("acc", "Accuracy"))


def curves(history: History, *, width: int = 960, height: int = 360) -> Image.Image:
    """Loss and accuracy over the epochs.

    Every series whose name contains "loss" is drawn on the left, every one whose name contains
    "acc" on the right; the rest is left out. Values that are missing or not finite leave a gap.

    Args:
        history: one mapping for each epoch, or one sequence for each name. The x axis is the
            series "epoch" where there is one, else 1, 2, ...
        width: px.
        height: px.

    Returns:
        An RGB image.

    Raises:
        DataError: there is neither a loss nor an accuracy.
        ImportError: matplotlib is not installed.
    """
    series = as_series(history)
    panels = [(title, _matching(series, key)) for key, title in _PANELS]
    panels = [(title, found) for title, found in panels if found]
    if not panels:
        raise DataError(
            "curves needs a series whose name contains 'loss' or 'acc', got "
            f"{', '.join(map(repr, series)) or 'an empty history'}."
        )
    figure = _figure(width, height)
    for axes, (title, found) in zip(_axes(figure, len(panels)), panels, strict=True):
        _draw(axes, title, found, series.get("epoch"))
    figure.set_layout_engine("constrained", w_pad=0.25, h_pad=0.2)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, facecolor="white")
    return Image.open(buffer).convert("RGB")


class LiveCurves:
    """Curves that grow while a model trains: `live.update(epoch=1, train_loss=2.3, ...)`.

    In a notebook each update replaces the picture shown; elsewhere `image` keeps the latest.

    Attributes:
        history: the rows so far.
        image: the latest picture, None before the first update.
    """

    def __init__(self) -> None:
        """Start without rows."""
        self.history: list[dict[str, Any]] = []
        self.image: Image.Image | None = None
        self._handle: Any = None

    def update(self, row: Row | None = None, **values: float) -> Image.Image:
        """Add an epoch and draw.

        Args:
            row: the epoch's values by name; `values` are added to it.

        Returns:
            The new picture.
        """
        self.history.append({**(row or {}), **values})
        self.image = curves(self.history)
        self._show(self.image)
        return self.image

    def _show(self, image: Image.Image) -> None:
        if not _in_notebook():
            return
        from IPython.display import display  # type: ignore[import-not-found]

        if self._handle is None:
            self._handle = display(image, display_id=True)
        else:
            self._handle.update(image)


def _in_notebook() -> bool:
    """Whether IPython runs this process; it is never imported for the question."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and ipython.get_ipython() is not None


def as_series(history: History) -> dict[str, list[float]]:
    """The history as one list for each name, gaps as NaN; what is no number is left out."""
    if isinstance(history, Mapping):
        rows = {name: list(values) for name, values in history.items()}
    else:
        names = dict.fromkeys(name for row in history for name in row)
        rows = {name: [row.get(name) for row in history] for name in names}
    series = {name: [_number(value) for value in values] for name, values in rows.items()}
    return {name: values for name, values in series.items() if any(map(math.isfinite, values))}


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _matching(series: dict[str, list[float]], key: str) -> dict[str, list[float]]:
    return {name: values for name, values in series.items() if key in name.lower()}


def _figure(width: int, height: int) -> Any:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(
            "Curves need matplotlib, which is not installed. Run `pip install 'mixwell[train]'`."
        ) from None
    figure = Figure(figsize=(width / 100, height / 100))
    FigureCanvasAgg(figure)
    return figure


def _axes(figure: Any, count: int) -> list[Any]:
    return list(figure.subplots(1, count, squeeze=False)[0])


def _draw(axes: Any, title: str, found: dict[str, list[float]], epochs: list[float] | None) -> None:
    ink, faint, rule = (_hex(color) for color in (style.INK, style.FAINT, style.RULE))
    for i, (name, values) in enumerate(found.items()):
        x = (epochs or [])[: len(values)]
        x = x if len(x) == len(values) else list(range(1, len(values) + 1))
        one = len(values) == 1
        label = name.replace("_", " ")
        color = _hex(style.class_color(i))
        axes.plot(x, values, color=color, linewidth=1.8, marker="o" if one else "", label=label)
    axes.set_title(title, loc="left", fontsize=12, color=ink, pad=12)
    axes.set_xlabel("epoch", fontsize=9, color=faint)
    axes.grid(axis="y", color=rule, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=faint, labelsize=9, length=0)
    axes.xaxis.get_major_locator().set_params(integer=True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(rule)
    axes.legend(frameon=False, fontsize=9, labelcolor=ink, handlelength=1.4)


def _hex(color: style.Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
