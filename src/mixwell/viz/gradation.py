"""One pair of images mixed by degrees: a picture of what the label means.

The plans are written by hand, without a policy, so they also show the plan format in use.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

from mixwell._errors import PlanError
from mixwell.plan import Mix, MixMode, Plan
from mixwell.plan.steps import WEIGHT_ONE
from mixwell.viz import style
from mixwell.viz.bars import label_bar
from mixwell.viz.layout import as_pil, enlarged, joined

CELL = 128
"""Side of the box that a picture is fitted to, px."""
_NARROWEST = 96  # px; below this a name and its percentage do not fit
KINDS = {"mixup": "MixUp", "cutmix": "CutMix"}


def gradation_plan(size_hw: tuple[int, int], kind: str = "mixup", steps: int = 9) -> Plan:
    """A plan from two images of one size to `steps` mixtures, 10 % to 90 % of the second.

    Args:
        size_hw: height and width of both images, px.
        kind: `"mixup"` adds them with the two weights; `"cutmix"` pastes a centred box of the
            second onto the first; its sides are whole pixels, its shape nearly the image's.
        steps: number of outputs.

    Raises:
        PlanError: unknown kind, or `steps` is not positive.
    """
    if kind not in KINDS:
        raise PlanError(f"A gradation is one of {', '.join(KINDS)}, got {kind!r}.")
    if steps < 1:
        raise PlanError(f"A gradation needs at least one step, got {steps}.")
    height, width = size_hw
    second = np.linspace(0.1, 0.9, steps) if steps > 1 else np.array([0.5])
    mix = Mix.identity(np.tile([[height, width]], (steps, 1)), sources=2)
    mix.source[:] = [0, 1]
    if kind == "mixup":
        mix.mode[:, 1] = MixMode.ADD
        units = np.rint(second * WEIGHT_ONE)  # whole, so that the two add up exactly
        mix.weight[:] = np.stack([WEIGHT_ONE - units, units], axis=1) / WEIGHT_ONE
        mix.rect_px[:, 1] = mix.rect_px[:, 0]
    else:
        mix.mode[:, 1], mix.weight[:, 1] = MixMode.PASTE, 1.0
        box_h = np.rint(np.sqrt(second) * height).clip(1, height)
        box_w = np.rint(second * height * width / box_h).clip(1, width)
        box_hw = np.stack([box_h, box_w], axis=1).astype(np.int32)
        start = ([height, width] - box_hw) // 2
        mix.rect_px[:, 1] = np.concatenate([start, start + box_hw], axis=1)[:, [1, 0, 3, 2]]
    return Plan(in_hw=np.array([[height, width]] * 2), steps=(mix,))


def gradation(
    image_a: object,
    image_b: object,
    kind: str = "mixup",
    steps: int = 9,
    *,
    names: Sequence[str] = ("first", "second"),
) -> Image.Image:
    """One pair of images mixed from 10 % to 90 % of the second, each with its label.

    Args:
        image_a: an image in any form that `mixwell.viz.grid` takes.
        image_b: another; where its size differs it is scaled and cut to that of the first.
        kind: `"mixup"` or `"cutmix"`.
        steps: number of mixtures.
        names: the two labels.

    Returns:
        An RGB image.

    Raises:
        PlanError: unknown kind, or `steps` is not positive.
    """
    from mixwell.render import render

    first = as_pil(image_a)
    second = as_pil(image_b)
    if second.size != first.size:
        second = ImageOps.fit(second, first.size, Image.Resampling.BICUBIC)
    plan = gradation_plan((first.height, first.width), kind, steps)
    outputs = render([np.asarray(first), np.asarray(second)], plan)
    rows, shares = plan.sources()
    cells = []
    for picture, row, share in zip(outputs, rows, shares, strict=True):
        both = [float(share[row == i].sum()) for i in (0, 1)]
        shown = enlarged(as_pil(np.asarray(picture)), CELL)
        bar = label_bar(max(shown.width, _NARROWEST), both, list(names), lines=2)
        cells.append(joined([shown, bar], gap=6))
    return _strip(cells, KINDS[kind])


def _strip(cells: list[Image.Image], title: str) -> Image.Image:
    """Cells in one row under a title."""
    gap, top = 8, style.line_height(style.TITLE) + 8
    width = sum(c.width for c in cells) + gap * (len(cells) - 1)
    height = max(c.height for c in cells)
    margin = style.MARGIN
    page = Image.new("RGB", (width + 2 * margin, top + height + 2 * margin), style.PAPER)
    style.write(page, margin, margin, title, style.TITLE)
    x = margin
    for cell in cells:
        page.paste(cell, (x, margin + top))
        x += cell.width + gap
    return page
