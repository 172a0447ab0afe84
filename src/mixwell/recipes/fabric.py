"""Where a network runs, and how precisely it computes."""

from __future__ import annotations

from typing import Any, Literal

import torch

from mixwell import DataError

Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]


def launched(
    precision: Precision = "32-true",
    *,
    accelerator: str = "auto",
    devices: int | Literal["auto"] = 1,
    num_nodes: int = 1,
) -> Any:
    """Lightning Fabric, launched.

    Args:
        precision: see `chosen_precision`.
        accelerator: cpu, cuda or auto.
        devices: how many, or auto.
        num_nodes: machines, under SLURM or torchrun.

    Raises:
        ImportError: lightning is not installed.
    """
    try:
        from lightning.fabric import Fabric
    except ImportError:
        raise ImportError(
            "Training needs lightning, which is not installed. Run `pip install 'mixwell[train]'`."
        ) from None
    fabric = Fabric(
        accelerator=accelerator,
        devices=devices,
        num_nodes=num_nodes,
        precision=chosen_precision(precision),
    )
    fabric.launch()
    return fabric


def chosen_precision(precision: Precision) -> Literal["32-true", "bf16-mixed", "16-mixed"]:
    """What auto means here: bfloat16 where the GPU computes in it; emulated, it is slow."""
    if precision != "auto":
        return precision
    gpu = torch.cuda.is_available()
    fast = gpu and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if fast else "32-true"


def chosen_device(device: str) -> str:
    """What auto means here: cuda where there is one, else cpu.

    Args:
        device: auto, cpu or cuda.

    Raises:
        DataError: cuda is asked for and there is none.
    """
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise DataError(
            "device cuda needs a GPU that PyTorch can use, got none. Leave it out, or say cpu."
        )
    return "cuda" if there and device != "cpu" else "cpu"
