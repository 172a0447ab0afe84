"""What every test shares: the same inputs in every run, and one thread for torch."""

from __future__ import annotations

import torch
from hypothesis import settings

# No example depends on when or where the tests run; a slow machine is no failure.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")

torch.set_num_threads(1)  # images are small, and tests may run side by side


def pytest_report_header() -> str:
    return "mixwell: hypothesis derandomize=True deadline=None; torch threads: 1; seeds are fixed"
