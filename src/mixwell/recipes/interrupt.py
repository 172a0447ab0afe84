"""A Ctrl-C that is not lost.

Python raises KeyboardInterrupt wherever it happens to be. In a destructor, such as that of a
DataLoader's iterator between two epochs, the exception is printed and dropped, and a training of
days would go on. So the signal is noted as well, and the loop asks.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """While it lasts, a Ctrl-C is raised as always, and remembered for `check`."""

    def __init__(self) -> None:
        """Nothing noted yet."""
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        """Take over from Python's own handler; another one, or another thread's, is left alone."""
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the signal back."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def check(self) -> None:
        """Raise KeyboardInterrupt if there was a Ctrl-C."""
        if self.asked:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        raise KeyboardInterrupt
