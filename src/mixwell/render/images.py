"""The edges of rendering: what images may come in, and what goes out.

| in                                                             | out                   |
| -------------------------------------------------------------- | --------------------- |
| torch [N, C, H, W], or a list of [C, H, W]                        | torch, on the device  |
| NumPy [N, H, W, C] or [N, H, W], or a list of [H, W, C] or [H, W]  | NumPy, channels last  |
| a list of PIL images                                             | torch, on the CPU     |

Element types: uint8, uint16 and floats; floats must lie in 0 .. 1.

| mode of a PIL image   | becomes                                         |
| --------------------- | ----------------------------------------------- |
| L, RGB, RGBA          | uint8 with one, three or four channels          |
| I;16, I;16L, I;16B    | uint16 with one channel                         |
| I, F                  | refused: their numbers have no fixed full range |
| any other             | uint8, converted to RGB                         |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mixwell._bytes import native
from mixwell._errors import RenderError

Kind = Literal["uint8", "uint16", "float"]
"""What an image's numbers mean: levels 0 .. 255, levels 0 .. 65535, or 0 .. 1."""

TOP: dict[str, float] = {"uint8": 255.0, "uint16": 65535.0, "float": 1.0}
"""The number that means full intensity, for each kind."""

KINDS: dict[torch.dtype, Kind] = {
    torch.uint8: "uint8",
    torch.uint16: "uint16",
    torch.float16: "float",
    torch.bfloat16: "float",
    torch.float32: "float",
    torch.float64: "float",
}
"""Every dtype that comes in or goes out, and what its numbers mean."""


_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")


@dataclass(frozen=True, eq=False)
class Picked:
    """Rows of a stack of images, such as a whole data set that lies on a GPU, not gathered yet.

    A renderer that can reads them where they lie; for the others they are copied together.

    Attributes:
        images: a tensor [M, C, H, W].
        rows: int64 [N], which of them, in this order.
    """

    images: Tensor
    rows: np.ndarray

    @property
    def shape(self) -> torch.Size:
        """[N, C, H, W]."""
        return torch.Size((len(self.rows), *self.images.shape[1:]))

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def gathered(self) -> Tensor:
        """The rows as a tensor of their own, [N, C, H, W]."""
        at = torch.from_numpy(np.asarray(self.rows, np.int64))
        return self.images.index_select(0, at.to(self.images.device, non_blocking=True))


@dataclass(frozen=True)
class Batch:
    """Images as the backends take them.

    Attributes:
        images: a tensor [N, C, H, W], or a list of tensors [C, H, W] of one dtype and device.
        picked: where `images` came from, if they lie in a larger stack; then they are still that
            stack.
        kind: what the numbers mean.
        dtype: dtype of the images as they came.
        device: where they lie.
        stacked: whether they came as one array.
        numpy: whether they came as NumPy arrays.
    """

    images: Tensor | list[Tensor]
    kind: Kind
    dtype: torch.dtype
    device: torch.device
    stacked: bool
    numpy: bool
    picked: Picked | None = None

    def gathered(self) -> Batch:
        """The same batch with images of its own."""
        if self.picked is None:
            return self
        return replace(self, images=self.picked.gathered(), picked=None)


def batch_of(images: Any, in_hw: np.ndarray) -> Batch:
    """Accept images in any of the module's forms and check them against the plan's sizes.

    Args:
        images: see the module's table.
        in_hw: int32 [N, 2], sizes that the plan expects, px.

    Raises:
        RenderError: an unknown form or dtype, mixed channel counts, floats outside 0 .. 1, or
            counts and sizes other than the plan's.
    """
    if isinstance(images, Picked):
        return _picked(images, in_hw)
    stacked = isinstance(images, Tensor | np.ndarray)
    numpy = isinstance(images, np.ndarray)
    if numpy:
        found: Tensor | list[Tensor] = _from_numpy(images, "images", batch=True)
    elif isinstance(images, Tensor):
        if images.ndim != 4:
            raise RenderError(
                f"a tensor of images must be [N, C, H, W], got shape {tuple(images.shape)}. "
                "Add a batch axis with images[None], or pass a list of [C, H, W]."
            )
        found = images
    elif isinstance(images, Sequence):
        numpy = bool(images) and isinstance(images[0], np.ndarray)
        found = [_one(image, f"image {i}") for i, image in enumerate(images)]
        _check_alike(found)
    else:
        raise RenderError(
            "images must be a torch tensor [N, C, H, W], a NumPy array [N, H, W, C] or a list "
            f"of images, got {type(images).__name__}."
        )
    first = found[0] if isinstance(found, list) and found else found
    dtype = first.dtype if isinstance(first, Tensor) else torch.uint8
    device = first.device if isinstance(first, Tensor) else torch.device("cpu")
    if dtype not in KINDS:
        raise RenderError(
            f"images must be uint8, uint16 or floats in 0 .. 1, got {dtype}. Convert them first."
        )
    _check_sizes(found, in_hw)
    if KINDS[dtype] == "float":
        _check_range(found)
    return Batch(found, KINDS[dtype], dtype, device, stacked, numpy)


