"""Random plans of all that a backend must take: odd sizes, every native code, chained mixes."""

from __future__ import annotations

from random import Random

import numpy as np

from mixwell.plan.plan import Plan
from mixwell.plan.steps import MASK_ONE, Code, EraseUnits, EraseValue, Interp, Mix, MixMode
from tests.render.plans import edit, flip_x, flip_y, rotation, shift, slot

Size = tuple[int, int]

PLAIN = (Code.INVERT, Code.AUTOCONTRAST, Code.EQUALIZE, Code.GRAYSCALE)
FACTORS = (Code.BRIGHTNESS, Code.CONTRAST, Code.SATURATION, Code.SHARPNESS)
NATIVE = tuple(c for c in Code if c < Code.PIL_CONTRAST and c not in (Code.PIL_WARP, Code.TV_WARP))
OPS = tuple(c for c in NATIVE if c != Code.NOTHING)


def fill(rng: Random) -> list[float]:
    """Fills of uint8 images; `Plan`s for floats divide them."""
    return [rng.choice([0, 255, 1 + rng.random() * 254]) for _ in range(4)]


def size(rng: Random, most: int = 40) -> Size:
    return rng.choice([rng.randint(1, 4), rng.randint(5, most)]), rng.randint(1, most)


def matrix(rng: Random, hw: Size) -> tuple[float, ...]:
    """Flips, quarter turns, shifts, affine maps near and far, mild perspectives."""
    h, w = hw
    kind = rng.randrange(8)
    if kind == 0:
        return flip_x(w) if rng.random() < 0.5 else flip_y(h)
    if kind == 1:
        return (0.0, 1, 0, -1, 0, h, 0, 0, 1)
    if kind == 2:
        return shift(rng.randint(-w, w), rng.randint(-h, h))
    if kind == 3:
        return shift(rng.uniform(-w, w), rng.uniform(-h, h))
    if kind == 4:
        tilt = [rng.uniform(-0.2, 0.2) / (h + w) for _ in range(2)]
        return (1.0, rng.gauss(0, 0.1), rng.gauss(0, 2), rng.gauss(0, 0.1), 1.0, 0.3, *tilt, 1.0)
    if kind == 5:
        return (*tuple(rng.gauss(0, 2) for _ in range(6)), 0, 0, 1)
    if kind == 6:
        return (1.0, rng.gauss(0, 0.3), 0, 0, 1, 0, 0, 0, 1)
    return rotation(rng.uniform(-180, 180), hw, (rng.gauss(0, 3), 0), rng.choice([0.3, 1, 2.5]))


def op(rng: Random, code: Code, hw: Size) -> dict:
    """A slot of a code with random parameters, for an image of a size."""
    h, w = hw
    key = [rng.getrandbits(32) for _ in range(4)]
    interp = rng.choice(list(Interp))
    more = {"interp": interp, "fill": fill(rng), "key": key}
    if code == Code.WARP:
        m = matrix(rng, hw)
        tilted = m[6] != 0 or m[7] != 0  # a larger canvas might reach behind the camera
        return slot(code, m, None if tilted else rng.choice([None, size(rng)]), **more)
    if code == Code.CLIP:
        return slot(code, (*matrix(rng, hw), *size(rng)), **more)
    if code == Code.RESIZE:
        x, y = (sorted(rng.uniform(0, n) for _ in range(2)) for n in (w, h))
        if rng.random() < 0.3:
            x, y = [0, w], [0, h]
        x, y = ([a, b] if b - a > 0.01 else [0, n] for (a, b), n in ((x, w), (y, h)))
        x, y = (v[:: rng.choice([1, -1])] for v in (x, y))
        more["interp"] = rng.choice([Interp.BILINEAR, Interp.BICUBIC])
        return slot(code, (x[0], y[0], x[1], y[1]), size(rng), **more)
    if code in FACTORS:
        return slot(code, [rng.choice([0.0, 1.0, rng.uniform(0, 3)])], **more)
    if code == Code.HUE:
        return slot(code, [rng.uniform(-0.5, 0.5)], **more)
    if code == Code.CHANNELS:
        return slot(code, rng.sample(range(3), 3), **more)
    if code == Code.POSTERIZE:
        return slot(code, [rng.randint(0, 8)], **more)
    if code == Code.SOLARIZE:
        return slot(code, [rng.choice([0, 256, rng.uniform(0, 256)])], **more)
    if code == Code.BLUR:
        return slot(code, (rng.uniform(0.2, 4), 2 * rng.randint(0, 7) + 1), **more)
    if code == Code.NOISE:
        return slot(code, [rng.uniform(0, 0.5)], **more)
    if code == Code.ERASE:
        return erasing(rng, hw, more, EraseUnits.INPUT)
    return slot(code, **more)


def erasing(rng: Random, hw: Size, more: dict, units: EraseUnits) -> dict:
    x0, x1 = sorted(rng.randint(0, hw[1]) for _ in range(2))
    y0, y1 = sorted(rng.randint(0, hw[0]) for _ in range(2))
    return slot(Code.ERASE, (x0, y0, x1, y1, rng.choice(list(EraseValue)), units), **more)


