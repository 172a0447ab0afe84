"""The contact sheet: what goes in, what comes out, and what the label then says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from mixwell._errors import TargetError
from mixwell.viz import style
from mixwell.viz.bars import label_bar
from mixwell.viz.layout import as_pil, enlarged, joined
from mixwell.viz.samples import Samples, draw_samples

if TYPE_CHECKING:
    from mixwell.plan import Plan
    from mixwell.policy import Policy

CELL = 160
"""Side of the box that a picture is fitted to, px."""
_LEGEND_LINES, _WORD_LINES = 3, 4


def sheet(
    policy: Policy,
    images: Sequence[object],
    labels: Sequence[int] | np.ndarray | None = None,
    classes: Sequence[str] | None = None,
    *,
    copies: int = 4,
    seed: int = 0,
    epoch: int = 0,
    size: int | None = None,
    words: bool = False,
) -> Image.Image:
    """A contact sheet of a policy: a row for each image, the input first, then its outputs.

    Under each picture a bar shows its label, computed from the plan that drew the picture. Small
    images are enlarged pixel by pixel, large ones reduced.

    Args:
        policy: what may be done.
        images: N images in any form that `mixwell.viz.grid` takes; shown and treated as RGB.
        labels: the N labels, integers; each image is a class of its own when None is given.
        classes: the labels' names.
        copies: outputs for each image.
        seed: as for `Policy.sample`.
        epoch: for schedules, and for other draws.
        size: px; scale and cut the images to squares of this side before the policy sees them.
        words: also print what the plan does.

    Returns:
        An RGB image.

    Raises:
        RenderError: there are no images, or `copies` or `size` is not positive.
        PolicyError: the policy cannot work on these images.
        TargetError: labels and images differ in number, or a label has no name in `classes`.
    """
    samples = draw_samples(policy, images, copies=copies, seed=seed, epoch=epoch, size=size)
    names = label_names(len(samples.inputs), labels, classes)
    return draw_sheet(samples, names, f"{policy!r}", f"seed {seed}, epoch {epoch}", words=words)


def label_names(
    count: int, labels: Sequence[int] | np.ndarray | None, classes: Sequence[str] | None
) -> list[str]:
    """The name of each image's label; images of one class share a name."""
    if labels is None:
        labels = range(count)
        classes = [f"sample {i}" for i in range(count)] if classes is None else classes
    if len(labels) != count:
        raise TargetError(f"A sheet needs one label for each of {count} images, got {len(labels)}.")
    if classes is None:
        return [f"class {int(label)}" for label in labels]
    if count and not 0 <= min(labels) <= max(labels) < len(classes):
        raise TargetError(
            f"A sheet needs labels in 0 .. {len(classes) - 1} (it has {len(classes)} class names), "
            f"got {min(labels)} .. {max(labels)}."
        )
    return [str(classes[int(label)]) for label in labels]


def draw_sheet(
    samples: Samples, names: Sequence[str], title: str, note: str, *, words: bool
) -> Image.Image:
    """The sheet of samples that are already there.

    Args:
        samples: what to show; output b of each copy is put in row b.
        names: the label of each input.
        title: the first line, cut to two lines of the sheet's width.
        note: a fainter line below.
        words: also print what the plan does.
    """
    colors = {name: style.class_color(i) for i, name in enumerate(dict.fromkeys(names))}
    labels = [[soft_label(p, b, names) for b in range(len(p))] for p in samples.plans]
    texts = [[_doings(p, b) if words else [] for b in range(len(p))] for p in samples.plans]
    most = min(max((len(y) for column in labels for y in column), default=1), _LEGEND_LINES)
    room = max((len(lines) for column in texts for lines in column), default=0)

    def cell(picture: np.ndarray, label: dict[str, float], lines: list[str]) -> Image.Image:
        bar = _bar(label, colors, max(most, 1))
        return joined([_boxed(picture), bar, *([_words(lines, room)] if room else [])], gap=6)

    inputs = zip(samples.inputs, names, strict=True)
    columns = [[cell(picture, {name: 1.0}, []) for picture, name in inputs]]
    for parts in zip(samples.outputs, labels, texts, strict=True):
        columns.append([cell(*one) for one in zip(*parts, strict=True)])
    return _page(columns, title, note)


def soft_label(plan: Plan, output: int, names: Sequence[str]) -> dict[str, float]:
    """Shares of one output by label name; equal labels are added up."""
    rows, shares = plan.sources()
    label: dict[str, float] = {}
    for row, share in zip(rows[output], shares[output], strict=True):
        if share > 0:
            name = names[int(row)]
            label[name] = label.get(name, 0.0) + float(share)
    return label


def _doings(plan: Plan, output: int) -> list[str]:
    """What the plan does, in lines, without the shares: the bar shows those."""
    text = plan.describe(output).split(" = ")[0]
    return style.wrapped(text, style.SMALL, CELL, _WORD_LINES)


def _bar(label: dict[str, float], colors: dict[str, style.Color], lines: int) -> Image.Image:
    order = [name for name in colors if name in label]
    shares = [label[name] for name in order]
    return label_bar(CELL, shares, order, [colors[name] for name in order], lines=lines)


def _boxed(picture: np.ndarray) -> Image.Image:
    """The picture in a box of one size, at the bottom, so that bars align."""
    shown = enlarged(as_pil(picture), CELL)
    box = Image.new("RGB", (CELL, CELL), style.PAPER)
    box.paste(shown, ((CELL - shown.width) // 2, CELL - shown.height))
    return box


def _words(lines: list[str], room: int) -> Image.Image:
    step = style.line_height(style.SMALL)
    page = Image.new("RGB", (CELL, step * room), style.PAPER)
    for i, line in enumerate(lines):
        style.write(page, 0, i * step, line, style.SMALL, style.FAINT)
    return page


def _page(columns: list[list[Image.Image]], title: str, note: str) -> Image.Image:
    """Columns of equal cells under a title; the inputs stand apart by a rule."""
    height, apart = columns[0][0].height, style.GAP * 2
    rows = max(len(column) for column in columns)
    width = 2 * style.MARGIN + len(columns) * (CELL + style.GAP) - style.GAP
    width += apart - style.GAP if len(columns) > 1 else 0
    step = style.line_height(style.BODY)
    heading = style.wrapped(title, style.BODY, width - 2 * style.MARGIN, 2)
    top = style.MARGIN + step * (len(heading) + 1) + style.GAP
    gap = style.GAP + 8
    body = rows * (height + gap) - gap
    page = Image.new("RGB", (width, top + body + style.MARGIN), style.PAPER)
    draw = ImageDraw.Draw(page)
    for i, line in enumerate(heading):
        style.write(page, style.MARGIN, style.MARGIN + i * step, line)
    below = style.MARGIN + len(heading) * step
    style.write(page, style.MARGIN, below, note, style.SMALL, style.FAINT)
    for c, column in enumerate(columns):
        x = style.MARGIN + c * (CELL + style.GAP) + (apart - style.GAP if c else 0)
        for r, cell in enumerate(column):
            page.paste(cell, (x, top + r * (height + gap)))
    rule = style.MARGIN + CELL + apart // 2
    if len(columns) > 1:
        draw.line((rule, top, rule, top + body), fill=style.RULE)
    return page
