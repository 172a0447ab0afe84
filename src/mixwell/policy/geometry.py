"""Ops that cut, pad, resize and mirror. Targets follow by the same matrices and boxes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from mixwell._errors import PolicyError
from mixwell.plan import geometry as g
from mixwell.plan.steps import Code, Edit
from mixwell.policy.base import EditOp, OutSize, Rows
from mixwell.policy.fields import Fill, InterpName, need, need_size, need_span, pair_of, span
from mixwell.policy.slots import slot, warp


def constant_hw(rows: Rows, size: tuple[int, int]) -> np.ndarray:
    """int32 [N, 2] with the same size in every row."""
    return np.broadcast_to(np.asarray(size, np.int32), (len(rows), 2)).copy()


def crop(rows: Rows, top: np.ndarray, left: np.ndarray, out_hw: np.ndarray, fill: Fill) -> Edit:
    """Cut (or, outside the image, pad) by whole pixels."""
    return warp(rows, g.shift(-1.0 * left, -1.0 * top), out_hw=out_hw, fill=fill)


def resize(rows: Rows, box: np.ndarray, out_hw: np.ndarray, interp: InterpName) -> Edit:
    """Antialiased resize of a box float64 [N, 4] (x0 y0 x1 y1)."""
    return slot(rows, Code.RESIZE, *np.moveaxis(box, 1, 0), out_hw=out_hw, interp=interp)


def whole(rows: Rows) -> np.ndarray:
    """The box of each whole image, float64 [N, 4]."""
    h, w = rows.size_hw[:, 0].astype(float), rows.size_hw[:, 1].astype(float)
    return np.stack([np.zeros_like(w), np.zeros_like(h), w, h], axis=1)


@final
@dataclass(frozen=True, repr=False)
class Identity(EditOp):
    """Leaves the image as it is."""

    def sample(self, rows: Rows) -> Edit:
        """Nothing, for every row."""
        return Edit.nothing(rows.size_hw)


@final
@dataclass(frozen=True, repr=False)
class Resize(EditOp):
    """Resize the whole image.

    Args:
        size: (height, width) in px, or one number for the shorter side, the longer one following
            as int(size * long / short) like torchvision.
        interp: "bilinear" or "bicubic" ("nearest" only without antialias).
        antialias: average over the source area when shrinking, as Pillow does (bit for bit).
    """

    size: int | tuple[int, int]
    interp: InterpName = "bilinear"
    antialias: bool = True
    moves = True

    def validate(self) -> None:
        """Check size and interpolation."""
        need_size(self, "size", self.size)
        good = self.interp in ("bilinear", "bicubic") or not self.antialias
        need(self, good, 'interp must be "bilinear" or "bicubic"', self.interp)

    def target_hw(self, rows: Rows) -> np.ndarray:
        """int32 [N, 2], the size of each row afterwards."""
        if isinstance(self.size, tuple):
            return constant_hw(rows, self.size)
        short = rows.size_hw.min(axis=1, keepdims=True)
        scaled = (self.size * rows.size_hw.astype(np.int64)) // short
        return np.where(rows.size_hw == short, self.size, scaled).astype(np.int32)

    def sample(self, rows: Rows) -> Edit:
        """A RESIZE of the whole image, or a scaling WARP without antialias."""
        out_hw = self.target_hw(rows)
        if self.antialias:
            return resize(rows, whole(rows), out_hw, self.interp)
        scale = rows.size_hw / out_hw
        m = g.matrix(len(rows), {(0, 0): scale[:, 1], (1, 1): scale[:, 0]})
        return warp(rows, m, out_hw=out_hw, interp=self.interp)

    def out_size(self, size: OutSize) -> OutSize:
        """Fixed for (height, width)."""
        if isinstance(self.size, tuple):
            return self.size
        return size if isinstance(size, str) else "uniform"


@final
@dataclass(frozen=True, repr=False)
class CenterCrop(EditOp):
    """Cut the middle out; images that are smaller are padded with `fill`.

    Args:
        size: px, or (height, width).
        fill: level(s) in image units.
    """

    size: int | tuple[int, int]
    fill: Fill = 0.0
    moves = True

    def validate(self) -> None:
        """Check the size."""
        need_size(self, "size", self.size)

    def sample(self, rows: Rows) -> Edit:
        """A whole-pixel WARP; odd differences round as torchvision's."""
        out_hw = constant_hw(rows, pair_of(self.size))
        room = rows.size_hw - out_hw
        start = np.where(room >= 0, np.rint(room / 2.0), -((-room) // 2)).astype(np.int64)
        return crop(rows, start[:, 0], start[:, 1], out_hw, self.fill)

    def out_size(self, size: OutSize) -> OutSize:
        """Fixed."""
        return pair_of(self.size)


@final
@dataclass(frozen=True, repr=False)
class Pad(EditOp):
    """Add a border.

    Args:
        padding: px on all sides, (x, y), or (left, top, right, bottom).
        fill: level(s) in image units.
    """

    padding: int | tuple[int, ...]
    fill: Fill = 0.0
    moves = True

    def validate(self) -> None:
        """Check the padding."""
        sides = self.padding if isinstance(self.padding, tuple) else (self.padding,)
        good = len(sides) in (1, 2, 4) and all(isinstance(v, int) and v >= 0 for v in sides)
        need(self, good, "padding must be px >= 0, (x, y) or (left, top, right, bottom)", sides)

    def ltrb(self) -> tuple[int, int, int, int]:
        """Padding of the four sides."""
        sides = self.padding if isinstance(self.padding, tuple) else (self.padding,)
        left, top, right, bottom = (sides * (4 // len(sides)))[:4]
        return left, top, right, bottom

    def sample(self, rows: Rows) -> Edit:
        """A whole-pixel WARP onto a larger canvas."""
        left, top, right, bottom = self.ltrb()
        out_hw = rows.size_hw + np.array([top + bottom, left + right], np.int32)
        n = len(rows)
        return crop(rows, np.full(n, -top), np.full(n, -left), out_hw, self.fill)

    def out_size(self, size: OutSize) -> OutSize:
        """Grows a fixed size."""
        left, top, right, bottom = self.ltrb()
        if isinstance(size, tuple):
            return size[0] + top + bottom, size[1] + left + right
        return size


@final
@dataclass(frozen=True, repr=False)
class RandomCrop(EditOp):
    """Cut a window at a uniformly drawn place, after padding.

    Args:
        size: px, or (height, width).
        padding: px added on every side before cutting.
        fill: level(s) of what is added, in image units.
        pad_if_needed: pad images that are still too small instead of refusing them.

    Raises:
        PolicyError: at sampling, an image is smaller than the window.
    """

    size: int | tuple[int, int]
    padding: int = 0
    fill: Fill = 0.0
    pad_if_needed: bool = False
    moves = True
    asked = (("top", 1), ("left", 1))

    def validate(self) -> None:
        """Check size and padding."""
        need_size(self, "size", self.size)
        good = isinstance(self.padding, int) and self.padding >= 0
        need(self, good, "padding must be px >= 0", self.padding)

    def sample(self, rows: Rows) -> Edit:
        """A whole-pixel WARP to a drawn place."""
        out_hw = constant_hw(rows, pair_of(self.size))
        room = rows.size_hw.astype(np.int64) + 2 * self.padding - out_hw
        small = (room < 0).any(axis=1)
        if small.any() and not self.pad_if_needed:
            row = int(np.flatnonzero(small)[0])
            h, w = rows.size_hw[row]
            raise PolicyError(
                f"RandomCrop({self.size}, padding={self.padding}) needs images at least as large "
                f"as its window, got {h}x{w} px in row {row}. Put Resize before it, or set "
                "pad_if_needed=True."
            )
        low, high = np.minimum(room, 0), np.maximum(room, 0)
        top = rows.draws.integers("top", low[:, 0], high[:, 0] + 1) - self.padding
        left = rows.draws.integers("left", low[:, 1], high[:, 1] + 1) - self.padding
        return crop(rows, top, left, out_hw, self.fill)

    def out_size(self, size: OutSize) -> OutSize:
        """Fixed."""
        return pair_of(self.size)


_ATTEMPTS = 10
_FIRST = 6
"""Attempts that are made for every row; few rows need more."""


def first_accepted(accepted: np.ndarray, *values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of the attempts [N, A], each row's first accepted one; and whether there was any."""
    first = accepted.argmax(axis=1)
    rows = np.arange(len(first))
    return np.asarray(accepted.any(axis=1)), *(v[rows, first] for v in values)


@final
@dataclass(frozen=True, repr=False)
class RandomResizedCrop(EditOp):
    """Cut a window of drawn area and aspect, resize it (Szegedy et al. 2014, arXiv 1409.4842).

    Ten attempts at a window inside the image, then the largest central one whose aspect is
    allowed, exactly as torchvision.

    Args:
        size: px, or (height, width), of the result.
        scale: share of the area, (low, high).
        ratio: width / height, (low, high), log-uniform.
        interp: "bilinear" or "bicubic", antialiased as Pillow's.
    """

    size: int | tuple[int, int]
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interp: InterpName = "bilinear"
    moves = True
    asked = (("area", _FIRST), ("ratio", _FIRST), ("top", 1), ("left", 1))

    def validate(self) -> None:
        """Check ranges."""
        need_size(self, "size", self.size)
        need_span(self, "scale", self.scale, 1e-6, 1.0)
        need_span(self, "ratio", self.ratio, 1e-3, 1e3)
        need(self, self.interp != "nearest", 'interp must be "bilinear" or "bicubic"', self.interp)

    def sample(self, rows: Rows) -> Edit:
        """A RESIZE from the drawn box."""
        found, w, h = self._windows(rows, _FIRST)
        if not found.all():
            late = np.flatnonzero(~found)
            found[late], w[late], h[late] = self._windows(rows.take(late), _ATTEMPTS)
        height, width = (rows.size_hw[:, i].astype(np.float64) for i in (0, 1))
        low, high = span(self.ratio)
        whole_w = np.minimum(width, np.maximum(np.rint(height * high), 1))
        whole_h = np.minimum(height, np.maximum(np.rint(width / low), 1))
        w, h = np.where(found, w, whole_w), np.where(found, h, whole_h)
        top = rows.draws.integers("top", 0, (height - h + 1).astype(np.int64))
        left = rows.draws.integers("left", 0, (width - w + 1).astype(np.int64))
        top = np.where(found, top, (height - h) // 2)
        left = np.where(found, left, (width - w) // 2)
        box = np.stack([left, top, left + w, top + h], axis=1)
        return resize(rows, box, constant_hw(rows, pair_of(self.size)), self.interp)

    def _windows(self, rows: Rows, attempts: int) -> tuple[np.ndarray, ...]:
        """Whether so many attempts found a window, and its width and height, px, float64 [N]."""
        height, width = (rows.size_hw[:, i].astype(np.float64)[:, None] for i in (0, 1))
        area = height * width * rows.draws.uniforms("area", attempts, *span(self.scale))
        ratio = np.exp(rows.draws.uniforms("ratio", attempts, *np.log(span(self.ratio))))
        w, h = np.rint(np.sqrt(area * ratio)), np.rint(np.sqrt(area / ratio))
        fits = (w >= 1) & (h >= 1) & (w <= width) & (h <= height)
        return first_accepted(fits, w, h)

    def out_size(self, size: OutSize) -> OutSize:
        """Fixed."""
        return pair_of(self.size)


@final
@dataclass(frozen=True, repr=False)
class HorizontalFlip(EditOp):
    """Mirror left and right: x -> W - x.

    Args:
        p: chance of a flip.
        alternating: each sample's first flip is drawn (chance 1/2), then it alternates from epoch
            to epoch, so that two epochs show both sides of every image (K. Jordan, "94% on
            CIFAR-10 in 3.29 Seconds on a Single A100", 2024, arXiv 2404.00498). Needs p = 0.5.
    """

    alternating: bool = False
    p: float = 0.5
    moves = True

    def validate(self) -> None:
        """Alternating flips have no other chance than one half."""
        good = self.p == 0.5 or not self.alternating
        need(self, good, "alternating flips happen every second epoch, so p must be 0.5", self.p)

    def gate(self, rows: Rows) -> np.ndarray:
        """Drawn each epoch, or once and then alternating."""
        if not self.alternating:
            return super().gate(rows)
        draws = rows.draws
        first = replace(draws, keys=replace(draws.keys, epoch=0)).bernoulli("first side", 0.5)
        return first ^ bool(draws.keys.epoch % 2)

    def sample(self, rows: Rows) -> Edit:
        """A mirroring WARP."""
        return warp(rows, g.flip(rows.size_hw, horizontal=True))


@final
@dataclass(frozen=True, repr=False)
class VerticalFlip(EditOp):
    """Mirror top and bottom: y -> H - y.

    Args:
        p: chance of a flip.
    """

    p: float = 0.5
    moves = True

    def sample(self, rows: Rows) -> Edit:
        """A mirroring WARP."""
        return warp(rows, g.flip(rows.size_hw, horizontal=False))
