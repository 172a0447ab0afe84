"""Philox4x32-10 in NumPy: words 0 and 2 of all blocks in one array, words 1 and 3 in another.

References:
    Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from mixwell._errors import PolicyError

_MULTIPLY = np.array([[0xD2511F53], [0xCD9E8D57]], np.uint64)
_WEYL = np.array([[0x9E3779B9], [0xBB67AE85]], np.uint64)
_LOW = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)


def philox4x32(counter: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Ten rounds of Philox4x32 on each row.

    Args:
        counter: uint32 [..., 4].
        key: uint32 [..., 2], broadcast against `counter` without its last axis.

    Returns:
        uint32 [..., 4].
    """
    lead = np.broadcast_shapes(counter.shape[:-1], key.shape[:-1])
    words = np.broadcast_to(counter, (*lead, 4)).reshape(-1, 4).T.astype(np.uint64)
    even, odd = np.ascontiguousarray(words[0::2]), np.ascontiguousarray(words[1::2])
    rounds(even, odd, schedule(np.broadcast_to(key, (*lead, 2)).reshape(-1, 2).T))
    out = np.empty((*lead, 4), np.uint32)
    out[..., 0::2], out[..., 1::2] = (half.T.reshape(*lead, 2) for half in (even, odd))
    return out


def schedule(key: np.ndarray) -> list[np.ndarray]:
    """The keys of ten rounds, uint64 [2, n] each."""
    key = key.astype(np.uint64)
    return [(key + round_ * _WEYL) & _LOW for round_ in np.arange(10, dtype=np.uint64)]


def rounds(even: np.ndarray, odd: np.ndarray, keys: Sequence[np.ndarray]) -> None:
    """Ten rounds in place on words 0 and 2 and words 1 and 3, uint64 [2, n]; keys uint64 [2, n]
    or [2, 1]."""
    # Rows of another width: arrays whose lengths are powers of two would share cache lines' sets.
    product = np.empty((2, even.shape[1] + 40), np.uint64)[:, 16:-24]
    crossed = product[::-1]
    for key in keys:
        np.multiply(even, _MULTIPLY, out=product)
        np.right_shift(crossed, SHIFT, out=even)
        np.bitwise_xor(odd, key, out=odd)
        np.bitwise_xor(even, odd, out=even)
        np.bitwise_and(crossed, _LOW, out=odd)


def seed_words(seed: int) -> np.ndarray:
    """Split a seed (0 .. 2**64 - 1) into the two key words, uint32 [2]."""
    if not 0 <= seed < 2**64:
        raise PolicyError(f"seed must lie in 0 .. 2**64 - 1, got {seed}.")
    return np.array([seed & 0xFFFFFFFF, seed >> 32], dtype=np.uint32)


@lru_cache(maxsize=64)
def keys_of(seed: int) -> list[np.ndarray]:
    """The keys of a seed's ten rounds, uint64 [2, 1] each."""
    return schedule(seed_words(seed)[:, None])


def in_order(even: np.ndarray, odd: np.ndarray) -> np.ndarray:
    """uint32 [n, 4] from words 0 and 2, and words 1 and 3, of each block."""
    out = np.empty((*even.shape[1:], 4), np.uint32)
    for i, half in enumerate((even, odd)):
        out[..., i], out[..., i + 2] = half
    return out


def unit(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """float64 on [0, 1) with 53 bits from uint64 words below 2**32."""
    return (((high << SHIFT) | low) >> np.uint64(11)) * 2.0**-53
