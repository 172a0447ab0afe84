"""What a planted fault is."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """A one-line fault.

    Attributes:
        name: what is wrong.
        file: below src/mixwell.
        old: text that stands there exactly once.
        new: what it becomes.
        tests: files of the tests that should catch it.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
