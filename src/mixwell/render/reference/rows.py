"""`Rows`: the images between two ops, one stack while their sizes agree, else a list."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mixwell._errors import RenderError
from mixwell.render.images import TOP, Kind


@dataclass(frozen=True)
class Rows:
    """Images in their working form.

    Attributes:
        images: a tensor [N, C, H, W], or a list of tensors [C, H, W] when sizes differ. uint8 for
            kind "uint8", int32 for "uint16", float32 for "float" and for all loose rows.
        kind: what the numbers mean.
        loose: float32 numbers in the kind's own units (0 .. 255 for uint8) that were not rounded
            and may lie outside the range.
    """

    images: Tensor | list[Tensor]
    kind: Kind
    loose: bool = False

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.images)

    @property
    def integer(self) -> bool:
        """Whether arithmetic is done in integers."""
        return self.kind != "float" and not self.loose

    @property
    def limit(self) -> float | None:
        """Results are clipped to 0 .. limit; None: not clipped."""
        return None if self.loose else TOP[self.kind]

    def take(self, rows: np.ndarray) -> Tensor:
        """Some rows, all of one size, as a tensor [n, C, H, W]."""
        if isinstance(self.images, list):
            return torch.stack([self.images[i] for i in rows])
        if len(rows) == len(self) and (rows == np.arange(len(rows))).all():
            return self.images
        return self.images.index_select(0, index(rows, self.images))

    def replaced(self, parts: list[tuple[np.ndarray, Tensor]]) -> Rows:
        """New rows in place of some of the old ones; each part is (rows, tensor [n, C, H, W])."""
        if not parts:
            return self
        shapes = {tuple(part.shape[1:]) for _, part in parts}
        covered = sum(len(rows) for rows, _ in parts) == len(self)
        if covered and len(parts) == 1 and (np.diff(parts[0][0]) > 0).all():
            return replace(self, images=parts[0][1])
        old = self.images
        if not isinstance(old, list) and not covered and shapes == {tuple(old.shape[1:])}:
            return replace(self, images=_scattered(old.clone(), parts))
        if covered and len(shapes) == 1:
            first = parts[0][1]
            return replace(
                self, images=_scattered(first.new_empty((len(self), *first.shape[1:])), parts)
            )
        images = list(old)
        for rows, part in parts:
            for i, image in zip(rows, part, strict=True):
                images[i] = image
        return replace(self, images=together(images))

    def loosened(self) -> Rows:
        """The same rows as float32 numbers that ops neither round nor clip."""
        if self.loose:
            return self
        if isinstance(self.images, list):
            return replace(self, images=[i.float() for i in self.images], loose=True)
        return replace(self, images=self.images.float(), loose=True)


def together(images: list[Tensor]) -> Tensor | list[Tensor]:
    """One stack if sizes agree, else the list."""
    if images and len({i.shape for i in images}) == 1:
        return torch.stack(images)
    return images


def working(images: Tensor | list[Tensor], kind: Kind) -> Rows:
    """Rows from images as they came: int32 for uint16, float32 for floats, contiguous."""
    dtype = {"uint8": torch.uint8, "uint16": torch.int32, "float": torch.float32}[kind]
    if isinstance(images, list):
        return Rows(together([i.to(dtype).contiguous() for i in images]), kind)
    return Rows(images.to(dtype).contiguous(), kind)


def index(rows: np.ndarray, like: Tensor) -> Tensor:
    """int64 indices on a tensor's device."""
    return torch.from_numpy(np.asarray(rows, np.int64)).to(like.device)


def colours(fill: np.ndarray, rows: Rows, images: Tensor) -> Tensor:
    """Fills as a tensor [n, C, 1, 1] in the rows' working dtype, rounded and clipped if integer.

    Args:
        fill: float32 [n, 4], in the image's units.
        rows: where the images come from.
        images: tensor [n, C, H, W].

    Raises:
        RenderError: more than four channels and a fill that differs between channels.
    """
    channels = images.shape[1]
    if channels > 4:
        odd = np.flatnonzero((fill != fill[:, :1]).any(axis=1))
        if len(odd):
            raise RenderError(
                f"a fill has 4 channels and the image has {channels}; only a grey fill can serve, "
                f"got {fill[odd[0]].tolist()}. Use one number as fill."
            )
        fill = np.repeat(fill[:, :1], channels, axis=1)
    fill = fill[:, :channels]
    if rows.integer:
        fill = np.clip(np.rint(fill), 0, TOP[rows.kind])
    return torch.from_numpy(np.ascontiguousarray(fill)).to(images.device, images.dtype)[
        :, :, None, None
    ]


def _scattered(out: Tensor, parts: list[tuple[np.ndarray, Tensor]]) -> Tensor:
    for rows, part in parts:
        out.index_copy_(0, index(rows, out), part)
    return out