def _picked(picked: Picked, in_hw: np.ndarray) -> Batch:
    """Rows of a stack: bytes stay where they are, others are gathered and checked."""
    if picked.images.dtype != torch.uint8:
        return batch_of(picked.gathered(), in_hw)
    if picked.images.ndim != 4:
        raise RenderError(f"a stack must be [M, C, H, W], got {tuple(picked.images.shape)}.")
    _check_sizes(picked, in_hw)
    kind, device = KINDS[torch.uint8], picked.images.device
    return Batch(picked.images, kind, torch.uint8, device, True, False, picked)


def result_of(
    rows: Tensor | list[Tensor],
    batch: Batch,
    stack: bool | None,
    pad_to: tuple[int, int] | None,
) -> Any:
    """Put rendered rows into the form that was asked for (see `mixwell.render.render`)."""
    if pad_to is not None:
        sizes = torch.tensor([r.shape[-2:] for r in rows], dtype=torch.int64).reshape(-1, 2)
        padded = _padded(rows, sizes, pad_to)
        return (_to_numpy(padded), sizes.numpy()) if batch.numpy else (padded, sizes)
    if stack is None:
        stack = batch.stacked and isinstance(rows, Tensor)
    if stack and not isinstance(rows, Tensor):
        if not rows:
            raise RenderError("stack=True cannot stack an empty list. Use stack=False.")
        found = sorted({(row.shape[-2], row.shape[-1]) for row in rows})
        raise RenderError(
            f"stack=True needs outputs of one size, got {found[:4]}. Add Resize(size) to the "
            "policy, pad with pad_to=(H, W), or take a list with stack=False."
        )
    if stack:
        assert isinstance(rows, Tensor)
        return _to_numpy(rows) if batch.numpy else rows
    out = list(rows)
    return [_to_numpy(r) for r in out] if batch.numpy else out


def check_out(
    out: Tensor,
    batch: Batch,
    out_hw: np.ndarray,
    dtype: Any,
    stack: bool | None,
    pad_to: tuple[int, int] | None,
) -> torch.dtype:
    """The dtype of a tensor that is to be written into, if it fits (see `mixwell.render.render`).

    Raises:
        RenderError: it does not fit the outputs or the other options.
    """
    if stack is False or pad_to is not None or batch.numpy:
        raise RenderError(
            "out= takes one tensor of torch images: leave out stack=False and pad_to=, and pass "
            "torch images."
        )
    if dtype is not None and torch_dtype(dtype) != out.dtype:
        raise RenderError(f"out is {out.dtype}, dtype= says {dtype}. Leave out dtype=.")
    channels = len(batch.images[0]) if len(batch.images) else out.shape[1:2].numel()
    sizes = {tuple(size) for size in out_hw.tolist()} or {tuple(out.shape[2:])}
    wanted = (len(out_hw), channels, *min(sizes))
    if len(sizes) > 1 or tuple(out.shape) != wanted or out.device != batch.device:
        raise RenderError(
            f"out must be a tensor {list(wanted)} on {batch.device} for outputs of sizes "
            f"{sorted(sizes)[:4]}, got {list(out.shape)} on {out.device}."
        )
    return out.dtype


def stacked(rows: Tensor | list[Tensor], like: Tensor) -> Tensor:
    """Rendered rows of one size as one tensor."""
    if isinstance(rows, Tensor):
        return rows
    return torch.stack(rows) if rows else torch.empty_like(like)


def torch_dtype(dtype: Any) -> torch.dtype | None:
    """A torch dtype from a torch dtype, a NumPy dtype or None."""
    if dtype is None or isinstance(dtype, torch.dtype):
        return dtype
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = dtype if isinstance(dtype, str) else ""  # NumPy may not know "bfloat16"
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise RenderError(f"dtype must be one that torch has, got {dtype!r}.")
    return found


