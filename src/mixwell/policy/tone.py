"""Ops that change levels and leave every pixel where it is.

Factors are Pillow's `ImageEnhance` factors: 1 leaves the image as it is, 0 goes all the way to
black (brightness), mean grey (contrast), grey (saturation) or smoothed (sharpness), and more than
1 overshoots. A range is drawn uniformly for each row; one number is used as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from mixwell.plan.steps import Code, Edit
from mixwell.policy.base import EditOp, Rows
from mixwell.policy.fields import Span, need, need_span, span
from mixwell.policy.slots import slot


def _factor(op: Brightness | Contrast | Saturation | Sharpness, rows: Rows, code: Code) -> Edit:
    return slot(rows, code, rows.draws.uniform("factor", *span(op.factor)))


@final
@dataclass(frozen=True, repr=False)
class Brightness(EditOp):
    """Blend with black.

    Args:
        factor: (low, high) or one number, >= 0.
    """

    factor: Span

    def validate(self) -> None:
        """Check the range."""
        need_span(self, "factor", self.factor, 0.0, 1e4)

    def sample(self, rows: Rows) -> Edit:
        """A BRIGHTNESS slot."""
        return _factor(self, rows, Code.BRIGHTNESS)


@final
@dataclass(frozen=True, repr=False)
class Contrast(EditOp):
    """Blend with the image's mean grey level.

    Args:
        factor: (low, high) or one number, >= 0.
    """

    factor: Span

    def validate(self) -> None:
        """Check the range."""
        need_span(self, "factor", self.factor, 0.0, 1e4)

    def sample(self, rows: Rows) -> Edit:
        """A CONTRAST slot."""
        return _factor(self, rows, Code.CONTRAST)


@final
@dataclass(frozen=True, repr=False)
class Saturation(EditOp):
    """Blend with the grey image (`Color` in Pillow and AutoAugment).

    Args:
        factor: (low, high) or one number, >= 0.
    """

    factor: Span

    def validate(self) -> None:
        """Check the range."""
        need_span(self, "factor", self.factor, 0.0, 1e4)

    def sample(self, rows: Rows) -> Edit:
        """A SATURATION slot."""
        return _factor(self, rows, Code.SATURATION)


@final
@dataclass(frozen=True, repr=False)
class Sharpness(EditOp):
    """Blend with the smoothed image; above 1 sharpens.

    Args:
        factor: (low, high) or one number, >= 0.
    """

    factor: Span

    def validate(self) -> None:
        """Check the range."""
        need_span(self, "factor", self.factor, 0.0, 1e4)

    def sample(self, rows: Rows) -> Edit:
        """A SHARPNESS slot."""
        return _factor(self, rows, Code.SHARPNESS)


@final
@dataclass(frozen=True, repr=False)
class Hue(EditOp):
    """Turn the hue, as torchvision's tensor path does.

    Args:
        shift: turns (low, high) within -0.5 .. 0.5; one number v means (-v, v).
    """

    shift: Span

    def validate(self) -> None:
        """Check the range."""
        need_span(self, "shift", self.shift, -0.5, 0.5)

    def sample(self, rows: Rows) -> Edit:
        """A HUE slot."""
        return slot(rows, Code.HUE, rows.draws.uniform("shift", *span(self.shift, symmetric=True)))


@final
@dataclass(frozen=True, repr=False)
class ColorJitter(EditOp):
    """Brightness, contrast, saturation and hue in an order drawn for each row.

    Args:
        brightness: factor range (low, high); one number v means (max(0, 1 - v), 1 + v).
        contrast: likewise.
        saturation: likewise.
        hue: turns (low, high) within -0.5 .. 0.5; one number v means (-v, v).
    """

    brightness: Span = 0.0
    contrast: Span = 0.0
    saturation: Span = 0.0
    hue: Span = 0.0

    def validate(self) -> None:
        """Check the ranges."""
        for name in ("brightness", "contrast", "saturation"):
            need_span(self, name, getattr(self, name), 0.0, 1e4)
        need_span(self, "hue", self.hue, -0.5, 0.5)

    def sample(self, rows: Rows) -> Edit:
        """Four slots, permuted row by row; parts that change nothing stay empty."""
        draws = rows.draws
        parts = []
        for name, code in (
            ("brightness", Code.BRIGHTNESS),
            ("contrast", Code.CONTRAST),
            ("saturation", Code.SATURATION),
        ):
            value = getattr(self, name)
            low, high = value if isinstance(value, tuple) else (max(0.0, 1 - value), 1 + value)
            active = (low, high) != (1.0, 1.0)
            code = code if active else Code.NOTHING
            parts.append(slot(rows, code, draws.uniform(name, low, high) if active else 0.0))
        low, high = span(self.hue, symmetric=True)
        active = (low, high) != (0.0, 0.0)
        code = Code.HUE if active else Code.NOTHING
        parts.append(slot(rows, code, draws.uniform("hue", low, high) if active else 0.0))
        order = draws.permutation("order", len(parts))
        return Edit.chain(parts).take((np.arange(len(rows))[:, None], order))  # type: ignore[arg-type]


@final
@dataclass(frozen=True, repr=False)
class Grayscale(EditOp):
    """Every channel becomes the pixel's grey level (ITU-R 601, Pillow's `L`)."""

    def sample(self, rows: Rows) -> Edit:
        """A GRAYSCALE slot."""
        return slot(rows, Code.GRAYSCALE)


@final
@dataclass(frozen=True, repr=False)
class Posterize(EditOp):
    """Keep the highest bits of each level.

    Args:
        bits: 0 .. 8, or (low, high) drawn as whole numbers, both ends included; 0 is black.
    """

    bits: int | tuple[int, int]

    def validate(self) -> None:
        """Check the range."""
        need_span(self, "bits", self.bits, 0, 8)
        whole = all(v == int(v) for v in span(self.bits))
        need(self, whole, "bits must be whole numbers", self.bits)

    def sample(self, rows: Rows) -> Edit:
        """A POSTERIZE slot."""
        low, high = (int(v) for v in span(self.bits))
        return slot(rows, Code.POSTERIZE, rows.draws.integers("bits", low, high + 1))


@final
@dataclass(frozen=True, repr=False)
class Solarize(EditOp):
    """Invert every level that is at least the threshold.

    Args:
        threshold: on the 8-bit scale, 0 .. 256, (low, high) or one number; 256 changes nothing.
            Float images use threshold / 255.
    """

    threshold: Span

    def validate(self) -> None:
        """Check the range."""
        need_span(self, "threshold", self.threshold, 0, 256)

    def sample(self, rows: Rows) -> Edit:
        """A SOLARIZE slot."""
        return slot(rows, Code.SOLARIZE, rows.draws.uniform("threshold", *span(self.threshold)))


@final
@dataclass(frozen=True, repr=False)
class Invert(EditOp):
    """level -> highest level - level."""

    def sample(self, rows: Rows) -> Edit:
        """An INVERT slot."""
        return slot(rows, Code.INVERT)


@final
@dataclass(frozen=True, repr=False)
class AutoContrast(EditOp):
    """Stretch each channel to the full range."""

    def sample(self, rows: Rows) -> Edit:
        """An AUTOCONTRAST slot."""
        return slot(rows, Code.AUTOCONTRAST)


@final
@dataclass(frozen=True, repr=False)
class Equalize(EditOp):
    """Flatten each channel's histogram, as Pillow's `ImageOps.equalize`."""

    def sample(self, rows: Rows) -> Edit:
        """An EQUALIZE slot."""
        return slot(rows, Code.EQUALIZE)


@final
@dataclass(frozen=True, repr=False)
class GaussianBlur(EditOp):
    """Blur with a Gaussian kernel, edges reflected.

    Args:
        sigma: standard deviation, px, (low, high) or one number, > 0.
        kernel_size: side, px, odd; None takes the smallest that reaches three sigma.
    """

    sigma: Span = (0.1, 2.0)
    kernel_size: int | None = None

    def validate(self) -> None:
        """Check ranges."""
        need_span(self, "sigma", self.sigma, 1e-3, 40.0)
        size = self.kernel_size
        good = size is None or (size % 2 == 1 and 1 <= size <= 255)
        need(self, good, "kernel_size must be odd, 1 .. 255 px", size)

    def sample(self, rows: Rows) -> Edit:
        """A BLUR slot."""
        sigma = rows.draws.uniform("sigma", *span(self.sigma))
        size = self.kernel_size or 2 * np.ceil(3 * sigma) + 1
        return slot(rows, Code.BLUR, sigma, size)


@final
@dataclass(frozen=True, repr=False)
class GaussianNoise(EditOp):
    """Add independent normal noise to every value, clipped to the image's range.

    Args:
        std: standard deviation as a share of the full range, (low, high) or one number, 0 .. 1.
    """

    std: Span = 0.1

    def validate(self) -> None:
        """Check the range."""
        need_span(self, "std", self.std, 0.0, 1.0)

    def sample(self, rows: Rows) -> Edit:
        """A NOISE slot with a key for its pixels."""
        std = rows.draws.uniform("std", *span(self.std))
        return slot(rows, Code.NOISE, std, key=rows.draws.pixel_key("pixels"))
