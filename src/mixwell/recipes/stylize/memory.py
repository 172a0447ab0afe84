"""How much memory a picture of some size needs, found without computing a pixel."""

from __future__ import annotations

import math
import os
from pathlib import Path

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef

from mixwell import DataError
from mixwell.recipes.stylize.features import Features, on_meta, shapes_of

GIB = 2**30
_STATES = {"adam": 5, "lbfgs": 26}
"""Copies of the picture: itself, its gradient and the optimizer's memory (L-BFGS: 2 x 10)."""
_IN_FLIGHT = 4
"""Largest maps that exist for a moment: a gradient in, one out, and the convolution's scratch."""
_LOOKED_AT = 3
"""The same without gradients: a layer's input, its output, and scratch."""


def needed_bytes(
    features: Features, height: int, width: int, *, optimizer: str | None = "adam"
) -> int:
    """Bytes that a step needs, weights included: what autograd keeps, and what is in flight.

    The forward pass runs on the meta device, so this costs no memory and little time.

    Args:
        features: the network.
        height: of the picture, px.
        width: of the picture, px.
        optimizer: adam or lbfgs; None: the picture is only looked at, as the style picture is.
    """
    image = torch.empty(1, 3, height, width, device="meta", requires_grad=True)
    shapes = shapes_of(features)
    counted = {StorageWeakRef(t.untyped_storage()) for t in (image, *shapes.values())}
    kept: dict[StorageWeakRef, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = StorageWeakRef(tensor.untyped_storage())
        if storage not in counted:
            kept.setdefault(storage, tensor)
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        maps = [keep(tensor) for tensor in on_meta(features, image, shapes).values()]
    seen = sum(tensor.nbytes for tensor in (*shapes.values(), *maps))
    largest = max(tensor.nbytes for tensor in kept.values())
    if optimizer is None:
        return seen + _LOOKED_AT * largest + 2 * image.nbytes
    # `seen` counts the layers' maps once more: what they are to be, or their gradients.
    backward = sum(tensor.nbytes for tensor in kept.values())
    return seen + backward + _IN_FLIGHT * largest + _STATES[optimizer] * image.nbytes


def available_bytes(device: torch.device) -> int:
    """Bytes that are free: on a CUDA device, or in this machine's memory."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    info = Path("/proc/meminfo")
    if info.exists():
        lines = dict(line.split(":") for line in info.read_text().splitlines() if ":" in line)
        if "MemAvailable" in lines:
            return int(lines["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_memory(
    features: Features,
    size: tuple[int, int],
    style: tuple[int, int],
    *,
    optimizer: str,
    limit: int,
) -> int:
    """Make sure that a picture of this size fits, and the style picture beside it.

    Args:
        features: the network.
        size: height and width of the picture, px.
        style: of the style picture, px.
        optimizer: adam or lbfgs.
        limit: bytes that may be used.

    Returns:
        The bytes it needs.

    Raises:
        DataError: one of them does not fit; with the longest side that does.
    """
    needed = 0
    for subject, (height, width), how, option in (
        ("picture", size, optimizer, "--size {}"),
        ("style picture", style, None, "a --style-scale that makes its longest side {} px"),
    ):
        one = needed_bytes(features, height, width, optimizer=how)
        needed = max(needed, one)
        if one > limit:
            longest = int(max(height, width) * math.sqrt(limit / one))
            raise DataError(
                f"The {subject} must fit into memory, got {width} x {height} px, which needs about "
                f"{one / GIB:.2f} GiB where {limit / GIB:.2f} GiB may be used. Give "
                f"{option.format(max(longest // 8 * 8, 8))} or less, or raise --memory-gib."
            )
    return needed
