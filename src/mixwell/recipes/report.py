"""A comparison in words, numbers and a plot.

What it says of a difference follows the interval: where that holds zero, the report says that the
two cannot be told apart; with one seed it says that nothing can be said; where augmentation loses,
it says so.
"""

from __future__ import annotations

import json
import platform
import shlex
import sys
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import mixwell as mw
from mixwell.recipes.classify import write_json, write_rows
from mixwell.recipes.data import TrainTest
from mixwell.recipes.plot import plot
from mixwell.recipes.settings import as_json
from mixwell.recipes.stats import Interval, verdict

if TYPE_CHECKING:
    from mixwell.recipes.compare import CompareConfig, Comparison, Summary

HEADER = ("policy", "n", "test accuracy, %", "difference, points", "train accuracy, %", "images/s")


def write(comparison: Comparison, data: TrainTest) -> None:
    """Write report.md, report.html, results.csv, results.json and plot.png into the folder.

    Args:
        comparison: with at least no runs; then only the settings are reported.
        data: for the sample pictures.
    """
    from mixwell.recipes import page

    out, about = comparison.out, environment(comparison)
    out.mkdir(parents=True, exist_ok=True)
    write_rows(out / "results.csv", comparison.rows)
    write_json(out / "results.json", as_dict(comparison, about))
    if comparison.rows:
        (out / "plot.png").write_bytes(plot(comparison))
    (out / "report.md").write_text(markdown(comparison, about), encoding="utf-8")
    (out / "report.html").write_text(page.html(comparison, about, data), encoding="utf-8")


def as_dict(comparison: Comparison, about: dict[str, str]) -> dict[str, Any]:
    """The whole comparison as values that JSON can hold."""
    return {
        "settings": as_json(comparison.config),
        "environment": about,
        "baseline": comparison.baseline,
        "finished": len(comparison.rows),
        "planned": comparison.planned,
        "failed": comparison.failed,
        "train_images": comparison.train_images,
        "test_images": comparison.test_images,
        "split": comparison.split,
        "summaries": [asdict(summary) for summary in comparison.summaries],
        "rows": comparison.rows,
    }


def environment(comparison: Comparison) -> dict[str, str]:
    """Where, when and how it was made."""
    command = [Path(sys.argv[0]).name, *sys.argv[1:]]
    return {
        "command": shlex.join(command),
        "date": datetime.now().astimezone().isoformat(sep=" ", timespec="minutes"),
        "mixwell": mw.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "threads": str(comparison.config.threads or torch.get_num_threads()),
        "device": comparison.device,
    }


