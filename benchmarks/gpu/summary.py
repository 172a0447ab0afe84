"""A table of the lines that `runs` writes: mean ± spread, n, seconds, examples a second.

python -m benchmarks.gpu.summary runs/gpu/runs.jsonl
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

Line = dict[str, Any]

HEADS = ("run", "test accuracy, %", "n", "worst", "epochs", "seconds", "examples/s", "beside")


def write_summary(source: Path, target: Path) -> str:
    """Write the table of a file of lines; returns it."""
    lines = [json.loads(text) for text in source.read_text().splitlines() if text]
    made = markdown(lines)
    target.write_text(made)
    return made


def markdown(lines: Iterable[Line]) -> str:
    """One row for each experiment, in the order in which they first appear.

    Accuracy is that of the last epoch, never of the best one; the spread is the standard deviation
    over seeds. Seconds and examples a second are medians; measuring counts in the former alone.
    """
    groups: dict[str, list[Line]] = {}
    for line in lines:
        groups.setdefault(line["experiment"], []).append(line)
    if not groups:
        return "No runs yet.\n"
    every = [line for group in groups.values() for line in group]
    rows = [_row(name, group) for name, group in groups.items()]
    table = [_cells(HEADS), _cells(("---", *["---:"] * 6, "---")), *map(_cells, rows)]
    return "\n".join([*_head(every), "", *table, "", *_foot(every)]) + "\n"


def _row(name: str, group: list[Line]) -> tuple[str, ...]:
    accuracies = [100 * line["test_accuracy"] for line in group]
    spread = f" ± {stdev(accuracies):.2f}" if len(group) > 1 else ""
    return (
        name,
        f"{mean(accuracies):.2f}{spread}",
        f"{len(group)}",
        f"{min(accuracies):.2f}",
        _span([line["epochs"] for line in group]),
        f"{median(line['seconds'] for line in group):.1f}",
        f"{median(line['images_per_second'] for line in group):,.0f}",
        group[0]["beside"],
    )


def _span(values: list[int]) -> str:
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low}-{high}"


def _cells(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def _head(lines: list[Line]) -> list[str]:
    found = []
    if any(line["settings"]["tiny"] for line in lines):
        found += ["**Generated images: this proves the script and measures nothing.**", ""]
    devices = dict.fromkeys(_device(line) for line in lines)
    return [*found, *devices]


def _device(line: Line) -> str:
    about, machine = line["device"], line["machine"]
    more = [f"{k} {v}" for k, v in about.items() if k != "name" and v]
    commit = machine["commit"] or "unknown"
    return f"{about['name']} ({', '.join(more)}); {machine['cpu']}; commit {commit}."


def _foot(lines: list[Line]) -> list[str]:
    resumed = sum(line["resumed_at_epoch"] > 0 for line in lines)
    commands = dict.fromkeys(line["command"] for line in lines)
    return [
        "Last epoch's accuracy, mean ± standard deviation over seeds; medians of seconds (training "
        "and measuring) and of examples a second (training).",
        *([f"{resumed} runs were stopped and resumed."] if resumed else []),
        "",
        *(f"    {command}" for command in commands),
    ]


if __name__ == "__main__":
    given = Path(sys.argv[1])
    print(write_summary(given, given.with_name("summary.md")), end="")
