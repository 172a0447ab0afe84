"""Here "auto" is the reference, which the oracles define; `test_numba` asks who agrees."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _auto_is_the_reference(monkeypatch):
    monkeypatch.setenv("MIXWELL_BACKEND", "reference")
