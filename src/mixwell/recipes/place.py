"""Which folder a run writes to, so that no finished run is written over unasked."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from mixwell.recipes.data import DataError
from mixwell.recipes.progress import first_process

Config = TypeVar("Config")
ROOT = Path("runs")
"""Where runs without a folder of their own go, in the working directory."""


def place(
    out: Path | None,
    name: str,
    marks: Sequence[str],
    *,
    resume: bool,
    overwrite: bool,
    quiet: bool = False,
) -> Path:
    """The folder of a run; where there is nothing to resume, that is said, and the run begins.

    Args:
        out: the folder asked for, or None.
        name: of the folder under `ROOT` where none was asked for. Where that holds a run, the name
            gets a number: -2, -3 and so on; with `resume` the last of them is meant.
        marks: patterns of the files that a folder with something finished in it holds.
        resume: continue what is in the folder.
        overwrite: write over what is in the folder.
        quiet: say nothing.

    Raises:
        DataError: both `resume` and `overwrite`, or the folder asked for holds something finished
            and neither was said.
    """
    if resume and overwrite:
        raise DataError("A run is resumed or overwritten, got both. Leave out one of them.")
    folder = _chosen(out, name, marks, resume=resume, overwrite=overwrite)
    if resume and not quiet and first_process() and not taken(folder, marks):
        console = Console(file=sys.stderr, highlight=False)
        text = f"--resume: {folder} holds no finished work, so a new run begins there"
        console.print(text, markup=False, soft_wrap=True)
    return folder


def placed(config: Config, name: str, marks: Sequence[str]) -> tuple[Config, Path]:
    """A config with the folder that `place` says for the one asked for, and that folder.

    Args:
        config: a dataclass that has out, resume, overwrite and quiet.
        name: see `place`.
        marks: see `place`.

    Raises:
        DataError: as `place`.
    """
    asked: Any = config
    options = {"resume": asked.resume, "overwrite": asked.overwrite, "quiet": asked.quiet}
    out = place(asked.out, name, marks, **options)
    return replace(asked, out=out), out


def _chosen(
    out: Path | None, name: str, marks: Sequence[str], *, resume: bool, overwrite: bool
) -> Path:
    if out is not None:
        if not (resume or overwrite) and taken(out, marks):
            raise DataError(
                f"A new run needs a folder without one, got {out}, which holds finished work. "
                "Continue it with --resume, name another --out, or give it up with --overwrite."
            )
        return out
    if overwrite:
        return ROOT / name
    last = max([1, *(n for n in _numbers(name) if taken(_numbered(name, n), marks))])
    if resume or not taken(_numbered(name, last), marks):
        return _numbered(name, last)
    return _numbered(name, last + 1)


def taken(folder: Path, marks: Sequence[str]) -> bool:
    """Whether a folder holds something finished."""
    return any(True for mark in marks for _ in folder.glob(mark))


def clear(folder: Path, marks: Sequence[str]) -> None:
    """Delete what was finished in a folder."""
    for mark in marks:
        for path in folder.glob(mark):
            path.unlink()


def _numbered(name: str, number: int) -> Path:
    return ROOT / (name if number == 1 else f"{name}-{number}")


def _numbers(name: str) -> list[int]:
    """The numbers of the folders there are with this name."""
    found = [re.fullmatch(re.escape(name) + r"-(\d+)", path.name) for path in ROOT.glob("*")]
    return [int(match[1]) for match in found if match]
