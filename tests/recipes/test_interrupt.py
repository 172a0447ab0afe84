"""Ctrl-C is raised as always, and remembered where Python drops it."""

from __future__ import annotations

import contextlib
import signal

import pytest

from mixwell.recipes.interrupt import Interrupts


def test_a_ctrl_c_that_python_drops_is_remembered():
    """In a destructor KeyboardInterrupt is printed and dropped."""
    before = signal.getsignal(signal.SIGINT)
    with Interrupts() as interrupts:
        interrupts.check()
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
    assert signal.getsignal(signal.SIGINT) is before


def test_another_handler_of_ctrl_c_is_left_alone():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            signal.raise_signal(signal.SIGINT)
            interrupts.check()
    finally:
        signal.signal(signal.SIGINT, before)
