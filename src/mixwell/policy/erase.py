"""Ops that hide a rectangle. Labels stay as they are, as in the papers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, final

import numpy as np

from mixwell.plan.steps import Code, Edit, EraseUnits, EraseValue
from mixwell.policy.base import EditOp, Rows
from mixwell.policy.fields import Fill, is_fill, need, need_span, span
from mixwell.policy.geometry import first_accepted
from mixwell.policy.slots import slot

EraseWith = Fill | Literal["channel", "pixel"]
UnitsName = Literal["input", "normalized"]

_ATTEMPTS = 10


def erase(
    rows: Rows, code: np.ndarray | Code, box: np.ndarray, value: EraseWith, units: UnitsName
) -> Edit:
    """An ERASE slot for boxes [N, 4] (x0 y0 x1 y1)."""
    kind = EraseValue[value.upper()] if isinstance(value, str) else EraseValue.CONSTANT
    fill = 0.0 if isinstance(value, str) else value
    columns = np.moveaxis(box, 1, 0)
    key = rows.draws.pixel_key("pixels")
    edit = slot(rows, code, *columns, kind, EraseUnits[units.upper()], fill=fill, key=key)
    edit.param[edit.code == Code.NOTHING] = 0.0
    return edit


def _check_value(op: RandomErasing | Cutout) -> None:
    good = op.value in ("channel", "pixel") or is_fill(op.value)
    need(op, good, 'value must be level(s), "channel" or "pixel"', op.value)
    need(op, op.units in ("input", "normalized"), 'units: "input" or "normalized"', op.units)


@final
@dataclass(frozen=True, repr=False)
class RandomErasing(EditOp):
    """Hide a rectangle of drawn area and aspect (Zhong et al. 2017, arXiv 1708.04896).

    Ten attempts at a rectangle smaller than the image on both sides; else nothing is erased.

    Args:
        scale: share of the area, (low, high).
        ratio: height / width, (low, high), log-uniform.
        value: level(s) to write, "channel" for one random colour, or "pixel" for random pixels.
        units: "input": levels are in image units, random values uniform over its range;
            "normalized": written after normalising, random values standard normal.
        p: chance, 0.5 as in torchvision.
    """

    scale: tuple[float, float] = (0.02, 0.33)
    ratio: tuple[float, float] = (0.3, 3.3)
    value: EraseWith = 0.0
    units: UnitsName = "input"
    p: float = field(default=0.5, kw_only=True)

    def validate(self) -> None:
        """Check ranges."""
        need_span(self, "scale", self.scale, 0.0, 1.0)
        need_span(self, "ratio", self.ratio, 1e-3, 1e3)
        _check_value(self)

    def sample(self, rows: Rows) -> Edit:
        """An ERASE slot; NOTHING where no attempt fitted."""
        height, width = (rows.size_hw[:, i].astype(np.float64)[:, None] for i in (0, 1))
        area = height * width * rows.draws.uniforms("area", _ATTEMPTS, *span(self.scale))
        low, high = np.log(span(self.ratio))
        ratio = np.exp(rows.draws.uniforms("ratio", _ATTEMPTS, low, high))
        h, w = np.rint(np.sqrt(area * ratio)), np.rint(np.sqrt(area / ratio))
        fits = (h < height) & (w < width)
        found, h, w = first_accepted(fits, h, w)
        h, w = np.where(found, h, 0), np.where(found, w, 0)
        top = rows.draws.integers("top", 0, (height[:, 0] - h + 1).astype(np.int64))
        left = rows.draws.integers("left", 0, (width[:, 0] - w + 1).astype(np.int64))
        box = np.stack([left, top, left + w, top + h], axis=1)
        code = np.where(found, Code.ERASE, Code.NOTHING)
        return erase(rows, code, box, self.value, self.units)


@final
@dataclass(frozen=True, repr=False)
class Cutout(EditOp):
    """Hide a square around a drawn pixel, cut off at the edges (DeVries & Taylor 2017,
    arXiv 1708.04552).

    Args:
        size: side of the square, px; like the paper's code, size // 2 on each side of the pixel.
        value: level(s) to write, "channel" or "pixel"; see `RandomErasing`.
        units: "input" or "normalized"; see `RandomErasing`.
    """

    size: int
    value: EraseWith = 0.0
    units: UnitsName = "input"

    def validate(self) -> None:
        """Check the size."""
        good = isinstance(self.size, int) and self.size >= 2
        need(self, good, "size must be px >= 2", self.size)
        _check_value(self)

    def sample(self, rows: Rows) -> Edit:
        """An ERASE slot."""
        half = self.size // 2
        height, width = rows.size_hw[:, 0].astype(np.int64), rows.size_hw[:, 1].astype(np.int64)
        y, x = rows.draws.integers("y", 0, height), rows.draws.integers("x", 0, width)
        box = np.stack(
            [
                np.maximum(x - half, 0),
                np.maximum(y - half, 0),
                np.minimum(x + half, width),
                np.minimum(y + half, height),
            ],
            axis=1,
        )
        return erase(rows, Code.ERASE, box, self.value, self.units)
