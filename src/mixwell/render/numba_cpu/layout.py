"""Where rows lie: tables of addresses for images, for packed pixels and for outputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mixwell.render.buffers import empty, lease
from mixwell.render.numba_cpu.finish import BFLOAT16, FLOAT16, FLOAT32, UINT8
from mixwell.render.reference.finish import Output

FORMS = {
    torch.uint8: UINT8,
    torch.float32: FLOAT32,
    torch.float16: FLOAT16,
    torch.bfloat16: BFLOAT16,
    torch.float64: FLOAT32,  # widened afterwards
}
"""The form in which kernels write each dtype."""


def image_table(images: Tensor | list[Tensor]) -> np.ndarray:
    """int64 [N, 6]: address, strides c y x in bytes, height and width of images."""
    if isinstance(images, Tensor):
        table = np.empty((len(images), 6), np.int64)
        size, (step, *strides) = images.element_size(), images.stride()
        table[:, 0] = images.data_ptr() + size * step * np.arange(len(images))
        table[:, 1:4] = np.array(strides) * size
        table[:, 4:] = images.shape[2:]
        return table
    rows = [(i.data_ptr(), *i.stride(), *i.shape[1:]) for i in images]
    table = np.array(rows, np.int64).reshape(-1, 6)
    table[:, 1:4] *= images[0].element_size() if images else 1
    return table


@dataclass(frozen=True)
class Words:
    """Rows of packed pixels.

    Attributes:
        table: int64 [N, 6], as `image_table`, the stride of x 4 bytes.
        memory: what holds them.
    """

    table: np.ndarray
    memory: np.ndarray

    @classmethod
    def empty(cls, size_hw: np.ndarray) -> Words:
        """Room for rows of these sizes, int [N, 2]."""
        size_hw = size_hw.astype(np.int64)
        pixels = size_hw.prod(axis=1)
        ends = np.cumsum(pixels)
        memory = lease(4 * int(pixels.sum()) + 256)
        table = np.empty((len(size_hw), 6), np.int64)
        table[:, 0] = memory.ctypes.data + 4 * (ends - pixels)
        table[:, 1], table[:, 2], table[:, 3] = 1, 4 * size_hw[:, 1], 4
        table[:, 4:] = size_hw
        return cls(table, memory)


def targets_of(table: np.ndarray, form: int, normalized: bool = False) -> np.ndarray:
    """int64 [N, 8]: outputs as `finish` describes them."""
    return np.column_stack([table, np.full(len(table), form), np.full(len(table), normalized)])


def empty_outputs(
    size_hw: np.ndarray, channels: int, output: Output, last: bool
) -> tuple[Tensor | list[Tensor], np.ndarray]:
    """Outputs to be written, one tensor if sizes agree, and their targets.

    Args:
        size_hw: int32 [B, 2].
        channels: C.
        output: what is wanted.
        last: whether channels lie innermost in memory.
    """
    dtype = torch.float32 if output.dtype == torch.float64 else output.dtype
    sizes = {(int(h), int(w)) for h, w in np.unique(size_hw, axis=0)}
    if len(sizes) == 1:
        made: Tensor | list[Tensor] = empty(len(size_hw), channels, *sizes.pop(), dtype, last=last)
    else:
        made = [empty(1, channels, h, w, dtype, last=last)[0] for h, w in size_hw.tolist()]
    return made, output_targets(made, output)


def output_targets(made: Tensor | list[Tensor], output: Output) -> np.ndarray:
    """int64 [B, 8]: targets of outputs, in the form of the output's dtype."""
    return targets_of(image_table(made), FORMS[output.dtype], output.mean is not None)
