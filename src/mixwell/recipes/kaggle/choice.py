"""What was tried, what was chosen, and the table that says so."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mixwell.recipes.kaggle.settings import SearchConfig
from mixwell.recipes.report import counted
from mixwell.recipes.result import Result


@dataclass(frozen=True)
class Tried:
    """One combination and how it did.

    Attributes:
        values: by setting.
        accuracies: on the validation images, 0 .. 1, one for each finished seed.
        seconds: of all its runs.
        failed: seeds whose loss was no longer a number.
    """

    values: dict[str, Any]
    accuracies: tuple[float, ...]
    seconds: float
    failed: int = 0

    @property
    def mean(self) -> float:
        """Mean accuracy; -1 where a seed failed."""
        return -1.0 if self.failed or not self.accuracies else float(np.mean(self.accuracies))

    @property
    def spread(self) -> float | None:
        """Standard deviation over the seeds, with n - 1; None for a single one."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else None


@dataclass
class Searched:
    """What a search and the last training gave.

    Attributes:
        config: the settings of the last training, every default filled in.
        tried: the combinations, in order.
        best: the one chosen, the first of equals.
        result: of the last training; None where it was not reached.
        out: the folder.
    """

    config: SearchConfig
    tried: list[Tried]
    best: Tried | None
    result: Result | None
    out: Path
    rows: list[dict[str, Any]] = field(default_factory=list, repr=False)

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C came before the end."""
        return self.result is None or self.result.interrupted


def words(values: dict[str, Any]) -> str:
    """A combination in words."""
    return ", ".join(f"{name}={value}" for name, value in values.items()) or "the settings given"


def short_name(values: dict[str, Any]) -> str:
    """A combination's name that differs from every other's, however long."""
    text = words(values)
    return f"{text[:40]}-{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}"


def report(searched: Searched, counts: dict[str, int], classes: int) -> str:
    """The table and the choice, as Markdown."""
    config = searched.config
    seeds = len(config.seeds)
    lines = [
        "# Search",
        "",
        f"{counts['train']:,} training and {counts['valid']:,} validation images, "
        f"{classes} classes; {_epochs(config)}, {counted(seeds, 'seed')}.",
        "",
        "| settings | validation accuracy, % | n | seconds |",
        "| --- | ---: | ---: | ---: |",
    ]
    for tried in searched.tried:
        mark = " **chosen**" if tried is searched.best else ""
        lines.append(
            f"| {words(tried.values)}{mark} | {_percent(tried)} | {len(tried.accuracies)} | "
            f"{tried.seconds:.1f} |"
        )
    lines += ["", *_last_words(searched, counts), ""]
    return "\n".join(lines)


def _epochs(config: SearchConfig) -> str:
    number = config.search_epochs or config.epochs
    return counted(number, "epoch") if number else "epochs by data set"


def _percent(tried: Tried) -> str:
    if tried.failed:
        return f"failed ({tried.failed} of {tried.failed + len(tried.accuracies)} seeds)"
    spread = f" ± {100 * tried.spread:.2f}" if tried.spread is not None else ""
    return f"{100 * tried.mean:.2f}{spread}"


def _last_words(searched: Searched, counts: dict[str, int]) -> list[str]:
    if searched.best is None:
        return ["Stopped before the last run."]
    error = math.sqrt(searched.best.mean * (1 - searched.best.mean) / max(counts["valid"], 1))
    said = [
        f"The chosen accuracy is the best of {len(searched.tried)} and so a little too good; over "
        f"{counts['valid']:,} images its standard error is {100 * error:.1f} points."
    ]
    if searched.result is not None and not searched.result.interrupted:
        total = counts["train"] + counts["valid"]
        said.append(
            f"Then trained on all {total:,} labelled images for "
            f"{counted(searched.result.epochs, 'epoch')} in {searched.result.seconds:.1f} s; "
            "nothing is left to measure that on."
        )
    return said
