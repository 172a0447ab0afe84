"""Ops of detectors' training: crops that look at boxes, resizing by sides, SSD's colours."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import final

import numpy as np

from mixwell._errors import PolicyError
from mixwell.plan.follow import Things
from mixwell.plan.outlines import Outlines
from mixwell.plan.steps import Code, Edit
from mixwell.policy.base import EditOp, OutSize, Rows
from mixwell.policy.fields import Fill, InterpName, Span, need, need_size, need_span, pair_of, span
from mixwell.policy.geometry import constant_hw, crop, resize, whole
from mixwell.policy.slots import slot


def things_of(op: object, rows: Rows) -> Outlines:
    """Where boxes are in these rows, as far as anything of them is visible.

    Raises:
        PolicyError: nobody told the policy.
    """
    if rows.things is None or not rows.things.placed:
        raise PolicyError(
            f"{type(op).__name__} looks at boxes while it samples, got none. Declare them, "
            'Augment(policy, boxes="xyxy"), and give targets; or Policy.sample(things=).'
        )
    things = rows.things.outlines
    extent = things.xyxy()
    visible = (extent[:, 2:] > extent[:, :2]).all(axis=1)
    return things.take(visible & (things.row < len(rows)))  # others are partners' boxes


@final
@dataclass(frozen=True, repr=False)
class RandomIoUCrop(EditOp):
    """Cut a window that overlaps some box enough (SSD, Liu et al. 2015, arXiv 1512.02325).

    As torchvision's: an option is drawn; 1 or more keeps the image; otherwise up to `trials`
    windows are drawn until one holds the centre of a box and has at least that IoU with a box whose
    centre it holds; if there is none, another option is drawn. An image without boxes is kept.

    Boxes whose centre is outside are not dropped for that, as torchvision's are: `min_visibility`
    of `Boxes` decides.

    Args:
        min_scale: of both sides, as parts of the image's, 0 .. 1.
        max_scale: likewise.
        min_aspect_ratio: width / height of the window.
        max_aspect_ratio: likewise.
        sampler_options: least IoUs, drawn with equal chance; None for SSD's (0, 0.1, 0.3, 0.5, 0.7,
            0.9, 1).
        trials: windows tried for an option.
    """

    min_scale: float = 0.3
    max_scale: float = 1.0
    min_aspect_ratio: float = 0.5
    max_aspect_ratio: float = 2.0
    sampler_options: tuple[float, ...] | None = None
    trials: int = 40
    moves = True
    looks = True

    def validate(self) -> None:
        """Check ranges."""
        need_span(self, "scale", (self.min_scale, self.max_scale), 0.0, 1.0)
        ratios = (self.min_aspect_ratio, self.max_aspect_ratio)
        need_span(self, "aspect ratio", ratios, 1e-3, 1e3)
        need(self, self.trials >= 1, "trials must be at least 1", self.trials)
        options = self.options
        good = len(options) > 0 and min(options) >= 0
        need(self, good, "sampler_options must be one or more IoUs >= 0", self.sampler_options)

    @property
    def options(self) -> tuple[float, ...]:
        """Least IoUs."""
        default = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
        return default if self.sampler_options is None else self.sampler_options

    def sample(self, rows: Rows) -> Edit:
        """A whole-pixel WARP to the window."""
        things = things_of(self, rows)
        rows = replace(rows, things=Things(things))
        height, width = rows.size_hw.astype(np.int64).T
        box = np.stack([np.zeros_like(width), np.zeros_like(height), width, height], axis=1)
        open_rows = np.zeros(len(rows), bool)
        open_rows[things.row] = True
        for turn in range(_TURNS):
            if not open_rows.any():
                break
            option = rows.draws.integers(f"option {turn}", 0, len(self.options))
            least = np.array(self.options)[option]
            open_rows &= least < 1.0
            some = np.flatnonzero(open_rows)
            if len(some):
                found, windows = self._tried(rows.take(some), turn, least[some])
                box[some[found]] = windows[found]
                open_rows[some[found]] = False
        out_hw = np.stack([box[:, 3] - box[:, 1], box[:, 2] - box[:, 0]], axis=1)
        return crop(rows, box[:, 1], box[:, 0], out_hw.astype(np.int32), 0.0)

    def out_size(self, size: OutSize) -> OutSize:
        """Any."""
        return "variable"

    def _tried(self, rows: Rows, turn: int, least: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each row whether a window was found, and its first one, int64 [n, 4]."""
        unit = rows.draws.uniforms(f"windows {turn}", 4 * self.trials)
        unit = unit.reshape(len(rows), self.trials, 4)
        height, width = (rows.size_hw[:, i, None].astype(np.float64) for i in (0, 1))
        scale = self.min_scale + (self.max_scale - self.min_scale) * unit[..., :2]
        w, h = np.floor(width * scale[..., 0]), np.floor(height * scale[..., 1])
        left = np.floor((width - w) * unit[..., 2])
        top = np.floor((height - h) * unit[..., 3])
        windows = np.stack([left, top, left + w, top + h], axis=-1)
        ratio = w / np.maximum(h, 1)
        good = (w >= 1) & (h >= 1)
        good &= (ratio >= self.min_aspect_ratio) & (ratio <= self.max_aspect_ratio)
        good &= _best_iou(rows, windows) >= np.maximum(least, 0.0)[:, None]
        first = good.argmax(axis=1)
        return np.asarray(good.any(axis=1)), windows[np.arange(len(rows)), first].astype(np.int64)


