"""The last pass: normalise, dtype and memory layout.

| from | to                  | rule                                                    |
| ---- | ------------------- | ------------------------------------------------------- |
| any  | float, mean and std | v a + b in float32; a = 1 / (top std), b = -mean / std, |
|      |                     | each rounded from float64                               |
| any  | float               | v / top in float32                                      |
| any  | integer, same kind  | v (no row is loose then)                                |
| any  | integer, other kind | v top' / top in float64, half to even, clipped          |

`top` is 255, 65535 or 1. float16 and bfloat16 are cast from float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mixwell._errors import RenderError
from mixwell.render.images import KINDS, TOP, Batch, torch_dtype
from mixwell.render.reference.rows import Rows, doubled

_TOP_OF = {torch.uint8: TOP["uint8"], torch.uint16: TOP["uint16"]}


@dataclass(frozen=True)
class Output:
    """What the caller wants the numbers to be.

    Attributes:
        dtype: dtype of the result.
        mean: float64 [C] in 0 .. 1, or None: not normalised.
        std: float64 [C] in 0 .. 1, or None with `mean`.
        memory_format: of stacks and of single images, None: contiguous.
    """

    dtype: torch.dtype
    mean: np.ndarray | None = None
    std: np.ndarray | None = None
    memory_format: torch.memory_format | None = None

    @property
    def floating(self) -> bool:
        """Whether the result has a floating dtype."""
        return self.dtype.is_floating_point


def output_for(
    batch: Batch, mean: Any, std: Any, dtype: Any, memory_format: torch.memory_format | None
) -> Output:
    """Check the options of `mixwell.render.render` against the images.

    Raises:
        RenderError: half of mean and std, wrong length, a mean outside 0 .. 1, a std that is not
            positive, an integer dtype for normalised images, or a dtype that does not serve.
    """
    dtype = torch_dtype(dtype)
    if (mean is None) != (std is None):
        raise RenderError("mean and std go together; got only one of them. Give both or neither.")
    if mean is None:
        dtype = batch.dtype if dtype is None else dtype
    else:
        dtype = torch.float32 if dtype is None else dtype
        mean, std = (np.atleast_1d(np.asarray(v, np.float64)) for v in (mean, std))
        _check_statistics(batch, mean, std, dtype)
    if dtype not in KINDS:
        raise RenderError(f"dtype must be uint8, uint16 or a float of 16 to 64 bits, got {dtype}.")
    if batch.numpy and dtype == torch.bfloat16:
        raise RenderError(
            "NumPy has no bfloat16. Give dtype=float32, or pass the images as torch tensors."
        )
    return Output(dtype, mean, std, memory_format)


def finish(rows: Rows, output: Output) -> Tensor | list[Tensor]:
    """Rows in their final form."""
    if isinstance(rows.images, list):
        return [_laid_out(_finished(rows, image, output), output) for image in rows.images]
    return _laid_out(_finished(rows, rows.images, output), output)


def _finished(rows: Rows, images: Tensor, output: Output) -> Tensor:
    if output.floating:
        images = _as_float(rows, images, output)
    elif _TOP_OF[output.dtype] != TOP[rows.kind]:
        scaled = doubled(images) * (_TOP_OF[output.dtype] / TOP[rows.kind])
        whole = scaled.round().clamp(0, _TOP_OF[output.dtype])
        return whole.to(output.dtype).to(images.device)
    return images.to(output.dtype)


def _laid_out(images: Tensor, output: Output) -> Tensor:
    """A stack or a single image in the wanted memory layout."""
    if output.memory_format is None:
        return images.contiguous()
    if images.ndim == 3:
        return images[None].contiguous(memory_format=output.memory_format)[0]
    return images.contiguous(memory_format=output.memory_format)


def _as_float(rows: Rows, images: Tensor, output: Output) -> Tensor:
    images = images.float()
    top = TOP[rows.kind]
    if output.mean is None or output.std is None:
        return images / top if top != 1.0 else images
    factor, offset = 1.0 / (top * output.std), -output.mean / output.std
    a, b = (
        torch.from_numpy(v.astype(np.float32)).to(images.device)[:, None, None]
        for v in (factor, offset)
    )
    return (images * a).add_(b)


def _check_statistics(batch: Batch, mean: np.ndarray, std: np.ndarray, dtype: torch.dtype) -> None:
    if len(batch.images):
        channels = batch.images[0].shape[0]
        if mean.shape != (channels,) or std.shape != (channels,):
            raise RenderError(
                f"mean and std need one number for each of the {channels} channels, got shapes "
                f"{mean.shape} and {std.shape}."
            )
    if not (std > 0).all():
        raise RenderError(f"std must be positive, got {std}.")
    if not ((mean >= 0) & (mean <= 1)).all():
        raise RenderError(
            f"mean must lie in 0 .. 1, got {mean}. Divide by 255 if mean and std are levels."
        )
    if not dtype.is_floating_point:
        raise RenderError(
            f"normalised images need a floating dtype, got {dtype}. Leave out dtype, or leave out "
            "mean and std."
        )
