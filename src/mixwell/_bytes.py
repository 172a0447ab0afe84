"""Arrays as torch takes them."""

from __future__ import annotations

import numpy as np


def native(array: np.ndarray) -> np.ndarray:
    """The same numbers in this machine's byte order, the only one that torch has; copied only if
    they were in the other."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)
