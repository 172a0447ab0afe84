"""Short ways to write plans by hand, and images to do them to."""

from __future__ import annotations

import math

import numpy as np
import torch

from mixwell.plan.plan import Plan
from mixwell.plan.steps import Code, Edit, Interp, Mix, MixMode

torch.set_num_threads(1)

NEAREST, BILINEAR, BICUBIC = Interp.NEAREST, Interp.BILINEAR, Interp.BICUBIC
NAMES = {NEAREST: "nearest", BILINEAR: "bilinear", BICUBIC: "bicubic"}
IDENTITY = (1.0, 0, 0, 0, 1, 0, 0, 0, 1)


def slot(code, param=(), size=None, interp=BILINEAR, fill=0.0, key=(0, 0, 0, 0)) -> dict:
    """One op of one row; `size` None: the size stays."""
    return {
        "code": code,
        "param": param,
        "size": size,
        "interp": interp,
        "fill": fill,
        "key": key,
    }


def edit(in_hw, rows: list[list[dict]]) -> Edit:
    """An edit from each row's slots; shorter rows get NOTHING."""
    in_hw = np.asarray(in_hw, np.int32).reshape(-1, 2)
    made = Edit.nothing(in_hw, max([1, *(len(r) for r in rows)]))
    for n, slots in enumerate(rows):
        size = tuple(in_hw[n])
        for k in range(made.slots):
            op = slots[k] if k < len(slots) else slot(Code.NOTHING)
            size = op["size"] or size
            made.code[n, k], made.interp[n, k] = op["code"], op["interp"]
            made.param[n, k, : len(op["param"])] = op["param"]
            made.size_hw[n, k], made.fill[n, k], made.key[n, k] = size, op["fill"], op["key"]
    return made


def plan(in_hw, *rows: list[dict]) -> Plan:
    """A plan with one edit; one size for all rows, or one for each."""
    sizes = np.broadcast_to(np.asarray(in_hw, np.int32).reshape(-1, 2), (len(rows), 2))
    return Plan(sizes, (edit(sizes, list(rows)),))


def mix(canvas_hw, *outputs: list[tuple], fill=0.0) -> Mix:
    """A mix from each output's (source, mode, weight, rectangle, offset) entries."""
    rows, sources = len(outputs), max((len(o) for o in outputs), default=1)
    canvas = np.array(np.broadcast_to(np.asarray(canvas_hw, np.int32).reshape(-1, 2), (rows, 2)))
    made = Mix.identity(canvas, sources)
    made.mode[:] = MixMode.SKIP
    made.fill[:] = fill
    for b, entries in enumerate(outputs):
        for s, (source, mode, weight, rect, offset) in enumerate(entries):
            made.source[b, s], made.mode[b, s], made.weight[b, s] = source, mode, weight
            made.rect_px[b, s], made.offset_px[b, s] = rect, offset
    return made


def rotation(angle_deg: float, size_hw, shift=(0.0, 0.0), zoom: float = 1.0) -> tuple[float, ...]:
    """`dst_to_src` of a turn about the centre, then a shift; nine numbers."""
    c, s = (f(math.radians(angle_deg)) / zoom for f in (math.cos, math.sin))
    x, y = size_hw[1] / 2, size_hw[0] / 2
    return (c, -s, x - c * x + s * y + shift[0], s, c, y - s * x - c * y + shift[1], 0, 0, 1)


def flip_x(width: int) -> tuple[float, ...]:
    return (-1.0, 0, width, 0, 1, 0, 0, 0, 1)


def flip_y(height: int) -> tuple[float, ...]:
    return (1.0, 0, 0, 0, -1, height, 0, 0, 1)


def shift(dx: float, dy: float) -> tuple[float, ...]:
    """Output (x, y) shows input (x + dx, y + dy)."""
    return (1.0, 0, dx, 0, 1, dy, 0, 0, 1)


TILT = (0.9, 0.1, 0.4, -0.05, 1.1, -0.3, 0.012, -0.007, 1.0)
"""A mild perspective for images of about 17 x 11 pixels."""


def levels(shape, seed: int = 0, dtype=np.uint8) -> torch.Tensor:
    """Independent uniform values over the dtype's range (floats: 0 .. 1)."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return torch.from_numpy(rng.random(shape).astype(dtype))
    return torch.from_numpy(rng.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype))
