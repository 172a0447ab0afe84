"""What a person sees while a training runs: a bar in a terminal, one plain line per epoch else."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def line(row: dict[str, Any], epochs: int) -> str:
    """One epoch in words."""
    test = row["test_accuracy"]
    measured = "" if test is None else f"test {test:6.2%}  "
    return (
        f"epoch {row['epoch']:>{len(str(epochs))}}/{epochs}  loss {row['train_loss']:.3f}  "
        f"mixed {row['mixed_accuracy']:6.2%}  {measured}"
        f"{row['images_per_second']:,.0f} img/s  {row['seconds']:.1f} s"
    )


def first_process() -> bool:
    """Whether this process is the one that speaks; known before the others are launched too."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))


@contextmanager
def waiting(text: str, *, quiet: bool = False, console: Console | None = None) -> Iterator[None]:
    """Say in a terminal what is being done inside the block; the first process alone speaks.

    Args:
        text: what takes its time.
        quiet: show nothing.
        console: where; standard error when left out.
    """
    console = console or Console(file=sys.stderr, highlight=False)
    if quiet or not first_process() or not console.is_terminal:
        yield
        return
    with console.status(text):
        yield


class Shown:
    """Callbacks for `loop.train` that show a training on a console.

    Args:
        epochs: of each run.
        runs: how many runs follow one another.
        quiet: show nothing.
        console: where; standard error when left out.
        words: an epoch's row and the number of epochs in words.
    """

    def __init__(
        self,
        epochs: int,
        runs: int = 1,
        *,
        quiet: bool = False,
        console: Console | None = None,
        words: Callable[[dict[str, Any], int], str] = line,
    ) -> None:
        self.epochs, self.quiet, self.words = epochs, quiet, words
        self.console = console or Console(file=sys.stderr, highlight=False)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=quiet or not self.console.is_terminal,
        )
        self.task = self.bar.add_task("epochs", total=epochs * runs)
        self.title, self.begun = "", 0
        self.done, self.steps, self.inside = 0, 1, 0  # whole epochs of all runs; this one's steps

    @contextmanager
    def live(self) -> Iterator[Shown]:
        """Keep the bar on the screen inside the block."""
        with self.bar:
            yield self

    def begin(self, title: str) -> None:
        """A run begins."""
        self.title, self.done = title, self.epochs * self.begun  # also where the last one failed
        self.begun += 1
        self.bar.update(self.task, description=title, completed=self.done)

    def start(self, done: int, steps: int) -> None:
        """Training starts, after some epochs that a checkpoint held."""
        self.done, self.steps, self.inside = self.done + done, max(steps, 1), 0
        self.bar.update(self.task, completed=self.done)

    def on_step(self) -> None:
        """A step has ended; the bar moves by its share of an epoch."""
        self.inside += 1
        if self.bar.disable:
            return
        doing = f"step {self.inside}/{self.steps}" if self.inside < self.steps else "measuring"
        self.bar.update(
            self.task,
            description=f"{self.title}  {doing}".strip(),
            completed=self.done + min(self.inside / self.steps, 1.0),
        )

    def step(self, row: dict[str, Any]) -> None:
        """An epoch has ended; only the bar moves."""
        self.done, self.inside = self.done + 1, 0
        self.bar.update(self.task, completed=self.done)

    def epoch(self, row: dict[str, Any]) -> None:
        """An epoch has ended; say how."""
        self.step(row)
        self.say(self.words(row, self.epochs))

    def end(self, row: dict[str, Any]) -> None:
        """A run has ended; say how."""
        self.say(
            f"{self.title}  train {row['train_accuracy']:6.2%}  test {row['test_accuracy']:6.2%}  "
            f"{row['seconds']:.1f} s"
        )

    def skip(self) -> None:
        """A run of all its epochs was done before."""
        self.done += self.epochs
        self.bar.update(self.task, completed=self.done)

    def say(self, text: str) -> None:
        """One line above the bar."""
        if not self.quiet:
            self.console.print(text, markup=False, soft_wrap=True)


class Counted:
    """A bar in a terminal over things of which the number is known.

    Args:
        title: what is being done.
        total: how many there are.
        quiet: show nothing.
        console: where; standard error when left out.
    """

    def __init__(
        self, title: str, total: int, *, quiet: bool = False, console: Console | None = None
    ) -> None:
        console = console or Console(file=sys.stderr, highlight=False)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self.task = self.bar.add_task(title, total=total)

    def __enter__(self) -> Counted:
        """Show the bar."""
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Take it away."""
        self.bar.stop()

    def add(self, count: int) -> None:
        """So many more are done."""
        self.bar.advance(self.task, count)
