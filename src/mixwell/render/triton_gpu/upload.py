"""From numbers to addresses: memory for a call, and its records in one buffer, copied once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mixwell.render.triton_gpu import constants, records
from mixwell.render.triton_gpu.builder import Lowered

_ALIGNED = 128
"""Bytes; every array and every place begins at a multiple."""
_captured: list[Bound] = []
"""What CUDA graphs copy from and write to, for as long as the process lives: nothing tells when a
graph has gone."""


@dataclass(frozen=True, eq=False)
class Bound:
    """A lowered plan with memory.

    Attributes:
        lowered: the plan.
        arrays: its records on the device, one-dimensional, and statistics.
        counts: int32, histograms, zero.
        tables: uint8.
        taps: int32.
        numbers: int32, see `constants`.
        work: what places lie in.
        host: the copied bytes, page-locked where the device is a GPU.
    """

    lowered: Lowered
    arrays: dict[str, Tensor]
    counts: Tensor
    tables: Tensor
    taps: Tensor
    numbers: Tensor
    work: Tensor
    host: Tensor


def image_places(images: Tensor | list[Tensor], rows: np.ndarray | None = None) -> np.ndarray:
    """int64 [N, 7]: where images lie, see `records`.

    Args:
        images: a tensor [M, C, H, W] or a list of [C, H, W].
        rows: int64 [N], which rows of a tensor; None: all.
    """
    if isinstance(images, Tensor):
        rows = np.arange(len(images)) if rows is None else rows
        made = np.zeros((len(rows), 7), np.int64)
        size, (step, *strides) = images.element_size(), images.stride()
        made[:, 0] = images.data_ptr() + size * step * rows
        made[:, 1:4] = np.array(strides) * size
        made[:, 4:6] = images.shape[2:]
        return made
    made = np.zeros((len(images), 7), np.int64)
    for place, image in zip(made, images, strict=True):
        size = image.element_size()
        place[:6] = image.data_ptr(), *(size * s for s in image.stride()), *image.shape[1:]
    return made


def bind(
    lowered: Lowered,
    rows: np.ndarray,
    outputs: np.ndarray,
    statistics: np.ndarray,
    device: torch.device,
) -> Bound:
    """Memory for a lowered plan, and its records on the device.

    On a GPU nothing waits: the copy is queued on the current stream, from page-locked memory that
    torch's allocator keeps until it is done.

    Args:
        lowered: the plan.
        rows: int64 [N, 7], where the input rows lie.
        outputs: int64 [B, 7], where the outputs go.
        statistics: float32 [16], scales, shifts, means and standard deviations.
        device: where all of it lies.
    """
    pixel = np.where(lowered.place_wide, 8, 4)[lowered.inputs :]
    sizes = lowered.place_hw[lowered.inputs :].prod(axis=1) * pixel
    sizes = -(-sizes // _ALIGNED) * _ALIGNED
    ends = np.cumsum(sizes)
    work = torch.empty(int(sizes.sum()), dtype=torch.uint8, device=device)
    places = np.concatenate([rows, _work_places(lowered, work.data_ptr() + ends - sizes)])

    parts = {**lowered.arrays, "statistics": statistics}
    lengths = np.array([part.nbytes for part in parts.values()])
    starts = np.cumsum(np.append(0, -(-lengths // _ALIGNED) * _ALIGNED))
    gpu = device.type != "cpu"
    host = torch.empty(int(starts[-1]), dtype=torch.uint8, pin_memory=gpu)
    there = torch.empty_like(host, device=device) if gpu else host
    begin = dict(zip(parts, starts.tolist(), strict=False))
    parts["passes"] = _with_places(lowered.arrays["passes"], places, 7)
    parts["blurs"] = _with_places(lowered.arrays["blurs"], places, 7)
    parts["outputs"] = _output_records(lowered, places, outputs, there.data_ptr() + begin["masks"])
    memory = host.numpy()
    arrays = {}
    for name, part in parts.items():
        at = slice(begin[name], begin[name] + part.nbytes)
        memory[at] = np.ascontiguousarray(part).reshape(-1).view(np.uint8)
        arrays[name] = there[at].view(_DTYPES[part.dtype.name])
    if gpu:
        there.copy_(host, non_blocking=True)
    bound = Bound(
        lowered=lowered,
        arrays=arrays,
        counts=torch.zeros(768 * lowered.histograms, dtype=torch.int32, device=device),
        tables=torch.empty(768 * lowered.tables, dtype=torch.uint8, device=device),
        taps=torch.empty(lowered.taps, dtype=torch.int32, device=device),
        numbers=constants.on(device),
        work=work,
        host=host,
    )
    if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
        _captured.append(bound)
    return bound


_DTYPES = {
    "int64": torch.int64,
    "float64": torch.float64,
    "int32": torch.int32,
    "float32": torch.float32,
    "uint8": torch.uint8,
}


def _work_places(lowered: Lowered, addresses: np.ndarray) -> np.ndarray:
    """int64 [P, 7]: the buffers that passes write."""
    hw, wide = lowered.place_hw[lowered.inputs :], lowered.place_wide[lowered.inputs :]
    pixel = np.where(wide, 8, 4)
    form = np.where(wide, records.WIDE, records.WORDS)
    return np.column_stack(
        [addresses, np.where(wide, 2, 1), pixel * hw[:, 1], pixel, hw, form]
    ).astype(np.int64)


def _with_places(rows: np.ndarray, places: np.ndarray, target: int) -> np.ndarray:
    """Records whose field 0 is a place's number and `target` one or -1, with addresses."""
    made = rows.copy()
    made[:, :7] = places[rows[:, 0]]
    to = rows[:, target]
    made[:, target] = np.where(to < 0, 0, places[to, 0])
    return made


def _output_records(
    lowered: Lowered, places: np.ndarray, outputs: np.ndarray, masks: int
) -> np.ndarray:
    made = lowered.arrays["outputs"].copy()
    to = lowered.output_places
    final = to < 0
    made[final, :6] = outputs[-1 - to[final], :6]
    made[~final, :6] = places[to[~final], :6]
    made[:, 12] += masks
    return made
