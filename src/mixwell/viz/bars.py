"""The label bar: a soft label as lengths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from mixwell._errors import TargetError
from mixwell.viz import style

BAR = 8
"""Height of the painted bar, px."""
_DOT = 7  # px; the coloured square before a name


def label_bar(
    width: int,
    shares: Sequence[float] | np.ndarray,
    names: Sequence[str],
    colors: Sequence[style.Color] | None = None,
    *,
    lines: int | None = None,
) -> Image.Image:
    """A horizontal bar divided by label shares, with each name and its percentage underneath.

    The painted lengths are the shares, rounded to whole pixels so that they add up to `width`;
    what the shares lack to 1 stays pale. Shares of 0 are left out.

    Args:
        width: px.
        shares: parts of the label, each 0 .. 1, in the order of `names`.
        names: what each part is.
        colors: one RGB colour for each part; the palette's in order when None is given.
        lines: height of the legend in lines, for bars that must align; as many as needed when None
            is given. Where there are more parts, the last line counts the rest.

    Returns:
        An RGB image, `width` px wide.

    Raises:
        TargetError: a share lies outside 0 .. 1, shares sum to more than 1, or shares, names and
            colours differ in number.
    """
    shares = np.asarray(shares, np.float64)
    colors = [style.class_color(i) for i in range(len(shares))] if colors is None else list(colors)
    if not len(shares) == len(names) == len(colors):
        raise TargetError(
            "label_bar needs as many names and colours as shares, got "
            f"{len(shares)} shares, {len(names)} names and {len(colors)} colours."
        )
    if shares.size and (shares.min() < 0 or shares.sum() > 1 + 1e-6):
        raise TargetError(
            f"label_bar needs shares in 0 .. 1 that sum to at most 1, got {shares.tolist()}."
        )
    shown = [i for i in range(len(shares)) if shares[i] > 0]
    parts = [(names[i], float(shares[i]), colors[i]) for i in shown]
    lines = len(parts) if lines is None else lines
    step = style.line_height(style.SMALL)
    page = Image.new("RGB", (width, BAR + (5 + step * lines if lines else 0)), style.PAPER)
    _paint(page, shares[shown], [color for _, _, color in parts])
    _legend(page, parts, lines, step)
    return page


def cuts(width: int, shares: np.ndarray) -> np.ndarray:
    """int64 [n + 1]: where a bar of `width` px is cut, so that lengths are the shares."""
    ends = np.concatenate([[0.0], np.cumsum(shares)])
    return np.rint(np.clip(ends, 0, 1) * width).astype(np.int64)


def _paint(page: Image.Image, shares: np.ndarray, colors: list[style.Color]) -> None:
    page.paste(style.RULE, (0, 0, page.width, BAR))
    edges = cuts(page.width, shares).tolist()
    for color, start, stop in zip(colors, edges[:-1], edges[1:], strict=True):
        if stop > start:
            page.paste(color, (start, 0, stop, BAR))


def _legend(
    page: Image.Image, parts: list[tuple[str, float, style.Color]], lines: int, step: int
) -> None:
    """Names in the bar's order; where they are too many, the largest and the sum of the rest."""
    rest: list[tuple[str, float, style.Color]] = []
    if len(parts) > lines:
        ranked = sorted(parts, key=lambda part: -part[1])
        parts, rest = ranked[: max(lines - 1, 0)], ranked[max(lines - 1, 0) :]
    if rest and lines:
        parts.append((f"{len(rest)} more", sum(part[1] for part in rest), style.RULE))
    for line, part in enumerate(parts):
        _legend_line(page, BAR + 5 + line * step, *part)


def _legend_line(page: Image.Image, y: int, name: str, share: float, color: style.Color) -> None:
    number, left = f"{percent(share)} %", _DOT + 5
    room = page.width - left - style.text_width(number, style.SMALL) - 6
    page.paste(color, (0, y + 3, _DOT, y + 3 + _DOT))
    style.write(page, left, y, style.fitted(name, style.SMALL, max(room, 0)), style.SMALL)
    style.write(page, page.width, y, number, style.SMALL, style.FAINT, align="right")


def percent(share: float) -> str:
    """A share as a percentage, with a decimal only where it would else read 0 or 100."""
    rounded = round(100 * share)
    if rounded not in (0, 100) or share in (0.0, 1.0):
        return str(rounded)
    return "<0.1" if share < 5e-4 else ">99.9" if share > 1 - 5e-4 else f"{100 * share:.1f}"
