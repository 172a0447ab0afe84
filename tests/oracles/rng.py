"""Random numbers one at a time, in Python integers, as `mixwell._rng` documents them."""

from __future__ import annotations

import hashlib

MASK = 0xFFFFFFFF


def philox4x32(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, ...]:
    """Ten rounds, as Salmon et al. 2011 define them (section 4.3 and table 2)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c0, 1 << 32)
        high1, low1 = divmod(0xCD9E8D57 * c2, 1 << 32)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return c0, c1, c2, c3


def question(path: str, name: str, sub: int) -> int:
    """48 bits of BLAKE2b."""
    digest = hashlib.blake2b(f"{path}|{name}|{sub}".encode(), digest_size=6).digest()
    return sum(byte << (8 * i) for i, byte in enumerate(digest))


def words(
    seed: int, path: str, name: str, count: int, *, index: int, epoch: int, copy: int
) -> list[int]:
    """The words of one row's draw."""
    out: list[int] = []
    for sub in range((count + 3) // 4):
        ask = question(path, f"row:{name}", sub)
        out += _block(seed, index, epoch, copy, ask)
    return out[:count]


def batch_words(
    seed: int, path: str, name: str, count: int, *, step: int, epoch: int, rank: int
) -> list[int]:
    """The words of a draw about the batch as a whole: one question, numbered blocks."""
    ask = question(path, f"batch {step}:{name}", 0)
    out: list[int] = []
    for block in range((count + 3) // 4):
        out += _block(seed, block, epoch, rank, ask)
    return out[:count]


def _block(seed: int, first: int, epoch: int, third: int, ask: int) -> list[int]:
    counter = (first, epoch, (third << 16) | (ask >> 32), ask & MASK)
    return list(philox4x32(counter, (seed & MASK, seed >> 32)))


def unit(high: int, low: int) -> float:
    """53 bits of two words, 0 <= value < 1."""
    return (((high << 32) | low) >> 11) / 2**53
