"""Fine-tuning as a whole: on digits that the network has seen, and in one comparison."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import mixwell as mw
from mixwell.policy.presets import preset
from mixwell.recipes.classify import ClassifyConfig, classify
from mixwell.recipes.compare import CompareConfig, compare
from mixwell.recipes.config import policies_for, subset
from mixwell.recipes.data import load_dataset
from mixwell.recipes.finetune import FinetuneConfig, finetune
from mixwell.recipes.loop import train
from mixwell.recipes.models.pretrained import load_start
from mixwell.recipes.result import weights_digest
from mixwell.recipes.tuning import make_tuning, resolved_tuning

QUICK = {"threads": 1, "devices": 1, "quiet": True}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that knows digits, as the run's own checkpoint."""
    out = tmp_path_factory.mktemp("trained") / "run"
    result = classify(ClassifyConfig(epochs=3, out=out, **QUICK))
    assert result.test_accuracy > 0.9
    return out / "checkpoint.pt"


def settings(out: Path, weights: Path | str, **changes) -> FinetuneConfig:
    given = {"epochs": 3, "train_fraction": 0.1, "batch_size": 16, "out": out}
    return FinetuneConfig(weights=str(weights), **(QUICK | given | changes))


def test_a_new_head_on_known_features_beats_training_from_scratch(trained, tmp_path) -> None:
    options = {"policy": "none", "epochs": 2, "lr": 3e-3, "unfreeze": "head"}
    tuned = finetune(settings(tmp_path / "tuned", trained, **options))
    scratch = finetune(settings(tmp_path / "scratch", "none", **options))
    assert tuned.test_accuracy > scratch.test_accuracy + 0.1
    assert tuned.test_accuracy > 0.9
    assert tuned.order_digest == scratch.order_digest


def test_head_alone_leaves_the_rest_as_it_was_loaded(trained, tmp_path) -> None:
    result = finetune(settings(tmp_path / "run", trained, unfreeze="head"))
    file = torch.load(trained, weights_only=True)["model"]
    found = result.model.state_dict()  # type: ignore[union-attr]
    changed = {name for name in found if not torch.equal(found[name], file[name])}
    assert changed == {"linear.weight", "linear.bias"}
    assert result.parameters == sum(found[name].numel() for name in changed)


def test_the_run_says_what_it_was(trained, tmp_path) -> None:
    finetune(settings(tmp_path / "run", trained, head_lr=5.0, epochs=5))
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert saved["unfreeze"] == "head@0 all@1" and saved["head_lr"] == 5.0
    assert saved["optimizer"] == "adamw" and saved["lr"] == pytest.approx(2e-4)
    assert "MixUp(alpha=0.2)" in saved["policy_code"]
    with (tmp_path / "run" / "history.csv").open(newline="") as file:
        rates = [float(row["lr"]) for row in csv.DictReader(file)]
    assert max(rates) <= 2.001e-4  # that of loaded layers, whichever group comes first


def test_resumed_is_uninterrupted(trained, tmp_path) -> None:
    config = resolved_tuning(settings(tmp_path, trained, unfreeze="head@0 last1@1 all@2"))
    data = subset(load_dataset("digits"), 0.1)
    start = load_start("digits-net", 10, trained)
    tuning = make_tuning(start, config)
    policy = preset("finetune", 8, flip=False)

    def run(name: str, **options):
        return train(
            config,
            data,
            policy,
            network=start.network,
            tuning=tuning,
            checkpoint=tmp_path / name,
            **options,
        )

    def stop(row) -> None:
        if row["epoch"] == 1:
            raise KeyboardInterrupt

    whole = run("whole.pt")
    assert run("parts.pt", on_epoch=stop).interrupted
    rest = run("parts.pt", resume=True)
    assert weights_digest(rest.model) == weights_digest(whole.model)  # type: ignore[arg-type]
    other = replace(config, head_lr=3.0)
    with pytest.raises(mw.DataError, match=r"got head_lr=3\.0 instead of 10\.0"):
        train(
            other,
            data,
            policy,
            network=start.network,
            tuning=make_tuning(start, other),
            checkpoint=tmp_path / "parts.pt",
            resume=True,
        )


# ---- the policy --------------------------------------------------------------------------------


def test_the_policy_is_gentle_and_ends_without_mixing() -> None:
    data = load_dataset("digits")
    policy, _ = policies_for(FinetuneConfig(), data, "finetune")
    assert policy == preset("finetune", 8, flip=False)
    large = preset("finetune", (128, 112))
    assert large.out_size == (128, 112) and mw.HorizontalFlip() in large.ops
    assert 30 < mixed(large, progress=0.5) < 180
    assert mixed(large, progress=0.8) == 0


def mixed(policy: mw.Policy, progress: float) -> int:
    """How many of 400 images, each a class of its own, share their label."""
    images = torch.zeros(400, 3, 64, 48, dtype=torch.uint8)
    augment = mw.Augment(policy, num_classes=400, mean=(0.5,) * 3, std=(0.5,) * 3, seed=0)
    keys = mw.Keys(index=np.arange(400), progress=progress)
    _, labels = augment(images, torch.arange(400), keys=keys)
    return int((labels.max(1).values < 0.999).sum())


# ---- one comparison ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compared(trained, tmp_path_factory):
    config = CompareConfig(
        policies=("none", "standard"),
        weights=("none", f"digits={trained}"),
        seeds=(0,),
        epochs=1,
        train_fraction=0.1,
        batch_size=16,
        unfreeze="head",
        out=tmp_path_factory.mktemp("compare"),
        **QUICK,
    )
    return compare(config)


def test_a_comparison_varies_the_initial_weights(compared) -> None:
    names = ["none, scratch", "none, digits", "standard, scratch", "standard, digits"]
    assert [s.policy for s in compared.summaries] == names
    assert compared.baseline == "none, scratch"
    found = {s.policy: s.test.mean for s in compared.summaries}
    assert found["none, digits"] > found["none, scratch"] + 0.1
    with (compared.out / "results.csv").open(newline="") as file:
        assert {row["weights"] for row in csv.DictReader(file)} > {"none"}


def test_equal_initial_weights_are_equal_and_all_share_the_order(compared) -> None:
    digests = {row["weights"]: set() for row in compared.rows}
    for row in compared.rows:
        digests[row["weights"]].add(row["initial_digest"])
    assert [len(found) for found in digests.values()] == [1, 1]
    assert len({row["initial_digest"] for row in compared.rows}) == 2
    assert len({row["order_digest"] for row in compared.rows}) == 1


def test_the_report_says_what_was_loaded_and_at_what_rate(compared) -> None:
    said = (compared.out / "report.md").read_text()
    assert "new ones at 10 times that" in said and "from scratch usually needs many more" in said
    assert "has the same new layers too" in said


def test_finished_cells_of_other_weights_are_kept_apart(compared) -> None:
    again = compare(replace(compared.config, resume=True))
    assert again.rows == compared.rows
    assert len(list((compared.out / "cells").glob("*.json"))) == 4


def test_settings_of_fine_tuning_need_weights() -> None:
    with pytest.raises(ValueError, match=r"unfreeze is for fine-tuning: name initial weights"):
        CompareConfig(unfreeze="head")
    with pytest.raises(ValueError, match="weights must name each once"):
        CompareConfig(weights=("none", "none"))