def slots(rng: Random, hw: Size, codes: list[Code]) -> tuple[list[dict], Size]:
    """A row of ops, and the size behind them."""
    made = []
    for code in codes:
        made.append(op(rng, code, hw))
        hw = made[-1]["size"] or hw
    return made, hw


def codes(rng: Random, most: int) -> list[Code]:
    """Tables often stand together, as in automatic policies."""
    return [rng.choice(NATIVE) for _ in range(rng.randint(0, most))]


def mixing(rng: Random, sizes: list[Size]) -> Mix:
    """A mix of rows of these sizes: whole rows, rectangles, offsets, masks, fills."""
    n, outputs = len(sizes), rng.randint(1, 4)
    canvas = [rng.choice([sizes[rng.randrange(n)], size(rng)]) for _ in range(outputs)]
    count = rng.randint(1, 4)
    made = Mix.identity(np.array(canvas), count)
    made.mode[:], made.fill[:], made.source[:] = MixMode.SKIP, 0, 0
    mask = np.zeros((outputs, *np.array(canvas).max(axis=0)), np.uint16)
    for b, (height, width) in enumerate(canvas):
        if rng.random() < 0.4:
            made.fill[b] = fill(rng)
        mask[b, :height, :width] = np.random.default_rng(rng.getrandbits(32)).integers(
            0, MASK_ONE + 1, (height, width)
        )
        for s in range(rng.randint(1, count)):
            _source(rng, made, b, s, sizes)
    made = Mix(**{**vars(made), "mask": mask})
    mask[~made.masked.any(axis=1)] = 0
    return made.tidy()


def _source(rng: Random, made: Mix, b: int, s: int, sizes: list[Size]) -> None:
    row = rng.randrange(len(sizes))
    (h, w), (height, width) = sizes[row], made.canvas_hw[b].tolist()
    dx, dy = 0, 0
    if rng.random() < 0.4:
        dx, dy = rng.randint(-w + 1, width - 1), rng.randint(-h + 1, height - 1)
    x = [max(0, dx), min(width, w + dx)]
    y = [max(0, dy), min(height, h + dy)]
    if rng.random() < 0.5:
        x, y = (sorted(rng.randint(*v) for _ in range(2)) for v in (x, y))
    made.source[b, s], made.offset_px[b, s] = row, (dx, dy)
    made.rect_px[b, s] = x[0], y[0], x[1], y[1]
    made.mode[b, s] = rng.choice([m for m in MixMode if m != MixMode.SKIP])
    made.weight[b, s] = 1.0
    if made.mode[b, s] == MixMode.ADD:
        made.weight[b, s] = rng.choice([1.0, rng.random()])


def random_plan(rng: Random, *, normalized: bool = False, most: int = 4) -> Plan:
    """Edits and mixes in turns; with `normalized`, the last edits may erase in such units."""
    in_hw = sizes = [size(rng) for _ in range(rng.randint(1, 5))]
    steps: list = []
    shape = rng.choice(["e", "m", "em", "eme", "emem", "mm", "ee", "emeem"])
    for kind in shape:
        if kind == "m":
            steps.append(mixing(rng, sizes))
            sizes = [tuple(hw) for hw in steps[-1].canvas_hw.tolist()]
            continue
        rows, after = [], []
        for hw in sizes:
            made, behind = slots(rng, hw, codes(rng, most))
            rows.append(made)
            after.append(behind)
        steps.append(edit(sizes, rows))
        sizes = after
    if normalized:
        steps = _with_erasing(rng, steps, in_hw)
    return Plan(np.array(in_hw), tuple(steps))


def _with_erasing(rng: Random, steps: list, in_hw: list[Size]) -> list:
    """Erasing in normalised units in front of the last mix or at the very end."""
    before = [np.array(in_hw)]
    for step in steps:
        before.append(step.out_hw(before[-1]))
    place = len(steps)
    if isinstance(steps[-1], Mix) and rng.random() < 0.7:
        place -= 1
    more = {"interp": Interp.BILINEAR, "key": [rng.getrandbits(32) for _ in range(4)]}
    rows = []
    for hw in before[place].tolist():
        units = [rng.choice(list(EraseUnits)) for _ in range(rng.randint(0, 3))]
        rows.append([erasing(rng, hw, {**more, "fill": fill(rng)}, u) for u in units])
    return [*steps[:place], edit(before[place], rows), *steps[place:]]


def images_of(rng: Random, plan: Plan, channels: int) -> list[np.ndarray]:
    """uint8 [H, W, C] for each row: noise, one level, or a ramp."""
    made = []
    numbers = np.random.default_rng(rng.getrandbits(32))
    for height, width in plan.in_hw.tolist():
        kind = rng.randrange(3)
        image = numbers.integers(0, 256, (height, width, channels))
        if kind == 1:
            image[:] = rng.randrange(256)
        elif kind == 2:
            image = (np.arange(height * width * channels).reshape(image.shape) * 3) % 200 + 20
        made.append(image.astype(np.uint8))
    return made
