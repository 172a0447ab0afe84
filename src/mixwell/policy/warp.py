"""Ops that move pixels by drawn maps: turns, shears, translations, perspectives.

Targets follow by the same matrices.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np

from mixwell.plan import geometry as g
from mixwell.plan.steps import Edit
from mixwell.policy.base import EditOp, Rows
from mixwell.policy.fields import Fill, InterpName, Span, need, need_span, span
from mixwell.policy.slots import warp


@final
@dataclass(frozen=True, repr=False)
class Rotate(EditOp):
    """Turn about the image's centre; the canvas keeps its size.

    Args:
        degrees: (low, high), positive = counter-clockwise; one number d means (-d, d).
        interp: "nearest", "bilinear" or "bicubic".
        fill: level(s) of what comes in, in image units.
    """

    degrees: Span
    interp: InterpName = "bilinear"
    fill: Fill = 0.0
    moves = True

    def validate(self) -> None:
        """Check the range."""
        need_span(self, "degrees", self.degrees, -360.0, 360.0)

    def sample(self, rows: Rows) -> Edit:
        """A WARP about the centre."""
        angle = rows.draws.uniform("angle", *span(self.degrees, symmetric=True))
        m = g.about_centre(g.rotation(angle), rows.size_hw)
        return warp(rows, m, interp=self.interp, fill=self.fill)


def _shear_axis(op: ShearX | ShearY, rows: Rows, horizontal: bool) -> Edit:
    level = rows.draws.uniform("level", *span(op.level, symmetric=True))
    none = np.zeros_like(level)
    m = g.shear(level, none) if horizontal else g.shear(none, level)
    return warp(rows, g.about_centre(m, rows.size_hw), interp=op.interp, fill=op.fill)


@final
@dataclass(frozen=True, repr=False)
class ShearX(EditOp):
    """Slide rows sideways in proportion to their distance from the centre.

    Args:
        level: slope (low, high), 1 = 45 degrees; one number v means (-v, v).
        interp: "nearest", "bilinear" or "bicubic".
        fill: level(s) of what comes in, in image units.
    """

    level: Span
    interp: InterpName = "bilinear"
    fill: Fill = 0.0
    moves = True

    def validate(self) -> None:
        """Check the range."""
        need_span(self, "level", self.level, -10.0, 10.0)

    def sample(self, rows: Rows) -> Edit:
        """A WARP about the centre."""
        return _shear_axis(self, rows, horizontal=True)


@final
@dataclass(frozen=True, repr=False)
class ShearY(EditOp):
    """Slide columns up and down in proportion to their distance from the centre.

    Args:
        level: slope (low, high), 1 = 45 degrees; one number v means (-v, v).
        interp: "nearest", "bilinear" or "bicubic".
        fill: level(s) of what comes in, in image units.
    """

    level: Span
    interp: InterpName = "bilinear"
    fill: Fill = 0.0
    moves = True

    def validate(self) -> None:
        """Check the range."""
        need_span(self, "level", self.level, -10.0, 10.0)

    def sample(self, rows: Rows) -> Edit:
        """A WARP about the centre."""
        return _shear_axis(self, rows, horizontal=False)


@final
@dataclass(frozen=True, repr=False)
class TranslateX(EditOp):
    """Move the content sideways.

    Args:
        fraction: share of the width (low, high), positive = to the right; one number v means
            (-v, v).
        interp: "nearest", "bilinear" or "bicubic".
        fill: level(s) of what comes in, in image units.
    """

    fraction: Span
    interp: InterpName = "bilinear"
    fill: Fill = 0.0
    moves = True

    def validate(self) -> None:
        """Check the range."""
        need_span(self, "fraction", self.fraction, -1.0, 1.0)

    def sample(self, rows: Rows) -> Edit:
        """A WARP by a part of the width."""
        move = rows.draws.uniform("fraction", *span(self.fraction, symmetric=True))
        m = g.shift(move * rows.size_hw[:, 1], np.zeros_like(move))
        return warp(rows, m, interp=self.interp, fill=self.fill)


@final
@dataclass(frozen=True, repr=False)
class TranslateY(EditOp):
    """Move the content up and down.

    Args:
        fraction: share of the height (low, high), positive = down; one number v means (-v, v).
        interp: "nearest", "bilinear" or "bicubic".
        fill: level(s) of what comes in, in image units.
    """

    fraction: Span
    interp: InterpName = "bilinear"
    fill: Fill = 0.0
    moves = True

    def validate(self) -> None:
        """Check the range."""
        need_span(self, "fraction", self.fraction, -1.0, 1.0)

    def sample(self, rows: Rows) -> Edit:
        """A WARP by a part of the height."""
        move = rows.draws.uniform("fraction", *span(self.fraction, symmetric=True))
        m = g.shift(np.zeros_like(move), move * rows.size_hw[:, 0])
        return warp(rows, m, interp=self.interp, fill=self.fill)


@final
@dataclass(frozen=True, repr=False)
class Affine(EditOp):
    """Shear, zoom, turn and move, in this order, about the image's centre.

    Args:
        degrees: turn (low, high), positive = counter-clockwise; one number d means (-d, d).
        translate: largest move as shares of (width, height), each drawn from (-v, v).
        scale: zoom (low, high), log-uniform.
        shear: slope along x (low, high), as in `ShearX`; one number v means (-v, v).
        interp: "nearest", "bilinear" or "bicubic".
        fill: level(s) of what comes in, in image units.
    """

    degrees: Span = 0.0
    translate: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)
    shear: Span = 0.0
    interp: InterpName = "bilinear"
    fill: Fill = 0.0
    moves = True

    def validate(self) -> None:
        """Check the ranges."""
        need_span(self, "degrees", self.degrees, -360.0, 360.0)
        need_span(self, "scale", self.scale, 1e-2, 1e2)
        need_span(self, "shear", self.shear, -10.0, 10.0)
        pair = isinstance(self.translate, tuple) and len(self.translate) == 2
        good = pair and all(0 <= v <= 1 for v in self.translate)
        need(self, good, "translate must be two shares in 0 .. 1", self.translate)

    def sample(self, rows: Rows) -> Edit:
        """One WARP; `dst_to_src` undoes the moves in reverse order."""
        draws = rows.draws
        angle = draws.uniform("angle", *span(self.degrees, symmetric=True))
        slope = draws.uniform("slope", *span(self.shear, symmetric=True))
        factor = np.exp(draws.uniform("log_zoom", *np.log(span(self.scale))))
        x, y = (
            draws.uniform(f"shift {axis}", -most, most) * rows.size_hw[:, side]
            for axis, side, most in zip("xy", (1, 0), self.translate, strict=True)
        )
        linear = g.shear(slope, np.zeros_like(slope)) @ g.zoom(factor) @ g.rotation(angle)
        m = g.about_centre(linear, rows.size_hw) @ g.shift(x, y)
        return warp(rows, m, interp=self.interp, fill=self.fill)


@final
@dataclass(frozen=True, repr=False)
class Perspective(EditOp):
    """Pull the four corners inwards by drawn amounts, as torchvision's RandomPerspective.

    From a distortion of 0.47 on, some draws would bring the horizon into the picture (0.4 % at 0.6,
    20 % at 0.8); they are scaled down to a distortion of 0.45, at which none can.

    Args:
        distortion: largest pull of a corner as a share of half the side, 0 .. 0.95.
        interp: "nearest", "bilinear" or "bicubic".
        fill: level(s) of what comes in, in image units.
        p: chance, 0.5 as in torchvision.
    """

    distortion: float = 0.5
    interp: InterpName = "bilinear"
    fill: Fill = 0.0
    p: float = field(default=0.5, kw_only=True)
    moves = True

    def validate(self) -> None:
        """Check the amount: at 1 the corners could meet."""
        good = 0 <= self.distortion <= 0.95
        need(self, good, "distortion must lie in 0 .. 0.95", self.distortion)

    def sample(self, rows: Rows) -> Edit:
        """A projective WARP from the drawn corners."""
        pull = rows.draws.uniforms("pull", 8, 0.0, self.distortion / 2)
        m, depth = _pulled(rows, pull)
        horizon = depth < 0.01
        if horizon.any():
            m, _ = _pulled(rows, np.where(horizon[:, None], pull * 0.45 / self.distortion, pull))
        return warp(rows, m, interp=self.interp, fill=self.fill)


def _pulled(rows: Rows, pull: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`dst_to_src` [N, 3, 3] from pulls [N, 8], and the least depth of an output corner [N]."""
    h, w = rows.size_hw[:, 0] / 1.0, rows.size_hw[:, 1] / 1.0
    zero = np.zeros_like(w)
    x, y = np.stack([zero, w, w, zero], 1), np.stack([zero, zero, h, h], 1)
    inward_x = np.array([1, -1, -1, 1]) * pull[:, :4] * w[:, None]
    inward_y = np.array([1, 1, -1, -1]) * pull[:, 4:] * h[:, None]
    corners = np.stack([x, y], axis=-1)
    m = g.quad_to_quad(corners, np.stack([x + inward_x, y + inward_y], axis=-1))
    depth = m[:, 2, :1] * x + m[:, 2, 1:2] * y + m[:, 2, 2:]
    return m, depth.min(axis=1)
