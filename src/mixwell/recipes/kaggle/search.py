"""Try settings on the split, choose, and train the best once more on every labelled image.

The validation accuracy of the chosen settings is the best of several and therefore a little too
good; after the last training nothing is left to measure on, so no accuracy is claimed for it.

::

    OUT/search.csv, report.md    every run; the table and the choice
    OUT/model.pt, model.json     weights and what `submit` must know of them
    OUT/history.csv              of the last training
    OUT/cells/                   finished runs; `resume=True` skips them
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

import mixwell as mw
from mixwell import DataError
from mixwell.recipes.cells import Cells
from mixwell.recipes.classify import cpu_threads, write_json, write_rows
from mixwell.recipes.config import policies_for
from mixwell.recipes.data import ArraySet, TrainTest, channel_stats
from mixwell.recipes.data.folder import PHOTO_MEAN, PHOTO_STD
from mixwell.recipes.grid import Candidate
from mixwell.recipes.kaggle.choice import Searched, Tried, report, short_name, words
from mixwell.recipes.kaggle.competition import Competition
from mixwell.recipes.kaggle.settings import SearchConfig, combinations, combined, filled
from mixwell.recipes.loop import Result, make_fabric, train
from mixwell.recipes.place import clear, placed
from mixwell.recipes.progress import Shown, waiting
from mixwell.recipes.settings import as_json

MARKS = ("model.pt", "search.csv", "cells/*.json", "cells/*.pt")


def search(competition: Competition, config: SearchConfig) -> Searched:
    """Choose settings on the split and train on everything.

    Args:
        competition: from `read_competition`.
        config: what is tried; fields left at None are filled in for the images.

    Returns:
        The table, the choice and the figures of the last training. After Ctrl-C, what is finished.

    Raises:
        DataError: an image cannot be read, every run failed, `resume` finds other settings or
            another index, or the folder holds a search and neither `resume` nor `overwrite` is set.
        PolicyError: no such policy, or one that does not fit the images.
        ImportError: the extra `train` is not installed.
    """
    config = filled(competition, config)
    config, out = placed(config, "kaggle", MARKS)
    _check_index(competition, config, out)
    fabric = make_fabric(config)
    with waiting("loading the images", quiet=config.quiet):
        split = _pair(competition, ("train",), ("valid",))
    work = _Work(competition, config, split, out, fabric)
    with cpu_threads(config.threads):
        return work.run()


def _check_index(competition: Competition, config: SearchConfig, out: Path) -> None:
    """Make sure that what is resumed was tried on the same images and the same split."""
    path = out / "config.json"
    if config.resume and path.is_file():
        theirs = json.loads(path.read_text()).get("index")
        if theirs != competition.digest:
            raise DataError(
                f"A search can be resumed with its own images and split only, got the index "
                f"{competition.digest} instead of {theirs} in {path}. Use another folder."
            )


def _pair(competition: Competition, train: tuple[str, ...], test: tuple[str, ...]) -> TrainTest:
    """Images to learn from and to measure on, and their normalisation."""
    first, second = competition.images(*train), competition.images(*test)
    mean, std = PHOTO_MEAN, PHOTO_STD
    if isinstance(first, ArraySet):
        mean, std = channel_stats(first.images)
        std = tuple(value or 1.0 for value in std)  # a channel of one value
    return TrainTest(first, second, str(competition.folder), mean, std)


class _Work:
    """A search while it runs."""

    def __init__(
        self,
        competition: Competition,
        config: SearchConfig,
        split: TrainTest,
        out: Path,
        fabric: Any,
    ) -> None:
        self.competition, self.config, self.split = competition, config, split
        self.out, self.fabric, self.chief = out, fabric, fabric.is_global_zero
        self.cells = Cells(out / "cells", config.resume, self.chief)
        self.combinations = combinations(config.grid or {})
        self.rows: list[dict[str, Any]] = []
        self.tried: list[Tried] = []

    def run(self) -> Searched:
        """Try, choose, train."""
        config, best, result = self.config, None, None
        plans = [self._plan(values) for values in self.combinations]  # refuses bad ones early
        if self.chief:
            if config.overwrite:
                clear(self.out, MARKS)
            write_json(
                self.out / "config.json", as_json(config) | {"index": self.competition.digest}
            )
        quiet = config.quiet or not self.chief
        shown = Shown(1, len(plans) * len(config.seeds), quiet=quiet)
        try:
            with shown.live():
                for values, (candidate, settings) in zip(self.combinations, plans, strict=True):
                    self.tried.append(self._try(values, candidate, settings, shown))
            best = self._best()
            result = self._last(best)
        except KeyboardInterrupt:
            pass
        searched = Searched(config, self.tried, best, result, self.out, self.rows)
        if self.chief:
            write_rows(self.out / "search.csv", self.rows)
            (self.out / "report.md").write_text(
                report(searched, self.competition.counts, len(self.competition.classes))
            )
        return searched

    def _plan(self, values: dict[str, Any]) -> tuple[Candidate, SearchConfig]:
        """A combination's policy and its settings."""
        settings = combined(self.config, values)
        policy, _ = policies_for(settings, self.split, settings.policy or "standard")
        return Candidate(short_name(values), policy), settings

    def _try(
        self, values: dict[str, Any], candidate: Candidate, settings: SearchConfig, shown: Shown
    ) -> Tried:
        """Train a combination with every seed."""
        epochs = settings.search_epochs or settings.epochs
        settings = replace(settings, epochs=epochs, measure_every=epochs)
        accuracies, seconds, failed = [], 0.0, 0
        for seed in settings.seeds:
            title = f"{words(values)}, seed {seed}"
            shown.begin(title)
            row = self.cells.load(candidate, seed, settings)
            if row is None:
                row = self._train(candidate, settings, seed)
            shown.step({})
            self.rows.append(values | row)
            if row["failed"]:
                failed += 1
                shown.say(f"{title}  failed: {row['failed']}")
                continue
            accuracies.append(row["valid_accuracy"])
            seconds += row["seconds"]
            shown.say(f"{title}  validation {row['valid_accuracy']:.2%}  {row['seconds']:.1f} s")
        return Tried(values, tuple(accuracies), seconds, failed)

    def _train(self, candidate: Candidate, settings: SearchConfig, seed: int) -> dict[str, Any]:
        """One run; its row is kept."""
        _, eval_policy = policies_for(settings, self.split, settings.policy or "standard")
        measured = ("valid_accuracy", "train_loss", "epochs", "seconds")
        row: dict[str, Any] = {"seed": seed, **dict.fromkeys(measured), "failed": ""}
        try:
            result = train(
                settings,
                self.split,
                candidate.policy,
                eval_policy=eval_policy,
                seed=seed,
                checkpoint=self.cells.path(candidate, seed, ".pt"),
                save_every=60.0,
                resume=settings.resume,
                fabric=self.fabric,
            )
        except FloatingPointError as error:
            row["failed"] = str(error)
        else:
            if result.interrupted:
                raise KeyboardInterrupt
            row |= {"valid_accuracy": result.test_accuracy, "seconds": result.seconds}
            row |= {"train_loss": result.train_loss, "epochs": result.epochs}
        self.cells.save(candidate, seed, settings, row)
        return row

    def _best(self) -> Tried:
        best = max(self.tried, key=lambda tried: tried.mean)
        if best.mean < 0:
            raise DataError(
                "Choosing needs a run with a finite loss, got none. Try lower learning rates: "
                "--grid lr=0.01,0.03."
            )
        return best

    def _last(self, best: Tried) -> Result:
        """Train the best combination on all labelled images and keep the network."""
        settings = combined(self.config, best.values)
        epochs = settings.epochs or 1
        # Measured once, because the loop must; the images were trained on, so nothing is claimed.
        settings = replace(settings, measure_every=epochs)
        data = _pair(self.competition, ("train", "valid"), ("valid",))
        policy, eval_policy = policies_for(settings, data, settings.policy or "standard")
        checkpoint = self.cells.path(Candidate(f"all-{short_name(best.values)}", policy), 0, ".pt")
        shown = Shown(epochs, quiet=self.config.quiet or not self.chief)
        seed = settings.seeds[0]
        shown.say(f"training on all {len(data.train):,} labelled images: {words(best.values)}")
        with shown.live():
            result = train(
                settings,
                data,
                policy,
                eval_policy=eval_policy,
                seed=seed,
                checkpoint=checkpoint,
                save_every=60.0,
                resume=settings.resume,
                on_start=shown.start,
                on_epoch=shown.step,
                on_step=shown.on_step,
                fabric=self.fabric,
            )
        if self.chief and not result.interrupted:
            history = [{k: v for k, v in r.items() if k != "test_accuracy"} for r in result.history]
            write_rows(self.out / "history.csv", history)
            self._keep(result, settings, data, seed, (policy, eval_policy))
            checkpoint.unlink(missing_ok=True)
        return result

    def _keep(
        self,
        result: Result,
        settings: SearchConfig,
        data: TrainTest,
        seed: int,
        policies: tuple[mw.Policy, mw.Policy],
    ) -> None:
        """Write the network and what `submit` must know of it."""
        assert result.model is not None
        weights = {k: v.detach().cpu().contiguous() for k, v in result.model.state_dict().items()}
        fresh = self.out / "model.pt.new"
        torch.save(weights, fresh)
        in_memory = isinstance(data.train, ArraySet)
        about = {
            "competition": str(self.competition.folder.resolve()),
            "index": self.competition.digest,
            "form": asdict(self.competition.form),
            "model": settings.model,
            "mean": data.mean,
            "std": data.std,
            "size_hw": self.competition.size_hw if in_memory else None,
            "policy": repr(policies[0]),
            "eval_policy": repr(policies[1]),
            "tta": settings.tta,
            "seed": seed,
            "settings": as_json(settings),
            "train_images": len(data.train),
            "parameters": result.parameters,
            "seconds": result.seconds,
        }
        write_json(self.out / "model.json", about)
        fresh.replace(self.out / "model.pt")
