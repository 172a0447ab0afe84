"""The types of what kernels are called with."""

from __future__ import annotations

from numba import types


def array(dtype: types.Type, ndim: int) -> types.Array:
    """A contiguous array that a kernel only reads."""
    return types.Array(dtype, ndim, "C", readonly=True)


INT = types.int64
TABLE = types.Array(types.int64, 2, "C")
"""Images or outputs, see `layout`; of the same type as what kernels describe themselves."""
SPAN = (INT, INT, array(types.int64, 1))
"""First and last place in a list of rows, and the list."""
EDIT = (
    array(types.uint8, 2),
    array(types.float64, 3),
    array(types.int32, 3),
    array(types.uint8, 2),
    array(types.float32, 3),
    array(types.uint32, 3),
)
"""code, param, size_hw, interp, fill, key."""
SLOTS = array(types.int64, 1)
"""How many slots of each row are done on packed pixels."""
MIX = (
    array(types.int32, 2),
    array(types.uint8, 2),
    array(types.int64, 2),
    array(types.int32, 3),
    array(types.int32, 3),
    array(types.int32, 2),
    array(types.float32, 2),
    array(types.uint16, 3),
)
"""source, mode, units, rect_px, offset_px, canvas_hw, fill, mask."""
OUTPUT = (TABLE, *[array(types.float32, 1)] * 4, array(types.int32, 1))
"""targets, scales, shifts, mean, std, quantiles."""
SCRATCH = (types.Array(types.uint32, 1, "C"), INT)
"""Words of scratch, and how many of them a buffer has; for bytes."""
