"""Pictures of every op: an original and several draws; and ops of a space from weak to strong.

`write_page` makes a Markdown page of them. Photographs are cut to one size; nothing here depends on
chance beyond the seed, so the same photographs give the same pictures. Ops that look at boxes are
shown with a box in the middle of each photograph; as instance masks, ellipses fill them.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mixwell._errors import RenderError
from mixwell._rng import Draws, Keys
from mixwell.plan import Edit, Mix, Plan
from mixwell.plan.follow import Follow, Things, follow
from mixwell.plan.outlines import Outlines
from mixwell.policy import Policy
from mixwell.policy.base import Rows
from mixwell.policy.spaces import Look, Space, space
from mixwell.policy.text import registry
from mixwell.viz import examples, style
from mixwell.viz.boxes import draw_boxes
from mixwell.viz.layout import as_pil, joined
from mixwell.viz.samples import rendered

CELL = (120, 90)
"""Width and height of the photographs and their boxes, px."""
DRAWS = 4
EPOCHS = 28
"""Of the training that schedules are shown in; the draws are spread over it."""
BOX = (0.25, 0.2, 0.75, 0.8)
"""x0 y0 x1 y1 of the box that ops may look at, as parts of the photograph's sides."""
LEVELS = (0.1, 0.5, 1.0)
"""Strengths at which a space's ops are shown."""
_LIMIT = 95_000
"""Largest file, bytes."""
_GAP, _COLUMNS = 6, 3


def space_names() -> list[str]:
    """The default spaces of all automatic policies, and timm's."""
    kinds = registry().values()
    defaults = [f.default for kind in kinds for f in fields(kind) if f.name == "space"]
    return [*dict.fromkeys(str(name) for name in defaults), "timm"]


def op_strip(policy: Policy, photos: Sequence[Image.Image]) -> Image.Image:
    """The first photograph, and what becomes of it in several draws.

    Args:
        policy: what may be done. Of one that makes several views of an image, one draw is shown; of
            one that always does the same, too.
        photos: at least two of one size; the others are partners.

    Raises:
        RenderError: fewer than two photographs.
    """
    if len(photos) < 2:
        raise RenderError(f"Pictures of ops need at least two photographs, got {len(photos)}.")
    inputs = [np.asarray(photo) for photo in photos]
    plans = [_plan(policy, inputs, draw) for draw in range(DRAWS)]
    draws = [_outlined(policy, rendered(inputs, plan), plan) for plan in plans]
    inputs = _outlined(policy, inputs, Plan(plans[0].in_hw))
    views = [outputs[:: len(inputs)] for outputs in draws]
    alike = all(np.array_equal(view[0], views[0][0]) for view in views)
    made = views[0] if alike or len(views[0]) > 1 else [view[0] for view in views]
    shown = [inputs[0], *made]
    notes = any(picture.shape != shown[0].shape for picture in shown)
    return _row([_boxed(picture, notes) for picture in shown])


def _plan(policy: Policy, inputs: list[np.ndarray], draw: int) -> Plan:
    """Draws differ from policy to policy too, else all ops with a chance would agree."""
    sizes = np.array([image.shape[:2] for image in inputs], np.int32)
    epoch = draw * EPOCHS // DRAWS
    keys = Keys(np.arange(len(inputs)), epoch=epoch, progress=epoch / EPOCHS, epochs=EPOCHS)
    things = _things(sizes) if policy.sees_things else None
    return policy.sample(sizes, keys=keys, seed=int(policy.digest()[:8], 16), things=things)


def _boxes(sizes: np.ndarray) -> Outlines:
    """A box in the middle of each image, see `BOX`."""
    part = np.tile(np.array(BOX), (len(sizes), 1))
    return Outlines.start(np.arange(len(sizes)), part * np.tile(sizes[:, ::-1], 2), sizes)


