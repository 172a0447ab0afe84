"""Tensors that say they lie on another device, for machines that have none.

Their numbers stand in memory all the same; but they refuse to become arrays, as those of a GPU do,
and every look of the host at them is counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

FAR = "lazy"
"""A type of device that torch knows by name and does not start."""


class FarTensor(torch.Tensor):
    """A tensor whose numbers stand in `near`."""

    near: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, near: torch.Tensor) -> FarTensor:
        form: dict[str, Any] = {"strides": near.stride(), "dtype": near.dtype, "device": FAR}
        made = torch.Tensor._make_wrapper_subclass(cls, near.shape, **form)  # type: ignore[attr-defined]
        made.near = near
        return made

    @classmethod
    def __torch_dispatch__(cls, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _done(op, args, kwargs or {})[0]


class _Device(TorchDispatchMode):
    """Does on the CPU what is asked of far tensors, and sends others there."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = 0

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made, looked = _done(op, args, kwargs or {})
        self.waits += looked
        return made


def _done(op: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, bool]:
    """What an operation makes, and whether the host looked at far numbers for it."""
    far = some = any(isinstance(leaf, FarTensor) for leaf in tree_leaves((args, kwargs)))
    given = tree_map(lambda x: x.near if isinstance(x, FarTensor) else x, (args, kwargs))
    args, options = given[0], dict(given[1])
    if options.get("device") is not None:
        far = torch.device(options["device"]).type == FAR
        options["device"] = "cpu"
    looked = some and (not far or op is torch.ops.aten._local_scalar_dense.default)
    made = op(*args, **options)
    if far:
        made = tree_map(lambda x: FarTensor(x) if isinstance(x, torch.Tensor) else x, made)
    return made, looked


@contextmanager
def far_device() -> Iterator[_Device]:
    """Inside, `tensor.to(FAR)` makes far tensors; `waits` counts how often the host looked."""
    with _Device() as device:
        yield device


def sent(value: Any) -> Any:
    """The same structure with all tensors far away."""
    return tree_map(lambda x: x.to(FAR) if isinstance(x, torch.Tensor) else x, value)


def fetched(value: Any) -> Any:
    """The same structure with all tensors near."""
    return tree_map(lambda x: x.cpu() if isinstance(x, torch.Tensor) else x, value)
