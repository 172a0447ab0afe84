"""Numbers that kernels look up and that never change, once on each device."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from mixwell.render.tables import normal_quantiles
from mixwell.render.taps import bicubic_phases

PHASES = 1 << 16
"""Where the weights of bicubic warps begin; before them stand the normal quantiles."""


@lru_cache(maxsize=16)
def on(device: torch.device) -> Tensor:
    """int32 [65536 + 1024]: normal quantiles and bicubic weights."""
    made = np.concatenate([normal_quantiles(), bicubic_phases().ravel()]).astype(np.int32)
    return torch.from_numpy(made).to(device)
