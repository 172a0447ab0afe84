"""The grid, the choice and the last training."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from mixwell import DataError, PolicyError
from mixwell.recipes import loop
from mixwell.recipes.kaggle import search as home
from mixwell.recipes.kaggle.choice import Tried, short_name, words
from mixwell.recipes.kaggle.competition import Competition
from mixwell.recipes.kaggle.config import PrepareConfig
from mixwell.recipes.kaggle.prepare import prepare
from mixwell.recipes.kaggle.search import search
from mixwell.recipes.kaggle.settings import SearchConfig, combinations, combined, filled
from tests.recipes.kaggle.made import CLASSES, competition


@pytest.fixture
def made(tmp_path: Path) -> Competition:
    source = competition(tmp_path / "comp")
    return prepare(source, PrepareConfig(out=tmp_path / "prepared", quiet=True)).competition


@pytest.fixture(autouse=True)
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A linear network under the name that the tests give."""

    def build(name: str, classes: int, *rest: int) -> nn.Module:
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, classes))

    monkeypatch.setattr(loop, "build_model", build)


def config(tmp_path: Path, **options) -> SearchConfig:
    usual = {"epochs": 2, "batch_size": 8, "model": "linear", "policy": "none", "lr": 0.5}
    usual |= {"quiet": True, "threads": 1, "out": tmp_path / "run", "num_workers": 0}
    return SearchConfig(**usual | options)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_combination_is_tried_and_the_best_is_trained_on_everything(
    made: Competition, tmp_path: Path
) -> None:
    grid = {"lr": [1e-6, 1.0], "policy": ["none", "Policy(HorizontalFlip())"]}
    done = search(made, config(tmp_path, grid=grid, seeds=(0, 1), epochs=6, search_epochs=4))
    assert [t.values for t in done.tried] == combinations(grid)
    assert done.best is max(done.tried, key=lambda t: sum(t.accuracies))
    table = rows(tmp_path / "run" / "search.csv")
    assert len(table) == 8 and {row["epochs"] for row in table} == {"4"}
    assert done.result is not None and done.result.epochs == 6 and not done.interrupted
    about = json.loads((tmp_path / "run" / "model.json").read_text())
    assert about["train_images"] == 24 == made.counts["train"] + made.counts["valid"]
    assert about["settings"]["lr"] == done.best.values["lr"]
    assert tuple(about["form"]["classes"]) == CLASSES and about["size_hw"] == [8, 8]
    weights = torch.load(tmp_path / "run" / "model.pt", weights_only=True)
    assert done.result.model is not None
    for name, value in done.result.model.state_dict().items():
        assert torch.equal(value, weights[name])
    text = (tmp_path / "run" / "report.md").read_text()
    assert text.count("**chosen**") == 1 and "a little too good" in text
    assert "test_accuracy" not in (tmp_path / "run" / "history.csv").read_text()