_TINY = 1e-9
"""Added before cutting off decimals: a product that should be whole may lie just below."""
_TURNS = 64
"""Options drawn for a row; the chance that none of them is 1 and none succeeds is below 1e-4."""


def _best_iou(rows: Rows, windows: np.ndarray) -> np.ndarray:
    """float64 [n, T]: the largest IoU of a window with a box whose centre it holds; -1: none."""
    assert rows.things is not None
    boxes, row = rows.things.outlines.xyxy(), rows.things.outlines.row
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    start, end = windows[row][..., :2], windows[row][..., 2:]
    centre = (low + high) / 2
    holds = ((start < centre) & (centre < end)).all(axis=-1)
    common = np.maximum(np.minimum(high, end) - np.maximum(low, start), 0.0).prod(axis=-1)
    both = (high - low).prod(axis=-1) + (end - start).prod(axis=-1) - common
    iou = np.where(holds, common / both, -1.0)
    best = np.full(windows.shape[:2], -1.0)
    np.maximum.at(best, row, iou)
    return best


@final
@dataclass(frozen=True, repr=False)
class BBoxSafeCrop(EditOp):
    """Cut a window that holds all boxes, its edges uniform between theirs and the image's.

    An image without boxes loses up to half of each side.

    Args:
        size: (height, width) in px, or one number, to which the window is resized; None keeps it.
        interp: of the resize, antialiased.
    """

    size: int | tuple[int, int] | None = None
    interp: InterpName = "bilinear"
    moves = True
    looks = True
    interps = ("bilinear", "bicubic")

    def validate(self) -> None:
        """Check the size."""
        if self.size is not None:
            need_size(self, "size", self.size)

    def sample(self, rows: Rows) -> Edit:
        """A whole-pixel WARP, or a RESIZE of the window."""
        things = things_of(self, rows)
        low = np.full((len(rows), 2), np.inf)
        high = np.full((len(rows), 2), -np.inf)
        box = things.xyxy()
        np.minimum.at(low, things.row, box[:, :2])
        np.maximum.at(high, things.row, box[:, 2:])
        size = rows.size_hw[:, ::-1].astype(np.float64)
        unit = rows.draws.uniforms("edges", 4)
        none = ~np.isfinite(low)
        low, high = np.where(none, size / 4, low), np.where(none, size * 3 / 4, high)
        start = np.floor(low * unit[:, :2])
        end = np.ceil(size - (size - high) * unit[:, 2:])
        end = np.minimum(np.maximum(end, start + 1), size)
        start = np.minimum(start, end - 1)
        if self.size is not None:
            out_hw = constant_hw(rows, pair_of(self.size))
            return resize(rows, np.concatenate([start, end], axis=1), out_hw, self.interp)
        out_hw = (end - start)[:, ::-1].astype(np.int32)
        return crop(rows, start[:, 1], start[:, 0], out_hw, 0.0)

    def out_size(self, size: OutSize) -> OutSize:
        """Fixed, or any."""
        return "variable" if self.size is None else pair_of(self.size)


