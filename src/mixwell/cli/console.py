"""How the commands speak: results on standard output, one line about what went wrong on error."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mixwell._errors import MixwellError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

EXPECTED = (MixwellError, ValueError, ImportError, OSError, FloatingPointError)
"""What bad input ends in; anything else is a mistake of ours and keeps its traceback."""


def standard() -> Console:
    """Where results are printed; made anew, so that it follows a redirected `sys.stdout`."""
    return Console(highlight=False)


def table(*headings: str, title: str | None = None) -> Table:
    """A table without lines but one under its headings."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for heading in headings:
        made.add_column(heading, header_style="dim", overflow="fold")
    return made


def tell(message: str, error: BaseException | None = None) -> None:
    """One line on standard error; before it the traceback, where the user wants it."""
    if error is not None and os.environ.get("MIXWELL_TRACEBACK", "") not in ("", "0"):
        traceback.print_exception(error, file=sys.stderr)
    print(f"mixwell: {' '.join(message.split())}", file=sys.stderr)


@contextmanager
def keeping(folder: Path | str) -> Iterator[None]:
    """Say where finished work lies when Ctrl-C ends the block."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped; kept what is finished in {folder}.") from None


def kept(folder: Path | str) -> int:
    """The recipe ended in good order after Ctrl-C: the same line, and its exit code."""
    tell(f"stopped; kept what is finished in {folder}.")
    return INTERRUPTED


def one_line(error: BaseException) -> str:
    """What went wrong, without what only a programmer wants."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{error.strerror}."
    text = str(error).strip() or type(error).__name__
    if "Original Traceback" in text:  # from a DataLoader worker: the cause stands on the last line
        text = text.splitlines()[-1]
        name, _, cause = text.partition(": ")
        return cause if cause and " " not in name else text
    return text


def close_quietly() -> int:
    """The reader of our output went away (`| head`): end without a word."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    return 1


def figures(rows: list[tuple[str, str]]) -> None:
    """Print figures by name; those without a value are left out."""
    shown = table("", "")
    shown.show_header = False
    for name, value in rows:
        if value:
            shown.add_row(f"[dim]{name}[/dim]", value)
    standard().print(shown)
