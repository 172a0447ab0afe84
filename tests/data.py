"""Where tests find the real data sets and weights that are not part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]


def shared_data(name: str, unproven: str = "that real files are read") -> Path:
    """The folder ``name`` of the shared data, or a skip that says what stays unproven.

    Looks in the folder named by the environment variable MIXWELL_DATA, else in ``shared/data``
    next to the repository.
    """
    root = Path(os.environ.get("MIXWELL_DATA") or REPO.parent / "shared" / "data")
    folder = root / name
    if not folder.is_dir():
        pytest.skip(f"no shared data {name!r} (set MIXWELL_DATA): unproven here: {unproven}")
    return folder