@final
@dataclass(frozen=True, repr=False)
class RandomZoomOut(EditOp):
    """Put the image somewhere on a larger canvas (SSD's expansion, arXiv 1512.02325).

    Args:
        side_range: sides of the canvas as multiples of the image's, (low, high), both >= 1.
        fill: level(s) around the image, in image units.
        p: chance, 0.5 unless given.
    """

    side_range: Span = (1.0, 4.0)
    fill: Fill = 0.0
    p: float = field(default=0.5, kw_only=True)
    moves = True

    def validate(self) -> None:
        """Check the range."""
        need_span(self, "side_range", self.side_range, 1.0, 64.0)

    def sample(self, rows: Rows) -> Edit:
        """A whole-pixel WARP onto the canvas."""
        low, high = span(self.side_range)
        side = rows.draws.uniform("side", low, high)
        out_hw = np.floor(rows.size_hw * side[:, None]).astype(np.int64)
        room = out_hw - rows.size_hw
        top = np.floor(room[:, 0] * rows.draws.uniform("top"))
        left = np.floor(room[:, 1] * rows.draws.uniform("left"))
        return crop(rows, -top, -left, out_hw.astype(np.int32), self.fill)

    def out_size(self, size: OutSize) -> OutSize:
        """Any."""
        return "variable"


@final
@dataclass(frozen=True, repr=False)
class ScaleJitter(EditOp):
    """Resize so that the image fits a target, times a drawn factor (Ghiasi et al. 2020, arXiv
    2012.07177): "large scale jittering" with the default range.

    Args:
        target_size: (height, width) in px, or one number.
        scale_range: the factor, (low, high).
        interp: antialiased.
    """

    target_size: int | tuple[int, int]
    scale_range: Span = (0.1, 2.0)
    interp: InterpName = "bilinear"
    moves = True
    interps = ("bilinear", "bicubic")

    def validate(self) -> None:
        """Check size and range."""
        need_size(self, "target_size", self.target_size)
        need_span(self, "scale_range", self.scale_range, 1e-3, 64.0)

    def sample(self, rows: Rows) -> Edit:
        """A RESIZE of the whole image."""
        low, high = span(self.scale_range)
        fit = (np.array(pair_of(self.target_size)) / rows.size_hw).min(axis=1)
        scale = fit * rows.draws.uniform("scale", low, high)
        exact = rows.size_hw * scale[:, None] + _TINY
        out_hw = np.maximum(np.floor(exact), 1).astype(np.int32)
        return resize(rows, whole(rows), out_hw, self.interp)

    def out_size(self, size: OutSize) -> OutSize:
        """Any."""
        return "variable"


@final
@dataclass(frozen=True, repr=False)
class LongestSide(EditOp):
    """Resize so that the longer side has a given length; the other one follows, rounded.

    Args:
        size: px.
        interp: antialiased.
    """

    size: int
    interp: InterpName = "bilinear"
    moves = True
    interps = ("bilinear", "bicubic")

    def validate(self) -> None:
        """Check the size."""
        need_size(self, "size", self.size)

    def sample(self, rows: Rows) -> Edit:
        """A RESIZE of the whole image."""
        longest = rows.size_hw.max(axis=1, keepdims=True).astype(np.float64)
        out_hw = np.maximum(np.floor(rows.size_hw * self.size / longest + 0.5), 1)
        return resize(rows, whole(rows), out_hw.astype(np.int32), self.interp)

    def out_size(self, size: OutSize) -> OutSize:
        """Equal for equal inputs."""
        return "uniform" if isinstance(size, tuple) else size


