"""`Rows`: the images between two ops, one stack while their sizes agree, else a list."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mixwell._errors import RenderError
from mixwell.render.images import TOP, Kind

_DTYPE: dict[str, torch.dtype] = {
    "uint8": torch.uint8,
    "uint16": torch.int32,
    "float": torch.float32,
}


@dataclass(frozen=True)
class Numbers:
    """How the numbers of some rows are treated.

    Attributes:
        kind: what they mean.
        loose: float32 in the kind's own units (0 .. 255 for uint8), not rounded, perhaps outside
            the range.
    """

    kind: Kind
    loose: bool = False

    @property
    def integer(self) -> bool:
        """Whether arithmetic is done in integers."""
        return self.kind != "float" and not self.loose

    @property
    def limit(self) -> float | None:
        """Results are clipped to 0 .. limit; None: not clipped."""
        return None if self.loose else TOP[self.kind]

    @property
    def dtype(self) -> torch.dtype:
        """uint8 for kind "uint8", int32 for "uint16", float32 for "float" and for loose rows."""
        return torch.float32 if self.loose else _DTYPE[self.kind]


@dataclass(frozen=True, eq=False)
class Rows:
    """Images in their working form.

    Attributes:
        images: a tensor [N, C, H, W], or a list of tensors [C, H, W] when sizes differ. float32
            once any row is loose, when the others hold whole numbers; else `Numbers.dtype`.
        kind: what the numbers mean.
        loose: bool [N], see `Numbers`; never asked of a row's neighbours.
    """

    images: Tensor | list[Tensor]
    kind: Kind
    loose: np.ndarray

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.images)

    def take(self, rows: np.ndarray, numbers: Numbers) -> Tensor:
        """Some rows, all of one size, as a tensor [n, C, H, W] of the numbers' dtype."""
        if isinstance(self.images, list):
            return torch.stack([self.images[i] for i in rows]).to(numbers.dtype)
        if len(rows) == len(self) and (rows == np.arange(len(rows))).all():
            return self.images.to(numbers.dtype)
        return self.images.index_select(0, index(rows, self.images)).to(numbers.dtype)

    def replaced(self, parts: list[tuple[np.ndarray, Tensor]], loose: np.ndarray) -> Rows:
        """New rows in place of some of the old ones.

        Args:
            parts: pairs (rows, tensor [n, C, H, W]).
            loose: bool [N], which rows are loose from now on.
        """
        if not parts:
            return self
        dtype = Numbers(self.kind, bool(loose.any())).dtype
        parts = [(rows, part.to(dtype)) for rows, part in parts]
        shapes = {tuple(part.shape[1:]) for _, part in parts}
        covered = sum(len(rows) for rows, _ in parts) == len(self)
        if covered and len(shapes) == 1:
            rows, first = parts[0]
            if len(parts) == 1 and (np.diff(rows) > 0).all():
                return Rows(first, self.kind, loose)
            blank = first.new_empty((len(self), *first.shape[1:]))
            return Rows(_scattered(blank, parts), self.kind, loose)
        old = self.images
        if not isinstance(old, list) and shapes == {tuple(old.shape[1:])}:
            return Rows(_scattered(old.to(dtype, copy=True), parts), self.kind, loose)
        images = [image.to(dtype) for image in old]
        for rows, part in parts:
            for i, image in zip(rows, part, strict=True):
                images[i] = image
        return Rows(together(images), self.kind, loose)


def together(images: list[Tensor]) -> Tensor | list[Tensor]:
    """One stack if sizes agree, else the list."""
    if images and len({i.shape for i in images}) == 1:
        return torch.stack(images)
    return images


def working(images: Tensor | list[Tensor], kind: Kind) -> Rows:
    """Rows from images as they came: int32 for uint16, float32 for floats, contiguous."""
    dtype = _DTYPE[kind]
    tight = np.zeros(len(images), bool)
    if isinstance(images, list):
        return Rows(together([i.to(dtype).contiguous() for i in images]), kind, tight)
    return Rows(images.to(dtype).contiguous(), kind, tight)


