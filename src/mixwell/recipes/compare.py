"""Compare augmentation policies: policies x seeds, from equal weights, in equal batch order.

For one seed, every policy starts from the same weights and sees the same images in the same
batches; only what is done to them differs. So policies are compared pair by pair, seed by seed, and
what a lucky seed does for all of them cancels. That the pairs are pairs is checked, not hoped:
each run records digests of its initial weights and of its order.

::

    runs/NAME/report.html, report.md, plot.png     for people
    runs/NAME/results.csv, results.json            for programs; one row for each run
    runs/NAME/cells/                               finished runs; `resume=True` skips them

A folder that holds finished runs is not written over unasked.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

import mixwell as mw
from mixwell.recipes import report
from mixwell.recipes.cells import Cells
from mixwell.recipes.classify import Beginning, cpu_threads, write_json
from mixwell.recipes.config import policies_for, resolved, subset
from mixwell.recipes.data import TrainTest, load_dataset
from mixwell.recipes.finetune import beginning, start_for
from mixwell.recipes.grid import Candidate, check_names, crossed, expanded, named, with_baseline
from mixwell.recipes.loop import make_fabric, train
from mixwell.recipes.place import clear, placed
from mixwell.recipes.progress import Shown, waiting
from mixwell.recipes.settings import as_json, check_seed
from mixwell.recipes.summary import Summary, check_pairs, summarise
from mixwell.recipes.tuning import TuningConfig, make_tuning, resolved_tuning


@dataclass(frozen=True, kw_only=True)
class CompareConfig(TuningConfig):
    """Settings of a comparison; `TuningConfig` and `TrainConfig` have the others.

    With weights, each policy is trained from each of them, as `finetune` does; what loads nothing
    learns at the rate of new layers throughout.

    With digits and nothing else said, a twentieth of the training images is used: from all of them
    every policy learns to be right on 99 % of the test images and nothing can be told apart.

    Args:
        policies: presets' names, TOML files' paths, or code, under a name of its own where one is
            given: ``"mild=Policy(Rotate(10))"``; by data set when left out.
        seeds: one run of each policy for each, 0 .. 2**32 - 1.
        grid: values for fields of ops, such as ``{"num_ops": [1, 2], "magnitude": [5, 9]}``; each
            policy with an op that has the fields is compared in all their combinations.
        baseline: the policy the others are compared with; when left out the first, or none where
            the grid changes the first. With weights: that policy from the first of them.
        weights: initial weights to compare: none (from scratch), DEFAULT or another name that
            torchvision or timm gives to weights of the model, or a file; under a name of its own
            where one is given: ``"keras=weights.npz"``.
        out: the folder; when left out runs/compare, or with a number where that holds another.
        resume: keep the finished runs that are in the folder.
        overwrite: give up the finished runs that are in the folder.
        quiet: show nothing.
    """

    policies: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    grid: dict[str, list[float]] | None = None
    baseline: str | None = None
    weights: tuple[str, ...] = ()
    out: Path | None = None
    resume: bool = False
    overwrite: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        """Refuse values that cannot mean anything.

        Raises:
            ValueError: a number is out of range, a policy or seed is named twice, or none is.
        """
        super().__post_init__()
        for name in ("head_lr", "stage_decay", "unfreeze", "norms"):
            if not self.weights and getattr(self, name) != getattr(TuningConfig, name):
                raise ValueError(f"{name} is for fine-tuning: name initial weights (--weights).")
        if not self.seeds:
            raise ValueError("seeds must name at least one, got none.")
        for seed in self.seeds:
            check_seed(seed)
        for name in ("policies", "seeds", "weights"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} must name each once, got {', '.join(map(str, values))}.")


MARKS = ("results.csv", "cells/*.json", "cells/*.pt")
"""Files of a comparison with something finished."""

POLICIES = ("none", "standard", "randaugment", "mixup", "cutmix")
# What the digits' 8 x 8 pixels bear: a slight turn, move, zoom and slant.
_AFFINE = "affine=Policy(Affine(degrees=10, translate=(.06, .06), scale=(.9, 1.1), shear=.1))"
# The budget was chosen by looking: with 60 epochs instead of 150 no policy could be told from none
# (three seeds; affine -1.1 points, CutMix +0.3). The report says that this is a demonstration.
_FEW_DIGITS = {
    "policies": ("none", "standard", _AFFINE, "mixup", "cutmix"),
    "train_fraction": 0.05,
    "epochs": 150,
    "batch_size": 32,
    "measure_every": 50,
}


@dataclass
class Comparison:
    """What a comparison gave.

    Attributes:
        config: the settings, with every default filled in.
        baseline: name of the policy the others are compared with.
        rows: one for each finished run.
        summaries: one for each policy with a finished run.
        planned: runs asked for.
        failed: runs whose loss was no longer a number, and what was said of it.
        train_images: number of training images used.
        test_images: number of test images.
        split: how the data set was divided into the two, "" where its files say it themselves.
        device: what it ran on.
        out: the folder.
        candidates: the policies, in order.
    """

    config: CompareConfig
    baseline: str
    rows: list[dict[str, Any]]
    summaries: list[Summary]
    planned: int
    failed: list[str]
    train_images: int
    test_images: int
    split: str
    device: str
    out: Path
    candidates: list[Candidate] = field(default_factory=list, repr=False)

    @property
    def interrupted(self) -> bool:
        """Whether runs are missing that did not fail."""
        return len(self.rows) + len(self.failed) < self.planned


def compare(config: CompareConfig) -> Comparison:
    """Train every policy with every seed and write the report.

    Ctrl-C keeps what is finished and reports that.

    Args:
        config: the settings; fields left at None are filled in for the data set.

    Raises:
        DataError: the data set is missing or unfit, `resume` finds other settings, or the folder
            holds finished runs and neither `resume` nor `overwrite` is set.
        PolicyError: no such policy, or a grid or baseline that fits none of them.
        ImportError: the extra `train` is not installed.
    """
    config = _filled(config)
    with waiting(f"loading {config.data}", quiet=config.quiet):
        data = load_dataset(config.data, config.data_dir, config.download)
        data = subset(data, config.train_fraction)
    candidates, eval_policy, base = _candidates(config, data)
    begins = _begins(config, data, candidates)
    out = Path(config.out or "")
    fabric = make_fabric(config)
    chief = fabric.is_global_zero
    shown = Shown(
        config.epochs or 1, len(candidates) * len(config.seeds), quiet=config.quiet or not chief
    )
    cells = Cells(out / "cells", config.resume, chief)
    work = _Work(config, begins, eval_policy, cells, shown, fabric)
    work.check(candidates)
    rows: list[dict[str, Any]] = []
    with cpu_threads(config.threads), shown.live(), contextlib.suppress(KeyboardInterrupt):
        for row in work.rows(candidates):
            rows.append(row)
            check_pairs(rows)
    if not work.begun:
        work.start()
    comparison = Comparison(
        config=config,
        baseline=base,
        rows=rows,
        summaries=summarise(rows, base),
        planned=len(candidates) * len(config.seeds),
        failed=work.failed,
        train_images=len(data.train),
        test_images=len(data.test),
        split=data.note,
        device=_device(fabric),
        out=out,
        candidates=candidates,
    )
    if chief:
        with waiting("writing the report", quiet=config.quiet):
            report.write(comparison, data)
        for line in report.lines(comparison):
            shown.say(line)
    return comparison


def _filled(config: CompareConfig) -> CompareConfig:
    """The settings with defaults; training accuracy is always measured."""
    wanted = _FEW_DIGITS if config.data == "digits" else {"policies": POLICIES}
    if config.weights:
        wanted = {"policies": ("finetune",)}
    missing = {k: v for k, v in wanted.items() if getattr(config, k) in (None, ())}
    config = replace(config, **missing)
    config = replace(config, train_accuracy=True)
    config = resolved_tuning(config) if config.weights else resolved(config)
    return placed(config, "compare", MARKS)[0]


def _candidates(config: CompareConfig, data: TrainTest) -> tuple[list[Candidate], mw.Policy, str]:
    """The policies to compare, the grid expanded; the policy to measure with; the baseline."""
    given: list[Candidate] = []
    found: list[Candidate] = []
    eval_policy = mw.Policy()
    for text in config.policies:
        name, code = named(text)
        policy, eval_policy = policies_for(config, data, code)
        given.append(Candidate(name, policy))
        found += expanded(given[-1], config.grid) if config.grid else given[-1:]
    if config.grid and not any(candidate.of_grid for candidate in found):
        raise mw.PolicyError(
            f"A grid over {', '.join(config.grid)} needs a policy with an op that has these "
            f"fields, got {', '.join(config.policies)}. Add one, such as randaugment."
        )
    found, baseline = with_baseline(given, found, config.baseline)
    baseline = check_names(found, baseline)
    if config.weights:
        found, baseline = crossed(found, baseline, config.weights)
        check_names(found, baseline)
    return found, eval_policy, baseline


def _begins(
    config: CompareConfig, data: TrainTest, candidates: list[Candidate]
) -> dict[str, Beginning]:
    """What the runs begin with, for each of the initial weights."""
    if not config.weights:
        return {"": Beginning(data)}
    made = {}
    for source in dict.fromkeys(candidate.weights for candidate in candidates):
        start = start_for(config, data, source)
        made[source] = beginning(start, data, make_tuning(start, config))
    return made


@dataclass
class _Work:
    """What all runs share."""

    config: CompareConfig
    begins: dict[str, Beginning]
    eval_policy: mw.Policy
    cells: Cells
    shown: Shown
    fabric: Any
    failed: list[str] = field(default_factory=list)
    begun: bool = False

    def check(self, candidates: list[Candidate]) -> None:
        """Make sure that all finished runs may be kept, before anything is written."""
        for seed, candidate in itertools.product(self.config.seeds, candidates):
            self.cells.load(candidate, seed, self.config)

    def start(self, done: int = 0, steps: int = 1) -> None:
        """Nothing was refused: from here on the folder is this comparison's."""
        out = Path(self.config.out or "")
        if self.cells.chief and not self.begun:
            if self.config.overwrite:
                clear(out, MARKS)
            write_json(out / "config.json", as_json(self.config))
        self.begun = True
        self.shown.start(done, steps)

    def rows(self, candidates: list[Candidate]) -> Iterator[dict[str, Any]]:
        """All runs, seed by seed, so that what is finished when one stops is paired."""
        for seed, candidate in itertools.product(self.config.seeds, candidates):
            self.shown.begin(f"{candidate.name}, seed {seed}")
            row = self.cells.load(candidate, seed, self.config)
            if row is not None:
                self.shown.skip()
            else:
                try:
                    row = self.run(candidate, seed)
                except FloatingPointError as error:
                    self.failed.append(f"{candidate.name}, seed {seed}: {error}")
                    self.shown.say(self.failed[-1])
                    continue
            self.shown.end(row)
            yield row

    def run(self, candidate: Candidate, seed: int) -> dict[str, Any]:
        """Train one policy with one seed and keep its figures."""
        begin = self.begins[candidate.weights]
        result = train(
            self.config,
            begin.data,
            candidate.policy,
            eval_policy=self.eval_policy,
            seed=seed,
            network=begin.network,
            tuning=begin.tuning,
            checkpoint=self.cells.path(candidate, seed, ".pt"),
            save_every=10.0,
            resume=self.config.resume,
            on_start=self.start,
            on_epoch=self.shown.step,
            on_step=self.shown.on_step,
            fabric=self.fabric,
        )
        if result.interrupted:
            raise KeyboardInterrupt
        row = {"policy": candidate.name, "code": repr(candidate.policy), "seed": seed}
        if candidate.weights:
            row["weights"] = candidate.weights
        row |= {k: v for k, v in result.as_json().items() if k != "interrupted"}
        self.cells.save(candidate, seed, self.config, row)
        return row


def _device(fabric: Any) -> str:
    if fabric.device.type == "cuda":
        return f"{fabric.world_size} x {torch.cuda.get_device_name(fabric.device)}"
    return fabric.device.type if fabric.world_size == 1 else f"{fabric.world_size} processes"