def _things(sizes: np.ndarray) -> Follow:
    """Where these boxes are, with ellipses in them as instance masks and as a class."""

    def behind(steps: Sequence[Edit | Mix]) -> Things:
        outlines = follow(_boxes(sizes), steps)
        now = sizes
        for step in steps:
            now = step.out_hw(now)
        boxes = zip(outlines.row, outlines.xyxy(), strict=True)
        ellipses = [_ellipse(now[row], box) for row, box in boxes]
        classes = [np.full(hw, -1) for hw in now.tolist()]
        for row, ellipse in zip(outlines.row.tolist(), ellipses, strict=True):
            classes[row] = np.where(ellipse, 1, 0)
        return Things(outlines, ellipses, classes)

    return behind


def _ellipse(size_hw: np.ndarray, box: np.ndarray) -> np.ndarray:
    """uint8 [H, W]: the ellipse in a box."""
    y, x = np.arange(size_hw[0])[:, None] + 0.5, np.arange(size_hw[1]) + 0.5
    x0, y0, x1, y1 = box
    across, down = (2 * x - x0 - x1) / max(x1 - x0, 1), (2 * y - y0 - y1) / max(y1 - y0, 1)
    return (across**2 + down**2 <= 1).astype(np.uint8)


def _outlined(policy: Policy, pictures: list[np.ndarray], plan: Plan) -> list[np.ndarray]:
    """The pictures, with their boxes if the policy looks at boxes."""
    if not policy.sees_things:
        return pictures
    boxes = follow(_boxes(plan.in_hw), plan.steps)
    drawn = [
        draw_boxes(picture, {"boxes": boxes.xyxy()[boxes.row == row]})
        for row, picture in enumerate(pictures)
    ]
    return [np.asarray(picture) for picture in drawn]


def space_sheet(name: str, photo: Image.Image) -> Image.Image:
    """Every op of a space at a low, the middle and the highest strength, with the level it means.

    Signed ops are shown with the positive sign.

    Args:
        name: of the space, see `mixwell.policy.spaces`.
        photo: what they are shown on.
    """
    drawn = [_graded(space(name), op, np.asarray(photo)) for op in space(name).names]
    rows = [drawn[i : i + _COLUMNS] for i in range(0, len(drawn), _COLUMNS)]
    lines = [_row(cells, 20) for cells in rows]
    return joined(lines, gap=10)


