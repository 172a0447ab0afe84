"""The form in which batches leave the Loader: torch or NumPy, and on which device."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from mixwell._bytes import native
from mixwell.augment import Planned
from mixwell.samples import Several


def planned_as(planned: Planned, *, numpy: bool) -> Planned:
    """A planned batch whose images and labels are torch's, or NumPy's."""
    images = _each(planned.images, as_array if numpy else _as_tensor)
    change = _numbers if numpy else _tensor
    return planned._replace(images=images, labels=mapped(planned.labels, change))


def _each(images: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(images, Several):
        return Several(tuple(_each(item, change) for item in images.items))
    return [change(image) for image in images] if isinstance(images, list) else change(images)


def as_array(image: Any) -> Any:
    """Images as NumPy arrays with the channels last; a PIL image as `mixwell.render` takes it."""
    if isinstance(image, torch.Tensor):
        return image.movedim(-3, -1).contiguous().numpy(force=True)
    if hasattr(image, "convert") and image.mode not in ("I", "F"):
        kept = image.mode in ("L", "RGB", "RGBA") or image.mode.startswith("I;16")
        return np.array(image if kept else image.convert("RGB"))
    return image


def arrays_of(images: Any) -> Any:
    """Rendered images, a tensor or a list, as NumPy arrays with the channels last."""
    return _each(images, as_array)


def _as_tensor(image: Any) -> Any:
    """Channels before rows and columns; PIL images stay, the renderer makes tensors of them."""
    if not isinstance(image, np.ndarray):
        return image
    image = image[..., None] if image.ndim == 2 else image
    return torch.from_numpy(np.array(image)).movedim(-1, -3)


def _tensor(leaf: Any) -> Any:
    numbers = isinstance(leaf, np.ndarray) and leaf.dtype.kind in "biufc"  # names stay arrays
    return torch.from_numpy(native(leaf)) if numbers else leaf


def _numbers(leaf: Any) -> Any:
    return leaf.numpy(force=True) if isinstance(leaf, torch.Tensor) else leaf


def put_on(batch: Any, *, numpy: bool, pinned: bool) -> Any:
    """A finished batch in its final form, on the CPU: arrays, or tensors in page-locked memory."""
    if numpy:
        return mapped(batch, _numbers)
    return mapped(batch, _pinned) if pinned else batch


def _pinned(leaf: Any) -> Any:
    return leaf.pin_memory() if isinstance(leaf, torch.Tensor) and leaf.is_cpu else leaf


def mapped(batch: Any, change: Callable[[Any], Any]) -> Any:
    """The same structure, every tensor and array changed."""
    if isinstance(batch, torch.Tensor | np.ndarray):
        return change(batch)
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        parts = {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch) if f.init}
        return dataclasses.replace(batch, **{n: mapped(p, change) for n, p in parts.items()})
    if isinstance(batch, Mapping):
        return {name: mapped(part, change) for name, part in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(mapped(part, change) for part in batch))
    if isinstance(batch, tuple | list):
        return type(batch)(mapped(part, change) for part in batch)
    return batch


def stream_behind(images: torch.Tensor) -> torch.cuda.Stream:
    """A stream of its own for work that reads images on a GPU.

    It begins when the current stream has made them, and the allocator knows that it reads them.
    """
    stream = torch.cuda.Stream(images.device)
    stream.wait_stream(torch.cuda.current_stream(images.device))
    images.record_stream(stream)
    return stream


class Sender:
    """Copies batches to a CUDA device on a stream of its own.

    The host does not wait: while the device computes on one batch, the next is copied. The current
    stream waits for the copy, and the allocator is told of both streams. Page-locked originals may
    be dropped at once; torch's allocator keeps their memory until the copy is done.
    """

    def __init__(self, device: torch.device) -> None:
        """Make the stream."""
        self.device = device
        self.stream = torch.cuda.Stream(device)

    def __call__(self, batch: Any, ready: torch.cuda.Event | None = None) -> Any:
        """The same batch on the device, safe to use on the current stream.

        Args:
            batch: what was made; parts that are on the device already stay.
            ready: when they are, if another stream makes them.
        """
        with torch.cuda.stream(self.stream):
            there = mapped(batch, self._copied)
        current = torch.cuda.current_stream(self.device)
        current.wait_stream(self.stream)
        if ready is not None:
            current.wait_event(ready)

        def known(leaf: Any) -> Any:
            if isinstance(leaf, torch.Tensor):
                leaf.record_stream(current)
            return leaf

        return mapped(there, known)

    def _copied(self, leaf: Any) -> Any:
        moves = isinstance(leaf, torch.Tensor)
        return leaf.to(self.device, non_blocking=True) if moves else leaf
