"""Many trainings in one go: each finished one is a line of JSON, each unfinished one a checkpoint.

The trainings are `mixwell.recipes.loop.train`, nothing else. A script that was killed and is run
again with the same words goes on where it stopped: lines that are there are not done again, and a
run that was under way continues from its checkpoint.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import mixwell as mw
from benchmarks.gpu.summary import write_summary
from mixwell.bench.gpu.device import describe_device
from mixwell.bench.machine import describe
from mixwell.policy.presets import parse_policy
from mixwell.recipes.config import TrainConfig, policies_for, resolved
from mixwell.recipes.data import ArraySet, TrainTest, channel_stats, load_dataset
from mixwell.recipes.loop import make_fabric, train
from mixwell.recipes.result import Result
from mixwell.recipes.settings import as_json

LINES = "runs.jsonl"
SUMMARY = "summary.md"
SAVE_EVERY = 60.0
_FREE = ("data_dir", "download", "num_workers", "threads", "devices", "num_nodes")
INTERRUPTED = 130


@dataclass(frozen=True)
class Experiment:
    """One row of a table: what is trained, how often, and what it is to be held against.

    Attributes:
        name: of the row.
        config: everything but policy and seed.
        policy: a preset's name or code; or a preset, " + ", and ops in code behind it.
        runs: seeds 0 .. runs - 1.
        beside: a published figure or a goal, in words, with its source.
    """

    name: str
    config: TrainConfig
    policy: str
    runs: int
    beside: str = ""


def main(
    experiments: Sequence[Experiment], module: str, about: str, words: Sequence[str] | None = None
) -> int:
    """Do what the command line asks for.

    Args:
        experiments: all that the script knows.
        module: its name, for the command that is recorded.
        about: what the help says.
        words: the command line; the process's own when None.

    Returns:
        The exit code: 0, or 130 after Ctrl-C.
    """
    words = sys.argv[1:] if words is None else words
    args = _arguments(about).parse_args(words)
    chosen = _chosen(experiments, args)
    if args.list:
        for e in chosen:
            print(f"{e.name}: {e.config.data}, {e.config.model}, {e.policy}, n = {e.runs}")
        return 0
    if not (args.tiny or args.cpu or torch.cuda.is_available()):
        print(
            "These runs need a CUDA device, and torch finds none here. --tiny proves the script on "
            "generated images; --cpu trains all the same, for days.",
            file=sys.stderr,
        )
        return 1
    command = shlex.join(["python", "-m", module, *words])
    torch.backends.cudnn.benchmark = True
    book = Book(args.out, command, tiny=args.tiny)
    order = [(seed, e) for seed in range(max(e.runs for e in chosen)) for e in chosen]
    for seed, experiment in order:  # seed by seed, so that whatever ends early ends evenly
        if seed < experiment.runs and not book.one(experiment, seed, args):
            print(f"stopped; the same command goes on from {args.out}", file=sys.stderr)
            return INTERRUPTED
    print(write_summary(args.out / LINES, args.out / SUMMARY))
    return 0


def _arguments(about: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--out", type=Path, required=True, help="folder of lines and checkpoints")
    parser.add_argument("--data-dir", type=Path, help="where CIFAR's files are")
    parser.add_argument("--download", action="store_true", help="fetch CIFAR where it is missing")
    parser.add_argument("--only", default="", help="names of experiments, with commas between")
    parser.add_argument("--runs", type=int, help="seeds of each experiment")
    parser.add_argument("--epochs", type=int, help="epochs of each run, to try things out")
    parser.add_argument("--tiny", action="store_true", help="generated images and two epochs")
    parser.add_argument("--cpu", action="store_true", help="go on without a CUDA device")
    parser.add_argument("--list", action="store_true", help="say what there is, and stop")
    return parser


def _chosen(experiments: Sequence[Experiment], args: argparse.Namespace) -> list[Experiment]:
    """The experiments asked for, as large as asked for."""
    names = [word for word in args.only.split(",") if word]
    known = [e.name for e in experiments]
    for name in names:
        if name not in known:
            raise SystemExit(f"unknown experiment {name!r}; there are {', '.join(known)}.")
    found = [e for e in experiments if not names or e.name in names]
    if args.runs:
        found = [replace(e, runs=args.runs) for e in found]
    if args.epochs:
        found = [replace(e, config=replace(e.config, epochs=args.epochs)) for e in found]
    return [tiny(e) for e in found] if args.tiny else found


def tiny(experiment: Experiment) -> Experiment:
    """The same with two epochs of small batches, in float32; on a processor, in seconds."""
    config = experiment.config
    small = replace(config, epochs=2, batch_size=16, threads=1, precision="32-true")
    return replace(experiment, config=small, runs=min(experiment.runs, 2))


def generated(classes: int, side: int = 8) -> TrainTest:
    """Images whose colours tell their classes, with noise: 32 to learn from, 16 to measure on.

    Args:
        classes: how many.
        side: px.
    """
    numbers = np.random.default_rng(0)
    colours = numbers.integers(40, 216, (classes, 1, 1, 3))
    names = tuple(str(label) for label in range(classes))

    def some(count: int) -> ArraySet:
        labels = np.arange(count, dtype=np.int64) % classes
        noise = numbers.integers(-40, 40, (count, side, side, 3))
        return ArraySet((colours[labels] + noise).astype(np.uint8), labels, names)

    images = some(32)
    return TrainTest(images, some(16), "generated", *channel_stats(images.images))


def policies_of(config: TrainConfig, data: TrainTest, text: str) -> tuple[mw.Policy, mw.Policy]:
    """The policy that a text means for these images, see `Experiment`, and the one to measure
    with."""
    first, _, more = text.partition(" + ")
    policy, clean = policies_for(config, data, first)
    behind = parse_policy(f"Policy({more})").ops if more else ()
    return mw.Policy(*policy.ops, *behind), clean


class Book:
    """The lines of a folder, and the runs that add to them.

    Args:
        folder: where the lines, the checkpoints and the summary are.
        command: recorded with each line.
        tiny: whether images are generated.
    """

    def __init__(self, folder: Path, command: str, *, tiny: bool) -> None:
        self.folder, self.command, self.tiny = folder, command, tiny
        self.path = folder / LINES
        folder.mkdir(parents=True, exist_ok=True)
        self.done = mended(self.path)
        self.data: dict[str, TrainTest] = {}
        self.fabrics: dict[str, Any] = {}

    def one(self, experiment: Experiment, seed: int, args: argparse.Namespace) -> bool:
        """Do a run unless its line is there.

        Returns:
            False after Ctrl-C.
        """
        config = replace(experiment.config, data_dir=args.data_dir, download=args.download)
        config = resolved(config)
        data = self._data(config)
        policy, clean = policies_of(config, data, experiment.policy)
        settings = {k: v for k, v in as_json(config).items() if k not in _FREE}
        settings |= {"policy": repr(policy), "tiny": self.tiny}
        checkpoint = self.folder / "checkpoints" / f"{experiment.name}-seed{seed}.pt"
        if self._is_done(experiment.name, seed, settings):
            checkpoint.unlink(missing_ok=True)  # left by a kill right behind the line
            return True
        print(f"{experiment.name}, seed {seed}: {config.epochs} epochs", file=sys.stderr)
        resumed: list[int] = []
        result = train(
            config,
            data,
            policy,
            eval_policy=clean,
            seed=seed,
            checkpoint=checkpoint,
            save_every=0.0 if self.tiny else SAVE_EVERY,
            resume=True,
            on_start=lambda epochs, steps: resumed.append(epochs),
            on_epoch=_say,
            fabric=self._fabric(config),
        )
        if result.interrupted:
            return False
        self._add(experiment, seed, settings, result, resumed[0])
        checkpoint.unlink(missing_ok=True)
        write_summary(self.path, self.folder / SUMMARY)
        return True

    def _data(self, config: TrainConfig) -> TrainTest:
        if config.data not in self.data:
            classes = 100 if config.data == "cifar100" else 10
            given = lambda: load_dataset(config.data, config.data_dir, config.download)  # noqa: E731
            self.data[config.data] = generated(classes) if self.tiny else given()
        return self.data[config.data]

    def _fabric(self, config: TrainConfig) -> Any:
        if config.precision not in self.fabrics:
            self.fabrics[config.precision] = make_fabric(config)
        return self.fabrics[config.precision]

    def _is_done(self, name: str, seed: int, settings: dict[str, Any]) -> bool:
        for line in self.done:
            if (line["experiment"], line["seed"]) == (name, seed):
                if line["settings"] != settings:
                    theirs = line["settings"]
                    field = next(k for k in settings if theirs.get(k) != settings[k])
                    raise SystemExit(
                        f"{self.path} has {name}, seed {seed} with {field}={theirs.get(field)!r}, "
                        f"now it is {settings[field]!r}. Give another --out."
                    )
                return True
        return False

    def _add(
        self,
        experiment: Experiment,
        seed: int,
        settings: dict[str, Any],
        result: Result,
        resumed: int,
    ) -> None:
        """Write a line, whole, before anything else happens."""
        machine = describe()
        line = {
            "experiment": experiment.name,
            "beside": experiment.beside,
            "seed": seed,
            "test_accuracy": result.test_accuracy,
            "train_loss": result.train_loss,
            "mixed_accuracy": result.mixed_accuracy,
            "epochs": result.epochs,
            "seconds": result.seconds,
            "train_seconds": sum(row["train_seconds"] for row in result.history),
            "images_per_second": result.images_per_second,
            "parameters": result.parameters,
            "resumed_at_epoch": resumed,
            "device": describe_device(_device()),
            "machine": {k: machine[k] for k in ("cpu", "cores", "versions", "commit", "date")},
            "command": self.command,
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "settings": settings,
        }
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.done.append(line)


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _say(row: dict[str, Any]) -> None:
    accuracy = row["test_accuracy"]
    shown = "" if accuracy is None else f", {accuracy:.2%}"
    print(f"  epoch {row['epoch']}: loss {row['train_loss']:.3f}{shown}", file=sys.stderr)


def mended(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file; a last one that was cut off is taken away, and said so."""
    if not path.exists():
        return []
    text = path.read_text()
    whole, newline, rest = text.rpartition("\n")
    if rest:
        print(f"{path}: the last line is cut off and will be done again", file=sys.stderr)
        fresh = path.with_suffix(".new")
        fresh.write_text(whole + newline)
        fresh.replace(path)
    return [json.loads(line) for line in whole.splitlines() if line]