def _one(image: Any, name: str) -> Tensor:
    if isinstance(image, Tensor):
        if image.ndim != 3:
            raise RenderError(f"{name} must be a tensor [C, H, W], got {tuple(image.shape)}.")
        return image
    if isinstance(image, np.ndarray):
        return _from_numpy(image, name, batch=False)
    if hasattr(image, "convert") and hasattr(image, "mode"):
        return _from_pil(image, name)
    raise RenderError(
        f"{name} must be a torch tensor, a NumPy array or a PIL image, got {type(image).__name__}."
    )


def _from_pil(image: Any, name: str) -> Tensor:
    if image.mode in ("I", "F"):
        raise RenderError(
            f"{name}: a PIL image of mode {image.mode} has no fixed range of levels. Convert it to "
            "I;16 (0 .. 65535) or L, or pass np.asarray(image) divided by its full range."
        )
    kept = image if image.mode in ("L", "RGB", "RGBA", *_SIXTEEN_BITS) else image.convert("RGB")
    return _from_numpy(np.array(kept), name, batch=False)


def _from_numpy(array: np.ndarray, name: str, *, batch: bool) -> Tensor:
    wanted, plain = (4, "[N, H, W, C]") if batch else (3, "[H, W, C]")
    if array.ndim == wanted - 1:
        array = array[..., None]
    if array.ndim != wanted:
        raise RenderError(f"{name}: a NumPy array must be {plain}, got shape {array.shape}.")
    array = native(array)
    if array.dtype.kind not in "uf" or array.dtype.itemsize > 8:
        raise RenderError(f"{name}: must be uint8, uint16 or floats, got {array.dtype}.")
    if not array.flags.writeable or any(s < 0 for s in array.strides):
        array = array.copy()  # torch can share neither
    return torch.from_numpy(array).movedim(-1, -3)


def _to_numpy(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.movedim(-3, -1).cpu().numpy())


def _check_alike(images: list[Tensor]) -> None:
    """One dtype, one device and one channel count in a list."""
    for i, image in enumerate(images):
        for what, a, b in (
            ("dtype", images[0].dtype, image.dtype),
            ("device", images[0].device, image.device),
            ("number of channels", images[0].shape[0], image.shape[0]),
        ):
            if a != b:
                raise RenderError(
                    f"images in a list must share one {what}; image 0 has {a}, image {i} has {b}. "
                    "Convert them first."
                )


def _check_sizes(images: Tensor | Picked | list[Tensor], in_hw: np.ndarray) -> None:
    if len(images) != len(in_hw):
        raise RenderError(
            f"the plan reads {len(in_hw)} images, got {len(images)}. Give one image for each of "
            "plan.inputs, in that order."
        )
    if isinstance(images, list):
        found = np.array([image.shape[-2:] for image in images]).reshape(-1, 2)
    else:
        found = np.broadcast_to(np.array(images.shape[-2:]), in_hw.shape)
    for row in np.flatnonzero((found != in_hw).any(axis=1))[:1]:
        (height, width), (rows, columns) = found[row].tolist(), in_hw[row].tolist()
        raise RenderError(
            f"image {row} is {height}x{width} (height x width), the plan was made for "
            f"{rows}x{columns}. Sample the plan with the images' sizes."
        )


def _check_range(images: Tensor | list[Tensor]) -> None:
    groups = images if isinstance(images, list) else [images]
    ends = [torch.stack(image.aminmax()) for image in groups if image.numel()]
    for low, high in torch.stack(ends).cpu().tolist() if ends else ():  # one look
        if not (low >= 0.0 and high <= 1.0):
            raise RenderError(
                f"float images must lie in 0 .. 1 without NaN, got {low:g} .. {high:g}. Divide "
                "by 255 first, or pass uint8 images."
            )


def _padded(rows: Tensor | list[Tensor], sizes: Tensor, pad_to: tuple[int, int]) -> Tensor:
    """Zeros at the bottom and at the right, up to one size."""
    for row, (h, w) in enumerate(sizes.tolist()):
        if h > pad_to[0] or w > pad_to[1]:
            raise RenderError(
                f"pad_to={tuple(pad_to)} is smaller than output {row}, which is {h}x{w}. Choose a "
                "larger pad_to or add Resize(size) to the policy."
            )
    if len(rows) == 0:
        raise RenderError("pad_to needs at least one output, got none.")
    out = rows[0].new_zeros((len(rows), rows[0].shape[0], *pad_to))
    for row, image in enumerate(rows):
        out[row, :, : image.shape[1], : image.shape[2]] = image
    return out