def _graded(source: Space, name: str, photo: np.ndarray) -> Image.Image:
    """One op of a space: its name, three pictures, their levels."""
    count = len(LEVELS)
    sizes = np.tile(np.array(photo.shape[:2], np.int32), (count, 1))
    rows = Rows(sizes, Draws(Keys(np.zeros(count, np.int64)), 0))
    entry = source.entries[name]
    level = entry.level(np.array(LEVELS), np.ones(count), sizes)
    edit = entry.build(rows, level)
    Look("bilinear", 0.0).apply(rows, edit)
    small = (CELL[0] * 3 // 5, CELL[1] * 3 // 5)
    pictures = rendered([photo] * count, Plan(in_hw=sizes, steps=(edit,)))
    cells = [as_pil(p).resize(small, Image.Resampling.LANCZOS) for p in pictures]
    if not entry.unit:  # the same at every strength
        blank = Image.new("RGB", small, style.PAPER)
        cells, level = [cells[0], blank, blank], level[:0]
    notes = [f"{v:.3g}" for v in level]
    page = joined([_line(name, _width(cells)), _row(cells)], gap=2)
    return joined([page, _notes(notes, entry.unit, small[0], _width(cells))], gap=2)


def _notes(notes: list[str], unit: str, step: int, width: int) -> Image.Image:
    page = Image.new("RGB", (width, style.line_height(style.SMALL)), style.PAPER)
    for i, note in enumerate(notes):
        text = f"{note} {unit}" if i == len(notes) - 1 else note
        middle = i * (step + _GAP) + step // 2
        text = style.fitted(text, style.SMALL, step)
        style.write(page, middle, 0, text, style.SMALL, style.FAINT, align="middle")
    return page


def _line(text: str, width: int) -> Image.Image:
    page = Image.new("RGB", (width, style.line_height(style.BODY)), style.PAPER)
    style.write(page, 0, 0, style.fitted(text, style.BODY, width))
    return page


def _width(cells: Sequence[Image.Image]) -> int:
    return sum(cell.width for cell in cells) + _GAP * (len(cells) - 1)


def _row(cells: Sequence[Image.Image], gap: int = _GAP) -> Image.Image:
    """Pictures side by side on white."""
    width = sum(cell.width for cell in cells) + gap * (len(cells) - 1)
    page, x = Image.new("RGB", (width, max(c.height for c in cells)), style.PAPER), 0
    for cell in cells:
        page.paste(cell, (x, 0))
        x += cell.width + gap
    return page


def _boxed(picture: np.ndarray, notes: bool) -> Image.Image:
    """The picture in the middle of a box, reduced only where it is too large; its size below."""
    shown = as_pil(picture)
    shown.thumbnail(CELL, Image.Resampling.LANCZOS)
    note = style.line_height(style.SMALL) if notes else 0
    box = Image.new("RGB", (CELL[0], CELL[1] + note), style.PAPER)
    box.paste(shown, ((CELL[0] - shown.width) // 2, (CELL[1] - shown.height) // 2))
    if notes:
        text = f"{picture.shape[1]} x {picture.shape[0]} px"
        middle = CELL[0] // 2
        style.write(box, middle, CELL[1], text, style.SMALL, style.FAINT, align="middle")
    return box


# -------------------------------------------------------------------------------------- the page


def write_page(folder: Path, photos: Sequence[object], *, credit: str = "") -> list[Path]:
    """Write `ops.md` and, in `ops/`, a picture of each op and of each space.

    Args:
        folder: an existing folder.
        photos: at least two, in any form that `mixwell.viz.grid` takes.
        credit: a line about them for the page.

    Returns:
        The files written, the page first.

    Raises:
        RenderError: fewer than two photographs.
        OSError: a file cannot be written.
    """
    cut = [ImageOps.fit(as_pil(photo), CELL, Image.Resampling.LANCZOS) for photo in photos]
    pictures = folder / "ops"
    pictures.mkdir(exist_ok=True)
    written = []
    for group in examples.examples().values():
        for name, code in group.items():
            strip = op_strip(examples.policy_of(code), cut)
            written.append(_saved(strip, pictures / f"{name}.jpg"))
    for name in space_names():
        written.append(_saved(space_sheet(name, cut[0]), pictures / f"space-{name}.jpg"))
    page = folder / "ops.md"
    page.write_text(page_text(credit), encoding="utf-8")
    return [page, *written]


def _saved(picture: Image.Image, path: Path) -> Path:
    """A JPEG of the best quality that keeps it small."""
    for quality in (88, 80, 70, 60):
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=quality, optimize=True)
        if data.tell() <= _LIMIT:
            break
    path.write_bytes(data.getvalue())
    return path


def page_text(credit: str = "") -> str:
    """The Markdown page of all ops: a line, the example's code and its picture for each."""
    parts = [_INTRODUCTION, *([f"{credit}\n"] if credit else [])]
    for group, found in examples.examples().items():
        parts.append(f"\n## {group}\n")
        for name, code in found.items():
            parts.append(f"### {name}\n{examples.about(name)}\n")
            parts.append(f"`{code}`\n\n![{name}](ops/{name}.jpg)\n")
    parts.append(_SPACES)
    for name in space_names():
        parts.append(f"### {name}\n{space(name).summary}.\n\n![{name}](ops/space-{name}.jpg)\n")
    return "\n".join(parts)


_INTRODUCTION = """\
# Ops

Every op with an example: the original on the left, then what becomes of it. Draws stand for epochs
0, 7, 14 and 21 of 28, which schedules show; what is always the same is shown once. Options and
their ranges are in the docstrings: `help(mixwell.CutMix)`. This page is made by
`mixwell policies sheet FOLDER PHOTOS…`.
"""

_SPACES = """
## Strengths
The ops that automatic policies draw from, at strengths 0.1, 0.5 and 1 of their space, with the
levels that these mean. Ops without a level have one picture. The positive sign is shown; policies
draw the sign. `mixwell policies levels SPACE` prints all levels.
"""
