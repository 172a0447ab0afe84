"""Train one classifier and write the run to a folder.

::

    runs/NAME/config.json      the settings, with every default filled in
    runs/NAME/history.csv      one row for each epoch
    runs/NAME/result.json      the figures of `Result`
    runs/NAME/checkpoint.pt    after each epoch; `resume=True` continues from it

A folder that holds a run is not written over unasked.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mixwell.recipes.config import TrainConfig, policies_for, resolved, subset
from mixwell.recipes.data import TrainTest, load_dataset
from mixwell.recipes.loop import Result, make_fabric, train
from mixwell.recipes.place import clear, placed
from mixwell.recipes.progress import Shown, waiting
from mixwell.recipes.settings import RunConfig, as_json
from mixwell.recipes.tuning import Tuning

MARKS = ("checkpoint.pt", "result.json", "history.csv")
"""Files of a run with a finished epoch."""


@dataclass(frozen=True, kw_only=True)
class ClassifyConfig(TrainConfig, RunConfig):
    """Settings of one run; `TrainConfig`, `RunConfig` and `LearningConfig` have the others.

    Args:
        policy: a preset's name, a TOML file's path, or code such as ``"Policy(CutMix())"``.
    """

    policy: str = "standard"


@dataclass(frozen=True)
class Beginning:
    """What a training begins with beside its settings.

    Args:
        data: the images and how they are normalised.
        network: builds the network; `config.model` when left out.
        tuning: which layers learn when, and how fast; all alike when left out.
        note: said before the first epoch.
    """

    data: TrainTest
    network: Callable[[], nn.Module] | None = None
    tuning: Tuning | None = None
    note: str = ""


def classify(config: ClassifyConfig) -> Result:
    """Train a classifier.

    Args:
        config: the settings; fields left at None are filled in for the data set.

    Returns:
        The figures and the network. After Ctrl-C, those of the finished epochs.

    Raises:
        DataError: the data set is missing or unfit, `resume` finds another run's checkpoint, or the
            folder holds a run and neither `resume` nor `overwrite` is set.
        PolicyError: no such policy, or one that does not fit the images.
        ImportError: the extra `train` is not installed.
    """
    config = resolved(config)
    return one_run(config, run_name(config), Beginning)


def one_run(config: ClassifyConfig, name: str, begin: Callable[[TrainTest], Beginning]) -> Result:
    """Train one network and write the run to a folder.

    Args:
        config: the settings, `resolved`.
        name: of the folder under ``runs``, where the config names none.
        begin: from the images to what the training begins with.

    Raises:
        DataError, PolicyError, ImportError: as `classify`.
    """
    config, out = placed(config, name, MARKS)
    with waiting(f"loading {config.data}", quiet=config.quiet):
        data = load_dataset(config.data, config.data_dir, config.download)
        beginning = begin(subset(data, config.train_fraction))
        data = beginning.data
    policy, eval_policy = policies_for(config, data, config.policy)
    fabric = make_fabric(config)
    chief = fabric.is_global_zero
    shown = Shown(config.epochs or 1, quiet=config.quiet or not chief)

    def start(done: int, steps: int) -> None:
        if chief:
            if config.overwrite:
                clear(out, MARKS)
            write_json(out / "config.json", as_json(config) | {"policy_code": repr(policy)})
        if beginning.note:
            shown.say(beginning.note)
        shown.start(done, steps)

    with cpu_threads(config.threads), shown.live():
        result = train(
            config,
            data,
            policy,
            eval_policy=eval_policy,
            seed=config.seed,
            network=beginning.network,
            tuning=beginning.tuning,
            checkpoint=out / "checkpoint.pt",
            resume=config.resume,
            on_start=start,
            on_epoch=shown.epoch,
            on_step=shown.on_step,
            fabric=fabric,
        )
    if chief and result.epochs:
        write_rows(out / "history.csv", result.history)
        write_json(out / "result.json", result.as_json())
    if result.interrupted:
        shown.say(f"stopped after {result.epochs} epochs; --resume continues from {out}")
    else:
        shown.say(f"run: {out}")
    return result


def run_name(config: ClassifyConfig, *more: str) -> str:
    """A folder's name that says what the run was."""
    parts = [config.data, (config.model or "").replace("torchvision:", ""), *more, config.policy]
    numbers = f"{config.optimizer}-lr{config.lr:g}-epochs{config.epochs}-seed{config.seed}"
    words = "-".join(parts)[:100] + "-" + numbers
    return "".join(c if c.isalnum() or c in "-+._" else "_" for c in words)


@contextmanager
def cpu_threads(count: int | None) -> Iterator[None]:
    """Set PyTorch's CPU threads inside the block; None leaves them as they are."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write values as readable JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=2) + "\n")


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows with equal columns as CSV; nothing when there are none."""
    if not rows:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