def index(rows: np.ndarray, like: Tensor) -> Tensor:
    """int64 indices on a tensor's device."""
    return torch.from_numpy(np.asarray(rows, np.int64)).to(like.device)


def rectangles(rect_px: np.ndarray, like: Tensor) -> Tensor:
    """bool [n, 1, H, W]: pixels inside x0 y0 x1 y1.

    Args:
        rect_px: whole numbers [n, 4].
        like: a tensor [..., H, W].
    """
    x0, y0, x1, y1 = index(rect_px, like).T[:, :, None]
    x, y = (torch.arange(size, device=like.device) for size in like.shape[:-3:-1])
    in_x, in_y = (x >= x0) & (x < x1), (y >= y0) & (y < y1)
    return (in_y[:, :, None] & in_x[:, None, :])[:, None]


def doubled(images: Tensor) -> Tensor:
    """The images in float64; on the CPU where the device has none (Apple's MPS)."""
    return (images.cpu() if images.device.type == "mps" else images).double()


def colours(fill: np.ndarray, numbers: Numbers, images: Tensor) -> Tensor:
    """Fills as a tensor [n, C, 1, 1] in the images' dtype, rounded half to even if integer.

    Args:
        fill: float32 [n, 4], in the image's units.
        numbers: how the images' numbers are treated.
        images: tensor [n, C, H, W].

    Raises:
        RenderError: a fill outside the images' range, or in parts of 1 where the images count
            levels; more than four channels and a fill that differs between channels.
    """
    fill = by_channel(fill, images.shape[1])
    _check_fill(fill, numbers.kind)
    if numbers.integer:
        fill = np.rint(fill)
    return torch.from_numpy(fill).to(images.device, images.dtype)[:, :, None, None]


def by_channel(fill: np.ndarray, channels: int) -> np.ndarray:
    """Fills float32 [n, 4] for that many channels, [n, C]; beyond four they must be grey."""
    if channels > 4:
        odd = np.flatnonzero((fill != fill[:, :1]).any(axis=1))
        if len(odd):
            raise RenderError(
                f"a fill has 4 channels and the image has {channels}; only a grey fill can serve, "
                f"got {fill[odd[0]].tolist()}. Use one number as fill."
            )
        fill = np.repeat(fill[:, :1], channels, axis=1)
    return np.ascontiguousarray(fill[:, :channels])


def in_parts_of_one(fill: np.ndarray) -> np.ndarray:
    """bool [n]: colours that were meant for float images, no number above 1 and some below it.

    A colour such as (0.4, 90, 130), the mean of dark images, is in levels; below half a level of
    255 (torchvision's profiles write a given black as 1e-9) both readings are black.
    """
    return np.logical_and(((fill > 1 / 510) & (fill < 1)).any(axis=1), (fill <= 1).all(axis=1))


def _check_fill(fill: np.ndarray, kind: Kind) -> None:
    top = TOP[kind]
    bad = fill[~((fill >= 0) & (fill <= top))]
    if not len(bad):
        parts = fill[in_parts_of_one(fill)]
        if kind != "float" and len(parts):
            _refuse_parts(parts[0], kind)
        return
    if kind == "float":
        raise RenderError(
            f"fills of float images must lie in 0 .. 1, got {bad[0]:g}. Give fill=0.5 for grey, or "
            "pass uint8 images."
        )
    raise RenderError(
        f"fills of {kind} images must lie in 0 .. {top:g}, got {bad[0]:g}. Give a fill in the "
        "image's own units."
    )


def _refuse_parts(colour: np.ndarray, kind: Kind) -> None:
    grey = (colour == colour[0]).all()
    text, levels = (
        f"{numbers[0]:g}" if grey else f"({', '.join(f'{c:g}' for c in numbers)})"
        for numbers in (colour, np.rint(colour * TOP[kind]))
    )
    raise RenderError(
        f"fills of {kind} images are levels, 0 .. {TOP[kind]:g}, got {text}, which is black to "
        f"within a level. Give fill={levels} if parts of 1 were meant, or pass float images."
    )


def _scattered(out: Tensor, parts: list[tuple[np.ndarray, Tensor]]) -> Tensor:
    for rows, part in parts:
        out.index_copy_(0, index(rows, out), part)
    return out