@final
@dataclass(frozen=True, repr=False)
class FixedSizeCrop(EditOp):
    """Cut a window at a drawn place where the image is larger, pad right and below where it is not.

    Args:
        size: px, or (height, width).
        fill: level(s) of what is added, in image units.
    """

    size: int | tuple[int, int]
    fill: Fill = 0.0
    moves = True
    asked = (("top", 1), ("left", 1))

    def validate(self) -> None:
        """Check the size."""
        need_size(self, "size", self.size)

    def sample(self, rows: Rows) -> Edit:
        """A whole-pixel WARP."""
        out_hw = constant_hw(rows, pair_of(self.size))
        room = np.maximum(rows.size_hw.astype(np.int64) - out_hw, 0)
        top = rows.draws.integers("top", 0, room[:, 0] + 1)
        left = rows.draws.integers("left", 0, room[:, 1] + 1)
        return crop(rows, top, left, out_hw, self.fill)

    def out_size(self, size: OutSize) -> OutSize:
        """Fixed."""
        return pair_of(self.size)


@final
@dataclass(frozen=True, repr=False)
class RandomPhotometricDistort(EditOp):
    """SSD's colours (arXiv 1512.02325) by chance: brightness, contrast, saturation, hue, channels.

    Contrast stands before or behind saturation and hue, with equal chance. Last, red, green and
    blue change places: all six orders are equally likely, that of the image among them. So do
    torchvision's, alpha with them.

    Args:
        brightness: factor range.
        contrast: factor range.
        saturation: factor range.
        hue: turns, within -0.5 .. 0.5.
        each: chance of each of the five.
    """

    brightness: Span = (0.875, 1.125)
    contrast: Span = (0.5, 1.5)
    saturation: Span = (0.5, 1.5)
    hue: Span = (-0.05, 0.05)
    each: float = 0.5

    def validate(self) -> None:
        """Check the ranges."""
        for name in ("brightness", "contrast", "saturation"):
            need_span(self, name, getattr(self, name), 0.0, 1e4)
        need_span(self, "hue", self.hue, -0.5, 0.5)
        need(self, 0 <= self.each <= 1, "each must lie in 0 .. 1", self.each)

    def sample(self, rows: Rows) -> Edit:
        """Six slots, of which contrast has two."""
        early = rows.draws.bernoulli("contrast early", 0.5)
        parts = [
            self._part(rows, "brightness", Code.BRIGHTNESS, True),
            self._part(rows, "contrast", Code.CONTRAST, early),
            self._part(rows, "saturation", Code.SATURATION, True),
            self._part(rows, "hue", Code.HUE, True),
            self._part(rows, "contrast", Code.CONTRAST, ~early),
            self._exchange(rows),
        ]
        return Edit.chain(parts)

    def _part(self, rows: Rows, name: str, code: Code, here: np.ndarray | bool) -> Edit:
        low, high = span(getattr(self, name))
        happens = rows.draws.bernoulli(f"whether {name}", self.each) & here
        value = rows.draws.uniform(name, low, high)
        return slot(rows, np.where(happens, code, Code.NOTHING), np.where(happens, value, 0.0))

    def _exchange(self, rows: Rows) -> Edit:
        happens = rows.draws.bernoulli("whether channels", self.each)
        order = np.where(happens, rows.draws.permutation("channels", 3).T, 0)
        return slot(rows, np.where(happens, Code.CHANNELS, Code.NOTHING), *order)