def _cpu() -> str:
    """The processor's name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} ({len(names)} logical cores)" if names else platform.processor()


# ---- numbers as text ---------------------------------------------------------------------------


def percent(value: Interval) -> str:
    """A mean and half its interval: ``97.18 ± 0.55``, or ``97.18`` with a single seed."""
    half = "" if value.half is None else f" ± {100 * value.half:.2f}"
    return f"{100 * value.mean:.2f}{half}"


def points(share: float) -> str:
    """A difference in percentage points, always with its sign."""
    rounded = round(100 * share, 2)
    sign = "+" if rounded > 0 else "−" if rounded < 0 else ""
    return f"{sign}{abs(rounded):.2f}"


def span(difference: Interval) -> str:
    """``+0.28 (−0.41 … +0.97)``, or the difference alone with a single seed."""
    if difference.low is None or difference.high is None:
        return f"{points(difference.mean)} (no interval)"
    return f"{points(difference.mean)} ({points(difference.low)} … {points(difference.high)})"


def table(comparison: Comparison) -> list[tuple[str, ...]]:
    """The rows of the table under `HEADER`, as text."""
    return [
        (
            summary.policy,
            str(summary.test.n),
            percent(summary.test),
            _difference_cell(summary, comparison.baseline),
            percent(summary.train),
            f"{summary.images_per_second:,.0f}",
        )
        for summary in comparison.summaries
    ]


def _difference_cell(summary: Summary, baseline: str) -> str:
    if summary.difference is None:
        return "baseline" if summary.policy == baseline else "no shared seed"
    return span(summary.difference)


# ---- sentences ---------------------------------------------------------------------------------

_VERDICTS = {
    "better": "better than {base}",
    "worse": "worse than {base}: this augmentation loses here",
    "undecided": "not distinguishable from {base}: the interval includes zero",
    "single": "one seed, so no interval; this may well be chance",
    "constant": "the same difference in every seed, so there is no spread to judge by",
}


def findings(comparison: Comparison) -> list[tuple[str, str]]:
    """For each policy but the baseline: its name, and what can be said about it."""
    return [
        (summary.policy, _finding(summary.difference, comparison.baseline))
        for summary in comparison.summaries
        if summary.difference is not None
    ]


def _finding(difference: Interval, base: str) -> str:
    seeds = f"n = {counted(difference.n, 'seed')}"
    what = _VERDICTS[verdict(difference)].format(base=base)
    interval = ""
    if difference.low is not None and difference.high is not None:
        interval = f", 95 % interval {points(difference.low)} to {points(difference.high)}"
    return f"{points(difference.mean)} points{interval}; {seeds}; {what}."


def notes(comparison: Comparison) -> list[str]:
    """What a reader must know to judge the numbers."""
    config, n = comparison.config, len(comparison.config.seeds)
    used = f"{comparison.train_images:,} training images"
    if config.train_fraction is not None and config.train_fraction < 1:
        used += f", {100 * config.train_fraction:g} % of the set on purpose, spread over each class"
    told = [
        f"{config.data}: {used}; {comparison.test_images:,} test images, so one image is "
        f"{100 / comparison.test_images:.2f} points.",
        f"{config.model}{_parameters(comparison)}, {counted(config.epochs, 'epoch')}, batch "
        f"{config.batch_size}, {config.optimizer}, {config.schedule}, peak learning rate "
        f"{config.lr:g}. All policies share these; a policy may do better with others, and strong "
        "augmentation usually needs more epochs.",
        _about_pairs(config),
        _about_intervals(n),
        "Training accuracy is measured on clean training images after the last epoch. images/s "
        "counts augmenting and training, on a machine that may have had other work.",
    ]
    if comparison.split:
        told.insert(1, comparison.split)
    if config.data == "digits":
        told.append(
            "The digits show the tool at work. Their default budget was chosen so that policies "
            "differ; it is no evidence about these policies on other images."
        )
    points = sum(candidate.of_grid for candidate in comparison.candidates)
    if points:
        told.append(
            f"A grid of {points} points: the best of them was picked on the test images, so its "
            "figure is optimistic. Measure it again on images that took no part in the choice."
        )
    told[:0] = [f"Failed: {text}" for text in comparison.failed]
    if comparison.interrupted:
        done = f"{len(comparison.rows)} of {comparison.planned} runs are finished"
        told.insert(0, f"Incomplete: {done}; resume continues with the others.")
    return told


def _about_pairs(config: CompareConfig) -> str:
    if not config.weights:
        return (
            "For one seed all policies start from the same weights and see the same images in the "
            "same batches (digests of both agree in every run). Differences are taken seed by seed."
        )
    return (
        "For one seed all see the same images in the same batches, and what begins with the same "
        "weights has the same new layers too (digests of both agree in every run). Differences are "
        "taken seed by seed. Loaded layers learn at the rate above, new ones at "
        f"{config.head_lr:g} times that, and from scratch all are new; unfrozen: "
        f"{config.unfreeze} (from scratch nothing is frozen). All have the same epochs; from "
        "scratch usually needs many more."
    )


def counted(n: int | None, what: str) -> str:
    """``1 seed``, ``3 seeds``."""
    return f"{n} {what}" + ("" if n == 1 else "s")


def _parameters(comparison: Comparison) -> str:
    return f" ({comparison.rows[0]['parameters']:,} parameters)" if comparison.rows else ""


def _about_intervals(n: int) -> str:
    if n == 1:
        return "n = 1 seed: there are no intervals, and differences may be chance. Use more seeds."
    return (
        f"Intervals are 95 %, Student's t over n = {n} seeds: they speak of other seeds, not of "
        "other test images, and are not corrected for comparing several policies."
    )


def lines(comparison: Comparison) -> Iterable[str]:
    """The report for a terminal."""
    rows = [HEADER, *table(comparison)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "  ".join(cells)
    if comparison.interrupted:
        yield f"stopped: {len(comparison.rows)} of {comparison.planned} runs are finished"
    yield f"report: {comparison.out / 'report.html'}"


def markdown(comparison: Comparison, about: dict[str, str]) -> str:
    """The report as Markdown; `plot.png` lies beside it."""
    parts = [f"# {title(comparison)}", ""]
    if comparison.rows:
        parts += [_row(HEADER), _row(["---"] + ["---:"] * (len(HEADER) - 1))]
        parts += [_row(cells) for cells in table(comparison)]
        parts += ["", "![test accuracy and differences](plot.png)", ""]
    found = findings(comparison)
    if found:
        parts += ["## What can be said", ""]
        parts += [f"- **{name}**: {text}" for name, text in found] + [""]
    parts += ["## How to read this", "", *(f"- {note}" for note in notes(comparison)), ""]
    parts += ["## Policies", ""]
    parts += [f"- **{c.name}**: `{c.policy!r}`" for c in comparison.candidates]
    parts += ["", "## Environment", "", *(f"- {k}: `{v}`" for k, v in about.items()), ""]
    parts += ["## Settings", "", "```json", _settings(comparison), "```", ""]
    return "\n".join(parts)


def title(comparison: Comparison) -> str:
    """The report's headline."""
    config, count = comparison.config, len(comparison.candidates)
    where = config.data
    if where == "folder" and config.data_dir is not None:
        where = config.data_dir.resolve().name or where
    return f"{count} {'policy' if count == 1 else 'policies'} on {where}"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _settings(comparison: Comparison) -> str:
    return json.dumps(as_json(comparison.config), indent=2)