def test_no_combination_sees_the_validation_images(
    made: Competition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def train(settings, data, *args, **options):
        seen.append((len(data.train), len(data.test)))
        return loop.train(settings, data, *args, **options)

    monkeypatch.setattr(home, "train", train)
    search(made, config(tmp_path))
    counts = made.counts
    assert seen == [(counts["train"], counts["valid"]), (24, counts["valid"])]


def test_resuming_keeps_what_is_finished(
    made: Competition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = {"lr": [0.1, 0.2, 0.3]}
    whole = search(made, config(tmp_path, grid=grid, lr=None, out=tmp_path / "whole"))
    calls = 0

    def stops(*args, **options):
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return loop.train(*args, **options)

    monkeypatch.setattr(home, "train", stops)
    first = search(made, config(tmp_path, grid=grid, lr=None))
    assert first.interrupted and len(first.tried) == 2 and first.best is None
    assert "Stopped" in (tmp_path / "run" / "report.md").read_text()
    again = search(made, config(tmp_path, grid=grid, lr=None, resume=True))
    assert calls == 5  # the third and the last
    assert [t.accuracies for t in again.tried] == [t.accuracies for t in whole.tried]
    weights = [torch.load(tmp_path / n / "model.pt", weights_only=True) for n in ("run", "whole")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_nothing_is_written_over_unasked(made: Competition, tmp_path: Path) -> None:
    search(made, config(tmp_path))
    with pytest.raises(DataError, match="--resume"):
        search(made, config(tmp_path))
    assert search(made, config(tmp_path, overwrite=True)).result is not None


def test_another_split_cannot_be_resumed(made: Competition, tmp_path: Path) -> None:
    search(made, config(tmp_path))
    other = PrepareConfig(out=tmp_path / "other", quiet=True, valid=0.5)
    split = prepare(tmp_path / "comp", other).competition
    with pytest.raises(DataError, match="its own images and split only"):
        search(split, config(tmp_path, resume=True))


def test_a_loss_that_is_no_number_is_told_and_not_chosen(
    made: Competition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(settings, *args, **options):
        if settings.lr == 900.0:
            raise FloatingPointError("Training needs a finite loss, got nan.")
        return loop.train(settings, *args, **options)

    monkeypatch.setattr(home, "train", train)
    done = search(made, config(tmp_path, grid={"lr": [900.0, 0.1]}))
    assert done.best is done.tried[1] and done.tried[0].failed == 1
    assert "failed (1 of 1 seeds)" in (tmp_path / "run" / "report.md").read_text()
    with pytest.raises(DataError, match="a run with a finite loss"):
        search(made, config(tmp_path, grid={"lr": [900.0]}, out=tmp_path / "none"))


def test_a_bad_policy_is_refused_before_anything_is_trained(
    made: Competition, tmp_path: Path
) -> None:
    with pytest.raises(PolicyError, match="cutmix"):
        search(made, config(tmp_path, grid={"policy": ["none", "cutmixx"]}, policy=None))
    assert not (tmp_path / "run").exists()


def test_what_is_tried_when_nothing_is_said(made: Competition) -> None:
    both = {"lr": [0.1, 0.3], "policy": ["standard", "cutmix"]}
    assert filled(made, SearchConfig()).grid == both
    assert filled(made, SearchConfig(policy="none")).grid == {"lr": [0.1, 0.3]}
    assert filled(made, SearchConfig(lr=0.1)).grid == {"policy": both["policy"]}
    assert filled(made, SearchConfig(lr=0.1, policy="none")).grid == {}
    assert combinations({}) == [{}]
    adam = filled(made, SearchConfig(optimizer="adamw"))
    assert adam.grid is not None and max(adam.grid["lr"]) == 1e-3


def test_what_depends_on_a_tried_setting_follows_it(made: Competition) -> None:
    config = filled(made, SearchConfig(grid={"optimizer": ["sgd", "adamw"]}))
    rates = {c["optimizer"]: combined(config, c).lr for c in combinations(config.grid or {})}
    assert rates == {"sgd": 0.3, "adamw": 1e-3}
    assert combined(config, {}).model == "resnet20"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grid": {"num_ops": [1]}}, "The grid can try policy, lr, .*'num_ops'"),
        ({"grid": {"lr": ["much"]}}, "grid's lr does not take 'much'"),
        ({"grid": {"lr": [True]}}, "grid's lr does not take True"),
        ({"grid": {"epochs": [1.5]}}, "grid's epochs does not take 1.5"),
        ({"grid": {"optimizer": ["sdg"]}}, "grid's optimizer does not take 'sdg'"),
        ({"grid": {"policy": [1]}}, "grid's policy does not take 1"),
        ({"grid": {"lr": [0.1, 0.1]}}, "each once"),
        ({"grid": {"lr": [0.0]}}, "lr must lie in"),
        ({"seeds": ()}, "seeds must name at least one"),
        ({"seeds": (1, 1)}, "each once"),
        ({"seeds": (-1,)}, "seed must lie in"),
        ({"search_epochs": 0}, "search_epochs"),
        ({"whiten": True}, "submit builds networks by name"),
    ],
)
def test_settings_that_mean_nothing(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SearchConfig(**options)


def test_spread_and_ties() -> None:
    tried = Tried({"lr": 1}, (0.5, 0.7), 1.0)
    assert tried.mean == pytest.approx(0.6) and tried.spread == pytest.approx(0.02**0.5)
    assert Tried({}, (0.5,), 1.0).spread is None and Tried({}, (0.9,), 1.0, failed=1).mean == -1


def test_names_differ_however_long() -> None:
    long = [{"policy": f"Policy({'HorizontalFlip(), ' * 9}Rotate({i}))"} for i in range(2)]
    assert short_name(long[0]) != short_name(long[1]) and len(short_name(long[0])) < 60
    assert (
        words({}) == "the settings given" and words({"lr": 0.1, "tta": True}) == "lr=0.1, tta=True"
    )
