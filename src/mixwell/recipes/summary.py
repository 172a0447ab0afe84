"""From the runs of a comparison to one line for each policy, and the proof that pairs are pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mixwell as mw
from mixwell.recipes.stats import Interval, interval, paired


@dataclass(frozen=True)
class Summary:
    """One policy over its seeds.

    Attributes:
        policy: its name.
        code: the code that builds it.
        test: clean test accuracy, 0 .. 1.
        train: clean training accuracy, 0 .. 1.
        difference: test accuracy minus the baseline's, over the seeds finished by both; None for
            the baseline itself and where no seed is shared.
        images_per_second: mean.
    """

    policy: str
    code: str
    test: Interval
    train: Interval
    difference: Interval | None
    images_per_second: float


def check_pairs(rows: list[dict[str, Any]]) -> None:
    """Make sure that runs of one seed started equal and saw the same images in the same order.

    Runs with other initial weights begin elsewhere, of course; their order is the same.

    Args:
        rows: finished runs.

    Raises:
        MixwellError: two runs of a seed differ; their comparison would not be paired.
    """
    first: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        seed, alike = row["seed"], (row["seed"], row.get("weights"))
        checks = (
            ("initial_digest", "initial weights", alike),
            ("order_digest", "batch order", (seed,)),
        )
        for what, name, group in checks:
            other = first.setdefault((what, *group), row)
            if row[what] != other[what]:
                raise mw.MixwellError(
                    f"Runs of one seed must share {name}, got {row[what]} for {row['policy']} and "
                    f"{other[what]} for {other['policy']} with seed {row['seed']}. Finished runs "
                    "may be of another version of PyTorch: begin anew without resume."
                )


def summarise(rows: list[dict[str, Any]], baseline: str) -> list[Summary]:
    """Means, intervals and paired differences.

    Args:
        rows: finished runs: `policy`, `code`, `seed`, `test_accuracy`, `train_accuracy`,
            `images_per_second`.
        baseline: the policy to compare with.
    """
    by_policy: dict[str, dict[int, dict[str, Any]]] = {}
    for row in rows:
        by_policy.setdefault(row["policy"], {})[row["seed"]] = row
    base = by_policy.get(baseline, {})
    made = []
    for name, runs in by_policy.items():
        shared = [seed for seed in runs if seed in base]
        ours = [runs[seed]["test_accuracy"] for seed in shared]
        theirs = [base[seed]["test_accuracy"] for seed in shared]
        values = list(runs.values())
        made.append(
            Summary(
                policy=name,
                code=values[0]["code"],
                test=interval([row["test_accuracy"] for row in values]),
                train=interval([row["train_accuracy"] for row in values]),
                difference=paired(ours, theirs) if shared and name != baseline else None,
                images_per_second=interval([row["images_per_second"] for row in values]).mean,
            )
        )
    return made
