"""Where a network runs."""

from __future__ import annotations

import torch

from mixwell import DataError


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
